"""The IMAP mission's science data center: its catalogue, its object store and its packet service."""
