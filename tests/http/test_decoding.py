"""Compressed bodies, in any pieces, cut anywhere."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from

from aurora_async.errors import IncompleteBody, MalformedAnswer
from aurora_async.http import _decoding
from aurora_async.http._decoding import Decoder, decoder_for


@pytest.fixture(params=["zlib", "isal.isal_zlib"], autouse=True, scope="module")
def inflating(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run everything with both libraries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_decoding, "fast_zlib", pytest.importorskip(request.param))
        yield


def compress(form: str, data: bytes) -> tuple[str, bytes]:
    if form == "gzip":
        return "gzip", gzip.compress(data)
    if form == "members":
        half = len(data) // 2
        return "gzip", gzip.compress(data[:half]) + gzip.compress(data[half:]) + b"\0\0"
    if form == "zlib":
        return "deflate", zlib.compress(data)
    raw = zlib.compressobj(wbits=-15)
    return "deflate", raw.compress(data) + raw.flush()


FORMS = ("gzip", "members", "zlib", "raw")


@given(data=binary(max_size=3000), step=integers(1, 400), most=integers(1, 700), form=sampled_from(FORMS))
def test_any_pieces_give_the_body_back(data: bytes, step: int, most: int, form: str) -> None:
    """However the network cut it up, and however small the pieces that the reader wants."""
    encoding, packed = compress(form, data)
    decoder = Decoder(encoding, "u")
    pieces = [piece for at in range(0, len(packed), step) for piece in decoder.feed(packed[at : at + step], most)]
    decoder.finish()
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= most for piece in pieces)


@pytest.mark.parametrize("form", ["gzip", "zlib", "raw"])
def test_a_body_cut_at_any_byte_is_noticed(form: str) -> None:
    """aiohttp lets a cut gzip body pass for a whole one."""
    encoding, packed = compress(form, bytes(range(256)))
    for length in range(1, len(packed)):
        decoder = Decoder(encoding, "u")
        list(decoder.feed(packed[:length]))
        with pytest.raises(IncompleteBody, match="end in the middle"):
            decoder.finish()


def test_a_bomb_is_met_in_pieces() -> None:
    """A hundred kilobytes that hold a hundred megabytes must not fill the memory."""
    packed = gzip.compress(bytes(20_000_000))
    assert len(packed) < 30_000
    assert max(len(piece) for piece in Decoder("gzip", "u").feed(packed, 1 << 16)) <= 1 << 16


@pytest.mark.parametrize("form", FORMS)
def test_what_is_read_into_memory_has_an_end(form: str) -> None:
    """A bomb in the place of a status must not take the process down; the answer just short of the limit is read."""
    encoding, packed = compress(form, bytes(5_000_000))
    assert len(Decoder(encoding, "u").whole(packed, 5_000_000)) == 5_000_000
    with pytest.raises(MalformedAnswer, match=f"{encoding} decompress to more than 4999999 bytes"):
        Decoder(encoding, "u").whole(packed, 4_999_999)


@pytest.mark.parametrize("form", FORMS)
def test_broken_data_are_an_error_of_ours(form: str) -> None:
    """Not zlib's."""
    encoding, packed = compress(form, bytes(range(256)) * 10)
    with pytest.raises(MalformedAnswer):
        Decoder(encoding, "u").whole(packed[:20] + b"\xff\xff\xff\xff" + packed[24:])


def test_bytes_behind_the_end_are_not_ignored() -> None:
    """They may be the rest of the body, under a wrong header."""
    for encoding, packed in (compress("gzip", b"a"), compress("zlib", b"a")):
        with pytest.raises(MalformedAnswer):
            Decoder(encoding, "u").whole(packed + b"trailing")


def test_encodings_by_name() -> None:
    """None for a plain body; an error for what was not asked for."""
    assert decoder_for(None, "u") is None
    assert decoder_for(" Identity", "u") is None
    for name in ("gzip", "GZIP", "x-gzip"):
        decoder = decoder_for(name, "u")
        assert decoder is not None
        assert decoder.whole(gzip.compress(b"hello")) == b"hello"
    with pytest.raises(MalformedAnswer, match="br"):
        decoder_for("br", "u")


def test_no_bytes_at_all_are_a_whole_body() -> None:
    """An answer to HEAD, and 304, carry the header and nothing to decompress."""
    assert Decoder("gzip", "u").whole(b"") == b""
