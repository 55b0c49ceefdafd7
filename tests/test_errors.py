"""The tree of errors: drawn as it is, carried between processes, said in one line."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest

from aurora_async import errors
from aurora_async.errors import (
    AtCapacity,
    AuroraError,
    ClientClosed,
    ConnectTimeout,
    DeadlineExceeded,
    DiskFull,
    HttpError,
    InvalidInput,
    MaintenanceMode,
    MalformedAnswer,
    MissingExtra,
    NotFound,
    ReadTimeout,
    RequestError,
    ResultMissing,
    TransferError,
    TransportError,
    WrongContent,
    bare,
    raise_bare,
)

CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, Exception) and value.__module__ == errors.__name__
]
URL = "https://api.aurorax.space/api/v1/conjunctions/search"
TARGET = Path("/data/result.json")


def made(kind: type[AuroraError]) -> AuroraError:
    """Build an instance with every fact that its class can carry."""
    if issubclass(kind, InvalidInput):
        return kind("space[1].hemisphere", "'north' is unknown; use one or more of northern, southern")
    if kind is MissingExtra:
        return MissingExtra("parquet", "pyarrow")
    if issubclass(kind, HttpError):
        return kind("POST", URL, 418, "Conflict", "still in use", 2.5)
    if issubclass(kind, TransportError):
        return kind("GET", URL, "nothing was heard in time")
    if kind is AtCapacity:
        return AtCapacity("3 requests are pending")
    if kind is ResultMissing:
        return ResultMissing(URL, {"error": {"error_code": "NotFound"}})
    if issubclass(kind, MalformedAnswer):
        return kind(URL, "$.result[3].epoch", "Expected `str`, got `int`")
    if kind is DeadlineExceeded:
        return DeadlineExceeded("waiting for conjunctions", 30.0, "86b5e7b0")
    if issubclass(kind, RequestError):
        return kind("86b5e7b0", "out of memory")
    if kind is WrongContent:
        return WrongContent(URL, TARGET, "its length is wrong", expected=1440, found=1439)
    if kind is DiskFull:
        return DiskFull(URL, TARGET, "no space left", written_bytes=4096)
    if issubclass(kind, TransferError):
        return kind(URL, TARGET, "cut")
    return kind()


every_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def drawn_tree() -> dict[str, tuple[str | None, list[str]]]:
    """Read the module's docstring: name → (name of the parent, names of foreign parents)."""
    tree: dict[str, tuple[str | None, list[str]]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^    ([│ ├└─]*)([A-Z]\w+)(?: \((\w+)\))?", line):
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            tree[found[2]] = (path[depth - 1] if depth else None, [found[3]] if found[3] else [])
    return tree


def test_the_tree_is_drawn_as_it_is() -> None:
    """The docstring is what people read before they write `except`."""
    real = {}
    for kind in CLASSES:
        ours = [base.__name__ for base in kind.__bases__ if base in CLASSES]
        others = [base.__name__ for base in kind.__bases__ if base not in CLASSES and base is not Exception]
        assert len(ours) == (kind is not AuroraError)
        real[kind.__name__] = (ours[0] if ours else None, others)
    assert drawn_tree() == real


def test_every_class_is_exported() -> None:
    """Whoever gets an error must be able to import its class."""
    assert sorted(errors.__all__) == sorted([*(kind.__name__ for kind in CLASSES), "bare", "raise_bare"])


@every_class
@pytest.mark.parametrize(
    "carried",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deep"],
)
def test_errors_survive_the_way_to_another_process(kind: type[AuroraError], carried: object) -> None:
    """A batch runs in worker processes and on clusters: what went wrong there must be readable here."""
    error = made(kind)
    again = carried(error)  # type: ignore[operator]
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.args == error.args


@every_class
def test_each_argument_is_an_attribute(kind: type[AuroraError]) -> None:
    """Nobody should have to take a message apart."""
    error = made(kind)
    names = [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", "args", "kwargs")]
    assert set(names) <= set(vars(error))
    if names:
        assert error.args == tuple(getattr(error, name) for name in names)


@every_class
def test_messages_are_one_line(kind: type[AuroraError]) -> None:
    """The command line prints a line an error, and logs are searched line by line."""
    assert "\n" not in str(made(kind))


@pytest.mark.parametrize("kind", [ConnectTimeout, ReadTimeout, DeadlineExceeded], ids=lambda kind: kind.__name__)
def test_timeouts_are_caught_as_such(kind: type[AuroraError]) -> None:
    """`except TimeoutError` is how asyncio's users wait; but ours are no operating system's errors with a number."""
    error = made(kind)
    assert isinstance(error, TimeoutError)
    assert (error.errno, error.strerror, error.filename) == (None, None, None)


def test_wrong_input_is_a_value_error_and_a_closed_client_a_runtime_error() -> None:
    """What Python's own classes say of such mistakes stays true."""
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(ClientClosed, RuntimeError)
    assert not issubclass(HttpError, OSError)


@pytest.mark.parametrize(
    "kind", [kind for kind in CLASSES if issubclass(kind, HttpError)], ids=lambda kind: kind.__name__
)
def test_an_http_error_says_who_said_what(kind: type[HttpError]) -> None:
    """Method, URL, status, the service's code and words, and what to do next: enough for a bug report."""
    text = str(made(kind))
    assert text.startswith(f"POST {URL} answered 418 (Conflict: still in use)")
    assert text.endswith(f"; {kind.hint}" if kind.hint else "in use)")


def test_an_http_error_without_words_says_no_empty_ones() -> None:
    """Many gateways answer with an empty body."""
    assert str(HttpError("GET", URL, 418)) == f"GET {URL} answered 418"
    assert str(HttpError("GET", URL, 418, None, "busy")) == f"GET {URL} answered 418 (busy)"
    assert str(MaintenanceMode("GET", URL, 503, "Unavailable")).startswith(f"GET {URL} answered 503 (Unavailable); the")


def test_an_answer_becomes_an_error_of_another_kind_with_all_its_facts() -> None:
    """What a service means by a status only its own package knows; nothing of what it said may be lost on the way."""
    answer = HttpError("GET", URL, 404, "E1", "no such thing", 3.0)
    answer.body = b"{}"
    other = answer.become(NotFound)
    assert type(other) is NotFound
    assert vars(other) == vars(answer)
    assert other.args == answer.args


def test_a_missing_result_shows_only_the_beginning_of_a_long_document() -> None:
    """A log line is no place for a megabyte."""
    assert len(str(ResultMissing(URL, {"rest": "x" * 10**6}))) < 700


def test_a_deadline_names_the_request_that_lives_on() -> None:
    """What was paid for is not lost; what was never accepted cannot be resumed."""
    assert str(DeadlineExceeded("polling", 1.5, "86b5")) == (
        "polling was not done within 1.5 s; request 86b5 lives on, resume('86b5') picks it up"
    )
    assert str(DeadlineExceeded("submitting", 30)) == "submitting was not done within 30 s"


def test_the_first_error_of_nested_groups_is_found() -> None:
    """A verb on one request raises its error bare, however many task groups were used for it."""
    first = ClientClosed()
    assert bare(BaseExceptionGroup("", [ExceptionGroup("", [first, ValueError()]), KeyError()])) is first


def test_an_error_that_comes_out_of_a_group_does_not_lead_back_to_itself() -> None:
    """Whoever follows causes and contexts, as dask.distributed's pickling does, has to come to an end."""
    before = OSError("before")
    try:
        try:
            raise ReadTimeout("GET", URL, "silent") from before
        except ReadTimeout as error:
            group = BaseExceptionGroup("", [BaseExceptionGroup("", [error])])
        try:
            raise group
        except BaseExceptionGroup as caught:
            raise_bare(caught)
    except ReadTimeout as error:
        assert error.__cause__ is before and error.__context__ is None
