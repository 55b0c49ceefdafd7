"""File names: what they say, the forms they have, and where the archive keeps each file."""

from __future__ import annotations

import json
import pickle
import string
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from aurora_async.errors import InvalidInput
from aurora_async.imap._kernels import KERNEL_KINDS, KernelKind
from aurora_async.imap.filenames import (
    AncillaryName,
    DependencyName,
    FileName,
    InvalidFileName,
    LegacyName,
    QuicklookName,
    ReleaseName,
    ScienceName,
    SpiceName,
    Version,
    compact,
    key_of,
    parse_name,
    to_day,
)
from aurora_async.imap.vocabulary import DATA_LEVELS, EXTENSIONS, INSTRUMENTS, KERNEL_TYPES, LEGACY_INSTRUMENTS

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "facts" / "imap_filename_vectors.json").read_text(encoding="utf-8")
)
BY_ACCIDENT = {vector["name"]: vector for vector in FACTS["accepted_by_accident"]}
LEGACY = "imap_swe_l0_sci_20240105_20240105_v00-05.pkts"
LEVELS_AND_EXTENSIONS = {"imap_swe_l0_raw_20240510_v001.cdf", "imap_swe_l1a_sci_20240510_v001.pkts"}
"""Accepted by the official client without intent, but by the archive too; and one of the valid names is such a one."""
CLASSES: dict[str, Any] = {
    "ScienceFilePath": ScienceName,
    "QuicklookFilePath": QuicklookName,
    "DependencyFilePath": DependencyName,
    "AncillaryFilePath": AncillaryName,
    "ReleaseFilePath": ReleaseName,
    "SPICEFilePath": SpiceName,
}


def parts_of(name: FileName) -> dict[str, Any]:
    """A name's parts as the official client calls and writes them."""
    if isinstance(name, SpiceName):
        parts: dict[str, Any] = {"version": name.version, "type": name.type}
        if name.prediction_date is not None:
            parts |= {"prediction_start_date": f"{name.prediction_date}"}
            del parts["version"]
        for field in ("start_date", "end_date"):
            parts[field] = None if (day := getattr(name, field)) is None else f"{day}"
        return parts | {"repointing": name.repointing, "extension": name.extension}
    parts = {"mission": "imap", "instrument": getattr(name, "instrument", None)}
    for field in ("data_level", "descriptor", "extension", "repointing", "cr"):
        if hasattr(name, field):
            parts[field] = getattr(name, field)
    for field in ("start_date", "end_date"):
        if hasattr(name, field):
            parts[field] = None if (day := getattr(name, field)) is None else f"{day:%Y%m%d}"
    version = getattr(name, "version", None)
    assert isinstance(version, Version)
    if isinstance(name, AncillaryName | ReleaseName):
        return parts | {"version": str(version)}
    return parts | {"major_version": version.major, "minor_version": version.minor}


@pytest.mark.parametrize("vector", FACTS["valid"], ids=lambda vector: vector["name"])
def test_every_known_name_is_read_as_the_official_client_reads_it(vector: dict[str, Any]) -> None:
    """Class, parts and path: a file that goes to another folder is lost to everybody else."""
    name = parse_name(vector["name"])
    assert type(name) is CLASSES[vector["class"]]
    assert CLASSES[vector["class"]].parse(vector["name"]) == name
    assert (str(name), name.key) == (vector["name"], vector["path"])
    assert parts_of(name) == vector["parts"]


@pytest.mark.parametrize("text", [name for name in FACTS["invalid"] if name != LEGACY])
def test_what_the_official_client_rejects_is_no_name(text: str) -> None:
    """Neither of any kind nor of one: the error quotes it."""
    for read in (parse_name, *(kind.parse for kind in CLASSES.values()), LegacyName.parse):
        with pytest.raises(InvalidFileName) as caught:
            read(text)
        assert caught.value.name == text
        assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", sorted(BY_ACCIDENT.keys() - LEVELS_AND_EXTENSIONS))
def test_what_the_official_client_lets_through_by_accident_is_no_name(text: str) -> None:
    """A name ends where it ends, and a window's dates are no descriptor."""
    for read in (parse_name, *(kind.parse for kind in CLASSES.values())):
        with pytest.raises(InvalidFileName):
            read(text)


@pytest.mark.parametrize("text", sorted(LEVELS_AND_EXTENSIONS))
def test_levels_and_extensions_are_not_tied_together(text: str) -> None:
    """The archive has files of level 1a that are packets, and takes what it has no rule against."""
    assert parse_name(text).key == BY_ACCIDENT[text]["path"]


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("imap_sdc_l1a_burst_20210101_v001.0001.cdf", "instrument", "'sdc' is not one of codice, glows"),
        ("imap_mag_l9_burst_20210101_v001.0001.cdf", "data_level", "'l9' is not one of l0, l1, l1a"),
        ("imap_mag_l1a_burst_20210230_v001.0001.cdf", "start_date", "'20210230' is not a day"),
        ("imap_mag_l1a_burst_20210101_v001.0001.abc", "extension", "'abc' is not one of cdf, pkts"),
        ("imap_mag_l1b-cal_20250103_20250132_v002.cdf", "end_date", "'20250132' is not a day"),
        ("imap_mag_l1b-cal_20250103_20250102_v002.cdf", "end_date", "before the start"),
        ("imap_mag_l1b-cal_20250103_v002.pdf", "extension", "'pdf' is not one of cdf, csv"),
        ("imap_mag_l2_20250103_20250104_v002.cdf", "descriptor", "'20250103' is a date"),
        ("imap_2025_366_2026_001_01.spin", "start_date", "the year 2025 has no day 366"),
        ("earth_000101_251312_250817.bpc", "end_date", "month must be in 1..12"),
        ("imap_swe_l0_sci_20240105_20240104_v00-05.pkts", "end_date", "before the start"),
        ("test.txt", "name", "imap_<instrument>_<level>_<descriptor>_<YYYYMMDD>"),
        ("imap_swe_l1a_a b\n_20240510_v001.cdf", "descriptor", r"printable characters, no _, / or \ in it"),
    ],
)
def test_the_error_names_the_part_that_is_wrong(text: str, field: str, says: str) -> None:
    """One look tells what to mend; and an error that crosses processes still does."""
    with pytest.raises(InvalidFileName) as caught:
        parse_name(text)
    assert caught.value.field == field
    assert says in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# Built and read -------------------------------------------------------------------------------------------------------

days = st.dates(min_value=date(1, 1, 1))
numbers = st.none() | st.integers(0, 99999)
descriptors = st.text(string.ascii_letters + string.digits + "-.+ é", min_size=1, max_size=30).filter(
    lambda text: not (len(text) == 8 and text.isdigit())
)
minor_versions = st.integers(0, 999).map(lambda minor: Version(None, minor))
versions = minor_versions | st.builds(Version, st.integers(0, 999), st.integers(0, 9999))


@st.composite
def product_names(draw: st.DrawFn) -> FileName:
    """Science, quicklook and dependency files."""
    kind = draw(st.sampled_from([ScienceName, QuicklookName, DependencyName]))
    of: dict[str, Any] = draw(st.just({}) | st.builds(dict, repointing=numbers) | st.builds(dict, cr=numbers))
    return kind(
        draw(st.sampled_from(INSTRUMENTS)),
        draw(st.sampled_from(DATA_LEVELS)),
        draw(descriptors),
        draw(days),
        draw(versions),
        draw(st.sampled_from(EXTENSIONS[kind.kind])),
        **of,
    )


@st.composite
def dated_names(draw: st.DrawFn) -> FileName:
    """Ancillary files and manifests."""
    kind = draw(st.sampled_from([AncillaryName, ReleaseName]))
    start, end = sorted([draw(days), draw(days)])
    bounds: dict[str, Any] = draw(st.sampled_from([{}, {"end_date": end}, {"repointing": draw(st.integers(0, 99999))}]))
    descriptor = draw(descriptors)
    assume(descriptor not in DATA_LEVELS)
    extension = draw(st.sampled_from(EXTENSIONS[kind.kind]))
    return kind(draw(st.sampled_from(INSTRUMENTS)), descriptor, start, draw(minor_versions), extension, **bounds)


@st.composite
def kernel_names(draw: st.DrawFn) -> FileName:
    """All kinds of the SPICE family."""
    kind: KernelKind = draw(st.sampled_from(KERNEL_KINDS))
    digits = {"version:2": 2, "version:3": 3}
    length = next((count for mark, count in digits.items() if f"<{mark}>" in kind.pattern), None)
    parts: dict[str, Any] = {}
    for field in sorted(kind.fields):
        if field in kind.optional and draw(st.booleans()):
            continue
        if field.endswith("_date"):
            century = "_date:y" in kind.pattern
            day = draw(st.dates(date(1969, 1, 1), date(2068, 12, 31)) if century else days)
            parts[field] = day.replace(month=1, day=1) if f"<{field}:Y>" in kind.pattern else day
        elif field == "repointing":
            parts[field] = draw(st.integers(0, 99999))
        elif field == "orbit":
            parts[field] = f"{draw(st.integers(0, 999)):03}"
        elif field == "word":
            parts[field] = draw(st.text(string.ascii_letters + string.digits + "_-", min_size=1))
        else:
            parts[field] = f"{draw(st.integers(0, 10 ** (length or 4) - 1)):0{length or 1}}"
    ending = kind.form.rpartition(">")[2].lstrip("].")
    return SpiceName.build(kind.type, ending=ending, **parts)


legacy_names = st.builds(
    lambda days, **parts: LegacyName(start_date=min(days), end_date=max(days), **parts),
    st.tuples(days, days),
    instrument=st.sampled_from([*INSTRUMENTS, *LEGACY_INSTRUMENTS]),
    data_level=st.sampled_from(DATA_LEVELS),
    descriptor=descriptors,
    version=st.builds("v{:02}-{:02}".format, st.integers(0, 99), st.integers(0, 99)),
    extension=st.sampled_from(EXTENSIONS["science"]),
)


@given(product_names() | dated_names() | kernel_names() | legacy_names)
def test_what_is_built_is_read_as_what_it_was(name: FileName) -> None:
    """A name says all of itself: reading what was written, and writing what was read, changes nothing."""
    read = parse_name(str(name))
    assert read == name
    assert type(read) is type(name)
    assert (str(read), read.key, hash(read)) == (str(name), name.key, hash(name))
    assert name.key.startswith("imap/")
    assert parse_name(PurePosixPath(name.key)) == parse_name(name.key) == name
    assert key_of(name.key) == key_of(name) == key_of(str(name)) == name.key
    assert pickle.loads(pickle.dumps(name)) == name


@given(
    st.from_regex(
        r"(imap|IMAP|earth|naif|de|L1_de|pck)[_a-z0-9\-]{0,40}(_v\d{3}(\.\d{4})?)?\.[a-z.]{2,8}", fullmatch=True
    )
)
@example("imap_mag_l2_norm-dsrf_20260412-cr00001_v001.0008.cdf")
@example("IMAP_2025_005_e01.mk")
def test_what_is_read_is_written_as_it_was(text: str) -> None:
    """Whatever a text is, a name that is read from it prints as it, and a text that is no name raises just that."""
    try:
        name = parse_name(text)
    except InvalidFileName:
        return
    assert str(name) == text


def test_a_builder_refuses_what_no_name_can_say() -> None:
    """Each field by itself, before any file is called so."""
    good: dict[str, Any] = {
        "instrument": "mag",
        "data_level": "l2",
        "descriptor": "norm-dsrf",
        "start_date": "20260412",
        "version": "v001.0008",
    }
    assert str(ScienceName(**good)) == "imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
    assert ScienceName(**good | {"data_level": "l0"}).extension == "pkts"
    assert ScienceName(**good | {"repointing": numpy.int64(96)}).repointing == 96
    bad: list[dict[str, Any]] = [
        {"instrument": "hmi"},
        {"data_level": "L2"},
        {"descriptor": "norm_dsrf"},
        {"descriptor": ""},
        {"descriptor": "a/b"},
        {"descriptor": "20260412"},
        {"start_date": "202604"},
        {"start_date": "20260431"},
        {"version": "v1"},
        {"extension": "png"},
        {"repointing": 100000},
        {"repointing": True},
        {"repointing": "00096"},
        {"cr": -1},
        {"cr": 1, "repointing": 1},
    ]
    for change in bad:
        with pytest.raises(InvalidInput) as caught:
            ScienceName(**good | change)
        assert caught.value.field in change


def test_an_ancillary_name_is_not_one_that_the_archive_misreads() -> None:
    """With a level for its descriptor and a window, the archive files it as science: under another key, for ever."""
    with pytest.raises(InvalidInput, match="takes this file for a science file"):
        AncillaryName("mag", "l2", "20250103", "v002", "cdf", end_date="20250104")
    for harmless in (
        AncillaryName("mag", "l2", "20250103", "v002", "cdf"),
        AncillaryName("mag", "l2", "20250103", "v002", "json", end_date="20250104"),
    ):
        assert parse_name(str(harmless)) == harmless
    with pytest.raises(InvalidInput, match="of a pointing has no end"):
        AncillaryName("glows", "map", "20260101", "v001", "json", end_date="20260102", repointing=96)
    with pytest.raises(InvalidInput, match="major part"):
        AncillaryName("glows", "map", "20260101", "v001.0001", "json")


# SPICE ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("IMAP_130.tf", True),
        ("IMAP_130.TF", False),
        ("imap_science_120.TF", True),
        ("imap_SCIENCE_120.tf", False),
        ("IMAP_science_120.tf", False),
        ("de440.BSP", True),
        ("DE440.bsp", False),
        ("imap_pred_OD004_20251002_20251113_V01.BSP", True),
        ("imap_dps_2025_121_2025_202_07.AH.BC", True),
        ("imap_sdc_metakernel_2025_V100.tm", False),
        ("imap_2025_005_A01.spice.mk", True),
        ("imap_2025_122_01.repoint.CSV", False),
        ("EARTH_000101_251112_250817.bpc", True),
        ("imap_2025_1٢2_01.repoint", False),
    ],
)
def test_case_counts_where_a_name_tells_its_kind(text: str, is_name: bool) -> None:
    """As the official client 1.3.0 has it; only digits of another script, which it takes for digits, are none here."""
    if is_name:
        assert SpiceName.parse(text).key.endswith(f"/{text}")
    else:
        with pytest.raises(InvalidFileName):
            SpiceName.parse(text)


def test_kernels_are_built_of_their_parts() -> None:
    """A part too many, one too few, or one that the name cannot say is refused."""
    built = SpiceName.build(
        "ephemeris_predicted", version="01", orbit="004", start_date="20251002", end_date=date(2025, 11, 13)
    )
    assert str(built) == "imap_pred_od004_20251002_20251113_v01.bsp"
    assert (built.orbit, built.folder, built.root) == ("004", "spk", "imap_pred_od004_20251002_20251113_v.bsp")
    made = SpiceName.build("thruster", version="02", word="hist", start_date="20260924", end_date="20260924")
    assert (str(made), made.word) == ("imap_2026_267_2026_267_hist_02.sff", "hist")
    bad: list[tuple[str, dict[str, Any], str]] = [
        ("leapsecond", {"version": "0012"}, "type"),
        ("leapseconds", {}, "parts"),
        ("leapseconds", {"version": "0012", "start_date": "20251002"}, "parts"),
        ("leapseconds", {"version": "12a"}, "name"),
        ("metakernel", {"version": "100", "start_date": "20250105", "ending": "tm"}, "start_date"),
        ("earth_attitude", dict.fromkeys(("start_date", "end_date", "prediction_date"), "20700101"), "end_date"),
    ]
    for kind, parts, field in bad:
        with pytest.raises(InvalidInput) as caught:
            SpiceName.build(kind, **parts)
        assert caught.value.field in {field, "start_date", "prediction_date"} if kind == "earth_attitude" else {field}
    assert {kind.type for kind in KERNEL_KINDS} == set(KERNEL_TYPES)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("imap_2025_032_2025_034_003.ah.bc", "20250201", "20250203"),
        ("imap_2025_122_01.repoint", None, "20250502"),
        ("imap_2025_005_e01.mk", "20250105", None),
        ("naif0012.tls", None, None),
        ("imap_mag_l1b-cal_20250103_20250104_v002.cdf", "20250103", "20250104"),
        ("imap_hit_l1b-cal_20240312_v000.cdf", "20240312", None),
        ("imap_swe_l1a_sci_20240510_v012.cdf", "20240510", "20240510"),
        ("imap_swe_l0_sci_20240105_20240106_v00-05.pkts", "20240105", "20240106"),
    ],
)
def test_a_name_is_valid_from_its_first_day_to_its_last(name: str, first: str | None, last: str | None) -> None:
    """Kernels too, which the official client takes to be valid on any day."""
    start = to_day(first) if first else date(2000, 1, 2)
    end = to_day(last) if last else date(2100, 1, 1)
    read = parse_name(name)
    assert read.is_valid_on(start)
    assert read.is_valid_on(end)
    assert read.is_valid_on(start - timedelta(days=1)) is (first is None)
    assert read.is_valid_on(end + timedelta(days=1)) is (last is None)


# Legacy ---------------------------------------------------------------------------------------------------------------


def test_a_name_of_january_2024_is_read() -> None:
    """Its files still lie there, and commands of that time name them."""
    name = parse_name(LEGACY)
    assert isinstance(name, LegacyName)
    assert (name.kind, name.version, name.key) == ("legacy", "v00-05", f"imap/swe/l0/2024/01/{LEGACY}")
    assert parse_name("imap_hi-45_l1a_sci_20240105_20240105_v00-00.cdf").key.startswith("imap/hi-45/l1a/")


# Versions -------------------------------------------------------------------------------------------------------------


def test_versions_are_read_and_ordered() -> None:
    """One without a major part comes before all that have one, so sorting finds the newest."""
    for text, major, minor in FACTS["versions"]["valid"]:
        assert Version.parse(text) == Version(major, minor)
        assert str(Version(major, minor)) == text
    for text in (*FACTS["versions"]["invalid"], "v001\n", None):
        with pytest.raises(InvalidInput):
            Version.parse(text)
    oldest, *_, newest = ordered = [Version.parse(text) for text in FACTS["versions"]["order"]]
    assert sorted([newest, *ordered, oldest]) == [oldest, *ordered, newest]
    assert Version(None, 999) < Version(0, 0) < Version(0, 1) < Version(1, 0)
    for major, minor in ((1000, 0), (0, 10000), (None, 1000), (-1, 0), (True, 0), (1, 1.0)):
        with pytest.raises(InvalidInput, match="whole number from 0 to"):
            Version(major, minor)  # type: ignore[arg-type]


# Keys -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        "imap_swe_l1a_sci_20240510_v001.cdf",
        "imap/somewhere/else/imap_swe_l1a_sci_20240510_v001.cdf",
        "data/imap/swe/l1a/2024/05/imap_swe_l1a_sci_20240510_v001.cdf",
        PurePosixPath("/home/me/imap_swe_l1a_sci_20240510_v001.cdf"),
        PureWindowsPath(r"C:\data\imap_swe_l1a_sci_20240510_v001.cdf"),
        ScienceName("swe", "l1a", "sci", datetime(2024, 5, 9, 23, tzinfo=timezone(timedelta(hours=-1))), "v001"),
    ],
    ids=str,
)
def test_a_file_is_found_by_its_name_wherever_it_lies_here(what: Any) -> None:
    """The folders before a name are ours; the archive's follow from the name."""
    assert key_of(what) == "imap/swe/l1a/2024/05/imap_swe_l1a_sci_20240510_v001.cdf"


def test_what_is_not_named_by_the_rules_is_named_by_its_whole_path() -> None:
    """The archive holds files from before there were rules."""
    key = "imap/mag/calibration/test_calibration.txt"
    assert key_of(key) == key_of(PurePosixPath(key)) == key

    class Row:
        key = "imap/elsewhere/imap_swe_l1a_sci_20240510_v001.cdf"

    assert key_of(Row()) == Row.key, "the service knows best where its files are"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "imap",
        "imap/",
        "x.txt",
        "/imap/x",
        "imap//x",
        "imap/../x",
        "../imap/x",
        "imap/./x",
        "imap/x\n",
        r"imap/a\b",
        "imap/../imap_swe_l1a_sci_20240510_v001.cdf",
        "imap/" + "/".join("a" * 1500),
    ],
    ids=lambda text: repr(text)[:60],
)
def test_a_path_never_leads_out_of_the_archive(text: str) -> None:
    """It becomes a path here too."""

    class Row:
        key = text

    for what in (text, Row()):
        with pytest.raises(InvalidFileName):
            key_of(what)
    with pytest.raises(InvalidInput, match="give a file name, a path or a row"):
        key_of(7)  # type: ignore[arg-type]


def test_a_path_here_has_the_archives_folders(tmp_path: Path) -> None:
    """So that all who share a data folder find what is there."""
    name = parse_name("imap_mag_l1b-cal_20250103_20250104_v002.cdf")
    assert name.path_in(tmp_path) == tmp_path / "imap" / "ancillary" / "mag" / str(name)


@pytest.mark.parametrize(
    "when", ["20260412", "2026-04-12", date(2026, 4, 12), datetime(2026, 4, 12, 23, 59, tzinfo=UTC)]
)
def test_days_may_be_written_in_the_usual_ways(when: Any) -> None:
    """As everywhere here; half a date is none."""
    assert to_day(when) == date(2026, 4, 12)
    for wrong in ("202604", "2026-0412", "20260431", 20260412, None):
        with pytest.raises(InvalidInput):
            to_day(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("day", [date(2026, 4, 12), date(987, 6, 5), date.max])
def test_a_day_is_written_in_eight_digits(day: date) -> None:
    """The years before 1000, too, which not every platform's `strftime` pads."""
    assert to_day(compact(day)) == day
    assert len(compact(day)) == 8
