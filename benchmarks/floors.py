"""What nothing built on FastAPI and PyMongo can do better than: the database calls alone.

The app has routes of the same shape as the steps', which take the same input, make one call, that
of step 3 for a query and that of step 1 for a command, and answer with nothing. `drive` makes
the calls of queries with no HTTP around them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import quantiles
from typing import Annotated, Any

from bson import ObjectId
from fastapi import FastAPI, Path, Query, Request, Response
from pymongo import ReturnDocument

from step_03_projections.database import Database, connect, database_name, mongodb_uri
from step_03_projections.schemas import (
    AddAgentNoteBody,
    ChangeStatusBody,
    CreateTicketBody,
    Status,
    UpdateTicketBody,
)

from .load import CLIENTS

Call = Callable[[Database], Awaitable[Any]]
TicketId = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with connect(mongodb_uri(), database_name()) as database:
        yield {"database": database}


app = FastAPI(lifespan=lifespan)


@app.get("/empty")
async def empty() -> Response:
    return Response()


@app.post("/tickets")
async def create_ticket(request: Request, body: CreateTicketBody) -> Response:
    now = datetime.now(UTC)
    fields = {"status": "open", "agent_note": None, "created_at": now, "updated_at": now}
    await request.state.database.tickets.insert_one(body.model_dump() | fields)
    return Response()


@app.patch("/tickets/{ticket_id}")
async def update_ticket(request: Request, ticket_id: TicketId, body: UpdateTicketBody) -> Response:
    await change(request.state.database, ticket_id, body.model_dump(exclude_none=True))
    return Response()


@app.post("/tickets/{ticket_id}/status")
async def change_status(request: Request, ticket_id: TicketId, body: ChangeStatusBody) -> Response:
    await change(request.state.database, ticket_id, {"status": body.new_status})
    return Response()


@app.post("/tickets/{ticket_id}/agent-note")
async def add_agent_note(request: Request, ticket_id: TicketId, body: AddAgentNoteBody) -> Response:
    await change(request.state.database, ticket_id, {"agent_note": body.note})
    return Response()


@app.get("/tickets/{ticket_id}")
async def get_ticket(request: Request, ticket_id: TicketId) -> Response:
    await find_ticket(request.state.database, ticket_id)
    return Response()


@app.get("/tickets")
async def list_tickets(
    request: Request,
    status: Status | None = None,
    has_note: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    skip: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> Response:
    await find_rows(request.state.database, status, has_note, limit, skip)
    return Response()


@app.get("/dashboard")
async def get_dashboard(request: Request) -> Response:
    await find_counts(request.state.database)
    return Response()


async def change(db: Database, ticket_id: str, changes: dict[str, Any]) -> Any:
    return await db.tickets.find_one_and_update(
        {"_id": ObjectId(ticket_id), "status": {"$ne": "closed"}},
        {"$set": changes | {"updated_at": datetime.now(UTC)}},
        return_document=ReturnDocument.AFTER,
    )


async def find_ticket(db: Database, ticket_id: str) -> Any:
    return await db.tickets.find_one({"_id": ObjectId(ticket_id)})


async def find_rows(
    db: Database,
    status: Status | None = None,
    has_note: bool | None = None,
    limit: int = 20,
    skip: int = 0,
) -> Any:
    filters = {"status": status, "has_note": has_note}
    which = {key: value for key, value in filters.items() if value is not None}
    newest_first = [("updated_at", -1), ("_id", -1)]
    rows = db.ticket_list.find(which, sort=newest_first, skip=skip, limit=limit)
    return await rows.hint([*((each, 1) for each in which), *newest_first]).to_list()


async def find_counts(db: Database) -> Any:
    return await db.dashboard.find_one({}, ["open", "triaged", "closed"])


async def drive(uri: str, database: str, call: Call, seconds: float) -> dict[str, Any]:
    """Make the call again and again, as CLIENTS at once; return what load.lua prints."""
    times: list[float] = []
    async with connect(uri, database) as db, asyncio.TaskGroup() as tasks:
        start = time.monotonic()

        async def client() -> None:
            while (before := time.monotonic()) < start + seconds:
                await call(db)
                times.append(time.monotonic() - before)

        for _ in range(CLIENTS):
            tasks.create_task(client())
    percentiles = quantiles(times, n=100)
    return {
        "per_second": round(len(times) / (time.monotonic() - start), 1),
        "p50_ms": round(percentiles[49] * 1000, 3),
        "p99_ms": round(percentiles[98] * 1000, 3),
        "requests": len(times),
        "errors": 0,
    }
