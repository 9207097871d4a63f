"""The pages that show what changes between any two steps."""

import tomllib
from itertools import combinations
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from .diffs import FileDiff, compare, explain

HERE = Path(__file__).parent


def write_diff_pages(repository: Path, docs: Path) -> None:
    """Write a page for every two steps, named for them: 1-2.md, 1-3.md and so on."""
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    template = environment.get_template("diff.md.jinja")
    pairs = list(combinations(range(1, 5), 2))
    docs.joinpath("diffs").mkdir()
    for old, new in pairs:
        diffs = compare_steps(repository, old, new)
        page = template.render(old=old, new=new, diffs=diffs, pairs=pairs)
        docs.joinpath("diffs", f"{old}-{new}.md").write_text(page, encoding="utf-8")


def compare_steps(repository: Path, old: int, new: int) -> list[FileDiff]:
    """Return what becomes of each file, with the reasons and in the order of reasons.toml.

    Raises LookupError where a reason is about what did not change.
    """
    steps = sorted(repository.glob("step_*"))
    diffs = {diff.name: diff for diff in compare(steps[old - 1], steps[new - 1])}
    reasons = tomllib.loads(HERE.joinpath("reasons.toml").read_text(encoding="utf-8"))
    of_files = reasons.get(f"{old}-{new}", {})
    for name, of_file in of_files.items():
        if name not in diffs:
            raise LookupError(f"Neither step {old} nor step {new} has a file {name}")
        explain(diffs[name], of_file)
    return [diffs[name] for name in dict.fromkeys([*of_files, *diffs])]
