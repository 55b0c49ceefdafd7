"""Submit, poll, collect: requests of any service, thousands at once. No service's name appears in here."""

from aurora_async.engine.batch import Batch
from aurora_async.engine.core import Engine
from aurora_async.engine.events import Event, EventKind, Events
from aurora_async.engine.folder import BatchFolder, BatchStatus, Flaw, ManifestRow
from aurora_async.engine.handle import Request
from aurora_async.engine.journal import Entry, Stage
from aurora_async.engine.manager import Outcome, Run
from aurora_async.engine.protocol import LogEntry, Output, Phase, RequestId, RequestStatus, Service

__all__ = [
    "Batch",
    "BatchFolder",
    "BatchStatus",
    "Engine",
    "Entry",
    "Event",
    "EventKind",
    "Events",
    "Flaw",
    "LogEntry",
    "ManifestRow",
    "Outcome",
    "Output",
    "Phase",
    "Request",
    "RequestId",
    "RequestStatus",
    "Run",
    "Service",
    "Stage",
]
