"""Published notebooks, cell by cell: one line of each is another, the one that imports pyaurorax.

Their cells on plots and image files belong to pyaurorax's other half and are not among the facts. Where positions are
computed here and were measured there, numbers of long searches differ by some per cent; how much is written down.
"""

from __future__ import annotations

import ast
import datetime
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

FACTS = json.loads((Path(__file__).parents[1] / "facts" / "pyaurorax_notebooks.json").read_text("utf-8"))

CONJUNCTION_COLUMNS = [
    "conjunction_type", "start", "end", "data_sources", "min_distance", "max_distance", "events", "closest_epoch",
    "farthest_epoch",
]  # fmt: skip
PRODUCT_COLUMNS = ["data_source", "data_product_type", "start", "end", "url", "metadata"]


class Notebook:
    """The cells of one notebook and the names they have set so far."""

    def __init__(self, name: str) -> None:
        self.cells: list[str] = FACTS["notebooks"][name]["cells"]
        self.names: dict[str, Any] = {}

    def run(self, *numbers: int) -> Any:
        """Run some cells in order; return what the last one shows."""
        shown = None
        for number in numbers:
            source = re.sub(
                r"^import pyaurorax$",
                "from aurora_async.compat import pyaurorax",
                self.cells[number],
                flags=re.MULTILINE,
            )
            tree = ast.parse(source)
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, f"cell {number}", "exec"), self.names)
            if isinstance(last, ast.Expr):
                shown = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), self.names)
        return shown


@pytest.fixture
def notebook(environment: str) -> Callable[[str], Notebook]:
    """Opens a notebook; its code names no server, so that it asks the one of the environment."""
    return Notebook


def steps(printed: str) -> list[str]:
    """Return what a verbose search printed, without times and repeated looks."""
    lines = printed.splitlines()
    assert all(re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\] ", line) for line in lines), printed
    said = [line.partition("] ")[2] for line in lines]
    return [line for line in said if line != "Checking for data ..."]


def check_steps(printed: str, base_url: str, kind: str, search: Any) -> int:
    """Hold the printed steps to those of the notebook; return the number of records they name."""
    *said, last = steps(printed)
    assert said == [
        "Search object created",
        "Request submitted",
        f"Request ID: {search.request_id}",
        f"Request details available at: {base_url}/api/v1/{kind}/requests/{search.request_id}",
        "Waiting for data ...",
        "Data is now available",
        "Retrieving data ...",
    ]
    found = re.fullmatch(r"Retrieved [\d.]+ (?:kB|MB|Bytes) of data containing (\d+) records", last)
    assert found, last
    assert int(found[1]) == len(search.data)
    return len(search.data)


def check_table(table: Any, columns: Sequence[str], count: int) -> None:
    """Hold a data frame to the one of the notebook: its columns in order, its rows sorted by time."""
    assert list(table.columns) == list(columns)
    assert len(table) == count
    assert table["start"].is_monotonic_increasing
    assert table["start"].dtype.kind == "M" and table["start"].dt.tz is None


def test_conjunctions(notebook: Callable[[str], Notebook], base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The first search, which found 49 records in June 2024 and finds as many here."""
    conjunctions = notebook("search_conjunctions")
    conjunctions.run(0, 1, 2)
    search = conjunctions.names["s"]
    assert check_steps(capsys.readouterr().out, base_url, "conjunctions", search) == 49
    check_table(conjunctions.run(3), CONJUNCTION_COLUMNS, 49)
    one = min(search.data, key=lambda record: record.start)
    assert repr(one.data_sources[0]).startswith("DataSource(identifier=53, program='themis-asi', platform='taloyoak'")
    assert (one.start, one.conjunction_type) == (datetime.datetime(2020, 1, 1, 0, 8), "nbtrace")
    assert list(one.events[0])[:2] == ["conjunction_type", "e1_source"]


def test_conjunctions_with_metadata_filters(
    notebook: Callable[[str], Notebook], base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second: ten days and a region of the northern trace; 273 records then."""
    conjunctions = notebook("search_conjunctions")
    conjunctions.run(0, 1, 4, 5)
    count = check_steps(capsys.readouterr().out, base_url, "conjunctions", conjunctions.names["s"])
    assert count == pytest.approx(273, rel=0.1)
    check_table(conjunctions.run(6), CONJUNCTION_COLUMNS, count)


def test_conjunctions_with_advanced_distances(
    notebook: Callable[[str], Notebook], base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third, a search for quadruple conjunctions; its output is cut off in the notebook we have."""
    conjunctions = notebook("search_conjunctions")
    conjunctions.run(0, 7, 8)
    search = conjunctions.names["s"]
    count = check_steps(capsys.readouterr().out, base_url, "conjunctions", search)
    check_table(conjunctions.run(9), CONJUNCTION_COLUMNS, count)
    assert {tuple(source.program for source in one.data_sources) for one in search.data} == {
        ("rego", "trex", "swarm", "themis")
    }


def test_conjunctions_between_spacecraft(
    notebook: Callable[[str], Notebook], base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fourth found two records then; here there are none, since the element sets of THEMIS begin two months later.

    So the cell that sorts the table is not run: pandas sorts no table without columns.
    """
    conjunctions = notebook("search_conjunctions")
    conjunctions.run(0, 10, 11)
    search = conjunctions.names["s"]
    check_steps(capsys.readouterr().out, base_url, "conjunctions", search)
    assert search.query["space"][1]["hemisphere"] == ["southern"]


STATUS = """\
{'logs': [{'level': 'debug',
           'summary': 'Search request arrived and saved',
           'timestamp': '"""


def test_conjunctions_step_by_step(
    notebook: Callable[[str], Notebook], base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fifth part: every object prints as it did, and the same 49 records come out."""
    conjunctions = notebook("search_conjunctions")
    conjunctions.run(0, 13, 14)
    assert capsys.readouterr().out == "ConjunctionSearch(executed=False, completed=False, request_id='')\n"
    conjunctions.run(15)
    search = conjunctions.names["s"]
    expected = f"ConjunctionSearch(executed=True, completed=False, request_id='{search.request_id}')\n"
    assert capsys.readouterr().out == expected
    conjunctions.run(18, 16)  # waited for first: what the status holds halfway is the machine's affair
    assert capsys.readouterr().out.startswith(STATUS)
    conjunctions.run(17)
    assert capsys.readouterr().out.startswith("[{'level': 'debug',\n  'summary': 'Search request arrived and saved',\n")
    check_table(conjunctions.run(19), CONJUNCTION_COLUMNS, 49)


def test_data_products_in_the_module_form(
    notebook: Callable[[str], Notebook], base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A notebook of January 2022, whose functions belong to modules; it found 1490 records."""
    products = notebook("search_data_products")
    products.run(0, 1, 2)
    count = check_steps(capsys.readouterr().out, base_url, "data_products", products.names["s"])
    assert count == pytest.approx(1490, rel=0.15)
    check_table(products.run(3), PRODUCT_COLUMNS, count)


RECORD = re.compile(
    r"DataProduct\(data_source=DataSource\(identifier=\d+, program='trex', platform='[a-z ]+', "
    r"instrument_type='RGB ASI', source_type='ground', display_name='TREx RGB [A-Z]{4}'\), "
    r"start=datetime\.datetime\(2020, 2, \d(, \d+){2}\), end=datetime\.datetime\(2020, 2, \d(, \d+){2}\), "
    r"data_product_type='[a-z]+', url='https://data\.phys\.uc\.\.\.', metadata=\{'.{18}\.\.\.\}\)\n"
)


def test_data_products_step_by_step_in_the_module_form(
    notebook: Callable[[str], Notebook], capsys: pytest.CaptureFixture[str]
) -> None:
    """Search objects and records print as those of that time did, which is not how they print today."""
    products = notebook("search_data_products")
    products.run(0, 4, 5)
    assert capsys.readouterr().out == "DataProductsSearch(executed=False, completed=False, request_id='')\n"
    products.run(6)
    search = products.names["s"]
    expected = f"DataProductsSearch(executed=True, completed=False, request_id='{search.request_id}')\n"
    assert capsys.readouterr().out == expected
    products.run(9, 7)
    assert capsys.readouterr().out.startswith(STATUS)
    products.run(8)
    assert capsys.readouterr().out.startswith("[{'level': 'debug',\n  'summary': 'Search request arrived and saved',\n")
    table = products.run(10)
    assert RECORD.fullmatch(capsys.readouterr().out)
    check_table(table, PRODUCT_COLUMNS, len(search.data))


def test_data_products_of_the_documentation(
    notebook: Callable[[str], Notebook], base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page shows 66 records of one camera and day, and so many there are."""
    page = notebook("data_products_page")
    page.run(0)
    assert check_steps(capsys.readouterr().out, base_url, "data_products", page.names["s"]) == 66
