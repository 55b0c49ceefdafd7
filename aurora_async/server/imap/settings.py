"""What the local IMAP data center can be told: who is let in, what it holds, and how quick and how patient it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
from attrs.converters import optional as if_given
from attrs.validators import deep_iterable, deep_mapping, ge, gt, in_, instance_of, le

__all__ = ["SCOPES", "ImapSettings"]

SCOPES = ("full", "read", "write")
"""What an API key may be for; only with `read` is it kept from changing anything."""

_DAY_S = 86_400.0


def _as_tuple(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _count(secrets: Iterable[str]) -> str:
    return f"<{len(tuple(secrets))}>"


@attrs.frozen(kw_only=True)
class ImapSettings:
    """Settings of the local IMAP data center."""

    api_keys: Mapping[str, str] = attrs.field(
        factory=lambda: {"imap-demo-key": "full", "imap-read-key": "read"},
        validator=deep_mapping(instance_of(str), in_(SCOPES)),
        repr=_count,
    )
    """API keys, and what each is for: one of `SCOPES`."""
    access_tokens: tuple[str, ...] = attrs.field(
        default=("imap-demo-token",), converter=_as_tuple, validator=deep_iterable(instance_of(str)), repr=_count
    )
    """Bearer tokens that are let in below `/authorized`."""
    webpoda_logins: tuple[str, ...] = attrs.field(
        default=("demo:demo",), converter=_as_tuple, validator=deep_iterable(instance_of(str)), repr=_count
    )
    """Who may read raw packets: `user:password`."""
    is_open: bool = False
    """Whether everybody sees and may do everything without a credential, as on no real server."""
    production_rules: bool = False
    """Whether files are uploaded below `/api-key` alone, as in production; otherwise as on the development server."""
    is_paged: bool = True
    """Whether `/query` knows `offset` and `limit`, which older servers refuse."""
    published: bool = True
    """Whether the published files are there from the start; otherwise the archive is empty."""
    files_dir: Path | None = attrs.field(default=None, converter=if_given(Path))
    """A folder of files with names of the archive; what is dropped there is served and listed.

    What a kernel covers can be said in a JSON file beside it; see `sidecars`.
    """
    objects_port: int = attrs.field(default=0, validator=[ge(0), le(65535)])
    """The port of the object store, to which downloads and uploads are sent on; 0 takes a free one."""
    objects_refuse_keys: bool | None = None
    """Whether the object store refuses requests that carry an API key, which it has no business to see.

    By default it does, but for the official client's: that sends its key there all the same, and has to work as it is.
    """
    link_life_s: float = attrs.field(default=_DAY_S, validator=gt(0))
    """How long a link to an object can be used."""
    upload_link_life_s: float = attrs.field(default=3600.0, validator=gt(0))
    """How long a link for an upload can be used."""
    index_s: float = attrs.field(default=0.2, validator=ge(0))
    """How long after its upload a file is listed."""
    job_s: float = attrs.field(default=1.0, validator=ge(0))
    """How long a processing job takes."""
    answer_bytes: int = attrs.field(default=6_000_000, validator=gt(0))
    """Longer answers become an error, as they do behind the real gateway."""
    answer_s: float = attrs.field(default=30.0, validator=gt(0))
    """Answers that take longer become an error, as they do behind the real gateway."""
