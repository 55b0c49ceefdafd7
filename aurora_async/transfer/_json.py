"""What has no fixed form, as JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec

__all__ = ["json_bytes"]


def json_bytes(value: Any) -> bytes:
    """Return `value` as JSON without white space; bytes are that already."""
    if type(value) is bytes:
        return value
    try:
        return msgspec.json.encode(value)
    except OverflowError:  # msgspec reads numbers of more than 64 bits, but writes none
        plain = msgspec.to_builtins(value, str_keys=True)
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()
