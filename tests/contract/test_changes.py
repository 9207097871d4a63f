"""The contract: how a ticket is changed, and the rule that a closed one is never reopened."""

from fastapi.testclient import TestClient

from ..support.requests import (
    Json,
    add_note,
    assert_refused,
    change_status,
    create,
    patch,
    read,
    read_everything,
)


def closed_ticket(http: TestClient) -> Json:
    return patch(http, create(http), status="closed", agent_note="Solved")


def assert_changed(http: TestClient, ticket: Json, answer: Json | None, **changes: str) -> Json:
    """The ticket has these changes and no others, and so has the answer if there is one."""
    details = read(http, ticket)
    assert details == ticket | changes | {"updated_at": details["updated_at"]}
    assert answer in (details, None)
    return details


def test_patch_answers_the_whole_ticket_with_what_it_named_changed(http: TestClient) -> None:
    ticket = create(http)
    for changes in (
        {"status": "triaged"},
        {"agent_note": "Called back"},
        {"status": "open", "agent_note": "Called again"},
        {"status": "closed", "agent_note": ""},
    ):
        ticket = assert_changed(http, ticket, patch(http, ticket, **changes), **changes)


def test_patch_reads_null_as_absent(http: TestClient) -> None:
    ticket = patch(http, create(http), status="triaged", agent_note="Called back")
    answer = patch(http, ticket, status=None, agent_note="Called again")
    ticket = assert_changed(http, ticket, answer, agent_note="Called again")
    answer = patch(http, ticket, status="closed", agent_note=None)
    assert_changed(http, ticket, answer, status="closed")


def test_patch_needs_at_least_one_field(http: TestClient) -> None:
    ticket = create(http)
    nothings: list[Json] = [
        {},
        {"status": None},
        {"agent_note": None},
        {"status": None, "agent_note": None},
    ]
    for body in nothings:
        assert_refused(http.patch(f"/tickets/{ticket['id']}", json=body), 422)
    assert read(http, ticket) == ticket


def test_patch_applies_both_fields_or_neither(http: TestClient) -> None:
    ticket = create(http)
    half_wrong: list[Json] = [
        {"status": "triaged", "agent_note": 5},
        {"status": "triaged", "agent_note": "x" * 20_001},
        {"status": "triaged", "another": "x"},
        {"status": "lost", "agent_note": "Called back"},
    ]
    for body in half_wrong:
        assert_refused(http.patch(f"/tickets/{ticket['id']}", json=body), 422)
    assert read(http, ticket) == ticket


def test_a_change_of_status_answers_204_and_nothing_more(http: TestClient) -> None:
    ticket = create(http)
    body = {"new_status": "triaged"}
    response = http.post(f"/tickets/{ticket['id']}/status", json=body)
    assert (response.status_code, response.content) == (204, b"")
    assert_changed(http, ticket, None, status="triaged")


def test_a_note_answers_204_and_nothing_more(http: TestClient) -> None:
    ticket = create(http)
    response = http.post(f"/tickets/{ticket['id']}/agent-note", json={"note": "Called back"})
    assert (response.status_code, response.content) == (204, b"")
    assert_changed(http, ticket, None, agent_note="Called back")


def test_a_change_is_made_to_one_ticket_only(http: TestClient) -> None:
    others = [create(http), closed_ticket(http)]
    ticket = create(http)
    add_note(http, ticket, "Called back")
    change_status(http, ticket, "triaged")
    patch(http, ticket, status="closed", agent_note="Solved")
    assert [read(http, other) for other in others] == others


def test_a_ticket_that_is_not_closed_takes_any_status(http: TestClient) -> None:
    for path_to_the_end in (
        ["open", "triaged", "triaged", "open", "closed"],
        ["triaged", "closed"],
        ["closed"],
    ):
        ticket, twin = create(http), create(http)
        for status in path_to_the_end:
            assert patch(http, ticket, status=status)["status"] == status
            change_status(http, twin, status)
            assert read(http, twin)["status"] == status


def test_a_closed_ticket_is_never_reopened(http: TestClient) -> None:
    path = f"/tickets/{closed_ticket(http)['id']}"
    before = read_everything(http)
    for status in "open", "triaged":
        for response in (
            http.patch(path, json={"status": status}),
            http.patch(path, json={"status": status, "agent_note": None}),
            http.post(f"{path}/status", json={"new_status": status}),
        ):
            assert response.status_code == 409
            assert response.json() == {"detail": "Closed tickets cannot be reopened"}
            assert read_everything(http) == before


def test_a_patch_that_would_reopen_leaves_the_note_alone_too(http: TestClient) -> None:
    path = f"/tickets/{closed_ticket(http)['id']}"
    before = read_everything(http)
    for status in "open", "triaged":
        for note in "Wait, there is more", "":
            response = http.patch(path, json={"status": status, "agent_note": note})
            assert response.status_code == 409
            assert response.json() == {"detail": "Closed tickets cannot be reopened"}
            assert read_everything(http) == before


def test_a_closed_ticket_may_be_closed_again(http: TestClient) -> None:
    ticket = closed_ticket(http)
    change_status(http, ticket, "closed")
    ticket = assert_changed(http, ticket, None, status="closed")
    assert_changed(http, ticket, patch(http, ticket, status="closed"), status="closed")


def test_a_closed_ticket_may_be_noted_on(http: TestClient) -> None:
    ticket = closed_ticket(http)
    add_note(http, ticket, "Solved for good")
    ticket = assert_changed(http, ticket, None, agent_note="Solved for good")
    ticket = assert_changed(http, ticket, patch(http, ticket, agent_note=""), agent_note="")
    answer = patch(http, ticket, status="closed", agent_note="Solved at last")
    assert_changed(http, ticket, answer, agent_note="Solved at last")
