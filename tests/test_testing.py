"""The pytest plugin, as its users meet it: small test files of theirs, run by a pytest of their own."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from support.wire import exchange

import aurora_async
from aurora_async import testing
from aurora_async.errors import InvalidInput
from aurora_async.server.faults import Faults
from aurora_async.testing import FaultScript, LocalServer

ROOT = Path(aurora_async.__file__).parents[1]
STRICT = "asyncio_mode = strict\nasyncio_default_fixture_loop_scope = function"
# An installation without metadata of its own, as a source tree on the path is, has no entry points.
LOADED = any(one.value == "aurora_async.testing" for one in entry_points(group="pytest11"))


class Project:
    """A user's project: its test files, and its pytest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, settings: str = STRICT, **files: str) -> None:
        """Write the configuration, and modules by name; warnings are errors."""
        (self.folder / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{settings}\n")
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(textwrap.dedent(text))

    def pytest(self, *arguments: str) -> tuple[int, dict[str, int], str]:
        """Run the tests; return the exit code, how many passed and so on, and what was printed."""
        plugin = [] if LOADED else ["-p", "aurora_async.testing"]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            # Temporary folders of its own: other runs may be tidying up the shared one, which is a warning here.
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp=temporary", *plugin, *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": path, "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        last = done.stdout.strip().rpartition("\n")[2]
        counts = {word.rstrip("s"): int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", last)}
        return done.returncode, counts, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return Project(tmp_path)


TESTS = """
    import pytest

    from aurora_async import AuroraX, DataProductQuery, sync
    from aurora_async.errors import RequestFailed

    NIGHT = DataProductQuery(start="2020-01-01", end="2020-01-01", programs="trex", platforms="fort smith")

    @pytest.mark.asyncio
    async def test_async(aurora_client, aurora_faults, tmp_path):
        cut = aurora_faults.cut("*/search_synchronous", times=1)
        assert isinstance(aurora_client, AuroraX)
        assert len(await aurora_client.data_products.search(NIGHT)) == 66
        assert cut.hits == 1

    def test_all_is_well_again_after_a_test_with_faults(aurora_sync_client, aurora_faults):
        assert isinstance(aurora_sync_client, sync.AuroraX)
        assert aurora_faults.requests() == []
        assert len(aurora_sync_client.data_products.search(NIGHT)) == 66
        assert len(aurora_faults.requests("*/data_products/*", method="POST")) == 1

    def test_blocking(aurora_server, aurora_faults):
        aurora_faults.fails(text="no disk left")
        with sync.AuroraX(base_url=aurora_server.base_url, synchronous=False) as client:
            with pytest.raises(RequestFailed, match="no disk left"):
                client.data_products.search(NIGHT)

    @pytest.mark.anyio
    async def test_anyio(aurora_client, anyio_backend):
        assert len(await aurora_client.sources.list(program="swarm")) == 3

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
"""


def test_one_server_serves_tests_of_all_kinds(project: Project) -> None:
    """Plain functions, pytest-asyncio and anyio's plugin, in one run, without a warning."""
    project.write(test_users=TESTS)
    code, counts, said = project.pytest()
    assert (code, counts) == (0, {"passed": 4}), said


def test_no_plugin_for_asynchronous_tests_is_needed(project: Project) -> None:
    """Without pytest-asyncio its tests cannot run; all others do, and what is missing is said."""
    project.write("markers = asyncio", test_users=TESTS)
    code, counts, said = project.pytest("-p", "no:asyncio")
    assert (code, counts) == (1, {"passed": 3, "error": 1}), said
    assert "aurora_client needs pytest-asyncio, or a test that is marked with pytest.mark.anyio" in said


def test_a_test_that_nobody_would_run_is_told_what_to_write(project: Project) -> None:
    """pytest's own words name four other plugins, and not the mark or the setting that is missing."""
    project.write(test_users="async def test_it(aurora_client):\n    pass\n")
    code, _, said = project.pytest()
    assert code == 1
    assert "mark it with pytest.mark.asyncio, or set asyncio_mode = auto" in said


def test_the_examples_of_the_documentation_run(project: Project) -> None:
    """In the mode in which they are written: asynchronous tests without a marker."""
    assert testing.__doc__ is not None
    example = re.search(r"```python\n(.*?)```", testing.__doc__, re.DOTALL)
    assert example is not None
    script = """
        import sys
        from aurora_async import DataProductQuery
        from aurora_async.sync import AuroraX

        def main(arguments):
            with AuroraX(base_url=arguments[1], synchronous=False) as client:
                client.data_products.search(DataProductQuery(start="2020-01-01", end="2020-01-01", programs="trex"))
    """
    project.write(
        "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\npythonpath = .",
        test_users=f"import our_script\nfrom aurora_async import EphemerisQuery\n\n{example[1]}",
        our_script=script,
    )
    code, counts, said = project.pytest()
    assert (code, counts) == (0, {"passed": 2}), said


def test_server_and_clients_can_be_set_up(project: Project) -> None:
    """By fixtures of one's own, and a server for each test."""
    conftest = """
        import attrs
        import pytest
        from aurora_async.server.app import Account

        @pytest.fixture
        def aurora_server_settings():
            return {"api_keys": {"secret": Account(role="Administrator", email_address="me@example.org")}}

        @pytest.fixture
        def aurora_config(aurora_config):
            return attrs.evolve(aurora_config, api_key="secret")
    """
    tests = """
        import pytest
        from aurora_async import DataProductQuery

        NIGHT = DataProductQuery(start="2020-01-01", end="2020-01-01", programs="trex")
        seen = set()

        @pytest.mark.parametrize("number", [1, 2])
        def test_each_has_a_server_of_its_own(aurora_server, aurora_sync_client, number):
            assert aurora_server.base_url not in seen
            seen.add(aurora_server.base_url)
            assert aurora_sync_client.admin.search_requests() == []
            aurora_sync_client.data_products.submit(NIGHT).wait()
            assert len(aurora_sync_client.admin.search_requests()) == 1
    """
    project.write(f"{STRICT}\naurora_server_scope = function", conftest=conftest, test_users=tests)
    code, counts, said = project.pytest()
    assert (code, counts) == (0, {"passed": 2}), said


def test_a_scope_that_is_none_is_said_at_once(project: Project) -> None:
    """One line, with the scopes that there are."""
    project.write(f"{STRICT}\naurora_server_scope = forever", test_users="def test_nothing(): pass")
    code, _, said = project.pytest()
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "aurora_server_scope: use one of session, package, module, class, function" in said


def test_loading_the_plugin_costs_nothing() -> None:
    """Every pytest of everybody who has the package installed loads it."""
    code = """
import json, sys
import pytest
before = set(sys.modules)
import aurora_async.testing
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name for name in json.loads(done.stdout) if name.partition(".")[0] not in sys.stdlib_module_names}
    assert loaded == {"aurora_async", "aurora_async._lazy", "aurora_async.testing"}


def test_the_plugin_imports_only_pytest_at_its_top() -> None:
    """What is heavy is imported by the fixture that needs it."""
    tree = ast.parse(Path(testing.__file__).read_text("utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    assert {name for name in found if name not in sys.stdlib_module_names} == {"pytest"}


@pytest.mark.parametrize("missing", ["numpy", "sgp4"])
def test_what_is_not_installed_is_said(missing: str) -> None:
    """With the command that installs it: the package comes without what only the local services need."""
    code = f"""
import sys
sys.modules[{missing!r}] = None
from aurora_async.testing import LocalServer
with LocalServer():
    pass
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stderr.strip().endswith(
        f'MissingExtra: {missing} is not installed, and this needs it: pip install "aurora-async[server]"'
    )


def test_a_name_that_is_misspelt_is_told_the_right_one() -> None:
    """Of settings, and of each fault's own words; a rule's fields would not help whoever typed those."""
    with pytest.raises(InvalidInput, match=r"^ServiceSettings\.server_time: is unknown; do you mean server_time_s\?$"):
        LocalServer(server_time=2).__enter__()
    faults = FaultScript(Faults())
    with pytest.raises(InvalidInput, match=r"^att: is unknown; do you mean at\?$"):
        faults.cut("*/data", att=0.5)  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match=r"^tims: is unknown; do you mean times\?$"):
        faults.status(503, tims=2)  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match=r"^att: is unknown; use path, "):
        faults.add(att=0.5)
    assert repr(faults) == "<FaultScript []>"


def test_a_fault_says_what_it_has_done() -> None:
    """In a failing test's output, where nobody looks up what two numbers mean."""
    fault = FaultScript(Faults()).cut("*/data", times=1)
    assert repr(fault).endswith(": struck 0 times, 0 requests came by>")
    assert [fault.strikes("GET", "/x/data", is_ranged=False) for _ in range(2)] == [True, False]
    assert repr(fault).endswith(": struck once, 2 requests came by>")


def test_jsoc_has_clients_of_its_own(project: Project) -> None:
    """For tests of all kinds; an address is registered, exports take no time, and faults act on them."""
    conftest = """
        import pytest

        @pytest.fixture(scope="session")
        def aurora_server_settings():
            return {"jsoc": {"max_pending": 3}}
    """
    tests = """
        import pytest
        from aurora_async import Jsoc
        from aurora_async.errors import AuroraError

        HOUR = "hmi.m_720s[2013.07.03_08:42_TAI/1h]{magnetogram}"

        @pytest.mark.asyncio
        async def test_async(jsoc_client, aurora_faults, tmp_path):
            cut = aurora_faults.cut("/SUM*", times=1)
            assert isinstance(jsoc_client, Jsoc)
            saved = await jsoc_client.download(HOUR, tmp_path, protocol="fits")
            assert saved.ok and len(saved.paths) == 5 and cut.hits == 1

        def test_blocking(jsoc_sync_client, aurora_faults, tmp_path):
            aurora_faults.fails("*/jsoc_fetch", text="no disk left")
            with pytest.raises(AuroraError, match="no disk left"):
                jsoc_sync_client.download(HOUR, tmp_path, protocol="fits", method="url-tar")

        @pytest.mark.anyio
        async def test_anyio(jsoc_client):
            assert await jsoc_client.count("hmi.v_45s[2013.07.03_08:42_TAI/3m]") == 4

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
    """
    project.write(conftest=conftest, test_users=tests)
    code, counts, said = project.pytest()
    assert (code, counts) == (0, {"passed": 3}), said


def test_a_setting_of_jsoc_that_is_misspelt_is_told_the_right_one() -> None:
    """Also where they are given as a dictionary."""
    with pytest.raises(InvalidInput, match=r"^ServiceSettings\.jsoc\.exports_s: is unknown; do you mean export_s\?$"):
        LocalServer(jsoc={"exports_s": 2}).__enter__()


def test_imap_has_clients_of_its_own(project: Project) -> None:
    """For tests of all kinds; they see and may do everything, each in a folder of its own, and faults act on files."""
    tests = """
        import pytest
        from aurora_async.imap import Imap

        KEY = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"

        @pytest.mark.asyncio
        async def test_async(imap_client, aurora_faults, tmp_path):
            over = aurora_faults.expired_link("/imap/mag/*", nth=2)
            cut = aurora_faults.cut("/imap/mag/*", nth=1)
            assert isinstance(imap_client, Imap)
            saved = await imap_client.download(KEY)
            assert saved.ok and saved.paths[0].is_relative_to(tmp_path)
            assert cut.hits == over.hits == 1
            assert not any("x-api-key" in seen.headers for seen in aurora_faults.requests("/imap/mag/*"))

        def test_blocking(imap_sync_client, aurora_faults):
            assert len(imap_sync_client.query(instrument="swe", data_level="l0")) > 5
            assert len(aurora_faults.requests("*/imap/api-key/query")) == 1

        @pytest.mark.anyio
        async def test_anyio(imap_client):
            assert await imap_client.packet_times("swe", "2026-01-01")

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
    """
    project.write(test_users=tests)
    code, counts, said = project.pytest()
    assert (code, counts) == (0, {"passed": 3}), said
    with pytest.raises(
        InvalidInput, match=r"^ServiceSettings\.imap\.link_live_s: is unknown; do you mean link_life_s\?$"
    ):
        LocalServer(imap={"link_live_s": 2}).__enter__()


def test_a_server_runs_outside_pytest_too() -> None:
    """In a notebook or a script, next to a loop or without one."""
    server = LocalServer()
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.base_url
    with server:
        assert repr(server) == f"<LocalServer {server.base_url}>"
        answer = exchange(server.file_url(1000, "x"))
        assert answer.body == server.file_bytes(1000, "x")
        FaultScript(server.faults).status(503)
        assert exchange(f"{server.base_url}/").status == 503
    assert repr(server) == "<LocalServer stopped>"
