-- Which of these records have a row already. Reads only. $1: record ids.
SELECT record_id, token, outcome::text, attempt, redrive_count
FROM outcomes
WHERE record_id = ANY($1::uuid[])
