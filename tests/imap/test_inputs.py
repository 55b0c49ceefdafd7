"""The inputs of a job: documents, groups, and what of them a day needs."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async.errors import InvalidInput
from aurora_async.imap.filenames import AncillaryName, ScienceName, Version
from aurora_async.imap.inputs import (
    INPUTS,
    AncillaryInput,
    ProcessingInputs,
    RepointInput,
    ScienceInput,
    SpiceInput,
    SpinInput,
    ancillary_for_day,
    input_of,
)

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "facts" / "imap_dependency_examples.json").read_text(encoding="utf-8")
)
CHAIN, DATE_FILTER = FACTS["chain"], FACTS["date_filter"]
SCI = "imap_glows_l1b_hist_20260101-repoint00096_v001.0001.cdf"


def chain() -> ProcessingInputs:
    """All that one pointing of GLOWS is made from."""
    return ProcessingInputs.deserialize(json.dumps(CHAIN["document"]))


# Documents ------------------------------------------------------------------------------------------------------------


def test_a_document_of_the_pipeline_is_read_as_the_official_client_reads_it() -> None:
    """Types, sources and descriptors decide what a job gets; written again it is the same document."""
    inputs = chain()
    for one, expected in zip(inputs, CHAIN["expected"], strict=True):
        source = one.source if isinstance(one.source, str) else list(one.source)
        told = {"type": one.type, "source": source, "data_type": one.data_type, "descriptor": one.descriptor}
        assert told == {key: value for key, value in expected.items() if key != "class"}
    assert inputs.serialize() == json.dumps(CHAIN["document"])
    assert ProcessingInputs.deserialize(inputs.serialize().encode()) == inputs


def test_all_its_files_are_found_by_one_call(tmp_path: Path) -> None:
    """In the service's store and here, in order; a file that two inputs name is there once."""
    inputs = chain()
    assert list(inputs.keys()) == CHAIN["paths"]
    assert inputs.paths_in(tmp_path) == tuple(tmp_path / path for path in CHAIN["paths"])
    assert ProcessingInputs([*inputs, *inputs]).keys() == inputs.keys()


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("{", "$", "is not JSON"),
        (b'["\xff"]', "$", "is not JSON"),
        ("{}", "$", "not a list of inputs"),
        ("[7]", "$[0]", "is 7, not an input"),
        ('[{"files": []}]', "$[0].type", "None is not one of science, ancillary, spice, spin, repoint"),
        (f'[{{"type": "science", "files": ["{SCI}"]}}, {{"type": "magic", "files": []}}]', "$[1].type", "'magic'"),
        ('[{"type": "spice", "files": "naif0012.tls"}]', "$[0].files", "not a list of file names"),
        ('[{"type": "spice", "files": ["naif0012.tls", 7]}]', "$[0].files[1]", "is 7, not a file name"),
        ('[{"type": "spice", "files": ["naif0012.tls.bak"]}]', "$[0].files[0]", "'naif0012.tls.bak'"),
        ('[{"type": "spice", "files": []}]', "$[0].files", "needs at least one file"),
        ('[{"type": "spice", "files": ["imap_2026_191_01.repoint"]}]', "$[0].files", "is not a kernel"),
    ],
)
def test_what_is_wrong_with_a_document_is_pointed_to(text: str | bytes, field: str, says: str) -> None:
    """An input that is passed over in silence is missing in the product."""
    with pytest.raises(InvalidInput) as caught:
        ProcessingInputs.deserialize(text)
    assert caught.value.field == field
    assert says in caught.value.reason


# Groups ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "names", "says"),
    [
        (ScienceInput, [], "needs at least one file"),
        (ScienceInput, ["naif0012.tls"], "is not a science file"),
        (ScienceInput, [SCI, SCI.replace("_hist_", "_de_")], "make an input of each"),
        (AncillaryInput, [SCI], "is not an ancillary file"),
        (AncillaryInput, ["imap_hit_a_20250101_v000.cdf", "imap_hit_b_20250101_v000.cdf"], "make an input of each"),
        (SpiceInput, ["imap_2026_001_2026_002_01.spin"], "is not a kernel"),
        (SpinInput, ["imap_2026_191_01.repoint"], "is not a spin file"),
        (RepointInput, ["naif0012.tls"], "is not a repoint file"),
        (RepointInput, ["imap_2026_191_01.repoint", "imap_2026_192_01.repoint"], "is one file, not 2"),
    ],
)
def test_an_input_is_of_one_kind(kind: Any, names: list[str], says: str) -> None:
    """A repoint input of anything else but a repoint file too, which the official client takes."""
    with pytest.raises(InvalidInput, match=says):
        kind(names)


def test_a_single_name_makes_an_input() -> None:
    """As a text, a path or a name that was read before; what no job takes is refused."""
    for document in CHAIN["document"]:
        name = document["files"][0]
        made = input_of(name)
        assert type(made) is INPUTS[document["type"]]
        assert made == INPUTS[document["type"]](Path("data") / name) == input_of(made.names[0])
    with pytest.raises(InvalidInput, match="is a quicklook file"):
        input_of("imap_mag_l1a_test_20210101_v000.0001.png")


def test_an_input_tells_the_days_of_its_names() -> None:
    """From the first day to the last one that any name tells; kernels without dates tell none."""
    assert [one.time_range() for one in chain()] == [
        (date(2026, 1, 1), date(2026, 1, 1)),
        (date(2025, 11, 12), date(2025, 11, 12)),
        (date(2025, 11, 12), date(2025, 11, 12)),
        (date(2025, 9, 25), date(2026, 6, 1)),
        (date(2025, 12, 31), date(2026, 1, 3)),
        (date(2026, 7, 10), date(2026, 7, 10)),
    ]
    assert SpiceInput("naif0012.tls").time_range() is None


@pytest.mark.parametrize(
    ("names", "descriptor"),
    [
        (["naif0012.tls", "imap_recon_20250925_20260601_v01.bsp", "imap_2025_358_2026_085_004.ah.bc"], "historical"),
        (["imap_recon_20250925_20260601_v01.bsp", "imap_pred_20251002_20251113_v01.bsp"], "best"),
        (["imap_2025_358_2026_085_004.ap.bc"], "best"),
        (["de440.bsp"], "best"),
    ],
)
def test_kernels_that_may_be_superseded_make_it_best(names: list[str], descriptor: str) -> None:
    """The pipeline asks for inputs by this word."""
    assert SpiceInput(names).descriptor == descriptor


def test_inputs_are_found_by_what_they_are() -> None:
    """All filters must fit; a kernel's type finds the input that it is in, which the official client never finds."""
    inputs = chain()
    assert inputs.science() == inputs.science("glows") == inputs[:1]
    assert inputs.science("mag") == ProcessingInputs()
    assert inputs.select(source="leapseconds") == inputs.select(type="spice") == inputs[3:4]
    assert inputs.select(descriptor="calib", source="glows") == inputs[1:2]
    assert inputs.select(data_type="l1b", type="ancillary") == ProcessingInputs()
    assert len(inputs.select()) == len(inputs) == 6
    with pytest.raises(InvalidInput, match="not one of science"):
        inputs.select(type="kernel")


def test_adding_makes_other_inputs() -> None:
    """They are values: what somebody else holds does not change."""
    one = ProcessingInputs([input_of(SCI)])
    two = one.add("naif0012.tls", SpinInput("imap_2026_001_2026_002_01.spin"))
    assert len(one) == 1
    assert [each.type for each in two] == ["science", "spice", "spin"]


# Days -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("latest", "expected"), [(False, "valid"), (True, "valid_latest_ancillary")])
def test_a_day_gets_what_the_official_client_gives_it(latest: bool, expected: str) -> None:
    """Where the dates alone decide."""
    inputs = ProcessingInputs.deserialize(json.dumps(DATE_FILTER["inputs"]))
    chosen = inputs.for_day(date.fromisoformat(DATE_FILTER["date"]), latest_ancillary=latest)
    assert json.loads(chosen.serialize()) == DATE_FILTER[expected]


def test_a_day_gets_the_kernels_and_tables_that_reach_into_it() -> None:
    """And those without dates; the official client gives it all of them, of any year."""
    chosen = chain().for_day("20260101")
    assert [len(one.names) for one in chosen] == [1, 1, 1, 8, 2, 1]
    assert [str(name) for name in chosen[4].names] == [
        "imap_2025_365_2026_001_01.spin",
        "imap_2026_001_2026_002_01.spin",
    ]
    late = chain().for_day("20270101")
    assert [one.type for one in late] == ["ancillary", "ancillary", "spice"]
    assert [str(name) for name in late[2].names] == [
        name for name in CHAIN["document"][3]["files"] if name.count("_") < 4
    ]


CALIBRATIONS = [
    AncillaryName.parse(f"imap_mag_l2-calibration_{rest}.cdf")
    for rest in ("20250101_20250201_v001", "20250201_v002", "20250301_20250302_v003", "20250301_v004")
]


@pytest.mark.parametrize(
    ("day", "newest", "use"),
    [
        ("20250115", "v004", "v001"),
        ("20250215", "v004", "v002"),
        ("20250301", "v003", "v003"),
        ("20250310", "v003", "v002"),
        ("20250310", "v004", "v004"),
    ],
)
def test_a_day_uses_the_highest_version_that_is_valid(day: str, newest: str, use: str) -> None:
    """The worked example of the pipeline's documentation (imap_processing, calibration-files)."""
    there = [name for name in CALIBRATIONS if name.version <= Version.parse(newest)]
    assert [str(name.version) for name in ancillary_for_day(there, day)] == [use]


def names_of(*rests: str) -> list[AncillaryName]:
    return [AncillaryName.parse(f"imap_codice_l1a-sci-lut_{rest}") for rest in rests]


def test_files_that_differ_only_in_their_extension_are_used_together() -> None:
    """A table and its description have one version; the official client loses one of them."""
    both = names_of("20260403_v002.json", "20260403_v002.csv", "20260403_v001.json")
    assert ancillary_for_day(both, "20260501") == tuple(both[:2])
    assert ancillary_for_day(both, "20260501", latest=False) == tuple(both)
    assert ancillary_for_day(both, "20260402") == ()


def test_of_one_version_the_window_is_used() -> None:
    """It is the more particular one; and an open file that another one has taken over from is not valid any more."""
    files = names_of("20260129_v003.json", "20260403_v001.json", "20260403_20260403_v001.json")
    assert ancillary_for_day(files, "20260403") == (files[2],)
    assert ancillary_for_day(files, "20260404", latest=False) == (files[1],)


days = st.dates(date(2026, 1, 1), date(2026, 1, 20))
ancillary_names = st.builds(
    lambda days, version, *, windowed: AncillaryName(
        "mag", "l2-cal", min(days), Version(None, version), "cdf", end_date=max(days) if windowed else None
    ),
    st.tuples(days, days),
    st.integers(0, 5),
    windowed=st.booleans(),
)


@given(st.lists(ancillary_names, unique=True), days)
def test_the_file_to_use_is_always_a_valid_one_of_the_highest_version(names: list[AncillaryName], day: date) -> None:
    """And there is one whenever any file is valid; the order in which files are listed does not matter."""
    valid = ancillary_for_day(names, day, latest=False)
    chosen = ancillary_for_day(names, day)
    assert set(chosen) <= set(valid) <= set(names)
    assert bool(chosen) == any(name.is_valid_on(day) for name in names)
    assert all(name.version == max(each.version for each in valid) for name in chosen)
    assert set(ancillary_for_day(names[::-1], day)) == set(chosen)


science_names = st.builds(
    lambda day, minor: ScienceName("mag", "l2", "norm", day, Version(1, minor)), days, st.integers(0, 9)
)


@given(st.lists(science_names, min_size=1), days)
def test_science_files_are_of_their_own_day(names: list[ScienceName], day: date) -> None:
    """Every one of them, and no other."""
    chosen = ProcessingInputs([ScienceInput(names)]).for_day(day)
    assert [name for one in chosen for name in one.names] == [name for name in names if name.start_date == day]
