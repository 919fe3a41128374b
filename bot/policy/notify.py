"""Builds what a policy says of `notify`: its own keys, then those of the main Workspace document. Pure."""

from bot.catalog.notify import DEFAULT_NOTIFY, Notify, QuietHours
from bot.policy.documents.notify import DAYS, NotifySpec, QuietHoursSpec


def notify_of(policy: NotifySpec, workspace: NotifySpec) -> Notify:
    """Return whom a policy mentions; what it leaves out is the workspace's, or else built in."""
    default = DEFAULT_NOTIFY

    def named(*names: tuple[str, ...] | None) -> tuple[str, ...]:
        return next((each for each in names if each is not None), ())

    quiet = policy.quiet_hours if policy.quiet_hours is not None else workspace.quiet_hours
    return Notify(
        page=named(policy.page, workspace.page, default.page),
        freeze=named(policy.freeze, workspace.freeze, default.freeze),
        open=named(policy.open, workspace.open, default.open),
        warning=named(policy.warning, workspace.warning, default.warning),
        ticket=named(policy.ticket, workspace.ticket, default.ticket),
        approval=named(policy.approval, workspace.approval, default.approval),
        quiet_hours=tuple(_quiet_hours(hours) for hours in quiet or ()),
    )


def _quiet_hours(spec: QuietHoursSpec) -> QuietHours:
    return QuietHours(spec.from_, spec.to, frozenset(map(DAYS.index, spec.days)), spec.time_zone)
