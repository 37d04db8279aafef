-- Begins an operation, its holder has the lease at once. Not idempotent: each is a new row. $1 action, $2 filter, $3 who,
-- $4 rate, $5 max_redrives, $6 selected, $7 refused, $8 holder.
INSERT INTO operations (action, filter, who, rate, max_redrives, selected, refused, holder)
VALUES ($1, $2::jsonb, $3, $4, $5, $6, $7, $8)
RETURNING *
