-- Gives the lease back at once. Idempotent. $1: id, $2: holder.
UPDATE operations SET lease_until = clock_timestamp() WHERE id = $1 AND holder = $2
