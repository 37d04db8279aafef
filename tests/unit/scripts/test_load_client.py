import pytest

from scripts._load_client import NoAnswerError, parse_answer

REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nRetry-After: 5\r\n"
    b'Content-Length: 57\r\n\r\n{"type":"urn:tokenflow:problem:kafka-unavailable","x":[]}'
)


def test_an_answer_is_whole_with_its_last_byte() -> None:
    """However it is cut, nothing is told before, and everything after."""
    assert all(parse_answer(REFUSAL[:length]) is None for length in range(len(REFUSAL)))
    answer = parse_answer(REFUSAL)
    assert answer is not None
    assert (answer.status, answer.retry_after_seconds, answer.closes) == (503, 5, False)
    assert answer.reason == "503 kafka-unavailable"


def test_an_answer_without_a_problem_has_its_status_as_reason() -> None:
    """Whatever stands in front of the API may answer with a page of its own; it may close, too."""
    answer = parse_answer(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\nConnection: close\r\n\r\n<p>")
    assert answer is not None
    assert (answer.reason, answer.retry_after_seconds, answer.closes, answer.document()) == ("502", None, True, {})


@pytest.mark.parametrize(
    "received",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
    ],
)
def test_what_is_not_such_an_answer_is_told(received: bytes) -> None:
    """Rather than waited for until the deadline."""
    with pytest.raises(NoAnswerError):
        parse_answer(received)
