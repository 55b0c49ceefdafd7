"""Other processes that tests start."""

from __future__ import annotations

import os
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])

ENVIRON = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))}
"""The environment of a process that imports this package, wherever it is."""
