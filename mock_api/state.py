"""What all connections of a mock share. Only the event loop's thread changes it."""

import asyncio
from collections.abc import Callable
from typing import Literal

from mock_api.ledger import Ledger
from mock_api.plan import Planner
from mock_api.profile import Profile
from mock_api.windows import SlidingLimit

How = Literal["close", "refuse"]


class Outage:
    """The API is down: `close` cuts each connection that asks for a score, `refuse` also listens no more.

    `until` is on the monotonic clock; None = until it is told otherwise.
    """

    __slots__ = ("how", "until")

    def __init__(self, how: How, until: float | None) -> None:
        self.how = how
        self.until = until


class Mock:
    """Profile, counts and connections. `connections`: the open ones; `callers`: those of them that asked for a score."""

    def __init__(self, profile: Profile) -> None:
        self.first_profile = self.profile = profile
        self.planner = Planner(profile)
        self.limit = _limit_of(profile)
        self.ledger = Ledger()
        self.connections: set[asyncio.Transport] = set()
        self.callers: set[asyncio.Transport] = set()
        self.outage: Outage | None = None
        self.on_outage: Callable[[], None] = lambda: None
        """Called after `outage` has changed; the server sets it."""
        self.refusal_needs_an_end = True
        """Whether a mock that refuses connections can be told nothing; not so where the control plane has its own port."""

    def adopt(self, profile: Profile) -> None:
        """Behave so from now on: calls that are running keep their plan, and an unchanged rate limit keeps its window."""
        if profile.rate_limit != self.profile.rate_limit:
            self.limit = _limit_of(profile)
        self.profile = profile
        self.planner = Planner(profile)

    def go_down(self, outage: Outage) -> None:
        """Cut who called, and answer no call until `come_up`."""
        self.outage = outage
        self.on_outage()

    def come_up(self) -> None:
        """Answer again; legal at any time."""
        self.outage = None
        self.on_outage()


def _limit_of(profile: Profile) -> SlidingLimit | None:
    limit = profile.rate_limit
    return None if limit is None else SlidingLimit(limit.calls, limit.window_seconds)
