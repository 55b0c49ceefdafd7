"""The official notebooks and pages, cell by cell as they stand; only the base URL is another.

Cells are marked by the comments they have in the notebooks. Where a cell shows a table, the table is made if pandas is
there, and what it is made from is looked at in any case. The numbers that were printed come from AuroraX's own data;
positions here are computed, so numbers of long searches differ by some per cent, and how much is written down.
"""

from __future__ import annotations

import datetime
import pprint
import re
from importlib.util import find_spec
from typing import Any

import pytest

pytestmark = pytest.mark.peers

COLUMNS = [
    "conjunction_type", "start", "end", "data_sources", "min_distance", "max_distance", "events", "closest_epoch",
    "farthest_epoch",
]  # fmt: skip


def show(records: list[dict[str, Any]]) -> None:
    """Output data as a pandas dataframe: the last lines of most cells."""
    assert records
    if find_spec("pandas") is not None:
        import pandas as pd

        df = pd.DataFrame(records)
        df.sort_values("start")
        assert len(df) == len(records)


def retrieved(capsys: pytest.CaptureFixture[str]) -> int:
    """Return how many records the last line of a verbose search names."""
    *_, last = capsys.readouterr().out.splitlines()
    found = re.search(r"\] Retrieved [\d.]+ (?:[kM]?B|Bytes) of data containing (\d+) records$", last)
    assert found, last
    return int(found[1])


def test_search_for_conjunctions(pyaurorax: Any, base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The first search of the notebook of June 2024, which found 49 records."""
    aurorax = pyaurorax.PyAuroraX(api_base_url=base_url)

    # search for conjunctions between any THEMIS-ASI intrument and any Swarm instrument
    start = datetime.datetime(2020, 1, 1, 0, 0, 0)
    end = datetime.datetime(2020, 1, 1, 6, 59, 59)
    ground = [{"programs": ["themis-asi"]}]
    space = [{"programs": ["swarm"]}]
    distance = 500

    # perform search
    s = aurorax.search.conjunctions.search(start, end, distance, ground=ground, space=space, verbose=True)
    assert retrieved(capsys) == 49

    # output data as a pandas dataframe
    conjunctions = [c.__dict__ for c in s.data]
    show(conjunctions)
    assert list(conjunctions[0]) == COLUMNS


def test_search_for_conjunctions_with_metadata_filters(
    pyaurorax: Any, base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second: ten days, a region of the northern trace; 273 records then, and within a tenth of that here."""
    aurorax = pyaurorax.PyAuroraX(api_base_url=base_url)
    distance = 500

    # set up a search for conjunctions between any THEMIS-ASI or REGO instrument, and
    # any Swarm instrument with north B trace region = "north polar cap"
    start = datetime.datetime(2019, 2, 1, 0, 0, 0)
    end = datetime.datetime(2019, 2, 10, 23, 59, 59)
    ground = [{"programs": ["themis-asi", "rego"]}]
    space = [{
        "programs": ["swarm"],
        "ephemeris_metadata_filters": {
            "logical_operator": "AND",
            "expressions": [{
                "key": "nbtrace_region",
                "operator": "=",
                "values": ["north polar cap"]
            }]
        }
    }]  # fmt: skip

    # perform search
    s = aurorax.search.conjunctions.search(start, end, distance, ground=ground, space=space, verbose=True)
    assert retrieved(capsys) == pytest.approx(273, rel=0.1)

    # output data as a pandas dataframe
    conjunctions = [c.__dict__ for c in s.data]
    show(conjunctions)


def test_search_for_conjunctions_with_advanced_distances(
    pyaurorax: Any, base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third, a search for quadruple conjunctions; its output is cut off in the notebook we have."""
    aurorax = pyaurorax.PyAuroraX(api_base_url=base_url)

    # search for conjunctions between any REGO instrument, any TREx instrument,
    # any Swarm spacecraft, and any THEMIS spacecraft
    #
    # we call this a search for "quadruple conjunctions"
    start = datetime.datetime(2020, 1, 1, 0, 0, 0)
    end = datetime.datetime(2020, 1, 4, 23, 59, 59)
    ground = [{"programs": ["rego"]}, {"programs": ["trex"]}]
    space = [{"programs": ["swarm"]}, {"programs": ["themis"]}]
    advanced_distances = {
        "ground1-ground2": None,
        "ground1-space1": 500,
        "ground1-space2": 500,
        "ground2-space1": 500,
        "ground2-space2": 500,
        "space1-space2": None
    }  # fmt: skip

    # perform search
    s = aurorax.search.conjunctions.search(start, end, advanced_distances, ground=ground, space=space, verbose=True)
    assert retrieved(capsys) == len(s.data)

    # output data as a pandas dataframe
    conjunctions = [c.__dict__ for c in s.data]
    show(conjunctions)
    programs = {tuple(source.program for source in c["data_sources"]) for c in conjunctions}
    assert programs == {("rego", "trex", "swarm", "themis")}
    assert all(len(c["events"]) == 4 for c in conjunctions)


def test_search_for_conjunctions_between_spacecrafts_only(
    pyaurorax: Any, base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fourth. It found two records in the notebook; the element sets of THEMIS begin two months later.

    So there may be none here, and then the cell that sorts the table must not be run; the search itself must.
    """
    aurorax = pyaurorax.PyAuroraX(api_base_url=base_url)

    # search for conjunctions between Swarm A or Swarm B, and
    # any THEMIS spacecraft with the south B trace region = "south polar cap"
    start = datetime.datetime(2019, 1, 1, 0, 0, 0)
    end = datetime.datetime(2019, 1, 1, 23, 59, 59)
    space = [{
        "programs": ["themis"]
    }, {
        "programs": ["swarm"],
        "platforms": ["swarma", "swarmb"],
        "hemisphere": ["southern"],
        "ephemeris_metadata_filters": {
            "logical_operator": "AND",
            "expressions": [{
                "key": "sbtrace_region",
                "operator": "=",
                "values": ["south polar cap"]
            }]
        }
    }]  # fmt: skip
    distance = 500

    # perform search
    s = aurorax.search.conjunctions.search(start, end, distance, space=space, verbose=True)
    assert retrieved(capsys) == len(s.data)
    for c in s.data:
        assert [source.program for source in c.data_sources] == ["themis", "swarm"]


def test_do_the_conjunction_search_step_by_step(
    pyaurorax: Any, base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fifth part: the search object, its prints, and the same 49 records."""
    aurorax = pyaurorax.PyAuroraX(api_base_url=base_url)

    # set up the search parameters
    start = datetime.datetime(2020, 1, 1, 0, 0, 0)
    end = datetime.datetime(2020, 1, 1, 6, 59, 59)
    ground = [{"programs": ["themis-asi"]}]
    space = [{"programs": ["swarm"]}]
    distance = 500

    # create a Search object
    s = pyaurorax.search.ConjunctionSearch(aurorax, start, end, distance, ground=ground, space=space)
    print(s)
    assert capsys.readouterr().out == "ConjunctionSearch(executed=False, completed=False, request_id='')\n"

    # execute the search
    s.execute()
    print(s)
    printed = capsys.readouterr().out
    assert printed == f"ConjunctionSearch(executed=True, completed=False, request_id='{s.request_id}')\n"

    # get request status
    s.update_status()
    pprint.pprint(s.status)
    printed = capsys.readouterr().out
    assert printed.startswith(
        "{'logs': [{'level': 'debug',\n           'summary': 'Search request arrived and saved',\n"
    )

    # view just the logs for the request (update the status beforehand, but we do that in the above cell)
    pprint.pprint(s.logs)
    assert capsys.readouterr().out.startswith("[{'level': 'debug',\n  'summary': 'Search request arrived and saved',\n")

    # wait for the data
    s.wait()
    s.update_status()
    assert [log["level"] for log in s.logs] == ["debug", "info", *["debug"] * 8, "info", "debug", "info"]
    described = s.logs[2]["summary"]
    assert described == (
        "Start search for nbtrace conjunctions using query: Find conjunctions of type (nbtrace) with epoch precision of"
        " 60 seconds between data sources of ground1=(program in (themis-asi)) AND space1=(program in (swarm)) WHERE"
        " epochs are between 2020-01-01T00:00:00 AND 2020-01-01T06:59:59 UTC HAVING max distances between location"
        " points of ground1-space1=500 km."
    )

    # get data
    s.get_data()

    # show data as pandas dataframe
    data_products = [d.__dict__ for d in s.data]
    show(data_products)
    assert len(data_products) == 49


def test_perform_a_simple_data_product_search(
    pyaurorax: Any, base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The documentation's page on data products: 66 records. (The page we have lacks the call's own line.)"""
    # imports
    aurorax = pyaurorax.PyAuroraX(api_base_url=base_url)

    # define search params
    start = datetime.datetime(2020, 1, 1, 0, 0, 0)
    end = datetime.datetime(2020, 1, 1, 23, 59, 59)
    programs = ["trex"]
    platforms = ["fort smith"]
    instrument_types = ["RGB ASI"]

    # perform the data product search
    s = aurorax.search.data_products.search(
        start, end, programs=programs, platforms=platforms, instrument_types=instrument_types, verbose=True
    )
    assert retrieved(capsys) == 66

    # have a look at our results
    for record in s.data:
        assert (record.data_source.identifier, record.data_source.display_name) == (96, "TREx RGB FSMI")
    kinds = {(record.data_product_type, next(iter(record.metadata))) for record in s.data}
    assert ("movie", "movie_type") in kinds and ("keogram", "keogram_type") in kinds
    daily = [record for record in s.data if record.metadata.get("keogram_type") == "daily_moviederived"]
    assert [(record.start, record.end) for record in daily] == [(start, datetime.datetime(2020, 1, 1, 23, 59))]


def test_search_for_data_product_records(pyaurorax: Any, base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The notebook of January 2022 with today's names: 1490 records, in one call and step by step."""
    aurorax = pyaurorax.PyAuroraX(api_base_url=base_url)

    # set values
    start = datetime.datetime(2020, 2, 1, 0, 0, 0)
    end = datetime.datetime(2020, 2, 5, 23, 59, 59)
    programs = ["trex"]
    instrument_types = ["RGB ASI"]

    # perform search
    s = aurorax.search.data_products.search(start, end, programs=programs, verbose=True)
    assert retrieved(capsys) == 1490

    # output data as a pandas dataframe
    data_products = [d.__dict__ for d in s.data]
    show(data_products)

    # create the Search object
    s = pyaurorax.search.DataProductSearch(aurorax, start, end, programs=programs, instrument_types=instrument_types)
    print(s)

    # execute the search
    s.execute()
    print(s)

    # get request status
    s.update_status()
    pprint.pprint(s.status)

    # view just the logs for the request (update the status beforehand, but we do that in the above cell)
    pprint.pprint(s.logs)

    # wait for the data
    s.wait()
    s.update_status()
    shown = [re.sub(r"\d+\.\d\d seconds|\d+ bytes|[0-9a-f-]{36}", "#", log["summary"]) for log in s.logs]
    assert shown == [
        "Search request arrived and saved",
        "Starting query for #",
        "Finished query in #.",
        "Starting to write data to file",
        "Finished writing data, found 1490 records in #.",
        "File size is #.",
        "Finished search in # and found 1490 records.",
    ]

    # get data
    s.get_data()
    print(s.data[0])

    # show data as pandas dataframe
    data_products = [d.__dict__ for d in s.data]
    show(data_products)
    sources = {d["data_source"].identifier for d in data_products}
    assert sources <= {96, 101, 102, 103, 104}
