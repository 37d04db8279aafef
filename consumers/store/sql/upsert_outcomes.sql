-- Writes outcomes, idempotent by record_id: only a row greater in (redrive_count, outcome, attempt) overwrites, and only for
-- the same token (a null token, of a malformed record, conflicts with nothing). Rows come sorted by record_id, against
-- deadlocks between workers. $1-$13: a column each, an empty one where all of it is null. $14-$17: outcome, attempt,
-- redrive_count and source_topic where they are the same in every row; their column is then an empty one.
INSERT INTO outcomes AS stored (
    record_id, token, job_id, outcome, attempt, redrive_count, result, error_kind, error_message,
    source_topic, source_partition, source_offset, source_timestamp
)
SELECT
    record_id, token, job_id, coalesce(outcome, $14)::outcome, coalesce(attempt, $15), coalesce(redrive_count, $16),
    result::jsonb, error_kind, error_message, coalesce(source_topic, $17), source_partition, source_offset,
    to_timestamp(source_timestamp_ms / 1000.0)
FROM unnest(
    $1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::int[], $6::int[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::int[], $12::bigint[], $13::bigint[]
) AS new (
    record_id, token, job_id, outcome, attempt, redrive_count, result, error_kind, error_message,
    source_topic, source_partition, source_offset, source_timestamp_ms
)
ON CONFLICT (record_id) DO UPDATE SET
    token = EXCLUDED.token,
    job_id = EXCLUDED.job_id,
    outcome = EXCLUDED.outcome,
    attempt = EXCLUDED.attempt,
    redrive_count = EXCLUDED.redrive_count,
    result = EXCLUDED.result,
    error_kind = EXCLUDED.error_kind,
    error_message = EXCLUDED.error_message,
    source_topic = EXCLUDED.source_topic,
    source_partition = EXCLUDED.source_partition,
    source_offset = EXCLUDED.source_offset,
    source_timestamp = EXCLUDED.source_timestamp,
    settled_at = EXCLUDED.settled_at
WHERE
    (EXCLUDED.redrive_count, EXCLUDED.outcome, EXCLUDED.attempt) > (stored.redrive_count, stored.outcome, stored.attempt)
    AND (EXCLUDED.token = stored.token OR EXCLUDED.token IS NULL OR stored.token IS NULL)
