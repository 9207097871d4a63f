"""Readers hop between the steps on the same tickets: each step that starts shows all of them."""

import importlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from ..support.recount import Document, recount, served, tickets_of_step_1
from ..support.requests import add_note, change_status, create, patch, read
from ..support.servers import STEPS, run_to_end, wait_until

# Each step is followed by each, also by itself.
WALKS = [(1, 1, 2, 1, 3, 1), (1, 4, 2, 2, 3, 2), (2, 4, 3, 3, 4, 4, 1)]
EACH_FIRST = [(1, 4, 3), (2, 3, 4), (3, 4, 2), (4, 3, 1)]
CLOCKS = [timedelta(), timedelta(days=1), timedelta(minutes=-2)]  # compared with ours
_, _, STEP_3, STEP_4 = STEPS


@pytest.fixture
def db(mongo: MongoClient[Document], database: str) -> Database[Document]:
    return mongo[database]


def client_of(step: str) -> TestClient:
    return TestClient(importlib.import_module(f"{step}.main").app)


@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_each_step_answers_for_all_that_was_acknowledged_before_it_started(
    walk: tuple[int, ...], db: Database[Document]
) -> None:
    db.tickets.insert_many(tickets_of_step_1(30))
    hop(walk, db)


@pytest.mark.parametrize("walk", EACH_FIRST, ids=str)
def test_each_step_opens_what_an_earlier_version_left(
    walk: tuple[int, ...], db: Database[Document], mongo: MongoClient[Document]
) -> None:
    read_db = mongo[f"{db.name}_read"]
    leave_old_data(db, read_db)
    hop(walk, db)
    [dashboard] = read_db.dashboard.find()  # the new one took the place of the old one
    assert "at" in dashboard


def hop(walk: tuple[int, ...], db: Database[Document]) -> None:
    """Work in one step after the other, also as steps on machines with other clocks would."""
    acknowledged = {str(each["_id"]): to_details(each) for each in db.tickets.find()}
    for number in walk:
        with client_of(STEPS[number - 1]) as http:
            assert served(http) == recount(db.tickets)
            for ticket in acknowledged.values():
                assert read(http, ticket) == ticket
            acknowledged |= {ticket["id"]: ticket for ticket in work_on(http, db.tickets)}
            assert served(http) == recount(db.tickets)
        for clock in CLOCKS:
            acknowledged |= written_by_another_clock(db.tickets, clock)


def longest_open(tickets: Collection[Document], number: int) -> list[Document]:
    return tickets.find({"status": "open"}, sort=[("updated_at", 1)], limit=number).to_list()


def work_on(http: TestClient, tickets: Collection[Document]) -> list[Document]:
    """Create a ticket, and change three others, each in a different way. Return all four."""
    new = create(http)
    first, second, third = [{"id": str(each["_id"])} for each in longest_open(tickets, 3)]
    change_status(http, first, "closed")
    add_note(http, second, "Called back")
    patched = patch(http, third, status="triaged", agent_note="Called back")
    return [new, read(http, first), read(http, second), patched]


def written_by_another_clock(
    tickets: Collection[Document], clock: timedelta
) -> dict[str, Document]:
    """Create, triage and note as step 1 would on another machine. Return what it would answer."""
    moment = datetime.now(UTC) + clock
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    first, second = longest_open(tickets, 2)
    new: Document = tickets_of_step_1(1)[0] | {"created_at": moment, "updated_at": moment}
    tickets.insert_one(new)
    tickets.update_one(
        {"_id": first["_id"]}, {"$set": {"status": "triaged"}, "$max": {"updated_at": moment}}
    )
    tickets.update_one(
        {"_id": second["_id"]}, {"$set": {"agent_note": "?"}, "$max": {"updated_at": moment}}
    )
    written = tickets.find({"_id": {"$in": [new["_id"], first["_id"], second["_id"]]}})
    return {str(ticket["_id"]): to_details(ticket) for ticket in written}


def to_details(ticket: Document) -> Document:
    details = {key: ticket[key] for key in ("customer_id", "subject", "message", "status")}
    moments = {
        key: ticket[key].isoformat().replace("+00:00", "Z") for key in ("created_at", "updated_at")
    }
    return {"id": str(ticket["_id"]), **details, "agent_note": ticket["agent_note"], **moments}


def leave_old_data(db: Database[Document], read_db: Database[Document]) -> None:
    """Store what an earlier version of these steps left, after its steps 1, 3 and 4 worked here."""
    tickets = tickets_of_step_1(30)
    for number, ticket in enumerate(tickets):
        ticket["_id"] = ObjectId()
        if number % 4 == 1:  # changed in step 3
            ticket |= {"version": 3}
        if number % 4 == 2:  # changed in step 4, and projected
            ticket |= {"version": 2, "message": "  A line,\r\nand another \n", "agent_note": " \n"}
        if number % 4 == 3:  # step 4 was killed while it changed them
            ticket |= {"version": 7, "unprojected": True}
        if number % 16 == 3:  # unreadable for a while, and repaired by hand
            ticket |= {"parked": "KeyError('message')"}
    db.tickets.insert_many(tickets)
    newest_first = [("updated_at", -1), ("_id", -1)]
    unprojected = {"unprojected": True}
    db.tickets.create_index(newest_first)
    db.tickets.create_index([("status", 1), *newest_first])
    db.tickets.create_index("unprojected", partialFilterExpression=unprojected)

    # Its rows and counts do not fit these tickets: they are from earlier.
    rows = [old_row(ticket) for ticket in tickets[:20]]
    for each in (db, read_db):
        each.ticket_list.create_index(newest_first)
        each.ticket_list.create_index([("status", 1), *newest_first])
    db.ticket_list.insert_many(rows)
    db.dashboard.insert_one({"_id": "dashboard", "open": 5, "triaged": 5, "closed": 5})
    read_db.ticket_list.insert_many(row | {"gen": 1700000000000} for row in rows)
    read_db.dashboard.insert_one(old_dashboard(rows))


def old_row(ticket: Document) -> Document:
    moment = ticket["updated_at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "_id": ticket["_id"],
        "subject": ticket["subject"],
        "status": "open",
        "updated_at": moment,
        "preview": "It smokes",
        "has_note": False,
        "version": ticket.get("version", 0),
    }


def old_dashboard(rows: list[Document]) -> Document:
    return {
        "_id": "dashboard",
        "open": 5,
        "triaged": 5,
        "closed": 5,
        "seq": 42,
        "gen": 1700000000000,
        "batch": {"new": [rows[0] | {"gen": 1700000000000}], "newer": []},
        "rebuild": None,
    }


def test_an_earlier_version_may_come_back_in_between(
    db: Database[Document], mongo: MongoClient[Document]
) -> None:
    db.tickets.insert_many(tickets_of_step_1(30))
    for _ in range(2):
        with client_of(STEP_4) as http:
            assert served(http) == recount(db.tickets)
        dashboard = old_dashboard([old_row(each) for each in db.tickets.find()])
        mongo[f"{db.name}_read"].dashboard.replace_one({}, dashboard)
        written_by_another_clock(db.tickets, timedelta())


# What somebody did by hand


def lose_rows(db: Database[Document]) -> None:
    db.ticket_reads.delete_many({"status": {"$ne": "triaged"}})


def lose_all_rows(db: Database[Document]) -> None:
    db.ticket_reads.delete_many({})


def lose_the_collection(db: Database[Document]) -> None:
    db.ticket_reads.drop()


@pytest.mark.parametrize("harm", [lose_rows, lose_all_rows, lose_the_collection])
def test_step_3_puts_rows_that_are_gone_back_in_place_at_its_next_start(
    harm: Callable[[Database[Document]], None], db: Database[Document]
) -> None:
    db.tickets.insert_many(tickets_of_step_1(30))
    for _ in range(2):
        with client_of(STEP_3) as http:
            assert served(http) == recount(db.tickets)
        harm(db)


def delete(tickets: Collection[Document], ticket: Document) -> None:
    tickets.delete_one({"_id": ticket["_id"]})


def put_back(tickets: Collection[Document], backup: Document) -> None:
    tickets.replace_one({"_id": backup["_id"]}, backup, upsert=True)


def test_a_ticket_deleted_or_put_back_by_hand_is_right_in_step_3_after_a_rebuild(
    db: Database[Document],
) -> None:
    db.tickets.insert_many(tickets_of_step_1(30))
    with client_of(STEP_3) as http:
        deleted, restored, both = [create(http) for _ in range(3)]
        backups = {str(each["_id"]): each for each in db.tickets.find()}
        for ticket in (deleted, restored, both):
            patch(http, ticket, status="closed", agent_note="Called back")
        create(http)
    delete(db.tickets, backups[deleted["id"]])
    put_back(db.tickets, backups[restored["id"]])
    delete(db.tickets, backups[both["id"]])
    put_back(db.tickets, backups[both["id"]])
    assert run_to_end(f"{STEP_3}.rebuild").returncode == 0
    with client_of(STEP_3) as http:
        assert served(http) == recount(db.tickets)
        patch(http, restored, status="triaged")
        assert served(http) == recount(db.tickets)


def test_a_ticket_deleted_or_put_back_by_hand_reaches_step_4_by_itself(
    db: Database[Document],
) -> None:
    db.tickets.insert_many(tickets_of_step_1(30))
    with client_of(STEP_4) as http:
        ticket = create(http)
        [backup] = db.tickets.find({"_id": ObjectId(ticket["id"])})
        patch(http, ticket, status="closed", agent_note="Called back")
        for change in (put_back, delete, put_back):
            change(db.tickets, backup)
            wait_until(lambda: served(http) == recount(db.tickets))
    delete(db.tickets, backup)
    with client_of(STEP_4) as http:
        assert served(http) == recount(db.tickets)
