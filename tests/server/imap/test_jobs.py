"""Reprocessing, and the jobs that come of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from aurora_async.server.site import FATE, Fate

HIST = "imap/glows/l1b/2026/01/imap_glows_l1b_hist_20260101-repoint00096_v001.{}.cdf"
JANUARY = {"start_date": "20260101", "end_date": "20260131"}


def let_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the clock of jobs and catalogue ahead of the real one."""
    clock = time.time_ns
    monkeypatch.setattr("time.time_ns", lambda: clock() + int(seconds * 1e9))
    monkeypatch.setattr("time.time", lambda: clock() / 1e9 + seconds)


async def reprocess(archive: Any, **parameters: Any) -> str:
    """Ask for a reprocessing; return its id."""
    answer = await archive.ask("reprocess", method="POST", **{"reprocessing": True, **parameters})
    assert answer.status == 200
    assert answer.document["message"] == "Reprocess job queued"
    return str(answer.document["reprocess_id"])


async def test_a_job_makes_the_next_version_of_the_newest_file(
    open_archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on, ends, and the file is there, across a restart in between."""
    async with open_archive(published=False, job_s=60) as archive:
        await archive.add(HIST.format("0001"), HIST.format("0002"))
        await reprocess(archive, **JANUARY, instrument="glows")
        (job,) = await archive.rows("processing-jobs")
        assert (job["status"], job["stopped_at"]) == ("INPROGRESS", None)
        assert archive.service.catalog.find(HIST.format("0003")) is None
        assert await archive.names(instrument="glows", latest="true") == [HIST.format("0002").rpartition("/")[2]]
    let_pass(monkeypatch, 61)
    async with open_archive(published=False) as archive:
        (job,) = await archive.rows("processing-jobs", instrument="glows", start_date="20260101", repointing=96)
        assert list(job) == [
            *("status", "instrument", "data_level", "descriptor", "start_date", "major_version", "minor_version"),
            *("repointing", "dependency_hash", "job_definition", "job_log_stream_id", "container_image"),
            *("container_image_digest", "container_command", "started_at", "stopped_at"),
        ]
        assert (job["status"], job["major_version"], job["minor_version"]) == ("SUCCEEDED", 1, 3)
        assert job["started_at"] < job["stopped_at"]
        assert await archive.names(instrument="glows", latest="true") == [HIST.format("0003").rpartition("/")[2]]
        entry = archive.service.catalog.find(HIST.format("0003"))
        assert (entry.size, entry.released) == (None, False)
        log = await archive.ask("processing-logs/1", job_log_stream_id=job["job_log_stream_id"])
        assert (log.status, log.content_type) == (200, "text/plain")
        assert job["container_command"] in log.text
        assert log.text.endswith("INFO: done\n")


async def test_only_what_was_asked_for_is_made_again(open_archive: Any) -> None:
    """By instrument, level, descriptor and days; packets themselves are not made by anybody."""
    async with open_archive(job_s=0) as archive:
        await reprocess(archive, **JANUARY, instrument="glows", data_level="l1b", descriptor="hist")
        assert await archive.names(data_level="l1b", instrument="glows", latest="true") == [
            "imap_glows_l1b_hist_20260101-repoint00096_v001.0002.cdf"
        ]
        await reprocess(archive, start_date="20260101", end_date="20260101", instrument="glows", data_level="l0")
        await reprocess(archive, start_date="20260101", end_date="20260101", instrument="nobody")
        await reprocess(archive, start_date="yesterday", end_date="20260101")
        await reprocess(archive)
        assert len(await archive.rows("processing-jobs")) == 1


async def test_without_a_question_the_newest_hundred_are_listed(open_archive: Any) -> None:
    """The newest first; a question looks at all."""
    async with open_archive(job_s=0) as archive:
        await reprocess(archive, start_date="20250901", end_date="20260131")
        await reprocess(archive, **JANUARY, instrument="glows", data_level="l1b")
        rows = await archive.rows("processing-jobs")
        assert len(rows) == 100
        assert rows[0]["instrument"] == "glows"
        assert len(await archive.rows("processing-jobs", status="SUCCEEDED")) > 100


async def test_jobs_are_found_by_whatever_is_shown_of_them(open_archive: Any) -> None:
    """Also by what is made of other things: how a job stands, what it is called and when it ran."""
    async with open_archive(published=False, job_s=0) as archive:
        await archive.add(HIST.format("0001"), HIST.replace("glows", "mag").format("0001"))
        await reprocess(archive, **JANUARY, instrument="glows", state={FATE: Fate(never_ends=True)})
        await reprocess(archive, **JANUARY, instrument="mag")
        mag, glows = await archive.rows("processing-jobs")
        assert (glows["status"], glows["stopped_at"], mag["status"]) == ("INPROGRESS", None, "SUCCEEDED")
        for column, value in (mag | {"start_date": "20260101", "repointing": 96}).items():
            expected = [job for job in (mag, glows) if value is not None and job[column] == mag[column]]
            assert await archive.rows("processing-jobs", **{column: value}) == expected, column


async def test_a_job_can_be_made_to_fail_and_to_hang(open_archive: Any) -> None:
    """As a fault says; then no file comes of it."""
    async with open_archive(published=False, job_s=0) as archive:
        await archive.add(HIST.format("0001"))
        await reprocess(archive, **JANUARY, state={FATE: Fate(fails_with="out of disk")})
        await reprocess(archive, **JANUARY, state={FATE: Fate(never_ends=True)})
        hanging, failed = await archive.rows("processing-jobs")
        assert (hanging["status"], failed["status"]) == ("INPROGRESS", "FAILED")
        log = await archive.ask("processing-logs/1", job_log_stream_id=failed["job_log_stream_id"])
        assert log.text.endswith("ERROR: out of disk\n")
        assert len(await archive.rows(instrument="glows")) == 1


@pytest.mark.parametrize(
    ("path", "parameters", "status", "said"),
    [
        ("processing-jobs", {"colour": "red"}, 400, {"error": "Invalid parameter: colour"}),
        (
            "processing-jobs",
            {"start_date": "2026"},
            400,
            {"error": "Invalid date format for start_date. Expected YYYYMMDD."},
        ),
        ("processing-logs/1", {"stream": "x"}, 400, {"error": "job_log_stream_id is required."}),
        (
            "processing-logs/1",
            {"job_log_stream_id": "x"},
            500,
            {"error": "Could not fetch logs: there is no log stream x"},
        ),
    ],
)
async def test_what_is_wrong_is_answered_in_the_services_words(
    empty: Any, path: str, parameters: dict[str, str], status: int, said: Any
) -> None:
    """Here as objects, unlike everywhere else."""
    assert (await empty.ask(path, **parameters)).said == (status, said)


async def test_nobody_reprocesses_without_a_credential(empty: Any) -> None:
    """There is no such route without a prefix, and a key for reading is refused."""
    assert (await empty.ask("reprocess", method="POST", key=None)).said == (404, {"message": "Not Found"})
    assert (await empty.ask("reprocess", method="POST", key="imap-read-key")).said == (403, {"message": "Forbidden"})
    assert (await empty.ask("processing-logs/1")).status == 400
