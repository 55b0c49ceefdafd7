"""The drop-in beside its model: the same names, the same parameters, the same answers of one service.

Where it differs on purpose, the difference is written down here, so that there are no others.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import date, datetime
from io import StringIO
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from aurora_async.compat import pyaurorax as ours

pytestmark = pytest.mark.peers

START, END = datetime(2020, 1, 1), datetime(2020, 1, 1, 6, 59, 59)

MODULES = (
    "", "exceptions", "search", "search.api", "search.availability", "search.conjunctions", "search.data_products",
    "search.ephemeris", "search.location", "search.metadata", "search.metadata_filters", "search.requests",
    "search.sources", "search.util",
)  # fmt: skip
MANAGERS = (
    "sources", "availability", "conjunctions", "conjunctions.swarmaurora", "ephemeris", "data_products", "metadata",
    "requests", "util",
)  # fmt: skip

# The half that downloads, reads and plots image files.
OTHER_HALF = {"data", "models", "tools", "srs_obj", "pyaurorax"}


def public(scope: Any) -> dict[str, Any]:
    """The names that a user may write after a dot, without what a module has only imported from elsewhere."""
    found = {name: getattr(scope, name) for name in dir(scope) if not name.startswith("_") and name not in OTHER_HALF}
    own = ("pyaurorax", "aurora_async")
    return {
        name: value
        for name, value in found.items()
        if not name.startswith(("func_", "module_"))
        and name != "classes"
        and (getattr(value, "__module__", None) or getattr(value, "__name__", None) or own[0]).startswith(own)
        and (not inspect.ismodule(value) or value.__name__.startswith(own))
        and not isinstance(value, bool)
    }


def parameters(function: Any) -> list[tuple[str, Any]]:
    """Names, order and defaults; an empty list, tuple or dictionary, or None for one of them, are the same default."""

    def default(parameter: inspect.Parameter) -> Any:
        value = parameter.default
        if isinstance(value, tuple | list):
            return list(value)
        # attrs makes the default in its own way.
        return "made anew" if value == {} or type(value).__name__ in ("_Nothing", "Factory") else value

    found = inspect.signature(function).parameters.values()
    return [(one.name, default(one)) for one in found if one.name != "self"]


def same(one: list[tuple[str, Any]], other: list[tuple[str, Any]]) -> bool:
    """Whether two lists of parameters take the same calls."""
    empty = ([], None, "made anew")
    return len(one) == len(other) and all(
        name == its_name and (value == its_value or (value in empty and its_value in empty))
        for (name, value), (its_name, its_value) in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_there_with_the_same_parameters(pyaurorax: ModuleType, module: str) -> None:
    """Classes, their methods and properties, functions and constants."""
    theirs = importlib.import_module(f"pyaurorax.{module}".rstrip("."))
    mine = importlib.import_module(f"aurora_async.compat.pyaurorax.{module}".rstrip("."))
    names = public(theirs)
    assert names
    for name, value in names.items():
        if inspect.ismodule(value):
            continue  # those that are imported by name are in the list above
        assert hasattr(mine, name), f"{module}.{name} is missing"
        counterpart = getattr(mine, name)
        if not inspect.isclass(value):
            assert counterpart == value
        elif issubclass(value, Exception):
            assert issubclass(counterpart, ours.AuroraXError)
        else:
            check_class(value, counterpart)


def check_class(theirs: type[Any], mine: type[Any]) -> None:
    """Hold a class to its model."""
    name = theirs.__name__
    assert same(parameters(theirs), parameters(mine)), f"{name}{inspect.signature(mine)}"
    fields = {one.name for one in getattr(mine, "__attrs_attrs__", ())}
    for member, value in public(theirs).items():
        if member in fields:
            continue
        assert hasattr(mine, member) or member in vars(theirs), f"{name}.{member} is missing"
        if inspect.isfunction(value):
            assert same(parameters(value), parameters(getattr(mine, member))), f"{name}.{member}"


@pytest.mark.parametrize("manager", MANAGERS)
def test_every_verb_is_there_with_the_same_parameters(
    pyaurorax: ModuleType, aurorax: Any, base_url: str, manager: str
) -> None:
    """What a notebook calls: `aurorax.search.sources.list(…)`."""
    theirs, mine = aurorax.search, ours.PyAuroraX(api_base_url=base_url).search
    for part in manager.split("."):
        theirs, mine = getattr(theirs, part), getattr(mine, part)
    verbs = {name: value for name, value in public(theirs).items() if callable(value)}
    assert verbs
    for name, verb in verbs.items():
        mine_parameters = parameters(getattr(mine, name))
        assert same(parameters(verb), mine_parameters), f"{manager}.{name}: {mine_parameters}"


def test_the_search_manager_has_all_classes_and_constants(aurorax: Any, base_url: str) -> None:
    """Scripts write `aurorax.search.FORMAT_FULL_RECORD` and `aurorax.search.Location(…)`."""
    mine = ours.PyAuroraX(api_base_url=base_url).search
    for name, value in public(aurorax.search).items():
        assert hasattr(mine, name), name
        if isinstance(value, str):
            assert getattr(mine, name) == value


def test_objects_have_the_same_attributes(pyaurorax: ModuleType) -> None:
    """Notebooks make tables of `__dict__`; what is private is nobody's business."""
    for one, other in zip(make_all(pyaurorax), make_all(ours), strict=True):
        attributes = [name for name in vars(one) if not name.startswith("_")]
        assert [name for name in attributes if name not in vars(other) and not hasattr(other, name)] == []


def make_all(client: Any) -> Iterator[Any]:
    """One object of every class that needs no service."""
    search = client.search
    aurorax = client.PyAuroraX(api_base_url="http://127.0.0.1:9")
    source = search.DataSource(3, "swarm", "swarma", "footprint", "leo", "Swarm A")
    place = search.Location(51.05, -114.07)
    expression = search.MetadataFilterExpression("nbtrace_region", ["north polar cap", "north cusp"])
    filters = search.MetadataFilter([expression], operator="OR")
    yield source
    yield search.sources.DataSourceStatistics(5, 6, START, END)
    yield place
    yield expression
    yield filters
    yield search.GroundCriteriaBlock(programs=["rego"], metadata_filters=filters)
    yield search.SpaceCriteriaBlock(programs=["swarm"], hemisphere=["northern"])
    yield search.EventsCriteriaBlock(platforms=["toshi"])
    yield search.CustomLocationsCriteriaBlock([(51.05, -114.07), (58.0, -94.0)])
    yield search.AvailabilityResult(source, available_ephemeris={"2020-01-01": 1440})
    yield search.EphemerisData(source, START, place, place, search.Location(), place, {"state": "definitive"})
    yield search.DataProductData(source, "keogram", START, END, "https://example.org/keograms/one.png", {"a": 1})
    yield search.Conjunction("nbtrace", START, END, [source, source], 1.234, 5.678, [{"start": START}], START, END)
    yield search.ConjunctionSearch(aurorax, START, END, 500, ground=[{"programs": ["rego"]}], space=[{}])
    yield search.EphemerisSearch(aurorax, START, END, programs=["swarm"])
    yield search.DataProductSearch(aurorax, START, END, programs=["trex"])
    yield search.api.AuroraXAPIResponse(None, None, 202)


def printed(thing: Any) -> str:
    """What an object prints of itself in full, where it can."""
    if not hasattr(thing, "pretty_print"):
        return ""
    with redirect_stdout(StringIO()) as out:
        thing.pretty_print()
    return out.getvalue()


def test_objects_look_the_same(pyaurorax: ModuleType) -> None:
    """`print(thing)` and `thing.pretty_print()`, to the letter."""
    for one, other in zip(make_all(pyaurorax), make_all(ours), strict=True):
        assert (repr(other), str(other)) == (repr(one), str(one))
        assert printed(one) in ("", printed(other))


Call = Callable[[Any, Any], Any]

CALLS: dict[str, Call] = {
    "conjunctions": lambda search, _: search.conjunctions.search(
        START, END, 500, ground=[{"programs": ["themis-asi"]}], space=[search.SpaceCriteriaBlock(programs=["swarm"])],
        poll_interval=0.05,
    ).data,
    "conjunctions, distances by pair": lambda search, _: search.conjunctions.search(
        START, END, {"ground1-space1": None, "space1-adhoc1": 900, "ground1-adhoc1": None},
        ground=[search.GroundCriteriaBlock(platforms=["gillam"])],
        space=[search.SpaceCriteriaBlock(programs=["swarm"])],
        custom_locations=[search.CustomLocationsCriteriaBlock([(56.3, -94.6)])], conjunction_types=["geographic"],
        poll_interval=0.05,
    ).data,
    "conjunctions, a raw query": lambda search, _: search.conjunctions.search_from_raw_query(
        {
            "start": "2020-01-01T00:00:00.000Z", "end": "2020-01-01T06:59:59.000Z",
            "ground": [{"programs": ["themis-asi"]}], "space": [{"programs": ["swarm"]}], "events": [], "adhoc": [],
            "conjunction_types": ["nbtrace"], "max_distances": {"ground1-space1": 500}, "epoch_search_precision": 60,
        },
        poll_interval=0.05,
    ).data,
    "conjunctions in a response format": lambda search, _: search.conjunctions.search(
        START, END, 500, ground=[{"programs": ["themis-asi"]}], space=[{"programs": ["swarm"]}], poll_interval=0.05,
        response_format={"start": True, "closest_epoch": True, "events": {"end": True, "e1_source": {"program": True}}},
    ).data,
    "ephemeris": lambda search, _: search.ephemeris.search(
        START, END, platforms=["swarma", "gillam"], poll_interval=0.05
    ).data,
    "ephemeris in a response format": lambda search, _: search.ephemeris.search(
        START, END, platforms=["swarma"], poll_interval=0.05,
        response_format={"epoch": True, "nbtrace": {"lat": True, "lon": True}, "metadata": True},
    ).data,
    "ephemeris, filtered": lambda search, _: search.ephemeris.search(
        START, END, programs=["swarm"], poll_interval=0.05, metadata_filters_logical_operator="or",
        metadata_filters=[{"key": "nbtrace_region", "operator": "=", "values": ["north polar cap"]}],
    ).data,
    "data products": lambda search, _: search.data_products.search(
        START, datetime(2020, 1, 2), programs=["trex"], data_product_types=["keogram"], poll_interval=0.05
    ).data,
    "sources": lambda search, _: search.sources.list(program="swarm", include_stats=True),
    "sources, by another column": lambda search, _: search.sources.list(
        program="trex", order="platform", format="basic_info"
    ),
    "sources, searched": lambda search, _: search.sources.search(programs=["rego"], platforms=["gillam"]),
    "source, by names": lambda search, _: search.sources.get("trex", "fort smith", "RGB ASI", format="with_metadata"),
    "source, by identifier": lambda search, _: search.sources.get_using_identifier(3),
    "sources, in a table": lambda search, _: search.sources.list_in_table(program="trex", limit=4, table_max_width=70),
    "availability": lambda search, _: search.availability.ephemeris(
        date(2020, 1, 1), date(2020, 1, 3), program="swarm"
    ),
    "availability of products": lambda search, _: search.availability.data_products(
        date(2020, 1, 1), date(2020, 1, 1), program="trex", slow=True
    ),
    "schema": lambda search, _: sorted(
        (sorted(field.items(), key=str) for field in search.metadata.get_ephemeris_schema(3)), key=str
    ),
    "schema that is none": lambda search, _: search.metadata.get_data_products_schema(3),
    "response format of conjunctions": lambda search, _: search.conjunctions.create_response_format_template(),
    "response format of ephemeris": lambda search, _: search.ephemeris.create_response_format_template(default=False),
    "response format of products": lambda search, _: search.data_products.create_response_format_template(),
    "distances": lambda search, _: search.conjunctions.create_advanced_distance_combos(
        5, ground=2, space=1, events=1, custom=1
    ),
    "description": lambda search, _: search.conjunctions.describe(
        query_dict={
            "start": "2020-01-01T00:00:00", "end": "2020-01-01T06:00:00", "ground": [{"programs": ["rego"]}],
            "space": [{"programs": ["swarm"]}], "max_distances": {"ground1-space1": 500},
        }
    ),
    "description of a search": lambda search, client: search.EphemerisSearch(
        client, START, END, programs=["swarm"]
    ).describe(),
    "a page at Swarm-Aurora": lambda search, _: search.conjunctions.swarmaurora.get_url(
        SimpleNamespace(request_id="86b5e7b0-fe87-424a-a894-dd8c80f7beaa")
    ),
    "b-traces": lambda search, _: [
        search.util.ground_geo_to_nbtrace(search.Location(-56, 20), START),
        search.util.ground_geo_to_sbtrace(search.Location(56, 20), START),
        search.util.ground_geo_to_nbtrace(search.Location(56, 20), START),
    ],
}  # fmt: skip


def shape(value: Any) -> Any:
    """Anything that a call returns as plain values, with the names of the classes kept."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [shape(item) for item in value]
    if type(value).__module__.startswith(("pyaurorax.", "aurora_async.")):
        attributes = {name.rpartition("__")[2]: shape(item) for name, item in vars(value).items()}
        return type(value).__name__, attributes, repr(value)
    return value


@pytest.mark.parametrize("call", CALLS)
def test_the_same_call_gives_the_same_answer(aurorax: Any, base_url: str, call: str) -> None:
    """Values, classes, attributes in order, reprs and prints, of one service."""
    mine = ours.PyAuroraX(api_base_url=base_url)
    with redirect_stdout(StringIO()) as their_prints:
        expected = CALLS[call](aurorax.search, aurorax)
    with redirect_stdout(StringIO()) as our_prints:
        found = CALLS[call](mine.search, mine)
    assert shape(found) == shape(expected)
    assert our_prints.getvalue() == their_prints.getvalue()
    assert found or our_prints.getvalue() or call == "schema that is none"


ERRORS: dict[str, Call] = {
    "a source that is none": lambda search, _: search.sources.get("a", "b", "c"),
    "an identifier that is none": lambda search, _: search.sources.get_using_identifier(12345678),
    "a request that is none": lambda search, client: search.requests.get_status(
        f"{client.api_base_url}/api/v1/ephemeris/requests/some-bad-request-id"
    ),
    "half a place": lambda search, _: search.Location(1, None),
    "an operator": lambda search, _: search.MetadataFilterExpression("k", 1, "like"),
    "too many blocks": lambda search, _: search.conjunctions.search(START, END, 500, ground=[{"programs": ["x"]}] * 11),
    "no sources": lambda search, _: search.ephemeris.search(START, END),
    "nothing to describe": lambda search, _: search.conjunctions.describe(),
    "no key": lambda search, _: search.requests.list(),
    "a wrong block": lambda search, _: search.conjunctions.search(START, END, 500, ground=[5]),
    "a search type": lambda search, _: search.requests.list(search_type="bad"),
}  # fmt: skip


@pytest.mark.parametrize("call", ERRORS)
def test_what_catches_their_error_catches_ours(pyaurorax: ModuleType, aurorax: Any, base_url: str, call: str) -> None:
    """`except` clauses go on working: ours is, by name, at least all that theirs is."""
    mine = ours.PyAuroraX(api_base_url=base_url)
    with pytest.raises(Exception) as theirs:
        ERRORS[call](aurorax.search, aurorax)
    with pytest.raises(Exception) as found:
        ERRORS[call](mine.search, mine)
    names = {one.__name__ for one in type(found.value).__mro__}
    assert {one.__name__ for one in type(theirs.value).__mro__} <= names


def test_verbose_searches_print_the_same_lines(aurorax: Any, base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without times, identifiers and the number of looks, of which ours are as many as are needed."""

    def lines(client: Any) -> list[str]:
        search = client.search.ephemeris.search(START, END, platforms=["swarma"], poll_interval=0.05, verbose=True)
        text = capsys.readouterr().out.replace(search.request_id, "ID")
        said = [re.sub(r"^\[[^]]*\] ", "", line) for line in text.splitlines()]
        return [line for line in said if line != "Checking for data ..."]

    assert lines(ours.PyAuroraX(api_base_url=base_url)) == lines(aurorax)
