"""Rules of faults: read from plain data and files, and refused where they cannot be meant."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from aurora_async.errors import InvalidInput
from aurora_async.server import rules
from aurora_async.server.rules import FaultRule, read_rules, rules_of


@pytest.mark.parametrize(
    ("document", "field", "reason"),
    [
        ([{"status": 503}, {"cut_after": -1}], "faults[1].cut_after", "-1 is not a whole number, 0 or more"),
        ({"faults": [{"cut_after": True}]}, "faults[0].cut_after", "True is not"),
        ({"cut_at": 1.5}, "faults[0].cut_at", "from 0 to 1, request, answer or headers"),
        ({"cut_at": "body"}, "faults[0].cut_at", "from 0 to 1, request, answer or headers"),
        ({"cut_att": 0.5}, "faults[0].cut_att", "do you mean cut_at?"),
        ({"zzz": 1}, "faults[0].zzz", "use path, method"),
        ({"status": 99}, "faults[0].status", "from 200 to 599"),
        ({"status": "503"}, "faults[0].status", "'503' is not a status"),
        ({"status": 503, "nth": [1, 0]}, "faults[0].nth", "or several of them"),
        ({"status": 503, "nth": 1, "times": 1}, "faults[0].nth", "together with times"),
        ({"status": 503, "probability": 2}, "faults[0].probability", "from 0 to 1"),
        ({"status": 503, "seed": 2}, "faults[0].seed", "needs probability"),
        ({"status": 503, "delay_s": float("nan")}, "faults[0].delay_s", "number of seconds"),
        ({"cut_at": 0.5, "cut_after": 3}, "faults[0].cut_after", "together with cut_at"),
        ({"reset": True}, "faults[0].reset", "needs cut_after or cut_at"),
        ({"body": "<p>"}, "faults[0].body", "needs status"),
        ({"headers": {"A": "b\r\nc"}}, "faults[0].headers", "table of header names"),
        ({"kept": "Date", "version": 2}, "faults[0].kept", "ETag, Last-Modified"),
        ({"expired": True, "method": "HEAD"}, "faults[0].method", "expired is decided by the request that submits"),
        ({"path": "*/data", "times": 3}, "faults[0].status", "nothing goes wrong"),
        ({}, "faults[0].status", "nothing goes wrong"),
        (["503"], "faults[0]", "not a table"),
        ("503", "faults", "not a list"),
        ({"faults": [], "more": 1}, "more", "unknown beside faults"),
        ({"fault": [{"status": 503}]}, "fault", "do you mean [[faults]]?"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_where_it_is(document: Any, field: str, reason: str) -> None:
    """A rule that is not what was meant gives a test that passes for no reason."""
    with pytest.raises(InvalidInput) as caught:
        rules_of(document)
    assert caught.value.field == field and reason in caught.value.reason


def test_rules_come_from_toml_and_json(tmp_path: Path) -> None:
    """Which of the two is told by the name."""
    toml, text = tmp_path / "faults.toml", tmp_path / "faults.json"
    toml.write_text('[[faults]]\npath = "*/data"\nnth = [1, 3]\ncut_at = 1\n\n[[faults]]\nstatus = 503\n')
    text.write_text('{"faults": [{"path": "*/data", "nth": [1, 3], "cut_at": 1.0}, {"status": 503}]}')
    assert (
        read_rules(toml)
        == read_rules(text)
        == [
            FaultRule(path="*/data", nth=(1, 3), cut_at=1.0),
            FaultRule(status=503),
        ]
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("f.toml", "[[faults]]\ncut_after = -1", r"f\.toml: faults\[0\]\.cut_after: -1 is not"),
        ("f.toml", "[[faults]", r"f\.toml: cannot be understood"),
        ("f.json", "{", r"f\.json: cannot be understood"),
        ("f.toml", "", r"f\.toml: has no rules"),
        ("f.toml", "\udcff", r"f\.toml: cannot be understood"),
        ("f.toml", None, r"f\.toml: cannot be read: No such file"),
    ],
)
def test_an_error_in_a_file_names_the_file(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    """One line, from which it can be put right."""
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InvalidInput, match=said) as caught:
        read_rules(path)
    assert len(str(caught.value).splitlines()) == 1


def test_the_example_of_the_documentation_is_right() -> None:
    """It is what people begin with."""
    assert rules.__doc__ is not None
    example = re.search(r"```toml\n(.*?)```", rules.__doc__, re.DOTALL)
    assert example is not None
    assert rules_of(tomllib.loads(example[1])) == [
        FaultRule(path="*/data", each_path=True, times=1, cut_at=0.5),
        FaultRule(path="*/requests/*", probability=0.1, status=503, retry_after_s=1),
    ]
