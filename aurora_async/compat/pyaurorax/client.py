"""`PyAuroraX`, the object everything is asked through."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NoReturn

import attrs

from aurora_async import sync
from aurora_async.compat.pyaurorax._errors import their_errors
from aurora_async.compat.pyaurorax._printing import Printed, natural_size, table
from aurora_async.compat.pyaurorax.exceptions import AuroraXInitializationError, AuroraXPurgeError
from aurora_async.compat.pyaurorax.search.manager import SearchManager
from aurora_async.config import Config, Timeouts
from aurora_async.errors import InvalidInput

__all__ = ["NOT_HERE", "PyAuroraX", "__version__"]
__dir__ = __all__.copy

__version__ = "1.27.0"
"""The release of pyaurorax whose names these are."""

NOT_HERE = "this is of the half of pyaurorax that reads and plots image files: use pyaurorax for it"

_TIMEOUT_S = 10
_BACKENDS = ("auto", "standard", "notebook")


class PyAuroraX(Printed):
    """AuroraX by pyaurorax's names: `aurorax = pyaurorax.PyAuroraX()`, then `aurorax.search`.

    Args:
        download_output_root_path, read_tar_temp_path: Folders for image files; made by `initialize_paths` alone.
        api_base_url: The server. By default that of AURORAX_BASE_URL, then the production server.
        api_timeout: Longest time in seconds to connect, and longest silence of the server.
        api_key: By default that of AURORAX_API_KEY, then none: reading is anonymous.
        progress_bar_backend: Accepted and kept; nothing here draws a progress bar.

    Settings may be changed at any time, and are those of the calls that follow: what another thread has under way ends
    as it began. A connection is opened by the first request, kept, and closed at the end of the program or when the
    object is gone.
    """

    def __init__(
        self,
        download_output_root_path: str | Path | None = None,
        read_tar_temp_path: str | Path | None = None,
        api_base_url: str | None = None,
        api_timeout: float | None = None,
        api_key: str | None = None,
        progress_bar_backend: Literal["auto", "standard", "notebook"] = "auto",
    ) -> None:
        """Make the object; nothing is opened or written yet."""
        self._lock = threading.Lock()
        self._opened: sync.AuroraX | None = None
        with _refused_settings():
            self._config = Config.from_environment(
                base_url=api_base_url, api_key=api_key, timeouts=_timeouts(api_timeout)
            )
        self._download_output_root_path = download_output_root_path
        self._read_tar_temp_path = read_tar_temp_path
        self.progress_bar_backend = progress_bar_backend
        self._search = SearchManager(self)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._rows().items())
        return f"PyAuroraX({settings})"

    def _rows(self) -> dict[str, object]:
        return {
            "download_output_root_path": self.download_output_root_path,
            "read_tar_temp_path": self.read_tar_temp_path,
            "api_base_url": self.api_base_url,
            "api_headers": self.api_headers | ({"x-aurorax-api-key": "***"} if self.api_key else {}),
            "api_timeout": self.api_timeout,
            "api_key": "***" if self.api_key else None,
            "progress_bar_backend": self.progress_bar_backend,
        }

    def _elsewhere(self) -> NoReturn:
        raise AttributeError(NOT_HERE)

    data = models = tools = srs_obj = property(_elsewhere)

    @property
    def search(self) -> SearchManager:
        """Searches, data sources, availability, uploads, administration."""
        return self._search

    @contextmanager
    def _client(self, **theirs: str) -> Iterator[sync.AuroraX]:
        """Lend the client, opened at the first call; what goes wrong is told in pyaurorax's words.

        `theirs` are pyaurorax's names of the arguments that it is lent for, as in `their_errors`.
        """
        with their_errors(**theirs):
            with self._lock:
                if self._opened is None:
                    self._opened = sync.AuroraX(self._config)
                client = self._opened
            yield client

    def close(self) -> None:
        """Close the connection now, under whoever uses it; the next request opens another.

        (The original has none to close.)
        """
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _change(self, **settings: Any) -> None:
        with _refused_settings(), self._lock:
            self._config = attrs.evolve(self._config, **settings)
            # Let go, not closed: calls of other threads hold it still, and it closes when the last of them is done.
            self._opened = None

    # Settings ---------------------------------------------------------------------------------------------------------

    @property
    def api_base_url(self) -> str:
        """The server; None sets the default."""
        return self._config.base_url

    @api_base_url.setter
    def api_base_url(self, value: str | None) -> None:
        self._change(base_url=Config().base_url if value is None else value)

    @property
    def api_headers(self) -> dict[str, str]:
        """A copy of the headers that requests to the server have; other servers do not get the key."""
        headers = {"content-type": "application/json", "user-agent": f"aurora-async/{version('aurora-async')}"}
        return headers | ({"x-aurorax-api-key": self.api_key} if self.api_key else {})

    @property
    def api_timeout(self) -> float:
        """Seconds; None sets the default."""
        return self._config.timeouts.read_s

    @api_timeout.setter
    def api_timeout(self, value: float | None) -> None:
        with _refused_settings():
            self._change(timeouts=_timeouts(value))

    @property
    def api_key(self) -> str | None:
        """The key of one's account; None or an empty text asks anonymously."""
        return self._config.api_key

    @api_key.setter
    def api_key(self, value: str | None) -> None:
        self._change(api_key=value)

    @property
    def progress_bar_backend(self) -> str:
        """`auto`, `standard` or `notebook`."""
        return self._progress_bar_backend

    @progress_bar_backend.setter
    def progress_bar_backend(self, value: str | None) -> None:
        backend = "auto" if value is None else value.lower()
        if backend not in _BACKENDS:
            raise AuroraXInitializationError(f"progress bar backend {value!r} is unknown; use {', '.join(_BACKENDS)}")
        self._progress_bar_backend = backend

    # Folders ----------------------------------------------------------------------------------------------------------

    @property
    def download_output_root_path(self) -> str:
        """Where pyaurorax keeps image files, a folder for each data set."""
        return str(self._download_output_root_path or Path.home() / "pyaurorax_data")

    @download_output_root_path.setter
    def download_output_root_path(self, value: str | Path | None) -> None:
        self._download_output_root_path = value

    @property
    def read_tar_temp_path(self) -> str:
        """Where pyaurorax unpacks archives."""
        return str(self._read_tar_temp_path or Path(self.download_output_root_path) / "tar_temp_working")

    @read_tar_temp_path.setter
    def read_tar_temp_path(self, value: str | Path | None) -> None:
        self._read_tar_temp_path = value

    def initialize_paths(self) -> None:
        """Make both folders."""
        try:
            for path in (self.download_output_root_path, self.read_tar_temp_path):
                Path(path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AuroraXInitializationError(f"Error during output path creation: {error}") from error

    def purge_download_output_root_path(self, dataset_name: str | None = None) -> None:
        """Delete all files of the download folder, or those of one data set."""
        wanted = None if dataset_name is None else dataset_name.upper()
        self._purge(Path(self.download_output_root_path), wanted)

    def purge_read_tar_temp_path(self) -> None:
        """Delete all files of the folder for unpacked archives."""
        self._purge(Path(self.read_tar_temp_path), None)

    def _purge(self, folder: Path, wanted: str | None) -> None:
        kept = {Path(self.download_output_root_path), Path(self.read_tar_temp_path)}
        try:
            for path in folder.iterdir() if folder.is_dir() else ():
                if path in kept or (wanted is not None and path.name != wanted):
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        except OSError as error:
            raise AuroraXPurgeError(f"Error while purging {folder}: {error}") from error

    def show_data_usage(self, order: Literal["name", "size"] = "size", return_dict: bool = False) -> Any:
        """Print how many bytes each data set in the download folder takes, or return it with `return_dict`."""
        folder = Path(self.download_output_root_path)
        sizes = {
            path: sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            for path in (folder.iterdir() if folder.is_dir() else ())
            if path.is_dir() and path != Path(self.read_tar_temp_path)
        }
        if return_dict:
            return {
                path.name: {"path_obj": path, "size_bytes": size, "size_str": natural_size(size)}
                for path, size in sizes.items()
            }
        ordered = sorted(sizes, key=lambda path: path.name if order == "name" else -sizes[path])
        print(table(("Dataset name", "Size"), [(path.name, natural_size(sizes[path])) for path in ordered]))
        print(f"\nTotal size: {natural_size(sum(sizes.values()))}")
        return None


def _timeouts(timeout_s: float | None) -> Timeouts:
    timeout_s = _TIMEOUT_S if timeout_s is None else timeout_s
    return Timeouts(connect_s=timeout_s, read_s=timeout_s)


@contextmanager
def _refused_settings() -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        name = "api_timeout" if error.field in ("connect_s", "read_s") else f"API {error.field}"
        raise AuroraXInitializationError(f"{name}: {error.reason}") from error
