"""Encodings of bodies: refused where no client sends any, else unpacked within a limit, and not before auth.

aiohttp's own unpacking is switched off (`auto_decompress=False`): it unpacks before a handler knows who sent
it. Slack, GitHub and Alertmanager compress nothing; clients of the API may.
"""

import zlib
from typing import Final

from aiohttp import web

from bot.http.problems import Handler, ProblemError, problem_response

_UNPACKED_BELOW: Final = "/api/"
# What zlib calls the formats: a gzip file, and the zlib stream that HTTP calls deflate.
_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_ACCEPTED: Final = "gzip, deflate"


@web.middleware
async def refuse_encodings(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return 415 for an encoded body outside the API, before anything of it is read."""
    encoding = _encoding(request)
    if not encoding or request.path.startswith(_UNPACKED_BELOW):
        return await handler(request)
    headers = {"Accept-Encoding": "identity"}
    detail = "send the body without Content-Encoding"
    if request.path.startswith("/webhooks/"):
        return problem_response(ProblemError(415, detail, headers=headers))
    return web.Response(status=415, text=detail, headers=headers)


def unpacked(request: web.Request, body: bytes) -> bytes:
    """Return the body as it was before its encoding, in at most the bytes that the request may have.

    Raises `ProblemError`: 415 for an unknown encoding, 413 if it is too large, 400 if it is not so encoded.
    """
    encoding = _encoding(request)
    if not encoding:
        return body
    if encoding not in _WINDOW_BITS:
        detail = f"a body is encoded as {_ACCEPTED} or not at all"
        raise ProblemError(415, detail, headers={"Accept-Encoding": _ACCEPTED})
    decompressor = zlib.decompressobj(_WINDOW_BITS[encoding])
    most = request.client_max_size
    try:
        plain = decompressor.decompress(body, most + 1)
    except zlib.error as error:
        raise ProblemError(400, f"the body is not {encoding}, as its Content-Encoding says") from error
    if len(plain) > most:
        raise ProblemError(413, f"the body may have at most {most} bytes when it is unpacked")
    if not decompressor.eof or decompressor.unused_data:
        raise ProblemError(400, f"the body is not {encoding}, as its Content-Encoding says")
    return plain


def _encoding(request: web.Request) -> str:
    """Return the encoding in small letters, empty for none."""
    encoding = ",".join(request.headers.getall("Content-Encoding", [])).strip().casefold()
    return "" if encoding == "identity" else encoding
