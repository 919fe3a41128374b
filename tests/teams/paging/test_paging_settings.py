"""`paging` in the policies: whose key is used, that no secret is shown, and what `governor doctor` says."""

import aiohttp
import pytest

from bot.catalog.paging import PagingVendor
from bot.diagnostics.findings import FindingState
from bot.diagnostics.paging_checks import paging_findings
from bot.policy.loader import load
from bot.policy.secrets import secrets_of
from tests.policy.conftest import SERVICE, WORKSPACE, Write, texts_of, write
from tests.teams.paging.paging_system import API_KEY, ROUTING_KEY, paging_system

__all__ = ["write"]

SEARCH = SERVICE.replace("checkout", "search")
PAGING = """\
  paging:
    pagerduty: {routingKey: "${SHARED_KEY}"}
    opsgenie: {apiKey: "${OPSGENIE_KEY}", url: "${URL}"}
    alertmanager:
      {url: "${URL}/", username: bot, password: "${PASSWORD}", headers: {X-Scope-OrgID: "${TENANT}"}}
"""
OWN = '  paging: {pagerduty: "${CHECKOUT_KEY}"}\n'
SECRETS = {
    "SHARED_KEY": ROUTING_KEY, "CHECKOUT_KEY": "made-up-key", "OPSGENIE_KEY": API_KEY,
    "PASSWORD": "made-up-password", "TENANT": "made-up-tenant", "URL": "http://paging.example",
}  # fmt: skip


async def test_a_services_own_key_goes_before_the_workspaces_and_no_secret_is_shown(write: Write) -> None:
    catalog = load(write(w=WORKSPACE + PAGING, a=SERVICE + OWN, b=SEARCH), SECRETS)
    keys = {
        name: {each.vendor: each.key for each in service.paging} for name, service in catalog.services.items()
    }
    others = {PagingVendor.OPSGENIE: API_KEY, PagingVendor.ALERTMANAGER: None}
    assert keys == {
        "checkout": {PagingVendor.PAGERDUTY: "made-up-key", **others},
        "search": {PagingVendor.PAGERDUTY: ROUTING_KEY, **others},
    }
    secrets = {secret for name, secret in SECRETS.items() if name != "URL"}
    assert secrets <= set(secrets_of(catalog))
    assert not any(secret in repr(catalog) for secret in secrets)


def test_without_a_key_nobody_is_paged_and_a_services_key_needs_no_more(write: Write) -> None:
    catalog = load(write(w=WORKSPACE, a=SERVICE + OWN, b=SEARCH), SECRETS)
    (destination,) = catalog.services["checkout"].paging
    assert destination.url == "https://events.pagerduty.com"
    assert catalog.services["search"].paging == ()


@pytest.mark.parametrize(
    ("paging", "message"),
    [
        ("{pager: {}}", "unknown key `pager`"),
        ("{alertmanager: {}}", "`url` is missing"),
        ("{alertmanager: {url: ftp://am}}", "this is not an HTTP URL"),
        ('{alertmanager: {url: "http://am", username: bot}}', "`username` and `password` belong together"),
    ],
)
def test_faults_of_the_settings(write: Write, paging: str, message: str) -> None:
    texts = texts_of(write(w=WORKSPACE + f"  paging: {paging}\n", s=SERVICE))
    assert any(message in text for text in texts), texts


async def test_the_doctor_says_which_system_answers_and_wakes_nobody(write: Write) -> None:
    async with paging_system() as system, aiohttp.ClientSession() as session:
        environ = SECRETS | {"URL": system.url}
        catalog = load(write(w=WORKSPACE + PAGING, a=SERVICE + OWN, b=SEARCH), environ)
        found = {each.subject: each for each in await paging_findings(catalog, session)}
        assert {subject: each.state for subject, each in found.items()} == {
            "PagerDuty (checkout)": FindingState.FAULT,
            "PagerDuty (search)": FindingState.SKIPPED,
            "Opsgenie (2 services)": FindingState.OK,
            "Alertmanager (2 services)": FindingState.OK,
        }
        system.fails(401, 503)
        found = {each.subject: each for each in await paging_findings(catalog, session)}
        assert found["Opsgenie (2 services)"].detail.startswith("Opsgenie answers 401")
        assert found["Alertmanager (2 services)"].state is FindingState.FAULT
        assert system.told == []
