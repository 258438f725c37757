"""What things cost: credits an hour = rate x (weight x vcores + GiB weight x MiB / 1024).

All figures are integers scaled by 10^6. A charge is rounded down, once, at the end: the same as `cost_ucr` of
`sql/functions/05_freeze.sql`, so that a receipt can be recomputed from its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from market.kit import settings
from market.kit.errors import BadInputError
from market.kit.money import UCR_PER_CREDIT, format_credits

_MS_PER_HOUR = 3_600_000
_MIB_PER_GIB = 1024


@dataclass(frozen=True)
class Factors:
    """What a price is made of, each times 10^6; locked with a job's hold."""

    rate_micro: int
    weight_micro: int
    gib_weight_micro: int


@dataclass(frozen=True)
class Quote:
    """What a job of a certain size costs; the three factors are locked with the hold."""

    rate_micro: int
    weight_micro: int
    gib_weight_micro: int
    credits_per_hour_ucr: int
    hold_ucr: int

    def to_wire(self) -> Mapping[str, str]:
        """Return `rate`, `credits_per_hour` and `hold` as decimal strings."""
        return {
            "rate": format_credits(self.rate_micro),
            "credits_per_hour": format_credits(self.credits_per_hour_ucr),
            "hold": format_credits(self.hold_ucr),
        }


def quote(
    machine_type: str,
    containers: Iterable[tuple[int, int]],
    max_duration_s: int | Fraction,
    max_credits_ucr: int | None,
    rate_micro: int,
) -> Quote:
    """Return the price of `containers`, each (vcores, MiB as YARN allocates it), the driver's included.

    The hold is what they cost in `max_duration_s`, at most `max_credits_ucr`. Quotes are rounded up,
    charges down: a job that stays in its size and time is never short of the rounding.
    Raises BadInputError for a machine type that the tariff lacks.
    """
    factors = Factors(rate_micro, *_weights(machine_type))
    return quote_at(factors, containers, max_duration_s, max_credits_ucr)


def quote_at(
    factors: Factors,
    containers: Iterable[tuple[int, int]],
    max_duration_s: int | Fraction,
    max_credits_ucr: int | None,
) -> Quote:
    """Return the same with the factors that a hold has locked, not with those of the present tariff."""
    sizes = list(containers)
    locked = (factors.rate_micro, factors.weight_micro, factors.gib_weight_micro)
    total = sum(_product(*locked, *size) for size in sizes)
    most = _ceiling(total * max_duration_s * 1000)
    return Quote(
        *locked,
        credits_per_hour_ucr=_ceiling(total * _MS_PER_HOUR),
        hold_ucr=most if max_credits_ucr is None else min(most, max_credits_ucr),
    )


def _weights(machine_type: str) -> tuple[int, int]:
    """Return the weights of a core and of a GiB for a machine type."""
    loaded = settings.load()
    try:
        weight = loaded.types[machine_type].weight_micro
    except KeyError:
        known = ", ".join(loaded.types)
        raise BadInputError(
            {"machine_type": [f"There is no such machine type; there are: {known}."]}
        ) from None
    return weight, loaded.credits.micro("gib_weight")


def price(
    rate_micro: int, weight_micro: int, gib_weight_micro: int, vcores: int, memory_mib: int, ms: int
) -> Fraction:
    """Return what one container costs after `ms` milliseconds, in micro-credits, before it is rounded."""
    return Fraction(_product(rate_micro, weight_micro, gib_weight_micro, vcores, memory_mib) * ms, _DIVISOR)


_DIVISOR = _MIB_PER_GIB * UCR_PER_CREDIT * _MS_PER_HOUR


def _product(rate_micro: int, weight_micro: int, gib_weight_micro: int, vcores: int, memory_mib: int) -> int:
    return rate_micro * (weight_micro * vcores * _MIB_PER_GIB + gib_weight_micro * memory_mib)


def _ceiling(product_ms: int | Fraction) -> int:
    return -(-product_ms // _DIVISOR)
