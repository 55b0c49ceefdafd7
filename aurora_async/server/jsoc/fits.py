"""FITS files by hand: one image with its header, and nothing that a compressed or many-part file would need.

Follows the FITS standard 4.0; long texts are continued on further cards, sums are as its appendix J has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["Card", "fits_file"]

_BLOCK_BYTES = 2880
_CARD_BYTES = 80
_TEXT_BYTES = 67
"""What a card holds of a long text, without quotes and the `&` that says that more is to come."""

Value = bool | int | float | str | None


@attrs.frozen
class Card:
    """A keyword of a header, of 8 characters at most; a value of None is written as undefined.

    Of `COMMENT` and `HISTORY` the value is the text itself.
    """

    keyword: str
    value: Value
    comment: str = ""


def fits_file(pixels: NDArray[np.generic], cards: Sequence[Card]) -> bytes:
    """Return a file with one image, with sums that tell whether it is whole.

    Args:
        pixels: `(rows, columns)`, or with further axes before these; 16 or 32 bit integers, or floats.
        cards: What the header says beside the form of the image.
    """
    data = pixels.astype(pixels.dtype.newbyteorder(">"), copy=False).tobytes()
    data += bytes(-len(data) % _BLOCK_BYTES)
    data_sum = _sum(data)
    bits = pixels.dtype.itemsize * 8
    form = [
        Card("SIMPLE", True, "file conforms to the FITS standard"),
        Card("BITPIX", -bits if pixels.dtype.kind == "f" else bits),
        Card("NAXIS", pixels.ndim),
        *(Card(f"NAXIS{number}", length) for number, length in enumerate(reversed(pixels.shape), 1)),
        Card("EXTEND", True),
    ]
    sums = [Card("CHECKSUM", "0" * 16, "of this header and its image"), Card("DATASUM", str(data_sum), "of the image")]
    header = _header([*form, *cards, *sums])
    at = header.rindex(b"CHECKSUM= '") + 11
    # The text is chosen such that the sum over everything becomes -0.
    text = _sum_text(~_sum(header, data_sum) & 0xFFFFFFFF)
    return header[:at] + text + header[at + 16 :] + data


def _header(cards: Sequence[Card]) -> bytes:
    text = b"".join(line for card in cards for line in _lines(card)) + b"END".ljust(_CARD_BYTES)
    return text + b" " * (-len(text) % _BLOCK_BYTES)


def _lines(card: Card) -> Iterator[bytes]:
    """Yield a card, and those that continue it."""
    if card.keyword in ("COMMENT", "HISTORY"):
        yield _line(f"{card.keyword:<8}{_ascii(str(card.value))}", "")
        return
    if isinstance(card.value, str):
        yield from _text_lines(card.keyword, _ascii(card.value), _ascii(card.comment))
        return
    yield _line(f"{card.keyword:<8}= {_number(card.value):>20}", _ascii(card.comment))


def _text_lines(keyword: str, text: str, comment: str) -> Iterator[bytes]:
    start = f"{keyword:<8}= "
    parts = list(_text_parts(text))
    for part in parts[:-1]:
        yield _line(f"{start}'{part}&'", "")
        start = "CONTINUE  "
    yield _line(f"{start}'{parts[-1]:<8}'", comment)


def _text_parts(text: str) -> Iterator[str]:
    """Split a text with its quotes doubled, none of them in two."""
    text = text.replace("'", "''").rstrip()
    while len(text) > _TEXT_BYTES + 1:
        end = _TEXT_BYTES
        if (len(text[:end]) - len(text[:end].rstrip("'"))) % 2:
            end -= 1
        yield text[:end]
        text = text[end:]
    yield text


def _line(card: str, comment: str) -> bytes:
    if comment and len(card) + 4 < _CARD_BYTES:
        card = f"{card:<30} / {comment}"
    return card[:_CARD_BYTES].ljust(_CARD_BYTES).encode("ascii")


def _ascii(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.encode("ascii", "replace").decode("ascii")


def _number(value: bool | int | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, int):
        return str(value)
    text = repr(value).upper()
    return text if "." in text else text.replace("E", ".0E")


# Sums ---------------------------------------------------------------------------------------------------------------

_PUNCTUATION = frozenset(range(0x3A, 0x41)) | frozenset(range(0x5B, 0x61))


def _sum(data: bytes, start: int = 0) -> int:
    """Return the 32 bit ones' complement sum of data, which is that of several parts whatever their order."""
    total = start + int(np.frombuffer(data, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _sum_text(value: int) -> bytes:
    """Write a sum in 16 letters and digits that, themselves summed at their place in a header, come to that value."""
    text = [0] * 16
    for place, byte in enumerate(value.to_bytes(4, "big")):
        four = [byte // 4 + (byte % 4 if number == 0 else 0) + 0x30 for number in range(4)]
        while any(letter in _PUNCTUATION for letter in four):
            # Two at a time, one up and one down: their sum stays.
            for one in (0, 2):
                if four[one] in _PUNCTUATION or four[one + 1] in _PUNCTUATION:
                    four[one] += 1
                    four[one + 1] -= 1
        text[place::4] = four
    return bytes(text[-1:] + text[:-1])  # one to the right: the card's text begins in the last byte of a word
