"""Slack's routes as the OpenAPI document shows them; their handlers in `bot/slack` do not know `bot/http`."""

from bot.http.operations import Operation, QueryParameter

SLACK_OPERATIONS = (
    Operation(
        "GET",
        "/slack/install",
        tag="slack",
        summary="The page whose button leads to Slack, where the app is installed in a workspace",
        answers={200: "The page."},
        answer_type="text/html",
    ),
    Operation(
        "GET",
        "/slack/oauth_redirect",
        tag="slack",
        summary="Where Slack sends the browser back to, with a code for a token",
        query=(
            QueryParameter("code", "Slack's code, good once."),
            QueryParameter("state", "What `/slack/install` gave along."),
            QueryParameter("error", "Slack's word for why there is no code."),
        ),
        answers={200: "Installed."},
        answer_type="text/html",
        refusals={400: "Not installed; the page says why."},
        refusal_type="text/html",
    ),
    Operation(
        "POST",
        "/slack/events",
        tag="slack",
        summary="Slack's commands, interactions and events, signed by Slack",
        body={"type": "object"},
        request_type="application/x-www-form-urlencoded",
        answers={200: "Taken."},
        answer_type="text/plain",
        refusals={400: "No request of Slack's.", 401: "The signature is not Slack's.", 404: "Not known."},
        refusal_type="text/plain",
    ),
)
