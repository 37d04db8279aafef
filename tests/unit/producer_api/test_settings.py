import pytest

from producer_api.settings import ApiSettings, is_loopback
from topics.settings import SettingsError, load_settings


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_an_address_of_this_machine_alone_is_loopback(address: str) -> None:
    """These need no key, since no other machine reaches them."""
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "192.168.1.2", "example", "api.localhost.example"])  # noqa: S104 - refused
def test_any_other_address_is_not_loopback(address: str) -> None:
    """What is not known to be loopback counts as open to others."""
    assert not is_loopback(address)


def test_an_open_address_without_permission_is_refused_with_both_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the address, the safe one and the setting that allows it."""
    monkeypatch.setenv("BIND_ADDRESS", "0.0.0.0")  # noqa: S104 - refused
    with pytest.raises(SettingsError, match=r"BIND_ADDRESS=0\.0\.0\.0 .*127\.0\.0\.1.*API_ALLOW_ANONYMOUS=true"):
        load_settings(ApiSettings)


def test_an_open_address_with_permission_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """API_ALLOW_ANONYMOUS=true is what compose sets."""
    monkeypatch.setenv("BIND_ADDRESS", "0.0.0.0")  # noqa: S104 - the case under test
    monkeypatch.setenv("API_ALLOW_ANONYMOUS", "true")
    assert load_settings(ApiSettings).bind_address == "0.0.0.0"  # noqa: S104 - the case under test
