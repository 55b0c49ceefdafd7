"""drms against a server that says what a test makes it say: refusals, odd answers, files that are none."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qs, urlsplit

import attrs
import pandas as pd
import pytest

import aurora_async.compat.drms as drms

Answer = bytes | Mapping[str, Any]
PROGRAMS = {
    "cgi_show_series": "show_series",
    "cgi_jsoc_info": "jsoc_info",
    "cgi_jsoc_fetch": "jsoc_fetch",
    "cgi_check_address": "checkAddress.sh",
}
RECORD = "hmi.V_45s[2016.04.01_00:00:00_TAI][2]{Dopplergram}"
DONE = {"status": "0 ", "requestid": "JSOC_20260101_001", "method": "url", "protocol": "as-is", "dir": "/SUM1/D1/S0"}
CARDS = ("SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0", "END")
FITS = "".join(card.ljust(80) for card in CARDS).ljust(2880).encode()


@attrs.define
class Server:
    """Answers by path, the answers of a list in turn and the last of them again; knows what it was asked."""

    url: str = ""
    answers: dict[str, list[Answer]] = attrs.field(factory=dict)
    asked: list[tuple[str, dict[str, list[str]]]] = attrs.field(factory=list)

    def config(self, **more: str) -> drms.ServerConfig:
        """Itself, as drms is told of a server."""
        places = {"cgi_baseurl": f"{self.url}/cgi/", "http_download_baseurl": f"{self.url}/"}
        return drms.ServerConfig(name="TEST", **PROGRAMS, **places, **more)

    def says(self, program: str, *answers: Answer) -> None:
        """Set the answers of a program."""
        self.answers[f"/cgi/{program}"] = list(answers)

    def answer(self, target: str) -> bytes | None:
        """Answer one question."""
        parts = urlsplit(target)
        self.asked.append((parts.path, parse_qs(parts.query, keep_blank_values=True)))
        answers = self.answers.get(parts.path)
        if answers is None:
            return None
        found = answers[0] if len(answers) == 1 else answers.pop(0)
        return found if isinstance(found, bytes) else json.dumps(found).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server without any answers yet."""
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = made.answer(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        http.shutdown()
        thread.join()


@pytest.fixture
def client(server: Server) -> drms.Client:
    """The drop-in, told of that server."""
    return drms.Client(server.config())


def request_of(client: drms.Client, *rows: tuple[str, str], **more: Any) -> drms.ExportRequest:
    """A finished export of these records and files."""
    data = [{"record": record, "filename": filename} for record, filename in rows]
    return drms.ExportRequest({**DONE, "data": data, **more}, client)


# Listings and structures ----------------------------------------------------------------------------------------------


def test_a_listing_that_fails_says_why(server: Server) -> None:
    """In either of its two forms; the original gives an empty list, or a status without the reason."""
    server.says("show_series", {"status": 1, "errmsg": "Series filter format error"})
    with pytest.raises(drms.DrmsQueryError, match=r"Series filter format error \[status=1\]"):
        drms.Client(server.config()).series("(")
    server.says("showextseries", {"errMsg": "no database", "seriesList": []})
    internal = drms.Client(server.config(cgi_show_series_wrapper="showextseries", show_series_wrapper_dbhost="x"))
    with pytest.raises(drms.DrmsQueryError, match="no database"):
        internal.series()


def test_a_structure_is_asked_for_once(server: Server, client: drms.Client) -> None:
    """However often it is needed."""
    keyword = {"name": "A", "type": "int", "recscope": "variable", "defval": "0", "units": "none", "note": ""}
    server.says("jsoc_info", {"keywords": [keyword], "segments": [], "links": [], "primekeys": [None], "status": 0})
    assert client.keys("su.x") == ["A"]
    assert client.pkeys("SU.x[1]") == []
    assert [params["ds"] for _, params in server.asked] == [["su.x"]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0x00000000", "0x80000000"], [0, 2147483648]),
        (["0x00000010", "MISSING"], [16, None]),
        (["-12", "7"], [-12, 7]),
        (["0xnonsense", "Invalid KeyLink"], [None, None]),
    ],
)
def test_whole_numbers_are_read_however_they_are_printed(
    server: Server, client: drms.Client, values: list[str], expected: list[int | None]
) -> None:
    """Hexadecimal words beside missing ones, with every release of pandas."""
    keyword = {"name": "QUALITY", "type": "int", "recscope": "variable", "defval": "0", "units": "", "note": ""}
    server.says(
        "jsoc_info",
        {"keywords": [{"name": "QUALITY", "values": values}], "segments": [], "links": [], "count": 2, "status": 0},
        {"keywords": [keyword], "segments": [], "links": [], "status": 0},
    )
    found = client.query("su.x[1]", key="QUALITY").QUALITY
    assert [None if pd.isna(value) else value for value in found] == expected


def test_what_is_known_of_a_series_cannot_be_spoilt(server: Server, client: drms.Client) -> None:
    """It is remembered, but whoever changes what he was given changes his own."""
    server.says("jsoc_info", {"keywords": [], "segments": [], "links": [], "primekeys": ["A"], "status": 0})
    client.pkeys("su.x").append("B")
    keys = client.info("su.x").primekeys
    assert keys is not None
    keys.clear()
    assert client.pkeys("su.x") == ["A"]


def test_without_pandas_only_tables_are_missing(
    server: Server, client: drms.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to install."""
    server.says("show_series", {"status": 0, "names": [{"name": "su.x", "primekeys": "A", "note": ""}], "n": 1})
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert client.series() == ["su.x"]
    with pytest.raises(ImportError, match="pandas"):
        client.series(full=True)


def test_an_address_is_encoded_twice(server: Server, client: drms.Client) -> None:
    """The service takes off both, so that a plus stays one."""
    server.says("checkAddress.sh", {"status": 2, "msg": "Email address is valid and registered."})
    assert client.check_email("a+b@example.com")
    assert server.asked[-1][1] == {"address": ["a%2Bb%40example.com"], "checkonly": ["1"]}


def test_what_a_server_has_not_is_refused_before_anything_is_sent(server: Server) -> None:
    """By the kind of error that scripts look for."""
    client = drms.Client(drms.ServerConfig(name="TEST", url_jsoc_info=f"{server.url}/cgi/jsoc_info"))
    for call in (
        lambda: client.series(),
        lambda: client.check_email("a@example.com"),
        lambda: client.export("su.x[1]", email="a@example.com"),
        lambda: client.export_from_id("JSOC_20260101_001"),
        lambda: drms.Client(drms.ServerConfig(name="EMPTY"), email="a@example.com"),
    ):
        with pytest.raises(drms.DrmsOperationNotSupported):
            call()
    assert server.asked == []


def test_a_server_of_addresses_alone_is_of_use(server: Server) -> None:
    """Wherever its programs lie."""
    server.says("elsewhere", {"count": 7, "status": 0})
    client = drms.Client(drms.ServerConfig(name="TEST", url_jsoc_info=f"{server.url}/cgi/elsewhere"))
    assert client._json.rs_summary("su.x[1]")["count"] == 7


def test_the_network_s_failures_are_errors_of_drms_and_of_urllib() -> None:
    """Whoever caught URLError still does."""
    config = drms.ServerConfig(name="TEST", url_jsoc_info="http://127.0.0.1:9/jsoc_info")
    with pytest.raises(drms.DrmsConnectionError) as caught:
        drms.Client(config).query("su.x[1]", key="A")
    assert isinstance(caught.value, URLError)
    assert "127.0.0.1" in str(caught.value)


def test_what_cannot_be_right_is_a_value_error(client: drms.Client) -> None:
    """As in the original, where users look for it."""
    with pytest.raises(ValueError, match="At least one key, seg or link must be specified"):
        client.query("su.x[1]")
    with pytest.raises(ValueError, match="email argument is required"):
        client.export("su.x[1]")
    with pytest.raises(ValueError, match="foobar is not one of the allowed processing options"):
        client.export("su.x[1]", email="a@example.com", process={"foobar": {}})
    with pytest.raises(ValueError, match="does not begin with the name of a series"):
        client.info("[1]")
    with pytest.raises(KeyError, match="register_server"):
        drms.Client("nowhere")


# Exports --------------------------------------------------------------------------------------------------------------


def test_a_refused_export_is_one_that_has_failed(server: Server, client: drms.Client) -> None:
    """With the service's status; looking at its files says why there are none."""
    error = "Request exceeds max byte limit of 100000MB"
    server.says("jsoc_fetch", {"requestid": "VOID", "status": 3, "count": 12850, "size": 194300, "error": error})
    request = client.export("su.x[1]", email="a@example.com")
    assert (request.status, request.id) == (3, None)
    assert request.has_failed() and request.has_finished() and not request.has_succeeded()
    with pytest.raises(drms.DrmsExportError, match=rf"{error} \[status=3\]"):
        request.wait()
    with pytest.raises(drms.DrmsExportError, match=error):
        _ = request.urls


def test_an_unknown_address_exports_nothing(server: Server, client: drms.Client) -> None:
    """And the request says so."""
    error = "Cannot process your request. email address has been neither validated nor registered"
    server.says("jsoc_fetch", {"status": 4, "error": error})
    request = client.export("su.x[1]", email="a@example.com")
    with pytest.raises(drms.DrmsExportError, match=rf"{error} \[status=4\]"):
        request.wait()


def test_what_is_no_record_set_is_an_export_that_has_failed(client: drms.Client) -> None:
    """As it would be, had the service been asked."""
    request = client.export("su.x[1", email="a@example.com")
    assert request.status == 4
    with pytest.raises(drms.DrmsExportError, match=r"\^"):
        request.wait()


def test_all_arguments_reach_the_service_and_none_is_changed(server: Server, client: drms.Client) -> None:
    """The requester by the name the service knows, and the expected size, without which large cut-outs are refused."""
    structure = {"keywords": [], "segments": [], "links": [], "primekeys": [None], "status": 0}
    server.says("jsoc_info", structure)
    server.says("jsoc_fetch", {"status": 2, "requestid": "JSOC_20260101_001", "method": "url", "protocol": "jpg"})
    options = {"ct": "GREY.sao", "size": 2}
    process = {"im_patch": {"x": 1, "y": 2, "width": 10, "height": 20}}
    request = client.export(
        "su.x[1]", email="ann@example.com", requester="Ann", sizeratio=0.1, n=-3,
        protocol="jpg", protocol_args=options, process=process, filenamefmt="{segment}.{#}",
    )  # fmt: skip
    assert repr(request) == "<ExportRequest: id=JSOC_20260101_001, status=2>"
    sent = {name: value for name, (value,) in server.asked[-1][1].items()}
    assert (sent["requestor"], sent["sizeratio"], sent["notify"]) == ("Ann", "0.1", "ann@example.com")
    assert sent["process"] == "n=-3|im_patch,x=1,y=2,width=10,height=20"
    assert sent["protocol"].startswith("jpg,CT=grey.sao,")
    assert (sent["method"], sent["filenamefmt"]) == ("url", "{segment}.{#}")
    assert options == {"ct": "GREY.sao", "size": 2}
    assert process == {"im_patch": {"x": 1, "y": 2, "width": 10, "height": 20}}


def test_a_full_service_is_waited_for(server: Server, client: drms.Client) -> None:
    """Where the original gives a request that has failed, and scripts ask again without end."""
    full = {"status": 7, "error": "User a has 1 pending export requests (JSOC_20260101_001); please wait until …"}
    server.says("jsoc_fetch", full, {**DONE, "requestid": "JSOC_20260101_002", "data": []})
    request = client.export("su.x[1]", email="a@example.com")
    assert request.id == "JSOC_20260101_002"
    assert len(server.asked) == 2
    assert request.wait()


def test_status_looks_again_until_the_end(server: Server, client: drms.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop over it ends; reading it over and over does not bother the service."""
    now = [0.0]
    monkeypatch.setattr("aurora_async.compat.drms._exports.time.monotonic", lambda: now[0])
    under_way = {**DONE, "status": 12, "wait": "3"}
    server.says("jsoc_fetch", under_way, {**under_way, "status": 1}, {**DONE, "data": []})
    request = client.export_from_id("JSOC_20260101_001")
    assert [request.status for _ in range(5)] == [12] * 5
    seen = []
    while not request.has_succeeded():
        now[0] += 1.0
        seen.append(request.status)
    assert seen == [1, 0]
    assert len(server.asked) == 3
    assert not request.has_failed()


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_waiting_ends_on_time(server: Server, client: drms.Client, timeout: float) -> None:
    """Also where the service forecasts days."""
    server.says("jsoc_fetch", {**DONE, "status": 1, "wait": 999999})
    request = client.export_from_id("JSOC_20260101_001")
    assert not request.wait(timeout=timeout)
    assert not request.has_finished(skip_update=True)


def test_an_export_that_nobody_knows_has_failed(server: Server, client: drms.Client) -> None:
    """At once, or later."""
    unknown = {"status": 4, "error": "invalid export DRMS record for ID JSOC_20260101_001"}
    server.says("jsoc_fetch", {**DONE, "status": 1}, unknown)
    request = client.export_from_id("JSOC_20260101_001")
    with pytest.raises(drms.DrmsExportError, match=r"invalid export DRMS record .* \[status=4\]"):
        request.wait()
    assert request.status == 4


def test_rows_without_a_file_are_left_out_of_the_addresses(client: drms.Client) -> None:
    """Others keep their numbers; a movie is of no record, and what a name holds is encoded."""
    request = request_of(
        client,
        ("movie of the following data", "a b.mpg"),
        ("su.x[1]", "NoDataFile"),
        ("warning=No FITS files were exported.", ""),
        ("su.x[2]", "x#[1].jpg"),
    )
    assert list(request.urls.index) == [0, 3]
    assert request.urls.record.isna().tolist() == [True, False]
    assert [url.rpartition("/")[2] for url in request.urls.url] == ["a%20b.mpg", "x%23%5B1%5D.jpg"]
    assert len(request.data) == 4
    with pytest.raises(RuntimeError, match="not supported for export method ftp"):
        _ = request_of(client, method="ftp").urls


# Files ----------------------------------------------------------------------------------------------------------------


def test_files_that_are_none_stay_away(
    server: Server, client: drms.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A web page, a name that leads out of the folder, a file that is gone: the others come, and the log says why."""
    rows = [("su.x[1]", "page.fits"), ("su.x[2]", "../up.fits"), ("su.x[3]", "gone.fits"), ("su.x[4]", "good.fits")]
    request = request_of(client, *rows)
    server.says("jsoc_fetch", {**request._d})
    server.answers["/SUM1/D1/S0/page.fits"] = [b"<html>not found</html>"]
    server.answers["/SUM1/D1/S0/good.fits"] = [FITS]
    folder = tmp_path / "files"
    folder.mkdir()
    with caplog.at_level(logging.WARNING, logger=drms.logger.name):
        found = request.download(folder)
    assert found.download.isna().tolist() == [True, True, True, False]
    assert [path.name for path in tmp_path.rglob("*.fits")] == ["good.fits"]
    assert len([record for record in caplog.records if "did not come" in record.message]) == 3


def test_a_second_download_leaves_one_copy(server: Server, client: drms.Client, tmp_path: Path) -> None:
    """And what else is in the folder is not overwritten."""
    rows = [("su.x[1]{rot}", "rot.2d"), ("su.x[2]{rot}", "other/rot.2d")]
    request = request_of(client, *rows)
    server.says("jsoc_fetch", {**request._d})
    server.answers |= {"/SUM1/D1/S0/rot.2d": [b"one"], "/SUM1/D1/S0/other/rot.2d": [b"two"]}
    first, second = request.download(tmp_path), request.download(str(tmp_path))
    assert first.equals(second)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"rot.2d": "one", "rot.2d.1": "two"}
    (tmp_path / "rot.2d").write_text("mine")
    assert Path(request.download(tmp_path, index=0).download[0]).name == "rot.2d.2"
    assert (tmp_path / "rot.2d").read_text() == "mine"


def test_a_folder_must_exist(client: drms.Client, tmp_path: Path) -> None:
    """A misspelled one is not made."""
    with pytest.raises(OSError, match="does not exist"):
        request_of(client, ("su.x[1]", "x.fits")).download(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("from_record", "name"), [(None, "V.fits"), (True, "hmi.v_45s.20160401_000000_TAI.2.Dopplergram.fits")]
)
def test_names_from_records(
    server: Server, client: drms.Client, tmp_path: Path, from_record: bool | None, name: str
) -> None:
    """Where they are asked for."""
    request = request_of(client, (RECORD, "V.fits"))
    server.says("jsoc_fetch", {**request._d})
    server.answers["/SUM1/D1/S0/V.fits"] = [FITS]
    assert Path(request.download(tmp_path, fname_from_rec=from_record).download[0]).name == name


def test_threads_share_a_client(server: Server, client: drms.Client) -> None:
    """One connection serves them."""
    server.says("jsoc_info", {"count": 7, "status": 0})
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(client._json.rs_summary, ["su.x[1]"] * 16))
    assert {answer["count"] for answer in answers} == {7}
