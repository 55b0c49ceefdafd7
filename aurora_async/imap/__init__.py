"""The IMAP Science Data Center: queries, downloads, uploads, SPICE kernels."""

from aurora_async.imap.client import Imap
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import Download, DownloadedFile
from aurora_async.imap.errors import (
    AlreadyExists,
    CoverageGaps,
    LinkExpired,
    NoSuchFile,
    NotAllowed,
    NotIdentified,
    NotOffered,
    NotReleased,
    QueryRefused,
)
from aurora_async.imap.filenames import (
    AncillaryName,
    DependencyName,
    FileName,
    InvalidFileName,
    LegacyName,
    QuicklookName,
    ReleaseName,
    ScienceName,
    SpiceName,
    Version,
    key_of,
    parse_name,
)
from aurora_async.imap.inputs import (
    AncillaryInput,
    ProcessingInputs,
    RepointInput,
    ScienceInput,
    SpiceInput,
    SpinInput,
    ancillary_for_day,
    input_of,
)
from aurora_async.imap.mirror import Mirrored
from aurora_async.imap.models import (
    AncillaryFile,
    CatalogFile,
    LegacyFile,
    Metakernel,
    ProcessingJob,
    QuicklookFile,
    Reprocessing,
    ScienceFile,
    SpiceKernel,
    TableFile,
)
from aurora_async.imap.pointings import NoPointings, Pointing
from aurora_async.imap.query import FileQuery, SpiceQuery, query_of_name
from aurora_async.imap.releases import Released
from aurora_async.imap.tables import FileTable, Gap
from aurora_async.imap.uploads import Upload, Uploads
from aurora_async.imap.webpoda import LoginRefused, PacketFile, PacketFiles

__all__ = [
    "AlreadyExists",
    "AncillaryFile",
    "AncillaryInput",
    "AncillaryName",
    "CatalogFile",
    "CoverageGaps",
    "DependencyName",
    "Download",
    "DownloadedFile",
    "FileName",
    "FileQuery",
    "FileTable",
    "Gap",
    "Imap",
    "ImapConfig",
    "InvalidFileName",
    "LegacyFile",
    "LegacyName",
    "LinkExpired",
    "LoginRefused",
    "Metakernel",
    "Mirrored",
    "NoPointings",
    "NoSuchFile",
    "NotAllowed",
    "NotIdentified",
    "NotOffered",
    "NotReleased",
    "PacketFile",
    "PacketFiles",
    "Pointing",
    "ProcessingInputs",
    "ProcessingJob",
    "QueryRefused",
    "QuicklookFile",
    "QuicklookName",
    "ReleaseName",
    "Released",
    "RepointInput",
    "Reprocessing",
    "ScienceFile",
    "ScienceInput",
    "ScienceName",
    "SpiceInput",
    "SpiceKernel",
    "SpiceName",
    "SpiceQuery",
    "SpinInput",
    "TableFile",
    "Upload",
    "Uploads",
    "Version",
    "ancillary_for_day",
    "input_of",
    "key_of",
    "parse_name",
    "query_of_name",
]
