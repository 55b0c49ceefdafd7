"""Whether a body is nothing but whole packets, looked at in whatever pieces it comes."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async.errors import IncompleteBody, MalformedAnswer
from aurora_async.imap._ccsds import PacketWalk

APID = 1184


def packet(data: bytes, apid: int = APID, version: int = 0) -> bytes:
    """A packet of telemetry."""
    return struct.pack(">HHH", version << 13 | 0x0800 | apid, 0xC000, len(data) - 1) + data


def walk(body: bytes, cuts: list[int]) -> None:
    """Look at a body that comes in pieces."""
    looking = PacketWalk("http://poda.example.org", APID)
    bounds = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in pairwise(bounds):
        looking.feed(body[start:end])
    looking.finish()


bodies = st.lists(st.binary(min_size=1, max_size=300).map(packet), max_size=6)
cuts = st.lists(st.integers(0), max_size=12)


@given(whole=bodies, cuts=cuts, cut=st.integers(0))
def test_only_a_body_that_ends_with_a_packet_is_whole(whole: list[bytes], cuts: list[int], cut: int) -> None:
    """However it is cut on its way, and wherever it ends."""
    body = b"".join(whole)
    walk(body, cuts)
    ends = {sum(map(len, whole[:count])) for count in range(len(whole) + 1)}
    cut %= len(body) + 1
    if cut in ends:
        walk(body[:cut], cuts)
    else:
        with pytest.raises(IncompleteBody, match=f"ended after {cut} bytes"):
            walk(body[:cut], cuts)


@given(
    whole=bodies,
    other=st.sampled_from((packet(b"x", 1188), packet(b"x", version=1), b"Error: ", b'{"a":1}')),
    cuts=cuts,
)
def test_what_is_no_packet_of_the_apid_is_pointed_at(whole: list[bytes], other: bytes, cuts: list[int]) -> None:
    """Another's, another version's, a text: at the byte where it begins."""
    body = b"".join(whole)
    with pytest.raises(MalformedAnswer) as caught:
        walk(body + other, cuts)
    assert caught.value.where == f"byte {len(body)}"
