"""Exercise 4.1: how far the list is behind."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from step_04_full_cqrs import command_api, main, query_api
from tests.support.requests import NEW_TICKET, Json, updated_at, wait_for_the_next_millisecond
from tests.support.servers import STEPS, wait_until

NOTHING = {"since": None}


@pytest.fixture
def query_side(database: str) -> Iterator[TestClient]:
    with TestClient(query_api.app) as http:
        yield http


@pytest.fixture
def command_side(database: str) -> Iterator[TestClient]:
    """The command side alone. Nobody projects the tickets that are created here."""
    with TestClient(command_api.app) as http:
        yield http


def read_lag(http: TestClient) -> Any:
    response = http.get("/lag")
    assert response.status_code == 200, response.text
    return response.json()


def create_in_a_hurry(http: TestClient) -> Json:
    wait_for_the_next_millisecond()
    hurry = {"Prefer": "respond-async"}
    ticket: Json = http.post("/tickets", json=NEW_TICKET, headers=hurry).json()
    return ticket


@pytest.mark.parametrize("step", STEPS[3:], indirect=True)
def test_what_has_been_projected_does_not_wait(http: TestClient) -> None:
    assert read_lag(http) == NOTHING
    assert http.post("/tickets", json=NEW_TICKET).status_code == 201
    wait_until(lambda: read_lag(http) == NOTHING)


def test_the_lag_begins_with_the_oldest_change_that_waits(
    query_side: TestClient, command_side: TestClient
) -> None:
    with TestClient(main.app):
        create_in_a_hurry(command_side)
        wait_until(lambda: len(query_side.get("/tickets").json()) == 1)
        wait_until(lambda: read_lag(query_side) == NOTHING)
    oldest = create_in_a_hurry(command_side)
    lag = read_lag(query_side)
    # MongoDB has its own clock, and in some places it counts in seconds.
    gap = datetime.fromisoformat(lag["since"]) - updated_at(oldest)
    assert abs(gap) < timedelta(seconds=2)
    for _ in range(3):
        create_in_a_hurry(command_side)
        assert read_lag(query_side) == lag
    with TestClient(main.app):
        assert read_lag(query_side) == NOTHING
    assert len(query_side.get("/tickets").json()) == 5
