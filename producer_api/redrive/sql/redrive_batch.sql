-- Takes the next open dead letters that match: their rows are `retrying` again, one redrive higher, they are `redriving`.
-- Both rows are locked or passed over, so two operations share nothing, and no worker waits. $9: max_redrives, $10: none
-- younger than this, $11, $12: behind this moment and id, $13: how many, $14: the operation.
WITH picked AS (
    SELECT d.record_id
    FROM dead_letters AS d
    JOIN outcomes AS o USING (record_id)
    WHERE d.state = 'open'
        AND o.outcome = 'dead_lettered'
        AND o.redrive_count < $9::int
        AND d.dead_lettered_at <= $10::timestamptz
        AND (d.dead_lettered_at, d.record_id) > ($11::timestamptz, $12::uuid)
        AND
-- filter
    ORDER BY d.dead_lettered_at, d.record_id
    LIMIT $13
    FOR UPDATE OF d, o SKIP LOCKED
), raised AS (
    UPDATE outcomes AS o
    SET outcome = 'retrying', attempt = 0, redrive_count = o.redrive_count + 1, settled_at = clock_timestamp()
    FROM picked
    WHERE o.record_id = picked.record_id
    RETURNING o.record_id
)
UPDATE dead_letters AS d
SET state = 'redriving', operation_id = $14
FROM raised
WHERE d.record_id = raised.record_id
RETURNING d.record_id, d.dead_lettered_at
