"""The tickets of `make seed`: drawn, sent to a step that is running, stored for the next one."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer, SimpleHTTPRequestHandler
from itertools import islice
from statistics import mean
from string import Formatter
from threading import Thread
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions
from faker import Faker
from pymongo.collection import Collection

from step_01_crud.schemas import AddAgentNote, CreateTicket
from workbench.errors import Refusal
from workbench.mongod import free_port
from workbench.pastes import CUSTOMER_MAILS, SUPPORT_MAILS
from workbench.seed import send_tickets, store_tickets
from workbench.templates import ASIDES, CLOSINGS, GREETINGS, TEMPLATES
from workbench.tickets import draw_customer, draw_facts, draw_templates, draw_tickets

from ..support.recount import STATUSES
from ..support.requests import now, updated_at
from ..support.servers import STEPS, serve
from ..support.sides import is_exact

Document = dict[str, Any]

NOW = datetime(2026, 11, 26, 5, 45, 30, 123_456, tzinfo=UTC)


@pytest.fixture(scope="module")
def drawn() -> list[Document]:
    return list(draw_tickets(400, NOW, seed=1))


def test_the_same_seed_and_time_give_the_same_tickets(drawn: list[Document]) -> None:
    assert list(draw_tickets(400, NOW, seed=1)) == drawn


def test_another_seed_and_no_seed_give_other_tickets() -> None:
    messages = [next(draw_tickets(1, NOW, seed))["message"] for seed in (1, 2, None, None)]
    assert len(set(messages)) == 4


def test_a_ticket_is_one_that_the_contract_lets_somebody_create(drawn: list[Document]) -> None:
    for ticket in drawn:
        body = {name: ticket[name] for name in ("customer_id", "subject", "message")}
        assert CreateTicket(**body).model_dump() == body
        assert ticket["status"] in STATUSES
        if ticket["agent_note"] is not None:
            assert AddAgentNote(note=ticket["agent_note"]).note == ticket["agent_note"] != ""


def test_a_ticket_is_stored_as_step_1_stores_it(drawn: list[Document]) -> None:
    names = ["customer_id", "subject", "message", "status", "agent_note", "created_at"]
    for ticket in drawn:
        assert list(ticket) == ["_id", *names, "updated_at"]
        # MongoDB keeps milliseconds, in UTC.
        read: Document = bson.decode(bson.encode(ticket), CodecOptions(tz_aware=True))
        assert read == ticket


def test_tickets_are_of_the_last_six_weeks_the_oldest_first(drawn: list[Document]) -> None:
    for ticket in drawn:
        assert NOW - timedelta(weeks=6) <= ticket["created_at"] <= ticket["updated_at"] <= NOW
        assert ticket["_id"].generation_time == ticket["created_at"].replace(microsecond=0)
    assert drawn == sorted(drawn, key=lambda ticket: ticket["created_at"])
    assert drawn[0]["created_at"] < NOW - timedelta(weeks=5)
    assert drawn[-1]["created_at"] > NOW - timedelta(days=3)


def test_what_an_agent_has_touched_has_changed_after_it_was_created(drawn: list[Document]) -> None:
    for ticket in drawn:
        untouched = ticket["status"] == "open" and ticket["agent_note"] is None
        assert untouched == (ticket["created_at"] == ticket["updated_at"])


def test_most_happens_in_working_hours(drawn: list[Document]) -> None:
    for name in ("created_at", "updated_at"):
        moments = [ticket[name] for ticket in drawn]
        assert 0.7 < mean(each.weekday() < 5 and 8 <= each.hour < 18 for each in moments) < 1


def test_half_is_open_and_what_is_closed_mostly_has_a_note(drawn: list[Document]) -> None:
    counts = Counter(ticket["status"] for ticket in drawn)
    notes = Counter(ticket["status"] for ticket in drawn if ticket["agent_note"])
    assert [counts[status] for status in STATUSES] == pytest.approx([200, 80, 120], abs=30)
    assert notes.total() == pytest.approx(120, abs=30)
    assert notes["closed"] > 0.5 * counts["closed"]


def test_some_customers_have_several_tickets(drawn: list[Document]) -> None:
    tickets_of = Counter(ticket["customer_id"] for ticket in drawn)
    assert len(tickets_of) > 150
    assert sum(count > 1 for count in tickets_of.values()) > 50


def test_nobody_writes_the_same_twice(drawn: list[Document]) -> None:
    notes = [ticket["agent_note"] for ticket in drawn if ticket["agent_note"]]
    assert len({ticket["message"] for ticket in drawn}) == len(drawn)
    assert len(set(notes)) == len(notes)


def test_a_page_of_the_list_looks_like_one_of_a_real_desk(drawn: list[Document]) -> None:
    newest_first = sorted(drawn, key=lambda ticket: ticket["updated_at"], reverse=True)
    for first in range(0, len(drawn), 20):
        page = newest_first[first : first + 20]
        assert len({ticket["subject"] for ticket in page}) > 15
        assert len({ticket["message"][:80] for ticket in page}) > 15


def test_each_template_comes_once_before_one_comes_again() -> None:
    once = list(islice(draw_templates(Faker()), len(TEMPLATES)))
    assert all(template in once for template in TEMPLATES)
    assert len(TEMPLATES) >= 40


def test_a_message_has_four_kilobytes_on_average(drawn: list[Document]) -> None:
    sizes = [len(ticket["message"].encode()) for ticket in drawn]
    assert 3_500 < mean(sizes) < 4_500
    assert min(sizes) < 300
    assert 7_000 < max(sizes) < 8_500


def test_texts_speak_of_nothing_but_the_facts_of_their_ticket() -> None:
    texts = [*GREETINGS, *CLOSINGS, *ASIDES, *CUSTOMER_MAILS, *SUPPORT_MAILS]
    for template in TEMPLATES:
        texts += [*template.subjects, template.message, template.note]
    fake = Faker()
    facts = draw_facts(fake, draw_customer(fake), NOW)
    spoken_of = {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}
    assert spoken_of == set(facts)


def test_tickets_are_sent_to_the_step_that_is_running(tickets: Collection[Document]) -> None:
    start = now()
    with serve(f"{STEPS[3]}.main:app") as server:
        asyncio.run(send_tickets(str(server.http.base_url), 60))
        assert is_exact(server.http, tickets)
        counts = server.http.get("/dashboard").json()
        assert sum(counts.values()) == 60
        assert all(counts.values())
        assert server.http.get("/tickets", params={"has_note": True}).json()
        [oldest] = server.http.get("/tickets", params={"skip": 59}).json()
        assert updated_at(oldest) >= start


def test_tickets_are_sent_to_the_command_side_alone(tickets: Collection[Document]) -> None:
    with serve(f"{STEPS[3]}.command_api:app") as server:
        asyncio.run(send_tickets(str(server.http.base_url), 2))
        assert tickets.count_documents({}) == 2


@pytest.mark.parametrize("step", [STEPS[0], STEPS[2], STEPS[3]])
def test_tickets_that_are_stored_are_shown_by_the_next_start_of_a_step(
    step: str, mongod: str, tickets: Collection[Document]
) -> None:
    for all_tickets in (120, 240):
        store_tickets(mongod, 120)
        with serve(f"{step}.main:app") as server:
            assert is_exact(server.http, tickets)
            assert sum(server.http.get("/dashboard").json().values()) == all_tickets
            [oldest] = server.http.get("/tickets", params={"skip": all_tickets - 1}).json()
            assert updated_at(oldest) < now() - timedelta(weeks=4)


@pytest.fixture
def something_else() -> Iterator[str]:
    """The URL of a server that is not a step."""
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_sending_is_refused_where_no_step_answers(something_else: str) -> None:
    for service in (f"http://127.0.0.1:{free_port()}", something_else):
        with pytest.raises(Refusal, match=f"No step answers at {service}"):
            asyncio.run(send_tickets(service, 1))


@pytest.mark.slow  # the driver waits two seconds for a MongoDB
def test_storing_is_refused_where_no_mongodb_answers() -> None:
    with pytest.raises(Refusal, match="stopped after 0 tickets"):
        store_tickets(f"mongodb://127.0.0.1:{free_port()}", 1)
