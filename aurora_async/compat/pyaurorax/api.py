"""Key and server of the module-level functions, as the releases of 2022 set them."""

from __future__ import annotations

from aurora_async.compat.pyaurorax._module_form import aurorax
from aurora_async.compat.pyaurorax.search.api import AuroraXAPIRequest, AuroraXAPIResponse, Method
from aurora_async.config import AURORAX_URL as DEFAULT_BASE_URL

__all__ = [
    "API_KEY_HEADER_NAME",
    "DEFAULT_BASE_URL",
    "AuroraXRequest",
    "AuroraXResponse",
    "authenticate",
    "get_api_key",
    "get_base_url",
    "reset_base_url",
    "set_base_url",
]
__dir__ = __all__.copy

API_KEY_HEADER_NAME = "x-aurorax-api-key"

AuroraXResponse = AuroraXAPIResponse


class AuroraXRequest(AuroraXAPIRequest):
    """A request to any URL of the service: `AuroraXRequest(method="get", url=…).execute()`."""

    def __init__(
        self,
        url: str,
        method: Method,
        params: dict[str, object] | None = None,
        body: object = None,
        headers: dict[str, str] | None = None,
        null_response: bool = False,
    ) -> None:
        """Make a request; nothing is sent before `execute`."""
        super().__init__(aurorax(), url, method, params, body, headers, null_response)


def authenticate(api_key: str) -> int:
    """Ask by this key from now on, and return 1."""
    aurorax().api_key = api_key
    return 1


def get_api_key() -> str:
    """Return the key, an empty text when there is none."""
    return aurorax().api_key or ""


def set_base_url(url: str) -> None:
    """Ask this server from now on."""
    aurorax().api_base_url = url


def get_base_url() -> str:
    """Return the server that is asked."""
    return aurorax().api_base_url


def reset_base_url() -> None:
    """Ask the production server from now on."""
    aurorax().api_base_url = DEFAULT_BASE_URL
