"""How a Prometheus is reached: certificates, parameters, proxies, and the sign-in of two vendors."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from aiohttp import web

from bot.budgets.source import SourceRefusedError, SourceUnavailableError
from bot.budgets.sources.aws_sign_in import AwsSignIn
from bot.budgets.sources.google_sign_in import GoogleSignIn
from bot.budgets.sources.sign_in import sign_in
from bot.budgets.sources.tls_files import TlsFiles
from bot.catalog.slo import CounterSli
from bot.catalog.sources import AwsAuth, GoogleAuth
from bot.catalog.window import Span
from tests.support.certificates import make_authority
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.prometheus_answers import Handler, answering, asking, error, matrix
from tests.support.servers import free_port

EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
METADATA_PORT = free_port()
"""The library reads where that server is once, when it is imported."""
SPAN = Span(NOW - HOUR, NOW)


def requiring(folder: Path, *trusted: Path) -> ssl.SSLContext:
    """Return the TLS of a server that takes only clients with a certificate of one of these authorities."""
    authority = make_authority(folder, "server-authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.signs(folder, "server"))
    for file in trusted:
        context.load_verify_locations(file)
    if trusted:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_an_own_authority_is_trusted_where_it_is_named(tmp_path: Path) -> None:
    tls = requiring(tmp_path)
    trusting = TlsFiles(str(tmp_path / "server-authority.pem"))
    async with asking(answering(200, EMPTY), server_tls=tls, tls=trusting) as source:
        await source.check()
    async with asking(answering(200, EMPTY), server_tls=tls) as source:
        with pytest.raises(SourceUnavailableError, match="certificate verify failed"):
            await source.check()


async def test_a_renewed_client_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    old, new = make_authority(tmp_path, "old"), make_authority(tmp_path, "new")
    tls = requiring(tmp_path, new.file)
    certificate, key = old.signs(tmp_path, "client")
    files = TlsFiles(str(tmp_path / "server-authority.pem"), str(certificate), str(key))
    async with asking(answering(200, EMPTY), server_tls=tls, tls=files) as source:
        with pytest.raises(SourceUnavailableError):
            await source.check()
        renewed = new.signs(tmp_path, "renewed")
        for file, to in zip(renewed, (certificate, key), strict=True):
            file.replace(to)
        await source.check()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (("missing.pem",), "caFile .*missing.pem cannot be read: No such file"),
        (("text.pem",), "caFile .*text.pem has no certificate"),
        ((None, "text.pem"), "text.pem cannot be used"),
        (
            (None, "client.crt", "authority.pem"),
            "client.crt with .*authority.pem cannot be used",
        ),
    ],
)
async def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, files: tuple[str | None, ...], problem: str
) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    make_authority(tmp_path).signs(tmp_path, "client")
    named = TlsFiles(*(file and str(tmp_path / file) for file in files))
    async with asking(answering(200, EMPTY), tls=named) as source:
        with pytest.raises(SourceRefusedError, match=problem):
            await source.check()


async def test_parameters_go_with_every_request() -> None:
    seen: list[dict[str, Any]] = []

    async def note(request: web.Request) -> web.Response:
        seen.append({**request.query, **await request.post()})
        return web.json_response({"status": "success", "data": []} if "label" in request.path else EMPTY)

    async with asking(note, params={"dedup": "true", "partial_response": "false"}) as source:
        await source.check()
        await source.label_values("service", 'up{job="a b"}', SPAN)
    assert [(each["dedup"], each["partial_response"]) for each in seen] == [("true", "false")] * 2
    assert seen[1]["match[]"] == 'up{job="a b"}'


def only_get(refused_with: int, longest: int = 4_096) -> tuple[list[str], Handler]:
    """Return a handler that stands behind a proxy that refuses POST, and the methods that came."""
    methods: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        methods.append(request.method)
        if request.method == "POST":
            return web.Response(status=refused_with, text="<html>not here</html>")
        if len(str(request.rel_url)) > longest:
            return web.Response(status=414, text="<html>URI too long</html>")
        query = parse_qs(request.rel_url.raw_query_string)["query"][0]
        return web.json_response(EMPTY if query == "vector(1)" else matrix())

    return methods, answer


@pytest.mark.parametrize("status", [403, 405])
async def test_a_proxy_without_post_is_asked_by_get_from_then_on(status: int) -> None:
    methods, handler = only_get(status)
    async with asking(handler) as source:
        await source.check()
        await source.check()
    assert methods == ["POST", "GET", "GET"]


async def test_a_query_too_long_for_get_says_what_to_change() -> None:
    _, handler = only_get(405)
    sli = CounterSli("prometheus", f'requests_total{{service="{"x" * 5_000}"}}', bad="errors_total")
    async with asking(handler) as source:
        with pytest.raises(SourceRefusedError, match=r"takes no POST, .* too long for GET .*: allow"):
            await source.read(sli, SPAN, MINUTE)


async def test_credentials_that_are_refused_are_no_matter_of_the_method() -> None:
    async with asking(answering(403, error("forbidden"))) as source:
        with pytest.raises(SourceRefusedError, match="the credentials were refused: forbidden"):
            await source.check()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("expanding series: proxy Series(): rpc error: code = Unavailable", SourceUnavailableError),
        (
            "expanding series: the query exceeded the maximum number of chunks",
            SourceRefusedError,
        ),
        ("query processing would load too many samples into memory", SourceRefusedError),
    ],
)
async def test_a_store_that_does_not_answer_is_no_fault_of_the_query(
    message: str, kind: type[Exception]
) -> None:
    async with asking(answering(422, error(message))) as source:
        with pytest.raises(kind):
            await source.check()


def verifying(*, secret: str = SECRET) -> Handler:
    """Return a handler that computes each request's signature again, as the service does."""

    async def answer(request: web.Request) -> web.Response:
        scheme, *parts = request.headers["Authorization"].replace(",", "").split()
        fields = dict(part.split("=", 1) for part in parts)
        scope = fields["Credential"].split("/")[2:]
        assert (scheme, scope) == ("AWS4-HMAC-SHA256", ["eu-west-1", "aps", "aws4_request"])
        signed = {name: request.headers[name] for name in fields["SignedHeaders"].split(";")}
        url = f"http://{request.host}{request.raw_path}"
        again = botocore.awsrequest.AWSRequest(request.method, url, signed, await request.read())
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        at = dt.datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        assert abs(dt.datetime.now(dt.UTC) - at) < dt.timedelta(minutes=5)
        keys = botocore.credentials.Credentials(KEY, secret)
        signer = botocore.auth.SigV4Auth(keys, "aps", "eu-west-1")
        text = signer.string_to_sign(again, signer.canonical_request(again))
        if signer.signature(text, again) != fields["Signature"]:
            return web.json_response({"message": "The request signature does not match"}, status=403)
        return web.json_response({"status": "success", "data": ["a"]} if "label" in request.path else EMPTY)

    return answer


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("keys")
async def test_amazon_accepts_the_signatures() -> None:
    signing = sign_in(AwsAuth("eu-west-1"))
    async with asking(verifying(), signing=signing, headers={"X-Team": "shop"}) as source:
        await source.check()
        assert await source.label_values("job", 'up{job=~"a b|c/d:~+é"}', SPAN) == ["a"]
    async with asking(verifying(secret="another"), signing=signing) as source:
        with pytest.raises(SourceRefusedError, match="signature does not match"):
            await source.check()


@pytest.mark.usefixtures("keys")
async def test_without_credentials_of_amazon_it_is_said_where_they_come_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    async with asking(verifying(), signing=AwsSignIn("eu-west-1", "aps")) as source:
        with pytest.raises(SourceRefusedError, match=r"no credentials for Amazon here: .*AWS_PROFILE"):
            await source.check()


class Metadata:
    """A metadata server of Google's machines, whose tokens last `lifetime_s`.

    https://cloud.google.com/compute/docs/access/authenticate-workloads
    """

    def __init__(self, lifetime_s: int) -> None:
        self.lifetime_s = lifetime_s
        self.tokens = 0

    async def answer(self, request: web.Request) -> web.Response:
        flavor = {"Metadata-Flavor": "Google"}
        if request.path != "/" and request.headers.get("Metadata-Flavor") != "Google":
            return web.Response(status=403)
        match request.path.removeprefix("/computeMetadata/v1").rstrip("/"):
            case "":
                return web.Response(text="computeMetadata/", headers=flavor)
            case "/project/project-id":
                return web.Response(text="shop-project", headers=flavor)
            case path if path.endswith("/token"):
                self.tokens += 1
                token = {
                    "access_token": f"ya29.{self.tokens}",
                    "expires_in": self.lifetime_s,
                    "token_type": "Bearer",
                }
                return web.json_response(token, headers=flavor)
            case path if path.startswith("/instance/service-accounts/"):
                account = {
                    "email": "bot@shop.iam.gserviceaccount.com",
                    "scopes": [],
                    "aliases": ["default"],
                }
                return web.json_response(account, headers=flavor)
        return web.Response(status=404, headers=flavor)


@asynccontextmanager
async def metadata_server(
    monkeypatch: pytest.MonkeyPatch, folder: Path, metadata: Metadata
) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_get("/{tail:.*}", metadata.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", METADATA_PORT).start()
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(folder))
    monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{METADATA_PORT}")
    monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{METADATA_PORT}")
    try:
        yield
    finally:
        await runner.cleanup()


def noting(seen: list[str | None]) -> Handler:
    async def note(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response(EMPTY)

    return note


@pytest.mark.parametrize(("lifetime_s", "tokens"), [(3_599, 1), (60, 3)])
async def test_google_is_asked_with_a_token_that_is_renewed_before_it_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lifetime_s: int, tokens: int
) -> None:
    seen: list[str | None] = []
    metadata = Metadata(lifetime_s)
    async with (
        metadata_server(monkeypatch, tmp_path, metadata),
        asking(noting(seen), signing=sign_in(GoogleAuth())) as source,
    ):
        for _ in range(3):
            await source.check()
    assert metadata.tokens == tokens
    assert seen[-1] == f"Bearer ya29.{tokens}"


async def test_without_credentials_of_google_it_is_said_where_they_come_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    async with asking(noting([]), signing=GoogleSignIn()) as source:
        with pytest.raises(SourceRefusedError, match=r"no credentials for Google here: .*GOOGLE_APPLICATION"):
            await source.check()


@pytest.mark.parametrize(
    ("package", "opened", "extra"),
    [
        ("google", GoogleSignIn, "extra `google`"),
        ("botocore", lambda: AwsSignIn("eu-west-1", "aps"), "extra `aws`"),
    ],
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, opened: Callable[[], object], extra: str
) -> None:
    for name in (f"{package}.auth", f"{package}.auth.exceptions", package):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(SourceRefusedError, match=extra):
        opened()
