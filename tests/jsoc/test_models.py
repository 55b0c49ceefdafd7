"""What series are made of, and what is known about addresses."""

from __future__ import annotations

import pickle

import pytest

from aurora_async.jsoc import AddressStatus, Keyword, KeywordType, PendingExports, Segment, SeriesInfo, SeriesName
from aurora_async.jsoc.models import Members
from aurora_async.transfer.tables import Records

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


def test_a_structure_is_one_line_and_a_page() -> None:
    """Not four hundred keywords in a traceback; in a notebook all there is to it."""
    segments = Members([Segment("image", note="<b>")], record_type=Segment)
    info = SeriesInfo(name="aia.lev1", note="AIA & more", keywords=KEYWORDS, segments=segments, primekeys=("T_REC",))
    assert repr(info) == "<SeriesInfo aia.lev1: 5 keywords, 1 segment; T_REC>"
    assert repr(segments) == "<1 segment: image>"
    page = info._repr_html_()
    assert all(part in page for part in ("AIA &amp; more", "5 keywords", "1 segment", "&lt;b&gt;", "QUALITY"))
    assert repr(SeriesInfo(name="su.x")) == "<SeriesInfo su.x: 0 keywords, 0 segments; no primary keys>"


def test_a_list_of_series_shows_what_is_told() -> None:
    """The plain list tells no notes: a column of nothing would only take room."""
    names = Records([SeriesName("hmi.M_720s"), SeriesName("hmi.V_45s")], record_type=SeriesName)
    page = names._repr_html_()
    assert "2 series" in page and "primekeys" not in page
    noted = Records([SeriesName("hmi.M_720s", "magnetograms")], record_type=SeriesName)._repr_html_()
    assert "1 series" in noted and "magnetograms" in noted


@pytest.mark.parametrize(
    ("pending", "text"),
    [
        (PendingExports("me@x.org", 1, "nothing is pending"), "<PendingExports of me@x.org: none>"),
        (
            PendingExports("me@x.org", 2, "…", ("JSOC_1", "JSOC_2")),
            "<PendingExports of me@x.org: pending JSOC_1, JSOC_2>",
        ),
    ],
)
def test_what_is_pending_is_one_line(pending: PendingExports, text: str) -> None:
    """The service's wording says it all again."""
    assert repr(pending) == text


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
