-- Notes one applied migration, in the migration's own transaction. Once a version: the primary key refuses a second.
-- $1: version; $2: name; $3: sha256 of the file.
INSERT INTO schema_migrations (version, name, sha256) VALUES ($1, $2, $3)
