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


@pytest.mark.parametrize("url", ["mysql://h/d", "h:5432/d", "postgresql://h:port/d", "postgresql://h:99999/d", "x"])
def test_what_is_no_database_url_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """It may carry a password, so the sentence only says what one looks like."""
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(SettingsError, match="DATABASE_URL: this is none: use postgresql://") as refused:
        load_settings(ApiSettings)
    assert url not in str(refused.value).replace("postgresql://user:password@host:port/database", "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h/d",
        "postgres://h",
        "postgresql:///d?host=/run/pg",
        "postgresql://a:1,b:2/d",
        "postgresql://[::1]:5432/d",
    ],
)
def test_every_form_of_a_database_url_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Sockets, several hosts and IPv6 are for asyncpg to read."""
    monkeypatch.setenv("DATABASE_URL", url)
    settings = load_settings(ApiSettings)
    assert settings.database_url.get_secret_value() == url
    assert url not in repr(settings)
