"""Files of the local service: from their delivery to their release, and through everything that can go wrong."""

from __future__ import annotations

from pathlib import Path

import anyio
import attrs

from aurora_async.imap import FileQuery, Imap, ImapConfig, NotReleased, SpiceQuery
from aurora_async.testing import FaultScript

MAG = FileQuery(instrument="mag", data_level="l1d", start_date="2025-10")
NEW = "imap_mag_l2_norm-dsrf_20301001_v001.0001.cdf"
MANIFEST = "imap_mag_data-release-001_20301001_20301031_v001.txt"


async def test_a_file_is_delivered_found_released_and_mirrored(
    imap_client: Imap, imap_config: ImapConfig, tmp_path: Path
) -> None:
    """By those who may, and then seen by everybody."""
    new, manifest = tmp_path / NEW, tmp_path / MANIFEST
    new.write_bytes(b"CDF made up" * 1000)
    manifest.write_text("mag, l2, all, true\n")
    query = FileQuery(instrument="mag", start_date="2030")
    await imap_client.mirror(query)
    upload = await imap_client.upload(new)
    again = await imap_client.upload_many([new], exists="check")
    assert again[0].status == "exists"
    with anyio.fail_after(10):  # the catalogue tells of a file a little later than it is there
        while not (run := await imap_client.mirror(query)).new:
            await anyio.sleep(0.05)
    assert [file.key for file in run.new] == [upload.key]
    async with Imap(attrs.evolve(imap_config, api_key=None, data_dir=tmp_path / "public")) as public:
        assert isinstance((await public.download(NEW))[0].error, NotReleased)
        await imap_client.release(manifest)
        download = await public.download(NEW)
    assert download.paths[0].read_bytes() == new.read_bytes()


async def test_through_cuts_refusals_and_lies_every_file_comes_right(
    imap_client: Imap, aurora_faults: FaultScript, tmp_path: Path
) -> None:
    """A link that is over, a busy service, half an answer, another version behind it: all of that, for every file."""
    whole = await imap_client.download(MAG, tmp_path / "whole")
    assert len(whole.paths) > 25
    aurora_faults.add(path="*/download/*", status=503, each_path=True, nth=[2])
    objects = {"path": "/imap/mag/*", "each_path": True}
    aurora_faults.add(**objects, status=403, nth=[1])
    aurora_faults.add(**objects, cut_at=0.5, nth=[2])
    aurora_faults.add(**objects, overlook="Range", content_length_off=7, nth=[3])
    stormy = await imap_client.download(MAG, tmp_path / "stormy")
    stormy.raise_for_failures()
    assert [file.sha256 for file in stormy] == [file.sha256 for file in whole]
    assert [path.read_bytes() for path in stormy.paths] == [path.read_bytes() for path in whole.paths]
    assert not list((tmp_path / "stormy").rglob(".aurora-parts"))


async def test_kernels_are_mirrored_too(imap_client: Imap) -> None:
    """Those of a type, or all: what is new since the last time."""
    query = SpiceQuery(type="ephemeris_reconstructed")
    first = await imap_client.mirror(query)
    assert first.new and first.mark is not None
    assert all(file.key.startswith("imap/spice/spk/") for file in first.new)
    second = await imap_client.mirror(query)
    assert second.since == first.mark and second.new == () and second.present == len(first.new)
    assert len(await imap_client.download(query, exists="skip")) == len(first.new)
