"""Objectives, numbers and burn alerts of other tools as the own format writes them. Pure."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

from bot.formatting import duration_code
from bot.policy.formats.noted_fields import NotedFields

_PAGING: Final = ("page", "critical", "high", "urgent", "sev1")
_SHORT_PART: Final = 12
"""The short window is a twelfth of the long one where nothing else is said, as in Google's SRE Workbook."""
_MOST_DIGITS: Final = 15
_MINUTE: Final = timedelta(minutes=1)


def plain(number: Decimal) -> str:
    """Return a number without an exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(fields: NotedFields, key: str, *, is_percent: bool = False) -> str:
    """Return the objective that a field holds in percent, exactly as it is written.

    The field holds a fraction unless `is_percent`. Raises `RefusedDocumentError`.
    """
    number = fields.number(key)
    if number is None:
        raise fields.refusal(None, f"{fields.where(key)} is missing")
    if not is_percent and 1 < number < 100:
        message = f"{fields.where(key)} is {plain(number)}, and must be a fraction below 1, such as 0.999"
        raise fields.refusal(key, message)
    share = number if is_percent else number * 100
    if not 0 < share < 100:
        message = f"an objective of {plain(share)}% decides nothing: it must lie between 0 and 100%"
        raise fields.refusal(key, message)
    decimals = len(plain(share).partition(".")[2])
    if max(len(share.normalize().as_tuple().digits), decimals) > _MOST_DIGITS:
        raise fields.refusal(key, f"{fields.where(key)} has more than {_MOST_DIGITS} digits")
    return f"{plain(share)}%"


def burn_alert_line(severity: str, burn: Decimal, long: timedelta, short: timedelta | None) -> str:
    """Return a burn alert as a policy has it."""
    usual = max(_MINUTE, long / _SHORT_PART // _MINUTE * _MINUTE)
    short = short if short is not None and timedelta() < short < long else usual
    urgency = "page" if severity.casefold() in _PAGING else "ticket"
    return (
        f"{{severity: {urgency}, burn: {plain(burn)}, "
        f"long: {duration_code(long)}, short: {duration_code(short)}}}"
    )
