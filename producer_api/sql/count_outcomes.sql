-- How many records have each outcome: read only, one snapshot. Reads the whole table (an index by outcome would cost every write).
SELECT outcome::text AS outcome, count(*) AS records
FROM outcomes
GROUP BY outcome;
