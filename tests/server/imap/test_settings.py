"""What a local data center can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aurora_async.server.imap.settings import ImapSettings


def test_by_default_there_is_a_key_for_everything_and_one_for_reading() -> None:
    """So that examples work as they stand; and what is secret is not shown."""
    settings = ImapSettings()
    assert dict(settings.api_keys) == {"imap-demo-key": "full", "imap-read-key": "read"}
    assert settings.published
    assert not settings.is_open
    assert "demo" not in repr(settings)


def test_one_word_is_as_good_as_a_list_of_words() -> None:
    """A text is not taken for a list of its letters, nor a path for a text."""
    settings = ImapSettings(access_tokens="token", webpoda_logins=["a:b"], files_dir="files")
    assert (settings.access_tokens, settings.webpoda_logins) == (("token",), ("a:b",))
    assert settings.files_dir == Path("files")


@pytest.mark.parametrize(
    "wrong",
    [
        *({"api_keys": {"key": "admin"}}, {"access_tokens": [1]}, {"objects_port": 65536}, {"link_life_s": 0}),
        *({"index_s": -1}, {"job_s": -1}, {"answer_bytes": 0}, {"answer_s": 0}),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    """When the settings are made, not when a request comes."""
    with pytest.raises((ValueError, TypeError)):
        ImapSettings(**wrong)
