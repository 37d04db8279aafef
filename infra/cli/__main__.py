"""`python -m infra.cli`: the command line without its script, as the local stack starts its own parts."""

from infra.cli.main import run

run()
