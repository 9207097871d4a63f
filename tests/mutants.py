"""The suite can fail: break a step in a copy of the repository, and see which test notices.

python -m tests.mutants writes docs/mutants.md, and fails where a break goes unnoticed. It takes
a quarter of an hour, as it runs the tests that should notice.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from .copies import REPOSITORY, copied
from .servers import STEPS


@dataclass(frozen=True)
class Mutant:
    """A break: `old`, which stands once in the file, becomes `new`."""

    name: str
    step: int
    file: str
    old: str
    new: str
    tests: str  # where it should be noticed, so that not all have to run

    def path_in(self, folder: Path) -> Path:
        return folder / STEPS[self.step - 1] / self.file


PREFACE = """# Mutants

Written by `make mutants`: each way in which the steps were broken, and the first test that noticed.

| step | broken | noticed by |
|---|---|---|"""

CHANGES = "test_contract_changes.py"
LISTS = "test_contract_lists.py"
CONSISTENCY = "test_contract_consistency.py"
SIMULATION = "test_simulation.py"

MUTANTS = [
    Mutant(
        "the rule forgotten",
        1,
        "main.py",
        """which["status"] = {"$ne": "closed"}""",
        "pass",
        CHANGES,
    ),
    Mutant(
        "the order of ties lost",
        1,
        "main.py",
        """sort=[("updated_at", -1), ("_id", -1)], skip""",
        """sort=[("updated_at", -1)], skip""",
        LISTS,
    ),
    Mutant(
        "the preview one character too long",
        1,
        "main.py",
        "line[:79]",
        "line[:80]",
        LISTS,
    ),
    Mutant(
        "white space as Python sees it",
        1,
        "main.py",
        """strip(" \\t\\n\\v\\f\\r")""",
        "strip()",
        LISTS,
    ),
    Mutant(
        "a write that only the primary has to keep",
        1,
        "database.py",
        """w="majority",""",
        "w=1,",
        "test_failover.py",
    ),
    Mutant(
        "an answer that is not declared",
        1,
        "main.py",
        """@app.get("/tickets/{ticket_id}", responses=errors.OF_READ)""",
        """@app.get("/tickets/{ticket_id}")""",
        "test_contract_openapi.py",
    ),
    Mutant(
        "the rule checked before the update, not in it",
        2,
        "commands.py",
        """                    which["status"] = {"$ne": "closed"}
""",
        """                    if await db.tickets.find_one({**which, "status": "closed"}):
                        raise ClosedTicketReopened
""",
        "test_races.py",
    ),
    Mutant(
        "a change that is not dated",
        2,
        "commands.py",
        """{"updated_at": datetime.now(UTC)}""",
        "{}",
        "test_contract_tickets.py",
    ),
    Mutant(
        "the first command of a PATCH applied alone",
        2,
        "commands.py",
        "for command in commands:",
        "for command in commands[:1]:",
        CHANGES,
    ),
    Mutant(
        "the row guard dropped",
        3,
        "projections.py",
        """, "version": {"$lt": row["version"]}}""",
        "}",
        "test_step_03.py",
    ),
    Mutant(
        "no second try after a DuplicateKeyError",
        3,
        "projections.py",
        "before = await db.ticket_list.find_one_and_replace(older, row)\n",
        "return\n",
        "test_step_03.py",
    ),
    Mutant(
        "the old status not counted down",
        3,
        "projections.py",
        """{before["status"]: -1, row["status"]: 1}""",
        """{row["status"]: 1}""",
        LISTS,
    ),
    Mutant(
        "no version raised while catching up",
        3,
        "projections.py",
        """{"$inc": {"version": 1}}""",
        """{"$inc": {"version": 0}}""",
        "test_starting.py",
    ),
    Mutant(
        "a query without its hint",
        3,
        "queries.py",
        """.hint([*((each, 1) for each in which), *newest_first])""",
        "",
        "test_plans.py",
    ),
    Mutant(
        "the mark in a write of its own",
        4,
        "commands.py",
        """, "unprojected": True}
    for""",
        """}
    await db.tickets.update_one({"_id": ObjectId(ticket_id)}, {"$set": {"unprojected": True}})
    for""",
        SIMULATION,
    ),
    Mutant(
        "a mark that is forgotten",
        4,
        "commands.py",
        """datetime.now(UTC), "unprojected": True}""",
        "datetime.now(UTC)}",
        CONSISTENCY,
    ),
    Mutant(
        "an answer before the projection",
        4,
        "commands.py",
        """    await db.tickets.insert_one(ticket)
    await db.projected(ticket)
""",
        """    await db.tickets.insert_one(ticket)
""",
        CONSISTENCY,
    ),
    Mutant(
        "Prefer: respond-async ignored",
        4,
        "main.py",
        "respond-async",
        "respond-later",
        "test_step_04.py",
    ),
    Mutant(
        "the row guard dropped",
        4,
        "projector.py",
        """    return {"_id": row["_id"], "$or": [before(row["gen"]), older_version]}""",
        """    return {"_id": row["_id"]}""",
        SIMULATION,
    ),
    Mutant(
        "the guard of the marks dropped",
        4,
        "projector.py",
        """UpdateOne({"_id": row["_id"], "version": row["version"] or None}, unset)""",
        """UpdateOne({"_id": row["_id"]}, unset)""",
        SIMULATION,
    ),
    Mutant(
        "marks off before the rows are in place",
        4,
        "projector.py",
        """        puts: list""",
        """        self._projected += [*log["batch"]["new"], *log["batch"]["newer"]]
        await self.unmark()
        puts: list""",
        SIMULATION,
    ),
    Mutant(
        "marks off without a second look at the log",
        4,
        "projector.py",
        """            if (await self._read_log())["seq"] != log["seq"]:
                return False
""",
        "",
        SIMULATION,
    ),
    Mutant(
        "a batch composed before the last one is finished",
        4,
        "projector.py",
        "await self._finish(log)",
        "pass",
        SIMULATION,
    ),
    Mutant(
        "a compare-and-set without seq",
        4,
        "projector.py",
        """LOG | {"seq": log["seq"]}, {"$set": change}""",
        """LOG, {"$set": change}""",
        SIMULATION,
    ),
    Mutant(
        "the old status not counted down",
        4,
        "projector.py",
        """    change.subtract(row["status"] for row in replaced)
""",
        "",
        LISTS,
    ),
    Mutant(
        "a lost batch taken for written",
        4,
        "projector.py",
        "        return bool(result.modified_count)",
        "        return True",
        SIMULATION,
    ),
    Mutant(
        "a rebuild that counts older generations",
        4,
        "projector.py",
        """if row.get("gen") == log["gen"]""",
        "",
        SIMULATION,
    ),
    Mutant(
        "a rebuild that skips a ticket",
        4,
        "projector.py",
        "self._to_rows(scanned, ",
        "self._to_rows(scanned[1:], ",
        SIMULATION,
    ),
    Mutant(
        "a poison ticket that keeps its mark",
        4,
        "projector.py",
        """{"$set": {"parked": repr(error)}, "$unset": {"unprojected": ""}}""",
        """{"$set": {"parked": repr(error)}}""",
        "test_step_04.py",
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
    """Return the first test that fails on a mutant, if one does."""
    with bred(mutant) as copy:
        command = [sys.executable, "-m", "pytest", "-x", "--tb=no", f"tests/{mutant.tests}"]
        run = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    failed = re.search(r"^FAILED tests/(\w+)\.py::(\w+)", run.stdout, re.MULTILINE)
    return f"`{failed[1]}`: {failed[2].removeprefix('test_').replace('_', ' ')}" if failed else None


if __name__ == "__main__":
    main()
