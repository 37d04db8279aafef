-- What an operation would take: open dead letters that match, by error. Reads only. $9: max_redrives (null: no guard).
-- An outcome that is not dead_lettered any more (cancelled, succeeded meanwhile) is never sent again.
SELECT
    d.error_kind, d.error_group,
    count(*) FILTER (WHERE $9::int IS NULL OR o.redrive_count < $9) AS selected,
    count(*) FILTER (WHERE o.redrive_count >= $9) AS refused
FROM dead_letters AS d
JOIN outcomes AS o USING (record_id)
WHERE d.state = 'open' AND o.outcome = 'dead_lettered' AND
-- filter
GROUP BY d.error_kind, d.error_group
ORDER BY count(*) DESC, d.error_kind, d.error_group
