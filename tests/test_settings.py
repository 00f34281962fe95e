"""Settings come from arguments, environment and file, in this order, and wrong ones are explained."""

from pathlib import Path

import pytest

from lumitag.errors import InvalidSettings, TokenMissing
from lumitag.settings import Settings, is_loopback, load_settings, require_token_beyond_loopback


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_arguments_come_before_the_environment_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lumitag.toml").write_text('port = 1001\nhost = "127.0.0.2"\nworkers = 3\n')
    monkeypatch.setenv("LUMITAG_PORT", "1002")
    monkeypatch.setenv("LUMITAG_HOST", "127.0.0.3")

    settings = load_settings(port=1003, data=None)

    assert (settings.port, settings.host, settings.workers) == (1003, "127.0.0.3", 3)


def test_another_file_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.toml").write_text("port = 1004\n")
    monkeypatch.setenv("LUMITAG_CONFIG", str(tmp_path / "other.toml"))

    assert load_settings().port == 1004


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMITAG_ALLOWED_HOSTS", "tags.example, tags.example:8443,")

    assert load_settings().allowed_hosts == ("tags.example", "tags.example:8443")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LUMITAG_PORT", "many", "LUMITAG_PORT"),
        ("LUMITAG_TOKEN", "short", "LUMITAG_TOKEN"),
        ("LUMITAG_PUBLIC_URL", "tags.example", "LUMITAG_PUBLIC_URL"),
        ("LUMITAG_STORAGE_FLOOR_PERCENT", "90", "storage_floor_percent must not be above"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidSettings, match=words):
        load_settings()


def test_a_misspelt_setting_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "lumitag.toml").write_text("prot = 8000\n")

    with pytest.raises(InvalidSettings, match="LUMITAG_PROT: there is no such setting"):
        load_settings()


def test_a_settings_file_that_is_named_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMITAG_CONFIG", "typo.toml")

    with pytest.raises(InvalidSettings, match=r"no settings file typo\.toml"):
        load_settings()


def test_a_file_that_is_no_toml_is_explained(tmp_path: Path) -> None:
    (tmp_path / "lumitag.toml").write_text("port = = 8000\n")

    with pytest.raises(InvalidSettings, match="cannot be read"):
        load_settings()


def test_listening_beyond_this_machine_needs_a_token() -> None:
    with pytest.raises(TokenMissing, match="LUMITAG_TOKEN"):
        require_token_beyond_loopback(load_settings(host="0.0.0.0"))

    require_token_beyond_loopback(load_settings(host="0.0.0.0", token="0123456789abcdef"))
    require_token_beyond_loopback(load_settings(host="127.0.0.1"))


def test_a_token_is_not_printed() -> None:
    assert "0123456789abcdef" not in repr(load_settings(token="0123456789abcdef"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "tags.example", "localhost.evil.example"])
def test_every_other_machine_is_not(host: str) -> None:
    assert not is_loopback(host)


def test_webhooks_may_reach_this_machine_only_when_nobody_else_can_make_one() -> None:
    token = "0123456789abcdef"

    assert load_settings().webhooks_may_be_private
    assert not load_settings(host="0.0.0.0", token=token).webhooks_may_be_private
    assert load_settings(host="0.0.0.0", token=token, webhook_allow_private=True).webhooks_may_be_private
