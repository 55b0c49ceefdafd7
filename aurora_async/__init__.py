"""An asyncio SDK for scientific services whose searches are submitted, polled and then downloaded."""

from typing import TYPE_CHECKING

from aurora_async._lazy import lazily

if TYPE_CHECKING:
    from aurora_async._exports import *  # noqa: F403
    from aurora_async._exports import __all__ as __all__
else:
    # Whoever wants one service, or the command line's help, or the pytest plugin, does not pay for the rest.
    __getattr__, __dir__, __all__ = lazily(
        __name__,
        {
            "aurora_async.aurorax": (
                "AuroraX Conjunction ConjunctionQuery CustomLocationsBlock DataProduct DataProductQuery "
                "DataSource Ephemeris EphemerisQuery EventsBlock FetchedProduct GroundBlock Location "
                "MetadataExpression MetadataFilter PairConjunction Plan PlannedSearch SpaceBlock"
            ),
            "aurora_async.config": "Config Limits Polling Retries Timeouts",
            "aurora_async.display": "show_progress write_events",
            "aurora_async.engine": (
                "Batch BatchFolder BatchStatus Entry Event EventKind Flaw Outcome Phase Request RequestStatus Run Stage"
            ),
            "aurora_async.engine.cluster": "Cluster open_cluster",
            "aurora_async.errors": "",
            "aurora_async.sync": "",
            "aurora_async.imap": "FileQuery FileTable Imap ImapConfig ProcessingInputs SpiceQuery",
            "aurora_async.jsoc": "Download Export ExportQuery Jsoc JsocServer RecordSet RecordTable TaiTime",
            "aurora_async.times": "TimeRange",
            "aurora_async.transfer": "Fetched FetchOptions FetchOutcome File Saved fetch fetch_many",
        },
    )
