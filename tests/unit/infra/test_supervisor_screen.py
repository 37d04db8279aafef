import io
import shlex
from pathlib import Path

from infra.local.screen import Enduring, Screen
from infra.local.summary import Summary, ceiling, summary


class TestScreen:
    def test_without_a_terminal_each_change_of_state_is_one_line(self) -> None:
        """A log of `up` tells what happened when; a change of the detail alone is no news."""
        stream, now = io.StringIO(), [0.0]
        screen = Screen(["Kafka", "API"], stream=stream, clock=lambda: now[0])
        screen.open()
        screen.show("Kafka", "starting")
        screen.show("Kafka", "starting", "3 of 91 jars")
        now[0] = 2.5
        screen.show("Kafka", "ready", "127.0.0.1:9092")
        screen.close()
        assert stream.getvalue() == "Kafka  starting\nKafka  ready     127.0.0.1:9092  2.5 s\n"

    def test_a_long_line_is_not_broken(self) -> None:
        """What is to be pasted into a shell is one line, whatever the width."""
        stream = io.StringIO()
        Screen([], stream=stream).say("curl " + "x" * 300)
        assert stream.getvalue() == "curl " + "x" * 300 + "\n"

    def test_brackets_are_text(self) -> None:
        """A log line with [brackets] is shown as it is."""
        stream = io.StringIO()
        Screen([], stream=stream).say("    [red] is no colour")
        assert stream.getvalue() == "    [red] is no colour\n"

    def test_a_reader_that_has_gone_stops_nothing(self) -> None:
        """Writing to a terminal that was closed is dropped: the stack must still be able to stop."""
        gone = io.StringIO()
        gone.close()
        screen = Screen(["API"], stream=gone)
        screen.show("API", "stopping")
        screen.say("stopping")
        assert Enduring(gone).write("four") == 4


def a_summary(*, workers: int = 1, folder: str = "/srv/a b/tokenflow", program: str = ".venv/bin/tokenflow") -> Summary:
    """Make a summary like that of a default stack."""
    return Summary(
        api_url="http://127.0.0.1:8000",
        mock_api_url="http://127.0.0.1:8100",
        kafka="127.0.0.1:9092",
        postgres="127.0.0.1:5433",
        worker_urls=[f"http://127.0.0.1:{8200 + number}" for number in range(1, workers + 1)],
        concurrency=50,
        batch_size=100,
        topic="tokens",
        folder=Path(folder),
        program=Path(folder) / program,
        seconds=9.0,
        detached=False,
    )


class TestSummary:
    def test_the_ceiling_is_the_product_of_the_two_settings(self) -> None:
        """One worker: 50 x 100; several: their sum."""
        assert ceiling(a_summary()) == "up to 5,000 calls in flight: 50 x 100"
        assert ceiling(a_summary(workers=3)) == "up to 15,000 calls in flight: 3 workers, each 50 x 100"

    def test_the_commands_are_whole_lines_that_a_shell_splits_rightly(self) -> None:
        """A folder with spaces is quoted; the program is named relative to the folder that the first line enters."""
        lines = summary(a_summary()).splitlines()
        assert shlex.split(next(line for line in lines if line.startswith("cd "))) == ["cd", "/srv/a b/tokenflow"]
        assert "echo 1234 | .venv/bin/tokenflow kafka console-producer --topic tokens" in lines
        assert "curl 'http://127.0.0.1:8000/tokens/1234?wait_seconds=15'" in lines

    def test_a_program_elsewhere_is_named_by_its_whole_path(self) -> None:
        """Whoever runs the stack in another folder than the checkout gets a path that works there."""
        text = summary(a_summary(program="/opt/my tools/bin/tokenflow"))
        assert "echo 1234 | '/opt/my tools/bin/tokenflow' kafka console-producer" in text
