"""The rule for text (`bot/texts.py`) at the door of HTTP: a base of bodies, a middleware for addresses."""

from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BaseModel, ValidationInfo, field_validator

from bot.http.problems import Handler, ProblemError, answers_with_problems, problem_response
from bot.texts import clean_all, is_name

FREE: Final = object()
"""Marks a field whose text is cleaned; every other text is an id, which is refused instead."""

FreeText = Annotated[str, FREE]


class RequestBody(BaseModel):
    """A body or a part of one: texts of fields marked FREE are cleaned, others are refused."""

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        if any(mark is FREE for mark in field.metadata):
            return clean_all(value)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not is_name(text):
                raise ValueError("must have no control characters and no lone surrogates")
        return value


@web.middleware
async def refuse_control_characters(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return 400 for a path or query with control characters: what is asked for by it cannot exist."""
    texts = (request.path, *request.match_info.values(), *request.query.keys(), *request.query.values())
    if all(is_name(text) for text in texts):
        return await handler(request)
    detail = "the path and the query must have no control characters"
    if answers_with_problems(request):
        return problem_response(ProblemError(400, detail))
    return web.Response(status=400, text=detail)
