"""The contract: what a ticket is, field by field."""

import re
from datetime import UTC, datetime, timedelta

from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from pytest import MonkeyPatch

from ..support.clock import stop_clock
from ..support.requests import (
    NEW_TICKET,
    WHITE_SPACE,
    Json,
    add_note,
    assert_refused,
    change_status,
    commands_on,
    create,
    now,
    patch,
    read,
    read_list_item,
    updated_at,
    wait_for_the_next_millisecond,
)

LONGEST = {"customer_id": 100, "subject": 200, "message": 20_000}
NOT_WHITE_SPACE = "\0\x1c\x1d\x1e\x1f\u200b\ufeff"
TEXTS = [
    "indented\r\n\t  and\rbroken\n\u2028lines",
    "\0 at the start, \0 in the middle, at the end \0",
    "e\u0301 is not \u00e9",
    '😀 "quoted" \\ <b>&amp;</b> {"$ne": null}',
]


def shown_notes(http: TestClient, ticket: Json, note: str) -> set[str | None]:
    """What becomes of a note. It is the same on both routes."""
    add_note(http, ticket, note)
    details = read(http, ticket)
    add_note(http, ticket, "something else")
    answer = patch(http, ticket, agent_note=note)
    return {details["agent_note"], answer["agent_note"], read(http, ticket)["agent_note"]}


def test_a_new_ticket_is_open_and_has_no_note(http: TestClient) -> None:
    response = http.post("/tickets", json=NEW_TICKET)
    ticket = response.json()
    assert response.status_code == 201
    assert ticket == NEW_TICKET | {
        "id": ticket["id"],
        "status": "open",
        "agent_note": None,
        "created_at": ticket["created_at"],
        "updated_at": ticket["updated_at"],
    }


def test_an_id_is_24_lower_case_hex_digits_and_unique(http: TestClient) -> None:
    ids = [create(http)["id"] for _ in range(5)]
    assert all(re.fullmatch("[0-9a-f]{24}", each) for each in ids)
    assert len(set(ids)) == len(ids)


def test_a_text_of_a_new_ticket_is_measured_after_it_is_trimmed(http: TestClient) -> None:
    for field, longest in LONGEST.items():
        for text in "x", f"x{WHITE_SPACE}x", "x" * longest, "😀" * longest:
            padded = f"{WHITE_SPACE}{text}{WHITE_SPACE}"
            assert create(http, **{field: padded})[field] == text
        for text in "", WHITE_SPACE, " " * longest, "x" * (longest + 1), "😀" * (longest + 1):
            assert_refused(http.post("/tickets", json=NEW_TICKET | {field: text}), 422)


def test_a_note_is_measured_after_it_is_trimmed(http: TestClient) -> None:
    ticket = create(http)
    for note in "", "x", f"x{WHITE_SPACE}x", "x" * 20_000, "😀" * 20_000:
        assert shown_notes(http, ticket, f"{WHITE_SPACE}{note}{WHITE_SPACE}") == {note}
    before = read(http, ticket)
    path = f"/tickets/{ticket['id']}"
    for note in "x" * 20_001, "😀" * 20_001:
        assert_refused(http.patch(path, json={"agent_note": note}), 422)
        assert_refused(http.post(f"{path}/agent-note", json={"note": note}), 422)
    assert read(http, ticket) == before


def test_only_white_space_is_trimmed(http: TestClient) -> None:
    for character in NOT_WHITE_SPACE:
        given = dict.fromkeys(LONGEST, character)
        ticket = create(http, **given)
        assert ticket == ticket | given
        assert shown_notes(http, ticket, character) == {character}


def test_a_text_is_shown_as_it_was_given(http: TestClient) -> None:
    for text in TEXTS:
        given = dict.fromkeys(LONGEST, text)
        ticket = create(http, **given)
        assert ticket == ticket | given
        assert shown_notes(http, ticket, text) == {text}
        assert read(http, ticket) == read(http, ticket) | given
        assert read_list_item(http, ticket)["subject"] == text


def test_an_escaped_surrogate_pair_is_one_character(http: TestClient) -> None:
    body = rb'{"customer_id": "c", "subject": "%b", "message": "m"}' % (rb"\ud83d\ude00" * 200)
    response = http.post("/tickets", content=body, headers={"Content-Type": "application/json"})
    assert response.json()["subject"] == "😀" * 200


def test_a_note_is_null_until_it_is_added_and_cleared_by_the_empty_one(http: TestClient) -> None:
    ticket = create(http)
    change_status(http, ticket, "triaged")
    assert read(http, ticket)["agent_note"] is None
    add_note(http, ticket, "Called back")
    assert shown_notes(http, ticket, "") == {""}


def test_a_timestamp_is_in_utc_and_to_the_millisecond_as_pydantic_writes_it(
    http: TestClient,
) -> None:
    start = now()
    for _ in range(5):
        ticket = create(http)
        for answer in ticket, patch(http, ticket, agent_note="Called back"):
            for text in answer["created_at"], answer["updated_at"]:
                moment = datetime.fromisoformat(text)
                assert start <= moment <= now()
                assert moment.microsecond % 1000 == 0
                in_utc = moment.astimezone(UTC)
                assert text == TypeAdapter(datetime).dump_python(in_utc, mode="json")


def test_a_create_or_update_answers_what_every_later_read_answers(http: TestClient) -> None:
    for _ in range(3):
        ticket = create(http)
        assert read(http, ticket) == read(http, ticket) == ticket
        assert read_list_item(http, ticket)["updated_at"] == ticket["updated_at"]
        ticket = patch(http, ticket, status="triaged", agent_note="Called back")
        assert read(http, ticket) == read(http, ticket) == ticket
        assert read_list_item(http, ticket)["updated_at"] == ticket["updated_at"]


def test_every_accepted_change_sets_updated_at_and_leaves_created_at(http: TestClient) -> None:
    ticket = create(http)
    path = f"/tickets/{ticket['id']}"
    close = ("POST", f"{path}/status", {"new_status": "closed"})
    note = ("POST", f"{path}/agent-note", {"note": "Called back"})
    commands = commands_on(ticket["id"])
    for method, path, body in [*commands, *commands, close, close, note]:
        wait_for_the_next_millisecond()
        start = now()
        assert http.request(method, path, json=body).is_success
        after = read(http, ticket)
        assert start <= updated_at(after) <= now()
        assert after["created_at"] == ticket["created_at"]


def test_updated_at_never_goes_back_even_where_the_clock_does(
    http: TestClient, step: str, monkeypatch: MonkeyPatch
) -> None:
    ticket = create(http)
    ahead = now() + timedelta(hours=1)
    stop_clock(step, ahead, monkeypatch)
    assert updated_at(patch(http, ticket, status="triaged")) == ahead
    for clock in ahead - timedelta(hours=1), ahead - timedelta(milliseconds=1):
        stop_clock(step, clock, monkeypatch)
        assert updated_at(patch(http, ticket, status="open")) == ahead
        assert updated_at(read_list_item(http, ticket)) == ahead
        change_status(http, ticket, "triaged")
        assert updated_at(read(http, ticket)) == ahead
        add_note(http, ticket, f"Called back at {clock}")
        assert updated_at(read(http, ticket)) == ahead
        assert updated_at(read_list_item(http, ticket)) == ahead
