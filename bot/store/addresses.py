"""Addresses of channels, groups and people in any Slack workspace: a value that is written as text.

In the main workspace an address stands as it is (`#releases`, `C…`, `@sre`, `U…`); elsewhere the workspace's
id stands before it (`T0123/#releases`). Outbox, leases and incidents' rooms keep it so; people never see it.
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
