"""The local stack: a real Kafka and a real PostgreSQL from packages, run as child processes of one parent."""
