"""What a policy may say of a Prometheus: how it is reached, and how late its samples come."""

from datetime import timedelta

import pytest

from bot.catalog.sources import AwsAuth, CloudAuth, GoogleAuth, PrometheusSettings
from bot.policy.loader import load
from tests.policy.conftest import WORKSPACE, Write, texts_of

URL = "http://localhost:9090"


def saying(settings: str) -> str:
    return WORKSPACE.replace(f'{{url: "{URL}"}}', f'{{url: "{URL}", {settings}}}')


def test_everything_about_a_server_can_be_said(write: Write) -> None:
    settings = (
        "delay: 10m, params: {dedup: 'true', 'engine': thanos}, "
        "caFile: '${CA}', certFile: /client.crt, keyFile: /client.key"
    )
    catalog = load(write(w=saying(settings)), {"CA": "/ca.pem"})
    assert catalog.workspace.sources["prometheus"] == PrometheusSettings(
        URL,
        delay=timedelta(minutes=10),
        params={"dedup": "true", "engine": "thanos"},
        ca_file="/ca.pem",
        cert_file="/client.crt",
        key_file="/client.key",
    )


@pytest.mark.parametrize(
    ("auth", "means"),
    [
        ("google", GoogleAuth()),
        ("{aws: {region: eu-west-1}}", AwsAuth("eu-west-1")),
        ("{aws: {region: us-gov-east-1, service: execute-api}}", AwsAuth("us-gov-east-1", "execute-api")),
    ],
)
def test_two_vendors_can_be_signed_in_at(write: Write, auth: str, means: CloudAuth) -> None:
    settings = load(write(w=saying(f"auth: {auth}")), {}).workspace.sources["prometheus"]
    assert isinstance(settings, PrometheusSettings)
    assert settings.auth == means


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("auth: azure", "this names no way to sign in (allowed: google, or {aws: {region: eu-west-1}})"),
        ("auth: {aws: {}}", "`region`"),
        ("auth: {aws: {region: Frankfurt}}", "`Frankfurt` is not a name at Amazon"),
        ("auth: {aws: {region: eu-west-1, role: x}}", "unknown key `role`"),
        ("auth: google, bearerToken: x", "`auth` excludes `bearerToken` and `basicAuth`"),
        ("keyFile: /client.key", "`keyFile` needs the `certFile` that it belongs to"),
        ("params: {query: up}", "`query` is not the name of a further parameter"),
        ("params: {'a b': up}", "`a b` is not the name of a further parameter"),
        ("delay: 7h", "too long"),
        ("delay: late", "`late` is not a duration"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_key(write: Write, settings: str, says: str) -> None:
    texts = texts_of(write(w=saying(settings)))
    assert any(says in text for text in texts), texts
