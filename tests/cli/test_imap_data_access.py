"""`imap-data-access`: the official program's arguments and tables, in both forms, and what is better in ours."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest

from aurora_async.cli.imap_data_access.parsing import parse
from aurora_async.cli.imap_data_access.tables import current_table, old_table

if TYPE_CHECKING:
    from conftest import Here, Shell


def science(**changes: Any) -> dict[str, Any]:
    """A row of the science table."""
    return {
        "file_path": "imap/swe/l1b/2024/05/imap_swe_l1b_sci_20240510_v003.cdf", "instrument": "swe",
        "data_level": "l1b", "descriptor": "sci", "start_date": "20240510", "repointing": None, "version": "v003",
        "ingestion_date": "2024-11-08 18:26:10", **changes,
    }  # fmt: skip


# Arguments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "--url http://a --data-dir . query --instrument swe",
        "query --url=http://a --instrument swe --data-dir .",
        "query --instrument swe --url http://a --data-dir=.",
    ],
)
def test_the_programs_options_stand_before_or_after_the_command(typed: str) -> None:
    """The official one takes them before only, and says of others that it does not know them."""
    found = parse(typed.split())
    assert (found.url, found.instrument, found.data_dir.is_absolute()) == ("http://a", "swe", True)


def test_options_may_be_abbreviated() -> None:
    """As any parser of this kind allows: what abbreviates an option of the command is not taken for another's."""
    found = parse(["query", "--inst", "swe", "--data", "l1b", "--start", "20240101"])
    assert (found.instrument, found.data_level, found.start_date, found.data_dir) == ("swe", "l1b", "20240101", None)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "the following arguments are required: {download,query,upload,webpoda,reprocess,release}"),
        ("query --instrument foo", "invalid choice: 'foo' (choose from 'codice', 'glows', 'hi', "),
        ("download", "the following arguments are required: file_path"),
        ("--data-dir nowhere query", "nowhere does not exist"),
        ("--client-version 3 query", "'3' is not a release this speaks like"),
        ("--client-version 0.2.0 webpoda", "invalid choice: 'webpoda'"),
    ],
)
def test_usage_errors_are_exit_code_2(here: Here, typed: str, said: str) -> None:
    """Choices always stand in one order."""
    ran = here("imap-data-access", *typed.split())
    assert (ran.code, ran.stdout) == (2, b"")
    assert said in ran.stderr
    assert ran.stderr.startswith("usage: imap-data-access ")


def test_the_release_is_chosen_by_option_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed wins."""

    def release(*typed: str) -> Namespace:
        return parse([*typed, "query"])

    assert release().client_version == "1.3.0"
    assert release("--client-version", "0.2.0").client_version == "0.2.0"
    monkeypatch.setenv("IMAP_DATA_ACCESS_CLIENT_VERSION", "0.2.0")
    assert not hasattr(release(), "table")
    assert release("--client-version=1.3.0").client_version == "1.3.0"


@pytest.mark.parametrize("release", ["1.3.0", "0.2.0"])
def test_version_is_that_of_the_release(here: Here, release: str) -> None:
    """Scripts look at it."""
    ran = here("imap-data-access", "--client-version", release, "--version")
    assert (ran.code, ran.stdout, ran.stderr) == (0, f"imap-data-access {release}\n".encode(), "")


# Tables ---------------------------------------------------------------------------------------------------------------


def printed(text: str) -> list[str]:
    """The lines of a text that is indented for the eye."""
    return [line.strip() for line in text.strip().splitlines()]


def test_the_science_table() -> None:
    """As release 1.3.0 prints the same rows."""
    later = science(
        file_path="imap/swe/l1b/2024/05/imap_swe_l1b_sci_20240510_v012.cdf", version="v012",
        ingestion_date="2024-12-16 22:52:21",
    )  # fmt: skip
    assert list(current_table("science", [science(), later])) == printed("""
        Found [2] matching files in science table
        |------------------------------------------------------------------------------------------------------------------------|
        | Instrument | Data Level | Descriptor | Start Date | Ingestion Date      | Version | Filename                           |
        |------------------------------------------------------------------------------------------------------------------------|
        | swe        | l1b        | sci        | 20240510   | 2024-11-08 18:26:10 | v003    | imap_swe_l1b_sci_20240510_v003.cdf |
        | swe        | l1b        | sci        | 20240510   | 2024-12-16 22:52:21 | v012    | imap_swe_l1b_sci_20240510_v012.cdf |
        |------------------------------------------------------------------------------------------------------------------------|
    """)  # noqa: E501


def test_columns_that_few_rows_have_are_shown_for_all_of_them() -> None:
    """A version is put together of its two parts, and what a row has not is None."""
    rows = [
        science(instrument="glows", major_version=1, minor_version=1, repointing=96, cr=None, file_path="a/b.cdf"),
        science(instrument="glows", major_version=None, minor_version=12, cr=2296, file_path="a/c.cdf"),
    ]
    assert list(current_table("science", rows))[2:-1] == printed("""
        | Instrument | Data Level | Descriptor | Start Date | Ingestion Date      | Version   | CR   | Repointing | Filename |
        |--------------------------------------------------------------------------------------------------------------------|
        | glows      | l1b        | sci        | 20240510   | 2024-11-08 18:26:10 | v001.0001 | None | 96         | b.cdf    |
        | glows      | l1b        | sci        | 20240510   | 2024-11-08 18:26:10 | v012      | 2296 | None       | c.cdf    |
    """)  # noqa: E501


def test_the_ancillary_table() -> None:
    """As release 1.3.0 prints the same row."""
    row = {
        "file_path": "imap/ancillary/codice/imap_codice_l1a-sci-lut_20260129_v002.json", "instrument": "codice",
        "descriptor": "l1a-sci-lut", "start_date": "20260129", "end_date": None, "version": "v002",
        "extension": "json", "ingestion_date": "20260130 00:00:00", "released": False,
    }  # fmt: skip
    assert list(current_table("ancillary", [row])) == printed("""
        Found [1] matching files in ancillary table
        |-----------------------------------------------------------------------------------------------------------------------------|
        | Instrument | Descriptor  | Start Date | End Date | Ingestion Date    | Version | Filename                                   |
        |-----------------------------------------------------------------------------------------------------------------------------|
        | codice     | l1a-sci-lut | 20260129   | None     | 20260130 00:00:00 | v002    | imap_codice_l1a-sci-lut_20260129_v002.json |
        |-----------------------------------------------------------------------------------------------------------------------------|
    """)  # noqa: E501


def test_the_right_edge_of_the_spice_table_is_straight() -> None:
    """The official program forgets the folder when it measures the last column."""
    row = {
        "file_name": "ck/imap_2025_274_2025_276_001.ah.bc", "kernel_type": "attitude_history", "version": 1,
        "min_date_datetime": "2025-10-01, 23:00:00", "max_date_datetime": "2025-10-03, 00:59:59",
        "ingestion_date": "2026-04-06, 23:57:54",
    }  # fmt: skip
    first, *lines = current_table("spice", [row, {**row, "file_name": "lsk/naif0012.tls", "version": 12}])
    assert first == "Found [2] matching files in spice table"
    assert len(set(map(len, lines))) == 1
    assert "| 1       | ck/imap_2025_274_2025_276_001.ah.bc |" in lines[3]


def test_spin_files_have_columns_of_their_own() -> None:
    """The official program calls them ancillary, and lets their times push the columns out."""
    row = {
        "file_path": "imap/spice/spin/imap_2026_089_2026_090_01.spin", "start_date": "2026-03-30, 00:00:00",
        "end_date": "2026-03-31, 00:00:00", "version": "01", "ingestion_date": "2026-04-01, 01:50:09",
    }  # fmt: skip
    first, _, head, _, line, _ = current_table("spice", [row])
    assert first.endswith(" in spice table")
    assert [part.strip() for part in head.split("|")][1:-1] == [
        "Start Date", "End Date", "Ingestion Date", "Version", "Filename"
    ]  # fmt: skip
    assert len(head) == len(line)


@pytest.mark.parametrize("lines", [current_table("science", []), old_table([])], ids=["1.3.0", "0.2.0"])
def test_nothing_is_one_line(lines: Any) -> None:
    """In both releases."""
    assert list(lines) == ["Found [0] matching files"]


OLD = [
    {
        "file_path": f"imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_{version}.pkts", "instrument": "swe",
        "data_level": "l0", "descriptor": "sci", "start_date": "20240105", "end_date": "20240105",
        "version": version, "extension": "pkts",
    }
    for version in ("v00-05", "v00-01")
]  # fmt: skip
OLD_TABLE = """\
Found [2] matching files
---------------------------------------------------------------------------------------------------------------|
Instrument|Data Level|Descriptor|Start Date|End Date|Version|Filename                                          |
---------------------------------------------------------------------------------------------------------------|
swe       |l0        |sci       |20240105  |20240105|v00-05 |imap_swe_l0_sci_20240105_20240105_v00-05.pkts     |
swe       |l0        |sci       |20240105  |20240105|v00-01 |imap_swe_l0_sci_20240105_20240105_v00-01.pkts     |
---------------------------------------------------------------------------------------------------------------|
"""
OLD_LIST = """\
[{'file_path': 'imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-05.pkts', 'instrument': 'swe', \
'data_level': 'l0', 'descriptor': 'sci', 'start_date': '20240105', 'end_date': '20240105', 'version': 'v00-05', \
'extension': 'pkts'}, \
{'file_path': 'imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-01.pkts', 'instrument': 'swe', \
'data_level': 'l0', 'descriptor': 'sci', 'start_date': '20240105', 'end_date': '20240105', 'version': 'v00-01', \
'extension': 'pkts'}]
"""


def test_the_table_of_release_0_2_0() -> None:
    """As its description on PyPI shows it."""
    assert list(old_table(OLD)) == OLD_TABLE.splitlines()


# Against the local service --------------------------------------------------------------------------------------------


@pytest.fixture
def old(here: Here, shell: Shell, local_url: str, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Runs commands as release 0.2.0 did, which the environment says, in a folder that has the data directory."""
    monkeypatch.setenv("IMAP_DATA_ACCESS_URL", f"{local_url}/imap")
    monkeypatch.setenv("IMAP_DATA_ACCESS_CLIENT_VERSION", "0.2.0")
    (shell.folder / "data").mkdir()
    return here


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("query --instrument swe", OLD_TABLE),
        ("query --start-date 20240101 --end-date 20241231 --output-format json", OLD_LIST),
        (
            "download imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-00.pkts",
            "Successfully downloaded the file to: "
            "{data}/imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-00.pkts\n",
        ),
        (
            "upload imap/swe/l1a/2024/01/imap_swe_l1a_sci_20240105_20240105_v00-00.cdf",
            "Successfully uploaded the file to the IMAP SDC\n",
        ),
    ],
)
def test_the_commands_of_release_0_2_0_print_what_its_description_shows(
    old: Here, shell: Shell, typed: str, printed: str
) -> None:
    """Word for word after the program's name, with its table, its "json" and its lines."""
    made = shell.folder / "data" / "imap/swe/l1a/2024/01/imap_swe_l1a_sci_20240105_20240105_v00-00.cdf"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"made of packets")
    ran = old("imap-data-access", *typed.split())
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.decode() == printed.replace("{data}", str(shell.folder / "data"))


def test_release_0_2_0_calls_what_a_server_refuses_a_success(old: Here) -> None:
    """It prints that on stdout; only what it finds wrong itself is an error."""
    ran = old("imap-data-access", "download", "imap/swe/l0/2024/01/imap_swe_l0_nothing.pkts")
    said, body = ran.stdout.decode().splitlines()
    assert (ran.code, ran.stderr) == (0, "")
    assert said == "HTTP Error: 404 - Not Found"
    assert body.startswith("Server Message: File not found, ")
    ran = old("imap-data-access", "--url", "http://127.0.0.1:9", "query", "--instrument", "swe")
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"URL Error: connection refused: nothing listens there\n", "")
    ran = old("imap-data-access", "query")
    assert (ran.code, ran.stdout) == (1, b"")
    assert len(ran.stderr.splitlines()) == 1


@pytest.fixture
def current(here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Runs commands as release 1.3.0 does."""
    monkeypatch.setenv("IMAP_DATA_ACCESS_URL", f"{local_url}/imap")
    return here


def test_a_file_is_found_by_its_name_among_kernels_too(current: Here) -> None:
    """Neither works in the official program."""
    for name in ("imap_mag_l1d_burst-dsrf_20250928_v001.0014.cdf", "naif0012.tls"):
        ran = current("imap-data-access", "query", "--filename", name)
        assert (ran.code, ran.stderr) == (0, "")
        assert ran.stdout.startswith(b"Found [1] ")
        assert ran.stdout.count(name.encode()) == 1


def test_an_error_is_a_sentence_and_exit_code_1(current: Here) -> None:
    """Not the `repr` of an exception; the service's own words are kept."""
    ran = current("imap-data-access", "download", "imap_mag_l1d_burst-dsrf_20300101_v001.0014.cdf")
    assert (ran.code, ran.stdout) == (1, b"")
    assert ran.stderr.startswith("imap-data-access: error: 404 Not Found: File not found, ")
    ran = current("imap-data-access", "query", "--instrument", "swe", "--start-date", "2024-13-01")
    assert (ran.code, len(ran.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize("text", ["2026", "202111", "2026-13-01"])
def test_a_date_that_is_no_day_is_refused_as_the_official_program_does(current: Here, text: str) -> None:
    """Elsewhere here part of a date stands for all its days; with this command a year would be a slip of the hand."""
    for command in ("query --instrument swe", "query --table spice", "webpoda --instrument swe"):
        ran = current("imap-data-access", *command.split(), "--start-date", text)
        assert (ran.code, ran.stdout) == (1, b"")
        assert ran.stderr.endswith("Not a valid start date, use format 'YYYYMMDD'.\n")


@pytest.mark.parametrize("flag", ["-v", "--debug"])
def test_what_is_asked_is_logged(current: Here, flag: str) -> None:
    """With its whole URL, as by the official program; without the flag nothing is."""
    query = ("imap-data-access", "query", "--instrument", "swe", "--start-date", "20240510")
    typed = (*query, "--api-key", "imap-demo-key")
    ran = current(*typed, flag)
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("INFO:aurora_async.imap")]
    assert "GET http://127.0.0.1:" in line
    assert "/query?table=science&instrument=swe&start_date=20240510&" in line
    assert "imap-demo-key" not in ran.stderr
    assert current(*typed).stderr == ""
    ran = current("imap-data-access", "download", "imap_mag_l1d_burst-dsrf_20300101_v001.0014.cdf", flag)
    assert "INFO:aurora_async.imap.downloads:downloading: GET http://127.0.0.1:" in ran.stderr


def test_credentials_are_not_echoed(current: Here) -> None:
    """Neither by an error nor by the log."""
    for option in ("--api-key", "--access-token"):
        ran = current("imap-data-access", "query", "--instrument", "swe", option, "s3cret", "--debug")
        assert (ran.code, "s3cret" in ran.stderr) == (1, False)
    ran = current("imap-data-access", "download", "naif0012.tls", "--debug", "--api-key", "imap-demo-key")
    assert "DEBUG:aurora_async." in ran.stderr
    assert "imap-demo-key" not in ran.stderr


def test_packets_are_fetched(current: Here, shell: Shell) -> None:
    """What could not be delivered is there all the same: the official program goes on, too."""
    typed = ("webpoda", "--instrument", "swapi", "--start-date", "20251001", "--query-mode", "sct", "--upload-to-sdc")
    ran = current("imap-data-access", *typed, "--webpoda-token", "ZGVtbzpkZW1v", "--api-key", "imap-read-key")
    assert (ran.code, ran.stdout) == (0, b"Successfully downloaded the data from webpoda.\n")
    assert "imap-data-access: warning: " in ran.stderr
    assert ": 403 Forbidden: " in ran.stderr
    (path,) = (shell.folder / "data").rglob("*.pkts")
    assert path.name == "imap_swapi_l0_raw_20251001_v001.0001.pkts"


def test_an_access_token_can_be_typed(current: Here) -> None:
    """The official program takes it from the environment only."""
    query = ("imap-data-access", "query", "--instrument", "swe", "--data-level", "l0")
    assert current(*query).stdout == b"Found [0] matching files\n"
    assert b"l0 " in current(*query, "--access-token", "imap-demo-token").stdout
