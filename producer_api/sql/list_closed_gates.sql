-- Gates that live workers report as closed (seen within 10 s), and those that an operator closed for whoever starts. Reads only.
-- Whys differ between workers: the one of the worker that closed first is told, an operator's own words before any.
WITH ordered AS (
    SELECT DISTINCT ON (provider, gate) provider, gate, action, why, who, at
    FROM gate_orders
    ORDER BY provider, gate, id DESC
), reported AS (
    SELECT
        provider, gate,
        array_agg(worker ORDER BY worker) AS workers,
        (array_agg(why ORDER BY since))[1] AS why,
        min(since) AS since,
        CASE WHEN bool_or(until IS NULL) THEN NULL ELSE max(until) END AS until
    FROM provider_gates
    WHERE seen_at > clock_timestamp() - interval '10 seconds'
    GROUP BY provider, gate
)
SELECT
    provider, gate,
    coalesce(reported.workers, '{}') AS workers,
    coalesce(closed.why, reported.why) AS why,
    closed.who,
    coalesce(reported.since, closed.at) AS since,
    reported.until
FROM reported
FULL JOIN (SELECT * FROM ordered WHERE action = 'close') AS closed USING (provider, gate)
ORDER BY provider, gate
