"""Making files public: a manifest is delivered, and once the service has it, the release is asked for."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.to_thread
import attrs

from aurora_async.engine.deadline import Deadline
from aurora_async.errors import InvalidInput, NotFound
from aurora_async.http import Session
from aurora_async.imap._asking import ask
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import size_of
from aurora_async.imap.errors import API_KEY
from aurora_async.imap.filenames import ReleaseName
from aurora_async.imap.uploads import upload_file
from aurora_async.imap.vocabulary import RELEASE_TYPES, ReleaseType

__all__ = ["Released", "release_files"]

_COLUMNS = ("instrument", "data_type", "descriptor", "flag")


@attrs.frozen
class Released:
    """The service has published what a manifest says; `key` is where it has the manifest."""

    message: str
    """The service's own words."""
    manifest: Path
    key: str


async def release_files(
    session: Session,
    config: ImapConfig,
    manifest: Path | str,
    release_type: ReleaseType = "release",
    *,
    deadline_s: float | None = 120.0,
) -> Released:
    """Publish the files that a manifest names; see `Imap.release`."""
    if release_type not in RELEASE_TYPES:
        raise InvalidInput("release_type", f"{release_type!r} is not one of {', '.join(map(repr, RELEASE_TYPES))}")
    if release_type != "release":
        raise InvalidInput("release_type", f"the service does not support {release_type!r} yet")
    if config.api_key is None:
        raise InvalidInput("api_key", f"a release needs {API_KEY}")
    path = Path(manifest)
    name = ReleaseName.parse(path.name)
    await anyio.to_thread.run_sync(_check, path)
    with Deadline(deadline_s).scope(f"releasing what {name} says"):
        await upload_file(session, config, path, exists="check")
        await _wait_for(session, config, name.key)
        params = {"release_type": release_type, "manifest_file": str(name)}
        answer = await ask(session, config, "release", params)
    said = answer.json()
    return Released(message=said if isinstance(said, str) else answer.body.decode(), manifest=path, key=name.key)


def _check(path: Path) -> None:
    """Read a manifest as the service does, for which one bad line is a fault of its own."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidInput("manifest", f"{path} cannot be read: {reason}") from error
    wanted = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(("#", "instrument,")):
            continue
        if len(line.split(",")) != len(_COLUMNS):
            raise InvalidInput("manifest", f"{path}, line {number}: {line!r} is not {', '.join(_COLUMNS)}")
        wanted += 1
    if not wanted:
        raise InvalidInput("manifest", f"{path} names nothing to release: its lines are {', '.join(_COLUMNS)}")


async def _wait_for(session: Session, config: ImapConfig, key: str) -> None:
    """Look for a file until the service has it: at once, then in growing intervals."""
    for wait_s in session.retry_policy.waits():
        try:
            await size_of(session, config, key)
            return
        except NotFound:
            await anyio.sleep(wait_s)
