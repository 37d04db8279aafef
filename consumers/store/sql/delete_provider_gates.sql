-- Takes everything away that a worker reported. Idempotent. $1: provider, $2: worker.
WITH gone AS (
    DELETE FROM provider_workers WHERE provider = $1 AND worker = $2
)
DELETE FROM provider_gates WHERE provider = $1 AND worker = $2
