-- The latest outcome of each token in $1: read only. One probe of the index (token, settled_at) a token.
SELECT o.token, o.record_id, o.outcome, o.attempt, o.redrive_count, o.result::text AS result, o.error_kind, o.error_message,
       o.source_topic, o.source_partition, o.source_offset, o.source_timestamp, o.settled_at
FROM unnest($1::text[]) AS asked (token)
CROSS JOIN LATERAL (
    SELECT *
    FROM outcomes
    WHERE outcomes.token = asked.token COLLATE "C"
    ORDER BY settled_at DESC
    LIMIT 1
) AS o;
