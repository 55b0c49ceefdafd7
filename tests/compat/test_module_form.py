"""The functions of the releases up to 0.13, beside the objects that do their work."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from datetime import date, datetime
from typing import Any

import pytest

from aurora_async.compat import pyaurorax
from aurora_async.config import AURORAX_URL

pytestmark = pytest.mark.usefixtures("environment")

START, END = datetime(2020, 1, 1), datetime(2020, 1, 1, 6, 59, 59)


def test_key_and_server_are_those_of_the_module(environment: str) -> None:
    """Set by functions, once for all."""
    assert (pyaurorax.get_api_key(), pyaurorax.api.get_base_url()) == ("", environment)
    assert pyaurorax.authenticate("compat-user-key") == 1
    assert pyaurorax.get_api_key() == "compat-user-key"
    pyaurorax.api.set_base_url("http://127.0.0.1:9/")
    assert pyaurorax.api.get_base_url() == "http://127.0.0.1:9"
    pyaurorax.api.reset_base_url()
    assert pyaurorax.api.get_base_url() == AURORAX_URL == pyaurorax.api.DEFAULT_BASE_URL


def test_importing_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read by the first call, so that it may be set after the import."""
    monkeypatch.setenv("AURORAX_BASE_URL", "http://127.0.0.1:9")
    assert pyaurorax.api.get_base_url() == "http://127.0.0.1:9"


def plain(found: Any) -> Any:
    """Records as dictionaries."""
    return [{name: repr(value) for name, value in vars(one).items()} for one in found]


def test_searches_find_what_those_of_today_find(aurorax: pyaurorax.PyAuroraX) -> None:
    """All three kinds, with what they were called then."""
    blocks: dict[str, Any] = {"ground": [{"programs": ["themis-asi"]}], "space": [{"programs": ["swarm"]}]}
    conjunctions = pyaurorax.conjunctions.search(START, END, 500, epoch_search_precision=60, **blocks)
    assert plain(conjunctions.data) == plain(aurorax.search.conjunctions.search(START, END, 500, **blocks).data)
    assert "subminute_precision" not in conjunctions.query
    half_minutes = pyaurorax.conjunctions.Search(START, END, 500, epoch_search_precision=30, **blocks)
    assert half_minutes.query["subminute_precision"] is True

    ephemeris = pyaurorax.ephemeris.search(START, END, platforms=["swarma"])
    assert isinstance(ephemeris.data[0], pyaurorax.ephemeris.Ephemeris)
    assert repr(ephemeris.data[0]).startswith("Ephemeris(epoch=datetime.datetime(2020, 1, 1, 0, 0), location_geo=")
    assert plain(ephemeris.data) == plain(aurorax.search.ephemeris.search(START, END, platforms=["swarma"]).data)

    products = pyaurorax.data_products.search(START, END, programs=["trex"], data_product_types=["keogram"])
    assert {type(one) for one in products.data} == {pyaurorax.data_products.DataProduct}
    assert {one.data_product_type for one in products.data} == {"keogram"}


@pytest.mark.parametrize("kind", ["conjunctions", "ephemeris", "data_products"])
def test_a_search_can_be_left_to_the_service(kind: str) -> None:
    """`search_async` and `return_immediately`, and what can be done with the URL of such a search."""
    module = getattr(pyaurorax, kind)
    how: dict[str, Any] = {"programs": ["trex"]}
    if kind == "conjunctions":
        blocks = [{"programs": ["rego"]}], [{"programs": ["swarm"]}]
        how = {"distance": 300, "ground": blocks[0], "space": blocks[1]}
    for search in (module.search_async(START, END, **how), module.search(START, END, return_immediately=True, **how)):
        assert (search.executed, search.completed, search.data) == (True, False, [])
        status = pyaurorax.requests.wait_for_data(search.request_url)
        assert status["search_result"]["data_uri"] is not None
        assert pyaurorax.requests.get_logs(search.request_url) == status["logs"]
        search.update_status(status)
        assert len(pyaurorax.requests.get_data(search.data_url)) == status["search_result"]["result_count"]
        assert pyaurorax.requests.cancel(search.request_url) == 1


def test_sources_and_what_there_is_of_them(aurorax: pyaurorax.PyAuroraX) -> None:
    """Lists, single ones, statistics, availability, schemas."""
    today = aurorax.search
    assert plain(pyaurorax.sources.list(program="swarm")) == plain(today.sources.list(program="swarm"))
    assert plain(pyaurorax.sources.search(programs=["rego"])) == plain(today.sources.search(programs=["rego"]))
    assert pyaurorax.sources.get("swarm", "swarma", "footprint").identifier == 3
    assert pyaurorax.sources.get_using_identifier(3, format=pyaurorax.FORMAT_BASIC_INFO).display_name == "Swarm A"
    assert [one.identifier for one in pyaurorax.sources.get_using_filters(program="swarm")] == [3, 29, 30]
    assert pyaurorax.sources.get_stats(3).ephemeris_count > 0
    (counted,) = pyaurorax.availability.ephemeris(date(2020, 1, 1), date(2020, 1, 2), platform="swarma")
    assert counted.available_ephemeris == {"2020-01-01": 1440, "2020-01-02": 1440}
    assert pyaurorax.availability.data_products(date(2020, 1, 1), date(2020, 1, 1), program="trex")

    schema = pyaurorax.metadata.get_ephemeris_schema(3)
    assert "nbtrace_region" in {field["field_name"] for field in schema}
    assert pyaurorax.metadata.get_data_products_schema(3) == []


def test_metadata_are_held_to_types_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    """The original compares names alone."""
    schema: list[dict[str, Any]] = [
        {"field_name": "region", "data_type": "string", "allowed_values": ["north", "south"]},
        {"field_name": "kp", "data_type": "double"},
    ]
    assert pyaurorax.metadata.validate(schema, {"region": "north", "kp": 5.5})
    assert capsys.readouterr().out == ""
    assert not pyaurorax.metadata.validate(schema, {"region": "west", "kp": 5.5})
    assert capsys.readouterr().out == "Metadata invalid, region: 'west' is not allowed; allowed are north, south\n"
    assert not pyaurorax.metadata.validate(schema, {"region": "north"}, quiet=True)
    assert capsys.readouterr().out == ""


def test_b_traces_of_a_place() -> None:
    """In its own hemisphere a place is its own trace."""
    place = pyaurorax.Location(56, 20)
    trace = pyaurorax.util.ground_geo_to_nbtrace(place, START)
    assert (trace.lat, trace.lon) == (56, 20)
    pytest.importorskip("aacgmv2")
    trace = pyaurorax.util.ground_geo_to_sbtrace(place, START)
    assert trace.lat is not None and trace.lon is not None
    assert (trace.lat // 1, trace.lon // 1) == (-48, 39)


def test_any_request_can_be_made() -> None:
    """`AuroraXRequest`, which scripts use for what has no function."""
    url = f"{pyaurorax.api.get_base_url()}/api/v1/data_sources/3"
    answer = pyaurorax.api.AuroraXRequest(method="get", url=url, params={"format": "basic_info"}).execute()
    assert (answer.status_code, answer.data["platform"]) == (200, "swarma")
    assert repr(answer) == "AuroraXAPIResponse [200] (OK)"


@pytest.mark.parametrize("name", ["", *(module.name for module in pkgutil.walk_packages(pyaurorax.__path__, "."))])
def test_nothing_is_offered_that_is_not_meant_for_users(name: str) -> None:
    """A notebook lists what follows a dot: not what a module has imported for itself."""
    module = importlib.import_module(f"{pyaurorax.__name__}{name}")
    if "._" in name or name == ".search":  # nobody's; and a package whose modules are meant, too
        assert set(module.__all__) <= set(dir(module))
    else:
        assert set(dir(module)) == set(module.__all__)


def test_a_function_for_a_search_says_what_it_takes() -> None:
    """What the search object takes, under its own name and in its own module."""
    for module in (pyaurorax.conjunctions, pyaurorax.ephemeris, pyaurorax.data_products):
        assert inspect.signature(module.search_async) == inspect.signature(module.Search)
        assert (module.search_async.__name__, module.search_async.__module__) == ("search_async", module.__name__)
