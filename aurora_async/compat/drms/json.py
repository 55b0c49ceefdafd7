"""What the service says, as the dictionaries it says it in; and the words it has for all names, or none."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cached_property
from typing import Any
from urllib.parse import quote

import attrs

from aurora_async import jsoc, sync
from aurora_async.compat.drms._errors import their_errors
from aurora_async.compat.drms.config import ServerConfig, find_server
from aurora_async.compat.drms.exceptions import DrmsOperationNotSupported
from aurora_async.jsoc.client import DEFAULT_CONFIG

__all__ = ["HttpJsonClient", "JsocInfoConstants"]
__dir__ = __all__.copy


class JsocInfoConstants(str, Enum):  # noqa: UP042 - its text is that of an Enum, as in drms
    """`JsocInfoConstants.all` and the like, wherever `Client.query` takes a name."""

    all = "**ALL**"
    none = "**NONE**"
    recdir = "*recdir*"
    dirmtime = "*dirmtime*"
    logdir = "*logdir*"
    recnum = "*recnum*"
    sunum = "*sunum*"
    size = "*size*"
    online = "*online*"
    retain = "*retain*"
    archive = "*archive*"


class HttpJsonClient:
    """The service's answers, unread: what it refuses is an answer, too, with its `status`.

    It has a connection of its own, opened by the first question and kept.
    """

    def __init__(self, server: str | ServerConfig = "jsoc") -> None:
        """Choose a server; nothing is sent."""
        self._server = find_server(server)

    def __repr__(self) -> str:
        return f"<HttpJsonClient: {self._server.name}>"

    @property
    def server(self) -> ServerConfig:
        """The server that is asked."""
        return self._server

    @cached_property
    def jsoc(self) -> sync.Jsoc:
        """Our client of the same server."""
        config = self._server
        silence_s = socket.getdefaulttimeout()
        settings = DEFAULT_CONFIG
        if silence_s is not None:
            settings = attrs.evolve(settings, timeouts=attrs.evolve(settings.timeouts, read_s=silence_s))
        # With whole addresses for names: they need not lie below one base.
        server = jsoc.JsocServer(
            name=config.name,
            base_url=config.cgi_baseurl or config.http_download_baseurl or "http://localhost",
            download_url=config.http_download_baseurl,
            series_cgi=config.url_show_series,
            all_series_cgi=config.url_show_series_wrapper,
            database_host=config.show_series_wrapper_dbhost,
            info_cgi=config.url_jsoc_info,
            fetch_cgi=config.url_jsoc_fetch,
            check_address_cgi=config.url_check_address,
        )
        return sync.Jsoc(settings, server=server)

    def show_series(self, ds_filter: str | None = None) -> dict[str, Any]:
        """List the public series whose names match."""
        return self._ask("show_series", {"filter": ds_filter})

    def show_series_wrapper(self, ds_filter: str | None = None, *, info: bool = False) -> dict[str, Any]:
        """List the public series and some internal ones; with `info`, and what is in them."""
        host = self._server.show_series_wrapper_dbhost
        return self._ask("show_series_wrapper", {"dbhost": host, "filter": ds_filter, "info": "1" if info else None})

    def series_struct(self, ds: str) -> dict[str, Any]:
        """Describe a series."""
        return self._ask("jsoc_info", {"op": "series_struct", "ds": ds})

    def rs_summary(self, ds: str) -> dict[str, Any]:
        """Count the records of a record set."""
        return self._ask("jsoc_info", {"op": "rs_summary", "ds": ds})

    def rs_list(
        self,
        ds: str,
        *,
        key: str | Iterable[str] | None = None,
        seg: str | Iterable[str] | None = None,
        link: str | Iterable[str] | None = None,
        recinfo: bool = False,
        n: int | None = None,
        uid: str | None = None,
    ) -> dict[str, Any]:
        """Tell keywords, segments and links of the records of a record set."""
        names = {"key": key, "seg": seg, "link": link}
        if all(given is None for given in names.values()):
            raise ValueError("At least one key, seg or link must be specified")
        asked = {name: None if given is None else ",".join(split(given)) for name, given in names.items()}
        more = {"R": "1" if recinfo else None, "n": None if n is None else str(int(n)), "userhandle": uid}
        return self._ask("jsoc_info", {"op": "rs_list", "ds": ds, **asked, **more})

    def check_address(self, email: str) -> dict[str, Any]:
        """Tell whether an address is registered; nothing changes by it."""
        # Encoded here and again on the way: the service takes off both.
        return self._ask("check_address", {"address": quote(email, safe=""), "checkonly": "1"})

    def exp_status(self, requestid: str) -> dict[str, Any]:
        """Tell how an export is getting on."""
        return self._ask("jsoc_fetch", {"op": "exp_status", "requestid": requestid})

    def _ask(self, program: str, params: Mapping[str, str | None]) -> dict[str, Any]:
        url = getattr(self._server, f"url_{program}")
        if url is None:
            raise DrmsOperationNotSupported(f"Server {self._server.name} has no {program}")
        with their_errors():
            return self.jsoc.ask(url, {name: value for name, value in params.items() if value is not None})


def split(names: str | Iterable[str]) -> list[str]:
    """Return names given in a list, or in a text with commas or blanks between."""
    if isinstance(names, str):
        return [name for name in re.split(r"[\s,]+", names) if name]
    return list(names)
