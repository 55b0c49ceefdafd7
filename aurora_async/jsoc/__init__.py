"""JSOC and other DRMS services: series, records, exports."""

from aurora_async.jsoc.client import DEFAULT_CONFIG, Jsoc
from aurora_async.jsoc.downloads import Download, DownloadedFile, DownloadOptions, ExportedFile
from aurora_async.jsoc.errors import (
    AddressCheckFailed,
    AddressNotRegistered,
    ExportRefused,
    ExportTooLarge,
    FilesOffline,
    NoFile,
    NoSuchExport,
    NoSuchSeries,
    NotSupported,
    QueryRefused,
    TooManyPending,
    WrongValue,
)
from aurora_async.jsoc.exports import Export
from aurora_async.jsoc.filenames import FileNameFormat
from aurora_async.jsoc.keywords import KeywordType, Value
from aurora_async.jsoc.models import (
    AddressStatus,
    Interval,
    Keyword,
    Link,
    PendingExports,
    PrimeKey,
    Segment,
    SeriesInfo,
    SeriesName,
)
from aurora_async.jsoc.processing import Protocol, Step
from aurora_async.jsoc.queries import ExportQuery
from aurora_async.jsoc.recordset import Duration, RecordSet, RecordSetError, parse_record_set, series_of
from aurora_async.jsoc.servers import JSOC, KIS, JsocServer
from aurora_async.jsoc.tables import KeywordColumn, RecordTable, Row, SegmentColumn
from aurora_async.jsoc.times import TaiTime

__all__ = [
    "DEFAULT_CONFIG",
    "JSOC",
    "KIS",
    "AddressCheckFailed",
    "AddressNotRegistered",
    "AddressStatus",
    "Download",
    "DownloadOptions",
    "DownloadedFile",
    "Duration",
    "Export",
    "ExportQuery",
    "ExportRefused",
    "ExportTooLarge",
    "ExportedFile",
    "FileNameFormat",
    "FilesOffline",
    "Interval",
    "Jsoc",
    "JsocServer",
    "Keyword",
    "KeywordColumn",
    "KeywordType",
    "Link",
    "NoFile",
    "NoSuchExport",
    "NoSuchSeries",
    "NotSupported",
    "PendingExports",
    "PrimeKey",
    "Protocol",
    "QueryRefused",
    "RecordSet",
    "RecordSetError",
    "RecordTable",
    "Row",
    "Segment",
    "SegmentColumn",
    "SeriesInfo",
    "SeriesName",
    "Step",
    "TaiTime",
    "TooManyPending",
    "Value",
    "WrongValue",
    "parse_record_set",
    "series_of",
]
