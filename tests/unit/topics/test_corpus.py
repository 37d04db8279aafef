import pytest

from tests.support.corpus import Case, corpus, lines
from topics.headers import read_headers
from topics.record import MalformedValueError, decode_value

CASES = corpus()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_nasty_record_names_its_token_or_none(case: Case) -> None:
    """The grammar on what foreigners send."""
    read_headers(case.headers)
    if case.token is None:
        with pytest.raises(MalformedValueError):
            decode_value(case.value)
    else:
        assert decode_value(case.value).token == case.token


def test_the_corpus_is_what_its_readers_take_it_for() -> None:
    """Each name once; both fates, and lines of both."""
    assert len({case.name for case in CASES}) == len(CASES) > 100
    assert {case.token is None for case in lines()} == {True, False}
    assert all(case.whole for case in CASES if case.token is not None)
