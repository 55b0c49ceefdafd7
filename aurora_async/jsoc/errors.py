"""What only JSOC and its like can raise.

    AuroraError
    ├── InvalidInput
    │   ├── NotSupported          the server has no such operation
    │   ├── AddressNotRegistered  exports need an address that the service knows
    │   └── InvalidQuery
    │       ├── QueryRefused      a listing, structure or record set
    │       │   └── NoSuchSeries
    │       └── ExportRefused     the service has nothing of this export
    │           ├── ExportTooLarge
    │           └── FilesOffline
    ├── AtCapacity
    │   └── TooManyPending        as many exports of this user are under way as the service allows
    ├── MalformedAnswer
    │   └── WrongValue            a keyword's value is not of the type that its series declares
    ├── RequestError
    │   └── ResultExpired
    │       └── NoSuchExport      the service does not know it, or has forgotten it
    ├── AddressCheckFailed        nothing could be found out about an address
    └── NoFile                    an export has no file for a record

A record set is refused with the service's own wording, as `reason`, and its number, as `status`.
"""

from __future__ import annotations

from aurora_async.errors import (
    AtCapacity,
    AuroraError,
    InvalidInput,
    InvalidQuery,
    MalformedAnswer,
    ResultExpired,
)

__all__ = [
    "AddressCheckFailed",
    "AddressNotRegistered",
    "ExportRefused",
    "ExportTooLarge",
    "FilesOffline",
    "NoFile",
    "NoSuchExport",
    "NoSuchSeries",
    "NotSupported",
    "QueryRefused",
    "TooManyPending",
    "WrongValue",
]


class NotSupported(InvalidInput):
    """The server called `server` has no such `operation`: nothing was sent."""

    def __init__(self, operation: str, server: str) -> None:
        super().__init__("server", f"{server} offers no {operation}; use another server, such as JSOC")
        self.args = (operation, server)
        self.operation = operation
        self.server = server


class QueryRefused(InvalidQuery):
    """The service refused to answer for `asked`, a record set or a pattern; `reason` is its own wording."""

    def __init__(self, asked: str, status: int, reason: str, field: str = "record_set") -> None:
        super().__init__(field, reason)
        self.args = (asked, status, reason, field)
        self.asked = asked
        self.status = status

    def __str__(self) -> str:
        what = self.field.replace("_", " ")
        return f"the service refuses the {what} {self.asked!r} (status {self.status}): {self.reason}"


class NoSuchSeries(QueryRefused):
    """There is no series of this name, or not for the public."""

    def __str__(self) -> str:
        name = self.asked.partition("[")[0].partition("{")[0]
        return f"there is no series {name!r} (status {self.status}: {self.reason}); series() lists those there are"


class ExportRefused(InvalidQuery):
    """The service refused to export `record_set`; `reason` is its own wording."""

    hint = ""
    """What the reader can do next; each subclass has its own."""

    def __init__(self, record_set: str, status: int, reason: str) -> None:
        super().__init__("record_set", reason)
        self.args = (record_set, status, reason)
        self.record_set = record_set
        self.status = status

    def __str__(self) -> str:
        text = f"the service refuses to export {self.record_set!r} (status {self.status}): {self.reason}"
        return f"{text}; {self.hint}" if self.hint else text


class ExportTooLarge(ExportRefused):
    """More than the service gives away in one request; `megabytes` is what it would be, None where it does not say."""

    hint = "ask for fewer records, compressed files or a cut-out (with size_ratio), or split the export"

    def __init__(self, record_set: str, status: int, reason: str, megabytes: float | None = None) -> None:
        super().__init__(record_set, status, reason)
        self.args = (record_set, status, reason, megabytes)
        self.megabytes = megabytes


class FilesOffline(ExportRefused):
    """The files are on tape only, and it takes a person there to get them back."""

    hint = "write to the address it names, and ask again when the files are there"


class TooManyPending(AtCapacity):
    """This user, or machine, has as many exports under way as allowed; `pending_ids` are those the service named."""

    def __init__(self, reason: str, pending_ids: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.args = (reason, pending_ids)
        self.pending_ids = pending_ids


class AddressNotRegistered(InvalidInput):
    """Exports are made for registered e-mail addresses only, and `address` is none; `reason` is the service's own."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__("email", reason)
        self.args = (address, reason)
        self.address = address

    def __str__(self) -> str:
        return f"{self.address!r} cannot export anything: {self.reason}; register_email() registers it"


class AddressCheckFailed(AuroraError):
    """The service could not tell, or do, what was asked about `address`: a fault on its side."""

    def __init__(self, address: str, status: int, reason: str) -> None:
        super().__init__(address, status, reason)
        self.address = address
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"nothing is known about {self.address!r}: status {self.status}, {self.reason}; try again later"


class WrongValue(MalformedAnswer):
    """The `value` of a keyword is not of the type its series declares; `record` says of which record."""

    def __init__(self, url: str, where: str, record: str, keyword: str, value: object, reason: str) -> None:
        super().__init__(url, where, reason)
        self.args = (url, where, record, keyword, value, reason)
        self.record = record
        self.keyword = keyword
        self.value = value

    def __str__(self) -> str:
        text = f"keyword {self.keyword} of {self.record} holds {self.value!r}, which {self.reason}"
        return f"{text} ({self.where} of {self.url}); typed=False gives the values as texts"


class NoSuchExport(ResultExpired):
    """The service knows no export of this identifier: it never did, or has forgotten it."""

    def __str__(self) -> str:
        return f"the service knows no export {self.request_id!r} ({self.reason}); check the identifier, or export again"


class NoFile(AuroraError):
    """The service lists `record` in an export and has no file for it: an image that was not taken, for example."""

    def __init__(self, record: str, reason: str) -> None:
        super().__init__(record, reason)
        self.record = record
        self.reason = reason

    def __str__(self) -> str:
        return f"there is no file of {self.record}: {self.reason}"
