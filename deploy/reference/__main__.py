"""`python -m deploy.reference [--check]`: write the pages of docs/reference, or say which of them are old."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.reference import catalog, config, reasons, rpcs, verbs

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "catalog.md": catalog.page,
    "cli.md": verbs.page,
    "config.md": config.page,
    "reasons.md": reasons.page,
    "rpcs.md": rpcs.page,
}


def main(arguments: list[str]) -> int:
    """Write what is old; with `--check` name it instead and give 1. 2 for any other argument."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m deploy.reference [--check]\n")
        return 2
    text_by_name = {name: page() for name, page in PAGES.items()}
    old = [name for name, text in text_by_name.items() if _kept(FOLDER / name) != text]
    if arguments:
        stray = sorted({each.name for each in FOLDER.iterdir()} - PAGES.keys()) if FOLDER.is_dir() else []
        sys.stderr.writelines(f"docs/reference/{name}: old; `make docs` writes it\n" for name in old)
        sys.stderr.writelines(f"docs/reference/{name}: nothing writes this page\n" for name in stray)
        return 1 if old or stray else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in old:
        (FOLDER / name).write_text(text_by_name[name], "utf-8")
        print(f"docs/reference/{name}")
    return 0


def _kept(file: Path) -> str | None:
    return file.read_text("utf-8") if file.is_file() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
