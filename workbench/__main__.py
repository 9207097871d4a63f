"""What a reader runs beside the code: a step, a MongoDB, tickets to look at, a diff."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from .errors import Refusal
from .mongod import NoMongod, find_mongod, find_running, is_taken, start_mongod
from .seed import seed_tickets
from .site import build_site

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / ".mongodb"
SITE = REPOSITORY / ".site"
MONGOD_PORT = 27117
SERVICE_PORT = 8000
STEPS = {
    1: "step_01_crud",
    2: "step_02_split_handlers",
    3: "step_03_projections",
    4: "step_04_full_cqrs",
}

Step = Annotated[int, typer.Argument(min=1, max=4)]

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(step: Step) -> None:
    """Serve a step on 127.0.0.1:8000, reloading it when its code changes, until Ctrl-C.

    Beside the step's own routes there is a page to use it with, /desk.
    The step works on MONGODB_URI where that is set, else on a local mongod whose data stays
    in .mongodb/ from run to run and from step to step.
    """
    if is_taken(SERVICE_PORT):
        raise Refusal(f"Port {SERVICE_PORT} is taken: end what listens there, another step perhaps")
    for variable in ("MONGODB_URI", "READ_MONGODB_URI") if step == 4 else ("MONGODB_URI",):
        if variable in os.environ:
            ping(variable)
    with mongodb() as environment:
        print(f"Step {step}, to be tried at {service_url()}/desk (or /docs)", flush=True)
        command = [sys.executable, "-m", "uvicorn", "workbench.desk:app"]
        command += ["--port", str(SERVICE_PORT), "--reload", "--reload-dir", STEPS[step]]
        environment["STEP"] = STEPS[step]
        service = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | environment)
        try:
            service.wait()
        except KeyboardInterrupt:
            service.terminate()
        finally:
            service.wait()


@app.command()
def mongo() -> None:
    """Run the local mongod alone, and print its URI, until Ctrl-C."""
    if uri := find_running(DATA, MONGOD_PORT):
        raise Refusal(f"The local mongod is running already: {uri}")
    with start_mongod(DATA, MONGOD_PORT) as mongod, suppress(KeyboardInterrupt):
        print(mongod.uri, flush=True)
        mongod.process.wait()


@app.command()
def seed(tickets: Annotated[int, typer.Option(min=1)] = 1000) -> None:
    """Send realistic tickets to the step that is running."""
    asyncio.run(seed_tickets(service_url(), tickets))


@app.command()
def diff(old: Step, new: Step) -> None:
    """Show what the code of one step has that another has not, as git shows it."""
    with TemporaryDirectory() as folder:
        for step in STEPS[old], STEPS[new]:
            # From a copy, as git would also compare what Python compiled.
            prose = shutil.ignore_patterns("__pycache__", "README.md")
            shutil.copytree(REPOSITORY / step, Path(folder, step), ignore=prose, dirs_exist_ok=True)
        command = ["git", "diff", "--no-index", STEPS[old], STEPS[new]]
        subprocess.run(command, cwd=folder, check=False)  # its status says whether they differ


@app.command()
def site() -> None:
    """Build the walkthrough site, which opens from disk and needs no network."""
    build_site(REPOSITORY, SITE)
    print(f"To be opened in a browser: {SITE / 'index.html'}")


@contextmanager
def mongodb() -> Iterator[dict[str, str]]:
    """Yield the environment in which a step finds a MongoDB, there for as long as the block."""
    if "MONGODB_URI" in os.environ:
        yield {}
        return
    try:
        find_mongod()
    except NoMongod as reason:
        print(f"{reason}; the tickets stay in memory only", file=sys.stderr)
        yield {}
        return
    if uri := find_running(DATA, MONGOD_PORT):
        yield {"MONGODB_URI": uri}
        return
    with start_mongod(DATA, MONGOD_PORT) as mongod:
        yield {"MONGODB_URI": mongod.uri}


def service_url() -> str:
    return f"http://127.0.0.1:{SERVICE_PORT}"


def ping(variable: str) -> None:
    """Raise Refusal where no MongoDB answers at the URI in an environment variable."""
    uri = os.environ[variable]
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=2000) as client:
            client.admin.command("ping")
    except (PyMongoError, ValueError) as error:
        place = uri.rpartition("@")[2]  # without a password
        reason = re.split(r" \(configured timeouts|, Timeout:", str(error))[0]
        raise Refusal(f"No MongoDB at {place!r}, where {variable} says: {reason}") from error


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends us as Ctrl-C does
    try:
        app()
    except Refusal as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
