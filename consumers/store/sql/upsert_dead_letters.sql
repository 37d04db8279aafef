-- Keeps what a dead letter needs to be read and redriven, idempotent by record_id. Runs in the transaction of the outcomes
-- and after them: a record whose stored outcome is another (a late copy of one that succeeded) gets no dead letter. One
-- that was redriven and fails again is open again.
INSERT INTO dead_letters AS stored (
    record_id, token, job_id, redrive_count, attempt, error_kind, error_message, key, payload, headers,
    source_topic, source_partition, source_offset, source_timestamp
)
SELECT
    new.record_id, new.token, new.job_id, new.redrive_count, new.attempt, new.error_kind, new.error_message,
    new.key, new.payload, new.headers,
    new.source_topic, new.source_partition, new.source_offset, to_timestamp(new.source_timestamp_ms / 1000.0)
FROM unnest(
    $1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::int[], $6::text[], $7::text[], $8::bytea[], $9::bytea[], $10::bytea[],
    $11::text[], $12::int[], $13::bigint[], $14::bigint[]
) AS new (
    record_id, token, job_id, redrive_count, attempt, error_kind, error_message, key, payload, headers,
    source_topic, source_partition, source_offset, source_timestamp_ms
)
JOIN outcomes USING (record_id)
WHERE
    outcomes.outcome = 'dead_lettered'
    AND outcomes.redrive_count = new.redrive_count
    AND outcomes.attempt = new.attempt
    AND outcomes.token IS NOT DISTINCT FROM new.token
ON CONFLICT (record_id) DO UPDATE SET
    token = EXCLUDED.token,
    job_id = EXCLUDED.job_id,
    redrive_count = EXCLUDED.redrive_count,
    attempt = EXCLUDED.attempt,
    error_kind = EXCLUDED.error_kind,
    error_message = EXCLUDED.error_message,
    key = EXCLUDED.key,
    payload = EXCLUDED.payload,
    headers = EXCLUDED.headers,
    source_topic = EXCLUDED.source_topic,
    source_partition = EXCLUDED.source_partition,
    source_offset = EXCLUDED.source_offset,
    source_timestamp = EXCLUDED.source_timestamp,
    dead_lettered_at = EXCLUDED.dead_lettered_at,
    state = 'open'
WHERE (EXCLUDED.redrive_count, EXCLUDED.attempt) > (stored.redrive_count, stored.attempt)
