"""The files that data products point to: found, fetched side by side, verified, and fetched only once.

Runs offline against a local service of its own, whose data products point to small pictures that it draws.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import mkdtemp

from aurora_async import AuroraX, DataProductQuery
from aurora_async.server.app import LocalService, ServiceSettings


async def main() -> None:
    """Fetch the keograms of a night twice; the second time everything is there already."""
    folder = Path(mkdtemp(prefix="keograms-"))
    query = DataProductQuery(
        start="2020-01-01", end="2020-01-01", programs="trex", platforms="fort smith", data_product_types="keogram"
    )
    settings = ServiceSettings(product_urls="local")
    async with LocalService(settings) as service, AuroraX(base_url=service.base_url) as client:
        products = await client.data_products.search(query)
        for attempt in ("first", "second"):
            outcomes = await client.data_products.fetch_files(products, folder)
            came = sum(one.fetched.fetched_bytes for one in outcomes if one.fetched is not None)
            print(f"{attempt} time: {len(outcomes)} files, {came} bytes fetched")
    print("such as", outcomes[0].fetched.path if outcomes[0].fetched else outcomes[0].error)


if __name__ == "__main__":
    asyncio.run(main())
