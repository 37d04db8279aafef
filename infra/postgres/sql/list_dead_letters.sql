-- The newest dead letters, without their bytes. Reads only. $1: error kind (null = every kind), $2: how many at most.
SELECT
    record_id, token, job_id, redrive_count, attempt, error_kind, error_message,
    source_topic, source_partition, source_offset, source_timestamp, dead_lettered_at
FROM dead_letters
WHERE $1::text IS NULL OR error_kind = $1
ORDER BY dead_lettered_at DESC, record_id DESC
LIMIT $2
