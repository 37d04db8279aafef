-- Reports a worker's closed gates and how far it has carried out orders, idempotent by (provider, gate, worker): what it does
-- not name is open. Times on the database's clock. $1: provider, $2: worker, $3: id of the last order that was carried out,
-- $4: gates, $5: why, $6: seconds since they closed, $7: seconds until they open (null: not by themselves).
WITH opened AS (
    DELETE FROM provider_gates WHERE provider = $1 AND worker = $2 AND gate <> ALL($4::text[])
), alive AS (
    INSERT INTO provider_workers (provider, worker, applied_order) VALUES ($1, $2, $3)
    ON CONFLICT (provider, worker) DO UPDATE SET applied_order = EXCLUDED.applied_order, seen_at = EXCLUDED.seen_at
)
INSERT INTO provider_gates (provider, gate, worker, why, since, until)
SELECT
    $1, gate, $2, why,
    clock_timestamp() - make_interval(secs => closed_seconds),
    clock_timestamp() + make_interval(secs => opens_in_seconds)
FROM unnest($4::text[], $5::text[], $6::float8[], $7::float8[]) AS closed (gate, why, closed_seconds, opens_in_seconds)
ON CONFLICT (provider, gate, worker) DO UPDATE SET
    why = EXCLUDED.why, since = EXCLUDED.since, until = EXCLUDED.until, seen_at = EXCLUDED.seen_at
