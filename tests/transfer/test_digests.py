"""Promises about bytes: what is understood holds, what is not promises nothing."""

from __future__ import annotations

import base64
import hashlib

import pytest

from aurora_async.errors import InvalidInput
from aurora_async.transfer.digests import caller_digest, promised_digests

DATA = b"some bytes"
SHA256, SHA512, MD5 = (hashlib.new(name, DATA).digest() for name in ("sha256", "sha512", "md5"))


def base64_of(value: bytes) -> str:
    """As headers have it."""
    return base64.b64encode(value).decode()


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"Repr-Digest": f"sha-256=:{base64_of(SHA256)}:"}, [("sha256", SHA256)]),
        (
            {"Repr-Digest": f"sha-512=:{base64_of(SHA512)}:, sha-256=:{base64_of(SHA256)}:"},
            [("sha512", SHA512), ("sha256", SHA256)],
        ),
        ({"Digest": f"SHA-256={base64_of(SHA256)},unixsum=30637"}, [("sha256", SHA256)]),
        ({"Digest": f"SHA-256={SHA256.hex()}"}, []),
        ({"Repr-Digest": "sha-256=:not base64:, crc32c=:AAAAAA==:"}, []),
        ({"Content-MD5": base64_of(MD5)}, [("md5", MD5)]),
        ({"Content-MD5": "?"}, []),
        ({}, []),
    ],
)
def test_what_servers_promise(headers: dict[str, str], found: list[tuple[str, bytes]]) -> None:
    """In the form of RFC 9530 and the two before it; the same bytes are hashed for all."""
    assert [(one.algorithm, one.value) for one in promised_digests(headers, whole=True)] == found
    of_parts = [(one.algorithm, one.value) for one in promised_digests(headers, whole=False)]
    assert of_parts == ([] if "Content-MD5" in headers else found)


@pytest.mark.parametrize("text", [SHA256.hex(), f"sha256:{SHA256.hex().upper()}", f"SHA-256:{SHA256.hex()}"])
def test_what_callers_give(text: str) -> None:
    """As people copy it from a page, or from another program's output."""
    digest = caller_digest(text)
    assert (digest.algorithm, digest.value) == ("sha256", SHA256)
    hashed = digest.new()
    hashed.update(DATA)
    assert hashed.digest() == digest.value


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:xyz", f"sha512:{SHA256.hex()}", f"crc32:{MD5.hex()}"])
def test_what_is_no_digest_is_refused(text: str) -> None:
    """Rather than verified against nothing."""
    with pytest.raises(InvalidInput, match="is not a hexadecimal sha256"):
        caller_digest(text)
