from infra.local.restarts import GiveUp, Restarts, StartAgain


def test_the_pause_doubles_and_the_fifth_crash_in_a_minute_is_the_last() -> None:
    """Crashes in a row are answered by 0.5, 1, 2 and 4 s of pause, then by the end of the stack."""
    restarts = Restarts()
    decisions = [restarts.crashed(now) for now in (0.0, 5.0, 10.0, 15.0, 59.0)]
    assert decisions == [StartAgain(0.5), StartAgain(1.0), StartAgain(2.0), StartAgain(4.0), GiveUp(5, 60.0)]


def test_a_crash_is_forgotten_after_a_minute() -> None:
    """A part that crashes now and then is started again for ever, and soon."""
    restarts = Restarts()
    assert [restarts.crashed(61.0 * number) for number in range(20)] == [StartAgain(0.5)] * 20


def test_the_window_slides() -> None:
    """Four crashes in a minute and one just after it are not five in a minute."""
    restarts = Restarts()
    assert [restarts.crashed(now) for now in (0.0, 20.0, 40.0, 59.0, 60.0)][-1] == StartAgain(4.0)
