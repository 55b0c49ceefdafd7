"""Where DRMS services are, and what each of them offers."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urljoin, urlsplit, urlunsplit

import attrs

from aurora_async.config import origin_of
from aurora_async.errors import InvalidInput
from aurora_async.http import shown_url
from aurora_async.jsoc.errors import NotSupported

__all__ = ["JSOC", "KIS", "SERVERS", "JsocServer", "Operation"]

Operation = Literal["series", "info", "query", "email", "export", "pending"]

_NEEDS: dict[str, tuple[str, ...]] = {
    "series": (),
    "info": ("info_cgi",),
    "query": ("info_cgi",),
    "email": ("check_address_cgi",),
    "export": ("info_cgi", "fetch_cgi", "download_url"),
    "pending": ("manage_cgi",),
}


def _bare(url: str) -> str:
    return url.rstrip("/")


@attrs.frozen(kw_only=True)
class JsocServer:
    """A DRMS service: the base of its CGIs, their names (None: it has none), and where its files are."""

    name: str
    base_url: str = attrs.field(converter=_bare, repr=lambda url: repr(shown_url(url)))
    """Holds the CGIs."""
    download_url: str | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(_bare),
        repr=lambda url: repr(url and shown_url(url)),
    )
    """Holds the files: their paths follow."""
    series_cgi: str | None = "show_series"
    all_series_cgi: str | None = None
    """Lists the internal series as well, and wins where it exists; it wants to know the `database_host`."""
    database_host: str | None = None
    info_cgi: str | None = "jsoc_info"
    fetch_cgi: str | None = None
    check_address_cgi: str | None = None
    manage_cgi: str | None = None
    least_look_s: float = 2.0
    """Seconds between two looks at one export, or at a registration, at the least."""

    @classmethod
    def at(cls, base_url: str) -> JsocServer:
        """Return a server with the layout of JSOC below `base_url`, such as a local service or a mirror."""
        origin_of(base_url)
        parts = urlsplit(base_url)
        # A password belongs to the configuration, which sends it where it may go.
        place = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
        return attrs.evolve(JSOC, name=place, base_url=f"{place}/cgi-bin/ajax", download_url=place, least_look_s=0.2)

    def supports(self, operation: str) -> bool:
        """Whether the service has what an operation needs.

        Args:
            operation: `series`, `info`, `query`, `email`, `export` or `pending`.
        """
        if operation not in _NEEDS:
            raise InvalidInput("operation", f"{operation!r} is unknown; use one of {', '.join(_NEEDS)}")
        if operation == "series":
            return (self.series_cgi or self.all_series_cgi) is not None
        return all(getattr(self, name) is not None for name in _NEEDS[operation])

    def check(self, operation: Operation) -> None:
        """Refuse an operation that the service does not have, with `NotSupported`."""
        if not self.supports(operation):
            raise NotSupported(operation, self.name)

    def cgi_url(self, name: str | None) -> str:
        """Return the address of a CGI, by the name it has here; the name of one that lies elsewhere is its address."""
        assert name is not None, "asked of a service that has it"
        return urljoin(f"{self.base_url}/", name)


JSOC = JsocServer(
    name="JSOC",
    base_url="http://jsoc.stanford.edu/cgi-bin/ajax",
    download_url="http://jsoc.stanford.edu",
    all_series_cgi="showextseries",
    database_host="hmidb2",
    fetch_cgi="jsoc_fetch",
    check_address_cgi="checkAddress.sh",
    manage_cgi="manage-request.sh",
)
"""The Joint Science Operations Center of HMI and AIA, Stanford."""

KIS = JsocServer(name="KIS", base_url="http://drms.leibniz-kis.de/cgi-bin")
"""The Leibniz Institute for Solar Physics, Freiburg: series and keywords, no exports."""

SERVERS = {"jsoc": JSOC, "kis": KIS}
