"""Whether a FITS file is whole, by what its headers say of its length; its values are not looked at.

A header is a number of cards of 80 characters, ending with END and filled up to a block; the data follow, likewise.

Source: Definition of the Flexible Image Transport System (FITS Standard 4.0), sections 3 and 4.4.
"""

from __future__ import annotations

import math
import re
from typing import BinaryIO

__all__ = ["flaw_of"]

_BLOCK_BYTES = 2880
_CARD_BYTES = 80
_MOST_BLOCKS = 1000
"""What has more of them is no header."""
_BEGINS = (b"SIMPLE  =", b"XTENSION=")
_LENGTH = re.compile(rb"(BITPIX|NAXIS\d{0,3}|PCOUNT|GCOUNT) *= *([+-]?\d+) *(?:/.*)?", re.DOTALL)


def flaw_of(file: BinaryIO, size: int) -> str | None:
    """Return what is wrong with the FITS file of `size` bytes that begins here; None when it is whole."""
    start = file.tell()
    head = file.read(min(_BLOCK_BYTES, size))
    if not head.startswith(_BEGINS[0]):
        text = " ".join(head[:512].decode("latin1").split())[:60]
        kind = "a web page" if re.search(rb"<html|<!doctype", head, re.IGNORECASE) else "something else"
        return f"{kind} came instead of a FITS file: {text!r}"
    if size % _BLOCK_BYTES:
        return f"the FITS file ends in the middle: its {size:,} bytes are no whole number of blocks of {_BLOCK_BYTES:,}"
    end = 0
    while end < size:
        file.seek(start + end)
        cards = _header(file, size - end)
        if cards is None:
            return f"the FITS file ends in the middle: a header begins at byte {end:,} of {size:,} and has no end"
        if not cards[0].startswith(_BEGINS):
            return None  # records of a kind that the standard leaves open may follow the last extension
        blocks = math.ceil(len(cards) * _CARD_BYTES / _BLOCK_BYTES) + math.ceil(_data_bytes(cards) / _BLOCK_BYTES)
        end += blocks * _BLOCK_BYTES
    return None if end == size else f"the FITS file ends in the middle: {size:,} bytes of {end:,}"


def _header(file: BinaryIO, size: int) -> list[bytes] | None:
    """Return the cards up to END; None when there is none."""
    cards: list[bytes] = []
    for _ in range(min(size // _BLOCK_BYTES, _MOST_BLOCKS)):
        block = file.read(_BLOCK_BYTES)
        if not cards and not block.startswith(_BEGINS):
            return [block[:_CARD_BYTES]]
        for at in range(0, len(block), _CARD_BYTES):
            cards.append(block[at : at + _CARD_BYTES])
            if cards[-1].rstrip() == b"END":
                return cards
    return None


def _data_bytes(cards: list[bytes]) -> int:
    """Return the length of the data that follow a header, without what fills up the last block."""
    said = {match[1]: int(match[2]) for match in map(_LENGTH.fullmatch, map(bytes.rstrip, cards)) if match}
    axes = [said.get(b"NAXIS%d" % number, 0) for number in range(1, said.get(b"NAXIS", 0) + 1)]
    if not axes:
        return 0
    if axes[0] == 0 and any(card.startswith(b"GROUPS  =") for card in cards):
        axes = axes[1:]  # random groups
    values = said.get(b"GCOUNT", 1) * (said.get(b"PCOUNT", 0) + math.prod(axes))
    return abs(said.get(b"BITPIX", 8)) // 8 * values
