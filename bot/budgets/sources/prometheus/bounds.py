"""The bounds of buckets as numbers: `le="5"`, as Prometheus 2 kept it, is `le="5.0"` in Prometheus 3. Pure.

https://prometheus.io/docs/prometheus/latest/migration/#le-and-quantile-label-values
"""

import math
from decimal import Decimal
from functools import lru_cache
from typing import Final

BOUND: Final = "le"
"""The label that holds a bucket's upper bound."""

_LEAST_EXPONENT, _MOST_EXPONENT = -5, 6
"""Go writes a number whose exponent is at or beyond one of these with the exponent: `1e+06`."""


@lru_cache(maxsize=4_096)
def bound_of(text: str) -> str | None:
    """Return the one spelling by which we know a bound; None for what is no finite number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return repr(number) if math.isfinite(number) else None


@lru_cache(maxsize=4_096)
def spellings(bound: str) -> tuple[str, ...]:
    """Return how servers and clients spell a bound: with and without a fraction, and with an exponent."""
    number = bound_of(bound)
    if number is None:
        return (bound,)
    value = float(number)
    texts = [number]
    if value.is_integer():
        texts.append(f"{value:.17g}")
    _, digits, last = Decimal(number).as_tuple()
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    exponent = len(digits) + int(last) - 1
    if value and not _LEAST_EXPONENT < exponent < _MOST_EXPONENT:
        sign, mantissa = "-" if value < 0 else "", shown[0] + ("." + shown[1:] if shown[1:] else "")
        texts.append(f"{sign}{mantissa}e{exponent:+03d}")
    return tuple(dict.fromkeys(texts))
