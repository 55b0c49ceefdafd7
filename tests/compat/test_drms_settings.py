"""What of drms asks no server: configurations, words, errors, times."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest

import aurora_async.compat.drms as drms
from aurora_async.compat.drms.config import _server_configs

PROGRAMS = {
    "show_series": "show_series",
    "jsoc_info": "jsoc_info",
    "jsoc_fetch": "jsoc_fetch",
    "check_address": "checkAddress.sh",
    "show_series_wrapper": "showextseries",
}


@pytest.fixture
def registered() -> Iterator[dict[str, drms.ServerConfig]]:
    """The known servers, and only these again afterwards."""
    before = dict(_server_configs)
    yield _server_configs
    _server_configs.clear()
    _server_configs.update(before)


def test_a_configuration_with_a_name_only_knows_what_it_may_hold() -> None:
    """Valid keys that are not set read as None; others are no attributes."""
    config = drms.ServerConfig(name="TEST")
    assert repr(config) == "<ServerConfig: TEST>"
    assert config.to_dict() == {"name": "TEST", "encoding": "latin1"}
    assert config.__dict__ == {"_d": {"name": "TEST", "encoding": "latin1"}}
    assert len(drms.ServerConfig._valid_keys) == 15
    unset = set(drms.ServerConfig._valid_keys) - {"name", "encoding"}
    assert {getattr(config, key) for key in unset} == {None}
    assert unset | set(dir(object())) <= set(dir(config))
    with pytest.raises(AttributeError, match="'ServerConfig' object has no attribute 'foo'"):
        _ = config.foo


def test_what_a_configuration_cannot_be_made_of_is_refused() -> None:
    """In the words that users search the web for."""
    with pytest.raises(ValueError, match="Invalid server config key: foo"):
        drms.ServerConfig(name="TEST", foo="bar")
    with pytest.raises(ValueError, match='Server config entry "name" is missing'):
        drms.ServerConfig()
    config = drms.ServerConfig({"name": "TEST"})
    with pytest.raises(ValueError, match="name config value must be a string"):
        config.name = 123
    with pytest.raises(ValueError, match="Unknown operation: 'foo'"):
        config.check_supported("foo")


def test_copies_share_nothing() -> None:
    """Also not the dictionary of settings, which the original hands out alive."""
    config = drms.ServerConfig(name="TEST", encoding="utf8")
    others = [config.copy(), copy.deepcopy(config), pickle.loads(pickle.dumps(config))]
    config.to_dict()["name"] = "lost"
    config.name = "NEW"
    assert config.name == "NEW"
    assert [other.to_dict() for other in others] == [{"name": "TEST", "encoding": "utf8"}] * 3


@pytest.mark.parametrize("program", PROGRAMS)
def test_addresses_are_built_from_names(program: str) -> None:
    """A program lies below the base, unless its address is given."""
    base = "http://example.org/cgi-bin/"
    named = drms.ServerConfig(name="TEST", cgi_baseurl=base, **{f"cgi_{program}": "x.sh"})
    assert getattr(named, f"url_{program}") == f"{base}x.sh"
    given = drms.ServerConfig(
        name="TEST", cgi_baseurl=base, **{f"cgi_{program}": "x.sh", f"url_{program}": "http://example.net/y"}
    )
    assert getattr(given, f"url_{program}") == "http://example.net/y"


def test_the_shipped_servers() -> None:
    """JSOC with everything, KIS with listing, structures and queries."""
    jsoc, kis = _server_configs["jsoc"], _server_configs["kis"]
    base = "http://jsoc.stanford.edu/cgi-bin/ajax/"
    assert {key: getattr(jsoc, f"url_{key}") for key in PROGRAMS} == {k: base + name for k, name in PROGRAMS.items()}
    assert (jsoc.show_series_wrapper_dbhost, jsoc.http_download_baseurl) == ("hmidb2", "http://jsoc.stanford.edu/")
    assert kis.to_dict() == {
        "name": "KIS",
        "encoding": "latin1",
        "cgi_baseurl": "http://drms.leibniz-kis.de/cgi-bin/",
        "cgi_show_series": "show_series",
        "cgi_jsoc_info": "jsoc_info",
        "url_show_series": "http://drms.leibniz-kis.de/cgi-bin/show_series",
        "url_jsoc_info": "http://drms.leibniz-kis.de/cgi-bin/jsoc_info",
    }
    operations = ("series", "info", "query", "email", "export")
    assert [jsoc.check_supported(one) for one in operations] == [True] * 5
    assert [kis.check_supported(one) for one in operations] == [True, True, True, False, False]


def test_a_program_counts_however_its_address_came() -> None:
    """A configuration of addresses alone is of use; names without a base are not."""
    assert drms.ServerConfig(name="TEST", url_jsoc_info="http://example.org/info").check_supported("query")
    assert not drms.ServerConfig(name="TEST", cgi_jsoc_info="info").check_supported("query")


def test_servers_are_registered_once(registered: dict[str, drms.ServerConfig]) -> None:
    """By names in any case."""
    drms.register_server(drms.ServerConfig(name="Test"))
    assert registered["test"].name == "Test"
    with pytest.raises(RuntimeError, match="already registered"):
        drms.register_server(drms.ServerConfig(name="TEST"))
    with pytest.raises(RuntimeError, match="ServerConfig jsoc already registered"):
        drms.register_server(drms.ServerConfig(name="jsoc"))


def test_constants_are_texts() -> None:
    """They go wherever a name goes."""
    assert isinstance(drms.JsocInfoConstants.all, str)
    assert drms.JsocInfoConstants.all == "**ALL**"
    assert [one.value for one in drms.JsocInfoConstants] == [
        *("**ALL**", "**NONE**", "*recdir*", "*dirmtime*", "*logdir*", "*recnum*", "*sunum*"),
        *("*size*", "*online*", "*retain*", "*archive*"),
    ]


@pytest.mark.parametrize("name", drms.exceptions.__all__)
def test_errors_are_caught_as_before(name: str) -> None:
    """By the root of drms, by RuntimeError, and those of the network by urllib's."""
    kind = getattr(drms, name)
    error = kind("said")
    assert isinstance(error, drms.DrmsError) and isinstance(error, RuntimeError)
    assert "said" in str(error)
    assert isinstance(error, URLError) == (name == "DrmsConnectionError")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2010.05.01_TAI", "2010-05-01"),
        ("2010.05.01_00:00_TAI", "2010-05-01"),
        ("2013.12.21_23:32:34_TAI", "2013-12-21 23:32:34"),
        ("2013.12.21_23:32:34.50_UTC", "2013-12-21 23:32:34.5"),
        ("2013.12.21_23:32:34Z", "2013-12-21 23:32:34"),
        ("2013-12-21T23:32Z", "2013-12-21 23:32"),
        ("2010-05-01 01:23:45Z", "2010-05-01 01:23:45"),
        ("2010-05-01T01:00:00+02:00", "2010-04-30 23:00"),
        ("", None),
        ("foo", None),
        ("1600", None),
        ("MISSING", None),
        ("2016-12-31T23:59:60Z", None),
        ("-4712.01.01_11:59:28_TAI", None),
        ("-4712.01.01_11:59:27.82Z", None),
        (None, None),
    ],
)
def test_a_time_is_the_reading_of_its_clock(text: str | None, expected: str | None) -> None:
    """Naive, and TAI and UTC alike as they stand; what is no time, or missing, is NaT."""
    for force in (False, True):
        found = drms.to_datetime(text, force=force)
        assert pd.isna(found) if expected is None else found == pd.Timestamp(expected)


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, pd.Index])
def test_many_times_are_a_series(kind: Any) -> None:
    """Whatever they came in."""
    texts = ["2010.05.01_TAI", "2013.12.21_23:32_TAI"]
    expected = pd.Series([pd.Timestamp("2010-05-01"), pd.Timestamp("2013-12-21 23:32")])
    assert drms.to_datetime(kind(texts)).equals(expected)


def test_times_of_several_kinds_do_not_spoil_each_other() -> None:
    """Each element is judged by itself; a Series keeps its index and name."""
    texts = pd.Series(
        ["2010.05.01_01:00:00_TAI", "2010-05-01T02:00:00Z", "2010-05-01 03:00", "foo"], [5, 6, 7, 8], name="T"
    )
    found = drms.to_datetime(texts)
    assert [one.hour for one in found[:3]] == [1, 2, 3]
    assert found.isna().tolist() == [False, False, False, True]
    assert (found.name, list(found.index)) == ("T", [5, 6, 7, 8])


def test_no_times_are_an_empty_series() -> None:
    """Of times all the same."""
    found = drms.to_datetime([])
    assert isinstance(found, pd.Series) and found.empty
    assert pd.api.types.is_datetime64_dtype(found.dtype)


def test_importing_sets_nothing_up() -> None:
    """Logging is the application's, and pandas waits for the first table."""
    code = """
import logging, sys
import aurora_async.compat.drms as drms
print(logging.root.handlers, drms.logger.handlers, drms.logger.level, "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[] [] 0 False\n"


def test_the_package_offers_what_is_public() -> None:
    """By `dir`, as editors ask for it, and by name."""
    assert dir(drms) == sorted(drms.__all__)
    assert all(hasattr(drms, name) for name in drms.__all__)
    assert drms.__version__ == "0.9.0"
