-- How many records whose token begins with $1 have each outcome: read only, one snapshot, by the index (token, settled_at).
-- U+10FFFF is the last code point and no printable character, so no token of the prefix lies behind the upper bound.
SELECT outcome::text AS outcome, count(*) AS records
FROM outcomes
WHERE token >= $1 COLLATE "C" AND token < ($1 || chr(1114111)) COLLATE "C"
GROUP BY outcome;
