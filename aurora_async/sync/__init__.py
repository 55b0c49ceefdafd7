"""The same without `await`: every verb of the asynchronous clients, for scripts and notebooks.

```python
from aurora_async import EphemerisQuery
from aurora_async.sync import AuroraX, Imap, Jsoc

client = AuroraX()
records = client.ephemeris.search(EphemerisQuery(start="2020-01-01", end="2020-01-01", platforms="swarma"))

jsoc = Jsoc(email="me@example.com")
jsoc.download("hmi.m_720s[2018.3.2]{magnetogram}", "images", method="url", protocol="fits")

imap = Imap(data_dir="data")
imap.download(imap.query(instrument="mag", data_level="l2", start_date="2026-04", version="latest"))
```
"""

from typing import TYPE_CHECKING

from aurora_async._lazy import lazily

if TYPE_CHECKING:
    from aurora_async.sync._aurorax import (
        Administration,
        AuroraX,
        AvailabilityCounts,
        ConjunctionSearches,
        DataProductSearches,
        EphemerisSearches,
        Request,
        Searches,
        Sources,
    )
    from aurora_async.sync._batch import Batch
    from aurora_async.sync._imap import Imap
    from aurora_async.sync._jsoc import Export, Jsoc, write_manifest
    from aurora_async.sync._requests import Events, Run
    from aurora_async.sync._transfer import fetch, fetch_many

    __all__ = [
        "Administration",
        "AuroraX",
        "AvailabilityCounts",
        "Batch",
        "ConjunctionSearches",
        "DataProductSearches",
        "EphemerisSearches",
        "Events",
        "Export",
        "Imap",
        "Jsoc",
        "Request",
        "Run",
        "Searches",
        "Sources",
        "fetch",
        "fetch_many",
        "write_manifest",
    ]
else:
    __getattr__, __dir__, __all__ = lazily(
        __name__,
        {
            "aurora_async.sync._aurorax": (
                "Administration AuroraX AvailabilityCounts ConjunctionSearches DataProductSearches "
                "EphemerisSearches Request Searches Sources"
            ),
            "aurora_async.sync._batch": "Batch",
            "aurora_async.sync._imap": "Imap",
            "aurora_async.sync._jsoc": "Export Jsoc write_manifest",
            "aurora_async.sync._requests": "Events Run",
            "aurora_async.sync._transfer": "fetch fetch_many",
        },
    )
