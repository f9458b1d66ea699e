"""What the documentation says about itself and the tests, checked; `--write` renews the index of decisions first."""

import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ADR_INDEX = DOCS / "adr" / "README.md"

CODE = re.compile(r"^(```|~~~).*?^\1[^\S\n]*$|(`+)[^\n]*?\2", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]\n]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")
INVARIANT_ROW = re.compile(r"^\| I-(\d+) \|", re.MULTILINE)
INVARIANT_CITED = re.compile(r"\bI-(\d+)\b")
ADR_ROW = re.compile(r"^\| \[.*$", re.MULTILINE)
GLOSSARY_ROW = re.compile(r"^\| \*\*(.+?)\*\* \|", re.MULTILINE)
ADR_TITLE = re.compile(r"\A# (\d{4})\. (.+)\n\nStatus: ((?:accepted|superseded).*)\n")


def main(arguments: list[str]) -> int:
    """Write every fault to standard error; the exit code is 1 where there is one, 2 for an unknown argument."""
    if arguments == ["--write"]:
        write_adr_index()
    elif arguments:
        sys.stderr.write("usage: python -m tests.docs_drift [--write]\n")
        return 2
    faults = [*broken_links(), *adr_faults(), *invariant_faults(), *glossary_faults()]
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


def broken_links() -> Iterator[str]:
    """Every relative link of README, the other root pages and docs leads to a file, and its fragment to a heading."""
    for page in _pages():
        for target in LINK.findall(_prose(page)):
            if ELSEWHERE.match(target):
                continue
            address, _, fragment = unquote(target).partition("#")
            file = (page.parent / address).resolve() if address else page
            if address.startswith("/") or not file.is_relative_to(ROOT):
                yield f"{_name(page)}: {target} is not a link inside the repository"
            elif not file.exists():
                yield f"{_name(page)}: {target} leads nowhere"
            elif fragment and file.suffix == ".md" and fragment not in anchors(file.read_text("utf-8")):
                yield f"{_name(page)}: {target} names no heading of {_name(file)}"


def anchors(markdown: str) -> set[str]:
    """The fragments that the headings of a page answer to, by GitHub's rule; repeated headings count up."""
    found: set[str] = set()
    for heading in HEADING.findall(re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(anchor)
    return found


def adr_faults() -> Iterator[str]:
    """Numbers run from 0001 without a gap, each page begins with its number and status, and the index says the same."""
    for number, page in enumerate(_adr_pages(), start=1):
        title = ADR_TITLE.match(page.read_text("utf-8"))
        if not title or title[1] != page.name[:4] or int(title[1]) != number:
            yield f"{_name(page)}: does not begin with '# {number:04}. Title' and 'Status: accepted' or 'superseded'"
    index = ADR_ROW.findall(ADR_INDEX.read_text("utf-8"))
    expected = _adr_rows()
    yield from (f"docs/adr/README.md: missing or old: {row}" for row in expected if row not in index)
    yield from (f"docs/adr/README.md: no such page: {row}" for row in index if row not in expected)


def write_adr_index() -> None:
    """Put the number, title and status of every decision into the table of the index."""
    above = ADR_ROW.split(ADR_INDEX.read_text("utf-8"), maxsplit=1)[0]
    ADR_INDEX.write_text(above + "".join(f"{row}\n" for row in _adr_rows()), "utf-8")


def _adr_pages() -> list[Path]:
    return sorted((DOCS / "adr").glob("[0-9]*.md"))


def _adr_rows() -> list[str]:
    titles = [(page.name, ADR_TITLE.match(page.read_text("utf-8"))) for page in _adr_pages()]
    return [f"| [{title[1]}]({name}) | {title[2]} | {title[3]} |" for name, title in titles if title]


def invariant_faults() -> Iterator[str]:
    """Invariants are numbered from 1, once each and without a gap; every number that the kit or a test cites exists."""
    numbers = [int(number) for number in INVARIANT_ROW.findall((DOCS / "invariants.md").read_text("utf-8"))]
    yield from (f"docs/invariants.md: I-{number} twice" for number in sorted(set(numbers)) if numbers.count(number) > 1)
    yield from (
        f"docs/invariants.md: no I-{missing}"
        for missing in sorted(set(range(1, max(numbers, default=0))) - set(numbers))
    )
    for source in [*(ROOT / "theory" / "testing" / "cases").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        for cited in sorted({int(number) for number in INVARIANT_CITED.findall(source.read_text("utf-8"))}):
            if cited not in numbers:
                yield f"{_name(source)}: cites I-{cited}, which is not in docs/invariants.md"


def glossary_faults() -> Iterator[str]:
    """Within each table of the glossary the words stand in alphabetical order, and no word stands twice."""
    seen: set[str] = set()
    for section in re.split(r"^## ", (DOCS / "glossary.md").read_text("utf-8"), flags=re.MULTILINE):
        words = GLOSSARY_ROW.findall(section)
        for before, after in pairwise(words):
            if before.casefold() > after.casefold():
                yield f"docs/glossary.md: '{after}' stands after '{before}'"
        for word in words:
            if word in seen:
                yield f"docs/glossary.md: '{word}' twice"
            seen.add(word)


def _pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("processors/*/README.md"))]


def _prose(page: Path) -> str:
    return CODE.sub("", page.read_text("utf-8"))


def _name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
