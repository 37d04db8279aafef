from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.record import DeadLettered, ErrorKind
from consumers.next_hop import dead_letter_headers
from tests.support.records import make_id, make_record
from topics.headers import CONNECT_PREFIX, OURS, RawHeaders

WHY = DeadLettered(ErrorKind.REJECTED, "HTTP 404: none")
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_dead_letter_says_who_it_is_where_it_lay_and_why() -> None:
    """Ours first, then Connect's names for the same, then the record's own, as they came."""
    own: RawHeaders = [("origin", b"\xff"), ("error-kind", b"made up"), ("record-id", b"another"), ("origin", None)]
    record = make_record(7, topic="ids", partition=3, headers=own, attempt=2, redrive_count=1, job_id=make_id(5))
    assert dead_letter_headers(record, WHY, whole=True) == [
        ("record-id", str(make_id(7)).encode()),
        ("job-id", str(make_id(5)).encode()),
        ("attempt", b"2"),
        ("redrive-count", b"1"),
        ("error-kind", b"rejected"),
        ("error-message", b"HTTP 404: none"),
        ("source-topic", b"ids"),
        ("source-partition", b"3"),
        ("source-offset", b"7"),
        ("source-timestamp", b"1700000000000"),
        ("__connect.errors.topic", b"ids"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"7"),
        ("__connect.errors.exception.class.name", b"tokenflow.rejected"),
        ("__connect.errors.exception.message", b"HTTP 404: none"),
        ("origin", b"\xff"),
        ("origin", None),
    ]


def test_the_trace_context_goes_on_and_a_job_that_is_none_is_left_out() -> None:
    """Whoever reads the dead letter finds the trace that it belongs to."""
    headers = dict(dead_letter_headers(make_record(headers=[("traceparent", TRACE)]), WHY, whole=True))
    assert headers["traceparent"] == TRACE
    assert "job-id" not in headers


@given(st.lists(st.tuples(st.text(), st.none() | st.binary())))
def test_without_its_payload_a_dead_letter_brings_nothing_that_a_foreigner_sized(
    raw: list[tuple[str, bytes | None]],
) -> None:
    """Only ours and Connect's are left, and of these none that came with the record."""
    large = [*raw, ("traceparent", b"0" * 100_000)]
    headers = dead_letter_headers(make_record(headers=large), WHY, whole=False)
    assert all(name in OURS or name.startswith(CONNECT_PREFIX) for name, _ in headers)
    assert sum(len(name) + len(value or b"") for name, value in headers) < 1_000
