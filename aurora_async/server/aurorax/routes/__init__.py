"""AuroraX's endpoints by topic: what is read from a request, what is answered; the work is done a folder up."""

from aurora_async.server.aurorax.routes.service import AuroraXService

__all__ = ["AuroraXService"]
