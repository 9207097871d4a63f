"""The contract: what a ticket is, field by field."""

import re

from fastapi.testclient import TestClient

from .requests import (
    NEW_TICKET,
    add_note,
    assert_refused,
    change_status,
    commands_on,
    create,
    now,
    patch,
    read,
    read_list_item,
    wait_for_the_next_millisecond,
)

WHITE_SPACE = " \t\n\v\f\r\u0085\u00a0\u2028\u3000"
NOT_TRIMMED = ["\0", "\x1c", "\x1f", "\u200b", "\ufeff"]
TEXTS = [
    "  indented\r\n\tand\rbroken \n",
    "\0 at the start, \0 in the middle, at the end \0",
    "\u2028a line, a paragraph\u2029",
    "e\u0301 is not \u00e9",
    '😀 "quoted" \\ <b>&amp;</b>',
    "\ufeff\u200bunseen\u00a0",
    "x" * 20_000,
    "😀" * 20_000,
]


def refuse_to_create(http: TestClient, **fields: str) -> None:
    assert_refused(http.post("/tickets", json=NEW_TICKET | fields), 422)


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


def test_a_new_ticket_is_found_where_its_location_says(http: TestClient) -> None:
    response = http.post("/tickets", json=NEW_TICKET)
    ticket = response.json()
    assert response.headers["Location"] == f"/tickets/{ticket['id']}"
    assert http.get(response.headers["Location"]).json() == ticket


def test_an_id_is_24_lower_case_hex_digits_and_unique(http: TestClient) -> None:
    ids = [create(http)["id"] for _ in range(10)]
    assert all(re.fullmatch("[0-9a-f]{24}", each) for each in ids)
    assert len(set(ids)) == len(ids)


def test_customer_id_and_subject_are_trimmed(http: TestClient) -> None:
    for field in "customer_id", "subject":
        for space in WHITE_SPACE:
            assert create(http, **{field: f"{space}a{space}b{space}"})[field] == f"a{space}b"
        for character in NOT_TRIMMED:
            assert create(http, **{field: character})[field] == character


def test_customer_id_and_subject_are_measured_after_trimming(http: TestClient) -> None:
    for field, longest in ("customer_id", 100), ("subject", 200):
        for value in "x", "x" * longest, "😀" * longest:
            assert create(http, **{field: value})[field] == value
            assert create(http, **{field: f"{WHITE_SPACE}{value}{WHITE_SPACE}"})[field] == value
        for value in "", *WHITE_SPACE, WHITE_SPACE * 30, "x" * (longest + 1), "😀" * (longest + 1):
            refuse_to_create(http, **{field: value})


def test_a_message_has_1_to_20000_characters_white_space_included(http: TestClient) -> None:
    for message in "x", "\0", "x" * 20_000, "😀" * 20_000, " " * 19_999 + "x":
        assert create(http, message=message)["message"] == message
    for message in "", "x" * 20_001, "😀" * 20_001, " " * 20_000 + "x", "x" + "\n" * 20_000:
        refuse_to_create(http, message=message)


def test_a_message_is_not_only_white_space(http: TestClient) -> None:
    for message in *WHITE_SPACE, WHITE_SPACE, " " * 20_000:
        refuse_to_create(http, message=message)


def test_a_message_is_stored_as_given(http: TestClient) -> None:
    for message in TEXTS:
        ticket = create(http, message=message)
        assert ticket["message"] == message
        assert read(http, ticket)["message"] == message


def test_a_note_is_stored_as_given(http: TestClient) -> None:
    ticket = create(http)
    for note in [*TEXTS, WHITE_SPACE, " "]:
        add_note(http, ticket, note)
        assert read(http, ticket)["agent_note"] == note
        add_note(http, ticket, "something else")
        assert patch(http, ticket, agent_note=note)["agent_note"] == note
        assert read(http, ticket)["agent_note"] == note


def test_a_note_has_20000_characters_at_most(http: TestClient) -> None:
    ticket = create(http)
    path = f"/tickets/{ticket['id']}"
    for note in "x" * 20_001, "😀" * 20_001, " " * 20_001:
        assert_refused(http.patch(path, json={"agent_note": note}), 422)
        assert_refused(http.post(f"{path}/agent-note", json={"note": note}), 422)
    assert read(http, ticket) == ticket


def test_a_note_is_null_until_it_is_added_and_cleared_by_the_empty_one(http: TestClient) -> None:
    ticket = create(http)
    change_status(http, ticket, "triaged")
    assert read(http, ticket)["agent_note"] is None
    add_note(http, ticket, "Called back")
    add_note(http, ticket, "")
    assert read(http, ticket)["agent_note"] == ""
    patch(http, ticket, agent_note="Called back")
    assert patch(http, ticket, agent_note="")["agent_note"] == ""
    assert read(http, ticket)["agent_note"] == ""


def test_a_nul_is_a_character_like_any_other_in_every_string(http: TestClient) -> None:
    text = "\0a\0\0b\0"
    ticket = create(http, customer_id=text, subject=text, message=text)
    add_note(http, ticket, text)
    details = read(http, ticket)
    fields = ("customer_id", "subject", "message", "agent_note")
    assert [details[field] for field in fields] == [text] * 4
    item = read_list_item(http, ticket)
    assert [item["subject"], item["preview"]] == [text] * 2


def test_an_escaped_surrogate_pair_is_one_character(http: TestClient) -> None:
    body = rb'{"customer_id": "c", "subject": "%b", "message": "m"}' % (rb"\ud83d\ude00" * 200)
    response = http.post("/tickets", content=body, headers={"Content-Type": "application/json"})
    assert response.json()["subject"] == "😀" * 200


def test_timestamps_are_utc_with_milliseconds_and_a_z(http: TestClient) -> None:
    start = now()
    tickets = [create(http) for _ in range(10)]
    answers = [*tickets, *(patch(http, each, agent_note="Called back") for each in tickets)]
    for ticket in answers:
        for field in "created_at", "updated_at":
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ticket[field])
            assert start <= ticket[field] <= now()


def test_a_create_or_update_answers_what_every_later_read_answers(http: TestClient) -> None:
    for _ in range(5):
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
        assert start <= after["updated_at"] <= now()
        assert after["created_at"] == ticket["created_at"]
