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
from aurora_async.imap.downloads import download_url
from aurora_async.imap.filenames import ReleaseName
from aurora_async.imap.uploads import upload_file
from aurora_async.imap.vocabulary import RELEASE_TYPES

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
    release_type: str = "release",
    *,
    deadline_s: float | None = 120.0,
) -> Released:
    """Publish the files that a manifest names.

    The manifest's name says of which days (`imap_<instrument>_data-release-<nnn>_<first>_<last>_v<NNN>.txt`), its lines
    say which files: instrument, data level (or `ancillary`, `all`), descriptor (or `all`), and `true` to release them.
    One that was delivered before, byte for byte, is used again: a release that was cut short is simply asked for again.

    Args:
        session: Borrowed.
        config: Where the service is, with the API key.
        manifest: The file.
        release_type: `release`; the service knows two more words and does not do them yet.
        deadline_s: Seconds for all of it; the service mostly has a manifest within one or two.

    Raises:
        InvalidInput: The type, the manifest or its name is none, or there is no API key. Nothing was sent.
        AlreadyExists: The service has another manifest of this name.
        NotAllowed: The key may not release.
        DeadlineExceeded: Time ran out.

    Source: IMAP SDC, GET release.
    """
    if release_type not in RELEASE_TYPES:
        raise InvalidInput("release_type", f"{release_type!r} is none of {', '.join(map(repr, RELEASE_TYPES))}")
    if release_type != "release":
        raise InvalidInput("release_type", f"the service does not support {release_type!r} yet")
    if config.api_key is None:
        raise InvalidInput("api_key", "a release needs an API key: give api_key=, --api-key or IMAP_API_KEY")
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
            # One byte: a HEAD would be refused by the link it is redirected to, which is signed for GET alone.
            async with session.open("GET", download_url(config, key), headers={"Range": "bytes=0-0"}):
                return
        except NotFound:
            await anyio.sleep(wait_s)
