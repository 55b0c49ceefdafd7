"""Response format templates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aurora_async.aurorax.formats import response_format
from aurora_async.errors import InvalidInput

SOURCE = {
    "identifier", "program", "platform", "instrument_type", "source_type", "display_name", "owner", "maintainers",
    "metadata", "ephemeris_metadata_schema", "data_product_metadata_schema",
}  # fmt: skip
SCHEMA = {"field_name", "description", "data_type", "allowed_values", "additional_description"}


def leaves(tree: dict[str, Any]) -> Iterator[Any]:
    """Yield what is at the end of every branch."""
    for below in tree.values():
        if isinstance(below, dict):
            yield from leaves(below)
        else:
            yield below


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("conjunctions", {"conjunction_type", "start", "end", "min_distance", "max_distance", "closest_epoch",
                          "farthest_epoch", "data_sources", "events"}),
        ("ephemeris", {"epoch", "metadata", "data_source", "location_geo", "location_gsm", "nbtrace", "sbtrace"}),
        ("data_products", {"start", "end", "url", "data_product_type", "metadata", "data_source"}),
    ],
)  # fmt: skip
def test_a_template_has_the_keys_of_the_records(kind: str, keys: set[str]) -> None:
    """A list is described by the format of one element."""
    template = response_format(kind)
    assert set(template) == keys
    source = template["data_sources" if kind == "conjunctions" else "data_source"]
    assert set(source) == SOURCE
    assert set(source["ephemeris_metadata_schema"]) == set(source["data_product_metadata_schema"]) == SCHEMA
    if kind == "ephemeris":
        assert set(template["nbtrace"]) == {"lat", "lon"}


def test_pairwise_conjunctions_have_sources_and_queries() -> None:
    """The filters in a generated query are spelled in camel case, there alone."""
    pair = response_format("conjunctions")["events"]
    assert set(pair["e1_source"]) == set(pair["e2_source"]) == SOURCE
    query = pair["generated_e1_ephemeris_query"]
    assert query == pair["generated_e2_ephemeris_query"]
    assert set(query) == {"request_id", "start", "end", "data_sources"}
    assert set(query["data_sources"]["ephemeris_metadata_filters"]) == {"logicalOperator", "expressions"}


def test_every_leaf_is_the_default() -> None:
    """Whoever wants three fields of fifty begins with False."""
    assert set(leaves(response_format("conjunctions"))) == {True}
    assert set(leaves(response_format("ephemeris", False))) == {False}


def test_a_template_is_the_callers_own() -> None:
    """Changing one changes no other, nor two branches at once."""
    first = response_format("conjunctions")
    first["events"]["e1_source"]["identifier"] = False
    assert first["events"]["e2_source"]["identifier"] is True
    assert response_format("conjunctions")["events"]["e1_source"]["identifier"] is True


@pytest.mark.parametrize("kind", ["sources", "", None, 5, ["ephemeris"], {}])
def test_an_unknown_kind_is_refused(kind: Any) -> None:
    """With those that exist."""
    with pytest.raises(InvalidInput, match="conjunctions, ephemeris, data_products") as caught:
        response_format(kind)
    assert caught.value.field == "kind"
