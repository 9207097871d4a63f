"""What nothing built on FastAPI and PyMongo can do better than: the database calls alone.

The app has routes of the same shape as the steps. They take the same input, make one call, that
of step 4 for a query and that of step 1 for a command, and answer with nothing. `drive` makes
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

from step_01_crud.schemas import (
    AddAgentNote,
    CreateTicket,
    ListTickets,
    UpdateStatus,
    UpdateTicket,
)
from step_04_full_cqrs.connections import connect_both
from step_04_full_cqrs.database import NEWEST_FIRST, Database, connect

from .data import Document
from .load import CLIENTS

Call = Callable[[Database], Awaitable[Any]]
TicketId = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with connect_both() as (write, read):
        yield {"write": write, "read": read}


app = FastAPI(lifespan=lifespan)


@app.get("/empty")
async def empty() -> Response:
    return Response()


@app.post("/tickets")
async def create_ticket(request: Request, body: CreateTicket) -> Response:
    now = datetime.now(UTC)
    fields = {"status": "open", "agent_note": None, "created_at": now, "updated_at": now}
    await request.state.write.tickets.insert_one(body.model_dump() | fields)
    return Response()


@app.patch("/tickets/{ticket_id}")
async def update_ticket(request: Request, ticket_id: TicketId, body: UpdateTicket) -> Response:
    await change(request.state.write, ticket_id, body.model_dump(exclude_none=True))
    return Response()


@app.post("/tickets/{ticket_id}/status")
async def update_status(request: Request, ticket_id: TicketId, body: UpdateStatus) -> Response:
    await change(request.state.write, ticket_id, {"status": body.new_status})
    return Response()


@app.post("/tickets/{ticket_id}/agent-note")
async def add_agent_note(request: Request, ticket_id: TicketId, body: AddAgentNote) -> Response:
    await change(request.state.write, ticket_id, {"agent_note": body.note})
    return Response()


@app.get("/tickets/{ticket_id}")
async def get_ticket(request: Request, ticket_id: TicketId) -> Response:
    await find_ticket(request.state.write, ticket_id)
    return Response()


@app.get("/tickets")
async def list_tickets(request: Request, query: Annotated[ListTickets, Query()]) -> Response:
    await find_rows(request.state.read, query)
    return Response()


@app.get("/dashboard")
async def get_dashboard(request: Request) -> Response:
    await find_counts(request.state.read)
    return Response()


async def change(db: Database, ticket_id: str, fields: Document) -> Any:
    condition: Document = {"_id": ObjectId(ticket_id)}
    if "status" in fields:
        condition["status"] = {"$ne": "closed"}
    return await db.tickets.find_one_and_update(
        condition,
        {"$set": fields, "$max": {"updated_at": datetime.now(UTC)}},
        return_document=ReturnDocument.AFTER,
    )


async def find_ticket(db: Database, ticket_id: str) -> Any:
    return await db.tickets.find_one({"_id": ObjectId(ticket_id)})


async def find_rows(db: Database, query: ListTickets) -> Any:
    wanted = query.model_dump(include={"status", "has_note"}, exclude_none=True)
    rows = db.ticket_reads.find(wanted).sort(NEWEST_FIRST).skip(query.skip).limit(query.limit)
    return await rows.to_list()


async def find_counts(db: Database) -> Any:
    return await db.dashboard.find_one({"at": {"$ne": None}})


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
