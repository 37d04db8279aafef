-- Workers of a provider that were seen within 10 s, and the last order that each has carried out. Reads only. $1: provider.
SELECT worker, applied_order
FROM provider_workers
WHERE provider = $1 AND seen_at > clock_timestamp() - interval '10 seconds'
ORDER BY worker
