"""Tables of plain text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aurora_async.cli.aurorax_cli.tables import MAX_WIDTH, missing_first, table


def test_a_table_is_a_header_a_double_line_and_rows() -> None:
    """Three blanks between columns, also at the end of what is shorter than its column."""
    assert table(("Name", "Id"), [("a", 1), ("longer", None)]) == "\n".join(
        (
            "Name     Id  ",
            "=============",
            "a        1   ",
            "longer   None",
        )
    )


def test_a_table_without_rows_is_its_header() -> None:
    """Nothing found is told by the table itself."""
    assert table(("Timestamp", "Level"), []) == "Timestamp   Level\n================="


def test_the_column_that_orders_has_an_arrow() -> None:
    """By the name of the option, which is the title in lower case."""
    first = table(("Identifier", "Display Name"), [(1, "x")], ordered_by="display_name").splitlines()[0]
    assert first == "Identifier   Display Name ↓"


def test_a_cell_may_have_lines() -> None:
    """The next cells of its row stay on the first."""
    assert table(("A", "B"), [("one\ntwo", 1)]).splitlines()[2:] == ["one   1", "two    "]


def test_wide_characters_count_twice() -> None:
    """As they do on a terminal."""
    assert table(("AB", "C"), [("日", "d")]).splitlines()[2] == "日   d"


@given(
    st.lists(
        st.tuples(st.text(alphabet="ab cd", max_size=600), st.text(alphabet="xyz ", max_size=300)),
        min_size=1,
        max_size=3,
    )
)
def test_no_line_is_longer_than_the_widest_table_and_no_word_is_lost(rows: list[tuple[str, str]]) -> None:
    """What does not fit is folded inside its column."""
    drawn = table(("First", "Second"), rows)
    assert max(map(len, drawn.splitlines())) <= MAX_WIDTH
    body = drawn.split("\n", 2)[2]
    for letter in "abcdxyz":
        assert body.count(letter) == sum(cell.count(letter) for row in rows for cell in row)


def test_what_is_missing_sorts_first() -> None:
    """A column with gaps can be sorted by."""
    assert sorted([3, None, 1], key=missing_first) == [None, 1, 3]
