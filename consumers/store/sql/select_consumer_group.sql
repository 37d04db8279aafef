-- Which consumer group this database serves. Reads only.
SELECT group_id FROM consumer_group
