"""Addresses of channels, groups and people in any Slack workspace, as text.

In the main workspace an address is the plain name or id (`#releases`, `C…`, `@sre`, `U…`); elsewhere the
workspace's id precedes it (`T0123/#releases`). Outbox, leases and incidents' channels store this form; people
never see it.
"""


def qualified(team: str | None, address: str) -> str:
    """Return the address in a workspace, the main one for None; a qualified one stays as it is."""
    return address if team is None or "/" in address else f"{team}/{address}"


def team_of(address: str) -> str | None:
    """Return the workspace that an address names, None for the main one."""
    team, slash, _ = address.partition("/")
    return team if slash else None


def local(address: str) -> str:
    """Return the address as it is within its workspace."""
    return address.rpartition("/")[2]
