-- Makes sure that its holder still holds an operation until the transaction ends. No row: another does. $1: id, $2: holder.
SELECT status FROM operations WHERE id = $1 AND holder = $2 FOR UPDATE
