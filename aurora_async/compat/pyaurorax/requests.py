"""Requests by URL, as functions."""

from __future__ import annotations

from typing import Any

from aurora_async.compat.pyaurorax._module_form import STANDARD_POLLING_SLEEP_TIME, aurorax

__all__ = ["STANDARD_POLLING_SLEEP_TIME", "cancel", "get_data", "get_logs", "get_status", "wait_for_data"]
__dir__ = __all__.copy


def get_status(request_url: str) -> dict[str, Any]:
    """Return the status document of a request."""
    return aurorax().search.requests.get_status(request_url)


def get_logs(request_url: str) -> list[dict[str, Any]]:
    """Return what the service wrote down about a request."""
    return aurorax().search.requests.get_logs(request_url)


def get_data(data_url: str, response_format: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the records of a request as dictionaries."""
    return aurorax().search.requests.get_data(data_url, response_format)


def wait_for_data(
    request_url: str, poll_interval: float = STANDARD_POLLING_SLEEP_TIME, verbose: bool = False
) -> dict[str, Any]:
    """Wait until a request is over, and return its status document."""
    return aurorax().search.requests.wait_for_data(request_url, poll_interval, verbose)


def cancel(
    request_url: str, wait: bool = False, poll_interval: float = STANDARD_POLLING_SLEEP_TIME, verbose: bool = False
) -> int:
    """Ask the service to give up on a request, and return 1."""
    aurorax().search.requests.cancel(request_url, wait, poll_interval, verbose)
    return 1
