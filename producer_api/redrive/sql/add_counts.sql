-- Adds to the counts of an operation that its holder still holds and that still runs. No row: end. $1: id, $2: holder,
-- $3: produced, $4: refused.
UPDATE operations
SET produced = produced + $3, refused = refused + $4, lease_until = clock_timestamp() + interval '10 seconds'
WHERE id = $1 AND holder = $2 AND status = 'running'
RETURNING id
