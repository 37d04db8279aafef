from dataclasses import replace

from bench.soak_table import Soaks, Totals, read, written


def test_a_page_is_read_as_it_was_written() -> None:
    """The page is its own memory: nothing is lost from run to run, thousands and failures included."""
    soaks = Soaks({"a worker is killed": Totals(20, 1, 3, 0, 41_234, 51_000, 2)}, ["2026-01-01, none failed"])
    noted = replace(soaks, notes="- a bug, and how it was mended\n\nMore.\n")
    for each in (soaks, noted):
        assert read(written(each)) == each
        assert written(read(written(each))) == written(each)


def test_a_run_adds_to_what_was_there_and_brings_new_scenarios() -> None:
    """Rounds of the same scenario are summed up, column by column."""
    before = Soaks({"b": Totals(1, 0, 0, 0, 10, 20, 0)}, ["first"])
    after = before.with_run({"a": Totals(rounds=2), "b": Totals(2, 1, 1, 1, 5, 5, 1)}, "second")
    assert after == Soaks({"a": Totals(rounds=2), "b": Totals(3, 1, 1, 1, 15, 25, 1)}, ["first", "second"])


def test_an_empty_page_has_no_rounds() -> None:
    """The first run begins the page."""
    assert read("") == Soaks({}, [])
