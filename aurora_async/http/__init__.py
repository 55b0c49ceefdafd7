"""Speaking HTTP with manners: sessions, retries, limits."""

from aurora_async.http._errors import shown_url
from aurora_async.http._sending import FileBody
from aurora_async.http.session import Answer, Body, Session

__all__ = ["Answer", "Body", "FileBody", "Session", "shown_url"]
