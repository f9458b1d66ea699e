"""`theory registry`: specs are published and shown."""

import argparse
from collections.abc import Mapping

from theory.cli.failures import OK, report
from theory.cli.output import Cell, Output
from theory.cli.session import Session
from theory.cli.text import clean, moment
from theory.core import jcs
from theory.core.errors import NotFound, TheoryError
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.registry import Spec
from theory.sdk.catalog import read_catalog
from theory.sdk.client import Theory


async def apply(session: Session, options: argparse.Namespace) -> int:
    """Publish every document below a folder."""
    files = read_catalog(options.folder)
    async with session.connect() as theory:
        answers = await theory.registry.publish_many([each.draft for each in files])
    code = OK
    rows: list[tuple[str | Cell, ...]] = []
    documents: list[JSON] = []
    for file, answer in zip(files, answers, strict=True):
        if isinstance(answer, TheoryError):
            answer.metadata.setdefault("source", str(file.source))
            code = max(code, report(answer, session.output))
            documents.append({"source": str(file.source), "reason": answer.reason, "message": answer.message})
            continue
        said = Cell("published", "green") if answer.created else Cell("unchanged", "dim")
        rows.append((said, answer.spec.name.kind.value, answer.spec.name.ref.text))
        documents.append(
            {"source": str(file.source), **_spec_document(answer.spec, whole=False), "created": answer.created}
        )
    session.output.table(rows)
    session.output.document({"documents": documents})
    return code


async def ls(session: Session, options: argparse.Namespace) -> int:
    """List what is published."""
    kind = SpecKind(options.kind) if options.kind else None
    async with session.connect() as theory:
        specs = [each async for each in theory.registry.list(kind)]
    session.output.table(
        [(each.name.kind.value, each.name.ref.text, moment(each.create_time), each.digest) for each in specs],
        ["kind", "ref", "published (utc)", "digest"],
    )
    if not specs:
        session.output.line("nothing is published")
    session.output.document({"specs": [_spec_document(each, whole=False) for each in specs]})
    return OK


async def show(session: Session, options: argparse.Namespace) -> int:
    """Show one document."""
    ref = Ref.parse(options.ref)
    async with session.connect() as theory:
        found = await _named(theory, ref, options.kind)
    for at, each in enumerate(found):
        if at:
            session.output.line()
        session.output.line(Cell(each.name.ref.text, "bold"), f" ({each.name.kind.value})")
        session.output.line(Cell(f"{each.digest}, published {moment(each.create_time)} UTC", "dim"))
        _tell(each.document, session.output, "  ")
    session.output.document({"specs": [_spec_document(each, whole=True) for each in found]})
    return OK


async def _named(theory: Theory, ref: Ref, kind: str | None) -> list[Spec]:
    """The document, or the documents of several kinds, with this ref."""
    kinds = [SpecKind(kind)] if kind else list(SpecKind)
    answers = await theory.registry.get_many([(each, ref) for each in kinds])
    found = [each for each in answers if isinstance(each, Spec)]
    faults = [each for each in answers if isinstance(each, TheoryError) and not isinstance(each, NotFound)]
    if faults:
        raise faults[0]
    if not found:
        raise NotFound("SPEC_UNKNOWN", f"nothing is published as {ref}", ref=ref.text)
    return found


def _spec_document(spec: Spec, *, whole: bool) -> dict[str, JSON]:
    document: dict[str, JSON] = {"kind": spec.name.kind.value, "ref": spec.name.ref.text, "digest": spec.digest}
    return {**document, "document": spec.document} if whole else document


def _tell(value: JSON, output: Output, indent: str) -> None:
    """A document as an outline, in its own words."""
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        name = Cell(f"{indent}{key if isinstance(value, Mapping) else '-'}: ", "dim")
        if isinstance(each, Mapping | list) and each:
            output.line(name)
            _tell(each, output, f"{indent}  ")
        else:
            output.line(name, _scalar(each))


def _scalar(value: JSON) -> str:
    return clean(value) if isinstance(value, str) else jcs.canonical(value).decode()
