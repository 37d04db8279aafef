from infra.local.parts import Calls
from infra.local.stopping import StopRequest, farewell


class TestStopRequest:
    async def test_ctrl_c_asks_and_the_next_one_hurries(self) -> None:
        """One Ctrl-C stops in order; another one stops waiting."""
        request = StopRequest()
        request.insist()
        assert (request.asked.is_set(), request.hurry.is_set()) == (True, False)
        request.insist()
        assert request.hurry.is_set()

    async def test_sigterm_never_hurries(self) -> None:
        """A second `make down`, or a `kill` of the process group that make passes on as well, costs no call."""
        request = StopRequest()
        request.ask()
        request.ask()
        assert (request.asked.is_set(), request.hurry.is_set()) == (True, False)
        request.insist()
        assert request.hurry.is_set()


class TestFarewell:
    def test_it_says_how_many_calls_of_all_workers_and_how_long_at_most(self) -> None:
        """The calls are added up; the longest drain limit holds for all, since workers drain side by side."""
        calls = [Calls(4_000, 40.0), Calls(312, 25.0)]
        assert farewell(calls, hint="; Ctrl-C again") == "finishing 4,312 calls (at most 40 s); Ctrl-C again"

    def test_without_calls_there_is_nothing_to_wait_for(self) -> None:
        """No hint where a second Ctrl-C would change nothing."""
        assert farewell([Calls(0, 40.0)], hint="; Ctrl-C again") == "stopping"
        assert farewell([]) == "stopping"

    def test_one_call_is_one_call(self) -> None:
        """Numbers agree with their noun."""
        assert farewell([Calls(1, 40.0)]) == "finishing 1 call (at most 40 s)"
