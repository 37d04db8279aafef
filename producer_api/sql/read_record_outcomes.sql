-- The outcome of each record id in $1: read only, by primary key.
SELECT token, record_id, outcome, attempt, redrive_count, result::text AS result, error_kind, error_message,
       source_topic, source_partition, source_offset, source_timestamp, settled_at
FROM outcomes
WHERE record_id = ANY($1::uuid[]);
