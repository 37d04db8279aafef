"""Send many tokens to the HTTP API and tell how it went.

    python scripts/load_test.py --requests 1_000_000 --concurrency 5
    python scripts/load_test.py --requests 10_000 --wait          until the last outcome is stored

Runs with any Python from 3.11 on and nothing installed. In a checkout with a `.venv` it goes on in that Python, whose uvloop
makes the script itself a quarter cheaper (50 us a request, not 65); its first line says so, and --no-venv prevents it.
Exit code: 0 = every token was accepted (and with --wait, settled), 1 = not, 2 = it could not begin, 130 = interrupted.
"""

import argparse
import asyncio
import os
import platform
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final
from urllib.parse import urlsplit

if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts it may have an older one
    sys.exit("scripts/load_test.py needs Python 3.11 or newer.")

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, the checkout is not

from scripts._load_client import Client, NoAnswerError, UnreachableError  # noqa: E402 - after the path is set
from scripts._load_figures import (  # noqa: E402 - see above
    RecentRate,
    Stored,
    Tally,
    distinct_numbers,
    duration,
    remaining_seconds,
    stored_lines,
    summary,
)
from scripts._load_run import Outcomes, Plan, Sending  # noqa: E402 - see above

TERMINAL_SECONDS: Final = 0.5
PLAIN_SECONDS: Final = 5.0
PROBE_SECONDS: Final = 3.0
LONG_SECONDS: Final = 60.0
READ_SECONDS: Final = 0.5
STALLED_SECONDS: Final = 900.0
"""--wait gives up when nothing new is stored for this long: above a retry's delay of 5 minutes and its call."""


class Screen:
    """One line that changes on a terminal; elsewhere plain lines, a tenth as often."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self.interval_seconds = TERMINAL_SECONDS if self._terminal else PLAIN_SECONDS
        self._next = 0.0

    def say(self, text: str) -> None:
        """Print a line that stays."""
        sys.stdout.write(f"\r\x1b[K{text}\n" if self._terminal else f"{text}\n")
        sys.stdout.flush()

    def progress(self, text: str, *, now: float) -> None:
        """Show how far it is, at most once in the interval."""
        if now < self._next:
            return
        self._next = now + self.interval_seconds
        if self._terminal:
            sys.stdout.write(f"\r\x1b[K{text}")
            sys.stdout.flush()
        else:
            self.say(text)


def main(arguments: Sequence[str]) -> int:
    """Run it; return the exit code."""
    options = read_options(arguments)
    if not options.no_venv:
        go_on_in_venv(arguments)
    plan = Plan(
        url=options.url,
        requests=options.requests,
        concurrency=options.concurrency,
        prefix=f"load-{secrets.token_hex(4)}-" if options.prefix is None else options.prefix,
        duplicates=options.duplicates,
        patience_seconds=options.patience,
    )
    factory, engine = event_loop()
    screen = Screen()
    different = distinct_numbers(plan.requests, plan.duplicates)
    screen.say(
        f"{plan.requests:,} requests, {different:,} different tokens {plan.prefix}0 ... {plan.prefix}{different - 1}, "
        f"{plan.concurrency:,} connections to {plan.url}; Python {platform.python_version()}, {engine}"
    )
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(run(plan, screen, wait=options.wait))
    except KeyboardInterrupt:
        return 130
    except (UnreachableError, NoAnswerError) as error:
        screen.say(f"{plan.url} cannot be used: {error}. Is the API running (make up), and --url right?")
        return 2


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends the process with 2 and a sentence."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="Ctrl-C prints the summary so far; a second one ends at once.",
    )
    parser.add_argument("--requests", type=_count, default=1_000, help="how many tokens to send (1_000_000 is fine)")
    parser.add_argument("--concurrency", type=_count, default=5, help="connections, one request at a time on each")
    parser.add_argument("--url", type=_url, default="http://127.0.0.1:8000", help="where the API listens")
    parser.add_argument("--prefix", help="what every token begins with; by default a new one, by which --wait counts")
    parser.add_argument("--duplicates", type=_ratio, default=0.0, metavar="RATIO", help="part that repeats a token: 0.1")
    parser.add_argument("--wait", action="store_true", help="wait until the last outcome is stored")
    parser.add_argument("--patience", type=float, default=300, metavar="SECONDS", help="how long a token is sent again")
    parser.add_argument("--no-venv", action="store_true", help="stay in this Python, even beside a .venv")
    return parser.parse_args(arguments)


def go_on_in_venv(arguments: Sequence[str]) -> None:
    """Become the same script in the checkout's environment; return where there is none, or it is this one."""
    python = ROOT / ".venv" / "bin" / "python"
    if not os.access(python, os.X_OK) or Path(sys.prefix).resolve() == python.parents[1].resolve():
        return
    sys.stdout.flush()
    os.execv(python, [str(python), str(Path(__file__).resolve()), "--no-venv", *arguments])  # noqa: S606 - our own script


def event_loop() -> tuple[Callable[[], asyncio.AbstractEventLoop], str]:
    """Return what makes the event loop, and its name: uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - only some have it
    except ImportError:
        return asyncio.new_event_loop, "asyncio"
    return uvloop.new_event_loop, "uvloop"


async def run(plan: Plan, screen: Screen, *, wait: bool) -> int:
    """Send, print the summary, wait if asked to; return the exit code."""
    await _assert_reachable(plan.url)
    sending, outcomes = Sending(plan), Outcomes(plan)
    _stop_at_interrupt(sending.stop)
    try:
        if wait:
            await outcomes.begin()
        started = time.monotonic()
        await _send(plan, sending, screen, started=started)
        settled = True
        if wait and not sending.stopped.is_set():
            stored = await _wait(sending, outcomes, screen, started=started)
            settled = stored is not None and stored.settled >= sending.tally.accepted
    finally:
        outcomes.close()
    if sending.stopped.is_set():
        return 130
    return 0 if settled and sending.tally.accepted == plan.requests else 1


async def _assert_reachable(url: str) -> None:
    client = Client(url)
    try:
        answer = await client.get("/health/live")
    finally:
        client.close()
    if answer.status != 200:  # noqa: PLR2004 - OK
        raise NoAnswerError(f"GET /health/live answers {answer.reason}")


async def _send(plan: Plan, sending: Sending, screen: Screen, *, started: float) -> None:
    """Send everything, showing how far it is; print the summary whatever happened."""
    cpu_started = time.process_time()
    recent, expectation_told = RecentRate(), False
    recent.see(started, 0)
    task = asyncio.create_task(sending.run())
    while not task.done():
        await asyncio.wait({task}, timeout=TERMINAL_SECONDS)
        now, tally = time.monotonic(), sending.tally
        rate = recent.see(now, tally.accepted)
        eta = remaining_seconds(plan.requests - tally.accepted - tally.failed, rate)
        if not expectation_told and now - started >= PROBE_SECONDS and rate > 0 and eta is not None:
            expectation_told = True
            if eta > LONG_SECONDS:
                screen.say(
                    f"{plan.requests:,} requests at {rate:,.0f}/s: expect {duration(now - started + eta)} for the sending"
                )
        if not task.done():
            screen.progress(_sending_line(tally, plan, rate=rate, eta=eta), now=now)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    for line in summary(sending.tally, requests=plan.requests, seconds=seconds, cpu_seconds=cpu_seconds):
        screen.say(line)
    task.result()


def _sending_line(tally: Tally, plan: Plan, *, rate: float, eta: float | None) -> str:
    waits = f", told to wait {tally.waits.total():,} times" if tally.waits else ""
    return (
        f"{tally.accepted:,} of {plan.requests:,} accepted, {rate:,.0f}/s, {tally.failed:,} errors{waits}, "
        f"ETA {duration(eta)}"
    )


async def _wait(sending: Sending, outcomes: Outcomes, screen: Screen, *, started: float) -> Stored | None:
    """Wait until every accepted token has a final outcome; print the figures, those so far if it is interrupted."""
    tally, recent = sending.tally, RecentRate()
    stored, why, expectation_told = None, "", False
    began = moved = time.monotonic()
    while not sending.stopped.is_set() and time.monotonic() - moved < STALLED_SECONDS:
        try:
            found, why = await outcomes.read(tally, started=started), ""
        except (UnreachableError, NoAnswerError) as error:
            found, why = None, f" ({error})"
        now = time.monotonic()
        if found is not None:
            moved = now if stored is None or found.settled != stored.settled else moved
            stored = found
            if stored.settled >= tally.accepted:
                break
        settled = stored.settled if stored else 0
        rate = recent.see(now, settled)
        eta = remaining_seconds(tally.accepted - settled, rate)
        if not expectation_told and now - began >= PROBE_SECONDS and eta is not None:
            expectation_told = True
            if eta > LONG_SECONDS:
                screen.say(
                    f"{tally.accepted - settled:,} to be stored at {rate:,.0f}/s: expect {duration(eta)} until the last"
                )
        screen.progress(f"{settled:,} of {tally.accepted:,} stored, {rate:,.0f}/s, ETA {duration(eta)}{why}", now=now)
        await asyncio.sleep(READ_SECONDS)
    else:
        if not sending.stopped.is_set():
            screen.say(f"nothing new was stored for {duration(STALLED_SECONDS)}: given up")
    for line in stored_lines(stored, tally) if stored else [f"stored     unknown{why}"]:
        screen.say(line)
    return stored


def _stop_at_interrupt(stop: Callable[[], None]) -> None:
    """Let the first Ctrl-C stop in order; the second one ends the process as it would any other."""
    loop = asyncio.get_running_loop()

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        loop.call_soon_threadsafe(stop)

    signal.signal(signal.SIGINT, interrupted)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _ratio(text: str) -> float:
    ratio = float(text)
    if not 0 <= ratio < 1:
        raise argparse.ArgumentTypeError("from 0 to below 1")
    return ratio


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError("like http://127.0.0.1:8000")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
