"""Calls in the words of imap-data-access: asked of the drop-in, and of the original, which must agree.

All are of the published files alone, so that uploads of other tests change no answer.
"""

from __future__ import annotations

import re
from typing import Any

ANSWERED: list[tuple[str, dict[str, Any]]] = [
    ("query", {"instrument": "swe", "data_level": "l1b"}),
    ("query", {"instrument": "swe", "data_level": "l1b", "version": "latest"}),
    ("query", {"instrument": "swe", "data_level": "l0", "version": "v012"}),
    ("query", {"instrument": "swe", "data_level": "l0", "minor_version": 12}),
    ("query", {"instrument": "swe", "start_date": "20240510", "end_date": "20240510", "extension": "cdf"}),
    ("query", {"instrument": "swe", "ingestion_start_date": "20241216", "ingestion_end_date": "20241216"}),
    ("query", {"descriptor": "norm-dsrf", "start_date": "20260412", "end_date": "20260416"}),
    ("query", {"descriptor": "norm-dsrf", "major_version": "1", "minor_version": "8"}),
    ("query", {"instrument": "glows", "repointing": "repoint00260"}),
    ("query", {"instrument": "glows", "repointing": 260, "version": "latest"}),
    ("query", {"instrument": "ultra", "start_date": "21000101"}),
    ("query", {"table": "ancillary", "instrument": "swe", "start_date": "20260413", "end_date": "20260505"}),
    ("query", {"table": "ancillary", "instrument": "glows", "extension": "json"}),
    ("query", {"table": "ancillary", "instrument": "swe", "descriptor": "l1b-in-flight-cal", "version": "latest"}),
    ("query", {"table": "ancillary", "descriptor": "l1a-sci-lut", "version": "v002"}),
    ("spice_query", {"type": "attitude_history"}),
    ("spice_query", {"type": "spacecraft_clock", "version": "latest"}),
    ("spice_query", {"type": "kernels", "ingestion_start_date": "20251101", "ingestion_end_date": "20251102"}),
]
"""A function and its arguments; the answers are equal, row by row."""

DAYS = {"start_date": "20260101", "end_date": "20260102"}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("query", {}, "ValueError: At least one query parameter must be provided. Run 'query -h'"),
    ("query", {"version": "latest"}, "ValueError: At least one query parameter must be provided."),
    ("query", {"table": "nonsense", "instrument": "mag"}, "ValueError: Not a valid database table, please choose from"),
    ("query", {"instrument": "nonsense"}, "ValueError: Not a valid instrument, please choose from"),
    ("query", {"instrument": "mag", "data_level": "l9"}, "ValueError: Not a valid data level, choose from"),
    ("query", {"start_date": "2024-13-01"}, "ValueError: Not a valid start date, use format 'YYYYMMDD'."),
    ("query", {"end_date": "20241301"}, "ValueError: Not a valid end date, use format 'YYYYMMDD'."),
    ("query", {"start_date": "2026"}, "ValueError: Not a valid start date, use format 'YYYYMMDD'."),
    ("query", {"ingestion_start_date": "yesterday"}, "ValueError: Not a valid ingestion start date, use format"),
    ("query", {"ingestion_end_date": "20240230"}, "ValueError: Not a valid ingestion end date, use format"),
    ("query", {"repointing": "repoint1"}, "ValueError: Not a valid repointing, use format repoint<num>, where"),
    ("query", {"instrument": "mag", "version": "v1"}, "ValueError: Not a valid version, use format 'vXXX'."),
    ("query", {"instrument": "mag", "major_version": "one"}, "ValueError: Not a valid major_version, use an integer."),
    ("query", {"instrument": "mag", "minor_version": "-1"}, "ValueError: Not a valid minor_version, use an integer."),
    ("query", {"instrument": "mag", "extension": "txt"}, "ValueError: Not a valid extension for 'science', choose"),
    (
        "query",
        {"table": "ancillary", "instrument": "mag", "extension": "pkts"},
        "ValueError: Not a valid extension for 'ancillary', choose from",
    ),
    ("spice_query", {}, "ValueError: The 'type' parameter is required for SPICE queries. Run 'query -h'"),
    ("spice_query", {"version": "latest"}, "ValueError: One other parameter must be run with 'version'"),
    ("reprocess", {"start_date": "", "end_date": "20260101"}, "ValueError: Start date and end date are required for"),
    ("reprocess", {**DAYS, "data_level": "l1a"}, "ValueError: If data_level is provided, instrument and descriptor"),
    ("reprocess", {**DAYS, "descriptor": "hist"}, "ValueError: If descriptor is provided, instrument must also be"),
    ("reprocess", {**DAYS, "instrument": "nonsense"}, "ValueError: Not a valid instrument, please choose from"),
    ("reprocess", {**DAYS, "start_date": "tomorrow"}, "ValueError: Not a valid start date, use format"),
    (
        "release",
        {"release_type": "nonsense", "manifest_file": "manifest.txt"},
        "ValueError: Not a valid release type, please choose from",
    ),
    (
        "release",
        {"release_type": "unrelease", "manifest_file": "manifest.txt"},
        "ValueError: release_type 'unrelease' is not supported yet",
    ),
    ("release", {"release_type": "release", "manifest_file": None}, "ValueError: Manifest file is required or check"),
    ("upload", {"file_path": "nowhere/imap_swe_l1a_sci_20240510_v001.0001.cdf"}, "FileNotFoundError: /"),
    (
        "download",
        {"file_path": "imap_nonsense.cdf"},
        "ValueError: Invalid file type for imap_nonsense.cdf. It does not",
    ),
    (
        "download",
        {"file_path": "imap_swe_l1a_sci_20240230_v001.0001.cdf"},
        "ValueError: Invalid file type for imap_swe_l1a_sci_20240230_v001.0001.cdf. It does not",
    ),
    (
        "download",
        {"file_path": "imap_swe_l1a_sci_19990101_v001.0001.cdf"},
        "IMAPDataAccessError: 404 Not Found: File not found, make sure you include the full path",
    ),
]
"""A function, arguments that it or the service refuses, and how the error begins; class and message are equal."""


def error_of(module: Any, function: str, arguments: dict[str, Any]) -> str:
    """Return what a call raises: the name of the class that its users catch, and the message."""
    try:
        getattr(module, function)(**arguments)
    except module.io.IMAPDataAccessError as error:
        return f"IMAPDataAccessError: {error}"
    except (ValueError, FileNotFoundError) as error:
        return f"{type(error).__name__}: {_in_order(str(error))}"
    raise AssertionError(f"{function}({arguments}) raised nothing")


def _in_order(message: str) -> str:
    """Sort what there is to choose from, which the original lists in an order of the day."""
    head, chosen, choices = message.partition("choose from ")
    return head + chosen + ", ".join(sorted(re.findall(r"[\w-]+", choices)))
