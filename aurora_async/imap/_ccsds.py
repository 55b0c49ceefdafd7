"""Space packets as they come over the line: whether a body is nothing but whole packets of one APID.

A body without a length ends where its connection does, and an error text may come with 200: the packets themselves say
whether they are packets, and whether the last one is whole. Only a cut between two of them shows nowhere.

Source: CCSDS 133.0-B-2, 4.1.3 (the primary header).
"""

from __future__ import annotations

import struct

import attrs

from aurora_async.errors import IncompleteBody, MalformedAnswer

__all__ = ["PacketWalk"]

_HEADER = struct.Struct(">HHH")
_APID_BITS = 0x7FF
_VERSION_SHIFT = 13


@attrs.define
class PacketWalk:
    """Goes from one packet to the next while they arrive; nothing of them is kept but a header that is cut."""

    url: str
    apid: int
    _come_bytes: int = attrs.field(default=0, init=False)
    _next: int = attrs.field(default=0, init=False)
    """Where in the body the next packet begins."""
    _cut_header: bytes = attrs.field(default=b"", init=False)

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Look at the next bytes.

        Raises:
            MalformedAnswer: No packet of the APID begins where one should.
        """
        known = self._cut_header + chunk
        begin = self._come_bytes - len(self._cut_header)
        self._come_bytes += len(chunk)
        while self._next + _HEADER.size <= self._come_bytes:
            word, _, last = _HEADER.unpack_from(known, self._next - begin)
            if word >> _VERSION_SHIFT or word & _APID_BITS != self.apid:
                raise self._wrong(known[self._next - begin :])
            self._next += _HEADER.size + last + 1
        self._cut_header = known[self._next - begin :]

    def finish(self) -> None:
        """Make sure that the last packet is whole.

        Raises:
            IncompleteBody: It is not.
        """
        if self._next != self._come_bytes:
            reason = f"the body ended after {self._come_bytes} bytes, within a packet; download it again"
            raise IncompleteBody(self.url, None, reason)

    def _wrong(self, found: bytes) -> MalformedAnswer:
        reason = f"expected a packet of APID {self.apid}, got {found[:40]!r}"
        return MalformedAnswer(self.url, f"byte {self._next}", reason)
