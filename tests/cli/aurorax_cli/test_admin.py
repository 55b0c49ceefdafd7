"""`aurorax-cli search util`.

On purpose other than in the official program: every row has its own file size, `--active` restricts only when it is
given, `--error-condition` is asked, what is missing sorts first, and a wrong key is told in one line.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

UTIL = ("search", "util")
LISTED = "GET /api/v1/utils/admin/search_requests"
DONE = {
    "search_type": "conjunction", "ip_address": "10.0.0.1", "request_id": "a", "requested": "2024-06-18T01:56:33.39",
    "active": False, "query_duration": 325, "result_file_exists": True, "file_size": 376747, "result_count": 49,
    "error_condition": False,
}  # fmt: skip
RUNNING = DONE | {
    "request_id": "b", "requested": "2024-06-18T02:00:00", "active": True, "query_duration": None,
    "result_file_exists": False, "file_size": None, "result_count": None,
}  # fmt: skip
LONG = DONE | {
    "request_id": "c",
    "requested": "2024-06-18T03:00:00",
    "query_duration": 5_400_000,
    "file_size": 8_333_523,
}
NEEDED = "An Administrator API key was not detected, and is required for this function"


def test_requests_are_a_table(scripted: Any) -> None:
    """Each row with its own size, and dashes where there is nothing yet."""
    ran = scripted({LISTED: (200, [LONG, RUNNING, DONE])}).cli(*UTIL, "list_search_requests")
    assert ran.code == 0
    assert [re.split(r" {3,}", line.strip()) for line in [ran.lines[0], *ran.lines[2:]]] == [
        ["Requested Timestamp", "Search Type", "Request ID", "IP Address", "Active", "Query Duration", "Result Count",
         "File Size", "Result File Exists", "Error Condition"],
        ["2024-06-18T01:56:33.39", "conjunction", "a", "10.0.0.1", "False", "0.325s (a moment)", "49", "376.7 kB",
         "True", "False"],
        ["2024-06-18T02:00:00", "conjunction", "b", "10.0.0.1", "True", "-", "-", "-", "False", "False"],
        ["2024-06-18T03:00:00", "conjunction", "c", "10.0.0.1", "False", "5400.000s (2 hours)", "49", "8.3 MB",
         "True", "False"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ((), "abc"),
        (("--reversed",), "cba"),
        (("--limit", "2"), "ab"),
        (("--reversed", "--limit", "1"), "c"),
        (("--order", "file_size"), "bac"),
        (("--order", "result_count", "--second-order", "query_duration"), "bac"),
        (("--order", "active", "--second-order", "file_size", "--reversed"), "bca"),
    ],
)
def test_requests_are_sorted_by_one_or_two_columns(scripted: Any, options: tuple[str, ...], order: str) -> None:
    """Those that lack the value come first."""
    ran = scripted({LISTED: (200, [LONG, RUNNING, DONE])}).cli(*UTIL, "list_search_requests", *options)
    assert [line.split()[2] for line in ran.lines[2:]] == list(order)


def test_the_filters_are_the_services(cli: Any, admin_key: str) -> None:
    """Each of them leaves the request in that was made for it, or out."""
    request_id = cli("search", "ephemeris", "search", "ephemeris.json").request_id

    def is_listed(*options: str) -> bool:
        ran = cli("--api-key", admin_key, *UTIL, "list_search_requests", *options)
        assert ran.code == 0, ran.output
        return request_id in ran.output

    assert is_listed()
    assert is_listed("--search-type", "ephemeris") and not is_listed("--search-type", "conjunction")
    assert not is_listed("--active")
    assert is_listed("--start", "2020-01-01T00:00:00") and not is_listed("--end", "2020-01-01T00:00:00")
    assert is_listed("--result-count", "10") and not is_listed("--result-count", "11")
    assert not is_listed("--file-size", "1000") and not is_listed("--query-duration", "3600000")
    assert is_listed("--error-condition", "false") and not is_listed("--error-condition", "true")


def test_a_request_can_be_deleted(cli: Any, admin_key: str) -> None:
    """By an administrator alone; it is gone then."""
    request_id = cli("search", "ephemeris", "search", "ephemeris.json").request_id
    for command in ("list_search_requests",), ("delete_search_request", request_id):
        ran = cli(*UTIL, *command)
        assert (ran.code, ran.output) == (1, f"AuroraXUnauthorizedError occurred: {NEEDED}\n")
    ran = cli("--api-key", admin_key, *UTIL, "delete_search_request", request_id)
    assert (ran.code, ran.output) == (0, f"Successfully deleted request '{request_id}'\n")
    assert cli("search", "ephemeris", "get_status", request_id).code == 1


@pytest.mark.parametrize("option", ["start", "end"])
def test_a_time_that_is_none_is_refused(cli: Any, option: str) -> None:
    """With what is wrong with it."""
    ran = cli(*UTIL, "list_search_requests", f"--{option}", "2020")
    assert ran.code == 1
    assert ran.output.startswith(
        f"Error parsing {option} timestamp, make sure it is in YYYY-MM-DDTHH:MM:SS format (time data '2020' does not"
    )
