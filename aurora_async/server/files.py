"""Files behind addresses: copies of the published data products, and bytes of any length for tests of downloading.

`/files/data.phys.ucalgary.ca/…` answers for every data product that the local service lists, under its published path.
The pictures are made up from that path, and say so inside: they are of the right kind, form and name, and show nothing
that was observed. `/_local/bytes/<n>?seed=…` answers with `n` bytes (`made_bytes`), and with `&digest=true` says in
Repr-Digest what they should be. Everything has an ETag, a date and ranges, and is the same each time and everywhere.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
import re
import struct
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from aurora_async.server.site import CHANGE, CHUNK_BYTES, ApiError, Change, Made, Routes, Version, answer_made, flag
from aurora_async.server.sky.products import product_at

__all__ = ["FileRoutes", "made_bytes"]

_BLOCK_BYTES = 1 << 16
_MOST_BYTES = 1 << 40
_BYTES_CHANGED_S = 1_577_836_800  # 2020-01-01
_MADE_UP = b"Made up by aurora_async's local service. Not an observation."
_TYPES = {"jpg": "image/jpeg", "mp4": "video/mp4"}


class FileRoutes:
    """`/files/…` and `/_local/bytes/…`."""

    def add_to(self, routes: Routes) -> None:
        """Answer these addresses."""
        routes.add("GET", "/files/{…}", self._product)
        routes.add("GET", "/_local/bytes/{}", self._bytes)

    async def _product(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        record = product_at(f"https://{path}")
        if record is None:
            raise ApiError(404, "NotFound", f"no data product here has the address https://{path}")
        change = request.get(CHANGE, Change())
        data = await asyncio.to_thread(_product_file, path, record["metadata"]["imaging_start_time"], change.version)
        kind = _TYPES[path.rpartition(".")[2]]
        made = Made(len(data), lambda begin, end: data[begin:end], {"Content-Type": kind})
        changed_s = int(datetime.fromisoformat(f"{record['end']}+00:00").timestamp())
        return await answer_made(request, made, Version(_digest(path), changed_s).after(change))

    async def _bytes(self, request: web.BaseRequest, text: str) -> web.StreamResponse:
        if not re.fullmatch(r"[0-9]{1,13}", text) or int(text) > _MOST_BYTES:
            raise ApiError(400, "AssertionError", f"{text!r} is not a number of bytes, at most {_MOST_BYTES}")
        seed, change = request.query.get("seed", ""), request.get(CHANGE, Change())
        size, headers = int(text), {"Content-Type": "application/octet-stream"}
        if flag(request, "digest"):
            digest = await asyncio.to_thread(_sha256, size, seed, change.version)
            headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
        made = Made(size, _Maker(seed, change.version).part, headers)
        version = Version(_digest(f"{text} {seed}"), _BYTES_CHANGED_S)
        return await answer_made(request, made, version.after(change))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Bytes --------------------------------------------------------------------------------------------------------------


def made_bytes(size: int, seed: str = "", *, version: int = 1) -> bytes:
    """Return what `/_local/bytes/<size>?seed=<seed>` answers: bytes in which no part is like another."""
    return _Maker(seed, version).part(0, size)


@lru_cache(maxsize=64)
def _sha256(size: int, seed: str, version: int) -> bytes:
    maker, digest = _Maker(seed, version), hashlib.sha256()
    for at in range(0, size, CHUNK_BYTES):
        digest.update(maker.part(at, min(at + CHUNK_BYTES, size)))
    return digest.digest()


class _Maker:
    """Blocks that begin differently and go on alike: a byte in the wrong place shows, and a gigabyte takes a second."""

    def __init__(self, seed: str, version: int) -> None:
        self._name = f"{version} {seed}".encode()
        self._rest = hashlib.shake_256(self._name).digest(_BLOCK_BYTES - 32)

    def part(self, begin: int, end: int) -> bytes:
        first = begin // _BLOCK_BYTES
        blocks = b"".join(self._blocks(first, -(-end // _BLOCK_BYTES)))
        return blocks[begin - first * _BLOCK_BYTES : end - first * _BLOCK_BYTES]

    def _blocks(self, first: int, last: int) -> Iterator[bytes]:
        for number in range(first, last):
            yield hashlib.sha256(self._name + b" %d" % number).digest()
            yield self._rest


# Pictures -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _product_file(path: str, said: str, version: int) -> bytes:
    comment = b"%s Version %d of %s, imaging from %s." % (_MADE_UP, version, path.encode(), said.encode())
    if path.endswith(".mp4"):
        return _empty_movie(comment)
    rows = 25 if "200px" in path else 48
    columns = 240 if "hires" in path else 120
    return _jpeg(_keogram(rows, columns, hashlib.sha256(f"{version} {path}".encode()).digest()), comment)


def _keogram(rows: int, columns: int, seed: bytes) -> NDArray[np.uint8]:
    """Return an arc that wanders over a dark sky: `(rows, columns, 3)`, RGB, north above, time to the right."""
    phase = [byte / 255 * math.tau for byte in seed[:6]]
    time = np.linspace(0, math.tau, columns)[None, :]
    height = np.linspace(0, 1, rows)[:, None]
    arc = 0.5 + 0.22 * np.sin(time + phase[0]) + 0.08 * np.sin(3 * time + phase[1])
    width = 0.06 + 0.03 * np.sin(2 * time + phase[2])
    light = np.exp(-(((height - arc) / width) ** 2)) * (0.6 + 0.4 * np.sin(5 * time + phase[3]) * np.cos(phase[4]))
    glow = 0.12 + 0.05 * np.cos(3 * (height - 0.5)) + 0.02 * np.sin(40 * height + phase[5])
    colours = np.stack([glow + 0.25 * light, glow + 0.85 * light, glow + 0.35 * light], axis=-1)
    return np.asarray(np.clip(colours, 0, 1) * 255, dtype=np.uint8)


# Of the two tables that the JPEG standard proposes (K.3.3) only that of the mean values is used: how many codes there
# are of each length from 1 on, then what they stand for. A block ends where its mean is written: one code, of one bit.
_DC_LENGTHS, _DC_VALUES = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1] + [0] * 7), bytes(range(12))
_AC_LENGTHS, _AC_VALUES = bytes([1] + [0] * 15), b"\0"
_END_OF_BLOCK = "0"
_QUANTISATION = bytes([8] * 64)  # with 8, a block's mean is what its first coefficient says


def _jpeg(pixels: NDArray[np.uint8], comment: bytes) -> bytes:
    """Return a baseline JPEG in which each pixel is a square of eight by eight."""
    rows, columns, _ = pixels.shape
    red, green, blue = (pixels[..., channel].astype(float) for channel in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = np.stack([luma - 128, (blue - luma) / 1.772, (red - luma) / 1.402], axis=-1).round().astype(int)
    steps = np.diff(planes.reshape(-1, 3), axis=0, prepend=0).clip(-2047, 2047)
    codes = _codes(_DC_LENGTHS)
    bits = "".join(_step_bits(step, codes) for step in steps.ravel().tolist())
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    components = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    return b"".join(
        [
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            _segment(0xFE, comment),
            _segment(0xDB, b"\0" + _QUANTISATION),
            _segment(0xC0, struct.pack(">BHHB", 8, rows * 8, columns * 8, 3) + components),
            _segment(0xC4, b"\x00" + _DC_LENGTHS + _DC_VALUES + b"\x10" + _AC_LENGTHS + _AC_VALUES),
            _segment(0xDA, b"\3\1\0\2\0\3\0\0\x3f\0"),
            scan,
            b"\xff\xd9",
        ]
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _codes(lengths: bytes) -> list[str]:
    """Return the Huffman code of each value, in order."""
    codes: list[str] = []
    code = 0
    for length, count in enumerate(lengths, 1):
        for _ in range(count):
            codes.append(f"{code:0{length}b}")
            code += 1
        code <<= 1
    return codes


def _step_bits(step: int, codes: list[str]) -> str:
    """Return how a block's mean, less that of the block before, is written: its number of bits, and those."""
    size = abs(step).bit_length()
    digits = f"{step if step > 0 else step + (1 << size) - 1:0{size}b}" if size else ""
    return codes[size] + digits + _END_OF_BLOCK


def _empty_movie(comment: bytes) -> bytes:
    """Return an MP4 file without tracks: a player opens it, and has nothing to show."""
    header = struct.pack(">IIIIIIHHQ", 0, 0, 0, 1000, 0, 0x10000, 0x100, 0, 0)
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    movie = _box(b"mvhd", header + matrix + bytes(24) + struct.pack(">I", 1))
    return _box(b"ftyp", b"isom\0\0\2\0isommp41") + _box(b"moov", movie) + _box(b"free", comment)


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content
