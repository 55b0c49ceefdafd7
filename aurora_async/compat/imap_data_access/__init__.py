"""imap_data_access over ours: `import aurora_async.compat.imap_data_access as imap_data_access`, and the rest stays.

What is other than in imap-data-access 1.3:

- Connections are kept, failures outlasted, answers compressed, large catalogues asked for in pieces. Credentials go to
  the service alone, which is asked at the right address whatever prefix or slash its URL ends in.
- Files are streamed both ways, go on where they were cut, and are whole or not there; `download_all_files` fetches many
  at once. A file that is there is taken as it is, as ever, unless it is shorter than the service's, as one is that
  was cut; `download(…, exists="check")` compares all of it.
- `version="vMMM.mmmm"` is accepted, and a version beside a repointing is looked at. The latest ancillary files of
  several windows or forms are all found. `query(table="spice")` says where kernels are asked for.
- `spice_query` knows days and versions, and needs no `type`. What the service is known to refuse is not sent.
- Dates are eight digits, or ISO 8601. Names end where they should, say what is wrong with them, and lose the folders in
  front of them: no path leaves `DATA_DIR`. Names that no convention knows are fetched by their whole path.
- Kernels are chosen by day like other files, ancillary files by version and window; `get_file_for_time` does so.
  Unknown types of inputs are errors, and so is a repoint input of something else.
- `release` waits for its manifest as long as that takes. Raw packets come in parallel, no duplicate stays behind.
- Messages list choices in a fixed order. `config["CLIENT_VERSION"] = "0.2.0"` speaks the dialect of January 2024.

`aurora_async.sync.Imap`, which all of this calls, has what is missing here: several accounts, bulk downloads, mirrors.
"""

from aurora_async.compat.imap_data_access import file_validation, io, processing_input, utils, webpoda
from aurora_async.compat.imap_data_access._settings import (
    REPOINT_DEPENDENT_INSTRUMENTS,
    VALID_DATALEVELS,
    VALID_INSTRUMENTS,
    VALID_TABLES,
    __version__,
    config,
)
from aurora_async.compat.imap_data_access.file_validation import (
    AncillaryFilePath,
    CadenceFilePath,
    DependencyFilePath,
    ImapFilePath,
    QuicklookFilePath,
    ReleaseFilePath,
    ScienceFilePath,
    SPICEFilePath,
)
from aurora_async.compat.imap_data_access.io import download, query, release, reprocess, spice_query, upload
from aurora_async.compat.imap_data_access.processing_input import (
    AncillaryInput,
    ProcessingInputCollection,
    RepointInput,
    ScienceInput,
    SPICEInput,
    SpinInput,
)

__all__ = [
    "REPOINT_DEPENDENT_INSTRUMENTS",
    "VALID_DATALEVELS",
    "VALID_INSTRUMENTS",
    "VALID_TABLES",
    "AncillaryFilePath",
    "AncillaryInput",
    "CadenceFilePath",
    "DependencyFilePath",
    "ImapFilePath",
    "ProcessingInputCollection",
    "QuicklookFilePath",
    "ReleaseFilePath",
    "RepointInput",
    "SPICEFilePath",
    "SPICEInput",
    "ScienceFilePath",
    "ScienceInput",
    "SpinInput",
    "__version__",
    "config",
    "download",
    "file_validation",
    "io",
    "processing_input",
    "query",
    "release",
    "reprocess",
    "spice_query",
    "upload",
    "utils",
    "webpoda",
]


def __dir__() -> list[str]:
    """Offer what is public; so do the modules, with `__dir__ = __all__.copy`."""
    return __all__.copy()
