-- The newest operations. Reads only. $1: older than this id (null: from the newest), $2: how many.
SELECT *, lease_until > clock_timestamp() AS held
FROM operations
WHERE $1::uuid IS NULL OR (at, id) < (SELECT at, id FROM operations WHERE id = $1)
ORDER BY at DESC, id DESC
LIMIT $2
