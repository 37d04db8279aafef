"""`python -m mock_api`: the mock alone, without the rest of the command line."""

import typer

from mock_api.cli import mock_api

typer.run(mock_api)
