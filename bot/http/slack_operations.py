"""Slack's routes as the OpenAPI document shows them; their handlers in `bot/slack` do not know `bot/http`."""

from bot.http.operations import Operation, QueryParameter

SLACK_OPERATIONS = (
    Operation(
        "GET",
        "/incidents/{id}",
        tag="slack",
        summary="The page at the address of an incident, which is shown in Slack",
        answers={200: "The page, the same for every number."},
        answer_type="text/html",
        refusals={404: "No incident can have that number."},
        refusal_type="text/plain",
    ),
    Operation(
        "GET",
        "/services/{service}",
        tag="slack",
        summary="The page at the address of a service, which is shown in Slack",
        answers={200: "The page, the same whether or not there is such a service."},
        answer_type="text/html",
        refusals={404: "No service can have that name."},
        refusal_type="text/plain",
    ),
    Operation(
        "GET",
        "/slack/install",
        tag="slack",
        summary="The page with the button that installs the app in a workspace",
        answers={200: "The page."},
        answer_type="text/html",
    ),
    Operation(
        "GET",
        "/slack/oauth_redirect",
        tag="slack",
        summary="Where Slack sends the browser back to, with a code for a token",
        query=(
            QueryParameter("code", "Slack's code; it works once."),
            QueryParameter("state", "The state that `/slack/install` sent."),
            QueryParameter("error", "Slack's reason why there is no code."),
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
        answers={200: "Accepted."},
        answer_type="text/plain",
        refusals={400: "Not a request from Slack.", 401: "The signature is not Slack's.", 404: "Not known."},
        refusal_type="text/plain",
    ),
)
