"""Uploaded records: found at once, in the place of computed ones, counted, and deleted again."""

from __future__ import annotations

import asyncio
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

ADMIN = {"x-aurorax-api-key": "key-admin"}
SWARM_A = {"program": "swarm", "platform": "swarma", "instrument_type": "footprint"}
EPHEMERIS = "/api/v1/data_sources/3/ephemeris"
FORT_SMITH = {"program": "trex", "platform": "fort smith", "instrument_type": "RGB ASI"}
PRODUCTS = "/api/v1/data_sources/96/data_products"
LISTS = {"programs": ["swarm"], "platforms": ["swarma"], "instrument_types": ["footprint"]}
NOWHERE = {"lat": None, "lon": None}


def position(epoch: str, **changes: Any) -> dict[str, Any]:
    """A record of Swarm A as the official client writes it, over Athabasca unless said otherwise."""
    place = {"lat": 54.7, "lon": -113.3}
    places = {"location_geo": place, "location_gsm": NOWHERE, "nbtrace": place, "sbtrace": NOWHERE}
    return SWARM_A | {"epoch": epoch} | places | {"metadata": {"state": "definitive"}} | changes


def product(url: str, **changes: Any) -> dict[str, Any]:
    """A data product of Fort Smith."""
    times = {"start": "2020-01-01T00:00:00.000", "end": "2020-01-01T00:59:00.000"}
    return FORT_SMITH | times | {"url": url, "data_product_type": "keogram", "metadata": {"mine": "yes"}} | changes


async def upload(client: Any, records: list[dict[str, Any]], path: str = EPHEMERIS) -> None:
    """Upload records that must be accepted."""
    status, _, document = await client.call("POST", path, json=records, headers=ADMIN)
    assert (status, document) == (202, None), document


async def test_an_upload_takes_the_place_of_the_computed_record(serve: Any, queries: Any) -> None:
    """Of the same epoch; the others stay, and all come in order of time."""
    async with serve() as client:
        computed = await client.records("ephemeris", queries.ephemeris())
        await upload(client, [position("2020-01-01T00:03:00.000Z"), position("2020-01-01T00:15:00")])
        found = await client.records("ephemeris", queries.ephemeris())
        assert [record["epoch"][11:] for record in found] == [f"00:0{n}:00" for n in range(10)]
        assert list(found[3]) == list(computed[3])
        names = {"display_name": "Swarm A", "identifier": 3, "source_type": "leo"}
        assert found[3] == {key: position("")[key] for key in computed[3] if key in position("")} | {
            "data_source": SWARM_A | names, "epoch": "2020-01-01T00:03:00",
        }  # fmt: skip
        assert [*found[:3], *found[4:]] == [*computed[:3], *computed[4:]]
        # Uploaded again: replaced.
        await upload(client, [position("2020-01-01T00:03:00", metadata={"second": True})])
        again = await client.records("ephemeris", queries.ephemeris())
        assert [record["metadata"] for record in again if "second" in record["metadata"]] == [{"second": True}]
        assert len(again) == 10


async def test_an_epoch_is_a_whole_minute(serve: Any, queries: Any) -> None:
    """Seconds are zeroed, as the official client does before it sends them; before 1970 too, where seconds run down."""
    async with serve() as client:
        epochs = ["2020-01-01T00:03:30", "2020-01-01T00:04:00.999Z", "2020-01-01T00:04:59.5", "1969-12-31T23:58:30"]
        await upload(client, [position(epoch, metadata={"number": n}) for n, epoch in enumerate(epochs)])
        found = await client.records("ephemeris", queries.ephemeris())
        assert [record["epoch"][11:] for record in found] == [f"00:0{n}:00" for n in range(10)]
        # The second of a minute takes the place of the first.
        assert [record["metadata"]["number"] for record in found[3:5]] == [0, 2]
        (old,) = await client.records("ephemeris", queries.ephemeris("1969-12-31T23:00:00", "1969-12-31T23:59:59"))
        assert old["epoch"] == "1969-12-31T23:58:00"


@pytest.mark.parametrize("kind", ["", " ", "selfie", "KEOGRAM"])
async def test_a_data_product_has_one_of_the_known_types(serve: Any, queries: Any, kind: str) -> None:
    """Another is refused, as an array of errors: no search could ask for it, and typed clients could not read it."""
    async with serve() as client:
        body = [product("https://example.org/a"), product("https://example.org/b", data_product_type=kind)]
        status, _, errors = await client.call("POST", PRODUCTS, json=body, headers=ADMIN)
        assert (status, [error["error_code"] for error in errors]) == (400, ["AssertionError"])
        assert errors[0]["error_message"].startswith(f"records[1]: data_product_type: {kind!r} is unknown; use one of")
        assert all(
            "mine" not in record["metadata"] for record in await client.records("data_products", queries.products())
        )


async def test_filters_look_at_what_was_uploaded(serve: Any, queries: Any) -> None:
    """Metadata of any kind; a computed record in whose place one was uploaded is not found by its own."""
    async with serve() as client:
        await upload(client, [position("2020-01-01T00:03:00", metadata={"kp": 4, "note": "seen", "large": 10**400})])

        async def count(key: str, operator: str, values: list[Any]) -> int:
            expression = {"key": key, "operator": operator, "values": values}
            query = queries.ephemeris(ephemeris_metadata_filters={"expressions": [expression]})
            return len(await client.records("ephemeris", query))

        assert await count("kp", ">=", [4]) == 1
        assert await count("large", ">", [10]) == 1
        assert await count("note", "in", ["seen", "heard"]) == 1
        assert await count("state", "=", ["predictive"]) == 9


async def test_uploads_are_found_where_nothing_is_computed(serve: Any, queries: Any) -> None:
    """A source of one's own, at any time, and in the synchronous search as well."""
    async with serve() as client:
        names = {"program": "mine", "platform": "balloon", "instrument_type": "camera"}
        source = names | {"source_type": "not_applicable", "display_name": "Balloon"}
        _, _, record = await client.call("POST", "/api/v1/data_sources", json=source, headers=ADMIN)
        path = f"/api/v1/data_sources/{record['identifier']}/ephemeris"
        await upload(client, [names | {"epoch": "1949-12-31T23:59:00"}, names | {"epoch": "1950-01-01T00:00:00"}], path)
        query = queries.ephemeris("1949-12-15", "1950-01-14", programs=["mine"], platforms=[], instrument_types=[])
        found = await client.records("ephemeris", query)
        assert [one["epoch"] for one in found] == ["1949-12-31T23:59:00", "1950-01-01T00:00:00"]
        assert found[0]["nbtrace"] == found[0]["location_geo"] == NOWHERE and found[0]["metadata"] == {}
        now = {"query": query | {"start": "1949-12-31", "end": "1950-01-01"}}
        status, _, at_once = await client.call("POST", "/api/v1/ephemeris/search_synchronous", json=now)
        assert (status, at_once) == (200, found)
        entries = await client.get("/api/v1/availability/ephemeris?start=1949-12-01&end=1950-01-31&program=mine")
        assert [entry["available_ephemeris"] for entry in entries] == [{"1949-12-31": 1, "1950-01-01": 1}]
        stats = await client.get(f"/api/v1/data_sources/{record['identifier']}/stats")
        assert (stats["ephemeris_count"], stats["earliest_ephemeris_loaded"], stats["latest_ephemeris_loaded"]) == (
            2, "1949-12-31T23:59:00", "1950-01-01T00:00:00",
        )  # fmt: skip


@pytest.mark.parametrize("workers", [0, 1])
async def test_conjunctions_are_made_of_uploads_too(serve: Any, queries: Any, workers: int) -> None:
    """Two of one's own sources meet, in the service itself and in a worker process."""
    async with serve(workers=workers) as client:
        for platform, lat in (("one", 60.0), ("two", 61.0)):
            names = {"program": "mine", "platform": platform, "instrument_type": "camera"}
            source = names | {"source_type": "ground", "display_name": platform}
            _, _, record = await client.call("POST", "/api/v1/data_sources", json=source, headers=ADMIN)
            place = {"lat": lat, "lon": 20.0}
            records = [
                names | {"epoch": f"2040-01-01T00:0{minute}:00", "nbtrace": place, "location_geo": place}
                for minute in range(2, 6)
            ]
            await upload(client, records, f"/api/v1/data_sources/{record['identifier']}/ephemeris")
        query = queries.conjunctions(
            start="2040-01-01T00:00:00", end="2040-12-31T23:59:59",
            ground=[{"platforms": ["one"]}], space=[{"platforms": ["two"], "hemisphere": ["northern"]}],
        )  # fmt: skip
        (found,) = await client.records("conjunctions", query)
        assert (found["start"], found["end"]) == ("2040-01-01T00:02:00", "2040-01-01T00:05:00")
        assert found["min_distance"] == pytest.approx(111.2, abs=0.5)
        query["space"][0]["hemisphere"] = ["southern"]
        assert await client.records("conjunctions", query) == []


async def test_a_conjunction_moves_with_the_uploaded_footprint(serve: Any, queries: Any) -> None:
    """Minutes uploaded over the South Pole are no longer near Athabasca, the others still are."""
    async with serve() as client:
        ground = [{"programs": ["themis-asi"], "platforms": ["athabasca"]}]
        query = queries.conjunctions(ground=ground, space=[{"platforms": ["swarma"]}])
        before = await client.records("conjunctions", query)
        assert (before[0]["start"], before[0]["end"]) == ("2020-01-01T01:46:00", "2020-01-01T01:47:00")
        south = {"lat": -89.0, "lon": 0.0}
        await upload(client, [position("2020-01-01T01:46:00", nbtrace=south), position("2020-01-01T01:50:00")])
        after = await client.records("conjunctions", query)
        spans = [(one["start"], one["end"]) for one in after]
        assert ("2020-01-01T01:47:00", "2020-01-01T01:47:00") in spans
        assert ("2020-01-01T01:50:00", "2020-01-01T01:50:00") in spans
        assert before[0] not in after


async def test_nothing_is_computed_where_all_was_replaced_or_deleted(serve: Any, queries: Any, tmp_path: Path) -> None:
    """A day takes half a second to compute, a year of them minutes."""
    async with serve(days_dir=tmp_path / "days") as client:
        await upload(client, [position(f"2020-01-01T{n // 60:02}:{n % 60:02}:00") for n in range(1440)])
        span = SWARM_A | {"start": "2020-01-02T00:00:00", "end": "2020-01-20T23:59:59"}
        assert (await client.call("DELETE", EPHEMERIS, json=span, headers=ADMIN))[0] == 202
        month = queries.ephemeris("2020-01-01T00:00:00", "2020-01-20T23:59:59")
        assert len(await client.records("ephemeris", month)) == 1440
        near = queries.conjunctions(
            end="2020-01-20T23:59:59", space=[{"platforms": ["swarma"]}], ground=[{"platforms": ["athabasca"]}]
        )
        # At night the imager of Athabasca sees what was uploaded there, minute for minute.
        found = await client.records("conjunctions", near)
        assert {one[key][:10] for one in found for key in ("start", "end")} == {"2020-01-01"}
        assert list(tmp_path.rglob("*.day")) == []


async def test_places_beyond_a_pole_come_back_folded(serve: Any, queries: Any) -> None:
    """As the real service has done with a latitude of 150.25."""
    async with serve() as client:
        await upload(client, [position("2020-01-01T00:00:00", location_gsm={"lat": 150.25, "lon": -75.5})])
        (found,) = await client.records("ephemeris", queries.ephemeris(end="2020-01-01T00:00:00"))
        assert found["location_gsm"] == {"lat": 29.75, "lon": -75.5}


@pytest.mark.parametrize(
    ("records", "errors"),
    [
        ([SWARM_A], ["records[0]: Object missing required field `epoch`"]),
        ([SWARM_A | {"epoch": 5}], ["records[0]: Expected `str`, got `int` - at `$.epoch`"]),
        (
            [SWARM_A | {"epoch": "2020-01-01T00:00:00"}, SWARM_A | {"epoch": "yesterday"}, SWARM_A | {"epoch": ""}],
            ["records[1]: epoch: 'yesterday' is not", "records[2]: epoch: '' is not"],
        ),
        ([SWARM_A | {"epoch": "2020-01-01T00:00:00", "platform": "swarmb"}], ["records[0]: platform: 'swarmb' is not"]),
        ([SWARM_A | {"epoch": "2020-01-01T00:00:00", "nbtrace": {"lat": 5}}], ["records[0]: nbtrace: lat and lon"]),
        ([SWARM_A | {"epoch": "2020-01-01T00:00:00", "metadata": []}], ["records[0]: Expected `object"]),
        (["text"], ["records[0]: Expected `object`, got `str`"]),
        ({"result": []}, ["the body is not a list of records"]),
    ],
)
async def test_errors_come_as_a_list_and_nothing_is_stored(serve: Any, queries: Any, records: Any, errors: Any) -> None:
    """Each with the number of its record."""
    async with serve() as client:
        status, _, found = await client.call("POST", EPHEMERIS, json=records, headers=ADMIN)
        assert status == 400 and {error["error_code"] for error in found} == {"AssertionError"}
        assert len(found) == len(errors)
        for error, expected in zip(found, errors, strict=True):
            assert error["error_message"].startswith(expected)
        stored = await client.records("ephemeris", queries.ephemeris())
        assert all(record["metadata"]["computed"] for record in stored)


@pytest.mark.parametrize("body", [b"", b"[", b'[{"epoch"', b"nothing", b"[1,]", b"[] []", b'["\xff"]'])
async def test_a_body_that_is_no_json_is_refused(serve: Any, body: bytes) -> None:
    """Wherever it stops or goes wrong, with an answer of the same form."""
    async with serve() as client:
        status, _, errors = await client.call("POST", EPHEMERIS, data=body, headers=ADMIN)
        assert status == 400 and [error["error_code"] for error in errors] == ["AssertionError"]
        assert (await client.call("POST", EPHEMERIS, data=b" []\n", headers=ADMIN))[0] == 202


async def test_a_hundred_errors_are_told(serve: Any) -> None:
    """A file of the wrong kind must not be answered with a longer one."""
    async with serve() as client:
        _, _, errors = await client.call("POST", EPHEMERIS, json=[SWARM_A] * 1000, headers=ADMIN)
        assert len(errors) == 100


async def test_a_body_beyond_the_limit_is_refused(serve: Any) -> None:
    """413, before all of it has arrived."""
    async with serve(max_upload_bytes=2000) as client:
        records = [position("2020-01-01T00:00:00")] * 20
        status, _, error = await client.call("POST", EPHEMERIS, json=records, headers=ADMIN)
        assert status == 413 and "2000 bytes" in error["error_message"]


@pytest.mark.parametrize("path", [EPHEMERIS, PRODUCTS])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_only_who_maintains_a_source_changes_its_records(serve: Any, method: str, path: str) -> None:
    """Its maintainers, its owner, and administrators."""
    async with serve() as client:
        maintained = {"maintainers": ["maintainer@example.org"], "owner": "owner@example.org"}
        source = path.rpartition("/")[0]

        async def status(headers: dict[str, str]) -> int:
            body: Any = [] if method == "POST" else {}
            return int((await client.call(method, path, json=body, headers=headers))[0])

        keys = [{}, *({"x-aurorax-api-key": key} for key in ("nobody", "key-user", "key-maintainer", "key-owner"))]
        assert [await status(key) for key in keys] == [401, 401, 403, 403, 403]
        assert (await client.call("PATCH", source, json=maintained, headers=ADMIN))[0] == 200
        accepted = 202 if method == "POST" else 400
        assert [await status(key) for key in keys] == [401, 401, 403, accepted, accepted]
        assert await status({"x-aurorax-api-key": "key-other-owner"}) == 403
        missing = path.replace("/3/", "/4711/").replace("/96/", "/4711/")
        assert (await client.call(method, missing, json=[], headers=ADMIN))[0] == 404


async def test_ephemeris_is_deleted_by_time(serve: Any, queries: Any) -> None:
    """Uploaded or computed, both ends inclusive; the deletion is listed, what is uploaded later is found."""
    async with serve() as client:
        await upload(client, [position(f"2020-01-01T00:0{minute}:00") for minute in range(0, 10, 2)])
        span = SWARM_A | {"start": "2020-01-01T00:02:30.000Z", "end": "2020-01-01T00:05:00"}
        status, _, document = await client.call("DELETE", EPHEMERIS, json=span, headers=ADMIN)
        assert (status, document) == (202, None)
        found = await client.records("ephemeris", queries.ephemeris())
        assert [record["epoch"][11:] for record in found] == [f"00:0{minute}:00" for minute in (0, 1, 2, 6, 7, 8, 9)]
        (job,) = await client.get(f"{EPHEMERIS}/delete_jobs")
        told = await client.get(f"{EPHEMERIS}/delete_jobs/{job}")
        assert told[0] == "Delete ephemeris of data source 3 from 2020-01-01T00:02:30 to 2020-01-01T00:05:00"
        assert (await client.call("GET", f"{EPHEMERIS}/delete_jobs/no-such-job"))[0] == 404
        assert (await client.call("GET", "/api/v1/data_sources/4711/ephemeris/delete_jobs"))[0] == 404
        assert await client.get("/api/v1/data_sources/29/ephemeris/delete_jobs") == []
        await upload(client, [position("2020-01-01T00:03:00")])
        assert len(await client.records("ephemeris", queries.ephemeris())) == len(found) + 1


@pytest.mark.parametrize(
    ("changes", "names"),
    [({"end": None}, "end"), ({"start": "now"}, "start"), ({"end": "2019-01-01T00:00:00"}, "end"),
     ({"platform": "swarmb"}, "platform")],
)  # fmt: skip
async def test_a_deletion_must_be_whole_and_of_its_source(serve: Any, changes: Any, names: str) -> None:
    """The names in the body are a check against deleting from the wrong one."""
    span = SWARM_A | {"start": "2020-01-01T00:00:00", "end": "2020-01-01T00:00:00"} | changes
    async with serve() as client:
        status, _, error = await client.call("DELETE", EPHEMERIS, json=span, headers=ADMIN)
        assert status == 400 and names in error["error_message"]


async def test_uploads_and_deletions_are_counted(serve: Any) -> None:
    """In availability exactly, for every day they touch; statistics follow."""
    async with serve() as client:
        path = "/api/v1/availability/ephemeris?start=2019-12-31&end=2020-01-03&platform=swarma"
        full = {"2019-12-31": 1440, "2020-01-01": 1440, "2020-01-02": 1440, "2020-01-03": 1440}
        stats = await client.get("/api/v1/data_sources/3/stats")
        span = SWARM_A | {"start": "2020-01-01T00:10:00", "end": "2020-01-01T00:19:00"}
        assert (await client.call("DELETE", EPHEMERIS, json=span, headers=ADMIN))[0] == 202
        # One replaces a computed record, one takes the place of a deleted one.
        await upload(client, [position("2020-01-01T00:00:00"), position("2020-01-01T00:12:00")])
        assert (await client.get(path))[0]["available_ephemeris"] == full | {"2020-01-01": 1431}
        after = await client.get("/api/v1/data_sources/3/stats")
        assert after["ephemeris_count"] == stats["ephemeris_count"] - 9
        span = SWARM_A | {"start": "2019-12-31T23:00:00", "end": "2020-01-02T00:59:59"}
        assert (await client.call("DELETE", EPHEMERIS, json=span, headers=ADMIN))[0] == 202
        left = {"2019-12-31": 1380, "2020-01-02": 1380, "2020-01-03": 1440}
        assert (await client.get(path))[0]["available_ephemeris"] == left
        await upload(client, [position("2035-06-01T00:00:00")])
        after = await client.get("/api/v1/data_sources/3/stats")
        assert after["latest_ephemeris_loaded"] == "2035-06-01T00:00:00"
        assert after["earliest_ephemeris_loaded"] == stats["earliest_ephemeris_loaded"]


async def test_data_products_are_uploaded_replaced_and_deleted(serve: Any, queries: Any) -> None:
    """By address: of a computed one the uploaded one takes the place."""
    async with serve() as client:
        before = await client.records("data_products", queries.products())
        urls = ["https://example.org/mine.jpg", before[0]["url"]]
        await upload(client, [product(url) for url in urls], PRODUCTS)
        after = await client.records("data_products", queries.products())
        mine = [record for record in after if record["metadata"] == {"mine": "yes"}]
        assert sorted(record["url"] for record in mine) == sorted(urls)
        assert (mine[0]["start"], mine[0]["end"]) == ("2020-01-01T00:00:00", "2020-01-01T00:59:00")
        assert list(mine[0]) == list(before[0]) and len(after) == len(before) + 1
        keograms = await client.records("data_products", queries.products(data_product_type_filters=["movie"]))
        assert len(keograms) == 1
        path = "/api/v1/availability/data_products?start=2020-01-01&end=2020-01-01&platform=fort smith"
        assert (await client.get(path))[0]["available_data_products"] == {"2020-01-01": len(after)}
        wanted = FORT_SMITH | {"urls": [*urls, "https://example.org/none.jpg"]}
        assert (await client.call("DELETE", PRODUCTS, json=wanted, headers=ADMIN))[0] == 200
        left = await client.records("data_products", queries.products())
        assert left == [record for record in before if record["url"] not in urls]
        assert (await client.get(path))[0]["available_data_products"] == {"2020-01-01": len(left)}
        status, _, error = await client.call("DELETE", PRODUCTS, json=FORT_SMITH, headers=ADMIN)
        assert status == 400 and "urls" in error["error_message"]


@pytest.mark.parametrize(
    "changes", [{"url": None}, {"url": ""}, {"end": "2019-12-31T00:00:00"}, {"start": "x"}, {"data_product_type": " "}]
)
async def test_a_data_product_that_cannot_be_right_is_refused(serve: Any, changes: dict[str, Any]) -> None:
    """With a list of errors, as for ephemeris."""
    async with serve() as client:
        records = [product("https://example.org/a"), product("https://example.org/b") | changes]
        status, _, errors = await client.call("POST", PRODUCTS, json=records, headers=ADMIN)
        assert status == 400 and next(iter(changes)) in errors[0]["error_message"]
        assert errors[0]["error_message"].startswith("records[1]: ")


async def test_a_large_upload_leaves_the_loop_free(serve: Any, queries: Any) -> None:
    """Twenty thousand records, decoded and stored in threads: the longest pause stays far below what anyone notices."""
    pauses: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0)
            await asyncio.sleep(0.002)
            pauses.append(time.perf_counter() - began - 0.002)

    records = [
        position(f"2021-{month:02}-{day:02}T{hour:02}:{minute:02}:00")
        for month in (1, 2) for day in range(1, 8) for hour in range(24) for minute in range(60)
    ]  # fmt: skip
    body = json.dumps(records).encode()
    assert len(body) > 4 * 1024 * 1024
    async with serve() as client:
        watching = asyncio.create_task(watch())
        status, _, _ = await client.call("POST", EPHEMERIS, data=io.BytesIO(body), headers=ADMIN)
        watching.cancel()
        assert status == 202
        found = await client.records("ephemeris", queries.ephemeris("2021-02-07T23:00:00", "2021-02-08T00:00:00"))
        assert [one["metadata"] for one in found[:60]] == [{"state": "definitive"}] * 60
    # The machine that runs the tests has pauses of its own, so the one in fifty that is longest does not count.
    assert sorted(pauses)[-len(pauses) // 50] < 0.02
