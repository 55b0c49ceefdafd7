"""What every test runs under."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples on every run and machine, however slow: a failure in CI fails here too.
settings.register_profile("aurora_async", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aurora_async")
