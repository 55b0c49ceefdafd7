"""What series are made of, and what is known about addresses."""

from __future__ import annotations

import pickle

import pytest

from aurora_async.jsoc import AddressStatus, Keyword, KeywordType, PendingExports, Segment, SeriesInfo
from aurora_async.jsoc.models import Members

KEYWORDS = Members(
    [
        Keyword("T_REC", KeywordType.TIME, units="TAI", note="Slot time"),
        Keyword("EXPTIME", KeywordType.DOUBLE, units="s"),
        Keyword("QUALITY", KeywordType.INT),
        Keyword("FLAG", KeywordType.CHAR),
        Keyword("OBJECT", KeywordType.STRING, linkinfo="lev1->OBJECT"),
    ],
    record_type=Keyword,
)


def test_names_are_found_in_any_case_and_listed_in_their_own() -> None:
    """The service finds them so, and shows them so."""
    assert KEYWORDS["exptime"] is KEYWORDS["EXPTIME"]
    assert "quality" in KEYWORDS
    assert list(KEYWORDS) == ["T_REC", "EXPTIME", "QUALITY", "FLAG", "OBJECT"]


@pytest.mark.parametrize("name", ["EXPTIM", None, 3])
def test_what_is_not_there_is_a_key_error(name: object) -> None:
    """As in every mapping, so that `in` and `get` work, whatever is asked for."""
    assert name not in KEYWORDS
    with pytest.raises(KeyError):
        KEYWORDS[name]  # type: ignore[index]


def test_the_kind_of_a_keyword_is_told() -> None:
    """A char is no number: it may hold a letter."""
    kinds = {name: (one.is_time, one.is_integer, one.is_real, one.is_numeric) for name, one in KEYWORDS.items()}
    assert kinds == {
        "T_REC": (True, False, False, False),
        "EXPTIME": (False, False, True, True),
        "QUALITY": (False, True, False, True),
        "FLAG": (False, False, False, False),
        "OBJECT": (False, False, False, False),
    }


def test_members_become_a_table() -> None:
    """To look through four hundred keywords, people sort and search them in a DataFrame."""
    frame = KEYWORDS.to_pandas()
    assert list(frame.columns) == ["name", "type", "recscope", "default", "units", "note", "linkinfo"]
    assert list(frame["type"]) == ["time", "double", "int", "char", "string"]
    assert KEYWORDS.to_arrow().column("units").to_pylist() == ["TAI", "s", "", "", ""]
    assert "lev1-&gt;OBJECT" in KEYWORDS._repr_html_() or "EXPTIME" in KEYWORDS._repr_html_()


def test_a_structure_survives_pickling() -> None:
    """It goes to worker processes along with a batch."""
    info = SeriesInfo(name="aia.lev1", keywords=KEYWORDS, segments=Members([Segment("image")], record_type=Segment))
    again = pickle.loads(pickle.dumps(info))
    assert again == info
    assert again.segments["IMAGE"].name == "image"
    assert repr(info).count("<5>") == 1  # not four hundred keywords in a traceback


@pytest.mark.parametrize(
    ("status", "registered", "pending"), [(1, False, True), (2, True, False), (3, False, True), (4, False, False)]
)
def test_an_address_is_registered_pending_or_neither(status: int, registered: bool, pending: bool) -> None:
    """Of the service's numbers only 2 allows exports."""
    found = AddressStatus("me@example.com", status)
    assert (found.is_registered, found.is_pending) == (registered, pending)


def test_exports_are_pending_while_the_service_says_so() -> None:
    """Status 3 is the answer to giving them up: then none is."""
    assert [PendingExports("me@example.com", status).is_pending for status in (1, 2, 3)] == [False, True, False]
