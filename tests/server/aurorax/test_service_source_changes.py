"""Data sources: added, changed, removed, and all that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ADMIN = {"x-aurorax-api-key": "key-admin"}
OWNER = {"x-aurorax-api-key": "key-owner"}
OTHER = {"x-aurorax-api-key": "key-other-owner"}
MAINTAINER = {"x-aurorax-api-key": "key-maintainer"}

PATH = "/api/v1/data_sources"
SOURCE = {
    "program": "test-program", "platform": "test-platform", "instrument_type": "test-type", "source_type": "ground",
    "display_name": "Test",
}  # fmt: skip
SCHEMA = [{"field_name": "state", "description": "what it did", "data_type": "string", "allowed_values": ["on", "off"]}]


async def add(client: Any, headers: Any = OWNER, **changes: Any) -> Any:
    """Add a data source; return its record."""
    status, _, record = await client.call("POST", PATH, json=SOURCE | changes, headers=headers)
    assert status == 200, record
    return record


async def test_what_is_left_out_is_filled_in(serve: Any) -> None:
    """As the official client sends it: nulls for what is unset, no owner; a full record comes back."""
    unset = {"metadata": None, "ephemeris_metadata_schema": None, "data_product_metadata_schema": None}
    async with serve() as client:
        record = await add(client, **unset)
        assert record == {
            "identifier": record["identifier"], **SOURCE, "metadata": {}, "owner": "owner@example.org",
            "maintainers": [], "ephemeris_metadata_schema": [], "data_product_metadata_schema": [],
        }  # fmt: skip
        assert await client.get(f"{PATH}/{record['identifier']}?format=full_record") == record
        found = await client.get(f"{PATH}?program=test-program&format=full_record")
        assert found == [record]
        counts = await client.get(f"{PATH}/{record['identifier']}/stats")
        assert (counts["ephemeris_count"], counts["latest_data_product_loaded"]) == (0, None)


async def test_an_identifier_is_taken_if_it_is_free(serve: Any) -> None:
    """Otherwise, and for a second source of the same names, the answer is 409."""
    async with serve() as client:
        assert (await add(client, identifier=123456))["identifier"] == 123456
        for changes in ({"identifier": 123456, "platform": "another"}, {"identifier": 7654321}, {}):
            status, _, error = await client.call("POST", PATH, json=SOURCE | changes, headers=ADMIN)
            assert (status, error["error_code"]) == (409, "Duplicate"), changes
            assert "123456" in error["error_message"]
        assert (await add(client, platform="another"))["identifier"] == 123457


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"program": None}, "program"),
        ({"display_name": "x" * 51}, "display_name"),
        ({"platform": "x" * 51}, "platform"),
        ({"program": "x" * 201}, "program"),
        ({"instrument_type": " "}, "instrument_type"),
        ({"source_type": "moon"}, "source_type"),
        ({"identifier": -1}, "identifier"),
        ({"identifier": "12"}, "identifier"),
        ({"metadata": []}, "metadata"),
        ({"maintainers": "a@example.org"}, "maintainers"),
        ({"ephemeris_metadata_schema": [{"description": "no name"}]}, "ephemeris_metadata_schema"),
        ({"data_product_metadata_schema": [*SCHEMA, {"field_name": "state"}]}, "data_product_metadata_schema"),
        ({"no_such_field": 1}, "no_such_field"),
    ],
)
async def test_what_cannot_be_a_source_is_refused(serve: Any, changes: dict[str, Any], names: str) -> None:
    """400 with the field's name; nothing is added."""
    async with serve() as client:
        status, _, error = await client.call("POST", PATH, json=SOURCE | changes, headers=ADMIN)
        assert (status, error["error_code"]) == (400, "AssertionError")
        assert names in error["error_message"]
        assert await client.get(f"{PATH}?program=test-program") == []
        for body in (b"[]", b"no json", b""):
            assert (await client.call("POST", PATH, data=body, headers=ADMIN))[0] == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_metadata_field_is_whole_in_every_answer(serve: Any, method: str) -> None:
    """Typed clients cannot read a null where the model has a text or a list: one such source spoils every list."""
    given = [{"field_name": "bare"}, {"field_name": "nulls", "description": None, "data_type": None}, SCHEMA[0]]
    empty = {"description": "", "data_type": "string", "allowed_values": [], "additional_description": None}
    whole = [
        {"field_name": "bare"} | empty,
        {"field_name": "nulls"} | empty,
        SCHEMA[0] | {"additional_description": None},
    ]
    body = SOURCE | {"ephemeris_metadata_schema": given, "data_product_metadata_schema": given}
    async with serve() as client:
        path = PATH if method == "POST" else f"{PATH}/{(await add(client))['identifier']}"
        status, _, record = await client.call(method, path, json=body, headers=OWNER)
        assert status == 200
        (listed,) = await client.get(f"{PATH}?program=test-program&format=full_record")
        assert listed == record
        for schema in ("ephemeris_metadata_schema", "data_product_metadata_schema"):
            assert [item | {"searchable": None} for item in listed[schema]] == listed[schema]
            assert [{name: item[name] for name in ("field_name", *empty)} for item in listed[schema]] == whole


async def test_a_patch_leaves_alone_what_it_does_not_name(serve: Any) -> None:
    """Null is as good as nothing, an empty object is a value: that is how the official client says "unchanged"."""
    async with serve() as client:
        record = await add(client, metadata={"a": 1}, ephemeris_metadata_schema=SCHEMA)
        path = f"{PATH}/{record['identifier']}"
        changes = dict.fromkeys(record) | {"identifier": record["identifier"], "display_name": "Changed"}
        status, _, changed = await client.call("PATCH", path, json=changes, headers=OWNER)
        assert (status, changed) == (200, record | {"display_name": "Changed"})
        _, _, emptied = await client.call(
            "PATCH", path, json={"metadata": {}, "maintainers": ["m@a.org"]}, headers=OWNER
        )
        assert emptied == changed | {"metadata": {}, "maintainers": ["m@a.org"]}
        assert await client.get(f"{path}?format=full_record") == emptied


async def test_a_put_replaces_the_record(serve: Any) -> None:
    """What it does not give is empty afterwards; only the owner stays."""
    async with serve() as client:
        record = await add(client, metadata={"a": 1}, ephemeris_metadata_schema=SCHEMA)
        path = f"{PATH}/{record['identifier']}"
        status, _, replaced = await client.call("PUT", path, json=SOURCE | {"platform": "moved"}, headers=OWNER)
        expected = record | {"platform": "moved", "metadata": {}, "ephemeris_metadata_schema": []}
        assert (status, replaced) == (200, expected)
        assert (await client.call("PUT", path, json={"platform": "moved"}, headers=OWNER))[0] == 400
        # Sent back as it was read with counts.
        read = await client.get(f"{path}?format=full_record&include_stats=true")
        assert (await client.call("PUT", path, json=read, headers=OWNER))[0] == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_cannot_take_another_ones_names(serve: Any, method: str) -> None:
    """Nor an identifier other than its own."""
    async with serve() as client:
        await add(client)
        path = f"{PATH}/{(await add(client, platform='another'))['identifier']}"
        status, _, error = await client.call(method, path, json=SOURCE, headers=OWNER)
        assert (status, error["error_code"]) == (409, "Duplicate")
        changes = SOURCE | {"platform": "another", "identifier": 4711}
        assert (await client.call(method, path, json=changes, headers=OWNER))[0] == 400
        assert (await client.call(method, path, json=SOURCE | {"platform": "another"}, headers=OWNER))[0] == 200


async def test_a_source_is_removed_once_it_holds_nothing(serve: Any) -> None:
    """Not before, be its records computed or uploaded; afterwards its names are free again."""
    async with serve() as client:
        status, _, error = await client.call("DELETE", f"{PATH}/3", headers=ADMIN)
        assert (status, error["error_code"]) == (409, "Conflict")
        record = await add(client)
        path = f"{PATH}/{record['identifier']}"
        names = {name: record[name] for name in ("program", "platform", "instrument_type")}
        upload = [names | {"epoch": "2020-01-01T00:00:00"}]
        assert (await client.call("POST", f"{path}/ephemeris", json=upload, headers=OWNER))[0] == 202
        assert (await client.call("DELETE", path, headers=OWNER))[0] == 409
        span = names | {"start": "2020-01-01T00:00:00", "end": "2020-01-01T00:00:00"}
        assert (await client.call("DELETE", f"{path}/ephemeris", json=span, headers=OWNER))[0] == 202
        assert (await client.call("DELETE", path, headers=OWNER, data=b"{}"))[0] == 200
        assert (await client.call("GET", path))[0] == 404
        assert (await client.call("DELETE", path, headers=OWNER))[0] == 404
        await add(client)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_only_owners_and_administrators_change_sources(serve: Any, method: str) -> None:
    """401 for those nobody knows, 403 for those who may not; an owner may only change what is theirs."""
    async with serve() as client:
        record = await add(client)
        path = PATH if method == "POST" else f"{PATH}/{record['identifier']}"
        body = SOURCE | {"display_name": "Changed"}
        refused: list[tuple[dict[str, str], int, str]] = [
            ({}, 401, "NotAuthenticated"),
            ({"x-aurorax-api-key": "no-such-key"}, 401, "NotAuthenticated"),
            ({"Authorization": "Bearer no-such-token"}, 401, "NotAuthenticated"),
            (MAINTAINER, 403, "NotPermitted"),
        ]
        if method != "POST":
            refused.append((OTHER, 403, "NotPermitted"))
        for headers, status, code in refused:
            answer = await client.call(method, path, json=body, headers=headers)
            assert (answer[0], answer[2]["error_code"]) == (status, code), headers
        assert await client.get(f"{path}?program=test-program&format=full_record") in (record, [record])
        if method != "POST":
            assert (await client.call(method, path, json=body, headers=ADMIN))[0] == 200
            unknown = await client.call(method, f"{PATH}/4711", json=body, headers=ADMIN)
            assert unknown[0] == 404 and unknown[2]["error_message"].endswith("for identifier 4711")


async def test_changes_survive_a_restart(serve: Any, tmp_path: Path) -> None:
    """Added, changed and removed sources are what they were."""
    async with serve(data_dir=tmp_path) as client:
        kept = await add(client)
        removed = await add(client, platform="another")
        assert (await client.call("DELETE", f"{PATH}/{removed['identifier']}", headers=OWNER))[0] == 200
        changes = {"display_name": "Changed"}
        path = f"{PATH}/{kept['identifier']}"
        assert (await client.call("PATCH", path, json=changes, headers=OWNER))[0] == 200
    async with serve(data_dir=tmp_path) as client:
        assert await client.get(f"{path}?format=full_record") == kept | changes
        assert (await client.call("GET", f"{PATH}/{removed['identifier']}"))[0] == 404
