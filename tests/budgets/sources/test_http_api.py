"""How long a server that takes no more requests is left alone, however it says so."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.source import SourceRefusedError, SourceUnavailableError
from bot.budgets.sources.http_api import HttpApi, error_text
from tests.support.monitoring.serving import always, serving

ALLOWED = timedelta(seconds=20)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "0"}, 0),
        ({"Retry_After": "100000"}, 3600),
        ({"Retry_After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0),
        ({"Retry_After": "Thu, 31 Dec 2099 23:59:59 GMT"}, 3600),
        ({"Retry_After": "4102444799"}, 3600),
        ({"Retry_After": "-5"}, 60),
        ({"Retry_After": "nan"}, 60),
        ({"Retry_After": "soon"}, 60),
        ({}, 60),
        ({"X_RateLimit_Reset": "12", "Retry_After": "99"}, 12),
    ],
)
async def test_a_pause_is_as_long_as_the_server_says_within_an_hour(
    headers: dict[str, str], seconds: int
) -> None:
    async with serving(always(429, "", **headers)) as (url, session):
        pauses = ("X-RateLimit-Reset", "Retry-After")
        api = HttpApi(url, session, headers={}, timeout=ALLOWED, pause_headers=pauses)
        with pytest.raises(SourceUnavailableError, match=rf"for {seconds} s"):
            await api.json("GET", "/")


async def test_credentials_go_nowhere_else() -> None:
    async def elsewhere(_request: object) -> None:
        raise AssertionError("it was followed")

    async with (
        serving(elsewhere) as (other, _),  # type: ignore[arg-type] # it never answers
        serving(always(307, "", Location=f"{other}/x")) as (url, session),
    ):
        api = HttpApi(url, session, headers={"Authorization": "Bearer s3cret"}, timeout=ALLOWED)
        with pytest.raises(SourceRefusedError, match="is not followed"):
            await api.json("GET", "/")


@given(body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_a_server_says_of_an_error_is_one_short_printable_line(body: bytes) -> None:
    said = error_text(body)
    assert len(said) <= 300
    assert said.isprintable()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": "too\\nmuch"}', "too much"),
        ('{"errors": ["a", "b"]}', "a; b"),
        ('{"error": {"message": "deep"}}', "deep"),
        ("plain", "plain"),
        ('{"x": 1}', '{"x": 1}'),
    ],
)
def test_the_usual_forms_of_errors_are_understood(body: str, said: str) -> None:
    assert error_text(body.encode()) == said
