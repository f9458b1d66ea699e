"""`theory streams`: the live series of a world."""

import argparse

from theory.cli.artifacts import document_of
from theory.cli.failures import OK
from theory.cli.kv import given_bytes, preview, value_document
from theory.cli.output import Cell
from theory.cli.session import Session, plan_named, world_named
from theory.cli.text import counted, moment, size
from theory.core.clock import rfc3339
from theory.core.content_type import content_type_by_name
from theory.core.jcs import JSON
from theory.core.stream import AskedLimits, ChunkPage, Stream
from theory.core.world_path import WorldPath
from theory.sdk.rpc import unwrapped


async def append(session: Session, options: argparse.Namespace) -> int:
    """Append chunks to a stream."""
    chunks = [given_bytes(each) for each in options.chunks]
    limits = AskedLimits(options.max_chunks, options.max_bytes, options.sample_every)
    async with session.connect() as theory:
        plan_id = None if options.plan is None else await plan_named(theory, options.plan)
        appended = await theory.streams.append_many(
            await world_named(theory, options.world),
            options.series,
            chunks,
            expected_idx=options.expected,
            limits=limits,
            plan_id=None if plan_id is None else plan_id.text,
        )
    session.output.line(str(appended.first_idx))
    session.output.document({"first_idx": appended.first_idx, "watermark_idx": appended.watermark_idx})
    return OK


async def read(session: Session, options: argparse.Namespace) -> int:
    """Print chunks."""
    async with session.connect() as theory:
        world = await world_named(theory, options.world)
        from_idx = options.start
        if options.last is not None:
            stream = await theory.streams.status(world, options.series)
            from_idx = max(0, stream.chunk_count - options.last)
        page = await theory.streams.read(
            world, options.series, from_idx=from_idx, max_chunks=options.max, wait_s=options.wait
        )
    if options.raw and not session.output.as_json:
        for each in page.chunks:
            session.output.data(each.data)
    else:
        _show(session, page)
    session.output.document(
        {
            "chunks": [
                {
                    "idx": each.idx,
                    "cid": each.cid.text,
                    "append_time": rfc3339(each.append_time),
                    **value_document(each.data),
                }
                for each in page.chunks
            ],
            "next_idx": page.next_idx,
            "watermark_idx": page.watermark_idx,
            "skipped_chunks": page.skipped_chunks,
        }
    )
    return OK


async def promote(session: Session, options: argparse.Namespace) -> int:
    """Bind a chunk to a path."""
    path = WorldPath.parse(options.path)
    async with session.connect() as theory:
        plan_id = None if options.plan is None else await plan_named(theory, options.plan)
        artifact = await theory.streams.promote(
            await world_named(theory, options.world),
            options.series,
            options.idx,
            path,
            content_type=options.content_type or content_type_by_name(path.name),
            plan_id=None if plan_id is None else plan_id.text,
        )
    session.output.line(f"{artifact.path}  ", Cell(artifact.cid.text, "dim"), f"  {size(artifact.size_bytes)}")
    session.output.document(document_of(artifact))
    return OK


async def status(session: Session, options: argparse.Namespace) -> int:
    """Describe streams."""
    async with session.connect() as theory:
        world = await world_named(theory, options.world)
        found = unwrapped(await theory.streams.status_many(world, options.series))
    for at, each in enumerate(found):
        if at:
            session.output.line()
        limits = each.limits
        sampled = f"every {limits.sample_every_n}" if limits.sample_every_n else "none"
        facts = [
            ("series", each.series.text),
            ("world", each.world.text),
            ("watermark", str(each.watermark_idx)),
            ("chunks", f"{each.chunk_count}, {each.dropped_chunks} of them dropped"),
            ("kept", f"{counted(_kept(each), 'chunk')}, {each.kept_bytes} bytes"),
            ("limits", f"{counted(limits.max_chunks, 'chunk')}, {limits.max_bytes} bytes"),
            ("sampled", sampled),
            ("made", f"{moment(each.create_time)} UTC"),
            ("appended", f"{moment(each.update_time)} UTC"),
        ]
        session.output.table([(Cell(name, "dim"), value) for name, value in facts])
    session.output.document({"streams": [_document(each) for each in found]})
    return OK


async def ls(session: Session, options: argparse.Namespace) -> int:
    """List streams."""
    async with session.connect() as theory:
        world = await world_named(theory, options.world)
        found = [each async for each in theory.streams.list(world, options.prefix or "")]
    rows = [(str(each.watermark_idx), str(_kept(each)), size(each.kept_bytes), each.series.text) for each in found]
    session.output.table(rows, [">watermark", ">kept", ">size", "series"])
    session.output.line(Cell(f"{counted(len(found), 'stream')} in world {world}", "dim"))
    session.output.document({"streams": [_document(each) for each in found]})
    return OK


def _show(session: Session, page: ChunkPage) -> None:
    if page.skipped_chunks:
        session.output.note(f"{counted(page.skipped_chunks, 'chunk')} dropped before")
    rows = [(str(each.idx), moment(each.append_time), preview(each.data)) for each in page.chunks]
    session.output.table(rows, [">idx", "appended", "data"])
    if not page.chunks:
        session.output.line(f"nothing is there yet; the watermark is {page.watermark_idx}")


def _kept(stream: Stream) -> int:
    return stream.chunk_count - stream.dropped_chunks


def _document(stream: Stream) -> dict[str, JSON]:
    return {
        "world": stream.world.text,
        "series": stream.series.text,
        "watermark_idx": stream.watermark_idx,
        "chunk_count": stream.chunk_count,
        "dropped_chunks": stream.dropped_chunks,
        "kept_bytes": stream.kept_bytes,
        "max_chunks": stream.limits.max_chunks,
        "max_bytes": stream.limits.max_bytes,
        "sample_every_n": stream.limits.sample_every_n,
        "create_time": rfc3339(stream.create_time),
        "update_time": rfc3339(stream.update_time),
    }
