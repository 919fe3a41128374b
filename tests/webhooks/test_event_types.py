"""The types of events are the actions of the audit log, and the documentation shows them."""

from bot.catalog.webhooks import EVENT_TYPES, WebhookEndpoint
from tests.contract.files import FOLDER
from tests.support.paths import DOCS
from tests.webhooks.receiver import SECRET


def test_the_types_are_the_actions_of_the_audit_log() -> None:
    assert sorted(EVENT_TYPES) == (FOLDER / "audit-actions.txt").read_text(encoding="utf-8").split()


def test_the_documentation_shows_them() -> None:
    page = (DOCS / "webhooks.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    shown = {name.strip("`"): meaning for name, meaning in rows if "." in name}
    assert shown == dict(EVENT_TYPES)


def test_groups_and_services_choose_events() -> None:
    def takes(
        events: tuple[str, ...], services: frozenset[str] | None, event: str, about: str | None
    ) -> bool:
        return WebhookEndpoint("a", "https://x", (SECRET,), events, services).takes(event, about)

    shop = frozenset({"checkout"})
    assert takes(("*",), None, "token.created", None)
    assert takes(("hold.*",), shop, "hold.placed", "checkout")
    assert not takes(("hold.*",), shop, "hold.placed", "search")
    assert not takes(("*",), shop, "token.created", None)
    assert not takes(("hold.placed",), None, "hold.lifted", "checkout")
