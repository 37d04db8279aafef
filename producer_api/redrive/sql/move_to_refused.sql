-- Counts records that were taken, and then refused by the topic, as refused. In the transaction that opens them. $1: operation,
-- $2: how many.
UPDATE operations SET produced = produced - $2, refused = refused + $2 WHERE id = $1
