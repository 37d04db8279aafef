-- Which consumer group this database serves; holds the row until the transaction ends, so that two do not adopt at once.
SELECT group_id FROM consumer_group FOR UPDATE
