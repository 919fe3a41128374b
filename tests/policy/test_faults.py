"""Every fault with its place, all of them at once, and never a secret."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.catalog.catalog import Catalog
from bot.policy.loader import PolicyError, load
from tests.policy.conftest import POLICY, SERVICE, WORKSPACE, Write, faults_of, texts_of

LoadService = Callable[..., Catalog]


def test_a_fault_reads_as_the_contract_says(write: Write) -> None:
    folder = write(w=WORKSPACE, s=SERVICE.replace("objective", "objectve"))
    (unknown,) = faults_of(folder)
    assert str(unknown) == (
        f"{folder}/s.yaml:8:7: Service/checkout spec.slos[0]: unknown key `objectve`; "
        "did you mean `objective`? (allowed: errorBudgetPolicy, name, objective, sli, window)"
    )


def broken_service(old: str, new: str) -> dict[str, str]:
    assert old in SERVICE
    return {"w": WORKSPACE, "s": SERVICE.replace(old, new)}


def broken_workspace(old: str, new: str) -> dict[str, str]:
    assert old in WORKSPACE
    return {"w": WORKSPACE.replace(old, new)}


def policy(spec: str) -> dict[str, str]:
    return {"w": WORKSPACE, "p": POLICY.replace("{}", spec)}


PROMETHEUS = "events: {}"


@pytest.mark.parametrize(
    ("files", "position", "message"),
    [
        (broken_service("99.9", "100"), "s.yaml:8:18", "no error budget at all"),
        (broken_service("99.9", "0.999"), "s.yaml:8:18", "less than one percent"),
        (broken_service("99.9", "much"), "s.yaml:8:18", "`much` is not a percentage"),
        (broken_service("30d", "30"), "s.yaml:9:15", "`30` has no unit"),
        (broken_service("30d", "1:30"), "s.yaml:9:15", "another number than it shows"),
        (broken_service("30d", "'1:30'"), "s.yaml:9:15", "`1:30` is not a duration"),
        (broken_service("30d", "29s"), "s.yaml:9:15", "too short"),
        (broken_service("30d", "401d"), "s.yaml:9:15", "too long"),
        (broken_service("30d", "month"), "s.yaml:9:15", "not a duration"),
        (broken_service("30d", "{calendar: mnth}"), "s.yaml:9:26", "did you mean `month`?"),
        (
            broken_service("30d", "{calendar: month, timeZone: Europe/Londn}"),
            "s.yaml:9:43",
            "did you mean `Europe/London`?",
        ),
        (
            broken_service("30d", "{calendar: month, start: 2020-01-21T12:30Z}"),
            "s.yaml:9:40",
            "`2020-01-21T12:30Z` names a time zone",
        ),
        (broken_service("30d", "{calendar: month, start: first}"), "s.yaml:9:40", "`first` is not a time"),
        (
            broken_service("30d", "{calendar: month, start: '2020-01-21 12:30:15'}"),
            "s.yaml:9:40",
            "lies within a minute",
        ),
        (
            broken_service("30d", "{calendar: month, start: '1920-01-21'}"),
            "s.yaml:9:40",
            "out of range",
        ),
        (
            broken_service("events: {}", "prometheus: {gauge: up, goodWhen: about 99}"),
            "s.yaml:10:47",
            "`about 99` is not a condition",
        ),
        (
            broken_service("events: {}", "prometheus: {total: a, bad: b, slices: {goodWhen: '≥ 0.99'}}"),
            "s.yaml:10:63",
            "not a share of good events",
        ),
        (
            broken_service("events: {}", "prometheus: {gauge: up, goodwhen: '> 1'}"),
            "s.yaml:10:37",
            "did you mean `goodWhen`?",
        ),
        (broken_service("events: {}", "prometheus: {ratio: 'sum(a'}"), "s.yaml:10:33", "is not closed"),
        (broken_service("events: {}", ""), "s.yaml:10:12", "nothing to measure"),
        (broken_service("events: {}", "events: {}, downtime: {}"), "s.yaml:10:21", "one SLI"),
        (broken_service("events: {}", "events: {id: x}"), "s.yaml:10:22", "unknown key `id`"),
        (broken_service("events: {}", "events:"), "s.yaml:10:13", "no value here"),
        (
            broken_service("events: {}", "promtheus: {total: a, bad: b}"),
            "s.yaml:10:13",
            "unknown source `promtheus`; did you mean `prometheus`?",
        ),
        (
            broken_service("events: {}", "prometheus: {total: a}"),
            "s.yaml:10:25",
            "one of `bad` and `good` is missing",
        ),
        (
            broken_service("events: {}", "prometheus: {total: a, bad: b, good: c}"),
            "s.yaml:10:50",
            "exclude each other",
        ),
        (
            broken_service("events: {}", "prometheus: {total: a, bad: b, threshold: 1s}"),
            "s.yaml:10:55",
            "`threshold` does not go with `total`",
        ),
        (
            broken_service("events: {}", "prometheus: {histogram: a}"),
            "s.yaml:10:25",
            "`threshold` is missing",
        ),
        (
            broken_service("events: {}", "prometheus: {total: 'rate(a[5m])', bad: b}"),
            "s.yaml:10:33",
            "neither a series selector nor a query with $window",
        ),
        (broken_service("availability", "Availability"), "s.yaml:7:13", "is not a name"),
        (broken_service("availability", "a" * 64), "s.yaml:7:13", "is not a name"),
        (broken_service("availability", "12"), "s.yaml:7:13", "YAML reads `12` as a number"),
        (broken_service("availability", "on"), "s.yaml:7:13", "YAML reads `on` as true"),
        (broken_service("availability", "1e3"), "s.yaml:7:13", "some as text"),
        (broken_service("availability", "2026-01-01"), "s.yaml:7:13", "as a date"),
        (broken_service("availability", "[a]"), "s.yaml:7:13", "must be text"),
        (broken_service("availability", "0x1f"), "s.yaml:7:13", "another number"),
        (broken_service("availability", "010"), "s.yaml:7:13", "another number"),
        (broken_service("availability", "!x a"), "s.yaml:7:13", "tags are not used"),
        (broken_service('"#checkout"', "#checkout"), "s.yaml:5:3", "no value here"),
        (broken_service('"#checkout"', "checkout"), "s.yaml:5:12", "is not a channel"),
        (broken_service('"#checkout"', '"#Check out"'), "s.yaml:5:12", "is not a channel"),
        (broken_service('"#checkout"', "@checkout"), "s.yaml:5:12", "cannot begin with `@`"),
        (broken_service("  slos", "\tslos"), "s.yaml:6:1", "a tab is used"),
        (broken_service("  slos", "  channel: C0\n  slos"), "s.yaml:6:3", "twice"),
        (broken_service("  slos", "  on: x\n  slos"), "s.yaml:6:3", "the key `on` as true"),
        (broken_service("  slos", "  ? [a]\n  : x\n  slos"), "s.yaml:6:5", "must be text"),
        (broken_service("  slos", "  teams: @x\n  slos"), "s.yaml:6:10", "cannot begin"),
        (
            broken_service("  slos", "  teams: {development: [U0DANA, dana]}\n  slos"),
            "s.yaml:6:33",
            "`dana` is not a user group or person",
        ),
        (broken_service("  slos", "  flags: [a b]\n  slos"), "s.yaml:6:11", "not a flag's key"),
        (broken_service("  slos", "  flags: [a, a]\n  slos"), "s.yaml:6:14", "twice"),
        (
            broken_service("  slos", "  errorBudgetPolicy: standart\n  slos"),
            "s.yaml:6:22",
            "unknown ErrorBudgetPolicy `standart`",
        ),
        (broken_service("Service", "Servce"), "s.yaml:2:7", "did you mean `Service`?"),
        (broken_service("kind: Service\n", ""), "s.yaml:1:1", "`kind` is missing"),
        (broken_service("governor/v1", "governor/v2"), "s.yaml:1:13", "unknown apiVersion"),
        (broken_service("governor/v1", "govenor/v1"), "s.yaml:1:13", "unknown apiVersion"),
        (broken_service("apiVersion: governor/v1\n", ""), "s.yaml:1:1", "`apiVersion` is missing"),
        (broken_service("{name: checkout}", "checkout"), "s.yaml:3:11", "must be a mapping"),
        (broken_service("checkout}", "checkout, annotations: {}}"), "s.yaml:3:28", "unknown key"),
        (broken_workspace('"#releases"', "${UNSET}"), "w.yaml:5:30", "not YAML"),
        (broken_workspace("http://localhost:9090", "${UNSET}"), "w.yaml:7:23", "`UNSET` is not set"),
        (broken_workspace('"#releases"', '"${UNSET}"'), "w.yaml:5:29", "`UNSET` is not filled in here"),
        (broken_workspace("9090", "${PORT}"), "w.yaml:7:23", "`PORT` configures the bot itself"),
        (broken_workspace('"#releases"', '"${no good}"'), "w.yaml:5:29", "not well formed"),
        (broken_workspace("prometheus:", "events:"), "w.yaml:7:5", "cannot be called `events`"),
        (broken_workspace("http://", "ftp://"), "w.yaml:7:23", "not an HTTP URL"),
        (broken_workspace("9090", "99999"), "w.yaml:7:23", "not a URL"),
        (broken_workspace('9090"', '9090", timeout: 1h'), "w.yaml:7:57", "too long"),
        (broken_workspace('9090"', '9090", type: influx'), "w.yaml:7:54", "is not known"),
        (
            broken_workspace('9090"', '9090", bearerToken: a, basicAuth: {username: a, password: b}'),
            "w.yaml:7:75",
            "exclude each other",
        ),
        (broken_workspace('9090"', '9090", headers: {a b: c}'), "w.yaml:7:58", "header's name"),
        (broken_workspace("  sources", "  evaluateEvery: 0s\n  sources"), "w.yaml:6:18", "short"),
        (
            broken_workspace("  sources", "  flags: {backend: unlesh}\n  sources"),
            "w.yaml:6:20",
            "did you mean `unleash`?",
        ),
        (
            broken_workspace("  sources", "  flags: {backend: {unleash: {}, flagd: {}}}\n  sources"),
            "w.yaml:6:20",
            "one flag backend",
        ),
        (
            broken_workspace("  sources", "  flags: {environments: []}\n  sources"),
            "w.yaml:6:25",
            "there is no environment",
        ),
        (
            broken_workspace("  sources", "  permissions: {freeze: sre}\n  sources"),
            "w.yaml:6:25",
            "`sre` is not a user group, channel or person",
        ),
        (
            broken_workspace("  sources", "  permissions: {flags: {prod: everyone}}\n  sources"),
            "w.yaml:6:25",
            "unknown environment `prod`; did you mean `production`?",
        ),
        (policy("{warnAt: [10%, 50%]}"), "p.yaml:4:16", "from high to low"),
        (policy("{warnAt: [50%, 50%]}"), "p.yaml:4:16", "from high to low"),
        (policy("{warnAt: [100%]}"), "p.yaml:4:17", "out of range"),
        (policy("{warnAt: 50%}"), "p.yaml:4:16", "must be a list"),
        (policy("{freezeAt: 10%}"), "p.yaml:4:18", "below the lowest level"),
        (policy("{warnAt: [], freezeAt: 20%}"), "p.yaml:4:7", "must be above `freezeAt`"),
        (policy("{dwell: -1m}"), "p.yaml:4:15", "is not a duration"),
        (policy("{onMissingData: holt}"), "p.yaml:4:23", "did you mean `hold`?"),
        (policy("{postmortemAt: 0%}"), "p.yaml:4:22", "out of range"),
        (
            policy("{burnAlerts: [{severity: page, burn: 1, long: 5m, short: 5m}]}"),
            "p.yaml:4:64",
            "`short` must be shorter",
        ),
        (
            policy("{burnAlerts: [{severity: page, burn: 0, long: 1h, short: 5m}]}"),
            "p.yaml:4:44",
            "out of range",
        ),
    ],
)
def test_each_fault_has_its_place(write: Write, files: dict[str, str], position: str, message: str) -> None:
    texts = texts_of(write(**files))
    assert any(text.startswith(f"{position}: ") and message in text for text in texts), texts


def test_a_tag_that_yaml_itself_knows_is_no_fault(write: Write) -> None:
    (slo,) = load(write(**broken_service("availability", "!!str a")), {}).slos
    assert slo.name == "a"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no document"),
        (b"# only a comment\n", "holds no document"),
        (b"---\n---\n", "the document is empty"),
        (b"- a\n", "not a mapping"),
        (b"text\n", "not a mapping"),
        (b"a: [\n", "the bracket `[` that opens here is not closed"),
        (b"a: 'b\n", "the quote `'` that begins here is not closed"),
        (b"a: b: c\n", "a second colon"),
        (b"a: *nowhere\n", "undefined alias"),
        (b"\xff\xfea: b\n", "not UTF-8 (byte 0xff)"),
        (b"a: \xe9\n", "not UTF-8 (byte 0xe9)"),
        (b"a: \x00\n", "U+0000 is not allowed"),
        (b'a: "\\UFFFFFFFF"\n', "out of range"),
        (b"[" * 100_000, "nested too deeply"),
        (b"x" * 1_048_577, "too large"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_fault(write: Write, content: bytes, message: str) -> None:
    folder = write(w=WORKSPACE)
    (folder / "x.yaml").write_bytes(content)
    faults = faults_of(folder)
    assert any(message in fault.message for fault in faults), faults
    assert {fault.file for fault in faults} == {f"{folder}/x.yaml"}


def test_a_lone_surrogate_is_refused(write: Write) -> None:
    (text,) = texts_of(write(w=WORKSPACE.replace("#releases", "#\\ud800")))
    assert "lone surrogate" in text


def test_a_broken_link_and_a_folder_called_like_a_file_are_faults(write: Write) -> None:
    folder = write(w=WORKSPACE)
    (folder / "gone.yaml").symlink_to("nowhere")
    (folder / "dir.yaml").mkdir()
    (text,) = texts_of(folder)
    assert text == "gone.yaml:1:1: the file cannot be read: No such file or directory"


def test_an_unreadable_file_is_a_fault(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(w=WORKSPACE, s=SERVICE)
    really_open = os.open

    # Permission bits do not stop root, whom tests in containers often run as.
    def refuse(file: str | Path, *options: int, **more: int) -> int:
        if Path(file).name == "s.yaml":
            raise PermissionError(13, "Permission denied")
        return really_open(file, *options, **more)

    monkeypatch.setattr(os, "open", refuse)
    (text,) = texts_of(folder)
    assert text == "s.yaml:1:1: the file cannot be read: Permission denied"


def test_a_folder_linked_into_itself_is_read_once(write: Write) -> None:
    folder = write(w=WORKSPACE)
    (folder / "loop").symlink_to(folder)
    assert load(folder, {}).workspace.name == "acme"


def test_faults_of_all_files_come_at_once_in_order(write: Write) -> None:
    folder = write(
        a=WORKSPACE.replace("#releases", "releases"),
        b=SERVICE.replace("99.9", "100").replace("30d", "30"),
        c=SERVICE.replace("channel", "chanel") + "  errorBudgetPolicy: nowhere\n",
        d="a: [",
    )
    places = [(Path(fault.file).name, fault.line) for fault in faults_of(folder)]
    assert places == sorted(places)
    assert {name for name, _ in places} == {"a.yaml", "b.yaml", "c.yaml", "d.yaml"}
    texts = "\n".join(texts_of(folder))
    for message in (
        "`releases` is not a channel",
        "no error budget at all",
        "`30` has no unit",
        "unknown key `chanel`; did you mean `channel`?",
        "unknown ErrorBudgetPolicy `nowhere`",
        "`checkout` is already the name in",
    ):
        assert message in texts


def test_what_could_not_be_read_is_not_called_missing(write: Write) -> None:
    service = SERVICE + "  errorBudgetPolicy: strict\n"
    strict = POLICY.replace("standard", "strict").replace("{}", "{")
    (text,) = texts_of(write(w=WORKSPACE, s=service, p=strict))
    assert text.startswith("p.yaml:")
    (text,) = texts_of(write(w=WORKSPACE + "  x: [", s=SERVICE, p=POLICY))
    assert text.startswith("w.yaml:")


def test_several_default_environments_are_refused(write: Write) -> None:
    environments = "[{name: a, default: true}, {name: b, default: true}, {name: a}]"
    texts = texts_of(write(w=f"{WORKSPACE}  flags: {{environments: {environments}}}\n"))
    assert any("another environment is the default" in text for text in texts)
    assert any("`a`" in text and "twice" in text for text in texts)


@pytest.mark.parametrize(
    "bomb",
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
        "a0: &a0 {x: y}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2_000)),
        "a: &a [*a]\n",
        "a: &a {<<: *a}\n",
        "a: &a {<<: [*a, {b: *a}]}\n",
    ],
    ids=["billion laughs", "merges", "chain", "self", "self-merge", "mixed"],
)
def test_an_alias_bomb_does_not_explode(write: Write, bomb: str) -> None:
    assert faults_of(write(w=WORKSPACE, s=SERVICE + bomb))


SECRET = "hunter2-s3cret"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("w", WORKSPACE.replace("#releases", "${SECRET}")),
        ("w", WORKSPACE.replace("http://localhost:9090", "${SECRET}")),
        ("w", WORKSPACE.replace('9090"', '9090", type: "${SECRET}"')),
        ("w", WORKSPACE.replace('9090"', '9090", bearerToken: "${SECRET}\\0"')),
        ("w", WORKSPACE.replace('9090"', '9090", timeout: "${SECRET}"')),
        ("w", WORKSPACE.replace("acme", '"${SECRET} "')),
        ("w", WORKSPACE + "  flags: {backend: '${SECRET}'}\n"),
        ("w", WORKSPACE + "  flags: {environments: [{name: '${SECRET}'}, {name: '${SECRET}'}]}\n"),
        ("w", WORKSPACE + "  permissions: {freeze: ['${SECRET}'], flags: {x: everyone}}\n"),
        ("w", WORKSPACE.replace("governor/v1", "governor/${SECRET}")),
        ("w", WORKSPACE.replace("Workspace", "${SECRET}")),
        ("s", SERVICE.replace("checkout}", "'${SECRET}'}") + "  x: 1\n"),
        ("s", SERVICE.replace("99.9", "${SECRET}")),
        ("s", SERVICE.replace("30d", "${SECRET}")),
        ("s", SERVICE.replace("30d", "{calendar: '${SECRET}', timeZone: '${SECRET}'}")),
        ("s", SERVICE.replace("events: {}", "prometheus: {total: '${SECRET} x', bad: '{'}")),
        ("s", SERVICE.replace("events: {}", "prometheus: {histogram: '${SECRET}', match: 'x'}")),
        ("s", SERVICE.replace("events: {}", "'${SECRET}'")),
        ("s", SERVICE + "  errorBudgetPolicy: '${SECRET}'\n"),
        ("s", SERVICE + "  teams: {development: '${SECRET}'}\n"),
        ("p", POLICY.replace("{}", "{warnAt: ['${SECRET}'], burnAlerts: '${SECRET}'}")),
    ],
)
def test_no_message_holds_what_the_environment_said(write: Write, key: str, text: str) -> None:
    files = {"w": WORKSPACE, "s": SERVICE, "p": POLICY} | {key: text}
    files["w"] += "  variables: [SECRET]\n"
    with pytest.raises(PolicyError) as caught:
        load(write(**files), {"SECRET": SECRET})
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.faults)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
