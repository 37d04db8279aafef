-- A page of dead letters without their bytes, newest first. Reads only. $9: state (null: every one), $10, $11: behind this
-- moment and id (null: from the newest), $12: how many.
SELECT
    d.record_id, d.token, d.job_id, d.redrive_count, d.attempt, d.error_kind, d.error_message,
    d.source_topic, d.source_partition, d.source_offset, d.source_timestamp, d.dead_lettered_at, d.state::text
FROM dead_letters AS d
WHERE ($9::text IS NULL OR d.state = $9::text::dead_letter_state)
    AND ($10::timestamptz IS NULL OR (d.dead_lettered_at, d.record_id) < ($10, $11::uuid))
    AND
-- filter
ORDER BY d.dead_lettered_at DESC, d.record_id DESC
LIMIT $12
