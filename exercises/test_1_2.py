"""Exercise 1.2: first come, first served."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from fastapi.testclient import TestClient

from tests.support.requests import (
    UNKNOWN_ID,
    Json,
    assert_refused,
    create,
    patch,
    read,
    updated_at,
    wait_for_the_next_millisecond,
)
from tests.support.servers import STEPS

pytestmark = pytest.mark.parametrize("step", STEPS[:1], indirect=True)


def claim(http: TestClient, ticket: Json, agent: str) -> int:
    return http.post(f"/tickets/{ticket['id']}/claim", json={"agent": agent}).status_code


def test_a_ticket_belongs_to_the_first_agent_who_claims_it(http: TestClient) -> None:
    ticket, other = create(http), create(http)
    assert claim(http, ticket, "ann") == 204
    assert claim(http, ticket, "bob") == 409
    assert claim(http, ticket, "ann") == 204
    assert claim(http, other, "bob") == 204


def test_a_claim_is_a_change_and_changes_nothing_else(http: TestClient) -> None:
    ticket = patch(http, create(http), status="closed", agent_note="Called back")
    wait_for_the_next_millisecond()
    assert claim(http, ticket, "ann") == 204
    claimed = read(http, ticket)
    assert claimed == ticket | {"updated_at": claimed["updated_at"]}
    assert updated_at(claimed) > updated_at(ticket)
    assert claim(http, ticket, "bob") == 409
    assert read(http, ticket) == claimed


def test_a_claim_on_no_ticket_or_by_nobody_is_refused(http: TestClient) -> None:
    assert claim(http, {"id": UNKNOWN_ID}, "ann") == 404
    path = f"/tickets/{create(http)['id']}/claim"
    for body in {}, {"agent": " "}, {"agent": None}, {"agent": "ann", "until": "tomorrow"}:
        assert_refused(http.post(path, json=body), 422)
    assert http.post(path, json={"agent": "ann"}).status_code == 204


def test_of_agents_who_claim_a_ticket_at_once_one_gets_it(http: TestClient) -> None:
    agents = [f"agent {number}" for number in range(8)]
    with ThreadPoolExecutor(len(agents)) as threads:
        for ticket in [create(http) for _ in range(20)]:
            answers = threads.map(partial(claim, http, ticket), agents)
            assert sorted(answers) == [204] + 7 * [409]
