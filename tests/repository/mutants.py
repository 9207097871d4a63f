"""The suite can fail: break a step in a copy of the repository, and see which test notices.

python -m tests.repository.mutants writes docs/mutants.md, and fails if no test notices a break.
It takes half an hour, because it runs the tests that should notice.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ..support.copies import REPOSITORY, copied
from ..support.servers import STEPS


@dataclass(frozen=True)
class Mutant:
    """A break: `old` becomes `new`. It stands in the file once."""

    name: str
    step: int
    file: str
    old: str
    new: str
    tests: str  # those that should notice, so that not all have to run

    def path_in(self, folder: Path) -> Path:
        return folder / STEPS[self.step - 1] / self.file


PREFACE = """# Mutants

`make mutants` writes this page. It breaks a step in one place, and runs the tests that should
notice. Each line is a break, and the first test that failed.

| step | the break | the test that failed |
|---|---|---|"""

CHANGES = "contract/test_changes.py"
CONSISTENCY = "contract/test_consistency.py"
ERRORS = "contract/test_errors.py"
LISTS = "contract/test_lists.py"
OPENAPI = "contract/test_openapi.py"
TICKETS = "contract/test_tickets.py"
SIMULATION = "steps/test_simulation.py"

MUTANTS = [
    Mutant(
        "the rule forgotten",
        1,
        "main.py",
        """condition["status"] = {"$ne": "closed"}""",
        "pass",
        CHANGES,
    ),
    Mutant(
        "the order of ties lost",
        1,
        "database.py",
        """NEWEST_FIRST = [("updated_at", -1), ("_id", -1)]""",
        """NEWEST_FIRST = [("updated_at", -1)]""",
        LISTS,
    ),
    Mutant(
        "the preview one character too long",
        1,
        "schemas.py",
        "line[:79]",
        "line[:80]",
        LISTS,
    ),
    Mutant(
        "texts that are not trimmed",
        1,
        "schemas.py",
        "Subject = Annotated[str, StringConstraints(strip_whitespace=True, ",
        "Subject = Annotated[str, StringConstraints(",
        TICKETS,
    ),
    Mutant(
        "a misspelt filter that lists everything",
        1,
        "schemas.py",
        """class ListTickets(BaseModel, extra="forbid"):""",
        "class ListTickets(BaseModel):",
        LISTS,
    ),
    Mutant(
        "an answer that echoes what it cannot encode",
        1,
        "errors.py",
        """("type", "loc", "msg")""",
        """("type", "loc", "msg", "input")""",
        ERRORS,
    ),
    Mutant(
        "a write that only the primary has to keep",
        1,
        "database.py",
        """w="majority",""",
        "w=1,",
        "proofs/test_failover.py",
    ),
    Mutant(
        "answers that are not declared",
        1,
        "main.py",
        """    responses=RESPONSES,
""",
        "",
        OPENAPI,
    ),
    Mutant(
        "the rule checked before the update, not in it",
        2,
        "commands.py",
        """        condition["status"] = {"$ne": "closed"}
""",
        """        if await db.tickets.find_one({**condition, "status": "closed"}):
            raise ClosedTicketReopened
""",
        "proofs/test_races.py",
    ),
    Mutant(
        "a change that is not dated",
        2,
        "commands.py",
        """, "$max": {"updated_at": utcnow()}}""",
        "}",
        TICKETS,
    ),
    Mutant(
        "a date that goes back",
        2,
        "commands.py",
        """{"$set": fields, "$max": {"updated_at": utcnow()}}""",
        """{"$set": fields | {"updated_at": utcnow()}}""",
        TICKETS,
    ),
    Mutant(
        "the note of a PATCH applied alone",
        2,
        "commands.py",
        "    return await change(db, ticket_id, command.model_dump(exclude_none=True))",
        """    for name, value in sorted(command.model_dump(exclude_none=True).items()):
        ticket = await change(db, ticket_id, {name: value})
    return ticket""",
        CHANGES,
    ),
    Mutant(
        "the row guard dropped",
        3,
        "projections.py",
        """, "version": {"$not": {"$gt": row["version"]}}}""",
        "}",
        "steps/test_step_03.py",
    ),
    Mutant(
        "no second try after a DuplicateKeyError",
        3,
        "projections.py",
        """        await db.ticket_reads.update_one(not_newer(row), {"$set": row})
""",
        "        pass\n",
        "steps/test_step_03.py",
    ),
    Mutant(
        "a start that puts no rows in place",
        3,
        "main.py",
        "        await build(db)\n",
        "",
        "proofs/test_hops.py",
    ),
    Mutant(
        "a combination of filters without an index",
        3,
        "projections.py",
        """, ["status", "has_note"])""",
        ")",
        "proofs/test_plans.py",
    ),
    Mutant(
        "an answer before the projection",
        4,
        "read_your_writes.py",
        "        await request.state.progress.reached(session.operation_time)",
        "        pass",
        CONSISTENCY,
    ),
    Mutant(
        "Prefer: respond-async ignored",
        4,
        "read_your_writes.py",
        """"respond-async" not in preferences and """,
        "",
        "steps/test_two_sides.py",
    ),
    Mutant(
        "the position moved before the rows",
        4,
        "projector.py",
        """                    await put_rows(read_db, changes)
                    if not await advance(changes, read_db, position):
""",
        """                    moved = await advance(changes, read_db, position)
                    await put_rows(read_db, changes)
                    if not moved:
""",
        SIMULATION,
    ),
    Mutant(
        "no guard on rows",
        4,
        "projections.py",
        """[{"$replaceWith": {"$cond": [is_later, "$$ROOT", {"$literal": row}]}}]""",
        """[{"$replaceWith": {"$literal": row}}]""",
        SIMULATION,
    ),
    Mutant(
        "no guard on deletes",
        4,
        "projections.py",
        """DeleteOne({"_id": ticket_id, "as_of": {"$lte": as_of}})""",
        """DeleteOne({"_id": ticket_id})""",
        SIMULATION,
    ),
    Mutant(
        "the position moved without compare-and-set",
        4,
        "projector.py",
        """read_db.dashboard.update_one(position, {"$inc": counts""",
        """read_db.dashboard.update_one({"_id": "dashboard"}, {"$inc": counts""",
        SIMULATION,
    ),
    Mutant(
        "counts from the stored row instead of the pre-image",
        4,
        "projector.py",
        """                if changes:
                    await put_rows(""",
        """                if changes:
                    for change in changes:
                        row = await read_db.ticket_reads.find_one(change["documentKey"])
                        change["fullDocumentBeforeChange"] = row
                    await put_rows(""",
        SIMULATION,
    ),
    Mutant(
        "a build that stores counts and position first",
        4,
        "rebuild.py",
        """    done = 0
    tell(done)
""",
        """    with suppress(DuplicateKeyError):
        await read_db.dashboard.replace_one(
            expected or {"_id": "dashboard"},
            Dashboard(**counts).model_dump() | {"at": start, "resume": resume},
            upsert=True,
        )
    done = 0
    tell(done)
""",
        SIMULATION,
    ),
    Mutant(
        "a build that stamps rows with a moment later than its start",
        4,
        "rebuild.py",
        """            rows = [row_write(ticket["_id"], ticket, start) for ticket in page]
""",
        """            now = await cluster_time(write_db)
            rows = [row_write(ticket["_id"], ticket, now) for ticket in page]
""",
        SIMULATION,
    ),
    Mutant(
        "a stream opened at the wrong end of `at`",
        4,
        "rebuild.py",
        """Timestamp(start.time, start.inc + 1)""",
        """start""",
        SIMULATION,
    ),
    Mutant(
        "a stream opened one moment too late",
        4,
        "rebuild.py",
        """start.inc + 1""",
        """start.inc + 2""",
        SIMULATION,
    ),
    Mutant(
        "a build that may read tickets as they were before its start",
        4,
        "rebuild.py",
        "session.advance_operation_time(start)",
        "pass",
        SIMULATION,
    ),
    Mutant(
        "counts of a snapshot with another moment's position",
        4,
        "rebuild.py",
        """    resume = {"startAtOperationTime\"""",
        """    start = await cluster_time(write_db)
    resume = {"startAtOperationTime\"""",
        SIMULATION,
    ),
    Mutant(
        "old rows that stay after a build",
        4,
        "rebuild.py",
        """    await read_db.ticket_reads.delete_many({"as_of": {"$not": {"$gte": start}}})
""",
        "",
        SIMULATION,
    ),
    Mutant(
        "an idle position moved without compare-and-set",
        4,
        "projector.py",
        """read_db.dashboard.update_one(position, {"$set": {"resume": resume}})""",
        """read_db.dashboard.update_one({"_id": "dashboard"}, {"$set": {"resume": resume}})""",
        SIMULATION,
    ),
    Mutant(
        "an idle position moved over changes",
        4,
        "projector.py",
        """    if not reply["cursor"]["firstBatch"]:
""",
        """    if reply:
""",
        SIMULATION,
    ),
    Mutant(
        "ready before the end of the log",
        4,
        "projector.py",
        """(position["at"] >= until or not changes)""",
        """True""",
        SIMULATION,
    ),
    Mutant(
        "a lost log that nobody heals",
        4,
        "projector.py",
        """(47, 136, 280, 286, 51770)""",
        """(136, 280)""",
        SIMULATION,
    ),
    Mutant(
        "a build that skips a ticket",
        4,
        "rebuild.py",
        "for ticket in page]",
        "for ticket in page[1:]]",
        SIMULATION,
    ),
    Mutant(
        "a lost log that is not met",
        4,
        "projector.py",
        "LOG_LOST = (47, 136, 280, 286, 51770)",
        "LOG_LOST = (47, 136, 280, 51770)",
        "steps/test_log_lost.py",
    ),
    Mutant(
        "a position that grows old",
        4,
        "projector.py",
        "        await advance_idle(write_db, read_db, position)\n",
        "",
        "steps/test_log_lost.py",
    ),
    Mutant(
        "rows that are lost and not missed",
        4,
        "projector.py",
        " or len(await read_db.ticket_reads.index_information()) < 5",
        "",
        "steps/test_trouble_by_hand.py",
    ),
    Mutant(
        "a ticket that cannot be shown and stops the others",
        4,
        "projections.py",
        "except (AttributeError, KeyError, TypeError, ValueError) as error:",
        "except AttributeError as error:",
        "steps/test_trouble_by_hand.py",
    ),
]


def main() -> None:
    """Try each mutant, print who caught it, and write the table."""
    lines = [PREFACE]
    survivors = 0
    for mutant in tqdm(MUTANTS, unit=" mutants"):
        catcher = caught_by(mutant)
        survivors += catcher is None
        line = f"| {mutant.step} | {mutant.name} | {catcher or '**nobody**'} |"
        tqdm.write(line)
        lines.append(line)
    (REPOSITORY / "docs/mutants.md").write_text("\n".join(lines) + "\n")
    sys.exit(f"{survivors} mutants survived" if survivors else 0)


@contextmanager
def bred(mutant: Mutant) -> Iterator[Path]:
    """A copy of the repository with this break."""
    with copied() as copy:
        file = mutant.path_in(copy)
        file.write_text(file.read_text().replace(mutant.old, mutant.new))
        yield copy


def caught_by(mutant: Mutant) -> str | None:
    """Return the first test that fails on a mutant, or None."""
    with bred(mutant) as copy:
        command = [sys.executable, "-m", "pytest", "-x", "--tb=no", f"tests/{mutant.tests}"]
        run = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    failed = re.search(r"^FAILED tests/([\w/]+)\.py::(\w+)", run.stdout, re.MULTILINE)
    return f"`{failed[1]}`: {failed[2].removeprefix('test_').replace('_', ' ')}" if failed else None


if __name__ == "__main__":
    main()
