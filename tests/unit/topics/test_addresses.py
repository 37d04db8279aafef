import pytest

from topics.addresses import is_broker_list, is_database_url


@pytest.mark.parametrize(
    "text", ["a:9092", "a", "a:1,b:65535", " a:9092 , b:9092 ", "a:9092,", "10.0.0.1:9092", "[::1]:9092", "kafka-0.svc:9092"]
)
def test_brokers_are_taken(text: str) -> None:
    """With a port or without, several of them, blanks and a last comma."""
    assert is_broker_list(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        " , ",
        "a:port",
        "a:0",
        "a:65536",
        "http://a:9092",
        "PLAINTEXT://a:9092",
        "a:9092:1",
        "a b:9092",
        "a:9092;b:9092",
    ],
)
def test_what_names_no_broker_is_refused(text: str) -> None:
    """A scheme, a port that is none, nothing at all: aiokafka would try it for ever, or raise a ValueError of its own."""
    assert not is_broker_list(text)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://h",
        "postgresql://u:p@127.0.0.1:5433/d?sslmode=disable",
        "postgresql://u:p:@@[::1]:5433/d",
        "postgresql://u@one:5432,two/d",
        "postgresql:///d?host=/run/postgresql",
    ],
)
def test_every_form_of_a_database_url_is_taken(url: str) -> None:
    """As libpq writes them: IPv6, several hosts, a socket, odd passwords."""
    assert is_database_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "h:5432/d", "mysql://h/d", "postgresql://u:p@h:port/d", "postgresql://h:70000/d", "postgresql://h:0/d",
        "postgresql://u:p@h:1,g:x/d",
    ],
)  # fmt: skip
def test_what_is_no_database_url_is_refused(url: str) -> None:
    """Another scheme, or a port that is none."""
    assert not is_database_url(url)
