"""`sources` and `availability`: looking at what the local service has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Here


@pytest.fixture(autouse=True)
def asked(here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command asks the local service, as wide as it likes."""
    monkeypatch.setenv("AURORAX_BASE_URL", local_url)
    monkeypatch.delenv("COLUMNS", raising=False)


def test_list_shows_those_that_were_asked_for(here: Here) -> None:
    """By one name, matched whole."""
    ran = here("sources", "list", "--program", "swarm", "--sort", "platform", "--reverse")
    assert (ran.code, ran.stderr) == (0, "")
    head, *rows = ran.stdout.decode().splitlines()
    assert head.split("  ")[0] == "ID"
    assert [row.split()[2] for row in rows] == ["swarmc", "swarmb", "swarma"]


@pytest.mark.parametrize("width", [80, 60])
def test_list_fits_the_terminal(here: Here, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """All hundred of them, some with long names."""
    monkeypatch.setenv("COLUMNS", str(width))
    ran = here("sources", "list", "--stats")
    assert ran.code == 0
    assert max(map(len, ran.stdout.decode().splitlines())) <= width
    assert ran.stderr.startswith("no room for ")


def test_what_has_no_room_is_said_as_it_would_stand_there(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """What people call a data source is the last to go."""
    monkeypatch.setenv("COLUMNS", "80")
    ran = here("sources", "list", "--program", "swarm")
    assert ran.stdout.split(b"\n")[0].split(b"  ")[-1].strip() == b"SOURCE TYPE"
    monkeypatch.setenv("COLUMNS", "50")
    ran = here("sources", "list", "--program", "swarm")
    assert ran.stdout.split(b"\n")[1].split(b"  ")[-1].strip() == b"DISPLAY NAME"
    assert ran.stderr == "no room for SOURCE TYPE, OWNER; --json has everything\n"


def test_list_as_json_has_whole_records(here: Here) -> None:
    """Including what no table shows."""
    (source,) = json.loads(here("sources", "list", "--platform", "swarma", "--json").stdout)
    assert source["identifier"] == 3
    assert source["ephemeris_metadata_schema"][0]["field_name"] == "nbtrace_region"


def test_list_with_statistics(here: Here) -> None:
    """Two more columns, which can be sorted by; without --stats there is nothing to sort."""
    ran = here("sources", "list", "--stats", "--sort", "ephemeris", "--reverse", "--limit", "1")
    assert b"EPHEMERIS  DATA PRODUCTS" in ran.stdout
    assert here("sources", "list", "--sort", "ephemeris").error.startswith("--sort ephemeris needs --stats")


def test_no_source_is_said_with_what_was_asked(here: Here) -> None:
    """It is no error, and it is not silence."""
    ran = here("sources", "list", "--program", "swarmm", "--source-type", "leo")
    assert (ran.code, ran.stdout) == (0, b"")
    assert ran.stderr.startswith("there is no data source with program 'swarmm' and source type 'leo'; names are")


def test_search_takes_several_names(here: Here) -> None:
    """Alternatives within a respect, all respects together."""
    ran = here("sources", "search", "--platform", "swarma", "--platform", "swarmc", "--program", "swarm", "--json")
    assert [source["identifier"] for source in json.loads(ran.stdout)] == [3, 30]
    assert (
        "platforms 'swarmx or swarmy'"
        in here("sources", "search", "--platform", "swarmx", "--platform", "swarmy").stderr
    )


def test_get_and_find_show_one(here: Here) -> None:
    """By number and by names."""
    by_number = here("sources", "get", "3")
    assert b"display name               Swarm A\n" in by_number.stdout
    assert here("sources", "find", "swarm", "swarma", "footprint").stdout == by_number.stdout
    assert json.loads(here("sources", "get", "3", "--level", "basic_info", "--json").stdout)["owner"] is None


def test_a_source_that_is_not_there(here: Here) -> None:
    """Exit code 1 and the reason."""
    ran = here("sources", "find", "swarm", "swarmx", "footprint")
    assert (ran.code, ran.stdout) == (1, b"")
    asked = "program 'swarm' and platform 'swarmx' and instrument type 'footprint'"
    see = "names are matched whole, see: aurora-async sources list"
    assert ran.error == f"there is no data source with {asked}; {see}"
    assert here("sources", "get", "99999").code == 1


def test_stats_counts(here: Here) -> None:
    """With commas for people, and plain in JSON."""
    number = json.loads(here("sources", "stats", "3", "--json").stdout)["ephemeris_count"]
    assert f"ephemeris records  {number:,}\n".encode() in here("sources", "stats", "3").stdout


def test_schema_of_ephemeris_and_of_data_products(here: Here) -> None:
    """An empty one points at the other."""
    ran = here("sources", "schema", "3")
    assert ran.stdout.splitlines()[1].startswith(b"nbtrace_region")
    ran = here("sources", "schema", "3", "--data-products")
    assert (ran.stdout, ran.stderr.split("; ")[1]) == (b"", "try without --data-products\n")


# Availability -------------------------------------------------------------------------------------------------------


def test_availability_has_a_line_for_each_source(here: Here) -> None:
    """Three days of Swarm A."""
    ran = here("availability", "ephemeris", "2020-01-01", "2020-01-03", "--platform", "swarma")
    (row,) = ran.stdout.decode().splitlines()[1:]
    assert row.split()[-4:] == ["2020-01-01", "2020-01-03", "3", "4,320"]


def test_availability_by_day(here: Here) -> None:
    """A line each, in order of the days when they are equal otherwise."""
    ran = here("availability", "ephemeris", "2020-01-01", "2020-01-03", "--platform", "swarma", "--daily")
    assert [row.split()[-2:] for row in ran.stdout.decode().splitlines()[1:]] == [
        [f"2020-01-0{day}", "1,440"] for day in (1, 2, 3)
    ]
    assert here("availability", "ephemeris", "--sort", "day").error.startswith("--sort day needs --daily")


def test_availability_of_data_products_by_type(here: Here) -> None:
    """`--json` has the days themselves."""
    ran = here(
        "availability", "data-products", "2020-01-01", "2020-01-01", "--type", "keogram", "--json", "--limit", "1"
    )
    (one,) = json.loads(ran.stdout)
    assert set(one["days"]) == {"2020-01-01"}
    assert one["data_source"]["program"] == "trex"


def test_no_availability_is_said(here: Here) -> None:
    """With the range that was asked."""
    ran = here("availability", "ephemeris", "1990", "1990", "--program", "swarm")
    assert (ran.code, ran.stdout) == (0, b"")
    assert ran.stderr.startswith("there are no ephemeris records with program 'swarm' from 1990 to 1990; try")


def test_a_date_that_is_none_is_refused(here: Here) -> None:
    """Exit code 2, as for everything that was typed wrongly."""
    assert here("availability", "ephemeris", "yesterday").code == 2


def test_the_choices_are_those_that_the_client_knows() -> None:
    """They are written out in the command line, whose help does not import the client."""
    from aurora_async.aurorax.models import SOURCE_TYPES
    from aurora_async.aurorax.sources import LEVELS
    from aurora_async.cli.sources import SOURCE_TYPE, sources

    assert tuple(SOURCE_TYPE.choices) == SOURCE_TYPES
    (level,) = [one for one in sources.commands["get"].params if one.name == "level"]
    assert tuple(level.type.choices) == LEVELS  # type: ignore[attr-defined]
