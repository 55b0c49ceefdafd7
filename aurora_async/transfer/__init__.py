"""Bodies larger than memory: cut into records, saved whole or not at all, files fetched and gone on with."""

from aurora_async.transfer._columnar import narrowed
from aurora_async.transfer.cutter import Block, RecordCounter, RecordCutter
from aurora_async.transfer.download import Body, blocks, download, parse, records
from aurora_async.transfer.fetch import Fetched, Fetcher, FetchOptions, FetchOutcome, File, fetch, fetch_many
from aurora_async.transfer.formats import Format, TableForm, check_format, ending
from aurora_async.transfer.sink import Check, PartFile, Saved, ensure_writable, save

__all__ = [
    "Block",
    "Body",
    "Check",
    "FetchOptions",
    "FetchOutcome",
    "Fetched",
    "Fetcher",
    "File",
    "Format",
    "PartFile",
    "RecordCounter",
    "RecordCutter",
    "Saved",
    "TableForm",
    "blocks",
    "check_format",
    "download",
    "ending",
    "ensure_writable",
    "fetch",
    "fetch_many",
    "narrowed",
    "parse",
    "records",
    "save",
]
