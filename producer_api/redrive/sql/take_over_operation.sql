-- Takes the lease of an operation whose holder is gone: one that runs, or one that was stopped with a batch in hand. $1: holder.
UPDATE operations
SET holder = $1, lease_until = clock_timestamp() + interval '10 seconds'
WHERE id = (
    SELECT o.id
    FROM operations AS o
    WHERE o.action <> 'replay' AND o.lease_until < clock_timestamp() AND (
        o.status = 'running'
        OR (o.status = 'stopped' AND o.id IN (SELECT d.operation_id FROM dead_letters AS d WHERE d.state = 'redriving'))
    )
    ORDER BY o.at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING *
