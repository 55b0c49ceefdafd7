"""Release 0.2.0 of imap-data-access, of January 2024: what its description shows, and prints."""

FOUND = """\
Found [2] matching files
---------------------------------------------------------------------------------------------------------------|
Instrument|Data Level|Descriptor|Start Date|End Date|Version|Filename                                          |
---------------------------------------------------------------------------------------------------------------|
swe       |l0        |sci       |20240105  |20240105|v00-05 |imap_swe_l0_sci_20240105_20240105_v00-05.pkts     |
swe       |l0        |sci       |20240105  |20240105|v00-01 |imap_swe_l0_sci_20240105_20240105_v00-01.pkts     |
---------------------------------------------------------------------------------------------------------------|
"""
ROWS = [
    {
        "file_path": f"imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_{version}.pkts",
        "instrument": "swe",
        "data_level": "l0",
        "descriptor": "sci",
        "start_date": "20240105",
        "end_date": "20240105",
        "version": version,
        "extension": "pkts",
    }
    for version in ("v00-05", "v00-01")
]
"""As printed: the service's order is its own."""
DOWNLOADED = "imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-00.pkts"
DOWNLOADED_FROM_PYTHON = "imap/mag/l0/2024/01/imap_mag_l0_raw_202040101_20240101_v00-00.pkts"  # so, with nine digits
UPLOADED = (
    "imap/swe/l1a/2024/01/imap_swe_l1a_sci_20240105_20240105_v00-00.cdf",
    "imap/mag/calibration/test_calibration.txt",
)
