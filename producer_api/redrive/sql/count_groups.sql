-- Open dead letters by error: how many, since when, growing or not, one of them. Reads only.
SELECT
    d.error_kind, d.error_group, count(*) AS letters, min(d.dead_lettered_at) AS first, max(d.dead_lettered_at) AS last,
    count(*) FILTER (WHERE d.dead_lettered_at > now() - interval '5 minutes') AS last_5_minutes,
    count(*) FILTER (
        WHERE d.dead_lettered_at <= now() - interval '5 minutes' AND d.dead_lettered_at > now() - interval '10 minutes'
    ) AS before_5_minutes,
    count(*) FILTER (WHERE d.dead_lettered_at > now() - interval '1 hour') AS last_hour,
    count(*) FILTER (
        WHERE d.dead_lettered_at <= now() - interval '1 hour' AND d.dead_lettered_at > now() - interval '2 hours'
    ) AS before_hour,
    max(d.record_id::text)::uuid AS example
FROM dead_letters AS d
WHERE d.state = 'open' AND
-- filter
GROUP BY d.error_kind, d.error_group
ORDER BY letters DESC, d.error_kind, d.error_group
LIMIT 200
