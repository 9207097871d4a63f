"""What can go wrong: the domain's errors, how each is answered, and what each route declares."""

import logging
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pymongo.errors import PyMongoError

logger = logging.getLogger("uvicorn.error")


class TicketNotFound(Exception):
    """No ticket has this id."""


class ClosedTicketReopened(Exception):
    """A closed ticket was told to be open or triaged."""


async def ticket_not_found(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": "Ticket not found"}, 404)


async def closed_ticket_reopened(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": "Closed tickets cannot be reopened"}, 409)


async def invalid_request(request: Request, error: RequestValidationError) -> Response:
    # The input is not echoed: it may hold NaN or half a surrogate pair, which cannot be encoded.
    details = [{key: each[key] for key in ("type", "loc", "msg")} for each in error.errors()]
    return JSONResponse({"detail": details}, 422)


async def mongodb_out_of_reach(request: Request, error: Exception) -> Response:
    logger.error("%s %s: %s", request.method, request.url.path, error)
    return JSONResponse({"detail": "MongoDB is out of reach"}, 503, headers={"Retry-After": "1"})


async def refuse_other_json(request: Request) -> None:
    """Refuse application/problem+json and its like, which FastAPI would take for JSON."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method != "GET" and content_type.endswith("+json"):
        message = {"type": "content_type", "msg": "Content-Type should be application/json"}
        raise RequestValidationError([message | {"loc": ("header", "content-type")}])


HANDLERS: dict[int | type[Exception], Any] = {
    TicketNotFound: ticket_not_found,
    ClosedTicketReopened: closed_ticket_reopened,
    RequestValidationError: invalid_request,
    PyMongoError: mongodb_out_of_reach,
}


class Problem(BaseModel):
    detail: str


Responses = dict[int | str, dict[str, Any]]

OF_ANY_ROUTE: Responses = {
    413: {"description": "The body is larger than 1 MiB"},
    503: {
        "model": Problem,
        "description": "MongoDB is out of reach; the change may or may not have been made",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}},
    },
}
OF_CREATE: Responses = {
    201: {
        "description": "The new ticket",
        "headers": {"Location": {"schema": {"type": "string"}, "description": "Its path"}},
    },
    400: {"model": Problem, "description": "The body cannot be decoded"},
}
OF_READ: Responses = {404: {"model": Problem, "description": "No ticket has this id"}}
OF_NOTE: Responses = {**OF_READ, 400: OF_CREATE[400]}
OF_STATUS: Responses = {
    **OF_NOTE,
    409: {"model": Problem, "description": "Closed tickets cannot be reopened"},
}
