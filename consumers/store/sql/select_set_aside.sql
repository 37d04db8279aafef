-- Which records of these topics were set aside by their coordinates. Reads only. $1: topics.
SELECT source_topic, source_partition, source_offset, record_id, token
FROM dead_letters
WHERE error_kind = 'set_aside' AND source_topic = ANY($1::text[])
