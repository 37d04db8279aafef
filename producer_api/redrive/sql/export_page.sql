-- A page of open dead letters with everything that was kept, oldest first. Reads only. $9, $10: behind this moment and id
-- (null: from the oldest), $11: how many.
SELECT
    d.record_id, d.token, d.job_id, d.redrive_count, d.attempt, d.error_kind, d.error_message, d.key, d.payload, d.headers,
    d.source_topic, d.source_partition, d.source_offset, d.source_timestamp, d.dead_lettered_at, d.state::text
FROM dead_letters AS d
WHERE d.state = 'open' AND ($9::timestamptz IS NULL OR (d.dead_lettered_at, d.record_id) > ($9, $10::uuid)) AND
-- filter
ORDER BY d.dead_lettered_at, d.record_id
LIMIT $11
