"""In which order the texts are read, and which of the bot's files hold none."""

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "What commands say",
        ("slack/command_reference.py", "slack/commands/", "slack/typed/", "slack/arguments.py"),
    ),
    ("Budgets and freezes", ("slack/announcements/", "freezes/", "budgets/", "formatting.py")),
    ("Flags and ramps", ("slack/flags/", "flags/")),
    ("Incidents, postmortems and actions", ("slack/incidents/", "slack/incident_listeners.py", "incidents/")),
    ("Home tab", ("slack/home/",)),
    ("The rest of Slack", ("slack/",)),
    ("Deployments", ("deployments/",)),
    ("Faults in policies", ("policy/", "catalog/", "durations.py", "suggestions.py")),
    ("HTTP API and its documentation", ("http/",)),
    ("Command line", ("cli/", "__main__.py", "diagnostics/")),
    ("Settings, start, storage and readiness", ("settings.py", "app/", "store/", "serving.py", "texts.py")),
    ("Sandbox", ("sandbox/",)),
    ("Metrics, logs and the rest", ("",)),
)
"""Titles and the files under `bot/` that belong to each; the first that fits counts."""


def section_of(file: str) -> int:
    """Return the number of the section of a file, given relative to `bot/`."""
    return next(
        number
        for number, (_, starts) in enumerate(SECTIONS)
        if any(file.startswith(start) for start in starts)
    )


def order_in_section(file: str) -> tuple[int, str]:
    """Return where a file comes within its section."""
    _, starts = SECTIONS[section_of(file)]
    return next(place for place, start in enumerate(starts) if file.startswith(start)), file
