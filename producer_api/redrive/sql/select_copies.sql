-- Everything that is produced again of these records. Reads only. $1: record ids.
SELECT
    d.record_id, d.job_id, d.key, d.payload, d.headers, d.source_partition, d.dead_lettered_at,
    o.redrive_count AS next_redrive_count
FROM dead_letters AS d
JOIN outcomes AS o USING (record_id)
WHERE d.record_id = ANY($1::uuid[]) AND d.state = 'redriving'
ORDER BY d.dead_lettered_at, d.record_id
