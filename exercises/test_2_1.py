"""Exercise 2.1: a new intent."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from tests.support.requests import (
    UNKNOWN_ID,
    Json,
    add_note,
    assert_refused,
    change_status,
    create,
    read,
    read_list,
    updated_at,
    wait_for_the_next_millisecond,
)
from tests.support.servers import STEPS

pytestmark = pytest.mark.parametrize("step", STEPS[1:2], indirect=True)


def rename(http: TestClient, ticket: Json, new_subject: str) -> None:
    response = http.post(f"/tickets/{ticket['id']}/subject", json={"new_subject": new_subject})
    assert response.status_code == 204, response.text


def test_every_query_shows_the_new_subject(http: TestClient) -> None:
    ticket, _ = create(http), create(http)
    add_note(http, ticket, "Called back")
    change_status(http, ticket, "closed")
    before = read(http, ticket)
    wait_for_the_next_millisecond()
    rename(http, ticket, " Printer drowned ")
    after = read(http, ticket)
    assert after == before | {"subject": "Printer drowned", "updated_at": after["updated_at"]}
    assert updated_at(after) > updated_at(before)
    assert read_list(http)[0]["subject"] == "Printer drowned"


def test_a_subject_that_a_new_ticket_cannot_have_is_invalid(http: TestClient) -> None:
    ticket = create(http)
    path = f"/tickets/{ticket['id']}/subject"
    for body in {}, {"new_subject": " "}, {"new_subject": "x" * 201}, {"subject": "x"}:
        assert_refused(http.post(path, json=body), 422)
    assert read(http, ticket) == ticket
    assert_refused(http.post(f"/tickets/{UNKNOWN_ID}/subject", json={"new_subject": "x"}), 404)


def test_a_rename_and_other_commands_at_the_same_moment_are_all_kept(http: TestClient) -> None:
    tickets = [create(http) for _ in range(20)]
    with ThreadPoolExecutor(8) as threads:
        for ticket in tickets:
            threads.submit(rename, http, ticket, "Printer drowned")
            threads.submit(change_status, http, ticket, "closed")
            threads.submit(add_note, http, ticket, "Called back")
    for ticket in tickets:
        now = read(http, ticket)
        assert now["subject"] == "Printer drowned"
        assert (now["status"], now["agent_note"]) == ("closed", "Called back")
