-- Marks what the topic acknowledged. A success may have deleted the row before, a failure opened it: those stay as they are.
-- Idempotent by record id. $1: the operation, $2: record ids.
WITH mine AS (
    SELECT record_id
    FROM dead_letters
    WHERE record_id = ANY($2::uuid[]) AND operation_id = $1 AND state = 'redriving'
    ORDER BY record_id
    FOR UPDATE
)
UPDATE dead_letters AS d SET state = 'redriven' FROM mine WHERE d.record_id = mine.record_id
