-- Gives malformed records whose rows are lost a row again, marked as redriven: only that lets a malformed record keep its id on
-- its next way through the topic. Idempotent by record_id. $1: record ids, $2: job ids, $3: topics, $4: partitions,
-- $5: offsets, $6: timestamps (milliseconds since 1970).
INSERT INTO outcomes (
    record_id, job_id, outcome, attempt, redrive_count, error_kind, error_message,
    source_topic, source_partition, source_offset, source_timestamp
)
SELECT
    record_id, job_id, 'retrying', 0, 1, 'malformed', 'replayed', topic, source_partition, source_offset,
    to_timestamp(timestamp_ms / 1000.0)
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::bigint[]) AS new (
    record_id, job_id, topic, source_partition, source_offset, timestamp_ms
)
ON CONFLICT (record_id) DO NOTHING
