"""The steps under test, on mongomock and on a real mongod that is started once a test run."""

import importlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymongo_async_mock.patches
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, sync_playwright
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo_async_mock import AsyncMongoMockClient
from xdist.workermanage import WorkerController

from workbench.mongod import NoMongod, find_mongod, free_port, start_mongod

from .support.lanes import LANES, Lane
from .support.servers import STEPS

MONGODB_URI = pytest.StashKey[str | None]()
NO_MONGOD = "NO MONGOD ON THIS MACHINE: nothing is proved on a real MongoDB in this run"
CHROMIUM = shutil.which("chromium")
NO_CHROMIUM = "NO CHROMIUM ON THIS MACHINE: nothing is proved of /desk or the site's looks"

# pymongo-async-mock wraps a method of mongomock again for each new collection. A long test run
# would reach Python's recursion limit. To wrap it once is enough.
_ = AsyncMongoMockClient()["any"]["any"]
pymongo_async_mock.patches._patch_bulk_update_sort = lambda collection: collection

at_end = ExitStack()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lane", choices=LANES, default="full", help="how hard to try")
    parser.addoption("--mongod", help="the URI of a mongod that is running already")


def pytest_configure(config: pytest.Config) -> None:
    """Start the one mongod of the test run. The workers of pytest-xdist get its URI."""
    if hasattr(config, "workerinput"):
        config.stash[MONGODB_URI] = config.workerinput["mongodb_uri"]
        return
    if config.getoption("lane") == "quick":
        config.stash[MONGODB_URI] = None
        return
    if config.getoption("mongod"):
        config.stash[MONGODB_URI] = config.getoption("mongod")
        return
    if CHROMIUM is None and os.environ.get("CI") == "true":
        raise pytest.UsageError(f"{NO_CHROMIUM}, which CI must not pass")
    try:
        find_mongod()
    except NoMongod as error:
        if os.environ.get("CI") == "true":
            raise pytest.UsageError(f"{NO_MONGOD}, which CI must not pass: {error}") from error
        config.stash[MONGODB_URI] = None
        return
    data = at_end.enter_context(tempfile.TemporaryDirectory())
    mongod = at_end.enter_context(start_mongod(Path(data), free_port()))
    config.stash[MONGODB_URI] = mongod.uri


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("lane") == "quick":
        quick = [item for item in items if is_quick(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in quick])
        items[:] = quick


def is_quick(item: pytest.Item) -> bool:
    """Tell whether a test needs no real mongod and little time."""
    assert isinstance(item, pytest.Function)
    on_mongod = hasattr(item, "callspec") and item.callspec.params.get("engine") == "mongod"
    return not (on_mongod or "mongod" in item.fixturenames or item.get_closest_marker("slow"))


def pytest_xdist_auto_num_workers() -> int:
    """Return how many tests run at once. That is one more than cores: many tests only wait."""
    return (os.cpu_count() or 1) + 1


def pytest_configure_node(node: WorkerController) -> None:
    node.workerinput["mongodb_uri"] = node.config.stash[MONGODB_URI]


def pytest_unconfigure() -> None:
    at_end.close()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    simulated = Counter[str]()
    for report in terminalreporter.stats.get("passed", []):
        simulated.update(dict(report.user_properties).get("simulated", {}))
    if simulated:
        sums = ", ".join(f"{count:,} {what}" for what, count in sorted(simulated.items()))
        terminalreporter.section(f"Simulated: {sums}", sep="-")
    if config.getoption("lane") == "quick":
        terminalreporter.section("The quick lane: nothing was tried on a real MongoDB", sep="-")
        return
    if config.stash[MONGODB_URI] is None:
        terminalreporter.section(NO_MONGOD, sep="!", red=True)
    if CHROMIUM is None:
        terminalreporter.section(NO_CHROMIUM, sep="!", red=True)


@pytest.fixture(scope="session")
def lane(pytestconfig: pytest.Config) -> Lane:
    """How hard this run tries."""
    return LANES[pytestconfig.getoption("lane")]


@pytest.fixture(scope="session")
def mongod(pytestconfig: pytest.Config) -> str:
    """The URI of the real mongod."""
    uri = pytestconfig.stash[MONGODB_URI]
    if uri is None:
        # There is no mongod here, and the summary says so in red. In CI, the run has ended by now.
        pytest.skip(NO_MONGOD)
    return uri


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser."""
    if CHROMIUM is None:
        # There is no browser here, and the summary says so in red. In CI, the run has ended by now.
        pytest.skip(NO_CHROMIUM)
    return CHROMIUM


@pytest.fixture(scope="module")  # not longer: its event loop is in the way of others
def browser(chromium: str) -> Iterator[Browser]:
    sandbox = os.geteuid() != 0  # root cannot have one
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, chromium_sandbox=sandbox) as browser,
    ):
        yield browser


@pytest.fixture(scope="session")
def mongo(mongod: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the real mongod, to look behind a step."""
    with MongoClient[dict[str, Any]](mongod, tz_aware=True) as client:
        yield client


@pytest.fixture
def database(
    mongod: str, mongo: MongoClient[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The name of a database for this test alone. Every step that it starts will use it."""
    name = f"test_{uuid4().hex}"
    monkeypatch.setenv("MONGODB_URI", mongod)
    monkeypatch.setenv("MONGODB_DATABASE", name)
    yield name
    mongo.drop_database(name)
    mongo.drop_database(f"{name}_read")


@pytest.fixture
def tickets(database: str, mongo: MongoClient[dict[str, Any]]) -> Collection[dict[str, Any]]:
    """The tickets of this test, to look behind a step or to change them by hand."""
    return mongo[database].tickets


@pytest.fixture
def read_side(database: str, mongo: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    """The database that the queries of step 4 read, to look behind it."""
    return mongo[f"{database}_read"]


@pytest.fixture(params=["mongomock", "mongod"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One engine after the other, where the steps will find it."""
    if request.param == "mongod":
        request.getfixturevalue("database")
    else:
        monkeypatch.delenv("MONGODB_URI", raising=False)
    return str(request.param)


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> str:
    """One step after the other."""
    return str(request.param)


@pytest.fixture
def http(step: str, engine: str) -> Iterator[TestClient]:
    """A client of a running step on an empty database."""
    app = importlib.import_module(f"{step}.main").app
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
