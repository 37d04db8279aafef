-- Which of these ids have a row of another token. Reads only. $1: record ids, $2: their tokens (null conflicts with nothing).
SELECT outcomes.record_id
FROM outcomes
JOIN unnest($1::uuid[], $2::text[]) AS new (record_id, token) USING (record_id)
WHERE outcomes.token <> new.token
