"""How long the mock takes: distributions of latency. Pure.

Each turns one uniform draw (0 < u < 1) into seconds by the inverse of its distribution function, so a latency is a
function of the draw alone and the same seed gives the same latencies.
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Annotated, Final

import msgspec

MAX_LATENCY_SECONDS: Final = 3600
"""A longer wait than this is a hang, which is a misbehaviour and not a latency."""
_Z99: Final = NormalDist().inv_cdf(0.99)

Seconds = Annotated[float, msgspec.Meta(ge=0, le=MAX_LATENCY_SECONDS)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_LATENCY_SECONDS)]
Sampler = Callable[[float], float]


class Fixed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="distribution", tag="fixed"):
    """Every call takes the same time."""

    seconds: Seconds

    def sampler(self) -> Sampler:
        """Return the function from a draw to a latency."""
        return lambda _draw: self.seconds


class Exponential(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="distribution", tag="exponential"):
    """Many short, few long: `mean_seconds` on average before the cap; none takes longer than `max_seconds`."""

    mean_seconds: PositiveSeconds
    max_seconds: PositiveSeconds = 60.0

    def sampler(self) -> Sampler:
        """Return the function from a draw to a latency."""
        return lambda draw: min(-self.mean_seconds * math.log1p(-draw), self.max_seconds)


class Lognormal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="distribution", tag="lognormal"):
    """What real APIs look like: half of the calls below the median, one in a hundred above p99, none above the cap."""

    median_seconds: PositiveSeconds
    p99_seconds: PositiveSeconds
    max_seconds: PositiveSeconds = 60.0

    def __post_init__(self) -> None:
        """Refuse a tail that lies below the middle."""
        if self.p99_seconds < self.median_seconds:
            msg = "p99_seconds is below median_seconds"
            raise ValueError(msg)

    def sampler(self) -> Sampler:
        """Return the function from a draw to a latency."""
        sigma = math.log(self.p99_seconds / self.median_seconds) / _Z99
        normal = NormalDist()
        return lambda draw: min(self.median_seconds * math.exp(sigma * normal.inv_cdf(draw)), self.max_seconds)


Latency = Fixed | Exponential | Lognormal


def uniform(low: float, high: float) -> Sampler:
    """Return the function from a draw to a latency between two bounds, every one as likely."""
    span = high - low
    return lambda draw: low + span * draw
