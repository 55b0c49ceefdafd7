"""`/metakernel`: which kernels are chosen, and in what form they are told."""

from __future__ import annotations

import re
from typing import Any

import pytest

from aurora_async.imap.vocabulary import KERNEL_TYPES, METAKERNEL_ORDER
from aurora_async.server.imap.metakernel import choose

SPAN = 1000, 2000


def kernel(name: str, *intervals: tuple[float, float]) -> dict[str, Any]:
    """What choosing looks at in a record."""
    return {"file_name": name, "file_intervals_j2000": [list(one) for one in intervals]}


def test_a_gap_is_filled_by_the_newest_first_and_the_preferred_is_loaded_last() -> None:
    """What SPICE loads later prevails, so the order of choice is turned round."""
    kernels = {
        "ephemeris_predicted": [kernel("pred-new", (1400, 3000)), kernel("pred-old", (0, 3000))],
        "ephemeris_reconstructed": [kernel("recon", (0, 1499.5))],
        "ephemeris_long": [kernel("long", (0, 9000))],
        "leapseconds": [kernel("lsk", (0, 9000))],
    }
    chosen = choose(kernels, SPAN, KERNEL_TYPES)
    assert list(chosen.names) == ["lsk", "pred-new", "recon"]
    assert chosen.gaps["spacecraft_ephemeris"] == []
    assert chosen.gaps["spacecraft_attitude"] == [SPAN]


def test_gaps_are_whole_seconds_between_what_is_covered() -> None:
    """As the published refusal has them: one category's gap ends a second before another one's begins."""
    kernels = {
        "attitude_history": [kernel("late", (1990, 2500)), kernel("two", (1100.4, 1200.6), (1300, 1400))],
        "attitude_predict": [kernel("in a gap", (1250, 1260)), kernel("of no use", (1110, 1120))],
    }
    chosen = choose(kernels, SPAN, KERNEL_TYPES)
    assert list(chosen.names) == ["in a gap", "two", "late"]
    assert chosen.gaps["spacecraft_attitude"] == [(1000, 1100), (1201, 1249), (1261, 1299), (1401, 1989)]


def test_a_category_of_which_nothing_is_wanted_has_no_gap() -> None:
    """Otherwise nobody could ask for some types and for their coverage."""
    chosen = choose({}, SPAN, ["leapseconds"])
    assert {category for category, gaps in chosen.gaps.items() if gaps} == {"leapseconds"}
    assert chosen.gaps.keys() == METAKERNEL_ORDER.keys()


async def test_a_list_has_bare_names_in_the_order_of_loading(archive: Any) -> None:
    """The published list for this interval, of the types that it names."""
    types = "leapseconds,imap_frames,science_frames,spacecraft_clock,planetary_ephemeris,no_such_type"
    parameters = {"start_time": "797949057", "end_time": "798035454", "list_files": "true", "file_types": types}
    assert (await archive.ask("metakernel", key=None, **parameters)).said == (
        200,
        ["naif0012.tls", "imap_130.tf", "imap_science_120.tf", "imap_sclk_0225.tsc", "de440.bsp"],
    )


async def test_the_file_is_one_that_spice_can_load(archive: Any) -> None:
    """With the folders put in front, and a path that is too long for SPICE cut as SPICE wants it."""
    folder = "/data/" + "kernels/" * 10
    answer = await archive.ask("metakernel", start_time="20251030", end_time="20251031", spice_path=folder)
    assert (answer.status, answer.content_type) == (200, "text/plain")
    assert re.match(r"\n\\begintext\n", answer.text)
    assert answer.text.count("\\begintext") == 2
    (loaded,) = re.findall(r"\\begindata\s+KERNELS_TO_LOAD = \((.*?)\)", answer.text, re.DOTALL)
    pieces = re.findall(r"'([^']*)'", loaded)
    assert max(map(len, pieces)) == 80
    paths = "".join(piece[:-1] if piece.endswith("+") else f"{piece}\n" for piece in pieces).split()
    assert paths[0] == f"{folder}lsk/naif0012.tls"
    assert paths[-2:] == [f"{folder}ck/imap_2025_{days}_001.ah.bc" for days in ("302_2025_303", "303_2025_304")]


async def test_coverage_can_be_required(archive: Any) -> None:
    """What is missing is told by category, all of them named."""
    span = {"start_time": "20251101", "end_time": "20251102", "require_coverage": "true"}
    answer = await archive.ask("metakernel", **span, list_files="true")
    assert answer.status == 422
    assert list(answer.document) == [f"{category}_category" for category in METAKERNEL_ORDER]
    assert [name for name, gaps in answer.document.items() if gaps] == [
        "spacecraft_attitude_category",
        "pointing_attitude_category",
    ]
    assert (await archive.ask("metakernel", **span, file_types="leapseconds")).status == 200


async def test_an_empty_list_is_not_found(empty: Any) -> None:
    """A file without kernels is one all the same."""
    span = {"start_time": "20251101", "end_time": "20251102"}
    answer = await empty.ask("metakernel", **span, list_files="true")
    assert (answer.status, answer.text) == (404, "No files found.")
    assert (await empty.ask("metakernel", **span)).status == 200


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"start_time": "20251101"},
        {"start_time": "20251301", "end_time": "20251302"},
        {"start_time": "a", "end_time": "b"},
    ],
)
async def test_what_is_no_time_range_crashes_it(empty: Any, parameters: dict[str, str]) -> None:
    """There are no words for it."""
    assert (await empty.ask("metakernel", **parameters)).said == (500, {"message": "Internal Server Error"})
