"""The local services: real HTTP servers that speak the protocols of AuroraX, SRS, JSOC and the IMAP SDC."""
