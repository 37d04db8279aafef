-- The last order of a provider's gate, and the last id of all its orders (0 without any). Reads only. $1: provider, $2: gate.
SELECT
    coalesce(max(id), 0) AS newest,
    (array_agg(action ORDER BY id DESC) FILTER (WHERE gate = $2))[1] AS action,
    (array_agg(why ORDER BY id DESC) FILTER (WHERE gate = $2))[1] AS why
FROM gate_orders
WHERE provider = $1
