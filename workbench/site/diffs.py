"""What changes from one step to another, line by line: git's diff, and what only moved."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

CONTEXT = 3
SMALL_BLOCK = 20  # letters and digits: what is smaller is not moved but alike by chance


@dataclass
class Line:
    sign: str  # as git has it: " ", "-" or "+"
    text: str
    html: str = ""
    old: int | None = None  # its number in the old file
    new: int | None = None
    moved: str | None = None  # the file where the other step has it too, in another place
    in_hunk: bool = False
    reasons: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.sign != " "


@dataclass
class FileDiff:
    name: str
    lines: list[Line]

    @property
    def added(self) -> list[Line]:
        return [line for line in self.lines if line.sign == "+"]

    @property
    def removed(self) -> list[Line]:
        return [line for line in self.lines if line.sign == "-"]

    @property
    def moved(self) -> list[Line]:
        return [line for line in self.lines if line.moved]

    @property
    def is_new(self) -> bool:
        return len(self.added) == len(self.lines)

    @property
    def hunks(self) -> list[list[Line]]:
        """Changes, and the lines around them."""
        groups = groupby(self.lines, lambda line: line.in_hunk)
        return [list(hunk) for in_hunk, hunk in groups if in_hunk]

    @property
    def parts(self) -> list[list[Line]]:
        """All lines, parted where a hunk or a change begins or ends."""
        groups = groupby(self.lines, lambda line: (line.in_hunk, line.changed))
        return [list(part) for _, part in groups]


def compare(old: Path, new: Path) -> list[FileDiff]:
    """Return what becomes of each file of the step `old` in the step `new`."""
    files = [file for step in (old, new) for file in step.glob("*.py") if file.stat().st_size]
    names = sorted({file.name for file in files})
    diffs = [FileDiff(name, compare_files(old / name, new / name)) for name in names]
    mark_moved(diffs)
    return diffs


def compare_files(old: Path, new: Path) -> list[Line]:
    """Return all lines of both files; one that is not there counts as empty."""
    before, after = highlighted(old), highlighted(new)
    lines = []
    for sign, text in git_diff(old, new):
        line = Line(sign, text)
        if sign != "+":
            line.old, line.html = next(before)
        if sign != "-":
            line.new, line.html = next(after)
        lines.append(line)
    for index, line in enumerate(lines):
        around = lines[max(0, index - CONTEXT) : index + CONTEXT + 1]
        line.in_hunk = any(each.changed for each in around)
    return lines


def git_diff(old: Path, new: Path) -> list[tuple[str, str]]:
    """Return the sign and the text of each line, the same whatever the user told git to do."""
    files = [file if file.exists() else os.devnull for file in (old, new)]
    how = ["--no-ext-diff", "--no-color", "--diff-algorithm=myers", "--unified=100000"]
    command = ["git", "diff", "--no-index", *how, "--", *files]
    diff = subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout
    if not diff:
        return [(" ", line) for line in new.read_text(encoding="utf-8").splitlines()]
    return [(line[0], line[1:]) for line in diff.partition("\n@@")[2].splitlines()[1:]]


def highlighted(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the number of each line and its HTML; nothing where the file is not there."""
    if file.exists():
        text = file.read_text(encoding="utf-8")
        html = highlight(text, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
        yield from enumerate(html.splitlines(), 1)


def mark_moved(diffs: list[FileDiff]) -> None:
    """Find the lines that the other step has too, in another place of the file or another file."""
    removed, added = find_places(diffs, "-"), find_places(diffs, "+")
    for diff in diffs:
        mark_lines(diff, "-", added)
        mark_lines(diff, "+", removed)


def find_places(diffs: list[FileDiff], sign: str) -> dict[str, list[str]]:
    """Return in which files each line is removed or added, whatever its indentation."""
    places: dict[str, list[str]] = {}
    for diff in diffs:
        for line in diff.lines:
            if line.sign == sign:
                places.setdefault(line.text.strip(), []).append(diff.name)
    return places


def mark_lines(diff: FileDiff, sign: str, places: dict[str, list[str]]) -> None:
    before = None  # the place of the line before
    for line in diff.lines:
        if line.sign == sign:
            before = line.moved = find_place(line.text, places, before, diff.name)
        elif not line.changed:
            before = None
    lines = [line for line in diff.lines if line.sign == sign]
    for _, block in groupby(lines, lambda line: line.moved):
        moved = list(block)
        if sum(str.isalnum(character) for line in moved for character in line.text) < SMALL_BLOCK:
            for line in moved:
                line.moved = None


def find_place(
    text: str, places: dict[str, list[str]], before: str | None, here: str
) -> str | None:
    """Return the file where the other step has a line: that of the line before, if it can be."""
    if text.startswith(("from ", "import ")):
        return None
    if not any(map(str.isalnum, text)):
        return before  # a bracket or a blank line
    files = places.get(text.strip(), [])
    return next((file for file in (before, here, *files) if file in files), None)


def explain(diff: FileDiff, reasons: dict[str, str]) -> None:
    """Put each reason above what it is about. It is kept under how a changed line begins.

    Raises LookupError where no changed line begins so.
    """
    for begin, reason in reasons.items():
        tops = {
            top_of(diff.lines, index)
            for index, line in enumerate(diff.lines)
            if line.changed and line.text.strip().startswith(begin)
        }
        if not tops:
            raise LookupError(f"No changed line of {diff.name} begins with {begin!r}")
        for top in tops:
            diff.lines[top].reasons.append(reason)


def top_of(lines: list[Line], index: int) -> int:
    """Return where a change begins, or only its paragraph where the change is of one kind."""
    top = index
    while top > 0 and lines[top - 1].changed:
        top -= 1
    if len({line.sign for line in takewhile(lambda line: line.changed, lines[top:])}) > 1:
        return top
    while index > top and lines[index - 1].text:
        index -= 1
    return index
