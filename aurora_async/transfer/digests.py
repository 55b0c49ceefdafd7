"""Digests that a server or a caller promises, verified while the bytes are written."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import attrs

from aurora_async.errors import InvalidInput

__all__ = ["Digest", "caller_digest", "etag_digest", "is_md5_etag", "promised_digests"]

# By the names of HTTP's registry (RFC 9530) and ours; weaker ones say nothing that the length does not.
_ALGORITHMS = {"sha-512": "sha512", "sha-256": "sha256", "sha": "sha1", "md5": "md5"}


@attrs.frozen
class Digest:
    """A promise about the bytes of a file."""

    algorithm: str
    """As `hashlib` names it."""
    value: bytes
    source: str
    """Who promised it, for errors."""

    def new(self) -> Any:
        """Return a new hash of this algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def promised_digests(headers: Mapping[str, str], *, whole: bool) -> list[Digest]:
    """Return what an answer promises about its representation.

    `Repr-Digest` and the older `Digest` are about the whole file, whatever part of it is sent; `Content-MD5` is about
    the bytes of this answer, and so of use only when it is `whole`. The ETag of an object in S3 is its MD5 where the
    answer says that it is encrypted by S3's own key. What cannot be read promises nothing.
    """
    found = []
    if is_md5_etag(headers) and (digest := etag_digest(headers.get("ETag"))):
        found.append(digest)
    for name in ("Repr-Digest", "Digest"):
        for algorithm, text in re.findall(r"([A-Za-z0-9-]+)=:?([A-Za-z0-9+/=]+):?", headers.get(name, "")):
            ours = _ALGORITHMS.get(algorithm.lower())
            value = _decoded(text)
            if ours is not None and value is not None and len(value) == hashlib.new(ours).digest_size:
                found.append(Digest(ours, value, name))
    if whole and (value := _decoded(headers.get("Content-MD5", ""))) is not None and len(value) == 16:
        found.append(Digest("md5", value, "Content-MD5"))
    return found


def is_md5_etag(headers: Mapping[str, str]) -> bool:
    """True when an ETag that looks like an MD5 is one.

    Source: Amazon S3, "Checking object integrity": so it is of objects that were sent in one part and are encrypted by
    the store's own keys.
    """
    return headers.get("x-amz-server-side-encryption") == "AES256"


def etag_digest(etag: str | None) -> Digest | None:
    """Return the MD5 that an ETag looks like. What has it is the file; what has not may be the file all the same."""
    match = re.fullmatch(r'"([0-9a-f]{32})"', etag or "")
    return None if match is None else Digest("md5", bytes.fromhex(match[1]), "ETag")


def caller_digest(text: str) -> Digest:
    """Read a digest given by the caller: hexadecimal, its algorithm before it (`md5:…`) or told by its length."""
    algorithm, _, digits = text.strip().lower().rpartition(":")
    by_length = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
    algorithm = algorithm.replace("-", "") or by_length.get(len(digits), "")
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        value = b""
    if algorithm not in by_length.values() or len(value) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise InvalidInput("digest", f"{text!r} is not a hexadecimal sha256 (or md5:…, sha1:…, sha512:…)")
    return Digest(algorithm, value, "caller")


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None
