"""Queries that find something, one of each kind: what `template` prints, and what help shows."""

from __future__ import annotations

__all__ = ["EXAMPLES"]

EXAMPLES = {
    "conjunctions": """\
{"start": "2020-01-01T00:00:00", "end": "2020-01-01T06:59:59",
 "ground": [{"programs": ["themis-asi"]}],
 "space": [{"programs": ["swarm"]}],
 "conjunction_types": ["nbtrace"],
 "max_distances": {"ground1-space1": 500}}""",
    "ephemeris": """\
{"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59",
 "data_sources": {"programs": ["swarm"], "platforms": ["swarma"]}}""",
    "data_products": """\
{"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59",
 "data_sources": {"programs": ["trex"], "instrument_types": ["RGB ASI"]},
 "data_product_type_filters": ["keogram"]}""",
}
