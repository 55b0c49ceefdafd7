"""What the local JSOC can be told: who is registered, how long things take, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from attrs.validators import deep_iterable, ge, gt, instance_of, optional

__all__ = ["JsocSettings"]

_DAY_S = 86_400.0


def _as_tuple(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class JsocSettings:
    """Settings of the local JSOC."""

    addresses: tuple[str, ...] = attrs.field(
        default=("demo@example.com",), converter=_as_tuple, validator=deep_iterable(instance_of(str))
    )
    """The addresses that are registered from the start; others can be registered."""
    registration_s: float = attrs.field(default=2.0, validator=ge(0))
    """How long the registration of an address is pending."""
    export_s: float = attrs.field(default=0.5, validator=ge(0))
    """How long an export takes that is not answered at once; longer if there is that much to do."""
    export_life_s: float = attrs.field(default=7 * _DAY_S, validator=gt(0))
    """How long an export's files are kept."""
    duplicates_s: float = attrs.field(default=_DAY_S, validator=ge(0))
    """How long an export that is asked for again is answered with the first one's id; 0 makes a new one each time."""
    max_pending: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """Pending exports that an address may have; one more is refused with status 7. None sets no limit."""
    max_pending_per_ip: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """The same for those that come from one computer; ten at JSOC."""
    max_megabytes: int = attrs.field(default=100_000, validator=ge(0))
    """What an export may take from the store, by the sizes that the real files have; more is refused with status 3."""
    offline: tuple[str, ...] = attrs.field(default=(), converter=_as_tuple, validator=deep_iterable(instance_of(str)))
    """Series whose files are on tape only: their exports are refused with status 25."""
