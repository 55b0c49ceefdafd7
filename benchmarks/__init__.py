"""Benchmarks: one question a file. `python -m benchmarks` runs all, `--json` prints one object for machines."""
