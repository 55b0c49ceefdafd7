"""Run every benchmark: `python -m benchmarks [--json] [--peers]`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys

from benchmarks import batch, blocking_calls, exports, fetch, files, large_body, many_searches, to_parquet, windows


def main() -> None:
    """Run all, print their tables, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--peers", action="store_true", help="also run the official clients, where they are installed")
    options = parser.parse_args()
    peers = ["--peers"] if options.peers else []
    # The tables are for people; a machine gets one object and nothing else on stdout.
    with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
        found = {
            "many_searches": many_searches.main(peers),
            "batch": batch.main([]),
            "large_body": large_body.main([]),
            "to_parquet": to_parquet.main([]),
            "fetch": fetch.main([]),
            "exports": exports.main(peers),
            "files": files.main(peers),
            "windows": windows.main([]),
            "blocking_calls": blocking_calls.main([]),
        }
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
