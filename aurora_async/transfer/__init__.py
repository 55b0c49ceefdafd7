"""Bodies larger than memory: cut into records, saved whole or not at all."""

from aurora_async.transfer.cutter import Block, RecordCounter, RecordCutter
from aurora_async.transfer.download import Body, Format, blocks, download, parse, records
from aurora_async.transfer.sink import Check, PartFile, Saved, ensure_writable, save

__all__ = [
    "Block",
    "Body",
    "Check",
    "Format",
    "PartFile",
    "RecordCounter",
    "RecordCutter",
    "Saved",
    "blocks",
    "download",
    "ensure_writable",
    "parse",
    "records",
    "save",
]
