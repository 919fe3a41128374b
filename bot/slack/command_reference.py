"""The table of slash commands: the manifest, `help` and `docs/commands.md` are made from it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup
from bot.slack.interactions import Reply, say


@dataclass(frozen=True, slots=True)
class CommandForm:
    """One way to type a command, and what it does."""

    arguments: str
    effect: str


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command. `hint` is what Slack shows while one types, `description` the line in its menu.

    With `mentions`, Slack writes people's ids into the text, so that names are unambiguous.
    """

    name: str
    hint: str
    description: str
    forms: tuple[CommandForm, ...]
    note: str = ""
    mentions: bool = False


COMMANDS: tuple[Command, ...] = (
    Command(
        "budget",
        "[service] [explain | where | what-if 10m 50%] | exclude | adjust",
        "How much error budget is left",
        (
            CommandForm("", "lists all services, the one with the least budget left first"),
            CommandForm("SERVICE", "shows each SLO: what is left, how fast it burns, when it runs out"),
            CommandForm(
                "SERVICE where [SLO]", "shows what spent it: incidents, deployments, flags and the rest"
            ),
            CommandForm(
                "SERVICE explain [SLO]",
                "shows how each figure is worked out: window, counts, formulas, queries",
            ),
            CommandForm(
                "what-if SERVICE 10m 50%", "shows what an outage would cost: 10 minutes, half of all requests"
            ),
            CommandForm(
                "what-if SERVICE objective 99.95 [SLO]",
                "shows the budget under another objective, now and over the last 90 days",
            ),
            CommandForm(
                "exclude SERVICE [SLO] from 14:05 to 14:20 REASON",
                "asks to leave a time out; `as good` after the time keeps its events in the total",
            ),
            CommandForm(
                "adjust SERVICE [SLO] -120 from 14:05 to 14:20 REASON",
                "asks to count so many bad events as good; `+120` counts more as bad, `dropped` and `missed` "
                "change the total too",
            ),
            CommandForm(
                "adjustments SERVICE", "lists what was adjusted, who asked and who approved, and reverses it"
            ),
            CommandForm("approve NUMBER", "approves an adjustment that another person asked for"),
            CommandForm("decline NUMBER", "declines an adjustment; withdraws one of your own"),
            CommandForm("reverse NUMBER [REASON]", "lets an adjustment count no more"),
        ),
        "100% is an untouched budget, below 0% it is overspent. A burn of 1× spends exactly the budget.",
    ),
    Command(
        "ship",
        "[service] [change] [kind] [proof] | exemptions",
        "May I ship?",
        (
            CommandForm("", "lists which services may ship"),
            CommandForm("SERVICE", "answers yes or no, with the reasons"),
            CommandForm("SERVICE CHANGE", "answers for one change, such as PR-12, that may be exempt"),
            CommandForm(
                "SERVICE CHANGE KIND PROOF",
                "answers for a kind that the policy exempts, such as security, proven by an advisory "
                "(CVE-2026-1234) or an open incident (incident 12)",
            ),
            CommandForm(
                "SERVICE [CHANGE] in staging", "answers for one environment, as a freeze may spare it"
            ),
            CommandForm(
                "SERVICE exempt CHANGE REASON", "asks those who may exempt a change to let it ship once"
            ),
            CommandForm("exemptions [SERVICE]", "lists what was asked for, and what became of it"),
        ),
    ),
    Command(
        "freeze",
        "[service] [for 4h | until 2026-12-01 09:00] [reason]",
        "Freeze a service, or see what is frozen",
        (
            CommandForm("", "lists what is frozen, since when, by whom and why"),
            CommandForm("SERVICE REASON", "freezes a service until somebody lifts it"),
            CommandForm("SERVICE for 4h REASON", "freezes it for a time: 90m, 4h, 1h30m, 2d"),
            CommandForm("SERVICE until 2026-12-01 09:00 REASON", "freezes it until a time in your time zone"),
            CommandForm("replace SERVICE [for 4h] REASON", "puts a new hold in place of your own"),
            CommandForm("lift SERVICE [REASON]", "lifts what people have frozen; the bot lifts its own"),
            CommandForm("all [for 4h] REASON", "freezes all services; `/freeze lift all` lifts it"),
            CommandForm(
                "label team=shop [for 4h] REASON",
                "freezes those whose documents have the label; `/freeze lift label team=shop` lifts it",
            ),
            CommandForm("schedule", "lists the freeze windows to come, of the policies and planned ones"),
            CommandForm(
                "schedule SERVICE from friday 15:00 until monday 7:00 REASON",
                "plans a freeze, also of `all` or `label team=shop`; it is told a day and an hour ahead",
            ),
            CommandForm(
                "schedule SERVICE every friday 15:00 for 9h REASON",
                "plans one that comes again: on a day of the week, every `day` or `weekday`",
            ),
            CommandForm(
                "schedule end NAME until 18:00", "moves the end of a planned one, also while it holds"
            ),
            CommandForm("schedule remove NAME [REASON]", "removes a planned one; what it holds opens"),
            CommandForm(
                "exempt SERVICE CHANGE [for 4h] REASON", "lets one change ship through the freeze, once"
            ),
        ),
        "The channel sees it when something changes. A freeze and a refused `/ship` have buttons: *Lift* and "
        "*Request exemption*, which asks those who may exempt a change.",
    ),
    Command(
        "flag",
        "[show | on | off | rollout | ramp | kill | undo | history | stale] [flag]",
        "Show a feature to more or fewer people",
        (
            CommandForm(
                "", "lists the flags and who sees them; a word narrows it to flags and services like it"
            ),
            CommandForm(
                "show FLAG [ENV]", "shows one flag: who sees it, whose it is, what will happen to it"
            ),
            CommandForm("on FLAG [ENV]", "turns it on, for as many as it was on for before"),
            CommandForm(
                "on FLAG [ENV] for 2h", "turns it on for a time, warns before the end, and goes back"
            ),
            CommandForm("off FLAG [ENV]", "turns it off"),
            CommandForm("rollout FLAG 25% [ENV]", "shows it to a share of users"),
            CommandForm("kill FLAG [ENV]", "turns it off for everyone at once, whatever the code's default"),
            CommandForm(
                "undo FLAG [ENV]", "takes back Governor's last change, if nobody has changed it since"
            ),
            CommandForm(
                "ramp FLAG 1% 5% 25% 100% every 30m [ENV]", "shows it step by step; goes back if it burns"
            ),
            CommandForm(
                "ramp FLAG every 30m [ENV]", "the same in the policy's steps, while the budget has spare"
            ),
            CommandForm(
                "ramp stop FLAG [ENV]",
                "ends its ramp; the flag stays as it is. `hold` pauses it, `go` resumes it",
            ),
            CommandForm(
                "history FLAG [ENV]", "lists who changed it, from what to what, why, and who approved it"
            ),
            CommandForm("stale [ENV]", "lists the flags that could be removed"),
        ),
        "ENV is `staging` or `in staging`; left out, it is the default environment. Words after it say why. "
        "In a protected environment another person approves an increase. While a service is frozen, raising "
        "its flags needs an exemption of `flag:NAME`; lowering never waits.",
    ),
    Command(
        "canary",
        "[service] [pause | abort | promote] [name]",
        "Show and steer canary releases",
        (
            CommandForm(
                "", "lists the canaries of all services: their traffic, their step, and why they wait"
            ),
            CommandForm("SERVICE", "shows those of one service"),
            CommandForm("SERVICE pause CANARY [REASON]", "gives it no more traffic until it is promoted"),
            CommandForm("SERVICE abort CANARY [REASON]", "takes all traffic back to the version before"),
            CommandForm(
                "SERVICE promote CANARY [REASON]",
                "lets one that waits go on, unless the service is frozen or the canary does harm",
            ),
            CommandForm("SERVICE promote CANARY fully", "gives it all traffic, without its remaining steps"),
        ),
        "Canaries of Argo Rollouts and Flagger that `gates.kubernetes` of the policies names. Where several "
        "have a name, add `in CLUSTER` after it. Whoever may change flags in an environment may steer its "
        "canaries.",
    ),
    Command(
        "incident",
        "[open | list | show | report | status | severity | rename | service | role | note | impact | …]",
        "Open an incident and keep it up to date",
        (
            CommandForm("", "opens a form; in an incident's channel it shows what can be done"),
            CommandForm("open TITLE [sev2] [SERVICE…]", "opens an incident in one line; sev3 if left out"),
            CommandForm("list [SERVICE]", "lists the incidents that are open, or all of a service"),
            CommandForm("show [ID]", "shows one: status, roles, impact, what it cost"),
            CommandForm("report [90d] [SERVICE]", "shows where the budget went, and what to work on first"),
            CommandForm("status investigating", "sets the status: also identified, mitigated, resolved"),
            CommandForm("status resolved SUMMARY", "resolves it and says what happened, for those not there"),
            CommandForm(
                "severity sev1", "sets the severity, sev1 to sev4; sev1 and sev2 freeze the services"
            ),
            CommandForm(
                "caused-by COMMIT", "says which deployment caused it, or `none`; a form without a commit"
            ),
            CommandForm("cancel [REASON]", "says that it was a false alarm; no budget counts it then"),
            CommandForm("merge [ID]", "merges it, as a duplicate, into another incident"),
            CommandForm("reopen [ID]", "opens one again that is resolved, closed, cancelled or merged"),
            CommandForm("rename TITLE", "gives it another title; a form without one"),
            CommandForm("service add NAME", "adds a service; `service remove NAME` takes one off"),
            CommandForm(
                "role commander [@WHO]", "assigns a role, also scribe and comms; to you if you name nobody"
            ),
            CommandForm("note TEXT", "adds a note to the timeline"),
            CommandForm(
                "impact 30% from 14:05 to 14:20", "records which share of requests failed, from when to when"
            ),
            CommandForm("private", "hides it from lists and other channels"),
            CommandForm("snooze 2h", "sends no reminders for a time"),
        ),
        "From `status` on, these are typed in the incident's channel. Times are in your time zone and in the "
        "past: 14:05 is the last 14:05. A :pushpin: on a message adds it to the timeline, as does "
        "*Add to timeline* in its menu; *Open an incident* is there too.",
        mentions=True,
    ),
    Command(
        "postmortem",
        "[ID | open | close | export | canvas]",
        "What was learned from an incident",
        (
            CommandForm("[ID]", "shows the document, with buttons to write it"),
            CommandForm("open [ID]", "opens the postmortem's channel and invites both teams"),
            CommandForm(
                "close [ID] [anyway]",
                "keeps the document as a file and archives the incident's channels; asks first if sections "
                "are empty, unless you add anyway",
            ),
            CommandForm("export [ID]", "sends it to you as a Markdown file"),
            CommandForm("canvas [ID]", "copies it to the canvas of its channel"),
        ),
        "ID left out is the incident of the channel.",
    ),
    Command(
        "action",
        "[add | done | change | link | list]",
        "What must be done so that it does not happen again",
        (
            CommandForm(
                "add TEXT @OWNER [due friday] [P0]",
                "adds an action; `for SERVICE` at the end names its service",
            ),
            CommandForm("done ID", "marks it as done"),
            CommandForm("change ID [@OWNER] [due 2026-12-01]", "sets its owner or due date"),
            CommandForm(
                "link ID URL", "lets it follow an issue of GitHub, GitLab or Jira: done once that is closed"
            ),
            CommandForm("unlink ID", "lets it follow no issue any more"),
            CommandForm("list [SERVICE]", "lists what is open, P0 first"),
        ),
        "A date is a day in your time zone: 2026-12-01, 1 december, friday, tomorrow. On that day the owner "
        "is reminded.",
        mentions=True,
    ),
    Command(
        "velocity",
        "[service | @team] [90d] | goals",
        "How fast a service or a team ships, beside its budget",
        (
            CommandForm("", "shows the service of the channel, elsewhere all services together"),
            CommandForm(
                "SERVICE", "shows lead time, deployments a week, failures, recovery and rework, with budgets"
            ),
            CommandForm("TEAM 30d", "shows all services of a team together, over another time"),
            CommandForm("goals [GOAL]", "shows what both teams want to reach, and how far they have come"),
        ),
        "Each measure has its number of cases, median, p90 and definition. There are none of people.",
    ),
    Command(
        "rotation",
        "[name] | history | away until friday | back | swap @colleague",
        "Which developer and which SRE serve together",
        (
            CommandForm("", "shows who serves now and next, and who is away"),
            CommandForm("NAME", "shows one of several rotations, by its name or a service of it"),
            CommandForm("history [NAME]", "lists who has served, the newest first"),
            CommandForm("away [@PERSON] until friday", "keeps turns from you or a colleague; also `for 2w`"),
            CommandForm("away from 2026-12-21 until 2027-01-04", "says so ahead of time"),
            CommandForm("back [@PERSON]", "ends an absence early"),
            CommandForm("swap @COLLEAGUE", "asks a colleague of your team to exchange turns"),
            CommandForm("agree NUMBER", "agrees to a swap that you were asked for; the button does the same"),
            CommandForm("decline NUMBER", "declines a swap, or takes back your own"),
            CommandForm("calendar [NAME]", "gives you the address of its calendar, `renew` a new one"),
        ),
        "Whoever is away until Friday is back on Friday. Somebody is passed over who is away when a period "
        "begins, or for at least half of it.",
        mentions=True,
    ),
    Command(
        "digest",
        "[service | now | pause until friday | resume | planning]",
        "What happened this week, and what to plan by",
        (
            CommandForm("", "shows you what the digest of this channel would say now, and when it comes"),
            CommandForm("SERVICE", "shows you that of the service's channel"),
            CommandForm("now", "posts the digest in the channel"),
            CommandForm("pause", "lets no digest and no stand-up line come until somebody resumes them"),
            CommandForm("pause until monday REASON", "lets them come again on Monday"),
            CommandForm("resume", "lets them come again"),
            CommandForm(
                "planning SERVICE",
                "shows where the budget went, what that points to, and what pace it carries",
            ),
            CommandForm("planning @TEAM", "shows the same of all services of a team"),
        ),
        "In the channel of a service, each form is about the services there; elsewhere name one after the "
        "word: `now SERVICE`. Their teams, and those who may freeze a service, may send, pause and resume.",
    ),
    Command(
        "audit",
        "[service | @person | flag name] [since 7d]",
        "Who changed what, and why",
        (
            CommandForm("", "lists what happened in the last 7 days, the newest first"),
            CommandForm("SERVICE since 30d", "lists what happened to one service in the last 30 days"),
            CommandForm("@PERSON since yesterday", "lists what one person has changed since yesterday"),
            CommandForm("flag NAME", "lists what happened to a flag, in every environment"),
        ),
        "@governor and @TOKEN list what the bot and an API token did.",
        mentions=True,
    ),
    Command(
        "governor",
        "[help | whoami | readiness SERVICE | notify]",
        "What Governor can do, and what you may do",
        (
            CommandForm("help", "says what to begin with, and lists the commands"),
            CommandForm("whoami", "shows what you may change, and why"),
            CommandForm("readiness SERVICE", "shows what both teams tick before its first launch"),
            CommandForm("notify", "shows what you are told in direct messages, and changes it"),
            CommandForm("notify services on", "tells you when a service of yours freezes, opens or pages"),
            CommandForm("notify all off", "tells you nothing in direct messages, not even of due actions"),
        ),
    ),
)

BY_NAME = {command.name: command for command in COMMANDS}


_FIRST_STEPS = (
    CommandForm("/budget", "shows how much error budget each service has left"),
    CommandForm("/ship", "says which services may ship now, and `/ship SERVICE` why"),
    CommandForm("/governor whoami", "says what you may change"),
)
"""What somebody who has never used the bot can do at once; none of it changes anything."""


def help_on(command: Command) -> Reply:
    """Return the help on one command."""
    lines = [bold(f"/{command.name}"), *(_form(command, form) for form in command.forms)]
    return say(join("\n", [*lines, command.note]))


def help_on_all() -> Reply:
    """Return three things to begin with, then the list of all commands."""
    begin = [
        markup("{}. {} {}", number, code(form.arguments), form.effect)
        for number, form in enumerate(_FIRST_STEPS, start=1)
    ]
    lines = [
        markup("{} — {}", code(f"/{command.name} {command.hint}"), command.description)
        for command in COMMANDS
    ]
    more = markup("Type {} for more on one of them.", code("/budget help"))
    first, all_commands = bold("Three things to begin with"), bold("All commands")
    paragraphs = [join("\n", [first, *begin]), join("\n", [all_commands, *lines, more])]
    return Reply(join("\n", paragraphs), tuple(section(paragraph) for paragraph in paragraphs))


def _form(command: Command, form: CommandForm) -> Markup:
    return markup("{} {}", code(f"/{command.name} {form.arguments}".strip()), form.effect)


_PREFACE = (
    "Queries answer only you, with a Share button. The channel sees every change. "
    "`/governor help` lists the commands in Slack, `/budget help` explains one. "
    "`@Governor help` in a channel, or a direct message to Governor, is answered too."
)


_TYPED = (
    ("length of time", "`90m`, `4h`, `1h30m`, `2 hours`, `an hour`, `2d`"),
    ("moment", "`18:00`, `9am`, `noon`, `tomorrow 09:00`, `friday`, `1 dec 9:30`, `2026-12-01 09:00 UTC`"),
    ("moment that has passed", "also `yesterday`, `yesterday 14:05`, `monday 9am`"),
    ("end", "`for 4h` or `until friday 18:00`, before the reason or after it; `till` is `until`"),
    ("share", "`25%`, `25 %`, `0.5%`; several as `1% 5% 25%` or `1%, 5%, 25%`"),
    ("severity", "`sev2`, `SEV-2`, `sev 2`, before the title or after it"),
    ("service", "its name or its channel"),
    ("name or reason with spaces", "`“in quotes”`; nothing in it is read as an end or a severity"),
)
_TYPED_NOTE = (
    "Times are read in your time zone, as Slack knows it. A day without a time is its start. A time that the "
    "clocks skip is refused, and what has two meanings (`until 9`, `6/7`, a length within a reason) is "
    "asked about. Quotes, dashes and full-width signs as phones write them are read as the plain ones."
)


def as_markdown(commands: Sequence[Command] = COMMANDS) -> str:
    """Return the reference page of all commands."""
    parts = [
        "# Commands",
        _PREFACE,
    ]
    for command in commands:
        rows = [
            f"| `/{command.name} {form.arguments}".rstrip() + f"` | {form.effect} |" for form in command.forms
        ]
        table = "\n".join(["| type | it |", "|---|---|", *rows])
        parts += [f"## /{command.name}", f"{command.description}.".replace("?.", "?"), table]
        parts += [command.note] if command.note else []
    rows = [f"| {value} | {forms} |" for value, forms in _TYPED]
    table = "\n".join(["| a | may be written |", "|---|---|", *rows])
    parts += ["## What you can type", table, _TYPED_NOTE]
    return "\n\n".join(parts) + "\n"
