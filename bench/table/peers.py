"""The same work by what people would write or take instead (bench/peers/)."""

from collections.abc import Sequence

from bench.harness.bench import Bench, Result
from bench.harness.subject import SubjectError
from bench.table import cpu

CALLS = 3_000
LATENCY = (0.4, 1.6)
PEERS = {
    "naive aiokafka loop": "bench.peers.naive",
    "FastStream, max_workers": "bench.peers.faststream_workers",
    "FastStream, concurrency add-on": "bench.peers.faststream_addon",
}


async def run(bench: Bench) -> Sequence[Result]:
    """Measure ours and each peer, one after the other: latency-bound, then CPU-bound."""
    ideal = CALLS / (sum(LATENCY) / 2)
    results = []
    window = await bench.worker_window(calls=CALLS, latency=LATENCY, most_a_second=ideal * 1.1)
    results.append(_latency_result("ours", window.rate, ideal, window.us))
    for name, module in PEERS.items():
        try:
            window = await bench.peer_window(module, calls=CALLS, latency=LATENCY, most_a_second=ideal * 1.1)
            results.append(_latency_result(name, window.rate, ideal, window.us))
        except SubjectError as error:
            results.append(Result(f"{name}: {CALLS:,} x 0.4-1.6 s", f"no result: {error}"))
    window = await bench.worker_window(calls=cpu.CALLS, latency=cpu.LATENCY, most_a_second=cpu.MOST_A_SECOND["wire"])
    results.append(_cpu_result("ours", window.us, window.rate))
    for name, module in PEERS.items():
        try:
            window = await bench.peer_window(
                module, calls=cpu.CALLS, latency=cpu.LATENCY, most_a_second=cpu.MOST_A_SECOND["wire"]
            )
            results.append(_cpu_result(name, window.us, window.rate))
        except SubjectError as error:
            results.append(Result(f"{name}: CPU a token", f"no result: {error}"))
    return results


def _latency_result(name: str, rate: float, ideal: float, us: float) -> Result:
    return Result(
        f"{name}: {CALLS:,} x 0.4-1.6 s", f"{rate / ideal:.2f} ({rate:,.0f}/s, {us:.0f} us)", limit=f"{ideal:,.0f}/s"
    )


def _cpu_result(name: str, us: float, rate: float) -> Result:
    return Result(f"{name}: CPU a token, {cpu.CALLS:,} x 20 ms", f"{us:.0f} us ({rate:,.0f}/s)")
