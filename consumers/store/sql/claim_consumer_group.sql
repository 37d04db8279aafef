-- Claims the database for a consumer group, idempotent by the single row: the first group to come keeps it. $1: group id.
INSERT INTO consumer_group (group_id) VALUES ($1) ON CONFLICT DO NOTHING
