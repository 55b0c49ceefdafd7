"""Where the service is asked, and as whom: the prefix decides what is seen, and secrets are never printed."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from aurora_async.errors import InvalidInput
from aurora_async.imap import ImapConfig

URL = "https://api.imap-mission.com"


@pytest.mark.parametrize(
    ("base_url", "key", "token", "asked"),
    [
        (URL, None, None, ""),
        (URL, "k", None, "/api-key"),
        (URL, None, "t", "/authorized"),
        (URL, "k", "t", "/api-key"),
        (f"{URL}/", "k", None, "/api-key"),
        (f"{URL}/api-key", "k", "t", "/api-key"),
        (f"{URL}/api-key/", "k", None, "/api-key"),
        (f"{URL}/authorized", "k", None, "/api-key"),
        (f"{URL}/api-key", None, "t", "/authorized"),
        (f"{URL}/api-key", None, None, "/api-key"),
    ],
)
def test_the_prefix_is_the_one_that_the_credentials_open(
    base_url: str, key: str | None, token: str | None, asked: str
) -> None:
    """The key comes first; no prefix stands behind another one, and no slash is doubled."""
    config = ImapConfig(base_url=base_url, api_key=key, access_token=token)
    assert config.service_url == URL + asked
    assert config.root_url == URL
    assert config.is_authenticated is bool(asked)


def test_the_environment_is_that_of_the_official_client(tmp_path: Path) -> None:
    """An empty variable counts as not set, and arguments that are given win."""
    environ = {
        "IMAP_DATA_ACCESS_URL": "https://api.dev.imap-mission.com",
        "IMAP_DATA_DIR": str(tmp_path),
        "IMAP_API_KEY": "",
        "IMAP_ACCESS_TOKEN": "token",
        "IMAP_WEBPODA_TOKEN": "dTpw",
    }
    config = ImapConfig.from_environment(environ, access_token=None)
    assert (config.base_url, config.data_dir) == ("https://api.dev.imap-mission.com", tmp_path)
    assert (config.api_key, config.access_token, config.webpoda_token) == (None, "token", "dTpw")
    assert ImapConfig.from_environment(environ, api_key="mine").api_key == "mine"
    assert ImapConfig.from_environment({}).base_url == URL
    empty = ImapConfig.from_environment(dict.fromkeys(environ, ""))
    assert (empty.base_url, empty.data_dir) == (URL, Path.cwd() / "data")


def test_two_accounts_fit_into_one_process() -> None:
    """Settings are values: nothing is read when the package is imported, and nothing is shared."""
    one, other = ImapConfig(api_key="one"), ImapConfig(api_key="other")
    assert (one.api_key, other.api_key) == ("one", "other")
    assert one != other


def test_the_data_folder_is_where_one_is_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And stays there when the program goes elsewhere."""
    monkeypatch.chdir(tmp_path)
    default, relative = ImapConfig(), ImapConfig(data_dir="archive")
    monkeypatch.chdir("/")
    assert (default.data_dir, relative.data_dir) == (tmp_path / "data", tmp_path / "archive")


def test_no_secret_is_ever_printed() -> None:
    """Neither in the settings' own text nor in the error about a broken one."""
    config = ImapConfig(api_key="secret1", access_token="secret2", webpoda_token="secret3")
    assert "secret" not in repr(config)
    assert repr(config).count("***") == 3
    with pytest.raises(InvalidInput, match="access_token: holds characters that no key or token has") as refusal:
        attrs.evolve(config, access_token="secret\n2")
    assert "secret" not in str(refusal.value)


def test_packets_come_from_lasp_or_from_beside_a_local_service() -> None:
    """The official client knows one address only."""
    assert ImapConfig().packets_url == "https://lasp.colorado.edu/ops/imap/poda/dap2/apids"
    local = ImapConfig(base_url="http://127.0.0.1:8000/imap/api-key")
    assert local.packets_url == "http://127.0.0.1:8000/imap/poda/dap2/apids"
    assert attrs.evolve(local, webpoda_url="http://localhost/p/").packets_url == "http://localhost/p"
    elsewhere = ImapConfig(base_url="https://mirror.example.org/imap")  # which must not see LASP's login
    assert elsewhere.packets_url == ImapConfig().packets_url
