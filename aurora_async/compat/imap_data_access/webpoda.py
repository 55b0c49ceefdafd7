"""Raw packets, and the files of level l0 that are made of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aurora_async import sync
from aurora_async.compat.imap_data_access._settings import config, data_dir, imap
from aurora_async.compat.imap_data_access.io import download, their_errors
from aurora_async.imap.config import WEBPODA_URL
from aurora_async.imap.vocabulary import APIDS

__all__ = [
    "INSTRUMENT_APIDS",
    "SYSTEM_ID",
    "WEBPODA_APID_URL",
    "download_daily_data",
    "download_repointing_data",
    "get_packet_binary_data_sctime",
    "get_packet_times_ert",
    "get_repoint_file",
]
__dir__ = __all__.copy

logger = logging.getLogger(__name__)

WEBPODA_APID_URL = WEBPODA_URL
"""Of the packet service. It is this for the mission's own servers alone; others have theirs beside them."""
SYSTEM_ID = "SID1"
"""Flight after launch; SID2 is flight before it, SID3 simulators."""
INSTRUMENT_APIDS = {instrument: list(apids) for instrument, apids in APIDS.items()}

_RECENT = timedelta(days=14)
_INSTANT = timedelta(microseconds=1)


def get_packet_times_ert(apid: int, start_time: datetime, end_time: datetime) -> list[datetime]:
    """Return the times, on the spacecraft, of the packets that came to Earth in a time range; naive, UTC.

    Args:
        apid: Which packets.
        start_time, end_time: On Earth; the end is not included.
    """
    with their_errors():
        times = _client().packet_times(
            _instrument_of(apid), start_time, end_time - _INSTANT, apids=[apid], system=SYSTEM_ID
        )
    return [time.replace(tzinfo=None) for time in times]


def get_packet_binary_data_sctime(apid: int, start_time: datetime, end_time: datetime) -> bytes:
    """Return the packets of a time range, one after the other.

    Args:
        apid: Which packets.
        start_time, end_time: On the spacecraft; the end is not included.
    """
    with their_errors():
        return _client().packets(_instrument_of(apid), start_time, end_time - _INSTANT, apids=[apid], system=SYSTEM_ID)


def get_repoint_file() -> Path | None:
    """Return the table of all repointings that came to the archive last, fetched; None without one in two weeks."""
    now = datetime.now(UTC)
    with their_errors():
        tables = imap().repoint_tables(ingestion_start_date=now - _RECENT, ingestion_end_date=now + timedelta(days=1))
    if not tables:
        logger.info("No repoint files found.")
        return None
    return download(max(tables, key=lambda table: table.ingestion_date).key)


def download_daily_data(
    instrument: str,
    start_time: datetime,
    end_time: datetime,
    upload_to_sdc: bool = False,
    query_by_ert: bool = True,
) -> None:
    """Make a file of each day's packets, where the archive has none or an older one.

    Args:
        instrument: Of those in `INSTRUMENT_APIDS`.
        start_time, end_time: The days, or with `query_by_ert` when packets of any day came to Earth.
        upload_to_sdc: Deliver what is new.
        query_by_ert: What the times mean.
    """
    _make(instrument, start_time, end_time, upload_to_sdc, query_by_ert)


def download_repointing_data(
    instrument: str,
    start_time: datetime,
    end_time: datetime,
    repoint_data: Iterable[Mapping[str, Any]],
    upload_to_sdc: bool = False,
    query_by_ert: bool = True,
) -> None:
    """Make a file of each pointing's packets, where the archive has none or an older one.

    Args:
        instrument: Of those in `REPOINT_DEPENDENT_INSTRUMENTS`.
        start_time, end_time: The pointings, or with `query_by_ert` when packets of any of them came to Earth.
        repoint_data: The rows of the table of repointings.
        upload_to_sdc: Deliver what is new.
        query_by_ert: What the times mean.
    """
    _make(instrument, start_time, end_time, upload_to_sdc, query_by_ert, list(repoint_data))


def _make(
    instrument: str,
    start: datetime,
    end: datetime,
    upload: bool,
    by_ert: bool,
    repoint_rows: list[Mapping[str, Any]] | None = None,
) -> None:
    with their_errors():
        made = _client().download_packets(
            instrument, start, end, mode="ert" if by_ert else "sct", upload=upload, folder=data_dir(),
            repoint_rows=repoint_rows, system=SYSTEM_ID,
        )  # fmt: skip
        for file in made.files:
            if file.error is None:
                logger.info("%s %s: %s", instrument, file.start_date, file.status)
            elif file.status == "new":
                # The file is here; as in the original, the others do not wait for this one's delivery.
                logger.error("Failed to upload %s to the server: %s", file.path, file.error)
            else:
                raise file.error


def _client() -> sync.Imap:
    if not config.get("WEBPODA_TOKEN"):
        raise ValueError(
            "The IMAP_WEBPODA_TOKEN environment variable must be set. "
            "You can run the following command to get the token: echo -n 'username:password' | base64"
        )
    return imap(webpoda_url=None if WEBPODA_APID_URL == WEBPODA_URL else WEBPODA_APID_URL)


def _instrument_of(apid: int) -> str:
    return next((name for name, apids in APIDS.items() if apid in apids), "spacecraft")
