-- What an operation took and has not marked as produced, with the size of each. `fresh`: no worker has stored an outcome
-- of its copy yet; the others are on their way already. Reads only. $1: the operation.
SELECT
    d.record_id,
    (o.outcome = 'retrying' AND o.attempt = 0) AS fresh,
    coalesce(octet_length(d.payload), 0) + coalesce(octet_length(d.key), 0) + octet_length(d.headers) AS size_bytes
FROM dead_letters AS d
JOIN outcomes AS o USING (record_id)
WHERE d.state = 'redriving' AND d.operation_id = $1
ORDER BY d.dead_lettered_at, d.record_id
