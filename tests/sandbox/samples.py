"""A manifest, messages and views with every kind of block, for the tests of the fake Slack."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MANIFEST: Json = {
    "display_information": {"name": "Governor"},
    "features": {
        "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True},
        "bot_user": {"display_name": "governor", "always_online": True},
        "slash_commands": [
            {
                "command": "/budget",
                "description": "What is left of the error budgets",
                "usage_hint": "[service]",
            },
            {"command": "/ship", "description": "May this ship?", "usage_hint": "service [PR]"},
            {
                "command": "/freeze",
                "description": "Freeze a service",
                "usage_hint": "service [reason]",
                "should_escape": True,
            },
            {"command": "/shop", "description": "Every kind of block"},
            {"command": "/slow", "description": "Never answers in time"},
        ],
    },
    "oauth_config": {
        "scopes": {
            "bot": [
                "bookmarks:read",
                "bookmarks:write",
                "canvases:write",
                "channels:history",
                "channels:join",
                "channels:manage",
                "channels:read",
                "chat:write",
                "commands",
                "files:read",
                "files:write",
                "im:history",
                "im:read",
                "im:write",
                "pins:read",
                "pins:write",
                "reactions:read",
                "reactions:write",
                "team:read",
                "usergroups:read",
                "users:read",
                "users:read.email",
            ]
        }
    },
    "settings": {
        "event_subscriptions": {
            "bot_events": [
                "app_home_opened",
                "channel_archive",
                "channel_rename",
                "member_joined_channel",
                "message.channels",
                "reaction_added",
                "reaction_removed",
            ]
        }
    },
}


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def option(text: str) -> Json:
    return {"text": plain(text), "value": text.lower()}


CHART: Json = {
    "type": "data_visualization",
    "title": "Budget remaining, 7 days",
    "chart": {
        "type": "line",
        "series": [
            {
                "name": name,
                "data": [
                    {"label": day, "value": value}
                    for day, value in zip(
                        ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), values, strict=True
                    )
                ],
            }
            for name, values in (
                ("availability", (62, 60, 58, 41, 40, 38, 12)),
                ("latency", (90, 88, 87, 85, 84, 80, 79)),
            )
        ],
        "axis_config": {
            "categories": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
            "y_label": "% left",
        },
    },
}

BUDGET: list[Json] = [
    {"type": "header", "text": plain("checkout has 12% of its budget left")},
    {
        "type": "section",
        "text": mrkdwn(
            "*availability* 99.9% over 30 days · 5.2 of 43.2 minutes left\n"
            "Owned by <!subteam^S00000001> in <#C00000005>, read <https://acme.example/slo|the SLO>"
            " · since <!date^1767225600^{date_short_pretty} at {time}|Jan 1>"
        ),
        "accessory": {
            "type": "overflow",
            "action_id": "more",
            "options": [option("Audit"), option("History")],
        },
    },
    {
        "type": "section",
        "fields": [
            mrkdwn("*Burn, 1 h*\n13.2×"),
            mrkdwn("*Burn, 6 h*\n2.4×"),
            mrkdwn("*Runs out*\nin 14 minutes"),
            mrkdwn("*State*\n:large_green_circle: open"),
        ],
    },
    {
        "type": "table",
        "column_settings": [{"align": "left"}, {"align": "right"}, {"align": "right"}],
        "rows": [
            [{"type": "raw_text", "text": text} for text in row]
            for row in (
                ("SLO", "Objective", "Remaining"),
                ("availability", "99.9%", "12%"),
                ("latency", "99%", "65%"),
            )
        ],
    },
    CHART,
    {
        "type": "actions",
        "block_id": "next",
        "elements": [
            {
                "type": "button",
                "action_id": "share",
                "text": plain("Share"),
                "style": "primary",
                "value": "checkout",
            },
            {"type": "button", "action_id": "ask", "text": plain("Freeze…")},
            {
                "type": "button",
                "action_id": "forget",
                "text": plain("Forget"),
                "style": "danger",
                "confirm": {
                    "title": plain("Forget this?"),
                    "text": mrkdwn("It cannot be *undone*."),
                    "confirm": plain("Forget"),
                    "deny": plain("Keep"),
                },
            },
            {
                "type": "static_select",
                "action_id": "window",
                "placeholder": plain("Window"),
                "options": [option("7 days"), option("30 days")],
            },
        ],
    },
    {"type": "context", "elements": [mrkdwn("As of 14:02 · events pushed by the service")]},
]

SERVICES: Json = {
    "type": "data_table",
    "caption": "Error budgets",
    "page_size": 2,
    "rows": [
        [{"type": "raw_text", "text": "Service"}, {"type": "raw_text", "text": "Left"}],
        *(
            [
                {"type": "raw_text", "text": name},
                {"type": "raw_number", "value": left, "text": f"{left}% left"},
            ]
            for name, left in (("checkout", 9), ("payments", 80), ("search", 100))
        ),
    ],
}

EVERYTHING: list[Json] = [
    SERVICES,
    {"type": "markdown", "text": "## Plan\n\n- **one**\n- [two](https://acme.example)\n\n`done`"},
    {"type": "divider"},
    {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    {"type": "text", "text": "Bold", "style": {"bold": True}},
                    {"type": "text", "text": " for "},
                    {"type": "user", "user_id": "U0DANA"},
                    {"type": "text", "text": " "},
                    {"type": "emoji", "name": "rocket"},
                ],
            },
            {
                "type": "rich_text_list",
                "style": "ordered",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [{"type": "text", "text": "First"}],
                    }
                ],
            },
            {"type": "rich_text_quote", "elements": [{"type": "text", "text": "Quoted"}]},
            {
                "type": "rich_text_preformatted",
                "elements": [{"type": "text", "text": "kubectl rollout undo"}],
            },
        ],
    },
    {"type": "image", "image_url": "https://acme.example/a.png", "alt_text": "A graph"},
    {
        "type": "data_visualization",
        "title": "Where the budget went",
        "chart": {
            "type": "pie",
            "segments": [{"label": "deploys", "value": 60}, {"label": "load", "value": 28}],
        },
    },
    {
        "type": "data_visualization",
        "title": "Failed requests",
        "chart": {
            "type": "bar",
            "series": [{"name": "failed", "data": [{"label": "Mon", "value": 120}]}],
            "axis_config": {"categories": ["Mon"]},
        },
    },
    {
        "type": "actions",
        "elements": [
            {"type": "users_select", "action_id": "who", "placeholder": plain("Who?")},
            {"type": "conversations_select", "action_id": "where", "placeholder": plain("Where?")},
            {"type": "datepicker", "action_id": "day", "initial_date": "2026-07-01"},
            {"type": "timepicker", "action_id": "hour", "initial_time": "09:00"},
            {"type": "checkboxes", "action_id": "ticks", "options": [option("Tell the team")]},
            {
                "type": "radio_buttons",
                "action_id": "radios",
                "options": [option("sev1"), option("sev2")],
            },
        ],
    },
]

MODAL: Json = {
    "type": "modal",
    "callback_id": "freeze",
    "title": plain("Freeze a service"),
    "submit": plain("Freeze"),
    "close": plain("Cancel"),
    "notify_on_close": True,
    "blocks": [
        {
            "type": "input",
            "block_id": "reason",
            "label": plain("Reason"),
            "hint": plain("The channel sees it."),
            "element": {
                "type": "plain_text_input",
                "action_id": "text",
                "multiline": True,
                "min_length": 3,
                "placeholder": plain("What is going on?"),
            },
        },
        {
            "type": "input",
            "block_id": "services",
            "label": plain("Services"),
            "element": {
                "type": "multi_static_select",
                "action_id": "pick",
                "options": [option("Checkout"), option("Search"), option("Payments")],
            },
        },
        {
            "type": "input",
            "block_id": "owner",
            "optional": True,
            "label": plain("Owner"),
            "element": {"type": "users_select", "action_id": "pick"},
        },
        {
            "type": "input",
            "block_id": "change",
            "optional": True,
            "label": plain("Change that may still ship"),
            "element": {
                "type": "external_select",
                "action_id": "find_change",
                "min_query_length": 1,
            },
        },
        {
            "type": "input",
            "block_id": "hours",
            "optional": True,
            "label": plain("Hours"),
            "element": {
                "type": "number_input",
                "action_id": "n",
                "is_decimal_allowed": False,
                "min_value": "1",
                "max_value": "72",
            },
        },
    ],
}

HOME: Json = {
    "type": "home",
    "blocks": [
        {"type": "header", "text": plain("Good morning")},
        {"type": "section", "text": mrkdwn("Three services, none is frozen.")},
        {"type": "actions", "elements": [{"type": "button", "action_id": "ask", "text": plain("Freeze…")}]},
    ],
}
