"""SIGKILL at random moments of a batch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.killing import killed, service

KILLS = int(os.environ.get("AURORA_ASYNC_KILLS", "5"))
"""How often; 200 take some minutes."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forks")
def test_a_batch_that_is_killed_again_and_again_submits_each_query_once(tmp_path: Path) -> None:
    """By the service's own count; with every file right, and nothing left over."""
    with service("--server-time", "0.05", "--workers", "0") as base_url:
        assert killed(base_url, tmp_path, KILLS, seed=KILLS)["kills"] == KILLS
