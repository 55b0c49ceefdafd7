"""`/query`: which files are found, in what form, and what is refused in which words."""

from __future__ import annotations

from typing import Any

import pytest

CRASH = 500, {"message": "Internal Server Error"}
OLD_AGENT = "Python-urllib/3.11"
SCIENCE_PARAMETERS = (
    "['file_path', 'instrument', 'data_level', 'descriptor', 'start_date', 'repointing', 'major_version', "
    "'minor_version', 'ingestion_date', 'cr', 'crid', 'released', 'extension', 'end_date', 'ingestion_start_date', "
    "'ingestion_end_date']"
)
ANCILLARY_PARAMETERS = (
    "['file_path', 'instrument', 'descriptor', 'start_date', 'end_date', 'version', 'extension', 'ingestion_date', "
    "'released', 'ingestion_start_date', 'ingestion_end_date']"
)


def science(day: str, version: str, *, what: str = "mag_l2_norm-dsrf", extension: str = "cdf") -> str:
    """The key of a science file."""
    instrument, level, _ = what.split("_")
    return f"imap/{instrument}/{level}/{day[:4]}/{day[4:6]}/imap_{what}_{day}_{version}.{extension}"


def versions(rows: list[dict[str, Any]]) -> list[str]:
    """The versions of rows, in their order."""
    return [row["version"] for row in rows]


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({}, *CRASH),
        (
            {"table": "stars"},
            400,
            "stars is not a valid table. Valid tables are: ['science', 'ancillary', 'spice', 'quicklook']",
        ),
        ({"table": "spice", "type": "leapseconds"}, *CRASH),
        ({"offset": "two"}, 400, "'offset' and 'limit' must be integers."),
        ({"limit": "1.5"}, 400, "'offset' and 'limit' must be integers."),
        ({"offset": "-1"}, 400, "'offset' must be greater than or equal to 0."),
        ({"limit": "0"}, 400, "'limit' must be greater than 0."),
        ({"version": "latest"}, 400, "Invalid 'version' value. Use format 'vMMM.mmmm' or 'vXXX'."),
        ({"version": "v001.008"}, 400, "Invalid 'version' value. Use format 'vMMM.mmmm' or 'vXXX'."),
        (
            {"colour": "red"},
            400,
            "colour is not a valid query parameter for science table. "
            f"Valid query parameters are: {SCIENCE_PARAMETERS}",
        ),
        (
            {"table": "ancillary", "data_level": "l2"},
            400,
            "data_level is not a valid query parameter for ancillary table. "
            f"Valid query parameters are: {ANCILLARY_PARAMETERS}",
        ),
        (
            {"table": "quicklook", "version": "v001"},
            400,
            "version is not a valid query parameter for quicklook table. "
            f"Valid query parameters are: {SCIENCE_PARAMETERS}",
        ),
        ({"start_date": "2026-04-12"}, *CRASH),
        ({"ingestion_end_date": "20260230"}, *CRASH),
        ({"instrument": "hi-45"}, *CRASH),
        ({"instrument": ""}, *CRASH),
        ({"data_level": "l9"}, *CRASH),
        ({"repointing": "repoint00096"}, *CRASH),
        ({"major_version": str(1 << 63)}, *CRASH),
        ({"released": "perhaps"}, *CRASH),
    ],
)
async def test_what_is_wrong_is_answered_in_the_services_words(
    empty: Any, parameters: dict[str, str], status: int, said: Any
) -> None:
    """A client shows the text; where the real handlers stumble there is none."""
    assert (await empty.ask("query", **parameters)).said == (status, said)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"colour": "red", "limit": "0", "table": "stars"}, "stars is not a valid table."),
        ({"colour": "red", "version": "v1", "limit": "0"}, "'limit' must be greater than 0."),
        ({"limit": "x", "offset": "-1"}, "'offset' and 'limit' must be integers."),
        ({"start_date": "x", "colour": "red", "version": "v1"}, "Invalid 'version' value."),
        ({"start_date": "x", "colour": "red"}, "colour is not a valid query parameter"),
    ],
)
async def test_mistakes_are_told_in_the_services_order(empty: Any, parameters: dict[str, str], said: str) -> None:
    """Whoever makes several is told the same one first, wherever it stands."""
    answer = await empty.ask("query", **parameters)
    assert answer.status == 400
    assert answer.document.startswith(said)


async def test_a_sub_path_changes_nothing_and_values_given_twice_are_joined(archive: Any) -> None:
    """So the route is registered, and so the gateway hands parameters on."""
    assert await archive.rows("query/anything/at/all", instrument="hi") == await archive.rows(instrument="hi")
    assert (await archive.ask("query?instrument=hi&instrument=lo")).said == CRASH


# Rows ---------------------------------------------------------------------------------------------------------------


async def test_a_published_science_row_is_answered_as_published(archive: Any) -> None:
    """In the columns and forms of today: no major version where the name has none, and no end date."""
    rows = await archive.rows(instrument="swe", data_level="l0", start_date="20241122", version="v001")
    assert [list(row.items()) for row in rows[:1]] == [
        [
            ("file_path", "imap/swe/l0/2024/11/imap_swe_l0_raw_20241122_v001.pkts"),
            *(("instrument", "swe"), ("data_level", "l0"), ("descriptor", "raw"), ("start_date", "20241122")),
            *(("repointing", None), ("major_version", None), ("minor_version", 1)),
            ("ingestion_date", "20250129 21:14:01"),
            *(("cr", None), ("crid", None), ("released", False), ("extension", "pkts"), ("version", "v001")),
        ]
    ]


async def test_a_published_ancillary_row_is_answered_as_published(archive: Any) -> None:
    """It has an end, a version that is a text, and neither level nor repointing."""
    rows = await archive.rows(table="ancillary", descriptor="l1a-sci-lut", start_date="20260402", version="v001")
    assert [list(row.items()) for row in rows[:1]] == [
        [
            ("file_path", "imap/ancillary/codice/imap_codice_l1a-sci-lut_20260403_20260403_v001.json"),
            *(("instrument", "codice"), ("descriptor", "l1a-sci-lut"), ("start_date", "20260403")),
            *(("end_date", "20260403"), ("version", "v001"), ("extension", "json")),
            *(("ingestion_date", "20260404 00:00:00"), ("released", False)),
        ]
    ]


async def test_rows_of_pointings_and_rotations_have_numbers(empty: Any) -> None:
    """Clients compute with them."""
    await empty.add(
        "imap/glows/l1b/2026/01/imap_glows_l1b_hist_20260101-repoint00096_v001.0001.cdf",
        "imap/glows/l3b/2026/01/imap_glows_l3b_ion-rate-profile_20260101-cr02300_v002.0010.cdf",
        ingested="2026-05-01T12:00:59",
    )
    rows = await empty.rows(instrument="glows")
    names = "repointing", "cr", "major_version", "minor_version", "version", "released", "ingestion_date"
    assert [[row[name] for name in names] for row in rows] == [
        [96, None, 1, 1, "v001.0001", False, "20260501 12:00:59"],
        [None, 2300, 2, 10, "v002.0010", False, "20260501 12:00:59"],
    ]
    assert await empty.names(repointing=96) == ["imap_glows_l1b_hist_20260101-repoint00096_v001.0001.cdf"]


async def test_quicklook_files_have_a_table_of_their_own(empty: Any) -> None:
    """They are in no other, and never public."""
    await empty.add("imap/quicklook/mag/l1a/2026/01/imap_mag_l1a_norm_20260101_v001.0001.png")
    (row,) = await empty.rows(table="quicklook", extension="png")
    assert "version" not in row
    assert (row["major_version"], row["minor_version"], row["released"]) == (1, 1, False)
    assert await empty.rows(instrument="mag") == []
    assert await empty.rows(key=None, table="quicklook", instrument="mag") == []


# Filters ------------------------------------------------------------------------------------------------------------


async def test_days_are_those_on_which_files_begin_both_ends_included(empty: Any) -> None:
    """The end date looks at the start of a row as well, also where the row has an end."""
    await empty.add(*(science(f"2026010{day}", "v001.0001") for day in (1, 2, 3, 4)))
    found = await empty.rows(start_date="20260102", end_date="20260103")
    assert [row["start_date"] for row in found] == ["20260102", "20260103"]
    await empty.add("imap/ancillary/mag/imap_mag_l2-calibration_20250101_20250201_v001.cdf")
    assert await empty.names(table="ancillary", end_date="20250115") != []


async def test_ingestion_bounds_are_days_both_included(empty: Any) -> None:
    """To the second no server filters."""
    for day, moment in enumerate(["2026-04-30T23:59:59", "2026-05-01T00:00:00", "2026-05-01T23:59:59"], 1):
        await empty.add(science(f"2026010{day}", "v001.0001"), ingested=moment)
    found = await empty.rows(ingestion_start_date="20260501", ingestion_end_date="20260501")
    assert [row["start_date"] for row in found] == ["20260102", "20260103"]
    assert len(await empty.rows(ingestion_date="2026-05-01T00:00:00")) == 1


async def test_without_a_key_only_what_is_released_is_found(archive: Any) -> None:
    """Nothing else tells the two answers apart: an unknown caller gets an empty list, no error."""
    everything = await archive.rows(instrument="swe", start_date="20240510", end_date="20240510")
    public = await archive.rows(key=None, instrument="swe", start_date="20240510", end_date="20240510")
    assert {row["data_level"] for row in everything} == {"l0", "l1a", "l1b"}
    assert public == [row for row in everything if row["data_level"] == "l1b"]
    assert await archive.rows(key=None, data_level="l0", instrument="swe") == []
    assert await archive.rows(key=None, table="ancillary", instrument="codice") == []


# Versions -----------------------------------------------------------------------------------------------------------


VERSIONS = ("v001.0001", "v001.0012", "v002.0003", "v002.0007", "v009")


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, ["v002.0003", "v002.0007"]),
        ({"latest": "true"}, ["v002.0007"]),
        ({"latest": "TRUE"}, ["v002.0007"]),
        ({"latest": "false"}, ["v002.0003", "v002.0007"]),
        ({"major_version": "1"}, ["v001.0001", "v001.0012"]),
        ({"major_version": "1", "latest": "true"}, ["v001.0001", "v001.0012"]),
        ({"minor_version": "12"}, ["v001.0012"]),
        ({"version": "v012"}, ["v001.0012"]),
        ({"version": "v009"}, ["v009"]),
        ({"version": "v001.0001"}, ["v001.0001"]),
        ({"version": "v001.0009"}, []),
        ({"ingestion_end_date": "20260502", "latest": "true"}, ["v001.0012"]),
        ({"ingestion_end_date": "20260502"}, ["v001.0001", "v001.0012"]),
    ],
)
async def test_versions_are_ranked_among_what_the_other_filters_leave(
    empty: Any, parameters: dict[str, str], found: list[str]
) -> None:
    """What is the latest of a series depends on what else is asked; a major version that is given ends all ranking."""
    for day, version in enumerate(VERSIONS, 1):
        await empty.add(science("20260412", version), ingested=f"2026-05-0{day}T06:00:00")
    assert versions(await empty.rows(instrument="mag", **parameters)) == found


async def test_series_are_ranked_each_for_itself_and_ties_stay(empty: Any) -> None:
    """A level, a descriptor, a day or a pointing makes a series; an extension does not."""
    what = ("mag_l2_norm-dsrf", "mag_l2_burst-dsrf", "mag_l1d_norm-dsrf")
    await empty.add(*(science("20260412", "v001.0001", what=one) for one in what))
    await empty.add(science("20260412", "v001.0001", extension="pkts"), science("20260413", "v001.0000"))
    await empty.add("imap/hi/l1b/2026/01/imap_hi_l1b_90sensor-de_20260101-repoint00001_v001.0001.cdf")
    await empty.add("imap/hi/l1b/2026/01/imap_hi_l1b_90sensor-de_20260101-repoint00002_v001.0000.cdf")
    assert len(await empty.rows(latest="true")) == 7


async def test_no_version_means_every_file_of_a_series_without_major_versions(archive: Any) -> None:
    """A recorded query of 2025 found 23 files of this instrument, in the levels and to the day that it had then."""
    rows = await archive.rows(instrument="swe", start_date="20240501", end_date="20250514")
    assert len([row for row in rows if row["data_level"] in ("l0", "l1a", "l1b")]) == 23


# Pages --------------------------------------------------------------------------------------------------------------


async def test_pages_are_cut_from_the_ordered_answer(archive: Any) -> None:
    """By the path; page after page makes the whole."""
    everything = await archive.rows(instrument="glows", latest="true")
    paths = [row["file_path"] for row in everything]
    assert len(paths) > 50
    assert paths == sorted(paths)
    pages = [await archive.rows(instrument="glows", latest="true", offset=at, limit=99) for at in range(0, 400, 99)]
    assert [row for page in pages for row in page] == everything
    assert await archive.rows(instrument="glows", latest="true", offset=3) == everything[3:]


async def test_an_older_server_knows_no_pages(open_archive: Any) -> None:
    """A client has to find out by the refusal."""
    async with open_archive(published=False, is_paged=False) as archive:
        answer = await archive.ask("query", instrument="mag", limit=10)
        assert answer.status == 400
        assert answer.document.startswith("limit is not a valid query parameter for science table.")


# January 2024 -------------------------------------------------------------------------------------------------------


async def test_the_first_client_finds_what_its_readme_shows(archive: Any) -> None:
    """The rows in their order and with their columns: that client prints whatever order it gets."""
    rows = await archive.rows(key=None, agent=OLD_AGENT, instrument="swe")
    assert [list(row.items()) for row in rows] == [
        [
            ("file_path", f"imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_{version}.pkts"),
            *(("instrument", "swe"), ("data_level", "l0"), ("descriptor", "sci"), ("start_date", "20240105")),
            *(("end_date", "20240105"), ("version", version), ("extension", "pkts")),
        ]
        for version in ("v00-05", "v00-01")
    ]
    everything = await archive.rows(key=None, agent=OLD_AGENT, start_date="20240101", end_date="20241231")
    assert everything == rows
    assert await archive.rows(agent=OLD_AGENT, version="v00-01") == rows[1:]
    refused = await archive.ask("query", agent=OLD_AGENT, limit=1)
    assert refused.document.startswith("limit is not a valid query parameter for science table.")


async def test_the_two_archives_do_not_mix(archive: Any) -> None:
    """What the first client uploads only it finds, and no other client is shown names that it could not read."""
    legacy = "imap/swe/l1a/2024/01/imap_swe_l1a_sci_20240105_20240105_v00-00.cdf"
    await archive.add(legacy, "imap/mag/calibration/test_calibration.txt", is_old=True)
    await archive.add("imap/swe/l1a/2024/01/imap_swe_l1a_sci_20240106_v003.cdf", is_old=True)
    rows = await archive.rows(agent=OLD_AGENT, data_level="l1a", instrument="swe")
    assert [(row["end_date"], row["version"]) for row in rows] == [("20240105", "v00-00"), ("20240106", "v003")]
    others = await archive.rows(instrument="swe", data_level="l1a", end_date="20240131")
    assert [row["version"] for row in others] == ["v001"]
    assert archive.service.catalog.find("imap/mag/calibration/test_calibration.txt").released
