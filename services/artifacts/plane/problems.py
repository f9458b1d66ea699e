"""Errors as HTTP has them: a status, and a small JSON document with reason and message."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from theory.core import errors
from theory.core.errors import TheoryError
from theory.core.jcs import canonical

_log = logging.getLogger(__name__)

_STATUS_BY_ERROR: Mapping[type[TheoryError], HTTPStatus] = {
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.OutOfRange: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.AlreadyExists: HTTPStatus.PRECONDITION_FAILED,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Denied: HTTPStatus.FORBIDDEN,
    errors.Exhausted: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Corrupt: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_STATUS_BY_REASON: Mapping[str, HTTPStatus] = {
    "BLOB_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "CLIENT_SLOW": HTTPStatus.REQUEST_TIMEOUT,
    "DISK_FULL": HTTPStatus.INSUFFICIENT_STORAGE,
}
_STATUS_BY_FIELD: Mapping[str, HTTPStatus] = {
    "Content-Length": HTTPStatus.LENGTH_REQUIRED,
    "If-None-Match": HTTPStatus.PRECONDITION_REQUIRED,
}
_HEADER_BY_FACT: Mapping[str, str] = {"offset": "Upload-Offset"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What the handler answers, or why it does not; and one line in the log, without the query."""
    try:
        response = await handler(request)
    except TheoryError as error:
        response = problem(error)
    except web.HTTPException as error:  # the router's: no such route, no such method
        response = _document(error.status, "URL_INVALID", "there is nothing at this address", error.headers)
    except (ConnectionError, web.RequestPayloadError) as error:
        _said(request, 0)
        raise ConnectionResetError("the client went away") from error
    except Exception:  # noqa: BLE001 - whatever it was: the log has it, the client has no word of it
        _log.exception("data.broke")
        response = _document(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL", "internal error", {})
    if request.method == "HEAD" and isinstance(response, web.Response):
        response.body = None
    _said(request, response.status)
    return response


def problem(error: TheoryError) -> web.Response:
    """The answer that carries an error."""
    status = (
        _STATUS_BY_REASON.get(error.reason)
        or _STATUS_BY_FIELD.get(error.metadata.get("field", ""))
        or _STATUS_BY_ERROR.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    )
    headers = {header: error.metadata[fact] for fact, header in _HEADER_BY_FACT.items() if fact in error.metadata}
    if "size_bytes" in error.metadata:
        headers["Content-Range"] = f"bytes */{error.metadata['size_bytes']}"
    return _document(status, error.reason, error.message, headers)


def _document(status: int, reason: str, message: str, headers: Mapping[str, str]) -> web.Response:
    kept = {name: value for name, value in headers.items() if name not in ("Content-Type", "Content-Length")}
    body = canonical({"reason": reason, "message": message})
    return web.Response(status=status, body=body, content_type="application/json", headers=kept)


def _said(request: web.Request, status: int) -> None:
    resource = request.match_info.route.resource
    facts = {"method": request.method, "route": resource.canonical if resource else "", "status": status}
    _log.info("data.request", extra={"theory_fields": facts})
