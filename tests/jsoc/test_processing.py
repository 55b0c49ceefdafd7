"""Steps and forms of files: what the service would ignore without a word is refused here, with the words that help."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from aurora_async.errors import InvalidQuery
from aurora_async.jsoc.processing import COLOR_TABLES, SCALINGS, STEPS, Protocol, Step, steps_of

PATCH = {"x": -517.2, "y": -246, "width": 345.6, "height": 345.6}


def test_steps_are_printed_as_the_service_reads_them() -> None:
    """The published cut-out of drms' own example, in its order."""
    process = {"im_patch": {"t_ref": "2015-10-17T04:33:30.000", "t": 0, "r": False, "locunits": "ARCSEC", **PATCH}}
    (step,) = steps_of(process)
    expected = "im_patch,t_ref=2015-10-17T04:33:30.000,t=0,r=0,locunits=arcsec,x=-517.2,y=-246,width=345.6,height=345.6"
    assert str(step) == expected


def test_a_time_is_written_with_its_zone() -> None:
    """A datetime is an instant; the service takes a text without a zone for UTC."""
    step = Step.of("im_patch", {"t_ref": datetime(2015, 10, 17, 4, 33, 30, tzinfo=UTC), **PATCH})
    assert dict(step.arguments)["t_ref"] == "2015-10-17T04:33:30.000Z"


def test_the_callers_mapping_stays_as_it_is() -> None:
    """It may be used for the next export."""
    process = {"im_patch": {"locunits": "ARCSEC", **PATCH}}
    before = copy.deepcopy(process)
    steps_of(process)
    options = {"CT": "GREY.SAO"}
    Protocol.of("jpg", options)
    assert process == before
    assert options == {"CT": "GREY.SAO"}


@pytest.mark.parametrize(("name", "canonical"), [("to_ptr", "HmiB2ptr"), ("map_project", "Maproj"), ("REBIN", "rebin")])
def test_steps_have_other_names(name: str, canonical: str) -> None:
    """The service's two interfaces call them differently."""
    assert Step.of(name, {}).name == canonical


@pytest.mark.parametrize(
    ("name", "arguments", "field"),
    [
        ("im_path", {}, "process"),
        ("im_patch", {"with": 3, **PATCH}, "process.im_patch.with"),
        ("im_patch", {"x": 1, "y": 2, "width": 3}, "process.im_patch.height"),
        ("im_patch", PATCH | {"x": "left"}, "process.im_patch.x"),
        ("im_patch", PATCH | {"x": float("nan")}, "process.im_patch.x"),
        ("im_patch", PATCH | {"x": True}, "process.im_patch.x"),
        ("im_patch", PATCH | {"width": 0}, "process.im_patch.width"),
        ("im_patch", PATCH | {"t": 2}, "process.im_patch.t"),
        ("im_patch", PATCH | {"t_ref": "yesterday"}, "process.im_patch.t_ref"),
        ("im_patch", PATCH | {"locunits": "miles"}, "process.im_patch.locunits"),
        ("im_patch", PATCH | {"locunits": "carrlong"}, "process.im_patch.car_rot"),
        ("im_patch", PATCH | {"cadence": "12s|n=0"}, "process.im_patch.cadence"),
        ("rebin", {"method": "bilinear"}, "process.rebin.method"),
        ("aia_scale_aialev1", {"mpt": "a'b"}, "process.aia_scale_aialev1.mpt"),
        ("Maproj", {"cols": 2.5}, "process.Maproj.cols"),
        ("HmiB2ptr", {"l": "yes"}, "process.HmiB2ptr.l"),
        ("rebin", [("scale", 1)], "process.rebin"),
    ],
)
def test_what_is_wrong_is_named(name: str, arguments: Any, field: str) -> None:
    """The service would leave the image as it is, without an error."""
    with pytest.raises(InvalidQuery) as caught:
        Step.of(name, arguments)
    assert caught.value.field == field


def test_a_near_miss_gets_the_right_word() -> None:
    """One reads the message, not the service's documentation."""
    with pytest.raises(InvalidQuery, match="did you mean width"):
        Step.of("im_patch", PATCH | {"widht": 3})


def test_steps_go_into_journals_and_to_other_processes() -> None:
    """What was printed is read again as the same step."""
    for name in STEPS:
        step = Step.of(name, PATCH if name == "im_patch" else {})
        assert Step.of(step.name, dict(step.arguments)) == step == pickle.loads(pickle.dumps(step))
    assert steps_of({"no_op": {}}) == ()
    with pytest.raises(InvalidQuery, match="twice"):
        steps_of([Step.of("rebin", {}), Step.of("REBIN", {"scale": 2})])


@pytest.mark.parametrize("table", COLOR_TABLES)
def test_color_tables_are_found_in_any_case(table: str) -> None:
    """And written as the service has them."""
    assert f"CT={table}," in str(Protocol.of("jpg", {"ct": table.upper()}))


def test_image_options_are_complete() -> None:
    """Those that are not given are those of the service's own page."""
    assert str(Protocol.of("JPG")) == "jpg,CT=grey.sao,scaling=MINMAX,size=1"
    given = {"ct": "HMI_MAG.lut", "scaling": "minmaxgiven", "size": 2, "min": -200, "max": 1e6}
    assert str(Protocol.of("png", given)) == "png,CT=HMI_mag.lut,scaling=MINMAXGIVEN,size=2,min=-200,max=1e+06"
    assert all(f"scaling={scaling}," in str(Protocol.of("mp4", {"Scaling": scaling.lower()})) for scaling in SCALINGS)


@pytest.mark.parametrize(
    ("protocol", "arguments", "field"),
    [
        ("tiff", None, "protocol"),
        ("fits,compress Lzma", None, "protocol"),
        ("as-is,compress Rice", None, "protocol"),
        (3, None, "protocol"),
        ("fits", {"size": 2}, "protocol_args"),
        ("jpg", {"colour": "red"}, "protocol_args.colour"),
        ("jpg", {"ct": "red"}, "protocol_args.ct"),
        ("jpg", {"size": 1.5}, "protocol_args.size"),
        ("jpg", {"size": 0}, "protocol_args.size"),
        ("jpg", {"min": "low"}, "protocol_args.min"),
        ("jpg", {"min": 5, "max": 5}, "protocol_args.min"),
        ("jpg", ["ct"], "protocol_args"),
    ],
)
def test_forms_that_there_are_not_are_refused(protocol: Any, arguments: Any, field: str) -> None:
    """Before anything is sent, and with the name of what is wrong."""
    with pytest.raises(InvalidQuery) as caught:
        Protocol.of(protocol, arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text", ["fits", "fits,compress Rice", "fits,**NONE**", "jpg,CT=aia_193.lut,scaling=LOG,size=4"]
)
def test_the_printed_form_is_read_again(text: str) -> None:
    """As it comes from the service's pages, and from journals."""
    assert str(Protocol.of(text)) == text
    assert Protocol.of(Protocol.of(text)) == Protocol.of(text)
