"""A label's value in the texts of a document: spelled as each wants it, and never more than a value."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.documents.fields import CHANNEL, FLAG, GROUP, REPOSITORY, SLUG
from bot.policy.documents.promql_shapes import TEXT, check_query
from bot.policy.faults import InvalidValueError
from bot.policy.templates.placeholders import Spelling, check, escaped, filled, spelled, spelling_at

VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30) | st.sampled_from(
    ['a"b', "a\\", "a'b", "$window", '"}) or vector(1) #', "%{service}", "${HOME}", "5..", "\n", "[[x]]"]
)


def unquoted(text: str) -> str:
    """Read a quoted text as Go does (the escapes that occur)."""

    def meant(escape: re.Match[str]) -> str:
        return chr(int(escape["hex"], 16)) if escape["hex"] else escape["sign"]

    return re.sub(r"\\(?:x(?P<hex>[0-9a-f]{2})|(?P<sign>[\\\"']))", meant, text[1:-1])


@given(VALUES, st.sampled_from("\"'"))
def test_a_quoted_value_is_read_back_as_it_was(value: str, quote: str) -> None:
    text = quote + escaped(value, quote, in_pattern=False) + quote
    assert re.fullmatch(TEXT, text)
    assert unquoted(text) == value


@given(VALUES, VALUES)
def test_a_value_in_a_pattern_matches_itself_and_nothing_else(value: str, other: str) -> None:
    pattern = unquoted('"' + escaped(value, '"', in_pattern=True) + '"')
    assert re.fullmatch(pattern, value)
    assert bool(re.fullmatch(pattern, other)) == (other == value)


@given(VALUES)
def test_whatever_the_value_is_the_selector_stays_one(value: str) -> None:
    query = filled("""a{b="%{s}",c=~"x%{s}.*",d='%{s}',e=~"5.."}""", Spelling.QUERY, value)
    assert check_query(query) == query
    assert "$window" not in query
    outside = re.sub(TEXT, "", query)
    assert outside == "a{b=,c=~,d=,e=~}"
    assert query.endswith(',e=~"5.."}')


def test_selectors_differ_in_the_value_alone() -> None:
    queries = {filled('up{a="%{s}",b=~"5.."}', Spelling.QUERY, value) for value in ("cart", "search")}
    assert queries == {'up{a="cart",b=~"5.."}', 'up{a="search",b=~"5.."}'}


@pytest.mark.parametrize(
    ("spelling", "pattern", "text"),
    [
        (Spelling.NAME, SLUG, "%{s}"),
        (Spelling.CHANNEL, CHANNEL, "#%{s}"),
        (Spelling.HANDLE, GROUP, "@a%{s}"),
        (Spelling.KEY, FLAG, "a%{s}"),
        (Spelling.KEY, REPOSITORY, "acme/%{s}"),
    ],
)
@given(value=VALUES)
def test_a_value_is_spelled_as_its_place_allows_or_refused(
    spelling: Spelling, pattern: str, text: str, value: str
) -> None:
    try:
        result = filled(text, spelling, value)
    except InvalidValueError:
        assert not re.search("[A-Za-z0-9]", value)
    else:
        assert re.fullmatch(pattern, result) or len(result) > 63


@pytest.mark.parametrize(
    ("value", "spelling", "expected"),
    [
        ("Cart API", Spelling.NAME, "cart-api"),
        ("cart_api.v2", Spelling.NAME, "cart-api-v2"),
        ("cart_api.v2", Spelling.CHANNEL, "cart_api-v2"),
        ("cart_api.v2", Spelling.HANDLE, "cart_api.v2"),
        ("Cart/V2", Spelling.KEY, "Cart-V2"),
        ("Café", Spelling.NAME, "cafe"),
        ("Cart API", Spelling.AS_IT_IS, "Cart API"),
    ],
)
def test_spellings(value: str, spelling: Spelling, expected: str) -> None:
    assert spelled(value, spelling) == expected


def test_what_looks_alike_is_no_placeholder() -> None:
    for text in (
        'a{path=~"%{2}.*"}',
        "rate(a[$window]) % {}",
        "100 % {",
        "%{}",
        "{{service}}",
        "[[service]]",
    ):
        check(text, Spelling.AS_IT_IS, "service")
        assert filled(text, Spelling.AS_IT_IS, "x") == text
    check('up{a=~"%{2}"}', Spelling.QUERY, None)


@pytest.mark.parametrize(
    ("text", "spelling", "label", "words"),
    [
        ("#%{servce}", Spelling.CHANNEL, "service", "`%{servce}` is not the value of `service`"),
        ("#%{service", Spelling.CHANNEL, "service", "`%{service` is not the value of"),
        ("#%{service }", Spelling.CHANNEL, "service", "`%{service }` is not the value of"),
        ("up_%{service}", Spelling.QUERY, "service", "is outside quotes"),
        ("up{a=`%{service}`}", Spelling.QUERY, "service", "is between backticks"),
        ("%{service}", Spelling.NOWHERE, "service", "cannot be used here"),
        ('up{a="%{service}"}', Spelling.QUERY, None, "only where `forEach` names a label"),
    ],
)
def test_misplaced_placeholders_are_refused(
    text: str, spelling: Spelling, label: str | None, words: str
) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(words)):
        check(text, spelling, label)


def test_a_description_without_for_each_may_say_anything() -> None:
    check("stands for %{service}", spelling_at(("spec", "description")), None)
