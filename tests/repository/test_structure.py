"""What makes it easy to compare the four folders: whole steps, the same files, one interface."""

import ast
import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.servers import STEPS, serve
from .mutants import MUTANTS

REPOSITORY = Path(__file__).parent.parent.parent

IDENTICAL = {
    "__init__.py": STEPS,
    "database.py": STEPS,
    "errors.py": STEPS,
    "schemas.py": STEPS[1:],
    "commands.py": (STEPS[1], STEPS[3]),
}


def test_a_step_imports_nothing_of_the_repository_but_its_own_files(step: str) -> None:
    for file in REPOSITORY.joinpath(step).glob("**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert not [each.name for each in node.names if is_ours(each.name)], file
            if isinstance(node, ast.ImportFrom):
                assert node.level == 1 or not is_ours(node.module or "."), file


def is_ours(module: str) -> bool:
    return module.startswith((".", "step_", "workbench", "tests"))


def test_a_step_copied_out_of_the_repository_can_be_served(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(REPOSITORY / step, tmp_path / step)
    monkeypatch.chdir(tmp_path)  # Python does not find the rest of the repository from here
    monkeypatch.delenv("MONGODB_URI", raising=False)
    with serve(f"{step}.main:app") as server:
        assert server.http.get("/dashboard").json() == {"open": 0, "triaged": 0, "closed": 0}


@pytest.mark.parametrize("file", IDENTICAL)
def test_a_file_that_carries_no_idea_is_the_same_in_each_step(file: str) -> None:
    assert len({REPOSITORY.joinpath(step, file).read_bytes() for step in IDENTICAL[file]}) == 1


def test_other_files_differ_between_any_two_steps_that_have_them() -> None:
    for old, new in itertools.pairwise(STEPS):
        for file in REPOSITORY.joinpath(new).glob("*.py"):
            if new not in IDENTICAL.get(file.name, ()) or old not in IDENTICAL[file.name]:
                before = REPOSITORY.joinpath(old, file.name)
                assert not before.exists() or before.read_bytes() != file.read_bytes(), file


def test_a_step_has_every_file_of_the_step_before_it() -> None:
    for old, new in itertools.pairwise(STEPS):
        before = {file.name for file in REPOSITORY.joinpath(old).glob("*.py")}
        assert before <= {file.name for file in REPOSITORY.joinpath(new).glob("*.py")}


def test_a_link_to_lines_leads_to_the_definition_that_it_names() -> None:
    link_to_lines = r"\[`(\w+)`\]\(([\w/]+\.py)#L(\d+)-L(\d+)\)"
    links = re.findall(link_to_lines, REPOSITORY.joinpath("README.md").read_text())
    assert links
    for name, file, first, last in links:
        assert (name, int(first), int(last)) in definitions(REPOSITORY / file), (name, file)


def test_the_page_on_overkill_counts_the_lines_that_are_there() -> None:
    page = REPOSITORY.joinpath("docs/when-it-is-overkill.md").read_text()
    files = [REPOSITORY.joinpath(step).glob("*.py") for step in STEPS]
    lines = [sum(len(file.read_text().splitlines()) for file in each) for each in files]
    assert f"| lines of Python | {' | '.join(map(str, lines))} |" in page


def definitions(file: Path) -> Iterator[tuple[str, int, int]]:
    """Yield the name, the first and the last line of each function and class."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            starts = [node, *node.decorator_list]
            yield node.name, min(each.lineno for each in starts), node.end_lineno or 0


def test_every_test_that_the_page_of_proofs_names_is_there() -> None:
    page = REPOSITORY.joinpath("docs/what-is-proved.md").read_text()
    files = list(REPOSITORY.glob("tests/**/test_*.py"))
    there = {file.stem for file in files}
    texts = [file.read_text(encoding="utf-8") for file in files]
    there |= {name for text in texts for name in re.findall(r"def (test_\w+)", text)}
    named = set(re.findall(r"`(test_\w+)`", page))
    assert named
    assert named <= there


def test_every_mutant_breaks_a_step_in_one_place() -> None:
    for mutant in MUTANTS:
        assert mutant.path_in(REPOSITORY).read_text().count(mutant.old) == 1, mutant
