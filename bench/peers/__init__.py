"""What people would write or take instead, in the same table: same mock, same Kafka, answers in a Postgres.

Written fresh, as well as their documents say it is done, and started as `python -m bench.peers.NAME CALLS`.
"""
