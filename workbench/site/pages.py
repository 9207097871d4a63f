"""The pages that are here already: README.md, and all that its links lead to."""

import os
import re
from pathlib import Path

LINK = re.compile(r"(?<=]\()(?!\w+:|#)[^)#]+")
PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">'
    r'\s*<img alt="(?P<alt>[^"]+)" src="(?P<light>[^"]+)">\s*</picture>'
)
COPIED = (".json", ".svg")


def write_pages(repository: Path, docs: Path) -> None:
    """Write README.md and all that its links lead to, with each page where it is here."""
    waiting = [repository / "README.md"]
    written = set()
    while waiting:
        page = page_of(waiting.pop())
        if page in written:
            continue
        written.add(page)
        place = docs / page.relative_to(repository)
        place.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix in COPIED:
            place.write_bytes(page.read_bytes())
        elif page.exists():
            text = adapted(page.read_text(encoding="utf-8"))
            place.write_text(with_links_to_pages(text, page.parent), encoding="utf-8")
            waiting += [(page.parent / link).resolve() for link in LINK.findall(text)]
        elif page.name == "index.md":
            files = [each for each in sorted(page.parent.iterdir()) if is_shown(each)]
            links = (
                f"- [{each.name}]({page_of(each).relative_to(page.parent)})\n" for each in files
            )
            place.write_text(f"# {page.parent.name}\n\n{''.join(links)}", encoding="utf-8")
            waiting += files
        else:
            place.write_text(code_page(page.with_suffix("")), encoding="utf-8")


def page_of(file: Path) -> Path:
    """Return the page that shows a file or a folder, which may not be there yet."""
    if file.is_dir():
        readme = file / "README.md"
        return readme if readme.exists() else file / "index.md"
    return file if file.suffix in (".md", *COPIED) else file.with_name(f"{file.name}.md")


def is_shown(file: Path) -> bool:
    return not file.name.startswith((".", "__")) and file.suffix != ".md"


def adapted(text: str) -> str:
    """Return Markdown as GitHub knows it as Markdown that the site's generator knows."""
    # The theme has a switch of its own for light and dark, which a media query does not see.
    text = PICTURE.sub(r"![\g<alt>](\g<light>#only-light)![\g<alt>](\g<dark>#only-dark)", text)
    return text.replace("<details>", '<details markdown="1">')


def with_links_to_pages(text: str, folder: Path) -> str:
    def to_page(link: re.Match[str]) -> str:
        target = (folder / link[0]).resolve()
        if not target.exists():
            raise FileNotFoundError(f"{folder} has a page with a broken link: {link[0]}")
        return Path(os.path.relpath(page_of(target), folder)).as_posix()

    return LINK.sub(to_page, text)


def code_page(file: Path) -> str:
    language = {".py": "python"}.get(file.suffix, "text")
    return f"# {file.name}\n\n```` {language}\n{file.read_text(encoding='utf-8')}````\n"
