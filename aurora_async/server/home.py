"""The page at `/`: what these services are, what they have, and how to ask them."""

from __future__ import annotations

import asyncio
import html
from datetime import UTC, datetime

from aiohttp import web

from aurora_async.server.aurorax.routes import AuroraXService
from aurora_async.server.imap.service import ImapService
from aurora_async.server.imap.settings import ImapSettings
from aurora_async.server.jsoc.service import JsocService
from aurora_async.server.site import Handler

__all__ = ["home_page"]

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>aurora_async: local services</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }}
pre {{ background: #f4f4f4; padding: .8em 1em; overflow-x: auto; font-size: 14px; }}
table {{ border-collapse: collapse; font-size: 14px; }}
th, td {{ text-align: left; padding: .15em .8em .15em 0; border-bottom: 1px solid #ddd; white-space: nowrap; }}
.wide {{ overflow-x: auto; }}
details td:last-child {{ white-space: normal; min-width: 16em; }}
summary {{ cursor: pointer; }}
</style>
</head>
<body>
<h1>aurora_async: local services</h1>
<p>These are local stand-ins for the <a href="#aurorax">AuroraX</a> search API, for <a href="#jsoc">JSOC</a>, the
archive of SDO's and SOHO's solar images, and for the <a href="#imap">IMAP Science Data Center</a>; this is none of
them. They speak the same protocols, so that clients can be tried and tested without a network.</p>
<h2 id="aurorax">AuroraX</h2>
<p><b>Positions and footprints are computed</b> (SGP4 from published element sets, IGRF and Tsyganenko 89c) and every
record says so in its metadata; do not publish them as AuroraX's data.</p>
<pre>from aurora_async import AuroraX, EphemerisQuery

async with AuroraX(base_url="{base_url}") as aurorax:
    records = await aurorax.ephemeris.search(EphemerisQuery(
        start="2020-01-01T00", end="2020-01-01T00", programs=["swarm"], platforms=["swarma"]))</pre>
<p>The official client works as well:</p>
<pre>import pyaurorax
aurorax = pyaurorax.PyAuroraX(api_base_url="{base_url}")</pre>
<p>Or by hand:</p>
<pre>curl {base_url}/api/v1/data_sources?program=swarm
curl -i {base_url}/api/v1/ephemeris/search -H 'Content-Type: application/json' -d \\
  '{{"start": "2020-01-01T00:00:00", "end": "2020-01-01T00:09:59", "data_sources": {{"platforms": ["swarma"]}}}}'</pre>
<p>Reading needs no account. Whoever is let in may also upload records, change data sources and see requests and
accounts, as far as the role allows; own searches are then private.</p>
<pre>aurora-async serve --api-key demo:Administrator --account admin@localhost:demo:Administrator
curl {base_url}/api/v1/accounts -H 'x-aurorax-api-key: demo'
curl -i {base_url}/api/v1/authenticate -H 'Content-Type: application/json' -d \\
  '{{"email_address": "admin@localhost", "password": "demo"}}'</pre>
<h2 id="jsoc">JSOC</h2>
<p><b>Records and images are made up</b>, but for the few records that have been published: they are where and when the
real ones are, of the same names and forms, but small, and show nothing that was observed. The files say so.
{addresses}</p>
<pre>from aurora_async import Jsoc

async with Jsoc(base_url="{base_url}", email="{address}") as jsoc:
    rows = await jsoc.query("hmi.v_45s[2013.07.03_08:42_TAI/3m]", keywords="T_OBS, CRLT_OBS")
    saved = await jsoc.download("hmi.m_720s[2013.07.03_08:42_TAI/1h]{{magnetogram}}", "files", protocol="fits")</pre>
<p>The official client works as well, also through <code>http_proxy={base_url}</code> without a word changed:</p>
<pre>import drms
client = drms.Client(email="{address}", server=drms.ServerConfig(
    name="local", cgi_baseurl="{base_url}/cgi-bin/ajax/", cgi_show_series="show_series",
    cgi_jsoc_info="jsoc_info", cgi_jsoc_fetch="jsoc_fetch", cgi_check_address="checkAddress.sh",
    cgi_show_series_wrapper="showextseries", show_series_wrapper_dbhost="hmidb2",
    http_download_baseurl="{base_url}/"))</pre>
<p>Or by hand: an export is asked for, asked about, and is then a directory.</p>
<pre>curl '{base_url}/cgi-bin/ajax/jsoc_info?op=rs_list&amp;key=T_REC,QUALITY' \\
  --get --data-urlencode 'ds=hmi.v_45s[2013.07.03_08:42_TAI/3m]'
curl '{base_url}/cgi-bin/ajax/jsoc_fetch?op=exp_request&amp;notify={address}&amp;protocol=fits' \\
  --get --data-urlencode 'ds=hmi.m_720s[2013.07.03_08:42_TAI/1h]{{magnetogram}}'
curl '{base_url}/cgi-bin/ajax/jsoc_fetch?op=exp_status&amp;requestid={example_id}'</pre>
<details>
<summary>The {series_count} series that have records</summary>
<div class="wide">
<table>
<tr><th>Series</th><th>Prime keys</th><th>Note</th></tr>
{series}
</table>
</div>
</details>
<h2 id="imap">IMAP</h2>
<p><b>What is in the files is made up</b>, and says so; their names have been published. So have the ingestion times of
a few; the others were ingested, by the rule of this service, on the day after the first one that they are about.
Science above level 1a is released. {imap_keys}</p>
<pre>from aurora_async import Imap

async with Imap(base_url="{base_url}/imap", data_dir="data") as imap:
    files = await imap.query(instrument="mag", data_level="l1d", start_date="2025-10", version="latest")
    done = await imap.download(files)</pre>
<p>The official client works as well:</p>
<pre>export IMAP_DATA_ACCESS_URL={base_url}/imap
imap-data-access query --instrument mag --data-level l1d</pre>
<p>Or by hand: a file is asked for here, and comes from the object store at {objects_url}, by a link that is good for a
while.</p>
<pre>curl '{base_url}/imap/query?instrument=mag&amp;data_level=l1d'
curl -OL {base_url}/imap/download/imap/mag/l1d/2025/10/imap_mag_l1d_burst-dsrf_20251001_v001.0017.cdf
curl '{base_url}/imap/spice-query?type=leapseconds'
curl '{base_url}/imap/metakernel?start_time=20260101&amp;end_time=20260102&amp;list_files=true'</pre>
<details>
<summary>The {product_count} products in the archive</summary>
<div class="wide">
<table>
<tr><th>Instrument</th><th>Level</th><th>Descriptor</th><th>Files</th><th>First day</th><th>Last day</th></tr>
{products}
</table>
</div>
</details>
<h2>Having them fail</h2>
<p>To see how a program takes it when the next download breaks off in the middle, or anything else goes wrong:</p>
<pre>curl {base_url}/_local/faults -H 'Content-Type: application/json' -d \\
  '{{"path": "*/data", "times": 1, "cut_at": 0.5}}'
curl {base_url}/_local/faults -H 'Content-Type: application/json' -d \\
  '{{"path": "*/jsoc_fetch", "times": 1, "error_condition": "out of disk"}}'
curl {base_url}/_local/faults -H 'Content-Type: application/json' -d \\
  '{{"path": "/imap/*.cdf", "each_path": true, "times": 1, "cut_at": 0.5}}'
curl {base_url}/_local/faults
curl -X DELETE {base_url}/_local/faults</pre>
<h2>AuroraX: {count} data sources</h2>
<div class="wide">
<table>
<tr><th>Identifier</th><th>Name</th><th>Program</th><th>Platform</th><th>Instrument type</th><th>Type</th>
<th>Ephemeris</th></tr>
{rows}
</table>
</div>
</body>
</html>
"""


def home_page(aurorax: AuroraXService, jsoc: JsocService, imap: ImapService) -> Handler:
    """Return what answers with the page."""
    addresses, keys = jsoc.settings.addresses, imap.settings.api_keys
    address = addresses[0] if addresses else "you@example.com"
    exports = f"Exports are made for {', '.join(addresses)}." if addresses else "Exports need an address; register one."
    is_default = keys == ImapSettings().api_keys
    imap_keys = f"All else needs one of the keys {' and '.join(keys)}." if is_default else "All else needs a key."

    def tables() -> tuple[list[str], list[str]]:
        series = [_row(one.name, ", ".join(one.primekeys), one.note) for one in jsoc.series()]
        return series, [_row(*product) for product in imap.catalog.products()]

    async def page(request: web.BaseRequest) -> web.StreamResponse:
        rows = []
        for record in aurorax.sources.all():
            if record["identifier"] > 0:
                span = aurorax.sources.span(record["identifier"])
                names = ("identifier", "display_name", "program", "platform", "instrument_type", "source_type")
                days = "none here" if span is None else f"{span[0]} to {span[1]}"
                rows.append(_row(*(record[name] for name in names), days))
        series, products = await asyncio.to_thread(tables)  # definitions are read when they are first needed
        text = _PAGE.format(
            base_url=html.escape(f"http://{request.host}"),
            count=len(rows),
            rows="\n".join(rows),
            series_count=len(series),
            series="\n".join(series),
            address=html.escape(address),
            addresses=html.escape(exports),
            example_id=f"JSOC_{datetime.now(UTC):%Y%m%d}_001",
            imap_keys=html.escape(imap_keys),
            objects_url=html.escape(imap.objects_url),
            product_count=len(products),
            products="\n".join(products),
        )
        return web.Response(text=text, content_type="text/html")

    return page


def _row(*cells: object) -> str:
    return f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells)}</tr>"
