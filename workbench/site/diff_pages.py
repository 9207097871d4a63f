"""The pages that show what changes between any two steps."""

import re
import tomllib
from collections.abc import Iterable
from html import escape
from itertools import combinations, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from .diffs import FileDiff, Line, Reason, compare, explain

HERE = Path(__file__).parent
REASONS: dict[str, Any] = tomllib.loads(HERE.joinpath("reasons.toml").read_text(encoding="utf-8"))
IDEAS: dict[str, str] = REASONS["ideas"]  # of each step but the first


def write_diff_pages(repository: Path, docs: Path) -> None:
    """Write a page for every two steps, named for them: 1-2.md, 1-3.md and so on."""
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    environment.filters |= {"runs": runs, "with_code": with_code}
    template = environment.get_template("diff.md.jinja")
    pairs = list(combinations(range(1, 5), 2))
    steps = [step.name for step in sorted(repository.glob("step_*"))]
    docs.joinpath("diffs").mkdir()
    for old, new in pairs:
        diffs = compare_steps(repository, old, new)
        page = template.render(old=old, new=new, diffs=diffs, pairs=pairs, steps=steps, ideas=IDEAS)
        docs.joinpath("diffs", f"{old}-{new}.md").write_text(page, encoding="utf-8")


def runs(lines: Iterable[Line], attribute: str) -> list[list[Line]]:
    """Part the lines where this attribute changes."""
    return [list(run) for _, run in groupby(lines, attrgetter(attribute))]


def with_code(text: str) -> str:
    """Return a text of reasons.toml as HTML: what stands in backticks is code."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(text, quote=False))


def compare_steps(repository: Path, old: int, new: int) -> list[FileDiff]:
    """Return what becomes of each file, with the reasons of all steps between and in their order.

    Raises LookupError if a reason between neighbours is about what does not change.
    """
    steps = sorted(repository.glob("step_*"))
    diffs = {diff.name: diff for diff in compare(steps[old - 1], steps[new - 1])}
    order = []
    for step in range(new, old, -1):
        for name, of_file in REASONS[f"{step - 1}-{step}"].items():
            order.append(name)
            for begin, text in of_file.items():
                found = explain(diffs[name], begin, Reason(step, text))
                if not found and new == old + 1:
                    raise LookupError(f"No changed line of {name} begins with {begin!r}")
    return [diffs[name] for name in dict.fromkeys([*order, *diffs])]
