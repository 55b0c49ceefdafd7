"""What can be asked with the official client's query classes, and that it means what it says."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

pytestmark = pytest.mark.peers

PUBLISHED = (datetime(2020, 1, 1, 0, 0, 0), datetime(2020, 1, 1, 6, 59, 59))
DAY = (datetime(2020, 1, 1, 0, 0, 0), datetime(2020, 1, 1, 23, 59, 59))

RAW_QUERY = {
    "start": "2020-01-01T00:00:00.000Z",
    "end": "2020-01-01T06:59:59.000Z",
    "conjunction_types": ["nbtrace"],
    "ground": [{"programs": ["themis-asi"], "platforms": [], "instrument_types": [], "ephemeris_metadata_filters": {}}],
    "space": [
        {
            "programs": ["swarm"],
            "platforms": [],
            "instrument_types": ["footprint"],
            "ephemeris_metadata_filters": {},
            "hemisphere": ["northern"],
        }
    ],
    "events": [],
    "max_distances": {"ground1-space1": 500},
}
"""As the web site hands it out, and as the official example files have it."""


def swarm_a(aurorax: Any, filters: Any, logic: str | None = None) -> list[Any]:
    """Return the records of a day of Swarm A that pass metadata filters."""
    search = aurorax.search.ephemeris.search(
        *DAY, programs=["swarm"], platforms=["swarma"], metadata_filters=filters,
        metadata_filters_logical_operator=logic, poll_interval=0.05,
    )  # fmt: skip
    return list(search.data)


def conjunctions(aurorax: Any, distance: Any = 500, **blocks: Any) -> list[Any]:
    """Return the conjunctions of the published time range."""
    return list(aurorax.search.conjunctions.search(*PUBLISHED, distance, poll_interval=0.05, **blocks).data)


def key_of(record: Any) -> Any:
    """What tells conjunctions apart."""
    sources = tuple(source.identifier for source in record.data_sources)
    return record.conjunction_type, record.start, record.end, sources, record.min_distance, record.max_distance


def test_a_filter_may_be_an_object_or_dictionaries(aurorax: Any, pyaurorax: Any) -> None:
    """The official examples show both; they are the same query."""
    expression = pyaurorax.search.MetadataFilterExpression("nbtrace_region", "north polar cap", operator="=")
    objects = swarm_a(aurorax, pyaurorax.search.MetadataFilter(expressions=[expression]))
    dictionaries = [{"key": "nbtrace_region", "operator": "=", "values": ["north polar cap"]}]
    assert [one.epoch for one in swarm_a(aurorax, dictionaries)] == [one.epoch for one in objects]
    assert {one.metadata["nbtrace_region"] for one in objects} == {"north polar cap"}
    assert 0 < len(objects) < 1440


def test_filters_are_joined_by_and_or_or(aurorax: Any, pyaurorax: Any) -> None:
    """OR gives the union and AND the intersection, whichever way the operator is given."""
    keys = [("nbtrace_region", "north polar cap"), ("sbtrace_region", "south polar cap")]
    expressions = [pyaurorax.search.MetadataFilterExpression(*key, operator="=") for key in keys]
    north, south = (
        {one.epoch for one in swarm_a(aurorax, pyaurorax.search.MetadataFilter([expression]))}
        for expression in expressions
    )
    wanted = {"and": north & south, "or": north | south, "AND": north & south, "OR": north | south}
    assert north and south and north != south
    for logic, epochs in wanted.items():
        found = swarm_a(aurorax, pyaurorax.search.MetadataFilter(expressions, operator=logic))
        assert {one.epoch for one in found} == epochs
        found = swarm_a(aurorax, [expression.to_query_dict() for expression in expressions], logic)
        assert {one.epoch for one in found} == epochs


def test_every_operator_of_the_client_selects_what_it_says(aurorax: Any, pyaurorax: Any) -> None:
    """The client turns a single number into text and passes lists on as they are; both must compare as numbers."""
    everything = swarm_a(aurorax, None)
    key = next(
        name
        for name, value in sorted(everything[0].metadata.items())
        if isinstance(value, float) and len({one.metadata[name] for one in everything}) > 100
    )
    values = sorted(one.metadata[key] for one in everything)
    low, high = values[len(values) // 3], values[2 * len(values) // 3]
    regions = sorted({one.metadata["nbtrace_region"] for one in everything} - {None})  # null on open field lines
    cases = [
        (key, "=", low, lambda value: value == low),
        (key, "!=", low, lambda value: value != low),
        (key, "<", low, lambda value: value < low),
        (key, "<=", low, lambda value: value <= low),
        (key, ">", low, lambda value: value > low),
        (key, ">=", low, lambda value: value >= low),
        (key, ">=", [low], lambda value: value >= low),
        (key, "between", [low, high], lambda value: low <= value <= high),
        ("nbtrace_region", "in", regions[:2], lambda value: value in regions[:2]),
        ("nbtrace_region", "not in", regions[:2], lambda value: value not in regions[:2]),
        ("nbtrace_region", "!=", regions[0], lambda value: value != regions[0]),
    ]
    for name, operator, wanted, holds in cases:
        expression = pyaurorax.search.MetadataFilterExpression(name, wanted, operator=operator)
        found = swarm_a(aurorax, pyaurorax.search.MetadataFilter([expression]))
        expected = [one.epoch for one in everything if one.metadata[name] is not None and holds(one.metadata[name])]
        assert [one.epoch for one in found] == expected, (name, operator)
        assert expected


def test_blocks_may_be_objects_or_dictionaries_with_filters(aurorax: Any, pyaurorax: Any) -> None:
    """The same conjunctions either way, fewer than without the filter."""
    search = pyaurorax.search
    polar = search.MetadataFilterExpression(key="nbtrace_region", values=["north polar cap"], operator="in")
    found = conjunctions(
        aurorax,
        ground=[search.GroundCriteriaBlock(programs=["themis-asi"], instrument_types=["panchromatic ASI"])],
        space=[search.SpaceCriteriaBlock(programs=["swarm"], metadata_filters=search.MetadataFilter([polar]))],
    )
    filters = {"logical_operator": "AND", "expressions": [polar.to_query_dict()]}
    again = conjunctions(
        aurorax,
        ground=[{"programs": ["themis-asi"], "instrument_types": ["panchromatic ASI"]}],
        space=[{"programs": ["swarm"], "ephemeris_metadata_filters": filters}],
    )
    assert 0 < len(found) < 49
    assert list(map(key_of, again)) == list(map(key_of, found))


def test_hemispheres_divide_the_published_conjunctions(aurorax: Any, pyaurorax: Any) -> None:
    """A spacecraft is over one hemisphere or the other; no hemisphere means both."""
    counts = {}
    for hemisphere in ([], ["northern"], ["southern"], ["northern", "southern"]):
        space = [pyaurorax.search.SpaceCriteriaBlock(programs=["swarm"], hemisphere=hemisphere)]
        ground = [pyaurorax.search.GroundCriteriaBlock(programs=["themis-asi"])]
        counts[tuple(hemisphere)] = len(conjunctions(aurorax, ground=ground, space=space))
    assert counts[()] == counts["northern", "southern"] == counts[("northern",)] + counts[("southern",)] == 49
    assert counts[("southern",)] > 0


def test_custom_locations_are_searched_around(aurorax: Any, pyaurorax: Any) -> None:
    """A place of the user's own is a data source with a negative identifier, which listings do not show."""
    places = [(56.354, -94.656), (51.05, -114.07)]
    block = pyaurorax.search.CustomLocationsCriteriaBlock(locations=places)
    space = [pyaurorax.search.SpaceCriteriaBlock(programs=["swarm"])]
    search = aurorax.search.conjunctions.search(*DAY, 500, space=space, custom_locations=[block], poll_interval=0.05)
    assert search.query["max_distances"] == {"space1-adhoc1": 500}
    assert search.data
    identifiers = {record.data_sources[1].identifier for record in search.data}
    assert all(identifier < 0 for identifier in identifiers)
    assert {record.data_sources[1].source_type for record in search.data} == {"not_applicable"}
    # THEMIS-ASI Gillam stands at the first place: what came by there came by it as well.
    ground = [{"programs": ["themis-asi"], "platforms": ["gillam"]}]
    gillam = aurorax.search.conjunctions.search(*DAY, 500, ground=ground, space=space, poll_interval=0.05)
    starts = {record.start for record in search.data}
    assert gillam.data and sum(record.start in starts for record in gillam.data) >= 0.8 * len(gillam.data)
    listed = aurorax.search.sources.list()
    assert all(source.identifier > 0 for source in listed)
    adhoc = [{"locations": [{"lat": lat, "lon": lon} for lat, lon in places]}]
    again = aurorax.search.conjunctions.search(*DAY, 500, space=space, custom_locations=adhoc, poll_interval=0.05)
    assert list(map(key_of, again.data)) == list(map(key_of, search.data))


def test_conjunction_types_add_up(aurorax: Any) -> None:
    """Each record says of which type it is, and no type at all means the northern traces, as on the real service."""
    blocks = {"ground": [{"programs": ["themis-asi"]}], "space": [{"programs": ["swarm"]}]}
    every = conjunctions(aurorax, conjunction_types=["nbtrace", "sbtrace", "geographic"], **blocks)
    for kind in ("nbtrace", "sbtrace", "geographic"):
        alone = conjunctions(aurorax, conjunction_types=[kind], **blocks)
        assert sorted(map(key_of, alone)) == sorted(key_of(one) for one in every if one.conjunction_type == kind)
        assert alone
    none = conjunctions(aurorax, conjunction_types=[], **blocks)
    assert len(none) == 49 and {one.conjunction_type for one in none} == {"nbtrace"}


def test_advanced_distances_limit_each_pair(aurorax: Any, pyaurorax: Any) -> None:
    """`create_advanced_distance_combos` gives every pair; None leaves one without limit."""
    combos = aurorax.search.conjunctions.create_advanced_distance_combos(distance=400, ground=2, space=1)
    assert combos == {"ground1-ground2": 400, "ground1-space1": 400, "ground2-space1": 400}
    combos["ground1-ground2"] = None
    blocks = {
        "ground": [pyaurorax.search.GroundCriteriaBlock(programs=[name]) for name in ("themis-asi", "rego")],
        "space": [pyaurorax.search.SpaceCriteriaBlock(programs=["swarm"])],
    }
    found = conjunctions(aurorax, combos, **blocks)
    assert found
    for record in found:
        programs = [source.program for source in record.data_sources]
        assert programs == ["themis-asi", "rego", "swarm"]
        pairs = {(event["e1_source"]["program"], event["e2_source"]["program"]) for event in record.events}
        assert pairs == {("themis-asi", "swarm"), ("rego", "swarm")}
        assert record.max_distance <= 400
    # A limit on the distance between the imagers keeps some of these, and adds its own pair.
    near = conjunctions(aurorax, combos | {"ground1-ground2": 100}, **blocks)
    together = {key_of(record)[1:4] for record in found}
    assert near and len(near) < len(found) and {key_of(record)[1:4] for record in near} <= together
    # What is left out is filled in by the client as no limit.
    partial = conjunctions(aurorax, {"ground1-space1": 400, "ground2-space1": 400}, **blocks)
    assert list(map(key_of, partial)) == list(map(key_of, found))


def test_too_many_blocks_are_refused_by_the_client_itself(aurorax: Any, pyaurorax: Any) -> None:
    """And ten, the most it lets through, are accepted by the service."""
    # Stations that lie together are all dark, and so have all records, at the same hours.
    sites = (
        "gillam",
        "the pas",
        "pinawa",
        "sanikiluaq",
        "kapuskasing",
        "kuujjuaq",
        "rankin inlet",
        "taloyoak",
        "athabasca",
    )
    ground = [{"programs": ["themis-asi"], "platforms": [site]} for site in sites]
    space = [{"programs": ["swarm"]}]
    combos = aurorax.search.conjunctions.create_advanced_distance_combos(ground=9, space=1)
    combos |= {"ground1-space1": 500}
    search = pyaurorax.search.ConjunctionSearch(aurorax, *DAY, combos, ground=ground, space=space)
    search.execute()
    search.wait(poll_interval=0.05)
    search.get_data()
    assert {len(record.data_sources) for record in search.data} == {10}
    search = pyaurorax.search.ConjunctionSearch(aurorax, *PUBLISHED, 500, ground=[*ground, *ground], space=space)
    with pytest.raises(pyaurorax.AuroraXError, match="Number of criteria blocks exceeds 10"):
        search.execute()


@pytest.mark.parametrize("as_text", [False, True], ids=["dictionary", "text"])
def test_a_raw_query_of_the_web_site_can_be_run(aurorax: Any, as_text: bool) -> None:
    """With fractions and zones in its timestamps; 44 of the 49 published conjunctions are northern by this model."""
    query = json.dumps(RAW_QUERY) if as_text else dict(RAW_QUERY)
    search = aurorax.search.conjunctions.search_from_raw_query(query, poll_interval=0.05)
    space = [{"programs": ["swarm"], "hemisphere": ["northern"]}]
    same = conjunctions(aurorax, ground=[{"programs": ["themis-asi"]}], space=space)
    assert sorted(map(key_of, search.data)) == sorted(map(key_of, same))


def test_a_raw_query_with_custom_locations_and_old_precision_can_be_run(aurorax: Any) -> None:
    """`adhoc` and `epoch_search_precision` are the names that stored queries have."""
    adhoc = [{"locations": [{"lat": 56.354, "lon": -94.656}]}]
    limits = {"space1-adhoc1": 500}
    query = RAW_QUERY | {"ground": [], "adhoc": adhoc, "epoch_search_precision": 60, "max_distances": limits}
    search = aurorax.search.conjunctions.search_from_raw_query(query, poll_interval=0.05, verbose=True)
    assert search.data
    # The deprecated 30 s become `subminute_precision`.
    query |= {"epoch_search_precision": 30}
    finer = aurorax.search.conjunctions.search_from_raw_query(query, return_immediately=True)
    assert finer.query["subminute_precision"] is True
    finer.wait(poll_interval=0.05)
    finer.get_data()
    assert len(finer.data) >= len(search.data)


@pytest.mark.parametrize("missing", ["start", "end", "max_distances"])
def test_a_raw_query_needs_its_three_keys(aurorax: Any, pyaurorax: Any, missing: str) -> None:
    """The client says so before it asks the service."""
    query = {name: value for name, value in RAW_QUERY.items() if name != missing}
    with pytest.raises(pyaurorax.AuroraXError, match=f"'{missing}' parameter is missing"):
        aurorax.search.conjunctions.search_from_raw_query(query)


def test_subminute_precision_is_accepted(aurorax: Any) -> None:
    """The newest field of the query: results may start and end between whole minutes, and none is lost."""
    blocks = {"ground": [{"programs": ["themis-asi"], "platforms": ["gillam"]}], "space": [{"programs": ["swarm"]}]}
    by_minute = conjunctions(aurorax, **blocks)
    assert list(map(key_of, conjunctions(aurorax, subminute_precision=False, **blocks))) == list(map(key_of, by_minute))
    finer = conjunctions(aurorax, subminute_precision=True, **blocks)
    assert len(finer) >= len(by_minute)
    assert {record.start.second for record in finer} <= {0, 30}


def test_traces_of_the_ground_need_no_service(pyaurorax: Any, aurorax: Any) -> None:
    """And agree with the numbers of the official test suite."""
    moment = datetime(2020, 1, 1)
    north = aurorax.search.util.ground_geo_to_nbtrace(pyaurorax.search.Location(lat=-56.0, lon=20.0), moment)
    south = aurorax.search.util.ground_geo_to_sbtrace(pyaurorax.search.Location(lat=56.0, lon=20.0), moment)
    assert (north.lat // 1, north.lon // 1) == (58, -9)
    assert (south.lat // 1, south.lon // 1) == (-48, 39)
    here = pyaurorax.search.Location(lat=56.0, lon=20.0)
    assert aurorax.search.util.ground_geo_to_nbtrace(here, moment) is here
