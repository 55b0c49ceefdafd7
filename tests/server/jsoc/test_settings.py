"""What a local JSOC can be told."""

from __future__ import annotations

from typing import Any

import pytest

from aurora_async.server.jsoc.settings import JsocSettings


def test_by_default_one_may_export_and_nothing_is_refused() -> None:
    """The limits of the real service would only be in the way of most tests."""
    settings = JsocSettings()
    assert settings.addresses == ("demo@example.com",)
    assert settings.max_pending is settings.max_pending_per_ip is None
    assert settings.offline == ()


def test_one_name_is_as_good_as_a_list_of_names() -> None:
    """A text is not taken for a list of its letters."""
    settings = JsocSettings(addresses="me@example.com", offline=["hmi.v_45s"])
    assert (settings.addresses, settings.offline) == (("me@example.com",), ("hmi.v_45s",))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"export_s": -1}, {"export_life_s": 0}, {"duplicates_s": -1}, {"max_pending": 0}),
        *({"max_pending_per_ip": 0}, {"max_megabytes": -1}, {"addresses": [1]}),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    """When the settings are made, not when a request comes."""
    with pytest.raises((ValueError, TypeError)):
        JsocSettings(**wrong)
