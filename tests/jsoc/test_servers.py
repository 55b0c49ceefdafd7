"""Where services are and what they offer."""

from __future__ import annotations

import pytest

from aurora_async.errors import InvalidInput
from aurora_async.jsoc import JSOC, KIS, Jsoc, JsocServer, NotSupported


def test_jsoc_offers_everything() -> None:
    """The service this client is made for."""
    assert all(map(JSOC.supports, ("series", "info", "query", "email", "export", "pending")))
    assert JSOC.cgi_url(JSOC.fetch_cgi) == "http://jsoc.stanford.edu/cgi-bin/ajax/jsoc_fetch"


def test_kis_offers_no_exports_and_knows_no_addresses() -> None:
    """Its files are nowhere to be had, so a call that needs them must not leave this machine."""
    assert [one for one in ("series", "info", "query", "email", "export", "pending") if KIS.supports(one)] == [
        "series",
        "info",
        "query",
    ]
    with pytest.raises(NotSupported, match="KIS offers no export") as caught:
        KIS.check("export")
    assert (caught.value.operation, caught.value.server) == ("export", "KIS")


def test_an_operation_that_does_not_exist_is_refused() -> None:
    """A misspelt one is not one that a service lacks."""
    with pytest.raises(InvalidInput, match="'exports' is unknown; use one of series, info"):
        JSOC.supports("exports")


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"])
def test_a_service_elsewhere_is_laid_out_like_jsoc(base_url: str) -> None:
    """Local services and mirrors are told by their address alone."""
    server = JsocServer.at(base_url)
    assert server.cgi_url(server.info_cgi) == "http://127.0.0.1:8080/cgi-bin/ajax/jsoc_info"
    assert server.download_url == "http://127.0.0.1:8080"
    assert server.supports("export")


def test_a_password_in_the_address_stays_in_the_configuration() -> None:
    """The description of a server is printed and logged; who may send the password is the session's business."""
    client = Jsoc(base_url="https://me:secret@mirror.example.org/drms")
    assert client.server.base_url == "https://mirror.example.org/drms/cgi-bin/ajax"
    assert "secret" not in repr(client) + repr(client.server)


@pytest.mark.parametrize("base_url", ["jsoc.stanford.edu", "ftp://pail.stanford.edu/export"])
def test_what_is_no_address_of_a_web_server_is_refused(base_url: str) -> None:
    """Before anything is opened."""
    with pytest.raises(InvalidInput, match="base_url"):
        Jsoc(base_url=base_url)
