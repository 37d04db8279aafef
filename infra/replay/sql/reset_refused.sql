-- Takes back what the topic refused for its size: dead again, with the reason before the old one. Idempotent by record id.
-- $1: record ids, $2: the reason.
WITH dead AS (
    UPDATE outcomes AS o
    SET
        outcome = 'dead_lettered',
        error_message = left($2 || '; before: ' || coalesce(o.error_message, ''), 500),
        settled_at = clock_timestamp()
    WHERE o.record_id = ANY($1::uuid[]) AND o.outcome = 'retrying' AND o.attempt = 0
    RETURNING o.record_id, o.redrive_count, o.error_message
)
UPDATE dead_letters AS d
SET state = 'open', redrive_count = dead.redrive_count, attempt = 0, error_message = dead.error_message,
    dead_lettered_at = clock_timestamp()
FROM dead
WHERE d.record_id = dead.record_id
