"""drms over ours: `import aurora_async.compat.drms as drms`, and the rest of a script or notebook stays.

What is other than in drms 0.9:

- Hexadecimal words such as QUALITY are numbers, and a movie's row names no record, with every release of pandas.
- `rec_index=True` works without records, too; what a listing is refused for is raised, in the service's words.
- `requester` reaches the service, `sizeratio` can be said, and a service that is full (status 7) is waited for.
- `ExportRequest.status` looks again while an export is under way. `wait` ends on time, outlasts a failing network, asks
  as often as the service's forecast suggests, and knows that status 12 is no end.
- Connections are kept. Downloads go on where they were cut, are checked, and are whole or not there; they stay in their
  folder whatever the server calls them, have their suffixes, and asked for twice leave one copy. Addresses are encoded.
- What is known of a series is asked again after ten minutes. Objects may be shared by threads; arguments are only read.
- A `ServerConfig` of `url_` entries is of use. `to_datetime` judges each element by itself.
- What the network did is a `DrmsConnectionError`, which is urllib's `URLError`, too.
- Importing sets up no logging.

An address given as `email=` is still checked at once: that it may be refused there is what the original promises.
"""

from aurora_async.compat.drms import client, config, exceptions, json, utils
from aurora_async.compat.drms.client import Client, ExportRequest, SeriesInfo, __version__, logger
from aurora_async.compat.drms.config import ServerConfig, register_server
from aurora_async.compat.drms.exceptions import (
    DrmsConnectionError,
    DrmsError,
    DrmsExportError,
    DrmsOperationNotSupported,
    DrmsQueryError,
)
from aurora_async.compat.drms.json import HttpJsonClient, JsocInfoConstants
from aurora_async.compat.drms.utils import to_datetime

__all__ = [
    "Client",
    "DrmsConnectionError",
    "DrmsError",
    "DrmsExportError",
    "DrmsOperationNotSupported",
    "DrmsQueryError",
    "ExportRequest",
    "HttpJsonClient",
    "JsocInfoConstants",
    "SeriesInfo",
    "ServerConfig",
    "__version__",
    "client",
    "config",
    "exceptions",
    "json",
    "logger",
    "register_server",
    "to_datetime",
    "utils",
]


def __dir__() -> list[str]:
    """Offer what is public; so do the modules, with `__dir__ = __all__.copy`."""
    return __all__.copy()
