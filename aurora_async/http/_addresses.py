"""Where a request goes: a URL in the forms that sending it needs, made once."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from yarl import URL

from aurora_async.config import origin_of
from aurora_async.errors import InvalidInput
from aurora_async.http._errors import shown_url

__all__ = ["Address", "as_url"]

_SIGNATURE = re.compile(r"(?:^|&)(?:x-amz-|x-goog-)?sig(?:nature)?=", re.IGNORECASE)
_HOST = re.compile(r"[0-9A-Za-z._:%-]+")
# Printable ASCII without what RFC 3986 never allows, every % followed by two digits: encoded already.
_ENCODED_URL = re.compile(r"[!#-$&-;=?-\[\]_a-z~]*(?:%[0-9A-Fa-f]{2}[!#-$&-;=?-\[\]_a-z~]*)*")
# The same of a path and a query that end with more than a question mark, and no fragment.
_ENCODED_PATH = re.compile(r"/[!$&-;=?-\[\]_a-z~]*(?:%[0-9A-Fa-f]{2}[!$&-;=?-\[\]_a-z~]*)*(?<!\?)")


class Address(NamedTuple):
    """An absolute http(s) URL without user and password."""

    text: str
    origin: str
    target: str
    """Path and query, as a request line has them."""

    @property
    def url(self) -> URL:
        """For those who reckon with it; `text` is encoded already."""
        return URL(self.text, encoded=True)

    @property
    def is_signed(self) -> bool:
        """True for a presigned link: its query is its credential, and stores refuse it together with any other."""
        return "?" in self.target and _SIGNATURE.search(self.target.partition("?")[2]) is not None

    @property
    def shown(self) -> str:
        """Return it fit for messages and logs."""
        return shown_url(self.text)

    def below(self, path: str) -> Address:
        """Return the address of a path, which begins with a slash, below this one, which does not end with one."""
        if _ENCODED_PATH.fullmatch(path):  # nearly always so; yarl would find the same, and take twenty times as long
            return Address(self.text + path, self.origin, self.target + path)
        return Address.of(as_url(self.text + path), self.origin)

    @classmethod
    def of(cls, url: URL, origin: str) -> Address:
        """Return the address of a URL whose origin is known."""
        return cls(str(url), origin, url.raw_path_qs)

    @classmethod
    def parsed(cls, text: str) -> Address:
        """Return the address that a text says; InvalidInput when it says none."""
        return _parse(text)


def as_url(text: str) -> URL:
    """A valid one is not encoded anew: the signature of a presigned link may cover its exact spelling."""
    return URL(text, encoded=_ENCODED_URL.fullmatch(text) is not None)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address:
    try:
        url = as_url(text).with_user(None)
        if not _HOST.fullmatch(url.raw_host or ""):
            raise ValueError
        return Address.of(url, origin_of(str(url)))
    except ValueError:  # InvalidInput among them, which would name `base_url`
        raise InvalidInput("target", f"{shown_url(text)!r} is not a path or an http(s) URL") from None
