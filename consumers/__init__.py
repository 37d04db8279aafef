"""The worker: one process is one member of the consumer group. The engine, the providers, the store."""
