"""Faults, as they are on the wire: every one is what it is called, and nothing else is changed."""

from __future__ import annotations

import http.client
import json
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from support.wire import Wire, exchange

from aurora_async.testing import FaultScript, LocalServer

SIZE = 100_000
SOURCES = "/api/v1/data_sources"
SILENT_S = 0.15


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """One service for all tests here."""
    with LocalServer() as running:
        yield running


@pytest.fixture
def faults(server: LocalServer) -> Iterator[FaultScript]:
    """Its faults, gone after the test."""
    script = FaultScript(server.faults)
    script.clear()
    yield script
    server.faults.clear()


class Asker:
    """Asks the service for its list of data sources, or for a file."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.data = server.file_bytes(SIZE)

    def ask(self, path: str = SOURCES, method: str = "GET", **how: Any) -> Wire:
        """Ask for a path."""
        return exchange(f"{self.server.base_url}{path}", method, **how)

    def file(self, part: str | None = None, *, silent_s: float = 5.0, **headers: str) -> Wire:
        """Ask for a file, or for a part of it."""
        if part is not None:
            headers["Range"] = f"bytes={part}"
        return exchange(
            self.server.file_url(SIZE),
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            silent_s=silent_s,
        )

    def submit(self, **how: Any) -> tuple[str, Wire]:
        """Submit a search for data products; return the path of the request."""
        request_id = str(uuid.uuid4())
        sources = {"programs": ["trex"], "platforms": ["fort smith"], "instrument_types": ["RGB ASI"]}
        query = {
            "start": "2020-01-01T00:00:00",
            "end": "2020-01-01T23:59:59",
            "data_sources": sources,
            "request_id": request_id,
        }
        answer = self.ask("/api/v1/data_products/search", "POST", body=json.dumps(query).encode(), **how)
        return f"/api/v1/data_products/requests/{request_id}", answer

    def ended(self, path: str) -> Any:
        """Return the status of a request when it is over."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            status = self.ask(path).json
            if status["search_result"]["completed_timestamp"] is not None:
                return status
            time.sleep(0.005)
        raise AssertionError(f"{path} did not end")


@pytest.fixture
def asker(server: LocalServer, faults: FaultScript) -> Asker:
    """Asks, with all faults of the test at work."""
    return Asker(server)


# Which exchanges ----------------------------------------------------------------------------------------------------


def hits(asker: Asker, count: int, path: str = SOURCES, method: str = "GET") -> str:
    """Ask `count` times; return a `!` for each exchange that went wrong, and a dot for the others."""
    return "".join("!" if asker.ask(path, method).status == 418 else "." for _ in range(count))


@pytest.mark.parametrize(
    ("which", "pattern"),
    [
        ({}, "!!!!!!!!"),
        ({"times": 2}, "!!......"),
        ({"nth": 3}, "..!....."),
        ({"nth": (2, 5)}, ".!..!..."),
        ({"every": 3}, "..!..!.."),
        ({"skip": 2, "times": 3}, "..!!!..."),
        ({"skip": 1, "every": 2, "times": 2}, "..!.!..."),
        ({"path": "*sources"}, "!!!!!!!!"),
        ({"path": "/api/v1/*/requests/*"}, "........"),
        ({"method": "POST"}, "........"),
        ({"ranged": True}, "........"),
        ({"ranged": False}, "!!!!!!!!"),
        ({"probability": 0.0}, "........"),
    ],
)
def test_a_rule_counts_the_exchanges_it_means(
    asker: Asker, faults: FaultScript, which: dict[str, Any], pattern: str
) -> None:
    """A test that scripts the third exchange must get the third."""
    fault = faults.add(status=418, **which)
    assert hits(asker, 8) == pattern
    assert fault.hits == pattern.count("!")


def test_chance_is_the_same_whenever_the_seed_is(asker: Asker, faults: FaultScript) -> None:
    """A failure that chance brought up must come again when it is looked into."""
    patterns = []
    for seed in (1, 1, 2):
        fault = faults.status(418, probability=0.5, seed=seed)
        patterns.append(hits(asker, 20))
        faults.remove(fault)
    assert patterns[0] == patterns[1] != patterns[2]
    assert 4 <= patterns[0].count("!") <= 16


def test_paths_may_be_counted_apart(asker: Asker, faults: FaultScript) -> None:
    """In a batch, each of its files is to fail once."""
    faults.status(418, each_path=True, times=1)
    assert hits(asker, 2) == hits(asker, 2, f"{SOURCES}/3") == "!."


def test_rules_in_a_row_are_a_script(asker: Asker, faults: FaultScript) -> None:
    """The first that is due decides, and those after it do not count the exchange."""
    faults.status(503, times=2)
    faults.status(429, times=1)
    assert [asker.ask().status for _ in range(4)] == [503, 503, 429, 200]


def test_a_delay_lets_other_rules_act(asker: Asker, faults: FaultScript) -> None:
    """A slow service that also fails is two rules."""
    slow = faults.delay(seconds=0.1)
    faults.status(503, times=1)
    first, second = asker.ask(), asker.ask()
    assert (first.status, second.status, slow.hits) == (503, 200, 2)
    assert min(first.seconds, second.seconds) >= 0.1


def test_requests_are_written_down(asker: Asker, faults: FaultScript) -> None:
    """What a program under test has sent, and how often, is what its tests are about."""
    fault = faults.status(503, times=1)
    asker.ask("/api/v1/data_sources?program=swarm")
    asker.file("5-")
    first, second = faults.requests()
    assert (first.method, first.path, first.status) == ("GET", "/api/v1/data_sources?program=swarm", 503)
    assert first.fault is fault and second.fault is None
    assert (second.headers["Range"], second.status) == ("bytes=5-", 206)
    assert faults.requests("*/data_sources") == [first]
    assert faults.requests(method="POST") == []


def test_without_rules_nothing_is_looked_at() -> None:
    """Faults cost those nothing who have none."""
    with LocalServer() as server:
        assert exchange(f"{server.base_url}{SOURCES}").status == 200
        assert not server.faults.is_on and not server.faults.requests
        server.faults.remove(server.faults.add(status=503))
        server.faults.recording = False
        assert not server.faults.is_on


# Other answers ------------------------------------------------------------------------------------------------------


def test_a_status_comes_with_an_error_document(asker: Asker, faults: FaultScript) -> None:
    """The official client reads `error_message` of any JSON answer."""
    faults.status(503)
    answer = asker.ask()
    assert (answer.status, answer.headers["Content-Type"]) == (503, "application/json")
    assert answer.json == {"error_code": "Unavailable", "error_message": "a scripted fault of the local service"}
    assert "Retry-After" not in answer.headers


def test_retry_after_is_seconds_or_a_date(asker: Asker, faults: FaultScript) -> None:
    """Both forms are in use."""
    faults.status(429, retry_after=7, times=1)
    faults.status(503, retry_after=7, as_date=True)
    assert asker.ask().headers["Retry-After"] == "7"
    until = parsedate_to_datetime(asker.ask().headers["Retry-After"])
    assert 4 <= (until - datetime.now(UTC)).total_seconds() <= 7


def test_a_status_keeps_the_request_from_being_carried_out(asker: Asker, faults: FaultScript) -> None:
    """A search that was refused does not exist."""
    faults.status(503, "*/search", times=1)
    path, answer = asker.submit()
    assert (answer.status, asker.ask(path).status) == (503, 404)


def test_a_page_of_html_may_have_status_200(asker: Asker, faults: FaultScript) -> None:
    """Proxies and portals answer so."""
    faults.html_page()
    answer = asker.ask()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.body.startswith(b"<!doctype html>") and answer.is_whole


def test_maintenance_mode_is_said_in_the_services_words(asker: Asker, faults: FaultScript) -> None:
    """Clients know it by these."""
    faults.maintenance()
    answer = asker.ask()
    assert (answer.status, answer.json["error_code"]) == (503, "Unavailable")
    assert "maintenance mode" in answer.json["error_message"]


def test_damaged_json_has_the_length_of_the_sound_one(asker: Asker, faults: FaultScript) -> None:
    """Nothing but reading it shows the damage."""
    sound = asker.ask()
    faults.malformed_json()
    damaged = asker.ask(headers={"Accept-Encoding": "gzip"})
    assert damaged.is_whole and "Content-Encoding" not in damaged.headers
    assert len(damaged.body) == len(sound.body)
    assert damaged.body.count(b"\0") == 1
    with pytest.raises(json.JSONDecodeError):
        json.loads(damaged.body)


def test_truncated_json_is_a_whole_message(asker: Asker, faults: FaultScript) -> None:
    """The server itself had only a part of it."""
    sound = asker.ask()
    faults.truncated_json(short_by=3)
    answer = asker.ask()
    assert answer.is_whole and answer.body == sound.body[:-3]


@pytest.mark.parametrize("path", [SOURCES, "/_local/bytes/100000?seed=a"])
def test_truncated_gzip_is_a_whole_message(asker: Asker, faults: FaultScript, path: str) -> None:
    """All the data is there, and only the end of the gzip stream shows that there may have been more."""
    sound = asker.ask(path)
    faults.truncated_gzip()
    answer = asker.ask(path)
    assert answer.is_whole and answer.headers["Content-Encoding"] == "gzip"
    unpacking = zlib.decompressobj(wbits=31)
    assert unpacking.decompress(answer.body) == sound.body
    assert not unpacking.eof


@pytest.mark.parametrize("off", [-10, 10])
def test_content_length_is_wrong_both_ways(asker: Asker, faults: FaultScript, off: int) -> None:
    """The whole body is sent, whatever its length is said to be."""
    faults.wrong_length("/_local/*", off=off)
    answer = asker.file()
    assert int(answer.headers["Content-Length"]) == SIZE + off
    assert (answer.framed, answer.end) == (asker.data, "closed")


def test_a_body_in_chunks_can_be_given_a_wrong_length(asker: Asker, faults: FaultScript) -> None:
    """The rule holds for every route, also where the handler knows no length."""
    path, _ = asker.submit()
    asker.ended(path)
    url = f"{path}/data?data_source_record_format=full_record"
    sound = asker.ask(url)
    assert sound.headers["Transfer-Encoding"] == "chunked"
    faults.wrong_length("*/data", off=5)
    answer = asker.ask(url)
    assert "Transfer-Encoding" not in answer.headers
    assert (int(answer.headers["Content-Length"]), answer.framed) == (len(sound.body) + 5, sound.body)


def test_a_body_may_come_without_its_length(asker: Asker, faults: FaultScript) -> None:
    """Then nothing but the last chunk tells that it is whole."""
    faults.chunked("/_local/*")
    answer = asker.file()
    assert "Content-Length" not in answer.headers
    assert answer.is_whole and answer.body == asker.data


def test_headers_are_changed_and_taken_away(asker: Asker, faults: FaultScript) -> None:
    """For what no rule has a word for."""
    faults.add(headers={"ETag": 'W/"weak"', "Last-Modified": "", "X-New": "1"})
    headers = asker.file().headers
    assert (headers["ETag"], headers["X-New"]) == ('W/"weak"', "1")
    assert "Last-Modified" not in headers


@pytest.mark.parametrize(
    "fields",
    [
        {"status": 503},
        {"chunked": True},
        {"gzip": True, "short_by": 8},
        {"malformed": True},
        {"headers": {"ETag": ""}},
        {"delay_s": 0.01},
    ],
)
def test_a_connection_lives_on_after_an_answer_that_was_changed(
    asker: Asker, faults: FaultScript, fields: dict[str, Any]
) -> None:
    """What is wrong is in the answer; the next exchange on the connection begins where it ended."""
    sound = asker.ask()
    fault = faults.add(path=SOURCES, times=2, **fields)
    connection = http.client.HTTPConnection(asker.server.base_url.removeprefix("http://"), timeout=5)
    with closing(connection):
        connection.connect()
        connection.auto_open = 0  # a second one would hide what is to be seen
        for _ in range(3):
            connection.request("GET", SOURCES)
            answer = connection.getresponse()
            body = answer.read()
    assert (answer.status, body, fault.hits) == (200, sound.body, 2)


# Connections and time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("tenths", range(11))
def test_a_body_is_cut_at_every_tenth(asker: Asker, faults: FaultScript, tenths: int, chunked: bool) -> None:
    """Exactly there, so that a failure at one place comes again."""
    faults.cut("/_local/*", at=tenths / 10, chunked=chunked)
    answer = asker.file()
    assert (answer.status, answer.end) == (200, "closed")
    assert ("Content-Length" in answer.headers) is not chunked
    assert answer.body == asker.data[: SIZE * tenths // 10]
    assert answer.is_whole is (tenths == 10 and not chunked)


def test_a_body_of_unknown_length_is_cut_in_its_middle(asker: Asker, faults: FaultScript) -> None:
    """A handler that streams does not know where that is; the rule does."""
    path, _ = asker.submit()
    asker.ended(path)
    url = f"{path}/data?data_source_record_format=full_record"
    sound = asker.ask(url)
    faults.cut("*/data")
    answer = asker.ask(url)
    assert answer.headers["Transfer-Encoding"] == "chunked" and not answer.is_whole
    assert answer.body == sound.body[: len(sound.body) // 2]


def test_a_body_is_cut_after_so_many_bytes(asker: Asker, faults: FaultScript) -> None:
    """Of this answer's body, also when it is a part of a file."""
    faults.cut("/_local/*", after=1000)
    assert asker.file().body == asker.data[:1000]
    assert asker.file("5000-").body == asker.data[5000:6000]


def test_a_cut_beyond_the_end_is_none(asker: Asker, faults: FaultScript) -> None:
    """Small answers of a service pass where only the large ones are cut."""
    faults.cut(after=SIZE + 1)
    assert asker.file().is_whole and asker.ask().is_whole


def test_a_reset_is_not_an_end(asker: Asker, faults: FaultScript) -> None:
    """Clients get another error for it, on a path of its own."""
    faults.cut("/_local/*", after=1000, reset=True)
    answer = asker.file()
    assert answer.end == "reset"
    assert len(answer.received) <= len(answer.head) + 4 + 1000


def test_nothing_is_done_when_the_connection_is_cut_at_the_request(asker: Asker, faults: FaultScript) -> None:
    """The request never took place."""
    faults.cut("*/search", at="request")
    path, answer = asker.submit()
    assert answer.received == b"" and asker.ask(path).status == 404


def test_a_lost_answer_is_one_to_a_request_that_was_carried_out(asker: Asker, faults: FaultScript) -> None:
    """The case in which a client that simply tries again runs a search twice."""
    faults.lose_answer("*/search")
    path, answer = asker.submit()
    assert (answer.received, answer.end) == (b"", "reset")
    assert asker.ended(path)["search_result"]["result_count"] == 66


def test_a_connection_is_reset_in_the_middle_of_the_headers(asker: Asker, faults: FaultScript) -> None:
    """A status line is no answer yet."""
    faults.cut(at="headers")
    answer = asker.ask()
    assert answer.received.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\n\r\n" not in answer.received
    faults.clear()
    faults.cut(at="headers", reset=True)
    assert asker.ask().end == "reset"


@pytest.mark.parametrize(
    ("at", "count"), [("request", None), ("answer", None), ("headers", None), (0.0, 0), (0.25, SIZE // 4)]
)
def test_a_stall_lasts_until_the_client_leaves(asker: Asker, faults: FaultScript, at: Any, count: int | None) -> None:
    """A connection that is silent for good is what a limit on silence is for."""
    faults.stall("/_local/*", at=at)
    answer = asker.file(silent_s=SILENT_S)
    assert answer.end == "silent"
    if count is not None:
        assert answer.body == asker.data[:count]
    else:
        assert b"\r\n\r\n" not in answer.received
        assert bool(answer.received) is (at == "headers")


def test_after_a_stall_things_may_go_on(asker: Asker, faults: FaultScript) -> None:
    """A pause is not the end of a transfer."""
    faults.stall("/_local/*", after=10, seconds=0.1)
    answer = asker.file()
    assert answer.is_whole and answer.body == asker.data and answer.seconds >= 0.1


def test_a_rule_that_is_removed_lets_go_what_it_holds_up(asker: Asker, faults: FaultScript) -> None:
    """A test that ends leaves nobody waiting, and a service with stalled exchanges stops at once."""
    with LocalServer() as server:
        server.faults.add(stall_at="answer")
        assert exchange(f"{server.base_url}{SOURCES}", silent_s=SILENT_S).end == "silent"
        began = time.monotonic()
    assert time.monotonic() - began < 1.5


def test_a_trickle_keeps_its_pace(asker: Asker, faults: FaultScript) -> None:
    """Slow, and never silent: a limit on silence does not end it."""
    faults.trickle("/_local/*", bytes_per_s=SIZE * 5)
    answer = asker.file()
    assert answer.is_whole and answer.body == asker.data
    assert 0.19 <= answer.seconds < 2


# Files that change --------------------------------------------------------------------------------------------------


def test_a_changed_file_is_another_from_the_second_request_on(asker: Asker, faults: FaultScript) -> None:
    """With the first one's ETag in If-Range the server sends the new one whole: that is what the header is for."""
    faults.change("/_local/*")
    old = asker.file()
    new = asker.file("50000-", If_Range=old.headers["ETag"])
    assert (old.status, new.status) == (200, 200)
    assert old.body == asker.data and new.body == asker.server.file_bytes(SIZE, version=2) != asker.data
    assert old.headers["ETag"] != new.headers["ETag"]
    assert old.headers["Last-Modified"] != new.headers["Last-Modified"]


def test_a_server_may_mix_versions(asker: Asker, faults: FaultScript) -> None:
    """It overlooks If-Range, and only the ETag of the part tells that it is one of another file."""
    faults.change("/_local/*", mixed=True)
    old = asker.file()
    new = asker.file("50000-", If_Range=old.headers["ETag"])
    assert new.status == 206 and new.headers["ETag"] != old.headers["ETag"]
    assert new.body == asker.server.file_bytes(SIZE, version=2)[50000:]


def test_a_changed_file_may_keep_its_etag(asker: Asker, faults: FaultScript) -> None:
    """Then its date is all that tells."""
    faults.change("/_local/*", kept="ETag")
    old = asker.file()
    new = asker.file("50000-", If_Range=old.headers["ETag"])
    assert new.status == 206 and new.headers["ETag"] == old.headers["ETag"]
    assert new.headers["Last-Modified"] != old.headers["Last-Modified"]
    assert new.body == asker.server.file_bytes(SIZE, version=2)[50000:]


def test_results_of_searches_change_too(asker: Asker, faults: FaultScript) -> None:
    """Their bytes cannot be made up, their validators can."""
    path, _ = asker.submit()
    asker.ended(path)
    faults.change("*/data")
    old, new = asker.ask(f"{path}/data"), asker.ask(f"{path}/data")
    assert old.body == new.body and old.headers["ETag"] != new.headers["ETag"]


def test_a_file_may_have_no_validators(asker: Asker, faults: FaultScript) -> None:
    """There is nothing to go on from."""
    faults.no_validators()
    answer = asker.file()
    assert {"ETag", "Last-Modified"}.isdisjoint(answer.headers) and answer.is_whole


def test_ranges_may_be_ignored(asker: Asker, faults: FaultScript) -> None:
    """Whoever appends this to a part has a file that is too long."""
    faults.ignore_ranges()
    answer = asker.file("50000-")
    assert (answer.status, answer.body) == (200, asker.data)
    assert "Content-Range" not in answer.headers
    assert faults.requests()[0].headers["Range"] == "bytes=50000-"


def test_a_part_may_be_said_to_lie_elsewhere(asker: Asker, faults: FaultScript) -> None:
    """Only Content-Range is wrong."""
    faults.wrong_range(off=1)
    answer = asker.file("50000-59999")
    assert answer.headers["Content-Range"] == f"bytes 50001-60000/{SIZE}"
    assert (answer.status, answer.body) == (206, asker.data[50000:60000])


def test_head_answers_have_no_body_whatever_the_rule(asker: Asker, faults: FaultScript) -> None:
    """A client would take it for the next answer."""
    faults.add(content_length_off=5, chunked=True, gzip=True, cut_at=0.5)
    answer = asker.ask(f"/_local/bytes/{SIZE}", "HEAD")
    assert (answer.framed, answer.headers["Content-Length"]) == (b"", str(SIZE + 5))


# Searches -----------------------------------------------------------------------------------------------------------


def test_a_search_may_never_end(asker: Asker, faults: FaultScript) -> None:
    """Until it is cancelled: it is a search like others."""
    faults.never_finishes(times=1)
    path, answer = asker.submit()
    assert answer.status == 202
    other, _ = asker.submit()
    assert asker.ended(other)["search_result"]["error_condition"] is False
    assert asker.ask(path).json["search_result"]["completed_timestamp"] is None
    asker.ask(path, "DELETE")
    assert asker.ended(path)["search_result"]["error_condition"] is True


def test_a_search_may_fail_with_a_reason(asker: Asker, faults: FaultScript) -> None:
    """The last line of its log is what clients show."""
    faults.fails(text="no disk left on node 7")
    path, _ = asker.submit()
    status = asker.ended(path)
    assert status["search_result"]["error_condition"] is True
    assert "no disk left on node 7" in status["logs"][-1]["summary"]


def test_a_result_may_have_expired(asker: Asker, faults: FaultScript) -> None:
    """The status says so, and the data is not found."""
    faults.expires()
    path, _ = asker.submit()
    status = asker.ended(path)
    assert status["search_result"]["result_file_deleted_timestamp"] is not None
    assert status["search_result"]["error_condition"] is False
    answer = asker.ask(f"{path}/data")
    assert (answer.status, answer.json["error_code"]) == (404, "NotFound")


@pytest.mark.parametrize("off", [-6, 4])
def test_a_search_may_promise_what_it_has_not(asker: Asker, faults: FaultScript, off: int) -> None:
    """A whole document with fewer records than promised is a loss that no parser sees."""
    faults.wrong_count(off=off)
    path, _ = asker.submit()
    assert asker.ended(path)["search_result"]["result_count"] == 66 + off
    assert len(asker.ask(f"{path}/data").json["result"]) == 66


# Over HTTP ----------------------------------------------------------------------------------------------------------


def test_faults_are_scripted_from_another_process(asker: Asker) -> None:
    """A service that was started on a command line can be made to fail without being stopped."""
    body = json.dumps({"faults": [{"status": 503, "path": SOURCES, "times": 1}, {"delay_s": 0.0, "status": 429}]})
    added = asker.ask("/_local/faults", "POST", body=body.encode())
    first, second = (fault["id"] for fault in added.json["faults"])
    assert (added.status, asker.ask().status, asker.ask().status) == (201, 503, 429)
    shown = asker.ask("/_local/faults").json["faults"]
    rule = {"path": SOURCES, "times": 1, "status": 503}
    assert shown[0] == {"id": first, "rule": rule, "seen": 2, "hits": 1}
    assert asker.ask(f"/_local/faults/{second}", "DELETE").status == 204
    assert asker.ask(f"/_local/faults/{second}", "DELETE").status == 404
    requests = asker.ask("/_local/requests").json["requests"]
    assert [(one["path"], one["status"], one["fault"]) for one in requests] == [
        (SOURCES, 503, first),
        (SOURCES, 429, second),
    ]
    assert asker.ask("/_local/faults", "DELETE").status == 204
    assert asker.ask("/_local/faults").json == {"faults": []}
    assert asker.ask("/_local/requests").json == {"requests": []}


def test_what_is_wrong_with_a_posted_rule_is_said(asker: Asker) -> None:
    """And none of those posted together is added."""
    answer = asker.ask("/_local/faults", "POST", body=b'[{"status": 503}, {"status": 1}]')
    assert answer.status == 400
    assert answer.json["error_message"].startswith("faults[1].status: 1 is not a status")
    assert asker.ask("/_local/faults").json == {"faults": []}


def test_a_web_page_cannot_post_faults(asker: Asker) -> None:
    """A browser sends JSON to another origin only after asking, and this service does not answer such a question."""
    body = b'{"status": 503}'
    answer = asker.ask("/_local/faults", "POST", body=body, headers={"Content-Type": "text/plain"})
    assert (answer.status, asker.ask().status) == (415, 200)


def test_the_way_to_the_faults_has_none(asker: Asker, faults: FaultScript) -> None:
    """Whoever has everything fail can still have it stop."""
    faults.cut(at="request")
    assert asker.ask("/_local/faults", "DELETE").status == 204
    assert asker.ask().status == 200
