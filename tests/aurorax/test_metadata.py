"""What a data source's schema finds wrong with metadata."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from aurora_async.aurorax import SchemaField
from aurora_async.aurorax.metadata import check_metadata, find_problems
from aurora_async.errors import InvalidInput


def field(name: str, data_type: str, *allowed: str) -> SchemaField:
    return SchemaField(field_name=name, description="", data_type=data_type, allowed_values=list(allowed))


SCHEMA = [
    field("state", "string", "definitive", "predicted"),
    field("radius", "double"),
    field("orbit", "int", "1", "2"),
    field("lit", "bool"),
    field("shape", "polygon"),
]
GOOD: dict[str, Any] = {"state": "definitive", "radius": 6700.5, "orbit": 2, "lit": False, "shape": [1, 2]}


def test_metadata_that_fit_have_no_problems() -> None:
    """A whole number is a number, None stands for a missing value, an unknown type is not judged."""
    assert find_problems(GOOD, SCHEMA) == []
    assert find_problems(GOOD | {"radius": 6700, "lit": None, "state": None, "shape": "any"}, SCHEMA) == []
    assert find_problems(None, []) == []
    assert find_problems({"at": datetime(2020, 1, 1)}, [field("at", "string")]) == []


def test_numbers_of_numpy_are_numbers() -> None:
    """Metadata are computed, as all else is."""
    numbers = {"state": np.str_("predicted"), "radius": np.float32(6700.5), "orbit": np.int16(2), "lit": np.bool_(True)}
    assert find_problems(GOOD | numbers, SCHEMA) == []
    assert find_problems(GOOD | {"radius": np.int64(6700)}, SCHEMA) == []
    (problem,) = find_problems(GOOD | {"orbit": np.int64(3)}, SCHEMA)
    assert problem.reason == "3 is not allowed; allowed are 1, 2"


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        ({"state": "guess"}, "state", "'guess' is not allowed; allowed are definitive, predicted"),
        ({"state": 3}, "state", "3 is not a text"),
        ({"radius": "6700"}, "radius", "'6700' is not a number"),
        ({"radius": float("nan")}, "radius", "nan is not a number"),
        ({"radius": True}, "radius", "True is not a number"),
        ({"orbit": 1.0}, "orbit", "1.0 is not a whole number"),
        ({"orbit": 3}, "orbit", "3 is not allowed; allowed are 1, 2"),
        ({"lit": 1}, "lit", "1 is not true or false"),
        ({"colour": "green"}, "colour", "is not a field of the schema, whose fields are: state, radius, orbit"),
    ],
)
def test_each_value_that_does_not_fit_is_named(change: dict[str, Any], name: str, reason: str) -> None:
    """Types and allowed values, both."""
    (problem,) = find_problems(GOOD | change, SCHEMA)
    assert problem.field == name
    assert problem.reason.startswith(reason)


def test_every_problem_is_told_not_only_the_first() -> None:
    """One look at a record says all that is to be mended."""
    problems = find_problems({"state": 1, "radius": "x", "extra": 0}, SCHEMA)
    assert {problem.field for problem in problems} == {"state", "radius", "extra", "orbit", "lit", "shape"}


def test_the_check_raises_for_the_first_with_its_place() -> None:
    """As an upload says it: which record, which field."""
    with pytest.raises(InvalidInput) as caught:
        check_metadata(GOOD | {"orbit": 9}, SCHEMA, field="records[17].metadata")
    assert caught.value.field == "records[17].metadata.orbit"
    check_metadata(GOOD, SCHEMA)
