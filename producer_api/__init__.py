"""HTTP in, Kafka out; outcomes out of Postgres."""
