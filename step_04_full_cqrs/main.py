"""The HTTP side of the tickets: each route hands over to a command or to a query."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request, Response

from . import commands, errors, queries
from .commands import AddAgentNote, ChangeStatus, CreateTicket, WriteSide
from .connections import connect_both
from .database import Database, Document, give_up, without_hurry
from .projector import open_projector, row_in_place
from .schemas import (
    AddAgentNoteBody,
    ChangeStatusBody,
    CreateTicketBody,
    Dashboard,
    Status,
    Ticket,
    TicketListItem,
    UpdateTicketBody,
)


async def get_write_side(
    request: Request, prefer: Annotated[list[str] | None, Header(include_in_schema=False)] = None
) -> WriteSide:
    # A second at most: the command is durable, whether the read side shows it or not.
    patience = 0 if "respond-async" in preferences(prefer or []) else 1

    async def projected(ticket: Document) -> None:
        await request.state.projected(ticket, patience)

    return WriteSide(request.state.write.tickets, projected)


def preferences(prefer: list[str]) -> list[str]:
    """Return the names of the preferences in the Prefer headers of a request (RFC 7240)."""
    return [each.partition(";")[0].strip().lower() for each in ",".join(prefer).split(",")]


async def get_write_database(request: Request) -> Database:
    return cast(Database, request.state.write)


async def get_read_database(request: Request) -> Database:
    return cast(Database, request.state.read)


TicketId = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]
OpenWriteSide = Annotated[WriteSide, Depends(get_write_side)]
WriteDatabase = Annotated[Database, Depends(get_write_database)]
ReadDatabase = Annotated[Database, Depends(get_read_database)]


command_routes = APIRouter(dependencies=[Depends(errors.refuse_other_json)])


@command_routes.post("/tickets", status_code=201, responses=errors.OF_CREATE)
async def create_ticket(body: CreateTicketBody, response: Response, db: OpenWriteSide) -> Ticket:
    ticket = await commands.create_ticket(db, CreateTicket(**body.model_dump()))
    response.headers["Location"] = f"/tickets/{ticket['_id']}"
    return Ticket.model_validate(ticket)


@command_routes.patch("/tickets/{ticket_id}", responses=errors.OF_STATUS)
async def update_ticket(ticket_id: TicketId, body: UpdateTicketBody, db: OpenWriteSide) -> Ticket:
    changes: list[ChangeStatus | AddAgentNote] = []
    if body.status is not None:
        changes.append(ChangeStatus(body.status))
    if body.agent_note is not None:
        changes.append(AddAgentNote(body.agent_note))
    return Ticket.model_validate(await commands.change_ticket(db, ticket_id, *changes))


@command_routes.post("/tickets/{ticket_id}/status", status_code=204, responses=errors.OF_STATUS)
async def change_status(ticket_id: TicketId, body: ChangeStatusBody, db: OpenWriteSide) -> None:
    await commands.change_ticket(db, ticket_id, ChangeStatus(body.new_status))


@command_routes.post("/tickets/{ticket_id}/agent-note", status_code=204, responses=errors.OF_NOTE)
async def add_agent_note(ticket_id: TicketId, body: AddAgentNoteBody, db: OpenWriteSide) -> None:
    await commands.change_ticket(db, ticket_id, AddAgentNote(body.note))


query_routes = APIRouter()


@query_routes.get("/tickets/{ticket_id}", responses=errors.OF_READ)
async def get_ticket(ticket_id: TicketId, db: WriteDatabase) -> Ticket:
    return await queries.get_ticket(db, ticket_id)


@query_routes.get("/tickets", response_model=list[TicketListItem])
async def list_tickets(
    db: ReadDatabase,
    status: Status | None = None,
    has_note: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    skip: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> list[Document]:
    return await queries.list_tickets(db, status, has_note, limit, skip)


@query_routes.get("/dashboard")
async def get_dashboard(db: ReadDatabase) -> Dashboard:
    return await queries.get_dashboard(db)


def create_app(*routers: APIRouter) -> FastAPI:
    """Create the app of both sides, or of one that is served alone."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        projector_is = os.environ.get("PROJECTOR", "inline")
        if projector_is not in ("inline", "external"):
            give_up(f"PROJECTOR is {projector_is!r}, but can only be inline or external")
        async with (
            connect_both(in_memory=len(routers) == 2) as (write, read),
            open_projector(write, read) as projector,
            asyncio.TaskGroup() as tasks,
        ):
            with without_hurry():
                await projector.catch_up()
            sides = {"write": write, "read": read}
            if projector_is == "inline" and command_routes in routers:
                running = tasks.create_task(projector.run(idle=0.5))
                yield sides | {"projected": projector.projected}
                running.cancel()
            else:
                yield sides | {"projected": partial(row_in_place, read)}

    app = FastAPI(
        title="Support tickets",
        lifespan=lifespan,
        max_body_size=1024 * 1024,
        exception_handlers=errors.HANDLERS,
        responses=errors.OF_ANY_ROUTE,
    )
    for router in routers:
        app.include_router(router)
    return app


app = create_app(command_routes, query_routes)
