-- Runs an operation that was stopped, or whose holder is gone, under this holder. No row: another holds it, or it is done.
-- Idempotent by (id, holder). $1: id, $2: holder.
UPDATE operations
SET status = 'running', ended_at = NULL, note = '', holder = $2, lease_until = clock_timestamp() + interval '10 seconds'
WHERE id = $1 AND action <> 'replay' AND status <> 'done' AND (lease_until < clock_timestamp() OR holder = $2)
RETURNING *
