-- Deletes final outcomes of some pages of the table, settled longer ago than so many days and before a moment from which on no
-- log has a copy of their records. One whose dead letter is kept stays with it. Idempotent. $1, $2: from this page to before
-- that one, as tuple ids; $3: days; $4: the moment.
DELETE FROM outcomes AS o
WHERE o.ctid >= $1::text::tid AND o.ctid < $2::text::tid
    AND o.outcome IN ('succeeded', 'dead_lettered', 'cancelled')
    AND o.settled_at < least(clock_timestamp() - make_interval(secs => $3::float8 * 86400), $4::timestamptz)
    AND NOT EXISTS (SELECT FROM dead_letters AS d WHERE d.record_id = o.record_id)
