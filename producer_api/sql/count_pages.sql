-- How many pages a table has. Reads only. $1: its name.
SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint AS pages
