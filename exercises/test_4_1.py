"""Exercise 4.1: how far the list is behind."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.requests import NEW_TICKET, wait_for_the_next_millisecond
from tests.servers import STEPS, running, wait_until

NOTHING = {"tickets": 0, "since": None}


@pytest.fixture
def query_side(database: str) -> Iterator[TestClient]:
    with TestClient(importlib.import_module("step_04_full_cqrs.query_api").app) as http:
        yield http


@pytest.fixture
def command_side(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Where tickets are created that nobody projects."""
    monkeypatch.setenv("PROJECTOR", "external")
    with TestClient(importlib.import_module("step_04_full_cqrs.command_api").app) as http:
        yield http


def read_lag(http: TestClient) -> Any:
    response = http.get("/lag")
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("step", STEPS[3:], indirect=True)
def test_what_has_been_projected_does_not_wait(http: TestClient) -> None:
    assert read_lag(http) == NOTHING
    assert http.post("/tickets", json=NEW_TICKET).status_code == 201
    wait_until(lambda: read_lag(http) == NOTHING)


def test_the_lag_is_how_many_tickets_wait_and_since_when_the_first_does(
    query_side: TestClient, command_side: TestClient
) -> None:
    created = []
    for number in 1, 2, 3:
        wait_for_the_next_millisecond()
        hurry = {"Prefer": "respond-async"}
        created.append(command_side.post("/tickets", json=NEW_TICKET, headers=hurry).json())
        assert read_lag(query_side) == {"tickets": number, "since": created[0]["updated_at"]}
    with running("step_04_full_cqrs.projector"):
        wait_until(lambda: read_lag(query_side) == NOTHING)
    assert len(query_side.get("/tickets").json()) == 3
