"""What the change request touches in each step, from its patches: the table of its README.

python -m tests.repository.touched prints it.
"""

from pathlib import Path

from unidiff.patch import PatchedFile, PatchSet

from ..support.copies import REPOSITORY
from ..support.servers import STEPS

UNANSWERED = REPOSITORY / "exercises/unanswered"
RULE = """condition["status"] = {"$ne": "closed"}"""
WRITE_SIDE = ("commands.py", "command_api.py")
BOTH_SIDES = ("main.py", "schemas.py", "read_your_writes.py")
HEAD = """| step | write side | read side | serves both | nearest to the rule |
|---|---|---|---|---|
"""


def table() -> str:
    return HEAD + "".join(line(number, step) for number, step in enumerate(STEPS, 1))


def line(number: int, step: str) -> str:
    files = {
        Path(file.path).name: file
        for file in PatchSet.from_filename(str(UNANSWERED / f"{step}.patch"))
    }
    write = [name for name in files if name in WRITE_SIDE]
    both = [name for name in files if name in BOTH_SIDES]
    read = [name for name in files if name not in (*write, *both)]
    cells = [", ".join(touched(files[name]) for name in side) for side in (write, read, both)]
    has_sides = REPOSITORY.joinpath(step, "commands.py").exists()
    cells = [cell or ("no line" if has_sides else "not apart") for cell in cells]
    return f"| {number} | {' | '.join(cells)} | {nearest(step, files)} |\n"


def touched(file: PatchedFile) -> str:
    return f"{Path(file.path).name} (+{file.added} -{file.removed})"


def nearest(step: str, files: dict[str, PatchedFile]) -> str:
    """Return how many lines lie between the rule and the nearest line that changes."""
    [file] = [each for each in REPOSITORY.joinpath(step).glob("*.py") if RULE in each.read_text()]
    if file.name not in files:
        return "another file"
    rule = next(
        number for number, text in enumerate(file.read_text().splitlines(), 1) if RULE in text
    )
    return f"{min(abs(number - rule) for number in changed(files[file.name]))} lines"


def changed(file: PatchedFile) -> list[int]:
    """Return where lines are removed or added, as line numbers of the old file."""
    numbers = []
    for hunk in file:
        here = hunk.source_start
        for each in hunk:
            here = each.source_line_no or here
            if not each.is_context:
                numbers.append(here)
    return numbers


if __name__ == "__main__":
    print(table(), end="")
