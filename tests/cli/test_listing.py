"""Tables that fit, JSON that is whole, and an empty answer that is not silence."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import attrs
import pytest

from aurora_async.cli.exits import Common
from aurora_async.cli.listing import Column, Listing, print_fields, print_text, shown


@attrs.frozen
class Thing:
    name: str
    count: int | None = None
    note: str | None = None


COLUMNS = (Column("name"), Column.number("count", drop=1), Column("note", fold_at=10, drop=2))
THINGS = [Thing("beta", 1200, "a rather long note"), Thing("Alpha", None, "x"), Thing("gamma", 7)]


@pytest.fixture(autouse=True)
def no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's terminal has a say."""
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def printed(capsys: pytest.CaptureFixture[str], listing: Listing, things: list[Thing] = THINGS) -> tuple[str, str]:
    listing.print(Common(), things, empty="nothing there; try something else")
    out, err = capsys.readouterr()
    return out, err


def test_into_a_pipe_goes_every_column_in_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """`| grep` needs whole lines."""
    out, err = printed(capsys, Listing(COLUMNS))
    assert out.splitlines() == [
        "NAME   COUNT  NOTE",
        "beta   1,200  a rather long note",
        "Alpha      -  x",
        "gamma      7  -",
    ]
    assert err == ""


@pytest.mark.parametrize(
    ("width", "head", "left_out"),
    [(30, "NAME   COUNT  NOTE", ""), (20, "NAME   COUNT", "NOTE"), (8, "NAME", "COUNT, NOTE")],
)
def test_columns_are_left_out_until_the_rest_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, head: str, left_out: str
) -> None:
    """What matters least goes first, and stderr says so."""
    monkeypatch.setenv("COLUMNS", str(width))
    out, err = printed(capsys, Listing(COLUMNS))
    assert out.splitlines()[0] == head
    assert max(map(len, out.splitlines())) <= width
    assert err == (f"no room for {left_out}; --json has everything\n" if left_out else "")


def test_what_stays_folds_and_is_never_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an identifier is none."""
    monkeypatch.setenv("COLUMNS", "12")
    out, _ = printed(capsys, Listing(COLUMNS[:1]), [Thing("86b5e7b0-fe87-424a")])
    assert "".join(out.split()[1:]) == "86b5e7b0-fe87-424a"
    assert max(map(len, out.splitlines())) <= 12


@pytest.mark.parametrize(
    ("sort", "reverse", "names"),
    [
        (None, False, ["beta", "Alpha", "gamma"]),
        (None, True, ["gamma", "Alpha", "beta"]),
        ("name", False, ["Alpha", "beta", "gamma"]),
        ("count", False, ["gamma", "beta", "Alpha"]),
        ("count", True, ["beta", "gamma", "Alpha"]),
    ],
)
def test_sorting_leaves_the_unknown_for_the_end(
    capsys: pytest.CaptureFixture[str], sort: str | None, reverse: bool, names: list[str]
) -> None:
    """In both directions; texts are sorted as people do."""
    out, _ = printed(capsys, Listing(COLUMNS, sort, reverse, as_json=True))
    assert [thing["name"] for thing in json.loads(out)] == names


def test_a_limit_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody takes three of a thousand for all."""
    out, err = printed(capsys, Listing(COLUMNS, "name", limit=1))
    assert out.splitlines()[1:] == ["Alpha      -  x"]
    assert err == "1 of 3; --limit cut the rest\n"


@pytest.mark.parametrize(("as_json", "stdout"), [(False, ""), (True, "[]\n")])
def test_nothing_found_is_said_on_stderr(capsys: pytest.CaptureFixture[str], as_json: bool, stdout: str) -> None:
    """A program that reads stdout gets an empty list, a person a sentence."""
    assert printed(capsys, Listing(COLUMNS, as_json=as_json), []) == (stdout, "nothing there; try something else\n")


def test_control_codes_of_a_stranger_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A display name is anybody's text."""
    out, _ = printed(capsys, Listing(COLUMNS), [Thing("a\x1b[2Jb\nc")])
    assert out.splitlines()[1].startswith("a [2Jb c")


def test_fields_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """One thing is read from top to bottom."""
    print_fields({"display_name": "Swarm A", "owner": None}.items())
    assert capsys.readouterr().out == "display name  Swarm A\nowner         -\n"


def test_fields_break_between_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The names in a list can be read, and copied."""
    monkeypatch.setenv("COLUMNS", "30")
    print_fields({"id": 3, "schema": ["nbtrace_region", "sbtrace_region", "radial"]}.items())
    assert capsys.readouterr().out.splitlines() == [
        "id      3",
        "schema  nbtrace_region,",
        "        sbtrace_region, radial",
    ]


def test_an_address_is_never_broken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of one leads nowhere; where it has no room beside its name it stands below, and other fields stay."""
    monkeypatch.setenv("COLUMNS", "20")
    print_fields({"page": "https://aurorax.space/x?y=1-2-3", "owner": None}.items())
    assert capsys.readouterr().out == "page\n  https://aurorax.space/x?y=1-2-3\nowner  -\n"


def test_a_sentence_is_broken_between_words_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that reads it gets one line."""
    print_text("Find conjunctions between A-1 and B")
    monkeypatch.setenv("COLUMNS", "20")
    print_text("Find conjunctions between A-1 and B")
    assert capsys.readouterr().out.splitlines() == [
        "Find conjunctions between A-1 and B",
        "Find conjunctions",
        "between A-1 and B",
    ]


def test_values_are_written_for_people() -> None:
    """No `None`, no `True`, no brackets."""
    values = [None, "", True, ["a", "b"], [], datetime(2020, 1, 1, 6, 59, 1, 5, tzinfo=UTC)]
    assert [shown(value) for value in values] == ["-", "-", "yes", "a, b", "-", "2020-01-01 06:59:01"]
