-- One dead letter with everything that was kept of it. Reads only. $1: record id.
SELECT
    record_id, token, job_id, redrive_count, attempt, error_kind, error_message, key, payload, headers,
    source_topic, source_partition, source_offset, source_timestamp, dead_lettered_at, state::text
FROM dead_letters
WHERE record_id = $1
