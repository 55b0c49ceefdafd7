"""The dialects of the official IMAP client, as the drop-in and the command line of its name speak them.

Today's is that of release 1.3.0. The old one is that of the first release, 0.2.0, of January 2024: it asks another
server by default, words errors otherwise, and calls itself what Python does. By that the local service knows whom to
answer from the archive of that time.
"""

from __future__ import annotations

import platform
import re
from datetime import date
from http.client import responses

from aurora_async.errors import AuroraError, HttpError, TransportError
from aurora_async.imap.config import IMAP_URL

__all__ = ["CURRENT", "DATES", "OLD", "RELEASE_VARIABLE", "agent_of", "answer_behind", "is_day", "url_of", "worded"]

CURRENT, OLD = "1.3.0", "0.2.0"
"""The releases."""
RELEASE_VARIABLE = "IMAP_DATA_ACCESS_CLIENT_VERSION"
"""The environment variable that names one of them."""
DATES = {
    "start_date": "Not a valid start date, use format 'YYYYMMDD'.",
    "end_date": "Not a valid end date, use format 'YYYYMMDD'.",
    "ingestion_start_date": "Not a valid ingestion start date, use format 'YYYYMMDD'.",
    "ingestion_end_date": "Not a valid ingestion end date, use format 'YYYYMMDD'.",
}
"""The filters that are days, and what is said of one that is not."""
_DAY = re.compile(r"\d{8}|\d{4}-\d\d-\d\d", re.ASCII)


def url_of(release: str) -> str:
    """Return the service that a release asks unless it is told another."""
    return "https://api.dev.imap-mission.com" if release == OLD else IMAP_URL


def agent_of(release: str) -> str | None:
    """Return what a release calls itself; None for our own name."""
    python = ".".join(platform.python_version_tuple()[:2])
    return f"Python-urllib/{python} (aurora-async)" if release == OLD else None


def is_day(text: str) -> bool:
    """Whether a text is one whole day.

    Part of a date stands for all its days elsewhere in this package, but to the official client it is an error, or even
    another day: `202111` is 1 January 2021.
    """
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def worded(error: AuroraError, release: str) -> str:
    """Say what went wrong as a release does: in the service's own words, where there are any."""
    answer = answer_behind(error)
    if answer is not None:
        phrase = responses.get(answer.status, "")
        body = answer.body.decode(errors="replace") or answer.detail
        if release == OLD:
            return f"HTTP Error: {answer.status} - {phrase}\nServer Message: {body}"
        return f"{answer.status} {phrase}: {body}"
    if release == OLD and isinstance(error, TransportError):
        return f"URL Error: {error.reason}"
    return str(error)


def answer_behind(error: BaseException | None) -> HttpError | None:
    """Return the answer that an error was made of, if it was: of several the first with its body."""
    found = None
    while error is not None:
        if isinstance(error, HttpError) and (found is None or not found.body):
            found = error
        error = error.__cause__
    return found
