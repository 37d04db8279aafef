-- Dead letters by state. Reads only.
SELECT d.state::text AS state, count(*) AS letters
FROM dead_letters AS d
WHERE
-- filter
GROUP BY d.state
