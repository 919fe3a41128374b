"""How the series of a service tell who met a flag, as plain values. Pure; no clock, no I/O."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variants:
    """The label that tells requests with a flag on from those with it off.

    `control` is its value where the flag is off, `treatment` the one where it is on; None: any other value.
    `flags` are the flags that it tells about.
    """

    label: str
    control: str
    treatment: str | None = None
    flags: tuple[str, ...] = ()
