"""The words of the IMAP Science Data Center: instruments, levels, kernels, packets.

Every order here is the service's own and is kept: folders are looked through, kernels loaded and choices printed in it.

Source: the SDC's data-access client 1.3.0 and its server.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

__all__ = [
    "APIDS",
    "BUFFERS_MIN",
    "DATA_LEVELS",
    "EXTENSIONS",
    "INSTRUMENTS",
    "KERNEL_FOLDERS",
    "KERNEL_TYPES",
    "LEGACY_INSTRUMENTS",
    "METAKERNEL_ORDER",
    "RELEASE_TYPES",
    "REPOINTED",
    "TABLES",
    "ReleaseType",
]

INSTRUMENTS = (
    "codice",
    "glows",
    "hi",
    "hit",
    "ialirt",
    "idex",
    "l1const",
    "lo",
    "mag",
    "spacecraft",
    "swapi",
    "swe",
    "ultra",
)
"""Instruments, and three sources that are none: `ialirt`, `spacecraft`, and `l1const`, other missions' data at L1."""

REPOINTED = ("glows", "hi", "lo", "ultra")
"""Instruments whose files are one a pointing, the time between two manoeuvres, and not one a day."""

LEGACY_INSTRUMENTS = ("hi-45", "hi-90", "ultra-45", "ultra-90")
"""Further ones that names had until February 2024."""

DATA_LEVELS = (
    "l0",
    "l1",
    "l1a",
    "l1b",
    "l1c",
    "l1ca",
    "l1cb",
    "l1d",
    "l2",
    "l2a",
    "l2b",
    "l2c",
    "l3",
    "l3a",
    "l3b",
    "l3c",
    "l3d",
    "l3e",
)

TABLES = ("science", "ancillary", "quicklook")
"""Tables of the catalogue; kernels have a catalogue of their own."""

EXTENSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "science": ("cdf", "pkts"),
        "ancillary": ("cdf", "csv", "dat", "json", "pgm", "tsv", "xlsx", "zip"),
        "quicklook": ("jpg", "pdf", "png"),
        "dependency": ("json",),
        "release": ("txt",),
    }
)
"""By the kind of a file, how its name may end."""

ReleaseType = Literal["release", "early-release", "unrelease"]
RELEASE_TYPES: tuple[ReleaseType, ...] = get_args(ReleaseType)
"""What can be asked of a release; the service does only the first so far."""

KERNEL_FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "attitude_history": "ck",
        "pointing_attitude": "ck",
        "attitude_predict": "ck",
        "lo_pivot_attitude": "ck",
        "spin": "spin",
        "repoint": "repoint",
        "ephemeris_reconstructed": "spk",
        "ephemeris_nominal": "spk",
        "ephemeris_predicted": "spk",
        "ephemeris_90days": "spk",
        "ephemeris_long": "spk",
        "ephemeris_launch": "spk",
        "planetary_ephemeris": "spk",
        "planetary_constants": "pck",
        "leapseconds": "lsk",
        "spacecraft_clock": "sclk",
        "imap_frames": "fk",
        "science_frames": "fk",
        "metakernel": "mk",
        "thruster": "activities",
        "lagrange_point": "spk",
        "earth_attitude": "pck",
    }
)
"""By the type of a file of the SPICE family, its folder below `imap/spice`."""

KERNEL_TYPES = tuple(KERNEL_FOLDERS)

METAKERNEL_ORDER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "leapseconds": ("leapseconds",),
        "planetary_constants": ("planetary_constants",),
        "imap_frames": ("imap_frames",),
        "science_frames": ("science_frames",),
        "spacecraft_clock": ("spacecraft_clock",),
        "earth_attitude": ("earth_attitude",),
        "planetary_ephemeris": ("planetary_ephemeris",),
        "spacecraft_ephemeris": (
            "ephemeris_reconstructed",
            "ephemeris_nominal",
            "ephemeris_predicted",
            "ephemeris_90days",
            "ephemeris_long",
            "ephemeris_launch",
        ),
        "spacecraft_attitude": ("attitude_history", "attitude_predict"),
        "pointing_attitude": ("pointing_attitude",),
    }
)
"""Categories of a metakernel in the order they are loaded; in each, the types that fill it, the preferred one first."""

APIDS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "codice": (1136, 1152, 1153, *range(1155, 1163), *range(1168, 1175)),
        "glows": (1480, 1481),
        "hi": (740, 754, 769, 770, 772, 804, 818, 833, 834, 836),
        "hit": (1251, 1252, 1253),
        "idex": (1418, 1419, 1424),
        "lo": (673, 676, 677, 705, 706, 707, 708),
        "mag": (1052, 1068),
        "swapi": (1184, 1188),
        "swe": (1330, 1334, 1344),
        "ultra": (
            *range(865, 878),
            *range(880, 890),
            *range(896, 902),
            *range(929, 942),
            *range(944, 954),
            *range(960, 966),
        ),
        "spacecraft": (594,),
        "ialirt": (478,),
    }
)
"""By instrument, the application identifiers of its raw packets, in the order in which files hold them."""

BUFFERS_MIN: Mapping[str, int] = MappingProxyType({"hit": 20, "mag": 30, "swapi": 1, "swe": 1, "codice": 7})
"""By instrument, the minutes of packets that a daily file holds of the days before and after; none for the others."""
