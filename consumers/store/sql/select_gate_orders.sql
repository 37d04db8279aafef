-- Orders of a provider's gates that came after one, in their order. Reads only. $1: provider, $2: id of the last one known.
SELECT id, gate, action, why, who
FROM gate_orders
WHERE provider = $1 AND id > $2
ORDER BY id
