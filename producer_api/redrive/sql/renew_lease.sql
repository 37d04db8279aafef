-- Keeps the lease, says what is waited for, and tells whether to go on. No row: another holds it now. $1: id, $2: holder,
-- $3: note, kept only while it runs.
UPDATE operations
SET
    lease_until = clock_timestamp() + interval '10 seconds',
    note = CASE WHEN status = 'running' THEN $3 ELSE note END
WHERE id = $1 AND holder = $2
RETURNING status
