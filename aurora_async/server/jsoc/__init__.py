"""JSOC/DRMS on this computer: series and records, exports, and their files."""
