"""Pieces of a page in Markdown."""

from collections.abc import Iterable, Sequence


def page(title: str, source: str, *blocks: str) -> str:
    """A whole page; `source` says what it is written from, so that nobody edits it by hand."""
    head = (f"# {title}", f"*Written by `make docs` from {source}. To change this page, change that.*")
    return "\n\n".join((*head, *(each.strip() for each in blocks if each))) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty where there are no rows."""
    lines = [f"| {' | '.join(_cell(each) for each in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines]) if lines else ""


def block(text: str, language: str = "") -> str:
    """Text as it is."""
    return f"```{language}\n{text.rstrip()}\n```"


def code(text: object) -> str:
    """A piece of text as it is typed."""
    return f"`` {text} ``" if "`" in str(text) else f"`{text}`"


def plain(text: str) -> str:
    """Text that means nothing to Markdown."""
    return text.replace("*", r"\*").replace("<", "&lt;")


def slug(heading: str) -> str:
    """The fragment that a heading of letters, digits and dots answers to."""
    return heading.lower().replace(".", "").replace(" ", "-")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|") or " "
