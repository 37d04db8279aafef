"""The clients behind the provider's seam: a contract test meets both."""

from collections.abc import Iterator

import pytest

from consumers.engine.answers import Answers
from consumers.providers.http import HttpProvider
from consumers.providers.wire import WireProvider

AnyProvider = HttpProvider | WireProvider


class Clients:
    """Which client the running test meets; see `met` in the modules that use it."""

    def __init__(self) -> None:
        self._met: type[AnyProvider] = HttpProvider

    def meet(self, met: type[AnyProvider]) -> Iterator[None]:
        """Let the running test meet this one."""
        self._met = met
        yield
        self._met = HttpProvider

    def provider(self, template: str, *, timeout_seconds: float, answers: Answers | None = None) -> AnyProvider:
        """Make a provider with that client."""
        return self._met(template, timeout_seconds=timeout_seconds, answers=answers)


BOTH = pytest.fixture(params=[HttpProvider, WireProvider], ids=["aiohttp", "wire"], autouse=True)
