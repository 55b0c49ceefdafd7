"""Where DRMS servers are and what their programs are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from aurora_async.jsoc.servers import JSOC, KIS, JsocServer

__all__ = ["ServerConfig", "find_server", "register_server"]
__dir__ = __all__.copy

_PROGRAMS = ("show_series", "jsoc_info", "jsoc_fetch", "check_address", "show_series_wrapper")

# Each operation needs all of some set of programs, of which there may be several.
_NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "series": (("show_series",), ("show_series_wrapper",)),
    "info": (("jsoc_info",),),
    "query": (("jsoc_info",),),
    "email": (("check_address",),),
    "export": (("jsoc_info", "jsoc_fetch"),),
}


class ServerConfig:
    """The addresses of one server: `ServerConfig(name="local", cgi_baseurl="http://127.0.0.1:8000/cgi-bin/ajax/", …)`.

    A program's address is `url_<program>`, by default its name `cgi_<program>` below `cgi_baseurl`; what is not set
    reads as None. Another spelling of the same is a dictionary as the only argument.
    """

    _valid_keys = (
        "name",
        "cgi_baseurl",
        *(f"cgi_{program}" for program in _PROGRAMS),
        "show_series_wrapper_dbhost",
        *(f"url_{program}" for program in _PROGRAMS),
        "encoding",
        "http_download_baseurl",
    )
    _d: dict[str, Any]

    def __init__(self, config: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Keep the settings; `kwargs` win over those of `config`."""
        settings = {"encoding": "latin1"} | dict(config or {}) | kwargs
        for key in settings:
            if key not in self._valid_keys:
                raise ValueError(f"Invalid server config key: {key}")
        if "name" not in settings:
            raise ValueError('Server config entry "name" is missing')
        base = settings.get("cgi_baseurl")
        for program in _PROGRAMS:
            if base is not None and (named := settings.get(f"cgi_{program}")) is not None:
                settings.setdefault(f"url_{program}", urljoin(base, named))
        object.__setattr__(self, "_d", settings)

    def __repr__(self) -> str:
        return f"<ServerConfig: {self.name}>"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._valid_keys})

    def __getattr__(self, name: str) -> Any:
        # Only asked for what is no usual attribute; a copy has no settings yet while it is being made.
        if name in self._valid_keys and "_d" in self.__dict__:
            return self._d.get(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._valid_keys:
            object.__setattr__(self, name, value)
        elif isinstance(value, str):
            self._d[name] = value
        else:
            raise ValueError(f"{name} config value must be a string")

    def copy(self) -> ServerConfig:
        """Return a copy, which shares nothing with this one."""
        return ServerConfig(self._d)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary."""
        return dict(self._d)

    def check_supported(self, op: str) -> bool:
        """Whether the server has what `series`, `info`, `query`, `email` or `export` needs."""
        if op not in _NEEDED:
            raise ValueError(f"Unknown operation: {op!r}")
        return any(all(f"url_{program}" in self._d for program in programs) for programs in _NEEDED[op])


_server_configs: dict[str, ServerConfig] = {}


def register_server(config: ServerConfig) -> None:
    """Let `Client("<name>")` find a server, whatever the case of its name."""
    name = config.name.lower()
    if name in _server_configs:
        raise RuntimeError(f"ServerConfig {name} already registered")
    _server_configs[name] = config


def find_server(server: str | ServerConfig) -> ServerConfig:
    """Return the server that a name, or what describes it, means."""
    if isinstance(server, ServerConfig):
        return server
    if server.lower() not in _server_configs:
        raise KeyError(f"{server}: register_server() makes it known; there are {', '.join(_server_configs)}")
    return _server_configs[server.lower()]


def _shipped(server: JsocServer) -> ServerConfig:
    """Describe one of the servers that we know, in drms's words."""
    told = {
        "name": server.name,
        "cgi_baseurl": f"{server.base_url}/",
        "cgi_show_series": server.series_cgi,
        "cgi_jsoc_info": server.info_cgi,
        "cgi_jsoc_fetch": server.fetch_cgi,
        "cgi_check_address": server.check_address_cgi,
        "cgi_show_series_wrapper": server.all_series_cgi,
        "show_series_wrapper_dbhost": server.database_host,
        "http_download_baseurl": None if server.download_url is None else f"{server.download_url}/",
    }
    return ServerConfig({key: value for key, value in told.items() if value is not None})


for _server in (JSOC, KIS):
    register_server(_shipped(_server))
