"""Which bytes are meant: only what can be told from everything else is gone on with."""

from __future__ import annotations

import attrs
import pytest

from aurora_async.transfer.versions import Version

OLD = "Wed, 01 Jan 2020 00:00:00 GMT"
NEXT_SECOND = "Wed, 01 Jan 2020 00:00:01 GMT"
NEXT_DAY = "Thu, 02 Jan 2020 00:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": '"a"', "Last-Modified": OLD, "Date": NEXT_DAY}, '"a"'),
        ({"ETag": 'W/"a"'}, None),
        ({"ETag": 'W/"a"', "Last-Modified": OLD, "Date": NEXT_DAY}, OLD),
        ({"ETag": "a", "Last-Modified": OLD, "Date": NEXT_DAY}, OLD),
        ({"Last-Modified": OLD, "Date": NEXT_SECOND}, None),
        ({"Last-Modified": OLD}, None),
        ({"Last-Modified": "yesterday", "Date": NEXT_DAY}, None),
        ({"ETag": '"a"', "Content-Encoding": "gzip"}, None),
        ({}, None),
    ],
)
def test_what_can_be_asked_for_by(headers: dict[str, str], validator: str | None) -> None:
    """A strong tag; a date that the file cannot have twice; never bytes that were packed for the way."""
    assert Version.of(headers, 5).validator == validator


SEEN = Version(etag='"a"', last_modified=OLD, length=5, validator='"a"')


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"length": None}, True),
        ({"etag": None}, True),
        ({"last_modified": None}, True),
        ({"etag": '"b"'}, False),
        ({"last_modified": NEXT_DAY}, False),
        ({"length": 6}, False),
        ({"etag": None, "last_modified": None}, False),
    ],
)
def test_versions_are_the_same_when_nothing_tells_them_apart(changes: dict[str, object], same: bool) -> None:
    """Not knowing is not being the same: a length alone says nothing."""
    other = attrs.evolve(SEEN, **changes)  # type: ignore[arg-type]
    assert SEEN.is_same(other) is other.is_same(SEEN) is same


def test_an_answer_to_a_date_need_not_repeat_it() -> None:
    """RFC 9110, 15.3.7; one to a tag must."""
    dated = Version(last_modified=OLD, length=5, validator=OLD)
    assert dated.is_continued_by(Version(length=5))
    assert not dated.is_continued_by(Version(length=6))
    assert not dated.is_continued_by(Version(last_modified=NEXT_DAY, length=5))
    assert not SEEN.is_continued_by(Version(length=5))
