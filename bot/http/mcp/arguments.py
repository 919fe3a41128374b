"""The arguments of the tools. Their descriptions are what a model reads before it calls a tool."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# Part of a path: neither a slash nor dots alone.
ServiceName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^#?[\w][\w.-]*$",
        description="The service, as the policies name it, such as checkout.",
    ),
]
_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Change = Annotated[
    _Text,
    Field(description="The change, such as PR-12; the same name in every call about it."),
]
_Commit = Annotated[_Text, Field(description="The commit of the change, as a full hash.")]
_Kind = Annotated[_Text, Field(description="The kind of the change, such as security or P0.")]
_Proof = Annotated[
    _Text,
    Field(
        description="What shows its kind: CVE-2026-1234, GHSA-…, incident 12. A person looks at it; from an "
        "agent it opens no gate."
    ),
]
_Instant = Annotated[str, Field(max_length=40, description="An RFC 3339 time with an offset.")]


class ToolArguments(BaseModel):
    """The arguments of a tool; unknown ones are refused, so that a misspelt one is not lost."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class ShipArguments(ToolArguments):
    """Which change ships where."""

    service: ServiceName
    change: _Change
    commit: _Commit | None = None
    environment: Annotated[
        _Text | None, Field(description="Where it ships to; left out, any freeze bars it.")
    ] = None
    kind: _Kind | None = None
    proof: _Proof | None = None


class ServiceArguments(ToolArguments):
    """Which service is asked about."""

    service: ServiceName


class ExemptionArguments(ToolArguments):
    """Which change shall ship through a freeze, and why."""

    service: ServiceName
    change: _Change
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1_000,
            description="Why it cannot wait and what could go wrong, for the person who decides.",
        ),
    ]
    commit: _Commit | None = None
    kind: _Kind | None = None
    proof: _Proof | None = None
    until: Annotated[
        _Instant | None, Field(description="When it shall end at the latest; a day after the approval.")
    ] = None


class DeploymentArguments(ToolArguments):
    """How a deployment ended."""

    service: ServiceName
    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=190,
            description="Tells this deployment from all others, such as the id of the run. Repeating a call "
            "with the same key and state changes nothing.",
        ),
    ]
    state: Annotated[Literal["succeeded", "failed"], Field(description="How it ended.")]
    commit: Annotated[
        str, Field(min_length=1, max_length=64, description="What was deployed: a hash or a version.")
    ]
    change: _Change | None = None
    environment: Annotated[_Text | None, Field(description="Where to; production if left out.")] = None
    started_at: Annotated[_Instant | None, Field(description="When it began; now if left out.")] = None
    finished_at: Annotated[_Instant | None, Field(description="When it ended; now if left out.")] = None
    url: Annotated[str | None, Field(max_length=500, description="A page with details.")] = None


class IncidentArguments(ToolArguments):
    """What is broken."""

    title: Annotated[str, Field(min_length=1, max_length=200, description="What users notice, in a line.")]
    severity: Annotated[
        Literal["sev1", "sev2", "sev3", "sev4"], Field(description="How severe; sev1 is the worst.")
    ]
    services: Annotated[
        list[ServiceName], Field(min_length=1, max_length=50, description="The services that it concerns.")
    ]
    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="Tells this incident from all others. The same key is the same incident again.",
        ),
    ]
    started_at: Annotated[_Instant | None, Field(description="When it began; now if left out.")] = None
    impact: Annotated[
        float | None, Field(ge=0, le=1, description="The share of requests that fail; 1 if left out.")
    ] = None


class FlagsArguments(ToolArguments):
    """Whose flags are listed, and where."""

    service: Annotated[ServiceName | None, Field(description="Only flags of this service.")] = None
    environment: Annotated[
        _Text | None, Field(description="An environment; the default one if left out.")
    ] = None
