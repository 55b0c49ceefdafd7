"""Run every benchmark: `python -m benchmarks [--json] [--peers]`."""

from __future__ import annotations

import argparse
import json

from benchmarks import large_body, many_searches


def main() -> None:
    """Run all, print their tables, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--peers", action="store_true", help="also run the official clients, where they are installed")
    options = parser.parse_args()
    peers = ["--peers"] if options.peers else []
    found = {"many_searches": many_searches.main(peers), "large_body": large_body.main([])}
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
