"""A parent to be killed: runs a local Kafka and PostgreSQL in the current folder, prints their addresses, and waits.

`python -m tests.support.stack_parent`: one line of JSON once both serve; ends them when standard input closes.
"""

import json
import sys
from pathlib import Path

from tests.support.services import make_kafka, make_postgres, running


def main() -> None:
    """Run both until standard input closes."""
    here = Path.cwd()
    with running(lambda: make_kafka(here)) as kafka, running(lambda: make_postgres(here)) as postgres:
        print(json.dumps({"kafka": kafka.bootstrap_servers, "postgres": postgres.database_url}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
