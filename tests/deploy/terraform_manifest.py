"""Writes Terraform's template of the Slack app's manifest: `python -m tests.deploy.terraform_manifest`."""

import json

from bot.slack.manifest import manifest
from tests.support.paths import ROOT

FILE = ROOT / "deploy" / "terraform" / "manifest.json.tftpl"
_DOMAIN = "governor.invalid"
_PREFIX = "prefix-"


def template() -> str:
    """Return the manifest as JSON with `${url}`, `${domain}` and `${prefix}` for what differs."""
    text = json.dumps(manifest(f"https://{_DOMAIN}", prefix=_PREFIX), indent=2, ensure_ascii=False)
    assert "${" not in text
    assert "%{" not in text
    for found, put in (
        (f"https://{_DOMAIN}", "${url}"),
        (_DOMAIN, "${domain}"),
        (f"/{_PREFIX}", "/${prefix}"),
    ):
        text = text.replace(found, put)
    assert _PREFIX not in text
    return text + "\n"


if __name__ == "__main__":
    FILE.write_text(template(), encoding="utf-8")
