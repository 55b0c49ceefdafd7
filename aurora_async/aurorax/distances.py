"""Largest distances for every pair of criteria blocks, by the number of blocks."""

from __future__ import annotations

from itertools import combinations

from aurora_async.aurorax.filters import plain_number
from aurora_async.aurorax.models import CustomLocationsBlock, EventsBlock, GroundBlock, SpaceBlock, check_distance
from aurora_async.errors import InvalidInput

__all__ = ["max_distances"]


def max_distances(
    distance_km: float | None = None, *, ground: int = 0, space: int = 0, events: int = 0, custom_locations: int = 0
) -> dict[str, float | None]:
    """Return `distance_km` for every pair of blocks, to be changed pair by pair and given to a `ConjunctionQuery`.

    ```python
    limits = max_distances(500, ground=1, space=2)
    limits["space1-space2"] = None
    ```

    Pairs are named as in `ConjunctionQuery.max_distances`; None does not limit.

    Raises:
        InvalidInput: `distance_km` is no distance that a query takes, or another argument no number of blocks.
    """
    distance_km = plain_number(distance_km)
    if distance_km is not None:
        check_distance("distance_km", distance_km)
    given = {"ground": ground, "space": space, "events": events, "custom_locations": custom_locations}
    counts = {name: plain_number(count) for name, count in given.items()}
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise InvalidInput(name, f"{count!r} is not a number of blocks")
    kinds = (GroundBlock.kind, SpaceBlock.kind, EventsBlock.kind, CustomLocationsBlock.kind)
    blocks = [
        f"{kind}{number}" for kind, count in zip(kinds, counts.values(), strict=True) for number in range(1, count + 1)
    ]
    return {f"{one}-{other}": distance_km for one, other in combinations(blocks, 2)}
