"""What is in the files that nobody has brought: made up from their names, the same bytes each time.

Each is a valid file of its format, and says that it is made up where the format has room for that; tables of spins and
manoeuvres have none, so that the object store says it as well, in a header.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from aurora_async.imap.filenames import FileName, InvalidFileName, ScienceName, SpiceName, parse_name
from aurora_async.server.imap import formats
from aurora_async.server.imap.moments import CLOCK_ZERO, LAUNCH, midnight
from aurora_async.server.imap.packets import MANOEUVRE_S, raw_file

__all__ = ["NOTE", "made_up"]

NOTE = "Made up by aurora_async's local service from the name of the file: nothing in it was ever measured."


def made_up(key: str, *, version: int = 1) -> bytes:
    """Return the content of a file.

    Args:
        key: Its path in the archive, also one that follows none of today's rules.
        version: Another one has other bytes, as if the file had been processed again under its name.
    """
    name = PurePosixPath(key).name
    try:
        parsed: FileName | None = parse_name(name)
    except InvalidFileName:
        parsed = None
    if isinstance(parsed, SpiceName):
        return _kernel(parsed, version)
    extension = name.rpartition(".")[2]
    if extension == "pkts":
        return _raw(name, parsed, version)
    if extension == "cdf":
        return _cdf(name, parsed, version)
    return _table(name, extension, version)


def _seed(name: str, version: int) -> bytes:
    return hashlib.sha256(f"{name} {version}".encode()).digest()


def _rng(name: str, version: int) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(_seed(name, version)[:8], "big"))


# Science ------------------------------------------------------------------------------------------------------------

_TT2000 = 33
_FLOAT = 44
_SAMPLES = 96
_EPOCH = datetime(2000, 1, 1, 12, tzinfo=UTC)
_TT_UTC_NS = 69_184_000_000
"""From 2017 on, as long as there is no leap second."""


def _raw(name: str, parsed: FileName | None, version: int) -> bytes:
    words = name.split("_")
    instrument = words[1] if len(words) > 1 else ""
    return raw_file(instrument, _first_day(parsed) or date(2024, 1, 1), version=version) or NOTE.encode()


def _first_day(parsed: FileName | None) -> date | None:
    day = getattr(parsed, "start_date", None)
    return day if isinstance(day, date) else None


def _cdf(name: str, parsed: FileName | None, version: int) -> bytes:
    from cdflib.cdfwrite import CDF  # a third of a second

    rng = _rng(name, version)
    day = _first_day(parsed) or date(2024, 1, 1)
    first_ns = int((midnight(day) - _EPOCH).total_seconds()) * 10**9 + _TT_UTC_NS
    epoch = first_ns + np.arange(_SAMPLES, dtype=np.int64) * (86_400 * 10**9 // _SAMPLES)
    field = rng.normal(0.0, 5.0, (_SAMPLES, 3)).astype(np.float32)
    said: dict[str, Any] = {
        "Project": "IMAP>Interstellar Mapping and Acceleration Probe",
        "Source_name": "IMAP>Interstellar Mapping and Acceleration Probe",
        "Logical_file_id": name.removesuffix(".cdf"),
        "TEXT": NOTE,
    }
    if isinstance(parsed, ScienceName):
        said |= {
            "Logical_source": f"imap_{parsed.instrument}_{parsed.data_level}_{parsed.descriptor}",
            "Data_version": str(parsed.version),
            "Start_date": day.strftime("%Y%m%d"),
        }
    with tempfile.TemporaryDirectory(prefix="aurora-async-") as folder:
        path = Path(folder, "made.cdf")
        file = CDF(path, cdf_spec={"Compressed": 0, "Checksum": False})
        try:
            file.write_globalattrs({attribute: {0: value} for attribute, value in said.items()})
            form = {"Num_Elements": 1, "Rec_Vary": True, "Compress": 0}
            file.write_var(
                {**form, "Variable": "epoch", "Data_Type": _TT2000, "Dim_Sizes": []},
                var_attrs={"FIELDNAM": "epoch", "UNITS": "ns", "VAR_TYPE": "support_data"},
                var_data=epoch,
            )
            file.write_var(
                {**form, "Variable": "made_up", "Data_Type": _FLOAT, "Dim_Sizes": [3]},
                var_attrs={"FIELDNAM": "made_up", "DEPEND_0": "epoch", "VAR_TYPE": "data", "CATDESC": NOTE},
                var_data=field,
            )
        finally:
            file.close()
        return path.read_bytes()


# Kernels, and the tables that go with them --------------------------------------------------------------------------

_TEXT_KERNELS = {"lsk": "LSK", "sclk": "SCLK", "fk": "FK", "pck": "PCK", "mk": "MK"}
_SPIN_S = 15
_STAMP = "%Y-%m-%d %H:%M:%S.%f"


def _kernel(name: SpiceName, version: int) -> bytes:
    if name.type == "spin":
        return _spins(name, version)
    if name.type == "repoint":
        return _manoeuvres(name.end_date or name.start_date or LAUNCH, version)
    note = NOTE if version == 1 else f"{NOTE} Version {version}."
    suffix = str(name).rpartition(".")[2].lower()
    if suffix in ("bsp", "bc", "bpc"):
        kind = {"bsp": "SPK", "bc": "CK", "bpc": "PCK"}[suffix]
        return formats.daf(kind, 5 if kind == "PCK" else 6, str(name), note)
    if name.folder in _TEXT_KERNELS:
        return f"KPL/{_TEXT_KERNELS[name.folder]}\n\n\\begintext\n\n{name}\n{note}\n".encode()
    return f"# {name}\n# {note}\n".encode()


def _clock_s(moment: datetime) -> int:
    return int((moment - CLOCK_ZERO).total_seconds())


def _spins(name: SpiceName, version: int) -> bytes:
    """Return a table of spins, from the midnight that the name begins with to the one that it ends with."""
    launch = midnight(LAUNCH)
    start = launch if name.start_date is None else midnight(name.start_date)
    end = max(midnight(name.end_date or start.date()), start + timedelta(days=1))
    columns = "spin_number,spin_start_sec_sclk,spin_start_subsec_sclk,spin_start_utc,spin_period_sec"
    lines = [f"{columns},spin_period_valid,spin_phase_valid,spin_period_source,thruster_firing"]
    for since_s in range(0, int((end - start).total_seconds()), _SPIN_S):
        moment = start + timedelta(seconds=since_s)
        number = int((moment - launch).total_seconds()) // _SPIN_S
        turning = int(moment.hour == 0 and moment.minute * 60 < MANOEUVRE_S)
        clock = f"{number},{_clock_s(moment)},0,{moment:{_STAMP}},{_SPIN_S + (version - 1) / 1000}"
        lines.append(f"{clock},{1 - turning},{1 - turning},0,{turning}")
    return ("\n".join(lines) + "\n").encode()


_FIRST_POINTING = date(2025, 9, 28)
_SKIP_FROM, _SKIPPED = date(2026, 2, 1), 19
"""One manoeuvre a day, but numbered so as to agree with the files that are published: 96 on 2026-01-01, 260 on
2026-05-26."""


def _pointing(day: date) -> int:
    return (day - _FIRST_POINTING).days + 1 + (_SKIPPED if day >= _SKIP_FROM else 0)


@functools.lru_cache(maxsize=4)
def _manoeuvres(last: date, version: int) -> bytes:
    """Return a table of all manoeuvres up to a day, and one that is not over yet."""
    lines = [
        "repoint_start_sec_sclk,repoint_start_subsec_sclk,repoint_end_sec_sclk,repoint_end_subsec_sclk,"
        "repoint_start_utc,repoint_end_utc,repoint_id"
    ]
    for number in range((last - _FIRST_POINTING).days + 1):
        day = _FIRST_POINTING + timedelta(days=number)
        start = midnight(day)
        end = start + timedelta(seconds=MANOEUVRE_S)
        clock = f"{_clock_s(start)},{version - 1},{_clock_s(end)},{version - 1}"
        lines.append(f"{clock},{start:{_STAMP}},{end:{_STAMP}},{_pointing(day)}")
    begun = midnight(last + timedelta(days=1))
    lines.append(f"{_clock_s(begun)},0,NaN,NaN,{begun:{_STAMP}},NaN,{_pointing(begun.date())}")
    return ("\n".join(lines) + "\n").encode()


# Everything else ----------------------------------------------------------------------------------------------------


def _rows(name: str, version: int) -> list[list[float]]:
    return [
        [float(number), *map(float, row)] for number, row in enumerate(_rng(name, version).integers(0, 256, (24, 3)))
    ]


def _grey(name: str, version: int) -> Sequence[bytes]:
    """Return a picture of 16 by 16, of another pattern for each name."""
    seed = _seed(name, version)
    return [
        bytes((seed[row] * column // 3 + seed[column + 16] * row // 5) % 256 for column in range(16))
        for row in range(16)
    ]


def _lines(name: str, version: int, between: str) -> Iterator[str]:
    yield f"# {name}: {NOTE}"
    yield between.join(("number", "a", "b", "c"))
    for row in _rows(name, version):
        yield between.join(f"{value:.0f}" for value in row)


def _table(name: str, extension: str, version: int) -> bytes:
    match extension:
        case "json":
            return json.dumps({"file": name, "note": NOTE, "values": _rows(name, version)}, indent=1).encode()
        case "png":
            return formats.png(_grey(name, version), NOTE)
        case "jpg":
            return formats.jpeg(_grey(name, version), NOTE)
        case "pgm":
            return formats.pgm(_grey(name, version), NOTE)
        case "pdf":
            return formats.pdf([name, NOTE, f"Version {version}"])
        case "xlsx":
            return formats.xlsx([[name], [NOTE], ["number", "a", "b", "c"], *_rows(name, version)])
        case "zip":
            return formats.zipped({name.removesuffix(".zip") + ".txt": "\n".join(_lines(name, version, " ")) + "\n"})
    between = {"csv": ",", "tsv": "\t"}.get(extension, " ")
    return ("\n".join(_lines(name, version, between)) + "\n").encode()
