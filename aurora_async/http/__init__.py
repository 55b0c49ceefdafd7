"""Speaking HTTP with manners: sessions, retries, limits."""

from aurora_async.http.session import Answer, Body, Session

__all__ = ["Answer", "Body", "Session"]
