"""The UI changes its mind: the patches in exercises/unanswered, on copies of the repository."""

import importlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient

from ..support.copies import contract_suite, copied, run_tests
from ..support.recount import tickets_of_step_1
from ..support.requests import Json, create
from ..support.servers import STEPS, running, wait_until
from .touched import UNANSWERED, table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STEP_4 = STEPS[3]


@pytest.fixture(scope="module")
def changed() -> Iterator[Path]:
    """A copy of the repository where each step fulfils the request, and the tests expect that."""
    with copied(*UNANSWERED.glob("*.patch")) as copy:
        yield copy


@pytest.fixture(scope="module")
def new(changed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the changed steps. You import them from it as `new_step_...`."""
    folder = tmp_path_factory.mktemp("new")
    for step in STEPS:
        shutil.copytree(changed / step, folder / f"new_{step}")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


def app_of(module: str) -> Any:
    return importlib.import_module(module).app


def test_the_request_is_fulfilled_the_contract_kept_and_each_query_still_one_indexed_read(
    changed: Path, mongod: str
) -> None:
    # The contract only in memory: it takes long on mongod.
    these = "test_unanswered or mongomock or identical or one_indexed_read"
    suites = ["exercises/unanswered", *contract_suite(changed), "tests/proofs/test_plans.py"]
    run = run_tests(changed, mongod, "-k", these, *suites)
    assert run.returncode == 0, run.stdout


@pytest.fixture
def unanswered(database: str, mongo: MongoClient[Json]) -> list[str]:
    """The ids of the tickets of yesterday that nobody has answered, newest first."""
    tickets = tickets_of_step_1(9)
    mongo[database].tickets.insert_many(tickets)
    return [str(tickets[number]["_id"]) for number in (6, 3)]


@pytest.fixture
def new_shape(
    database: str, mongo: MongoClient[Json], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Return what makes steps that start later keep their rows in another read database."""
    name = f"{database}_read_unanswered"
    yield lambda: monkeypatch.setenv("READ_MONGODB_DATABASE", name)
    mongo.drop_database(name)


def assert_shown(http: httpx2.Client, unanswered: list[str]) -> None:
    items = http.get("/tickets", params={"unanswered": True}).raise_for_status().json()
    assert [item["id"] for item in items] == unanswered
    everything = http.get("/tickets").raise_for_status().json()
    assert [item for item in everything if item["unanswered"]] == items
    assert http.get("/dashboard").json()["unanswered"] == len(unanswered)


def test_tickets_that_were_there_before_are_shown_after_the_next_start(
    step: str, unanswered: list[str], new: Path, new_shape: Callable[[], None]
) -> None:
    with TestClient(app_of(f"{step}.main")) as before:
        unanswered.insert(0, create(before)["id"])
    if step == STEP_4:
        new_shape()
    with TestClient(app_of(f"new_{step}.main")) as after:
        assert_shown(after, unanswered)
        unanswered.insert(0, create(after)["id"])
        assert_shown(after, unanswered)


def test_step_4_goes_on_reading_and_writing_while_its_read_side_takes_the_new_shape(
    unanswered: list[str], new: Path, new_shape: Callable[[], None]
) -> None:
    def read_old_list() -> list[Json]:
        items: list[Json] = old.get("/tickets").raise_for_status().json()
        return items

    def is_built() -> bool:
        assert read_old_list() == before
        return len(queries.get("/tickets").json()) == len(before)

    with TestClient(app_of(f"{STEP_4}.main")) as old:
        unanswered.insert(0, create(old)["id"])
        before = read_old_list()
        new_shape()
        with (
            running(f"new_{STEP_4}.projector", PYTHONPATH=str(new)),
            TestClient(app_of(f"new_{STEP_4}.query_api")) as queries,
        ):
            wait_until(is_built)
            unanswered.insert(0, create(old)["id"])
            assert read_old_list()[1:] == before
            wait_until(lambda: len(queries.get("/tickets").json()) == len(before) + 1)
            assert_shown(queries, unanswered)
            with TestClient(app_of(f"new_{STEP_4}.command_api")) as commands:
                unanswered.insert(0, create(commands)["id"])
                assert_shown(queries, unanswered)


def test_the_readme_shows_what_the_patches_touch() -> None:
    assert table() in UNANSWERED.joinpath("README.md").read_text()


@pytest.mark.parametrize("number", [2, 3, 4])
def test_no_line_of_the_commands_changes_where_there_are_commands(number: int) -> None:
    row = table().splitlines()[number + 1]
    assert row.split(" | ")[1] == "no line"
    assert row.endswith("| another file |")
