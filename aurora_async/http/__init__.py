"""Speaking HTTP with manners: sessions, retries, limits."""

from aurora_async.http._body import Body
from aurora_async.http._errors import shown_url
from aurora_async.http._sending import FileBody
from aurora_async.http.session import Answer, Session

__all__ = ["Answer", "Body", "FileBody", "Session", "shown_url"]
