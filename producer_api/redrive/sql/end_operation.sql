-- Ends a running operation. Idempotent by id. $1: id, $2: holder, $3: status, $4: note.
UPDATE operations SET status = $3, ended_at = clock_timestamp(), note = $4
WHERE id = $1 AND holder = $2 AND status = 'running'
