-- Stops a running operation; its holder ends after the batch in hand. Idempotent by id. $1: id, $2: note.
UPDATE operations SET status = 'stopped', ended_at = clock_timestamp(), note = $2
WHERE id = $1 AND status = 'running'
RETURNING id
