"""The READMEs: their blocks print what is shown, and what they name and count is there."""

import itertools
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mirakuru import SimpleExecutor

from step_01_crud.main import app
from workbench.mongod import free_port

from ..support.copies import REPOSITORY, copied
from ..support.lanes import LANES
from ..support.servers import STEPS, wait_until
from .mutants import MUTANTS

README = REPOSITORY / "README.md"
REFERENCE = REPOSITORY / "docs/reference.md"
GLOSSARY = REPOSITORY / "docs/glossary.md"
CODE = [REPOSITORY / each for each in (*STEPS, "workbench", "tests", "benchmarks")]
READMES = [README, *(REPOSITORY / step / "README.md" for step in STEPS)]
PAGES = [*READMES, REPOSITORY / "CONTRIBUTING.md", *sorted(REPOSITORY.glob("docs/*.md"))]
MARKDOWN = MarkdownIt().enable("table")

SERVES = re.compile(r"make run|make mongo|uvicorn|projector$", re.MULTILINE)
ADDRESS = re.compile(r"://127\.0\.0\.1:(\d+)")
CHANCE = re.compile(r"[0-9a-f]{24}|\d{4}-\d\d-\d\dT[\d:.]+Z")  # ids and times
END = "the end of what the block prints"

FILE = re.compile(r"\w[\w/.]*\.(py|md|toml|txt|yaml)")
MODULE = re.compile(r"\bstep_\w+\.\w+")
NAME = re.compile(r"\w*[a-z_]\w*")  # in code; PATCH is none
FIGURE = re.compile(
    r"\b(?:\d[\d,]*|one|two|three|four|five|six|seven|eight|nine|ten)(?: more| of its \d+)?"
    r" (?:files?|lines?|tests|ways|races|rounds|schedules|in the long lane)\b"
)
WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@dataclass(frozen=True)
class Section:
    page: Path
    title: str
    tokens: list[Token]

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}: {self.title}"

    def blocks(self, language: str) -> list[str]:
        return [each.content for each in self.tokens if each.info == language]

    def in_backticks(self) -> list[str]:
        return [each.content for each in self.in_text() if each.type == "code_inline"]

    def links(self) -> list[str]:
        found = (each.attrs.get("href") or each.attrs.get("src") for each in self.in_text())
        return [str(link) for link in found if link]

    def in_text(self) -> Iterator[Token]:
        return itertools.chain.from_iterable(each.children or () for each in self.tokens)


def sections(page: Path) -> list[Section]:
    tokens = MARKDOWN.parse(page.read_text(encoding="utf-8"))
    heads = [number for number, each in enumerate(tokens) if each.type == "heading_open"]
    return [
        Section(page, tokens[head + 1].content, tokens[head:end])
        for head, end in itertools.pairwise([*heads, len(tokens)])
    ]


SECTIONS = [section for page in PAGES for section in sections(page)]


@pytest.mark.slow
@pytest.mark.parametrize("section", [each for each in SECTIONS if each.blocks("sh")], ids=str)
def test_the_blocks_of_a_section_run_and_print_what_is_shown(
    section: Section, mongod: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.delenv("MONGODB_DATABASE", raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-n 0 --collect-only")  # else make test would never end
    ports = {port: str(free_port()) for port in ("8000", "8001", "27117")}
    ports["27017"] = mongod.rpartition(":")[2]
    printed = ""
    with copied() as copy, ExitStack() as terminals:
        share_venv(copy / ".venv")
        workbench = copy / "workbench/__main__.py"
        workbench.write_text(with_ports(workbench.read_text(), ports))
        shell = SimpleExecutor("bash -e", cwd=str(copy), stderr=subprocess.STDOUT).start()
        terminals.callback(shell.kill)
        serving: list[SimpleExecutor] = []
        for token in section.tokens:
            text = with_ports(token.content, ports)
            if token.type == "inline" and "Ctrl-C" in text:
                serving.pop().stop()
            elif token.info == "sh" and SERVES.search(text):
                serving.append(terminals.enter_context(served(text, copy)))
            elif token.info == "sh":
                printed = run(text, shell)
            elif token.type == "fence" and token.info != "powershell":
                assert without_chance(printed) == without_chance(text)


def share_venv(venv: Path) -> None:
    """Make a virtual environment that has the same as ours and needs no set-up."""
    venv.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        venv.joinpath(name).symlink_to(Path(sys.prefix, name))
    venv.joinpath("ready").touch()


def with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"\b(8000|8001|27017|27117)\b", lambda port: ports[port[0]], text)


@contextmanager
def served(block: str, folder: Path) -> Iterator[SimpleExecutor]:
    """Run a block in its own terminal. Our block begins once its address answers.

    A projector has no address. The block after it waits for what it does.
    """
    with NamedTemporaryFile() as output:
        said = Path(output.name)
        terminal = SimpleExecutor(
            block,
            cwd=str(folder),
            shell=True,
            stop_signal=signal.SIGINT,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=30,
        )
        try:
            with terminal:
                wait_until(lambda: block.endswith("projector\n") or is_answered(said.read_text()))
                yield terminal
        finally:
            print(block, said.read_text(), sep="\n")  # helps to find out why a test failed


def is_answered(said: str) -> bool:
    address = ADDRESS.search(said)
    with socket.socket() as client:
        return address is not None and client.connect_ex(("127.0.0.1", int(address[1]))) == 0


def run(block: str, shell: SimpleExecutor) -> str:
    """Return what a block prints in this shell. The shell knows the variables of earlier blocks."""
    assert shell.process is not None
    assert shell.process.stdin is not None
    assert shell.process.stdout is not None
    shell.process.stdin.write(f"{{\n{block}}} < /dev/null\necho\necho {END}\n")
    shell.process.stdin.flush()
    printed = ""
    for line in shell.process.stdout:
        if line == f"{END}\n":
            return printed
        printed += line
    raise AssertionError(f"A command of this block failed:\n{block}\nIt printed:\n{printed}")


def without_chance(text: str) -> str:
    """Return the text with numbers for ids and times. The same id always gets the same number."""
    seen: dict[str, str] = {}
    return CHANCE.sub(lambda each: seen.setdefault(each[0], f"<{len(seen)}>"), text.strip())


# Windows has no make. CI cannot skip this: make runs it.
@pytest.mark.skipif(shutil.which("make") is None, reason="There is no make on this machine")
def test_the_commands_without_make_are_those_that_make_runs() -> None:
    [block] = [block for section in SECTIONS for block in section.blocks("powershell")]
    commands = re.findall(r"^python -m (?!venv).*$", block, re.MULTILINE)
    with_uv = "uv run --no-project --with-requirements requirements.txt "
    code = [each for section in SECTIONS for each in section.in_backticks()]
    commands += [each.removeprefix(with_uv) for each in code if each.startswith("uv run ")]
    dry_run = ["make", "--dry-run", *make_targets()]
    printed = subprocess.run(dry_run, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert commands
    assert {f".venv/bin/{each}" for each in commands} <= set(printed.stdout.splitlines())


def make_targets() -> list[str]:
    [targets] = re.findall(r"^\.PHONY: (.*)$", REPOSITORY.joinpath("Makefile").read_text(), re.M)
    return str(targets).split()


def test_every_link_leads_to_a_file_and_a_heading_that_are_there() -> None:
    for section in SECTIONS:
        for link in section.links():
            scheme, _, path, _, anchor = urlsplit(link)
            target = section.page.parent / path if path else section.page
            assert scheme or target.exists(), f"{section}: {link}"
            if anchor and target.suffix == ".md":  # test_structure checks links to lines of code
                assert anchor in map(anchor_of, sections(target)), f"{section}: {link}"


def anchor_of(section: Section) -> str:
    """Return the anchor that GitHub gives a section."""
    return re.sub(r"[^\w -]", "", section.title.lower()).replace(" ", "-")


def test_every_make_target_in_backticks_is_there() -> None:
    code = "\n".join(each for section in SECTIONS for each in section.in_backticks())
    named = set(re.findall(r"^make ([\w-]+)", code, re.MULTILINE))
    assert named
    assert named <= set(make_targets())


def test_the_reference_names_every_make_target() -> None:
    code = "\n".join(each for section in sections(REFERENCE) for each in section.in_backticks())
    assert set(re.findall(r"^make ([\w-]+)", code, re.MULTILINE)) == set(make_targets())


def test_every_term_of_the_glossary_is_linked_to_where_a_reader_meets_it() -> None:
    _, *terms = map(anchor_of, sections(GLOSSARY))
    links = {link for section in SECTIONS for link in section.links() if "glossary.md#" in link}
    assert {link.partition("#")[2] for link in links} == set(terms)


def test_every_file_and_name_in_backticks_is_there() -> None:
    for page in PAGES:
        folders = [page.parent] if page.parent.name in STEPS else CODE
        files = [file for folder in folders for file in folder.rglob("*.py")]
        texts = [file.read_text(encoding="utf-8") for file in files]
        words = {word for text in texts for word in re.findall(r"\w+", text)}
        named = [
            name
            for section in sections(page)
            if section.title != "Exercises"  # it names what readers will write
            for name in section.in_backticks()
        ]
        assert not [name for name in named if not is_there(name, folders, words)], page


def is_there(name: str, folders: list[Path], words: set[str]) -> bool:
    if FILE.fullmatch(name):
        return any((folder / name).exists() for folder in [REPOSITORY, *folders])
    if module := MODULE.search(name):
        return find_spec(module[0]) is not None
    return not NAME.fullmatch(name) or name in words


def test_the_reference_names_every_route_and_no_other() -> None:
    named = {
        each.partition("?")[0]
        for section in sections(REFERENCE)
        for each in section.in_backticks()
        if re.match("(GET|POST|PATCH) ", each)
    }
    assert named == {
        f"{method.upper()} {path}"
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }


def test_every_figure_in_the_prose_is_what_is_counted() -> None:
    told = {
        page.relative_to(REPOSITORY).as_posix(): set(figures)
        for page in PAGES
        if page.name != "results.md"  # it is all figures, and has test_results
        and (figures := FIGURE.findall(" ".join(page.read_text().lower().split())))
    }
    one, two = (set(REPOSITORY.joinpath(step).glob("*.py")) for step in STEPS[:2])
    more = f"{WORDS[len(two) - len(one)]} more files"
    assert told == {
        "step_02_split_handlers/README.md": {more},
        "docs/what-is-proved.md": {
            f"{len(MUTANTS)} ways",
            f"{LANES['full'].schedules:,} schedules",
            f"{LANES['long'].schedules:,} in the long lane",
        },
    }
