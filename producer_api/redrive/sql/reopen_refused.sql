-- Takes back what the topic refused for its size: dead again, with the reason before the old one. Idempotent by record id.
-- $1: the operation, $2: record ids, $3: the reason.
WITH dead AS (
    UPDATE outcomes AS o
    SET
        outcome = 'dead_lettered',
        error_message = left($3 || '; before: ' || coalesce(o.error_message, ''), 500),
        settled_at = clock_timestamp()
    FROM dead_letters AS d
    WHERE o.record_id = ANY($2::uuid[]) AND d.record_id = o.record_id
        AND d.operation_id = $1 AND d.state = 'redriving' AND o.outcome = 'retrying' AND o.attempt = 0
    RETURNING o.record_id, o.redrive_count, o.error_message
)
UPDATE dead_letters AS d
SET state = 'open', redrive_count = dead.redrive_count, attempt = 0, error_message = dead.error_message,
    dead_lettered_at = clock_timestamp()
FROM dead
WHERE d.record_id = dead.record_id
