"""Somebody changes step 4's databases by hand. It goes on, and ends exact."""

import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import CodecOptions, ObjectId, encode
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from fastapi.testclient import TestClient
from pymongo.collection import Collection
from pymongo.database import Database

from step_03_projections.main import app as step_3
from step_04_full_cqrs.main import app

from ..support.recount import STATUSES, Document, read_list, tickets_of_step_1
from ..support.requests import create, patch
from ..support.servers import at_once, run_to_end, running, wait_until
from ..support.sides import CLOSE, PROJECTOR, REBUILD, both_sides, is_exact, wait_until_projected

Harm = Callable[[Collection[Document], Database[Document]], object]


def whole(**changes: Any) -> Document:
    """Return an open ticket as a step stores it, with these changes."""
    return {"_id": ObjectId(), **tickets_of_step_1(1)[0], **changes}


def without(field: str) -> Document:
    ticket = whole()
    del ticket[field]
    return ticket


def nested(depth: int) -> Document:
    return {"deeper": nested(depth - 1)} if depth else {}


# It is not shown, and it is not counted.
STATUSLESS = [
    {"_id": ObjectId()},
    without("status"),
    *(
        whole(status=status)
        for status in (None, 5, "", "at", "a.b", "$inc", "Open", "open\0", ["open"], {"open": 1})
    ),
]
# Counted as open, but not shown: the list cannot show them.
UNREADABLE = [
    *(without(field) for field in ("subject", "message", "agent_note", "updated_at")),
    *(whole(message=message) for message in (None, 5, ["a"], {"a": 1})),
    *(whole(subject=subject) for subject in (None, 5, ["a"], nested(150))),
    *(whole(updated_at=moment) for moment in (None, "today", DatetimeMS(2**60))),
]
# Strange, but shown.
READABLE: list[Any] = [
    whole(**{"at": 5, "resume": 5, "as_of": 5, "a.b": 5, "$inc": {"open": 5}, "deep": nested(150)}),
    whole(subject="$message", message="$$ROOT"),
    *(
        whole(_id=strange)
        for strange in (None, 5, "", "a.b", "$inc", True, b"a", {}, {"a": {"b": 1}}, {"a.b": 1})
    ),
    whole(_id=datetime.now(UTC)),
    RawBSONDocument(
        encode(whole(subject="no UTF-8")).replace(b"no UTF-8", b"\xff" * 8),
        CodecOptions(RawBSONDocument, unicode_decode_error_handler="replace"),
    ),
]
ODD: list[Any] = [*STATUSLESS, *UNREADABLE, *READABLE]


def assert_exact(http: TestClient, tickets: Collection[Document]) -> None:
    """Check what is served if some of the odd tickets are among the tickets."""
    there = tickets.find({}, ["status"]).to_list()
    counts = {each: sum(ticket.get("status") == each for ticket in there) for each in STATUSES}
    assert http.get("/dashboard").json() == counts
    hidden = [ticket["_id"] for ticket in [*STATUSLESS, *UNREADABLE]]
    shown = sorted(str(ticket["_id"]) for ticket in there if ticket["_id"] not in hidden)
    assert sorted(item["id"] for item in read_list(http, {})) == shown


def test_odd_tickets_stop_no_other_whether_they_are_built_or_projected(
    tickets: Collection[Document], caplog: pytest.LogCaptureFixture
) -> None:
    # Together more than a build reads at once.
    tickets.insert_many([*ODD, *tickets_of_step_1(500)])
    for _ in range(2):
        with TestClient(app) as http:  # it builds them only the first time
            assert_exact(http, tickets)
            create(http)
            assert_exact(http, tickets)
            for ticket in ODD:
                assert tickets.delete_one({"_id": ticket["_id"]}).deleted_count
            create(http)
            assert is_exact(http, tickets)

            tickets.insert_many(ODD)
            create(http)
            assert_exact(http, tickets)
            tickets.update_many({}, {"$inc": {"touched": 1}})
            create(http)
            assert_exact(http, tickets)
    for ticket in [*STATUSLESS, *UNREADABLE]:
        assert f"Ticket {ticket['_id']} cannot be shown" in caplog.text


# Whole collections


def drop_tickets(tickets: Collection[Document], read_side: Database[Document]) -> None:
    tickets.drop()


def rename_tickets(tickets: Collection[Document], read_side: Database[Document]) -> None:
    tickets.rename("elsewhere", dropTarget=True)


def rename_tickets_and_back(tickets: Collection[Document], read_side: Database[Document]) -> None:
    tickets.rename("elsewhere", dropTarget=True)
    # A projector may have made an empty one meanwhile.
    tickets.database.elsewhere.rename("tickets", dropTarget=True)


def make_tickets_anew(tickets: Collection[Document], read_side: Database[Document]) -> None:
    tickets.drop()
    tickets.insert_many(tickets_of_step_1(5))  # into a collection without pre-images


def restore_tickets(tickets: Collection[Document], read_side: Database[Document]) -> None:
    tickets.database.backup.insert_many(tickets_of_step_1(5))
    tickets.database.backup.rename("tickets", dropTarget=True)


def turn_images_off(tickets: Collection[Document], read_side: Database[Document]) -> None:
    tickets.database.command("collMod", "tickets", changeStreamPreAndPostImages={"enabled": False})
    tickets.update_one({"status": "open"}, {"$set": CLOSE})


def turn_images_off_and_on(tickets: Collection[Document], read_side: Database[Document]) -> None:
    turn_images_off(tickets, read_side)
    tickets.delete_one({"status": "triaged"})
    tickets.database.command("collMod", "tickets", changeStreamPreAndPostImages={"enabled": True})


def delete_dashboard(tickets: Collection[Document], read_side: Database[Document]) -> None:
    read_side.dashboard.delete_many({})


def forget_position(tickets: Collection[Document], read_side: Database[Document]) -> None:
    read_side.dashboard.update_one({}, {"$unset": {"at": "", "resume": ""}})


def drop_dashboard(tickets: Collection[Document], read_side: Database[Document]) -> None:
    read_side.dashboard.drop()


def drop_rows(tickets: Collection[Document], read_side: Database[Document]) -> None:
    read_side.ticket_reads.drop()


def drop_read_side(tickets: Collection[Document], read_side: Database[Document]) -> None:
    read_side.client.drop_database(read_side)


def drop_everything(tickets: Collection[Document], read_side: Database[Document]) -> None:
    read_side.client.drop_database(read_side)
    read_side.client.drop_database(tickets.database)


HARMS: list[Harm] = [
    drop_tickets,
    rename_tickets,
    rename_tickets_and_back,
    make_tickets_anew,
    restore_tickets,
    turn_images_off,
    turn_images_off_and_on,
    delete_dashboard,
    forget_position,
    drop_dashboard,
    drop_read_side,
    drop_everything,
]


@pytest.mark.parametrize("harm", HARMS)
def test_commands_go_on_and_a_running_projector_heals(
    harm: Harm, tickets: Collection[Document], read_side: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app) as http:
        harm(tickets, read_side)
        ticket = create(http)
        patch(http, ticket, **CLOSE)
        wait_until(lambda: is_exact(http, tickets))
        create(http)
        assert is_exact(http, tickets)


@pytest.mark.parametrize("harm", [*HARMS, drop_rows])
def test_what_happened_while_nobody_projected_is_healed_before_the_port_opens(
    harm: Harm, tickets: Collection[Document], read_side: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app):
        pass
    harm(tickets, read_side)
    with TestClient(both_sides, headers={"Prefer": "respond-async"}) as http:
        patch(http, create(http), **CLOSE)
    with TestClient(app) as http:
        assert is_exact(http, tickets)
        create(http)
        assert is_exact(http, tickets)


def test_a_read_side_that_is_lost_while_nothing_happens_is_built_anew_within_seconds(
    tickets: Collection[Document],
    read_side: Database[Document],
    caplog: pytest.LogCaptureFixture,
) -> None:
    tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app) as http:
        caplog.clear()
        drop_rows(tickets, read_side)
        wait_until(lambda: is_exact(http, tickets))
        wait_until(lambda: "built anew" in caplog.text)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_no_trouble_ends_a_projector(
    tickets: Collection[Document], read_side: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(30))
    with (
        at_once(*(running(PROJECTOR) for _ in range(3))) as projectors,
        TestClient(both_sides, headers={"Prefer": "respond-async"}) as http,
    ):
        wait_until_projected(tickets, read_side)
        for harm in random.sample(HARMS, len(HARMS)):
            tickets.insert_many([*tickets_of_step_1(3), *ODD])
            harm(tickets, read_side)
            create(http)
            tickets.delete_many({"_id": {"$in": [ticket["_id"] for ticket in ODD]}})
        wait_until(lambda: is_exact(http, tickets))
        create(http)
        wait_until(lambda: is_exact(http, tickets))
        assert all(projector.poll() is None for projector in projectors)


# One step after another, and a ticket that comes back


@pytest.mark.parametrize("count", [0, 30])
def test_a_rebuild_may_come_before_step_4_ever_ran(
    count: int, tickets: Collection[Document]
) -> None:
    if count:
        tickets.insert_many(tickets_of_step_1(count))
    assert run_to_end(REBUILD).returncode == 0
    for step in (step_3, app, step_3, app):
        with TestClient(step) as http:
            assert is_exact(http, tickets)
            patch(http, create(http), **CLOSE)
            create(http)
            assert is_exact(http, tickets)


def test_a_ticket_that_is_deleted_and_put_back_by_hand_goes_and_comes_in_the_list(
    tickets: Collection[Document], read_side: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app) as http:
        for status, later in itertools.permutations(STATUSES, 2):
            ticket = tickets.find_one_and_delete({"status": status, "touched": None})
            assert ticket
            wait_until_projected(tickets, read_side)
            assert is_exact(http, tickets)
            tickets.insert_one(ticket | {"status": later})
            wait_until_projected(tickets, read_side)
            assert is_exact(http, tickets)


def test_tickets_that_go_and_come_in_one_batch_end_as_they_are(
    tickets: Collection[Document], caplog: pytest.LogCaptureFixture
) -> None:
    tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app):
        pass
    caplog.clear()
    for number, ticket in enumerate(tickets.find().to_list()):
        for later in itertools.islice(itertools.cycle(STATUSES), number % 7):
            tickets.delete_one({"_id": ticket["_id"]})
            tickets.insert_one(ticket)
            tickets.update_one({"_id": ticket["_id"]}, {"$set": {"status": later}})
        if number % 2:
            tickets.delete_one({"_id": ticket["_id"]})
    with TestClient(app) as http:
        assert is_exact(http, tickets)
    assert caplog.text == ""
