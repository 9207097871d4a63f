"""What can go wrong, and how it is answered."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pymongo.errors import ConnectionFailure, WriteConcernError


class TicketNotFound(Exception):
    """No ticket has this id."""


class ClosedTicketReopened(Exception):
    """The change would reopen a closed ticket."""


class Problem(BaseModel):
    detail: str


def problem(status: int, detail: str) -> Callable[[Request, Any], Awaitable[Response]]:
    """Return an exception handler that always answers with this status and detail."""

    async def answer(request: Request, error: Any) -> Response:
        return JSONResponse({"detail": detail}, status)

    return answer


async def invalid_request(request: Request, error: RequestValidationError) -> Response:
    """Answer what is wrong and where, without the input: it may be NaN, which is not JSON."""
    details = [{key: each[key] for key in ("type", "loc", "msg")} for each in error.errors()]
    return JSONResponse({"detail": details}, 422)


out_of_reach = problem(503, "MongoDB is out of reach")
HANDLERS: dict[int | type[Exception], Any] = {
    TicketNotFound: problem(404, "Ticket not found"),
    ClosedTicketReopened: problem(409, "Closed tickets cannot be reopened"),
    RequestValidationError: invalid_request,
    ConnectionFailure: out_of_reach,
    WriteConcernError: out_of_reach,  # the primary was lost before the others had the write
}
# FastAPI answers 400 and 413 by itself: to a body that it cannot decode, or that is too long.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 404, 409, 413, 503)
}
