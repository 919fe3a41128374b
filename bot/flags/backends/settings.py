"""A backend's settings from the policies; errors name the unknown and the missing ones."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from bot.flags.backend import MisconfiguredError


class BackendSettings(BaseModel):
    """Settings of one backend, written in camelCase as all policies are."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, hide_input_in_errors=True
    )


_Settings = TypeVar("_Settings", bound=BackendSettings)


def read_settings(model: type[_Settings], name: str, settings: Mapping[str, object]) -> _Settings:
    """Return the settings as a value; raises `MisconfiguredError` with every fault."""
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or name}: {fault['msg'].lower()}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise MisconfiguredError(f"the settings of flag backend {name} are wrong: {faults}") from error
