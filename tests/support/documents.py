"""The three kinds of AuroraX record as the service writes them, with all that JSON and the record classes allow."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from aurora_async.aurorax import Conjunction, DataProduct, Ephemeris

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["fort smith", "é", "\U0001f30c", 'say "a,b"', "line\r\nbreak", "\0", "", "null"]
)
instants = st.builds(
    lambda text, fraction, zone: text + fraction + zone,
    st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds")),
    st.sampled_from(["", ".5", ".000001"]),
    st.sampled_from(["", "Z"]),
)
int64 = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
metadata = st.none() | st.dictionaries(texts, plain, max_size=3)
places = st.none() | st.fixed_dictionaries({"lat": st.none() | floats, "lon": st.none() | floats})
sources = st.fixed_dictionaries(
    {"identifier": int64},
    optional={
        "program": st.none() | texts,
        "platform": st.none() | texts,
        "instrument_type": texts,
        "metadata": metadata,
        "maintainers": st.none() | st.lists(texts, max_size=2),
        "ephemeris_metadata_schema": st.lists(
            st.fixed_dictionaries({"field_name": texts, "description": texts, "allowed_values": st.lists(texts)}),
            max_size=2,
        ),
        "a field of tomorrow": plain,
    },
)
ephemeris = st.fixed_dictionaries(
    {"data_source": sources, "epoch": instants}
    | dict.fromkeys(("location_geo", "location_gsm", "nbtrace", "sbtrace"), places),
    optional={"metadata": metadata},
)
products = st.fixed_dictionaries(
    {"data_source": sources, "data_product_type": texts, "start": instants, "end": instants, "url": texts},
    optional={"metadata": metadata},
)
_pair = {"conjunction_type": texts, "start": instants, "end": instants, "min_distance": floats, "max_distance": floats}
conjunctions = st.fixed_dictionaries(
    {
        **_pair,
        "closest_epoch": instants,
        "farthest_epoch": instants,
        "data_sources": st.lists(sources, min_size=2, max_size=2),
        "events": st.lists(
            st.fixed_dictionaries(
                {**_pair, "e1_source": sources, "e2_source": sources},
                optional={"generated_e1_ephemeris_query": metadata},
            ),
            max_size=2,
        ),
    }
)

RECORDS: dict[type[Any], st.SearchStrategy[dict[str, Any]]] = {
    Conjunction: conjunctions,
    Ephemeris: ephemeris,
    DataProduct: products,
}
