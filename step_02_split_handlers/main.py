"""The HTTP side of the tickets: each route hands over to a command or to a query."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response

from . import commands, errors, queries
from .commands import AddAgentNote, ChangeStatus, CreateTicket
from .database import Database, connect, database_name, mongodb_uri, without_hurry
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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with connect(mongodb_uri(), database_name()) as database:
        with without_hurry():
            await database.tickets.create_index([("updated_at", -1), ("_id", -1)])
            await database.tickets.create_index([("status", 1), ("updated_at", -1), ("_id", -1)])
        yield {"database": database}


async def get_database(request: Request) -> Database:
    return cast(Database, request.state.database)


TicketId = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]
OpenDatabase = Annotated[Database, Depends(get_database)]


command_routes = APIRouter(dependencies=[Depends(errors.refuse_other_json)])


@command_routes.post("/tickets", status_code=201, responses=errors.OF_CREATE)
async def create_ticket(body: CreateTicketBody, response: Response, db: OpenDatabase) -> Ticket:
    ticket = await commands.create_ticket(db, CreateTicket(**body.model_dump()))
    response.headers["Location"] = f"/tickets/{ticket['_id']}"
    return Ticket.model_validate(ticket)


@command_routes.patch("/tickets/{ticket_id}", responses=errors.OF_STATUS)
async def update_ticket(ticket_id: TicketId, body: UpdateTicketBody, db: OpenDatabase) -> Ticket:
    changes: list[ChangeStatus | AddAgentNote] = []
    if body.status is not None:
        changes.append(ChangeStatus(body.status))
    if body.agent_note is not None:
        changes.append(AddAgentNote(body.agent_note))
    return Ticket.model_validate(await commands.change_ticket(db, ticket_id, *changes))


@command_routes.post("/tickets/{ticket_id}/status", status_code=204, responses=errors.OF_STATUS)
async def change_status(ticket_id: TicketId, body: ChangeStatusBody, db: OpenDatabase) -> None:
    await commands.change_ticket(db, ticket_id, ChangeStatus(body.new_status))


@command_routes.post("/tickets/{ticket_id}/agent-note", status_code=204, responses=errors.OF_NOTE)
async def add_agent_note(ticket_id: TicketId, body: AddAgentNoteBody, db: OpenDatabase) -> None:
    await commands.change_ticket(db, ticket_id, AddAgentNote(body.note))


query_routes = APIRouter()


@query_routes.get("/tickets/{ticket_id}", responses=errors.OF_READ)
async def get_ticket(ticket_id: TicketId, db: OpenDatabase) -> Ticket:
    return await queries.get_ticket(db, ticket_id)


@query_routes.get("/tickets")
async def list_tickets(
    db: OpenDatabase,
    status: Status | None = None,
    has_note: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    skip: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> list[TicketListItem]:
    return await queries.list_tickets(db, status, has_note, limit, skip)


@query_routes.get("/dashboard")
async def get_dashboard(db: OpenDatabase) -> Dashboard:
    return await queries.get_dashboard(db)


app = FastAPI(
    title="Support tickets",
    lifespan=lifespan,
    max_body_size=1024 * 1024,
    exception_handlers=errors.HANDLERS,
    responses=errors.OF_ANY_ROUTE,
)
app.include_router(command_routes)
app.include_router(query_routes)
