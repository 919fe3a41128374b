"""The server of the official SDK over the tools: what it lists, and how it answers calls.

https://modelcontextprotocol.io/specification
"""

import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from bot.http.mcp.api import ApiRefusedError, GovernorApi
from bot.http.mcp.arguments import ServiceArguments
from bot.http.mcp.results import ToolResult
from bot.http.mcp.tools import INSTRUCTIONS, POLICY_URI, TOOLS, ToolDefinition

RequestContext = ServerRequestContext[Any, Any]
FindApi = Callable[[RequestContext], GovernorApi]
"""Returns the API as whoever made a request may use it."""

_MARKDOWN = "text/markdown"


def build_server(find_api: FindApi) -> Server[Any]:
    """Return a server of the tools and of the policies in words."""
    listed = types.ListToolsResult(tools=[_described(tool) for tool in TOOLS.values()])

    async def list_tools(_: RequestContext, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return listed

    async def call_tool(context: RequestContext, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = TOOLS.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name[:100]!a}")
        return await _call(tool, find_api(context), params.arguments or {})

    async def list_resources(
        context: RequestContext, _: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        try:
            services = (await find_api(context).get("services"))["services"]
        except ApiRefusedError as error:
            raise MCPError(types.INVALID_REQUEST, str(error)) from error
        return types.ListResourcesResult(resources=[_policy(each["service"]) for each in services])

    async def list_templates(
        _: RequestContext, __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=[_POLICY_TEMPLATE])

    async def read_resource(
        context: RequestContext, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        return await _read_policy(find_api(context), str(params.uri))

    return Server(
        "governor",
        version=version("governor"),
        title="Governor",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


_POLICY_TEMPLATE = types.ResourceTemplate(
    name="policy",
    title="A service's policy in words",
    uri_template=f"{POLICY_URI}{{service}}",
    description="What it promises, what freezes it, what may ship through a freeze and who approves.",
    mime_type=_MARKDOWN,
)


def _policy(service: str) -> types.Resource:
    return types.Resource(
        name=f"policy of {service}", uri=f"{POLICY_URI}{service}", mime_type=_MARKDOWN,
        description=f"What {service} promises, what freezes it, what is exempt and who approves.",
    )  # fmt: skip


def _described(tool: ToolDefinition[Any]) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.arguments.model_json_schema(),
        output_schema=tool.result.model_json_schema(mode="serialization"),
        annotations=types.ToolAnnotations(
            read_only_hint=not tool.changes,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )


async def _call(
    tool: ToolDefinition[Any], api: GovernorApi, arguments: dict[str, Any]
) -> types.CallToolResult:
    """Return the result; what the model can put right is a result with an error, which it reads."""
    try:
        result: ToolResult = await tool.run(api, arguments)
    except ValidationError as error:
        return _refusal(_faults(error))
    except ApiRefusedError as error:
        return _refusal(str(error))
    structured = result.model_dump(mode="json")
    texts = (result.in_words(), json.dumps(structured))
    return types.CallToolResult(
        content=[types.TextContent(text=text) for text in texts], structured_content=structured
    )


def _refusal(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)


def _faults(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    # The names of unknown arguments come from outside.
    return "; ".join(
        f"{ascii('.'.join(map(str, each['loc'])))[1:-1][:100]}: {each['msg']}" for each in faults
    )


async def _read_policy(api: GovernorApi, uri: str) -> types.ReadResourceResult:
    _, _, name = uri.partition(POLICY_URI)
    try:
        service = ServiceArguments(service=name).service
        text = (await api.get(f"services/{quote(service, safe='')}/policy"))["text"]
    except ValidationError as error:
        raise MCPError(types.INVALID_PARAMS, f"there is only {POLICY_URI}SERVICE") from error
    except ApiRefusedError as error:
        raise MCPError(types.INVALID_PARAMS, str(error)) from error
    contents = types.TextResourceContents(uri=uri, text=text, mime_type=_MARKDOWN)
    return types.ReadResourceResult(contents=[contents])
