"""The pages are easy to read: short whole sentences. Pages and code have no old turn of phrase."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ..support.copies import REPOSITORY

PAGES = sorted(
    page
    for pages in ("*.md", "step_*/README.md", "docs/*.md", "exercises/**/README.md")
    for page in REPOSITORY.glob(pages)
    if page.name != "mutants.md"  # a program writes it
)
# Comments, docstrings and what a user sees. The tickets of seed may be written in any voice.
OTHER_VOICES = {"templates.py", "pastes.py", Path(__file__).name}
CODE = sorted(
    file
    for folder in ("benchmarks", "exercises", "step_*", "tests", "workbench")
    for kind in ("py", "js", "css", "html", "jinja", "toml", "yml")
    for file in REPOSITORY.glob(f"{folder}/**/*.{kind}")
    if file.name not in OTHER_VOICES
)
MARKDOWN = MarkdownIt().enable("table")

LONGEST = 25  # words
END_OF_SENTENCE = re.compile(r"(?<=[.?!])[\"')]*\s+")
# A clause that belongs to another sentence: it has no comma, so no main clause follows.
HALF_SENTENCE = re.compile(
    r"(Although|As|Because|If|Since|So that|Though|Unless|Until|When|Where|Which|While|Whose)\b"
    r"[^,]*\.$"
)
# A reader has to take these apart before they mean something.
OLD_TURNS = re.compile(
    r"\b(be so|of (its|their|your) own|where (nothing|there) is|gives? way to|cannot be called"
    r"|what(ever)? \w+ meets?|whatever|whichever|whoever|whose|of which|(that|those) of the other"
    r"|but for|save for|be it|as one likes|comes? to want|nothing else than|rather than|told of"
    r"|outlives?|waives?|thus|hence|whereas|upon|lest|nor|shall)\b",
    re.IGNORECASE,
)


def paragraphs(page: Path) -> Iterator[list[str]]:
    """Yield the sentences of each paragraph outside tables. What is in backticks is one word."""
    kind = ""
    for token in MARKDOWN.parse(page.read_text(encoding="utf-8")):
        if token.type in ("heading_open", "paragraph_open", "th_open", "td_open"):
            kind = token.type
        if token.type == "inline" and kind == "paragraph_open":
            yield split("".join(map(text_of, token.children or [])))


def text_of(token: Token) -> str:
    match token.type:
        case "code_inline":
            return "`code`"
        case "softbreak" | "hardbreak":
            return " "
        case "text":
            return token.content
    return ""


def split(paragraph: str) -> list[str]:
    return [each for each in END_OF_SENTENCE.split(paragraph.strip()) if each]


def sentences(page: Path) -> Iterator[str]:
    return itertools.chain.from_iterable(paragraphs(page))


def number_of_words(sentence: str) -> int:
    return len(sentence.split())


@pytest.fixture(params=PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_no_sentence_has_more_than_25_words(page: Path) -> None:
    assert not [each for each in sentences(page) if number_of_words(each) > LONGEST]


def test_no_sentence_is_cut_in_half_to_be_short(page: Path) -> None:
    assert not [each for each in sentences(page) if HALF_SENTENCE.match(each)]


def test_no_two_sentences_in_a_row_have_less_than_four_words(page: Path) -> None:
    pairs = itertools.chain.from_iterable(map(itertools.pairwise, paragraphs(page)))
    assert not [pair for pair in pairs if max(map(number_of_words, pair)) < 4]


def test_no_old_turn_of_phrase_comes_back(page: Path) -> None:
    assert not OLD_TURNS.findall(page.read_text(encoding="utf-8"))


def test_no_old_turn_of_phrase_comes_back_in_the_code() -> None:
    assert len(CODE) > 100
    assert not {
        str(file): turns
        for file in CODE
        if (turns := OLD_TURNS.findall(file.read_text(encoding="utf-8")))
    }


@pytest.mark.parametrize(
    ("paragraph", "longest"),
    [
        ("You stop it. Then `make run STEP=1` starts it (see below). It works!", 6),
        ("MongoDB 6.0 or later. main.py has the routes.", 4),
    ],
)
def test_a_paragraph_is_split_into_its_sentences(paragraph: str, longest: int) -> None:
    tokens = MARKDOWN.parseInline(paragraph)[0].children or []
    assert max(map(number_of_words, split("".join(map(text_of, tokens))))) == longest
