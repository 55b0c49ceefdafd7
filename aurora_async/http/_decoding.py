"""Content-Encoding, undone in constant memory, with every truncation noticed.

aiohttp would decompress too, but ends a gzip body quietly that was cut in its middle (3.14 checks deflate alone). br is
not asked for: aiohttp has it only when another package happens to be installed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from aurora_async._zlib import fast_zlib
from aurora_async.errors import IncompleteBody, MalformedAnswer

__all__ = ["ACCEPT_ENCODING", "MOST_WHOLE_BYTES", "Decoder", "decoder_for"]

ACCEPT_ENCODING = "gzip, deflate"

_GZIP_WBITS = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
_PIECE_BYTES = 1 << 20

MOST_WHOLE_BYTES = 1 << 30
"""What an answer that is read into memory may decompress to: a megabyte of gzip may hold a gigabyte of zeros."""


def decoder_for(encoding: str | None, url: str) -> Decoder | None:
    """Return a decoder for a Content-Encoding, None when the body is sent as it is."""
    name = (encoding or "").strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return Decoder(name.removeprefix("x-"), url)
    raise MalformedAnswer(url, "Content-Encoding", f"{encoding!r} was not asked for ({ACCEPT_ENCODING} were)")


class Decoder:
    """One body's decompression: `feed` every chunk, then `finish`."""

    __slots__ = ("_encoding", "_inflate", "_started", "_url")

    def __init__(self, encoding: str, url: str) -> None:
        self._encoding = encoding
        self._url = url
        self._inflate = fast_zlib.decompressobj(_GZIP_WBITS)
        self._started = False

    def feed(self, data: bytes | memoryview, most: int = _PIECE_BYTES) -> Iterator[bytes]:
        """Yield what `data` decompresses to, `most` bytes at a time: a small chunk may hold gigabytes of zeros."""
        if not self._started and data:
            self._started = True
            # RFC 9110 means zlib by "deflate"; some servers send it without zlib's header, whose low bits are always 8.
            if self._encoding == "deflate":
                self._inflate = fast_zlib.decompressobj(zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS)
            else:
                self._begin_member(data)
        while data:
            if self._inflate.eof and not (data := self._next_member(data)):
                return
            piece = self._decompress(data, most)
            if piece:
                yield piece
            # With all input read, output may still wait inside: a full piece says so.
            while not self._inflate.unconsumed_tail and len(piece) == most and not self._inflate.eof:
                piece = self._decompress(b"", most)
                if piece:
                    yield piece
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def finish(self) -> None:
        """Make sure that the compressed data were whole. A body of no bytes at all is."""
        if self._started and not self._inflate.eof:
            raise IncompleteBody(self._url, None, f"its {self._encoding} data end in the middle")

    def whole(self, data: bytes, most: int = MOST_WHOLE_BYTES) -> bytes:
        """Return all that `data`, the whole body, decompresses to; `MalformedAnswer` where that is more than `most`."""
        pieces: list[bytes] = []
        left = most
        for piece in self.feed(data):
            left -= len(piece)
            if left < 0:
                reason = f"its {len(data)} bytes of {self._encoding} decompress to more than {most} bytes"
                raise MalformedAnswer(self._url, "body", f"{reason}, which is no answer to be read into memory")
            pieces.append(piece)
        self.finish()
        return b"".join(pieces)

    def _decompress(self, data: bytes | memoryview, most: int) -> bytes:
        try:
            piece: bytes = self._inflate.decompress(data, most)
        except fast_zlib.error as error:
            raise MalformedAnswer(self._url, "body", f"its {self._encoding} data are broken: {error}") from error
        return piece

    def _next_member(self, data: bytes | memoryview) -> bytes:
        """Begin the next of several gzip members (`cat a.gz b.gz`); zeros behind the last are padding."""
        if self._encoding == "gzip":
            data = bytes(data).lstrip(b"\0")
            if data:
                self._begin_member(data)
            return data
        raise MalformedAnswer(self._url, "body", "bytes follow the end of its deflate data")

    def _begin_member(self, data: bytes | memoryview) -> None:
        if data[:2] != _GZIP_MAGIC[: len(data)]:  # isal says so only when a whole header has come
            raise MalformedAnswer(self._url, "body", "its gzip data are broken: incorrect header")
        self._inflate = fast_zlib.decompressobj(_GZIP_WBITS)
