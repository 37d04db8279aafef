"""The Kafka contract: topic catalogue, record schema, headers, settings, provisioning.

Every process may import this package; it imports none of theirs. It holds no state and opens no connection by itself:
the two modules that talk to a broker (`provision`, `connection`) are told which one by their caller.
"""
