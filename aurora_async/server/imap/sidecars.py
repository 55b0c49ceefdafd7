"""What a user knows of a kernel beside its name: a JSON file next to it, of the same name and `.json` behind that.

It holds a row in the form of `/spice-query`, or a part of one: most often `file_intervals_j2000`, what the kernel
covers. It is read when the kernel is listed, so it has to be there first.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec

from aurora_async.imap.filenames import InvalidFileName, SpiceName
from aurora_async.server.imap.listing import NOTHING

__all__ = ["facts_beside", "is_sidecar"]

logger = logging.getLogger(__name__)

_ENDING = ".json"


class _Facts(TypedDict, total=False):
    file_root: str
    kernel_type: str
    version: int
    min_date_j2000: float
    max_date_j2000: float
    file_intervals_j2000: Annotated[list[tuple[float, float]], msgspec.Meta(min_length=1)]
    min_date_datetime: str
    max_date_datetime: str
    file_intervals_datetime: list[tuple[str, str]]
    min_date_sclk: str
    max_date_sclk: str
    file_intervals_sclk: list[tuple[str, str]]
    sclk_kernel: str
    lsk_kernel: str


def is_sidecar(name: str) -> bool:
    """Tell whether a file is one that says more of a kernel, by its bare name."""
    if not name.endswith(_ENDING):
        return False
    try:
        SpiceName(name.removesuffix(_ENDING))
    except InvalidFileName:
        return False
    return True


def facts_beside(path: Path) -> Mapping[str, Any]:
    """Return what is said of the kernel at a path; what cannot be understood is logged, and left out."""
    beside = path.with_name(path.name + _ENDING)
    try:
        facts: Mapping[str, Any] = msgspec.json.decode(beside.read_bytes(), type=_Facts)
    except FileNotFoundError:
        return NOTHING
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("%s is left out: %s", beside, error)
        return NOTHING
    return facts
