"""What a reader runs beside the code: a step, a MongoDB, tickets to look at, a diff."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import psutil
import typer
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from rich.console import Console

from .compare import compare, to_table
from .errors import Refusal
from .mongod import (
    NoMongod,
    find_mongod,
    is_taken,
    local_mongod,
    own_mongod,
)
from .processes import end, sole_user
from .seed import send_tickets, store_tickets
from .serving import serve
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

# Ctrl-C, `kill`, and a terminal that is closed. Windows has no signal for the last one.
ENDINGS = [each for each in signal.Signals if each.name in ("SIGINT", "SIGTERM", "SIGHUP")]

Step = Annotated[int, typer.Argument(min=1, max=4)]

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(step: Step) -> None:
    """Serve a step on 127.0.0.1:8000 until Ctrl-C. It starts again when you save a change.

    /desk is a page to use the step with. The tickets are in the MongoDB at MONGODB_URI. If that
    is not set, we start a local mongod. All steps share its data, and it stays in .mongodb.
    """
    with suppress(KeyboardInterrupt), sole_run() as records:
        if is_taken(SERVICE_PORT):
            raise Refusal(f"Port {SERVICE_PORT} is taken: end what listens there, perhaps a step")
        for variable in ("MONGODB_URI", "READ_MONGODB_URI") if step == 4 else ("MONGODB_URI",):
            if variable in os.environ:
                ping(variable)
        with mongodb() as environment:
            print(f"Step {step}: open {service_url()}/desk (or /docs)", flush=True)
            environment |= {"STEP": STEPS[step], "RECORDS": str(records)}
            if step == 4 and "MONGODB_URI" in environment and "READ_MONGODB_URI" not in os.environ:
                print("The projector is a separate process: you can pause it at /desk", flush=True)
                environment["PROJECTOR"] = "apart"
            command = [sys.executable, "-m", "uvicorn", "workbench.desk:app"]
            command += ["--port", str(SERVICE_PORT)]
            code = REPOSITORY / STEPS[step]
            sys.exit(serve(command, code, records, cwd=REPOSITORY, env=os.environ | environment))


@app.command()
def mongo() -> None:
    """Run the local mongod alone, and print its URI, until Ctrl-C."""
    with suppress(KeyboardInterrupt), own_mongod(DATA, MONGOD_PORT) as mongod:
        print(mongod.uri, flush=True)
        while mongod.process.poll() is None:
            time.sleep(0.1)  # on Windows, Popen.wait would not see Ctrl-C


@app.command()
def seed(tickets: Annotated[int, typer.Option(min=1)] = 1000) -> None:
    """Send tickets that look like real ones to the step that runs.

    If no step runs, store them for the next one, with dates of the last weeks.
    """
    if is_taken(SERVICE_PORT):
        asyncio.run(send_tickets(service_url(), tickets))
        return
    if "MONGODB_URI" in os.environ:
        ping("MONGODB_URI")
    else:
        find_mongod()  # tickets in memory would be gone when we end
    with sole_run(), mongodb() as environment:
        store_tickets((os.environ | environment)["MONGODB_URI"], tickets)
        print("The next start of a step shows them, such as make run STEP=1")


@app.command()
def diff(old: Step, new: Step) -> None:
    """Show what changes in the code from one step to another, as a git diff."""
    with TemporaryDirectory() as folder:
        for step in STEPS[old], STEPS[new]:
            # We compare copies: in the folders, git would also compare what Python has compiled.
            prose = shutil.ignore_patterns("__pycache__", "README.md")
            shutil.copytree(REPOSITORY / step, Path(folder, step), ignore=prose, dirs_exist_ok=True)
        command = ["git", "diff", "--no-index", STEPS[old], STEPS[new]]
        subprocess.run(command, cwd=folder, check=False)  # its status says whether they differ


@app.command("compare")
def print_comparison(tickets: Annotated[int, typer.Option(min=1)] = 1000) -> None:
    """Print what each request makes MongoDB do in each step, with this number of tickets."""
    Console().print(to_table(compare(STEPS, tickets)))


@app.command()
def site() -> None:
    """Build the site. You can open it from disk, and it needs no network."""
    build_site(REPOSITORY, SITE)
    print(f"Open this in your browser: {SITE / 'index.html'}")


@contextmanager
def sole_run() -> Iterator[Path]:
    """Let no other command work on the local tickets. Yield the folder of our processes."""
    records = DATA / "workbench" / "run"
    other = Refusal("A step runs from this folder already, or is starting: end it first")
    with sole_user(records, other):
        yield records


@contextmanager
def mongodb() -> Iterator[dict[str, str]]:
    """Yield what a step needs in its environment to find a MongoDB until the block ends."""
    if "MONGODB_URI" in os.environ:
        yield {}
        return
    try:
        find_mongod()
    except NoMongod as reason:
        print(f"{reason}; the tickets stay in memory only", file=sys.stderr)
        yield {}
        return
    with local_mongod(DATA, MONGOD_PORT) as uri:
        yield {"MONGODB_URI": uri}


def service_url() -> str:
    return f"http://127.0.0.1:{SERVICE_PORT}"


def ping(variable: str) -> None:
    """Raise Refusal if no MongoDB answers at the URI in an environment variable."""
    uri = os.environ[variable]
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=2000) as client:
            client.admin.command("ping")
    except (PyMongoError, ValueError) as error:
        place = uri.rpartition("@")[2]  # without a password
        reason = re.split(r" \(configured timeouts|, Timeout:", str(error))[0]
        raise Refusal(f"No MongoDB at {place!r}, where {variable} says: {reason}") from error


def main() -> None:
    for each in ENDINGS:
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(each, end_once)
    try:
        app()
    except Refusal as refusal:
        sys.exit(str(refusal))
    finally:
        # If a signal comes while a process starts, nobody else ends that process.
        for child in psutil.Process().children():
            end(child)


def end_once(*_: object) -> None:
    """End as on Ctrl-C. Ignore further signals, so that we end all that we have started."""
    for each in ENDINGS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
