"""What time it is on the brokers, from their append timestamps: never later than it is, and close to it."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.broker_clock import BrokerClock

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Stamp:
    """What aiokafka says of a record; 1 = the broker set its timestamp."""

    timestamp: int
    timestamp_type: int = 1


class Clocks:
    """Our clock, and a broker's that differs; both go on by `pass_`."""

    def __init__(self, *, ahead: float) -> None:
        self.own = 1_800_000_000.0
        self.ahead = ahead
        self.clock = BrokerClock(now=lambda: self.own)

    def pass_(self, seconds: float) -> None:
        """Let time pass on both."""
        self.own += seconds

    def broker_ms(self) -> int:
        """Stamp a record: whole milliseconds, rounded down."""
        return int((self.own + self.ahead) * 1000)

    def produce(self, *, before: float = 0.002, after: float = 0.002) -> None:
        """Send a record, which is appended `before` seconds later and acknowledged `after` that."""
        sent = self.clock.own_ms()
        self.pass_(before)
        stamped = self.broker_ms()
        self.pass_(after)
        self.clock.produced(Stamp(stamped), sent_ms=sent)

    def poll(self, *, age_ms: int) -> None:
        """Poll a record that was appended so long ago."""
        self.clock.polled(Stamp(self.broker_ms() - age_ms))

    @property
    def error_ms(self) -> float:
        """How far we think the broker's clock is ahead of what it is; positive = retries would be early."""
        return self.clock.now_ms() - (self.own + self.ahead) * 1000


def test_without_a_reading_our_clock_is_taken_for_right() -> None:
    """Nothing else is known at start."""
    assert Clocks(ahead=0.0).error_ms == 0.0


def test_a_record_that_was_polled_shows_that_our_clock_is_behind() -> None:
    """A record from the future: the broker's clock is ahead by that at least. One from the past shows nothing."""
    clocks = Clocks(ahead=30.0)
    clocks.poll(age_ms=5)
    assert -7 < clocks.error_ms <= 0
    clocks.poll(age_ms=600_000)
    assert -7 < clocks.error_ms <= 0


def test_a_produce_shows_that_our_clock_is_ahead() -> None:
    """Its append timestamp lies before the moment when it was sent."""
    clocks = Clocks(ahead=-30.0)
    clocks.produce()
    assert -4 < clocks.error_ms <= 0


def test_a_timestamp_that_a_producer_set_says_nothing() -> None:
    """A topic with CreateTime: anybody's clock, or any number."""
    clocks = Clocks(ahead=0.0)
    clocks.clock.polled(Stamp(2**62, timestamp_type=0))
    clocks.clock.produced(Stamp(0, timestamp_type=0), sent_ms=clocks.clock.own_ms())
    assert clocks.error_ms == 0.0


def test_a_slow_acknowledgement_takes_nothing_back() -> None:
    """A blocked event loop, a broker that is busy: the quickest reading counts, also hours later."""
    clocks = Clocks(ahead=-30.0)
    clocks.produce()
    clocks.pass_(60 * MINUTE)
    clocks.produce(before=0.5, after=20.0)
    assert -4 < clocks.error_ms <= 0


def test_a_clock_that_was_set_is_noticed_by_the_next_produce() -> None:
    """Both ways: the broker's back (ours forward), and forth."""
    clocks = Clocks(ahead=0.0)
    clocks.produce()
    for step in (-90.0, 90.0, 0.05, -0.05):
        clocks.ahead += step
        clocks.produce()
        assert -4 < clocks.error_ms <= 0


def test_a_timestamp_that_was_rounded_down_contradicts_nothing() -> None:
    """Appended at .95 of a millisecond it tells the whole one before; what was known better stays."""
    clocks = Clocks(ahead=0.0)
    clocks.produce(before=0.0, after=0.000125)
    clocks.pass_(0.00075)
    clocks.produce(before=0.000064, after=0.000064)
    assert -0.25 < clocks.error_ms <= 0


@given(
    ahead=st.floats(-1e5, 1e5),
    readings=st.lists(st.tuples(st.booleans(), st.floats(0, 100), st.floats(0, 100), st.floats(0, 1000)), max_size=20),
)
def test_whatever_is_read_no_retry_is_early(ahead: float, readings: list[tuple[bool, float, float, float]]) -> None:
    """Once something was produced, or where our clock is not ahead."""
    clocks = Clocks(ahead=ahead)
    if ahead < 0:
        clocks.produce()
    for own, before, after, pause in readings:
        if own:
            clocks.produce(before=before, after=after)
        else:
            clocks.poll(age_ms=int(after * 1000))
        assert clocks.error_ms < 0.001  # what a float of 1.8e12 is exact to
        clocks.pass_(pause)
