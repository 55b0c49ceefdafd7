"""`python -m aurora_async` is `aurora-async`."""

from __future__ import annotations

import sys

from aurora_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
