"""Metadata filters: what can be said, and what is refused before it is sent."""

from __future__ import annotations

import pickle
from typing import Any

import attrs
import msgspec
import numpy as np
import pytest

from aurora_async.aurorax.filters import OPERATORS, FilterValue, MetadataExpression, MetadataFilter, plain_number
from aurora_async.errors import InvalidQuery

ALLOWED = "use one of =, !=, <, <=, >, >=, between, in, not in"


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        ("=", ["north polar cap"]),
        ("=", [True]),
        ("!=", [0]),
        ("<", [95]),
        ("<=", [95.5]),
        (">", ["95"]),  # numbers as text, as PyAuroraX and IDL send them
        (">=", ["-9.5e1"]),
        ("between", [1, "2"]),
        ("in", ["classified as APA"]),
        ("in", ["a", "b", 3]),
        ("not in", [1, 2.5]),
    ],
)
def test_every_operator_takes_its_values(operator: str, values: list[Any]) -> None:
    """The table of the protocol, section 3.3."""
    expression = MetadataExpression("key", values, operator)
    assert expression.operator == operator
    assert expression.values == tuple(values)


def test_the_operators_are_those_of_the_service() -> None:
    """One more, and a user would learn from the server that it does not exist."""
    assert OPERATORS == ("=", "!=", "<", "<=", ">", ">=", "between", "in", "not in")


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        (("", 1), "key", "'' is not the name of a metadata field"),
        ((" ", 1), "key", "' ' is not the name of a metadata field"),
        ((None, 1), "key", "None is not the name of a metadata field"),
        (("key", 1, "~"), "operator", f"'~' is unknown; {ALLOWED}"),
        (("key", 1, "=="), "operator", f"'==' is unknown; {ALLOWED}"),
        (("key", 1, None), "operator", f"None is unknown; {ALLOWED}"),
        (("key", []), "values", "'in' needs at least one value"),
        (("key", [], "not in"), "values", "'not in' needs at least one value"),
        (("key", [], "="), "values", "'=' takes 1 value, not 0"),
        (("key", ["a", "b"], "="), "values", "'=' takes 1 value, not 2"),
        (("key", [1, 2], ">="), "values", "'>=' takes 1 value, not 2"),
        (("key", 1, "between"), "values", "'between' takes 2 values, not 1"),
        (("key", [1, 2, 3], "between"), "values", "'between' takes 2 values, not 3"),
        (("key", "high", "<"), "values", "['high']: '<' compares numbers"),
        (("key", True, ">"), "values", "[True]: '>' compares numbers"),
        (("key", ["nan", 1], "between"), "values", "['nan', 1]: 'between' compares numbers"),
        (("key", "1e999", ">"), "values", "['1e999']: '>' compares numbers"),
        (("key", None), "values", "None is neither a text, a number, a bool nor a list of them"),
        (("key", [None]), "values", "None is not a text, a finite number or a bool"),
        (("key", [["a"]]), "values", "['a'] is not a text, a finite number or a bool"),
        (("key", float("nan"), "="), "values", "nan is not a text, a finite number or a bool"),
        (("key", float("inf"), "<"), "values", "inf is not a text, a finite number or a bool"),
        (("key", b"bytes", "="), "values", "b'bytes' is neither a text, a number, a bool nor a list of them"),
        (("key", "\udcff", "="), "values", "'\\udcff' is not a text, a finite number or a bool"),
    ],
)
def test_an_expression_that_cannot_be_right_is_refused(arguments: tuple[Any, ...], field: str, reason: str) -> None:
    """The service would answer with 400, or with nothing found, which is worse."""
    with pytest.raises(InvalidQuery) as refused:
        MetadataExpression(*arguments)
    assert (refused.value.field, refused.value.reason) == (field, reason)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**400])
@pytest.mark.parametrize("operator", ["=", "<", "in"])
def test_a_number_that_json_cannot_carry_is_refused(value: int, operator: str) -> None:
    """The encoder has 64 bits, and its OverflowError would come in the middle of a batch."""
    with pytest.raises(InvalidQuery, match="is not a text, a finite number or a bool"):
        MetadataExpression("key", value, operator)


def test_a_single_value_needs_no_list() -> None:
    """`values="daily"` is one value, not five letters."""
    assert MetadataExpression("keogram_type", "daily").values == ("daily",)
    assert MetadataExpression("tii_on", True, "=").values == (True,)
    assert MetadataExpression("key", (value for value in "ab")).values == ("a", "b")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(1.5), 1.5),
        (np.float32(1.5), 1.5),
        (np.longdouble(1.5), 1.5),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.bool_(True), True),
        (np.str_("daily"), "daily"),
        (np.array(1.5), 1.5),
        (np.array("daily"), "daily"),
        (2**70, 2**70),
    ],
)
def test_a_value_of_numpy_becomes_one_of_python(value: Any, plain: FilterValue) -> None:
    """float64 is a float and str_ a str, but no encoder takes them: the search would end in a TypeError."""
    assert plain_number(value) == plain
    assert type(plain_number(value)) is type(plain)


@pytest.mark.parametrize("value", [None, np.datetime64("2020-01-01"), np.array([1.5]), np.ma.masked, b"a", ["a"]])
def test_what_is_no_single_value_stays_as_it_is(value: Any) -> None:
    """Whoever asked knows its name, and refuses it."""
    assert plain_number(value) is value


def test_an_expression_holds_values_of_python_alone() -> None:
    """One by one or as an array, and the key too."""
    assert exact(MetadataExpression(np.str_("n"), np.float64(5), np.str_(">"))) == ("n", [5.0], ">")
    assert exact(MetadataExpression("n", np.array([1, 2]), "between")) == ("n", [1, 2], "between")
    assert exact(MetadataExpression("n", np.array(["a", "b"]))) == ("n", ["a", "b"], "in")
    assert exact(MetadataExpression("n", np.bool_(False), "=")) == ("n", [False], "=")  # type: ignore[arg-type]


def exact(expression: MetadataExpression) -> tuple[Any, ...]:
    """What the encoder makes of it; it refuses every other class."""
    document = [expression.key, expression.values, expression.operator]
    return tuple(msgspec.json.decode(msgspec.json.encode(document)))


@pytest.mark.parametrize("operator", ["not in", "NOT IN", " Not  In "])
def test_operators_are_read_in_any_case(operator: str) -> None:
    """`NOT IN` is how SQL writes it."""
    assert MetadataExpression("key", 1, operator).operator == "not in"


@pytest.mark.parametrize("operator", ["or", "OR", "Or"])
def test_logical_operators_are_read_in_any_case(operator: Any) -> None:
    """PyAuroraX writes them small, the wire in capitals."""
    assert MetadataFilter([], operator).logical_operator == "OR"
    assert MetadataFilter().logical_operator == "AND"


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        (([], "XOR"), "logical_operator", "'XOR' is unknown; use AND or OR"),
        (([], None), "logical_operator", "None is unknown; use AND or OR"),
        ((["key = 1"],), "expressions", "'key = 1' is not a MetadataExpression"),
        ((5,), "expressions", "5 is not a MetadataExpression"),
        ((None,), "expressions", "None is not a MetadataExpression"),
    ],
)
def test_a_filter_that_cannot_be_right_is_refused(arguments: tuple[Any, ...], field: str, reason: str) -> None:
    """Not even a TypeError out of the depths: the field is named."""
    with pytest.raises(InvalidQuery) as refused:
        MetadataFilter(*arguments)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_a_single_expression_needs_no_list() -> None:
    """Most filters have one."""
    expression = MetadataExpression("tii_on", True, "=")
    assert MetadataFilter(expression) == MetadataFilter([expression])


def test_filters_are_values() -> None:
    """They are parts of queries, which are keys, travel to other processes, and do not change."""
    values = ["a", "b"]
    expressions = [MetadataExpression("key", values)]
    one = MetadataFilter(expressions)
    values.append("c")
    expressions.clear()
    assert one == MetadataFilter([MetadataExpression("key", ["a", "b"])]) == pickle.loads(pickle.dumps(one))
    assert len({one, MetadataFilter([MetadataExpression("key", ["a", "b"], "IN")], "and")}) == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.logical_operator = "OR"  # type: ignore[misc]
