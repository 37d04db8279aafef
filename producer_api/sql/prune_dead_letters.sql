-- Deletes open dead letters of some pages of the table, older than so many days; their outcomes stay. One that is being
-- redriven is not touched. Idempotent. $1, $2: from this page to before that one, as tuple ids; $3: days.
DELETE FROM dead_letters AS d
WHERE d.ctid >= $1::text::tid AND d.ctid < $2::text::tid
    AND d.state = 'open'
    AND d.dead_lettered_at < clock_timestamp() - make_interval(secs => $3::float8 * 86400)
