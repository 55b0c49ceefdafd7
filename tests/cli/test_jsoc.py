"""`jsoc`: looking at what the local JSOC has."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Here

FLARE = "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z]"
DOPPLER = "hmi.v_45s[2013.07.03_08:42_TAI/3m]"


@pytest.fixture(autouse=True)
def asked(here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command asks the local service, as wide as it likes."""
    monkeypatch.setenv("JSOC_BASE_URL", local_url)
    monkeypatch.delenv("JSOC_EMAIL", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)


# Series -------------------------------------------------------------------------------------------------------------


def test_series_lists_what_matches(here: Here) -> None:
    """With a note for people."""
    ran = here("jsoc", "series", r"^hmi\.m_45s")
    assert (ran.code, ran.stderr) == (0, "")
    head, *rows = ran.stdout.decode().splitlines()
    assert head.split() == ["NAME", "NOTE"]
    assert [row.split()[0] for row in rows] == ["hmi.M_45s", "hmi.M_45s_dcon"]


def test_no_series_is_said_with_what_was_asked(here: Here) -> None:
    """It is no error, and it is not silence."""
    ran = here("jsoc", "series", "nothing")
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", "no series matches 'nothing'; series alone lists all\n")


def test_a_pattern_that_is_none(here: Here) -> None:
    """The service says what is wrong with it."""
    ran = here("jsoc", "series", "hmi[")
    assert (ran.code, ran.stdout) == (2, b"")
    assert "hmi[" in ran.error


@pytest.mark.parametrize("width", [80, 50])
@pytest.mark.parametrize("command", [("series",), ("info", "hmi.sharp_720s"), ("info", "aia.lev1_euv_12s")], ids=str)
def test_tables_fit_the_terminal(
    here: Here, monkeypatch: pytest.MonkeyPatch, width: int, command: tuple[str, ...]
) -> None:
    """All series, and long notes."""
    monkeypatch.setenv("COLUMNS", str(width))
    ran = here("jsoc", *command)
    assert ran.code == 0
    assert max(map(len, ran.stdout.decode().splitlines())) <= width


def test_info_shows_the_parts_of_a_series(here: Here) -> None:
    """Its prime keys with their slots, its keywords, files and links."""
    text = here("jsoc", "info", "aia.lev1_euv_12s").stdout.decode()
    assert "prime keys    T_REC (every 12 s), WAVELNTH\n" in text
    assert "\nlinks (1)\nNAME  TARGET" in text
    headings = [line.partition(" (")[0] for line in text.splitlines() if line.endswith(")") and line[0].islower()]
    assert headings[-3:] == ["keywords", "segments", "links"]


def test_info_of_single_keywords(here: Here) -> None:
    """As the gallery example prints their notes."""
    ran = here("jsoc", "info", "aia.lev1_euv_12s", "EXPTIME", "wavelnth", "--json")
    notes = {keyword["name"]: keyword["note"] for keyword in json.loads(ran.stdout)}
    assert notes == {"EXPTIME": "Exposure duration: mean shutter open time", "WAVELNTH": "Wavelength"}


def test_info_for_programs(here: Here) -> None:
    """All of it in JSON, one table of it as CSV."""
    document = json.loads(here("jsoc", "info", "hmi.v_45s", "--json").stdout)
    assert document["primekeys"] == ["T_REC", "CAMERA"]
    assert {"keywords", "segments", "links", "prime_key_info", "interval"} <= set(document)
    rows = list(csv.DictReader(io.StringIO(here("jsoc", "info", "hmi.v_45s", "--format", "csv").stdout.decode())))
    assert [row["name"] for row in rows] == [keyword["name"] for keyword in document["keywords"]]
    (segment,) = here("jsoc", "info", "hmi.v_45s", "--only", "segments", "--format", "jsonl").stdout.splitlines()
    assert json.loads(segment)["name"] == "Dopplergram"


def test_a_keyword_or_series_that_is_not_there(here: Here) -> None:
    """With what may have been meant."""
    ran = here("jsoc", "info", "hmi.v_45s", "CRLT_OB")
    assert ran.code == 2
    assert ran.error.startswith("hmi.V_45s has no keyword CRLT_OB; did you mean CRLT_OBS")
    ran = here("jsoc", "info", "hmi.nothing")
    assert ran.code == 2
    assert ran.error == "there is no series hmi.nothing; look for it with: aurora-async jsoc series PATTERN"


# Records ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record_set", "count"),
    [(DOPPLER, 4), ("hmi.v_45s[2013.07.03_08:42_TAI/4m]", 5), (FLARE, 357), (f"{FLARE}[? EXPTIME<2.0 ?]", 101)],
)
def test_count(here: Here, record_set: str, count: int) -> None:
    """The published numbers."""
    ran = here("jsoc", "count", record_set)
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"%d\n" % count, "")


def test_a_condition_and_a_limit_go_into_the_question(here: Here) -> None:
    """The service counts what is left."""
    assert here("jsoc", "count", FLARE, "--where", "EXPTIME < 2 AND WAVELNTH = 211").stdout == b"20\n"
    assert here("jsoc", "count", FLARE, "-n", "-5").stdout == b"5\n"


def test_query_shows_values_as_the_service_writes_them(here: Here) -> None:
    """With all their digits, and hexadecimal where it is."""
    ran = here("jsoc", "query", DOPPLER, "-k", "T_REC,QUALITY", "-k", "CRLT_OBS", "-n", "1")
    head, row = ran.stdout.decode().splitlines()
    assert head.split() == ["T_REC", "QUALITY", "CRLT_OBS"]
    assert row.split()[:2] == ["2013.07.03_08:42:00_TAI", "0x00000000"]


def test_query_for_programs_has_numbers_and_nulls(here: Here) -> None:
    """Hexadecimal is for people."""
    ran = here(
        "jsoc", "query", FLARE, "--where", "WAVELNTH = 211 AND EXPTIME < 2", "-k", "EXPTIME,QUALITY,T_OBS", "--json"
    )
    rows = json.loads(ran.stdout)
    assert len(rows) == 20
    assert rows[0] == {"EXPTIME": 0.578715, "QUALITY": 0, "T_OBS": "2021-07-03T14:27:25.09Z"}
    lines = here("jsoc", "query", DOPPLER, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["CAMERA"] for line in lines] == [2, 2, 2, 2]


def test_query_tells_names_and_paths(here: Here) -> None:
    """The path is what follows the service's address."""
    ran = here("jsoc", "query", DOPPLER, "-s", "Dopplergram", "--names", "--format", "csv", "-n", "1")
    (row,) = csv.DictReader(io.StringIO(ran.stdout.decode()))
    assert row["record"] == "hmi.V_45s[2013.07.03_08:42:00_TAI][2]"
    assert row["T_REC"] == "2013.07.03_08:42:00_TAI"
    assert row["Dopplergram"].endswith("/Dopplergram.fits")


def test_records_that_have_no_room_are_shown_one_after_the_other(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for is not left out."""
    monkeypatch.setenv("COLUMNS", "40")
    ran = here("jsoc", "query", DOPPLER, "-k", "T_REC,CAMERA,T_OBS", "-n", "1")
    assert ran.stdout.decode().splitlines() == [
        "hmi.V_45s[2013.07.03_08:42:00_TAI][2]",
        "  T_REC   2013.07.03_08:42:00_TAI",
        "  CAMERA  2",
        "  T_OBS   2013.07.03_08:42:08_TAI",
    ]
    ran = here("jsoc", "query", DOPPLER, "-k", "T_OBS,T_REC", "-n", "1")
    assert ran.stdout.decode().splitlines()[0] == "hmi.V_45s[2013.07.03_08:42:00_TAI][2]"


def test_no_record_is_said(here: Here) -> None:
    """An empty answer for programs is an empty list, or the line with the names."""
    nothing = f"{FLARE}[? EXPTIME < 0 ?]"
    ran = here("jsoc", "query", nothing, "-k", "EXPTIME")
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", f"no record of {nothing}\n")
    assert here("jsoc", "query", nothing, "-k", "EXPTIME", "--json").stdout == b"[]\n"
    assert here("jsoc", "query", nothing, "-k", "EXPTIME", "--format", "csv").stdout == b"EXPTIME\n"


def test_a_record_set_that_is_none_is_pointed_at(here: Here) -> None:
    """The mark stands below the character."""
    ran = here("jsoc", "count", "hmi.v_45s[2013.07.03_08:42_TAI/3x]")
    assert ran.code == 2
    first, text, mark = ran.stderr.splitlines()
    assert first.startswith("aurora-async: error: record set: ")
    assert text[mark.index("^")] == "x"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("query", DOPPLER, "-k", "T_REK"), "did you mean T_REC?"),
        (("count", FLARE, "--where", "EXPTIM < 2"), "no such column: EXPTIM"),
        (("count", FLARE, "--server", "kis", "--base-url", "http://x"), "either --server or --base-url"),
        (("info", "hmi.v_45s", "T_REC", "--only", "links"), "contradict each other"),
        (("query", DOPPLER, "--json", "--format", "csv"), "contradict each other"),
        (("export", DOPPLER, "--server", "kis", "--email", "demo@example.com"), "offers no export"),
    ],
    ids=str,
)
def test_what_is_typed_wrong_is_exit_code_2(here: Here, typed: tuple[str, ...], said: str) -> None:
    """With one line that says what is right."""
    ran = here("jsoc", *typed)
    assert (ran.code, ran.stdout) == (2, b"")
    assert said in ran.error


# Who asks -----------------------------------------------------------------------------------------------------------


def test_the_address_of_the_service_may_stand_anywhere(
    here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is typed wins over the environment, and AuroraX's address is not JSOC's."""
    monkeypatch.setenv("JSOC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AURORAX_BASE_URL", "http://127.0.0.1:9")
    assert here("--base-url", local_url, "jsoc", "count", DOPPLER).stdout == b"4\n"
    assert here("jsoc", "count", DOPPLER, "--base-url", local_url).stdout == b"4\n"
    assert here("jsoc", "count", DOPPLER).code == 1
    said = here("jsoc", "info", "hmi.nothing", "--base-url", local_url).error
    assert said.endswith(f"look for it with: aurora-async jsoc series PATTERN --base-url {local_url}")


def test_email_says_whether_exports_can_be_made(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its exit code, too."""
    ran = here("jsoc", "email", "demo@example.com")
    assert (ran.code, ran.stderr) == (0, "")
    assert b"status   registered\n" in ran.stdout
    monkeypatch.setenv("JSOC_EMAIL", "unknown@example.com")
    ran = here("jsoc", "email", "--json")
    assert ran.code == 1
    assert json.loads(ran.stdout) | {"message": ""} == {
        "address": "unknown@example.com", "status": 4, "registered": False, "message": ""
    }  # fmt: skip
    assert ran.error == (
        "unknown@example.com cannot export anything yet; to register it: aurora-async jsoc email unknown@example.com "
        "--register"
    )


def test_email_registers_an_address(here: Here) -> None:
    """And waits for it, unless told not to."""
    ran = here("jsoc", "email", "new@example.com", "--register", "--no-wait")
    assert (ran.code, ran.stderr) == (0, "")
    assert b"mail sent" in ran.stdout or b"pending" in ran.stdout
    ran = here("jsoc", "email", "new@example.com", "--register")
    assert ran.code == 0
    assert b"status   registered\n" in ran.stdout


def test_an_address_is_needed_and_must_be_one(here: Here) -> None:
    """Before anything is asked."""
    assert here("jsoc", "email").error == "email: is missing: give an address, --email, or set JSOC_EMAIL"
    assert "not an e-mail address" in here("jsoc", "email", "nobody").error
