-- The migrations applied so far. Reads only.
SELECT version, sha256 FROM schema_migrations
