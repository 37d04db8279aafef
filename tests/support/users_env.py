"""The users' own settings, as they paste them into .env."""

USERS_BLOCK = """\
WORKER_CONCURRENCY=50        # number of concurrent workers per container
QUEUE_BATCH_SIZE=100   # tokens a worker has in hand\t
MAX_RETRIES=3\x20\x20\x20
RETRY_DELAY_MINUTES=5  #minutes\x20
"""
"""Comments behind values, a tab and trailing spaces are theirs."""
