"""The packaged data files: complete, parsed right, and telling where they come from."""

from __future__ import annotations

import datetime as dt

import pytest

from aurora_async.server.data import (
    data_sources,
    element_sets,
    gauss_coefficients,
    metadata_schemas,
    source_texts,
    station_of_identifier,
    t89c_parameters,
)


def test_data_sources_are_all_there() -> None:
    """103 printed in full and the four of REGO; identifiers and triples are unique."""
    assert len(data_sources(with_inferred=False)) == 103
    assert len(data_sources()) == 107
    assert len({source["identifier"] for source in data_sources()}) == 107
    assert len({(s["program"], s["platform"], s["instrument_type"]) for s in data_sources()}) == 107
    for source in data_sources():
        assert {"identifier", "program", "platform", "instrument_type", "source_type", "display_name"} <= source.keys()


def test_swarm_a_is_the_full_record() -> None:
    swarm_a = next(source for source in data_sources() if source["identifier"] == 3)
    assert len(swarm_a["ephemeris_metadata_schema"]) == 11


def test_every_station_belongs_to_a_ground_source() -> None:
    kinds = {source["identifier"]: source["source_type"] for source in data_sources()}
    assert {kinds[identifier] for identifier in station_of_identifier()} == {"ground"}
    assert station_of_identifier()[46].lat_deg == 56.376723
    # The fitted position of Resolute Bay, not the listed one.
    assert station_of_identifier()[83].lat_deg == 74.731


def test_element_sets_are_whole_and_in_order() -> None:
    """81 rows of 18 spacecraft; the checksum of every line holds, and the epoch is that of the line."""
    assert sum(map(len, element_sets().values())) == 81
    assert len(element_sets()) == 18
    for sets in element_sets().values():
        assert [s.epoch for s in sets] == sorted(s.epoch for s in sets)
        for elements in sets:
            for line in (elements.line1, elements.line2):
                total = sum(int(c) if c.isdigit() else c == "-" for c in line[:68])
                assert total % 10 == int(line[68])
    assert element_sets()[3][4].epoch == pytest.approx(
        dt.datetime(2019, 12, 19, 13, 3, 25, 635000, tzinfo=dt.UTC), abs=dt.timedelta(milliseconds=1)
    )


def test_gauss_coefficients_are_igrf_14() -> None:
    table = gauss_coefficients()
    assert table.g.shape == table.h.shape == (27, 14, 14)
    assert (table.epochs[0], table.epochs[-1]) == (1900.0, 2030.0)
    at_2020 = list(table.epochs).index(2020.0)
    assert (table.g[at_2020, 1, 0], table.g[at_2020, 1, 1], table.h[at_2020, 1, 1]) == (-29403.41, -1451.37, 4653.35)


def test_t89c_has_seven_levels_of_thirty_parameters() -> None:
    assert {len(t89c_parameters(iopt)) for iopt in range(1, 8)} == {30}
    assert t89c_parameters(4)[0] == -181.69
    # Parameter 27 scales the flaring of the tail, which the model here leaves out because it is zero throughout.
    assert {t89c_parameters(iopt)[26] for iopt in range(1, 8)} == {0.0}


def test_every_file_says_where_it_comes_from() -> None:
    assert all(source_texts().values())
    assert len(metadata_schemas()["ephemeris"]["swarm/swarma/footprint (identifier 3)"]) == 11
