"""`/release`: what a manifest makes public."""

from __future__ import annotations

from typing import Any

import pytest

from aurora_async.server.imap.release import Line, lines_of

MANIFEST = "imap_codice_data-release-001_20260403_20260430_v001.txt"
CRASH = 500, {"message": "Internal Server Error"}


def test_comments_blank_lines_headers_and_false_are_skipped() -> None:
    """The flag in any case, spaces anywhere."""
    text = "# a comment\n\ninstrument, data_type, descriptor, release\nmag, l2 ,norm-dsrf, TRUE\nmag,l1d,all,false\n"
    assert list(lines_of(text)) == [Line("mag", "l2", "norm-dsrf")]
    with pytest.raises(ValueError, match="unpack"):
        list(lines_of("mag, l2, true"))


async def release(archive: Any, text: str, name: str = MANIFEST) -> None:
    """Have a manifest carried out."""
    await archive.put(f"imap/release/codice/{name}", text.encode())
    answer = await archive.ask("release", release_type="release", manifest_file=name)
    assert answer.said == (200, f"Successfully released data per specification in {name}")


async def test_of_ancillary_files_the_newest_ones_that_are_valid_are_released(archive: Any) -> None:
    """The published example: a window and the open file beside it, not the one that they have taken over from."""
    await release(archive, "instrument,data_type,descriptor,release\ncodice,ancillary,all,true\n")
    assert await archive.names(key=None, table="ancillary", instrument="codice") == [
        "imap_codice_l1a-sci-lut_20260403_20260403_v001.json",
        "imap_codice_l1a-sci-lut_20260403_v002.json",
    ]


async def test_an_open_file_is_valid_until_the_next_begins(archive: Any) -> None:
    """A range before that reaches it, also when it began long ago."""
    name = "imap_codice_release_20260301_20260302_v001.txt"
    await release(archive, "codice,ancillary,l1a-sci-lut,true\n", name)
    assert await archive.names(key=None, table="ancillary", instrument="codice") == [
        "imap_codice_l1a-sci-lut_20260129_v002.json"
    ]


async def test_a_file_that_begins_on_the_last_day_is_released(archive: Any) -> None:
    """A range holds both its ends; the file that was valid until then is in it as well."""
    await release(archive, "codice,ancillary,all,true\n", "imap_codice_release_20260401_20260403_v001.txt")
    assert await archive.names(key=None, table="ancillary", instrument="codice") == [
        "imap_codice_l1a-sci-lut_20260129_v002.json",
        "imap_codice_l1a-sci-lut_20260403_20260403_v001.json",
        "imap_codice_l1a-sci-lut_20260403_v002.json",
    ]


async def test_of_science_files_the_newest_of_each_series_are_released(empty: Any) -> None:
    """Of the level and descriptor that a line names, within the days of the manifest's name."""
    folder = "imap/codice/{}/2026/04/imap_codice_{}"
    await empty.add(
        folder.format("l2", "l2_hi-omni_20260403_v001.0009.cdf"),
        folder.format("l2", "l2_hi-omni_20260403_v002.0001.cdf"),
        folder.format("l2", "l2_hi-omni_20260401_v001.0001.cdf"),
        folder.format("l2", "l2_lo-sw-species_20260430_v001.0001.cdf"),
        folder.format("l1a", "l1a_hi-omni_20260403_v001.0001.cdf"),
    )
    await release(empty, "codice, l2, hi-omni, True\ncodice, l1a, hi-omni, no\nmag, all, all, true\n")
    assert await empty.names(key=None, instrument="codice") == ["imap_codice_l2_hi-omni_20260403_v002.0001.cdf"]
    await release(empty, "codice, all, all, true\n", "imap_codice_release_20260403_20260430_v002.txt")
    assert await empty.names(key=None, instrument="codice") == [
        "imap_codice_l1a_hi-omni_20260403_v001.0001.cdf",
        "imap_codice_l2_hi-omni_20260403_v002.0001.cdf",
        "imap_codice_l2_lo-sw-species_20260430_v001.0001.cdf",
    ]


async def test_a_manifest_with_a_mistake_releases_nothing(archive: Any) -> None:
    """The real handler stops at the line; here what came before it stays as it was, too."""
    await archive.put(f"imap/release/codice/{MANIFEST}", b"codice,ancillary,all,true\ncodice,l2\n")
    assert (await archive.ask("release", release_type="release", manifest_file=MANIFEST)).said == CRASH
    assert await archive.rows(key=None, table="ancillary", instrument="codice") == []


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({}, *CRASH),
        ({"manifest_file": MANIFEST}, *CRASH),
        (
            {"release_type": "publish"},
            400,
            "'publish' is not a valid release_type. Valid options are: ['release', 'unrelease', 'early-release']",
        ),
        (
            {"release_type": "release", "manifest": MANIFEST},
            400,
            "'manifest' is not a valid query parameter. Valid query parameters are: ['release_type', 'manifest_file']",
        ),
        (
            {"release_type": "release"},
            400,
            "Missing required query parameter 'manifest_file' for release operation.",
        ),
        ({"release_type": "release", "manifest_file": MANIFEST}, *CRASH),
        ({"release_type": "release", "manifest_file": "notes.txt"}, *CRASH),
    ],
)
async def test_what_is_wrong_is_answered_in_the_services_words(
    empty: Any, parameters: dict[str, str], status: int, said: Any
) -> None:
    """Among it a manifest that nobody has uploaded."""
    assert (await empty.ask("release", **parameters)).said == (status, said)


@pytest.mark.parametrize(
    ("release_type", "text"),
    [
        ("early-release", "Early release operation not supported yet."),
        ("unrelease", "Unrelease operation not supported yet."),
    ],
)
async def test_what_is_not_supported_yet_is_said_as_a_text(empty: Any, release_type: str, text: str) -> None:
    """Not as JSON."""
    answer = await empty.ask("release", release_type=release_type)
    assert (answer.status, answer.content_type, answer.text) == (501, "text/plain", text)


async def test_who_may_only_read_releases_nothing(empty: Any) -> None:
    """It is a GET, so that the gateway lets it pass; without a key there is no such route."""
    answer = await empty.ask("release", key="imap-read-key", release_type="release")
    assert answer.said == (403, "Release operation denied. Your API key has read permissions.")
    assert (await empty.ask("release", key=None, release_type="release")).status == 404
