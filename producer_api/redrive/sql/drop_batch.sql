-- Deletes the next open dead letters that match; their outcomes stay dead_lettered. Idempotent. $9: none younger than this,
-- $10: how many.
WITH picked AS (
    SELECT d.record_id
    FROM dead_letters AS d
    WHERE d.state = 'open'
        AND d.dead_lettered_at <= $9::timestamptz
        AND
-- filter
    ORDER BY d.dead_lettered_at, d.record_id
    LIMIT $10
    FOR UPDATE SKIP LOCKED
)
DELETE FROM dead_letters AS d
USING picked
WHERE d.record_id = picked.record_id
RETURNING d.record_id
