-- Makes rows that failed, or retry with no copy to come, `retrying` again, one redrive higher, each only if it is still as it
-- was read: idempotent by record_id, redrive_count, outcome and attempt. Their dead letters are redriven by this operation.
-- $1: record ids, $2: redrive counts, $3: outcomes, $4: attempts, as read; $5: the operation.
WITH raised AS (
    UPDATE outcomes AS o
    SET outcome = 'retrying', attempt = 0, redrive_count = o.redrive_count + 1, settled_at = clock_timestamp()
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[]) AS seen (record_id, redrive_count, outcome, attempt)
    WHERE o.record_id = seen.record_id
        AND o.redrive_count = seen.redrive_count
        AND o.outcome = seen.outcome::outcome
        AND o.attempt = seen.attempt
    RETURNING o.record_id, o.redrive_count
), marked AS (
    UPDATE dead_letters AS d
    SET state = 'redriven', operation_id = $5
    FROM raised
    WHERE d.record_id = raised.record_id
)
SELECT record_id, redrive_count FROM raised
