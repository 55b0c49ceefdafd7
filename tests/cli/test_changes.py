"""Commands that change something, against a server that writes down what it was sent."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import attrs
import pytest

if TYPE_CHECKING:
    from conftest import Here, Shell

SOURCE = {
    "identifier": 7001,
    "program": "test-program",
    "platform": "test-platform",
    "instrument_type": "test-instrument",
    "source_type": "leo",
    "display_name": "Test",
    "ephemeris_metadata_schema": [],
    "data_product_metadata_schema": [],
}
PATH = "/api/v1/data_sources/7001"


@attrs.define
class Recorder:
    """What was sent, and what is answered: by method and path, `(status, document)`."""

    answers: dict[tuple[str, str], tuple[int, Any]] = attrs.field(factory=dict)
    seen: list[tuple[str, str, Any]] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)
    url: str = ""
    posted: threading.Event = attrs.field(factory=threading.Event)
    may_answer: threading.Event | None = None
    """Changes are answered when this is set; None answers at once."""

    @property
    def changes(self) -> list[tuple[str, str, Any]]:
        """What was sent but to look at something."""
        return [one for one in self.seen if one[0] != "GET"]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, here: Here) -> Iterator[Recorder]:
    """A server on a free port that every command of the test asks."""
    record = Recorder({("GET", PATH): (200, SOURCE)})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.partition("?")[0]
            record.seen.append((self.command, path, json.loads(body) if body else None))
            record.headers.append(dict(self.headers))
            if self.command == "POST":
                record.posted.set()
                if record.may_answer is not None:
                    record.may_answer.wait(20)
            status, document = record.answers.get((self.command, path), (200, {}))
            data = json.dumps(document).encode()
            self.send_response(status)
            if path.endswith("/authenticate"):
                self.send_header("Authorization", "Bearer token")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that goes away is nothing to print."""

    with Server(("127.0.0.1", 0), Handler) as server:
        record.url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AURORAX_BASE_URL", record.url)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield record
        finally:
            server.shutdown()
            thread.join()


# Data sources -------------------------------------------------------------------------------------------------------

ADD = ("sources", "add", "test-program", "test-platform", "test-instrument", "leo", "Test")


def test_add_sends_what_was_given(here: Here, recorder: Recorder) -> None:
    """And nothing else: the rest is the server's to choose."""
    recorder.answers["POST", "/api/v1/data_sources"] = (200, SOURCE)
    ran = here(*ADD, "--maintainer", "a@example.org", "--metadata", '{"x": 1}', "--json")
    assert json.loads(ran.stdout)["identifier"] == 7001
    names = {name: SOURCE[name] for name in list(SOURCE)[1:6]}
    assert recorder.changes == [
        ("POST", "/api/v1/data_sources", {**names, "maintainers": ["a@example.org"], "metadata": {"x": 1}})
    ]


def test_update_sends_the_changes_alone(here: Here, shell: Shell, recorder: Recorder) -> None:
    """A schema as `sources schema --json` prints it, from a file."""
    recorder.answers["PATCH", PATH] = (200, SOURCE)
    shell.write("schema.json", [{"field_name": "state", "data_type": "string"}])
    ran = here("sources", "update", "7001", "--display-name", "New", "--ephemeris-schema", "@schema.json")
    assert (ran.code, ran.stdout.splitlines()[0]) == (0, b"identifier       7001")
    ((method, path, body),) = recorder.changes
    assert (method, path, body["display_name"]) == ("PATCH", PATH, "New")
    assert body["ephemeris_metadata_schema"][0]["field_name"] == "state"
    assert here("sources", "update", "7001").error.startswith("say what is to be changed")


def test_replace_takes_what_get_prints(here: Here, shell: Shell, recorder: Recorder) -> None:
    """Read, edit, write."""
    recorder.answers["PUT", PATH] = (200, SOURCE)
    shell.write("source.json", here("sources", "get", "7001", "--json").stdout)
    assert here("sources", "replace", "@source.json").code == 0
    assert [(method, path) for method, path, _ in recorder.changes] == [("PUT", PATH)]
    assert here("sources", "replace", '{"identifier": "x"}').error.startswith("record: Expected `int`")


def test_wrong_fields_are_refused_before_anything_is_sent(here: Here, recorder: Recorder) -> None:
    """Exit code 2."""
    for wrong in (("--metadata", "[1]"), ("--ephemeris-schema", '[{"name": "x"}]'), ("--metadata", "{")):
        assert here(*ADD, *wrong).code == 2
    assert recorder.seen == []


DELETIONS: list[tuple[tuple[str, ...], str]] = [
    (("sources", "delete", "7001"), PATH),
    (("ephemeris", "delete", "7001", "--start", "2031-05", "--end", "2031-05"), f"{PATH}/ephemeris"),
    (("data-products", "delete", "7001", "--url", "http://x/1"), f"{PATH}/data_products"),
    (("requests", "delete", "abc"), "/api/v1/utils/admin/search_requests/abc"),
]


@pytest.mark.parametrize(("typed", "path"), DELETIONS, ids=lambda value: " ".join(value[:2]) if value[0] != "/" else "")
def test_a_deletion_asks_first(here: Here, recorder: Recorder, typed: tuple[str, ...], path: str) -> None:
    """Where nobody can be asked, --yes must say so; without it nothing is sent."""
    ran = here(*typed)
    assert (ran.code, recorder.seen) == (2, [])
    assert "add --yes" in ran.error
    assert here(*typed, "--yes").code == 0
    assert [(method, where) for method, where, _ in recorder.changes] == [("DELETE", path)]


def test_a_person_can_say_no(here: Here, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and nothing happened."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda question, err: False)
    ran = here("sources", "delete", "7001")
    assert (ran.code, ran.error, recorder.seen) == (1, "nothing was deleted", [])


def test_a_deleted_range_is_inclusive(here: Here, recorder: Recorder) -> None:
    """A partial time is the whole of it."""
    assert here("ephemeris", "delete", "7001", "--start", "2031-05", "--end", "2031-05", "-y").code == 0
    ((_, _, body),) = recorder.changes
    assert (body["start"], body["end"]) == ("2031-05-01T00:00:00", "2031-05-31T23:59:59")
    assert here("ephemeris", "delete", "7001").error.startswith("say which records with START END, or with --start")


def test_a_range_to_delete_may_be_typed_as_for_availability(here: Here, recorder: Recorder) -> None:
    """Without options; half of one, or two, are refused before anything is sent."""
    assert here("ephemeris", "delete", "7001", "2031-05-01", "2031-05-02", "-y").code == 0
    ((_, _, body),) = recorder.changes
    assert (body["start"], body["end"]) == ("2031-05-01T00:00:00", "2031-05-02T23:59:59")
    asked = here("data-products", "delete", "7001", "2031", "2032").error
    assert asked.startswith("Delete the data products (all types) of data source 7001 from 2031 to 2032?")
    for wrong in (("2031",), ("2031", "2032", "2033"), ("2031", "2032", "--end", "2033")):
        for kind in ("ephemeris", "data-products"):
            said = here(kind, "delete", "7001", *wrong, "-y").error
            assert said.startswith("say a range once, as START END or with --start and --end")
    assert len(recorder.changes) == 1


def test_deleted_urls_are_printed(here: Here, recorder: Recorder) -> None:
    """One a line; which ones is to be said in one way."""
    ran = here("data-products", "delete", "7001", "--url", "http://x/1", "--url", "http://x/2", "-y")
    assert ran.stdout == b"http://x/1\nhttp://x/2\n"
    for wrong in ((), ("--url", "u", "--start", "2031"), ("--start", "2031")):
        assert here("data-products", "delete", "7001", *wrong).error.startswith("say which records, either with --url")


def test_deletions_under_way(here: Here, recorder: Recorder) -> None:
    """All of the last hour, or one of them."""
    recorder.answers["GET", f"{PATH}/ephemeris/delete_jobs"] = (200, ["job-1"])
    recorder.answers["GET", f"{PATH}/ephemeris/delete_jobs/job-1"] = (200, ["deleted 3"])
    assert here("ephemeris", "delete-jobs", "7001").stdout == b"job-1\n"
    assert json.loads(here("ephemeris", "delete-jobs", "7001", "job-1", "--json").stdout) == ["deleted 3"]
    recorder.answers["GET", f"{PATH}/ephemeris/delete_jobs"] = (200, [])
    ran = here("ephemeris", "delete-jobs", "7001")
    assert (ran.stdout, ran.stderr) == (b"", "no ephemeris of data source 7001 was deleted within the last hour\n")


# Uploads ------------------------------------------------------------------------------------------------------------


def position(minute: int, **changes: Any) -> dict[str, Any]:
    """A record as `ephemeris search` writes it."""
    place, nowhere = {"lat": 51.5, "lon": -114.25}, {"lat": None, "lon": None}
    return {
        "data_source": {"identifier": 7001}, "epoch": f"2031-05-01T00:{minute:02d}:00", "location_geo": place,
        "location_gsm": nowhere, "nbtrace": place, "sbtrace": nowhere, "metadata": {}, **changes,
    }  # fmt: skip


def as_list(records: list[dict[str, Any]]) -> bytes:
    return json.dumps(records).encode()


def as_result(records: list[dict[str, Any]]) -> bytes:
    return json.dumps({"result": records}).encode()


def as_indented(records: list[dict[str, Any]]) -> bytes:
    return json.dumps(records, indent=4).encode()


def as_lines(records: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


@pytest.mark.parametrize("written", [as_list, as_result, as_indented, as_lines])
def test_an_upload_reads_every_form_that_we_write(
    here: Here, shell: Shell, recorder: Recorder, written: Callable[[list[dict[str, Any]]], bytes]
) -> None:
    """In chunks; the data source is added where a record has only its names, or nothing."""
    bare = position(4, **{name: SOURCE[name] for name in ("program", "platform", "instrument_type")})
    del bare["data_source"]
    file = shell.write("records", written([*(position(minute) for minute in range(4)), bare]))
    ran = here("ephemeris", "upload", "7001", file, "--chunk-size", "2")
    assert (ran.code, ran.stdout) == (0, b"")
    assert ran.stderr == "5 records accepted; a search finds them in a few seconds\n"
    sent = sorted((record["epoch"], record["program"]) for _, _, body in recorder.changes for record in body)
    assert sent == [(f"2031-05-01T00:0{minute}:00.000Z", "test-program") for minute in range(5)]
    assert {path for _, path, _ in recorder.changes} == {f"{PATH}/ephemeris"}
    assert max(len(body) for _, _, body in recorder.changes) == 2


def test_an_upload_from_a_pipe(shell: Shell, recorder: Recorder) -> None:
    """`… | aurora-async ephemeris upload 7001 -`."""
    ran = shell.run(
        "ephemeris", "upload", "7001", "-", stdin=as_lines([position(0)]), environ={"AURORAX_BASE_URL": recorder.url}
    )
    assert (ran.code, ran.stdout) == (0, b"")
    assert ran.stderr.startswith("1 record accepted;")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "file: is neither a JSON list of records nor one record a line: "),
        (b"[{}", "file: is neither a JSON list of records nor one record a line: "),
        (as_lines([position(0)]) + b"\n{", "file: line 2: is not JSON"),
        (as_list([position(0), {"epoch": 1}]), "file: records[1]: Expected `datetime`"),
        (as_list([position(0, location_geo={"lat": 91, "lon": 0})]), "file: records[0].location_geo.lat: 91"),
    ],
)
def test_a_bad_file_is_told_with_the_place(
    here: Here, shell: Shell, recorder: Recorder, content: bytes, said: str
) -> None:
    """Exit code 2, and nothing was sent."""
    ran = here("ephemeris", "upload", "7001", shell.write("file", content))
    assert (ran.code, recorder.changes) == (2, [])
    assert ran.error.startswith(said)


def test_a_record_that_is_refused_late_says_what_was_accepted(here: Here, shell: Shell, recorder: Recorder) -> None:
    """Exit code 1: something was sent."""
    file = shell.write("file", as_lines([position(0), position(1), position(2, epoch="never")]))
    ran = here("ephemeris", "upload", "7001", file, "--chunk-size", "1", "--at-once", "1")
    assert ran.code == 1
    assert ran.error.startswith("file: records[2]: Invalid RFC3339")
    assert "; the server has accepted " in ran.error


def test_chunks_that_the_server_refuses(here: Here, shell: Shell, recorder: Recorder) -> None:
    """Exit code 1, with its reason."""
    recorder.answers["POST", f"{PATH}/ephemeris"] = (400, {"error_code": "Bad", "error_message": "not like this"})
    ran = here("ephemeris", "upload", "7001", shell.write("file", as_list([position(0)])))
    assert ran.code == 1
    assert "0 records were accepted; records 0 to 0 were not" in ran.error


def test_ctrl_c_in_the_middle_of_an_upload_is_one_line(shell: Shell, recorder: Recorder) -> None:
    """With the file half read: whatever reads it is closed before the loop is."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        pytest.skip("Ctrl-C is ignored here (in the background), and so by every program started from here")
    recorder.may_answer = threading.Event()
    file = shell.write("file", as_lines([position(minute % 60) for minute in range(600)]))
    typed = ("ephemeris", "upload", "7001", file, "--chunk-size", "1")
    with shell.start(*typed, environ={"AURORAX_BASE_URL": recorder.url}) as process:
        assert recorder.posted.wait(20)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
        recorder.may_answer.set()
    assert (process.returncode, stdout, stderr) == (130, b"", b"aurora-async: error: interrupted\n")


def test_files_that_are_not_there_or_empty(here: Here, shell: Shell, recorder: Recorder) -> None:
    """No file is an error, no records are not."""
    assert here("data-products", "upload", "7001", "nowhere").error == "nowhere: there is no such file"
    ran = here("data-products", "upload", "7001", shell.write("empty", []))
    assert (ran.code, ran.stderr) == (0, "empty holds no records; nothing was sent\n")


# Accounts, login, Swarm-Aurora --------------------------------------------------------------------------------------


def test_accounts_are_listed(here: Here, recorder: Recorder) -> None:
    """Of one role, if wanted."""
    recorder.answers["GET", "/api/v1/accounts"] = (200, [{"email_address": "a@example.org", "role": "Owner"}])
    ran = here("accounts", "--role", "owner")
    assert ran.stdout.splitlines()[1].split()[:2] == [b"a@example.org", b"Owner"]
    recorder.answers["GET", "/api/v1/accounts"] = (200, [])
    assert here("accounts", "--role", "owner").stderr == "there is no account with the role Owner\n"


def test_a_login_is_used_and_ended(here: Here, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token goes with the command's requests, and does not outlive it."""
    monkeypatch.setattr("getpass.getpass", lambda prompt: "secret")
    recorder.answers["POST", "/api/v1/authenticate"] = (200, {"email_address": "a@example.org"})
    assert here("sources", "get", "7001", "--login", "a@example.org").code == 0
    assert [path for _, path, _ in recorder.seen] == [
        "/api/v1/authenticate", PATH, "/api/v1/authenticate/end_session",
    ]  # fmt: skip
    assert recorder.headers[1]["Authorization"] == "Bearer token"


def test_the_import_file_comes_from_swarm_aurora_without_our_key(
    here: Here, shell: Shell, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's server gets no credentials."""
    recorder.answers["GET", "/import"] = (200, [{"a": 1}])
    monkeypatch.setattr("aurora_async.aurorax.links.swarmaurora_import_url", lambda _: f"{recorder.url}/import")
    ran = here("conjunctions", "swarmaurora", "import", "abc", "--base-url", "http://127.0.0.1:9", "--api-key", "mine")
    assert ran.stdout == b"swarmaurora_custom_import_abc.json\n"
    assert json.loads((shell.folder / "swarmaurora_custom_import_abc.json").read_bytes()) == [{"a": 1}]
    assert "mine" not in str(recorder.headers)
