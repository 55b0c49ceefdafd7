"""Rules by which a local service fails: which exchanges go wrong, and how; from programs, and from files.

```toml
[[faults]]                # the first download of each result breaks off in the middle
path = "*/data"
each_path = true
times = 1
cut_at = 0.5

[[faults]]                # one status look in ten is refused
path = "*/requests/*"
probability = 0.1
status = 503
retry_after_s = 1
```
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args

import attrs
from aiohttp import web

from aurora_async.errors import InvalidInput
from aurora_async.server.site import Fate, error_answer

__all__ = ["FaultRule", "Place", "read_rules", "refuse_unknown", "rules_of"]

Place = Literal["request", "answer", "headers"]
"""When the request has arrived and nothing is done yet; when it is done and nothing is sent yet; in the middle of the
headers of the answer."""

_PLACES = get_args(Place)


def _field(
    default: Any, allowed: str, holds: Callable[[Any], bool], kind: type | UnionType, converter: Any = None
) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and default is None:
            return
        # True is an int to Python, and a mistake to whoever wrote it.
        if (isinstance(value, bool) and kind is not bool) or not isinstance(value, kind) or not holds(value):
            raise InvalidInput(attribute.name, f"{value!r} is not {allowed}")

    return attrs.field(default=default, validator=check, converter=converter)


def _seconds(default: float | None) -> Any:
    return _field(default, "a number of seconds, 0 or more", lambda value: 0 <= value < float("inf"), int | float)


def _whole(default: int | None, least: int) -> Any:
    return _field(default, f"a whole number, {least} or more", lambda value: value >= least, int)


def _offset() -> Any:
    return _field(0, "a whole number", lambda value: True, int)


def _text(default: str | None) -> Any:
    return _field(default, "a text", lambda value: True, str)


def _flag(default: bool | None = False) -> Any:
    return _field(default, "true or false", lambda value: True, bool)


def _as_float(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _is_place(value: Any) -> bool:
    return value in _PLACES if isinstance(value, str) else 0 <= value <= 1


def _place() -> Any:
    allowed = f"a part of the body from 0 to 1, {', '.join(_PLACES[:-1])} or {_PLACES[-1]}"
    return _field(None, allowed, _is_place, float | str, converter=_as_float)


def _as_tuple(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return value if isinstance(value, tuple) else (value,)


def _as_own(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _are_counts(value: tuple[Any, ...]) -> bool:
    return all(isinstance(one, int) and not isinstance(one, bool) and one >= 1 for one in value)


def _are_texts(value: tuple[Any, ...]) -> bool:
    return all(isinstance(one, str) for one in value)


def _are_validators(value: tuple[Any, ...]) -> bool:
    return all(isinstance(one, str) and one.lower() in ("etag", "last-modified") for one in value)


def _are_headers(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(part, str) and part.isprintable() for item in value.items() for part in item)


@attrs.frozen(kw_only=True)
class FaultRule:
    """Which exchanges with a local service go wrong, and how.

    Of the exchanges that `method`, `path` and `ranged` mean, those that `nth` numbers; or, past the first `skip`, every
    `every`-th with `probability`, until it was `times`. The first rule that is due decides, and those after it do not
    count the exchange; only a rule that does nothing but delay lets it go on to them.

    The last four fields decide what becomes of searches and exports that are submitted (at `*/search`, and at JSOC's
    `*/jsoc_fetch`). Those that are answered at once (`…/search_synchronous`, `url_quick`) have no such fate.
    """

    path: str = _text("*")
    """A pattern of the path, in which `*` stands for anything, strokes too."""
    method: str | None = _text(None)
    """`GET`, `POST` and so on; None means all."""
    ranged: bool | None = _flag(None)
    """True means only exchanges that ask for a part of a file, False only the others."""
    nth: tuple[int, ...] = _field(
        (), "a whole number, 1 or more, or several of them", _are_counts, tuple, converter=_as_tuple
    )
    skip: int = _whole(0, 0)
    every: int = _whole(1, 1)
    times: int | None = _whole(None, 1)
    probability: float = _field(1.0, "a number from 0 to 1", lambda value: 0 <= value <= 1, int | float)
    seed: int = _offset()
    """Of `probability`: the same exchanges are hit whenever they come in the same order."""
    each_path: bool = _flag()
    """Count for each path on its own: `times=1` then is once for each file."""

    delay_s: float = _seconds(0.0)
    """Wait this long before the request is carried out."""

    status: int | None = _field(None, "a status from 200 to 599", lambda value: 200 <= value <= 599, int)
    """Answer with this, and do not carry the request out."""
    body: str | None = _text(None)
    """Of an answer with `status`; one that begins with `<` is sent as HTML, None is an error document."""
    content_type: str | None = _text(None)
    retry_after_s: float | None = _seconds(None)
    """Of an answer with `status`."""
    retry_after_date: bool = _flag()
    """Write Retry-After as a date."""
    maintenance: bool = _flag()
    """Answer as in maintenance mode."""

    overlook: tuple[str, ...] = _field(
        (), "the name of a header, or several of them", _are_texts, tuple, converter=_as_tuple
    )
    """Headers of the request that the service does not see: `Range` ignores ranges, `If-Range` mixes versions."""
    version: int = _whole(1, 1)
    """Serve another version of a file: its ETag and Last-Modified are others, those of a made-up file its bytes too."""
    kept: tuple[str, ...] = _field((), "ETag, Last-Modified or both", _are_validators, tuple, converter=_as_tuple)
    """Validators that the other version shares with the first, although its bytes are others."""

    headers: Mapping[str, str] = _field(
        {}, "a table of header names and values", _are_headers, Mapping, converter=_as_own
    )
    """Headers of the answer; an empty text takes one away."""
    chunked: bool = _flag()
    """Send the body in chunks, with no word of its length."""
    content_length_off: int = _offset()
    """How much Content-Length says too much, or (below 0) too little."""
    content_range_off: int = _offset()
    """How many bytes later the part is said to begin and end than it does."""
    short_by: int = _whole(0, 0)
    """Leave out the last bytes of the body, with nothing in the message to show it."""
    gzip: bool = _flag()
    """Compress the body also where nobody asked for that: with `short_by`, gzip without its end."""
    malformed: bool = _flag()
    """Put a NUL into the middle of the body: no JSON any more."""

    bytes_per_s: float | None = _field(None, "a number above 0", lambda value: value > 0, int | float)
    """Send the body at this pace."""
    stall_after: int | None = _whole(None, 0)
    """Fall silent after this many bytes of the body."""
    stall_at: float | str | None = _place()
    """Fall silent after this part of the body (of this answer's, if it is a part of a file), or at a `Place`."""
    stall_s: float | None = _seconds(None)
    """Go on after this long; None waits until the client leaves or the rule is removed."""
    cut_after: int | None = _whole(None, 0)
    """Close the connection after this many bytes of the body."""
    cut_at: float | str | None = _place()
    """As `stall_at`: at `answer`, what was asked for is done and the answer is lost."""
    reset: bool = _flag()
    """Cut the connection with a reset (RST), as a crash does, not with an end (FIN)."""

    never_finishes: bool = _flag()
    """A search or export that is submitted now never ends, unless it is cancelled."""
    error_condition: str | None = _text(None)
    """A search that is submitted now fails with this line in its log, an export with this error."""
    expired: bool = _flag()
    """What is submitted now has lost its result when it ends: the data answers 404, an export's status is 5."""
    result_count_off: int = _offset()
    """How much `result_count` of a search that is submitted now is wrong, or an export's `count` of files."""

    def __attrs_post_init__(self) -> None:
        given = self.given()
        for one, others in _CONFLICTS.items():
            for other in others:
                if one in given and other in given:
                    raise InvalidInput(one, f"cannot be given together with {other}")
        for one, others in _NEEDS.items():
            if one in given and given.keys().isdisjoint(others):
                raise InvalidInput(one, f"needs {' or '.join(others)} as well")
        if given.keys() <= _CONDITIONS:
            raise InvalidInput("status", "nothing goes wrong: say what, with status, cut_at, stall_at, delay_s …")
        if self.has_fate and self.method not in (None, "GET", "POST"):
            fate = min(given.keys() & _FATES)
            raise InvalidInput(
                "method", f"{fate} is decided by the request that submits: a POST, of an export also a GET"
            )

    def given(self) -> dict[str, Any]:
        """Return the fields that are not at their default."""
        fields = attrs.fields(FaultRule)
        return {one.name: value for one in fields if (value := getattr(self, one.name)) != one.default}

    @property
    def has_fate(self) -> bool:
        """Whether it decides what becomes of a search."""
        return self.never_finishes or self.expired or self.error_condition is not None or self.result_count_off != 0

    @property
    def fate(self) -> Fate:
        """What becomes of a search."""
        return Fate(
            never_ends=self.never_finishes,
            fails_with=self.error_condition,
            expires=self.expired,
            count_off=self.result_count_off,
        )

    @property
    def only_delays(self) -> bool:
        """Whether it does nothing but wait."""
        return self.given().keys() <= _CONDITIONS | {"delay_s"}

    def answer(self) -> web.Response | None:
        """Return the answer that is given without carrying the request out, if there is one."""
        if self.maintenance:
            message = "The API is in maintenance mode. This endpoint is currently offline."
            return error_answer(503, "Unavailable", message)
        if self.status is None:
            return None
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = f"{self.retry_after_s:g}"
            if self.retry_after_date:
                until = datetime.now(UTC) + timedelta(seconds=self.retry_after_s)
                headers["Retry-After"] = format_datetime(until, usegmt=True)
        if self.body is None:
            code = _CODES.get(self.status, "ApplicationError")
            return error_answer(self.status, code, "a scripted fault of the local service", headers)
        kind = self.content_type or ("text/html" if self.body.lstrip().startswith("<") else "application/json")
        return web.Response(body=self.body.encode(), status=self.status, headers=headers | {"Content-Type": kind})


_CONDITIONS = {"path", "method", "ranged", "nth", "skip", "every", "times", "probability", "seed", "each_path"}
_FATES = {"never_finishes", "error_condition", "expired", "result_count_off"}
_CONFLICTS = {
    "nth": ("skip", "every", "times", "probability"),
    "cut_after": ("cut_at",),
    "stall_after": ("stall_at",),
    "maintenance": ("status",),
    "never_finishes": ("error_condition", "expired", "result_count_off"),
    "error_condition": ("expired", "result_count_off"),
}
_NEEDS = {
    "body": ("status",),
    "content_type": ("body",),
    "retry_after_s": ("status",),
    "retry_after_date": ("retry_after_s",),
    "kept": ("version",),
    "reset": ("cut_after", "cut_at"),
    "stall_s": ("stall_after", "stall_at"),
    "seed": ("probability",),
}
_CODES = {
    400: "AssertionError",
    401: "NotAuthorized",
    403: "NotPermitted",
    404: "NotFound",
    409: "Conflict",
    429: "ToManyRequests",
    503: "Unavailable",
}


def rules_of(document: Any) -> list[FaultRule]:
    """Read rules from plain data: one rule, a list of rules, or `{"faults": […]}`.

    Raises:
        InvalidInput: `field` says where, as in `faults[2].cut_after`.
    """
    if isinstance(document, Mapping) and "faults" in document:
        if unknown := document.keys() - {"faults"}:
            raise InvalidInput(min(unknown), "is unknown beside faults")
        document = document["faults"]
    elif isinstance(document, Mapping):
        if isinstance(document.get("fault"), list):
            raise InvalidInput("fault", "is unknown; do you mean [[faults]]?")
        document = [document]
    if not isinstance(document, list):
        raise InvalidInput("faults", "is not a list of rules")
    return [_rule_of(one, f"faults[{number}]") for number, one in enumerate(document)]


def _rule_of(document: Any, where: str) -> FaultRule:
    if not isinstance(document, Mapping):
        raise InvalidInput(where, f"{document!r} is not a table of fields")
    refuse_unknown(document, [one.name for one in attrs.fields(FaultRule)], f"{where}.")
    try:
        return FaultRule(**document)
    except InvalidInput as error:
        raise InvalidInput(f"{where}.{error.field}", error.reason) from None


def refuse_unknown(given: Iterable[object], known: Sequence[str], where: str = "") -> None:
    """Raise `InvalidInput` for a name that is not known, with the one that was meant, or all that there are."""
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"is unknown; do you mean {close[0]}?" if close else f"is unknown; use {', '.join(known)}"
            raise InvalidInput(f"{where}{name}", hint)


def read_rules(path: Path) -> list[FaultRule]:
    """Read rules from a file: JSON if its name says so, else TOML.

    Raises:
        InvalidInput: It cannot be read, or something in it is wrong.
    """
    try:
        text = path.read_text("utf-8")
        document = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read: {error.strerror}") from None
    except ValueError as error:  # of both languages, and of an encoding that is not UTF-8
        raise InvalidInput(str(path), f"cannot be understood: {error}") from None
    if document == {}:
        raise InvalidInput(str(path), "has no rules: write some under [[faults]]")
    try:
        return rules_of(document)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error.field}", error.reason) from None
