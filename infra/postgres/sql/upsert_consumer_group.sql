-- Makes a consumer group the owner of this database. Idempotent by the single row: the same owner keeps its claim's time.
-- $1: group id.
INSERT INTO consumer_group (group_id) VALUES ($1)
ON CONFLICT (singleton) DO UPDATE SET group_id = excluded.group_id, claimed_at = clock_timestamp()
WHERE consumer_group.group_id <> excluded.group_id
