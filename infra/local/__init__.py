"""The local stack: a real Kafka, a real PostgreSQL and our own processes, started, watched and stopped by one parent."""
