"""The UI changes its mind: the patches in exercises/unanswered, on copies of the repository."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient

from .copies import contract_suite, copied, run_tests
from .recount import tickets_of_step_1
from .requests import Json, create
from .servers import STEPS, run_to_end, running, serve, wait_until
from .touched import UNANSWERED, table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STEP_3, STEP_4 = STEPS[2:]
SUITE = "exercises/unanswered"


@pytest.fixture(scope="module")
def changed() -> Iterator[Path]:
    """A copy of the repository in which each step fulfils the request, and the tests know of it."""
    with copied(*UNANSWERED.glob("*.patch")) as copy:
        yield copy


@pytest.fixture(scope="module")
def code(changed: Path) -> dict[str, Any]:
    """The environment in which Python finds the steps of the copy, not those of the repository."""
    return dict.fromkeys(("PYTHONPATH", "UVICORN_APP_DIR"), str(changed)) | {"PYTHONSAFEPATH": "1"}


def test_the_request_is_fulfilled_on_both_engines_and_the_contract_kept(
    step: str, changed: Path, mongod: str
) -> None:
    # The contract in memory only, as it takes half a minute a step on mongod.
    these = f"{step} and not (test_contract and mongod)"
    run = run_tests(changed, mongod, "-k", these, SUITE, *contract_suite(changed))
    assert run.returncode == 0, run.stdout


def test_the_steps_are_still_one_service_and_every_query_is_one_indexed_read(
    changed: Path, mongod: str
) -> None:
    these = "the_same or openapi or plans"
    run = run_tests(changed, mongod, "-k", these, "tests/test_structure.py", "tests/test_plans.py")
    assert run.returncode == 0, run.stdout


@pytest.fixture
def unanswered(database: str, mongo: MongoClient[Json]) -> list[str]:
    """The ids, newest first, of those of yesterday's tickets that nobody has answered."""
    # Of yesterday, since a start may bring the rows of the last minute up to date in any case.
    tickets = tickets_of_step_1(9)
    mongo[database].tickets.insert_many(tickets)
    return [str(tickets[number]["_id"]) for number in (6, 3)]


def assert_shown(http: httpx2.Client, unanswered: list[str]) -> None:
    items = http.get("/tickets", params={"unanswered": True}).raise_for_status().json()
    assert [item["id"] for item in items] == unanswered
    everything = http.get("/tickets").raise_for_status().json()
    assert [item for item in everything if item["unanswered"]] == items
    assert http.get("/dashboard").json()["unanswered"] == len(unanswered)


def test_tickets_that_were_there_before_are_shown_after_the_next_start(
    step: str, database: str, unanswered: list[str], code: dict[str, Any]
) -> None:
    with TestClient(importlib.import_module(f"{step}.main").app) as before:
        unanswered.insert(0, create(before)["id"])
    if step == STEP_3:
        refused = run_to_end("uvicorn", f"{step}.main:app", **code)
        assert refused.returncode != 0
        assert refused.stdout.rstrip().endswith(f"run python -m {step}.rebuild")
        assert run_to_end(f"{step}.rebuild", **code).returncode == 0
    with serve(f"{step}.main:app", **code) as after:
        assert_shown(after.http, unanswered)
        unanswered.insert(0, create(after.http)["id"])
        assert_shown(after.http, unanswered)


def test_step_4_goes_on_reading_and_writing_while_its_read_side_takes_the_new_shape(
    database: str, unanswered: list[str], code: dict[str, Any]
) -> None:
    def read_old_list() -> list[Json]:
        items: list[Json] = queries.http.get("/tickets").raise_for_status().json()
        return items

    with (
        serve(f"{STEP_4}.command_api:app", PROJECTOR="external") as commands,
        serve(f"{STEP_4}.query_api:app") as queries,
    ):
        with running(f"{STEP_4}.projector"):
            unanswered.insert(0, create(commands.http)["id"])
            wait_until(lambda: len(read_old_list()) == 10)
        before = read_old_list()
        unanswered.insert(0, create(commands.http)["id"])
        assert read_old_list() == before
        with running(f"{STEP_4}.projector", **code):
            wait_until(lambda: len(read_old_list()) == 11)
            assert read_old_list()[1:] == before
            with serve(f"{STEP_4}.query_api:app", **code) as new_queries:
                assert_shown(new_queries.http, unanswered)
                unanswered.insert(0, create(commands.http)["id"])
                assert_shown(new_queries.http, unanswered)


def test_the_readme_shows_what_the_patches_touch() -> None:
    assert table() in UNANSWERED.joinpath("README.md").read_text()


@pytest.mark.parametrize("number", [2, 3, 4])
def test_no_line_of_the_commands_changes_where_there_are_commands(number: int) -> None:
    row = table().splitlines()[number + 1]
    assert row.split(" | ")[1] == "no line"
    assert row.endswith("| another file |")
