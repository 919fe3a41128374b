"""Exact arithmetic for budgets: counts as decimals, and quotients of far more digits than counts have. Pure.

Objectives and thresholds are decimals as somebody wrote them. In binary fractions 10 of 10,000 events are
not exactly all that 99.9% allows, and a budget that is spent to the last event seems to have some left.
"""

from decimal import Context, Decimal

_ARITHMETIC = Context(prec=50)
"""A product of a count and an objective has at most 35 digits; unequal values stay unequal."""
_multiply, _divide, _subtract = _ARITHMETIC.multiply, _ARITHMETIC.divide, _ARITHMETIC.subtract

NOTHING = Decimal(0)
WHOLE = Decimal(1)


def exact(number: float) -> Decimal:
    """Return a finite number as a decimal: whole numbers as they are, fractions to twelve digits.

    A sum of fractions such as 0.1 is then the one that was meant.
    """
    whole = int(number)
    return Decimal(whole) if whole == number else Decimal(f"{number:.12g}")


def allowed(total: float, objective: Decimal) -> Decimal:
    """Return how many of `total` events may be bad: the error budget."""
    return _multiply(exact(total), WHOLE - objective)


def share(part: float, whole: Decimal) -> Decimal:
    """Return how many times `whole`, which is not 0, the part is."""
    return _divide(exact(part), whole) if part else NOTHING


def rest(part: Decimal) -> Decimal:
    """Return what is left of one whole."""
    return _subtract(WHOLE, part) if part else WHOLE
