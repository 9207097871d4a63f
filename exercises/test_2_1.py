"""Exercise 2.1: a new intent."""

import asyncio
import importlib

import pytest
from bson import ObjectId
from fastapi.testclient import TestClient

from step_02_split_handlers.database import Document, connect
from tests.requests import (
    NEW_TICKET,
    UNKNOWN_ID,
    add_note,
    assert_refused,
    change_status,
    create,
    read,
    read_list,
    wait_for_the_next_millisecond,
)
from tests.servers import STEPS

commands = importlib.import_module("step_02_split_handlers.commands")

pytestmark = pytest.mark.parametrize("step", STEPS[1:2], indirect=True)


def test_every_query_shows_the_new_subject(http: TestClient) -> None:
    ticket, _ = create(http), create(http)
    add_note(http, ticket, "Called back")
    change_status(http, ticket, "closed")
    before = read(http, ticket)
    wait_for_the_next_millisecond()
    path = f"/tickets/{ticket['id']}/subject"
    assert http.post(path, json={"new_subject": " Printer drowned "}).status_code == 204
    after = read(http, ticket)
    assert after == before | {"subject": "Printer drowned", "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert read_list(http)[0]["subject"] == "Printer drowned"


def test_a_subject_that_a_new_ticket_cannot_have_is_invalid(http: TestClient) -> None:
    ticket = create(http)
    path = f"/tickets/{ticket['id']}/subject"
    for body in {}, {"new_subject": " "}, {"new_subject": "x" * 201}, {"subject": "x"}:
        assert_refused(http.post(path, json=body), 422)
    assert read(http, ticket) == ticket
    assert_refused(http.post(f"/tickets/{UNKNOWN_ID}/subject", json={"new_subject": "x"}), 404)


@pytest.mark.usefixtures("step")
def test_it_is_a_command_that_applies_together_with_others_or_not_at_all() -> None:
    async def try_both() -> Document | None:
        async with connect(None, "support") as db:
            new = await commands.create_ticket(db, commands.CreateTicket(**NEW_TICKET))
            ticket_id = str(new["_id"])
            rename, close = commands.RenameTicket("Drowned"), commands.ChangeStatus("closed")
            closed = await commands.change_ticket(db, ticket_id, rename, close)
            assert (closed["subject"], closed["status"]) == ("Drowned", "closed")
            rename, reopen = commands.RenameTicket("Dry"), commands.ChangeStatus("open")
            with pytest.raises(commands.ClosedTicketReopened):
                await commands.change_ticket(db, ticket_id, rename, reopen)
            return await db.tickets.find_one({"_id": ObjectId(ticket_id)})

    ticket = asyncio.run(try_both())
    assert ticket is not None
    assert ticket["subject"] == "Drowned"
