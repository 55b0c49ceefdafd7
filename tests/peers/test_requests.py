"""Requests by their addresses, what goes wrong with them, and their administration, through the official client."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.peers

START, END = datetime(2020, 1, 1, 0, 0, 0), datetime(2020, 1, 1, 0, 9, 59)
RESULT_KEYS = {
    "data_uri", "result_count", "file_size", "query_duration", "completed_timestamp", "error_condition",
    "result_file_deleted_timestamp",
}  # fmt: skip


def submitted(aurorax: Any) -> Any:
    """Submit ten minutes of Swarm A."""
    return aurorax.search.ephemeris.search(
        START, END, programs=["swarm"], platforms=["swarma"], return_immediately=True
    )


def finished(aurorax: Any) -> Any:
    """Submit ten minutes of Swarm A and wait for the end."""
    search = submitted(aurorax)
    search.wait(poll_interval=0.05)
    return search


def test_a_request_can_be_followed_by_its_address(slow_aurorax: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What the request manager is for: a script that has kept nothing but the URL."""
    url = submitted(slow_aurorax).request_url
    requests = slow_aurorax.search.requests
    status = requests.get_status(url)
    assert set(status["search_result"]) == RESULT_KEYS
    assert status["search_result"]["data_uri"] is None
    assert status["search_request"]["request_id"] == url.rpartition("/")[2]
    assert requests.get_logs(url)[0]["summary"] == "Search request arrived and saved"
    status = requests.wait_for_data(url, poll_interval=0.05, verbose=True)
    assert capsys.readouterr().out.endswith("Data is now available\n")
    assert status["search_result"]["result_count"] == 10
    assert requests.get_logs(url) == status["logs"] == requests.get_status(url)["logs"]
    records = requests.get_data(f"{url}/data")
    assert [record["epoch"] for record in records] == [START + timedelta(minutes=minute) for minute in range(10)]
    assert records[0]["data_source"]["platform"] == "swarma"


def test_the_address_in_the_answer_and_the_one_the_client_builds_are_the_same(aurorax: Any, base_url: str) -> None:
    """It polls the first for a single look and builds the second for waiting and cancelling."""
    search = submitted(aurorax)
    assert search.request_url == f"{base_url}/api/v1/ephemeris/requests/{search.request_id}"
    assert uuid.UUID(search.request_id).version == 4 and search.request_id == search.request_id.lower()


def test_a_request_can_be_cancelled_by_its_address(slow_aurorax: Any) -> None:
    """And is over at once, long before the two seconds that the service takes."""
    url = submitted(slow_aurorax).request_url
    began = time.monotonic()
    assert slow_aurorax.search.requests.cancel(url, wait=True, poll_interval=0.05) == 0
    assert time.monotonic() - began < 1.5
    assert slow_aurorax.search.requests.get_status(url)["search_result"]["error_condition"] is True


@pytest.mark.parametrize("kind", ["conjunctions", "ephemeris", "data_products"])
def test_cancelling_a_finished_search_deletes_its_data(aurorax: Any, pyaurorax: Any, kind: str) -> None:
    """The client expects no body (204 for conjunctions); the data then says that it is gone, with status 200."""
    day = datetime(2020, 1, 1), datetime(2020, 1, 1, 23, 59, 59)
    if kind == "conjunctions":
        blocks = {"ground": [{"programs": ["themis-asi"]}], "space": [{"programs": ["swarm"]}]}
        search = aurorax.search.conjunctions.search(*day, 100, poll_interval=0.05, **blocks)
    elif kind == "ephemeris":
        search = finished(aurorax)
    else:
        search = aurorax.search.data_products.search(*day, programs=["trex"], poll_interval=0.05)
    assert search.cancel(wait=True) == 0
    with pytest.raises(pyaurorax.AuroraXDataRetrievalError, match=r"^NotFound: "):
        aurorax.search.requests.get_data(f"{search.request_url}/data")
    status = aurorax.search.requests.get_status(search.request_url)
    assert status["search_result"]["result_file_deleted_timestamp"] is not None


@pytest.mark.parametrize("name", ["some-bad-request-id", "0f8fad5b-d9cb-469f-a165-70867728950e"])
@pytest.mark.parametrize("kind", ["conjunctions", "ephemeris", "data_products"])
def test_an_unknown_request_is_an_error_with_404(
    aurorax: Any, pyaurorax: Any, base_url: str, kind: str, name: str
) -> None:
    """Any text in place of the identifier, as the official test suite has it."""
    url = f"{base_url}/api/v1/{kind}/requests/{name}"
    requests = aurorax.search.requests
    for ask in (requests.get_status, requests.get_logs, requests.wait_for_data, requests.cancel):
        with pytest.raises(pyaurorax.AuroraXAPIError, match=r"^API error code 404: .*" + name):
            ask(url)
    with pytest.raises(pyaurorax.AuroraXDataRetrievalError, match="unable to retrieve data"):
        requests.get_data(f"{url}/data")


def test_a_request_of_another_kind_is_not_found(aurorax: Any, pyaurorax: Any) -> None:
    """An identifier belongs to one kind of search."""
    url = submitted(aurorax).request_url.replace("/ephemeris/", "/conjunctions/")
    with pytest.raises(pyaurorax.AuroraXAPIError, match=r"^API error code 404: "):
        aurorax.search.requests.get_status(url)


def test_a_refused_query_says_what_is_wrong_with_it(aurorax: Any, pyaurorax: Any) -> None:
    """The client shows the raw body of a 400, so the words must be in it; and it names the field."""
    ground, space = [{"programs": ["themis-asi"]}], [{"programs": ["swarm"]}]
    conjunctions, ephemeris = aurorax.search.conjunctions.search, aurorax.search.ephemeris.search
    refused: list[tuple[str, Callable[[], Any]]] = [
        ("end: .* is before the start", lambda: ephemeris(END, START, programs=["swarm"])),
        ("one month", lambda: ephemeris(START, datetime(2020, 3, 1), programs=["swarm"])),
        ("at least 2 criteria blocks", lambda: conjunctions(START, END, 500, ground=ground)),
        ("conjunction_types: 'up'", lambda: conjunctions(START, END, 500, ground, space, conjunction_types=["up"])),
        ("ground1-space1.*negative", lambda: conjunctions(START, END, -5, ground=ground, space=space)),
        ("source_type: 'plane'", lambda: aurorax.search.sources.list(source_type="plane")),
        ("format: 'all'", lambda: aurorax.search.sources.list(format="all")),
    ]
    for words, ask in refused:
        with pytest.raises(pyaurorax.AuroraXAPIError, match=f"^API error code 400: .*{words}"):
            ask()


def test_listing_requests_needs_an_administrator(aurorax: Any, pyaurorax: Any, with_key: Any) -> None:
    """No key and an unknown key are refused with the same words of the client."""
    for client in (aurorax, with_key("no such key")):
        with pytest.raises(pyaurorax.AuroraXUnauthorizedError, match="An Administrator API key was not detected"):
            client.search.requests.list()
    with pytest.raises(pyaurorax.AuroraXUnauthorizedError, match=r"^API error code 401: "):
        aurorax.search.requests.delete("0f8fad5b-d9cb-469f-a165-70867728950e")


def test_an_administrator_lists_requests(aurorax: Any, with_key: Any, keys: dict[str, str]) -> None:
    """That the list is given at all proves that the key was sent; the filters are those of the client."""
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    search = finished(aurorax)
    requests = with_key(keys["Administrator"]).search.requests

    def listed(**filters: Any) -> list[dict[str, Any]]:
        return [one for one in requests.list(**filters) if one["request_id"] == search.request_id]

    (entry,) = listed()
    assert entry == {
        "search_type": "ephemeris", "ip_address": "127.0.0.1", "request_id": search.request_id,
        "requested": search.status["search_request"]["requested"], "active": False, "result_file_exists": True,
        "query_duration": search.status["search_result"]["query_duration"], "error_condition": False,
        "file_size": search.status["search_result"]["file_size"], "result_count": 10,
    }  # fmt: skip
    after = before + timedelta(hours=1)
    for same in ({"search_type": "ephemeris"}, {"active": False}, {"start": before, "end": after}, {"file_size": 1},
                 {"result_count": 10}, {"query_duration": 0}, {"error_condition": False}):  # fmt: skip
        assert listed(**same) == [entry], same
    for other in ({"search_type": "conjunction"}, {"active": True}, {"end": before - timedelta(days=1)},
                  {"file_size": 1000}, {"result_count": 11}, {"query_duration": 100_000}):  # fmt: skip
        assert listed(**other) == [], other


def test_an_administrator_deletes_a_request(aurorax: Any, pyaurorax: Any, with_key: Any, keys: dict[str, str]) -> None:
    """Afterwards nobody knows it; the client insists on status 200."""
    search = finished(aurorax)
    requests = with_key(keys["Administrator"]).search.requests
    assert requests.delete(search.request_id) == 0
    with pytest.raises(pyaurorax.AuroraXAPIError, match=r"^API error code 404: "):
        requests.get_status(search.request_url)
    assert all(one["request_id"] != search.request_id for one in requests.list())


def test_a_user_may_search_but_not_administrate(pyaurorax: Any, with_key: Any, keys: dict[str, str]) -> None:
    """The role is looked at, not only the key; the client takes the refusal of a deletion for what it is."""
    client = with_key(keys["User"])
    search = finished(client)
    search.get_data()
    assert len(search.data) == 10
    with pytest.raises(pyaurorax.AuroraXAPIError, match=r"^NotPermitted - "):
        client.search.requests.delete(search.request_id)
