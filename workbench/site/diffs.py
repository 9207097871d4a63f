"""What changes from one step to another, line by line: git's diff, and what only moved."""

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import groupby, pairwise, takewhile
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

CONTEXT = 3
SMALLEST_BLOCK = 3  # lines: fewer may be alike by chance
ALIKE = 0.6  # how much of its words a line shares with the one that takes its place
WORD = re.compile(r"\w+|\S")
TAG_OR_CHARACTER = re.compile(r"<[^>]+>|&[^;]+;|.")


@dataclass(frozen=True)
class Place:
    """Where the other step has a block of lines."""

    file: str
    first: int
    last: int


@dataclass(frozen=True)
class Reason:
    """Why lines change in the step that ends here."""

    step: int
    text: str


@dataclass
class Line:
    file: str
    sign: str  # as git has it: " ", "-" or "+"
    text: str
    html: str = ""
    old: int | None = None  # its number in the old file
    new: int | None = None
    moved: Place | None = None  # with the block that it is part of
    is_import: bool = False
    in_hunk: bool = False
    reasons: list[Reason] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.sign != " "

    @property
    def number(self) -> int:
        return self.new or self.old or 0

    @property
    def indentation(self) -> int:
        return len(self.text) - len(self.text.lstrip())


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


def compare(old: Path, new: Path) -> list[FileDiff]:
    """Return what becomes of each file of the step `old` in the step `new`."""
    files = [file for step in (old, new) for file in step.glob("*.py") if file.stat().st_size]
    names = sorted({file.name for file in files})
    diffs = [FileDiff(name, compare_files(old / name, new / name)) for name in names]
    mark_moved(diffs)
    for diff in diffs:
        mark_changed_words(diff.lines)
    return diffs


def compare_files(old: Path, new: Path) -> list[Line]:
    """Return all lines of both files; one that is not there counts as empty."""
    before, after = highlighted(old), highlighted(new)
    imports_before, imports_after = imports(old), imports(new)
    lines = []
    for sign, text in git_diff(old, new):
        line = Line(new.name, sign, text)
        if sign != "+":
            line.old, line.html = next(before)
            line.is_import = line.old in imports_before
        if sign != "-":
            line.new, line.html = next(after)
            line.is_import = line.new in imports_after
        lines.append(line)
    for index, line in enumerate(lines):
        around = lines[max(0, index - CONTEXT) : index + CONTEXT + 1]
        line.in_hunk = any(each.changed for each in around)
    return lines


def git_diff(old: Path, new: Path) -> list[tuple[str, str]]:
    """Return the sign and the text of each line. The user's settings of git change nothing."""
    files = [file if file.exists() else os.devnull for file in (old, new)]
    how = ["--no-ext-diff", "--no-color", "--diff-algorithm=myers", "--unified=100000"]
    command = ["git", "diff", "--no-index", *how, "--", *files]
    diff = subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout
    if not diff:
        return [(" ", line) for line in new.read_text(encoding="utf-8").splitlines()]
    return [(line[0], line[1:]) for line in diff.partition("\n@@")[2].splitlines()[1:]]


def highlighted(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the number of each line and its HTML; nothing if the file is not there."""
    if file.exists():
        text = file.read_text(encoding="utf-8")
        html = highlight(text, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
        yield from enumerate(html.splitlines(), 1)


def imports(file: Path) -> range:
    """Return the numbers of the lines from the first import to the last."""
    body = ast.parse(file.read_text(encoding="utf-8")).body if file.exists() else []
    nodes = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    return range(nodes[0].lineno, (nodes[-1].end_lineno or 0) + 1) if nodes else range(0)


def mark_moved(diffs: list[FileDiff]) -> None:
    """Mark the blocks that the other step has too, in another place. The longest come first."""
    lines = [line for diff in diffs for line in [*diff.lines, Line(diff.name, " ", "")]]
    gone, come = comparable(lines, "-"), comparable(lines, "+")
    while True:
        run = SequenceMatcher(None, gone, come, autojunk=False).find_longest_match()
        if run.size < SMALLEST_BLOCK:
            break
        here, there = slice(run.a, run.a + run.size), slice(run.b, run.b + run.size)
        if sum(line.text != "" for line in lines[here]) >= SMALLEST_BLOCK:
            mark_block(lines[here], lines[there])
            mark_block(lines[there], lines[here])
        gone[here] = [object() for _ in range(run.size)]
        come[there] = [object() for _ in range(run.size)]
    for before, line in pairwise(lines):
        if before.moved and before.sign == line.sign and not line.text:
            line.moved = before.moved  # the blank lines after a block go with it


def comparable(lines: list[Line], sign: str) -> list[object]:
    """Return the text of each line that may have moved, and for the others what nothing is like."""
    return [
        line.text.strip() if line.sign == sign and not line.is_import else object()
        for line in lines
    ]


def mark_block(lines: list[Line], others: list[Line]) -> None:
    numbers = [other.number for other in others if other.text]
    place = Place(others[0].file, numbers[0], numbers[-1])
    for line in lines:
        line.moved = place


def mark_changed_words(lines: list[Line]) -> None:
    """Mark what differs between a removed line and the added one that takes its place."""
    for _, block in groupby(lines, lambda line: line.changed):
        changed = [line for line in block if not line.moved]
        added = [line for line in changed if line.sign == "+"]
        for gone in [line for line in changed if line.sign == "-"]:
            likeness = [same_words(gone, line).ratio() for line in added]
            if max(likeness, default=0) >= ALIKE:
                place = likeness.index(max(likeness))
                mark_words(gone, added[place])
                added = added[place + 1 :]


def same_words(gone: Line, come: Line) -> SequenceMatcher[str]:
    return SequenceMatcher(None, WORD.findall(gone.text), WORD.findall(come.text), autojunk=False)


def mark_words(gone: Line, come: Line) -> None:
    for line, other in (gone, come), (come, gone):
        words = list(WORD.finditer(line.text))
        marked: set[int] = set()
        for kind, first, after, *_ in same_words(line, other).get_opcodes():
            if kind in ("delete", "replace"):
                marked.update(range(words[first].start(), words[after - 1].end()))
        line.html = with_marks(line.html, marked)


def with_marks(html: str, marked: set[int]) -> str:
    """Return the HTML of a line with its characters at these places marked."""
    position = iter(range(len(html)))
    pieces = [
        f"<mark>{piece}</mark>" if piece[0] != "<" and next(position) in marked else piece
        for piece in TAG_OR_CHARACTER.findall(html)
    ]
    return "".join(pieces).replace("</mark><mark>", "")


def explain(diff: FileDiff, begin: str, reason: Reason) -> bool:
    """Put a reason above what it is about, unless a later step has one there. Say if it is there.

    It is about the changed lines that begin so.
    """
    tops = {
        top_of(diff.lines, index)
        for index, line in enumerate(diff.lines)
        if line.changed and line.text.strip().startswith(begin)
    }
    for top in tops:
        reasons = diff.lines[top].reasons
        if all(each.step <= reason.step for each in reasons):
            reasons.append(reason)
    return bool(tops)


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
