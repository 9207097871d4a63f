"""Step 4's projector with an X-ray: projects until its standard input ends.

It writes lines of JSON: `"ready"` once it has caught up, then, for each batch of changes that it
has projected, the commands that MongoDB did for it.
"""

import asyncio
import logging
import sys

from bson import json_util
from pymongo import monitoring

from step_04_full_cqrs.connections import connect_both
from step_04_full_cqrs.projector import projecting

from .xray import Command, Listener

batch: list[Command] = []


def tell(command: Command) -> None:
    """Report a batch as soon as its changes are counted and the position has moved.

    Builds, empty replies and the upkeep of the position belong to no batch, so they are left out.
    """
    if command.documents_returned:
        batch[:] = [command]
    elif batch and command.command == "update":
        batch.append(command)
        if command.collection == "dashboard":
            if moves_counts(command):
                report([vars(each) for each in batch])
            batch.clear()


def moves_counts(command: Command) -> bool:
    return any("$inc" in each["updates"][0]["u"] for each in command.statements or [])


def report(what: object) -> None:
    print(json_util.dumps(what), flush=True)


async def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: Projector: %(message)s")
    async with connect_both() as (write, read), projecting(write, read):
        report("ready")
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    monitoring.register(Listener(tell))
    asyncio.run(main())
