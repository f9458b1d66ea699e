"""What every artifact store promises about the paths of worlds, over the wire."""

import asyncio

from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.core.artifact import DEFAULT_CONTENT_TYPE, Artifact
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, Exhausted, Invalid, NotFound, TheoryError
from theory.core.ids import PlanId
from theory.core.ledger import Position
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.sdk.ledger import LedgerClient
from theory.sdk.worlds import WorldsClient
from theory.testing.case import Target, case
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.status import item_error

_MIB = 1 << 20
_LONGEST = "/artifacts/" + "/".join(["a" * 252] * 4) + "bb"
_BAD_PATHS = [
    # A11: nothing is decoded, so nothing is decoded twice.
    *(
        "/artifacts/%2fetc",
        "/artifacts/a%252Fb",
        "/artifacts/%00",
        "/artifacts/%5c",
        "/artifacts/%41",
        "/artifacts/100%",
    ),
    # No dots, no empty or odd segments, no facet but one.
    *(
        "",
        "/",
        "artifacts/a",
        "/artifacts",
        "/artifacts/",
        "/artifacts/a/",
        "/artifacts//a",
        "/artifacts/./a",
        "/artifacts/..",
    ),
    *("/artifacts/../etc/passwd", "/artifacts/a/../b", "/etc/passwd", "/streams/a", "/other/a", "//artifacts/a"),
    *("/artifacts/a\\b", "\\artifacts\\a", "/artifacts/ a", "/artifacts/a ", "/artifacts/a/**", "file:///artifacts/a"),
    # Control, format and separating characters.
    *("/artifacts/a\x00b", "/artifacts/a\nb", "/artifacts/\x7f", "/artifacts/a\u200bb", "/artifacts/a\u202eb"),
    *("/artifacts/a\u2028b", "/artifacts/\ufeffa", "/artifacts/\ue000", "/artifacts/\u0378"),
    # A12: what folds into something else is refused, not folded.
    *(
        "/artifacts/A",
        "/artifacts/\u0130",
        "/artifacts/e\u0301",
        "/artifacts/\u212a",
        "/artifacts/\u037e",
        "/artifacts/\u1fef",
    ),
    *("/artifacts/a\uff0fb", "/artifacts/a\u2024", "/artifacts/\uff05", "/artifacts/\u2025", "/artifacts/a\ufe68b"),
    # A13: lengths and depth.
    *("/artifacts/" + "a" * 256, "/artifacts/" + "\u00e9" * 128, _LONGEST + "b", "/artifacts" + "/a" * 32),
]
_BAD_PREFIXES = [
    *("/", "artifacts/", "/artifacts", "/artifacts/a", "/artifacts//", "/artifacts/../", "/artifacts/A/", "/other/"),
    *("/artifacts/%2f/", "/artifacts/a\\/", "/artifacts/a\x00/", "/artifacts/**/", "/artifacts/" + "a" * 256 + "/"),
]
_GOOD_PATHS = [
    *("/artifacts/a", "/artifacts/" + "b" * 255, "/artifacts/" + "\u00e9" * 127, _LONGEST, "/artifacts/c" + "/c" * 30),
    *(
        "/artifacts/d e",
        "/artifacts/.f",
        "/artifacts/g..",
        "/artifacts/-",
        "/artifacts/\u65e5\u672c",
        "/artifacts/\U0001f600",
    ),
]


@case()
async def a_bound_path_reads_as_it_was_written(target: Target) -> None:
    """Path, CID, length and content type come back as they went, and so do the bytes (I-12)."""
    client, world = ArtifactsClient(target.channel()), _world(target)
    path, data = WorldPath("/artifacts/inputs/photo.png"), target.fresh("photo").encode()
    put = await client.put_bytes(world, path, data, "image/png")
    assert (put.world, put.path, put.cid, put.size_bytes) == (world, path, Cid.of(data), len(data))
    assert put.content_type == "image/png"
    assert await client.stat(world, path) == put
    assert await client.read_many(world, [path]) == [(put, data)]
    assert (await client.put_bytes(world, WorldPath("/artifacts/empty"), b"")).content_type == DEFAULT_CONTENT_TYPE


@case()
async def a_path_is_bound_to_a_stored_blob_by_its_name(target: Target) -> None:
    """A path may be bound by CID; a CID that nobody stored is `NotFound BLOB_UNKNOWN` (I-7, I-126)."""
    client, world, data = ArtifactsClient(target.channel()), _world(target), target.fresh("blob").encode()
    cid = await client.put_blob(data)
    unknown = Cid.of(target.fresh("none").encode())
    known, refusal_of_unknown = await client.put_many(
        world, [ArtifactPut(WorldPath("/artifacts/a"), cid), ArtifactPut(WorldPath("/artifacts/b"), unknown)]
    )
    assert isinstance(known, Artifact)
    assert (known.cid, known.size_bytes) == (cid, len(data))
    assert refused(refusal_of_unknown, NotFound, "BLOB_UNKNOWN").metadata == {"cid": unknown.text}


@case()
async def the_same_bytes_again_change_nothing(target: Target) -> None:
    """A repeat succeeds, is not created, and keeps create time and content type (I-6)."""
    stub, world = ArtifactsServiceStub(target.channel()), _world(target)
    request = pb.PutArtifactsRequest(world=world.text)
    request.items.add(world_path="/artifacts/a", data=b"one", content_type="text/plain")
    first = (await call(stub.PutArtifacts, request)).results[0]
    request.items[0].content_type = "text/html"
    again = (await call(stub.PutArtifacts, request)).results[0]
    assert (first.created, again.created) == (True, False)
    assert again.artifact == first.artifact


@case()
async def a_path_never_changes_its_bytes(target: Target) -> None:
    """Other bytes are `AlreadyExists PATH_BOUND`, which names the bound CID; the path stays as it is (I-7)."""
    client, world, path = ArtifactsClient(target.channel()), _world(target), WorldPath("/artifacts/a")
    await client.put_bytes(world, path, b"one")
    error = await refusal(client.put_bytes(world, path, b"two"), AlreadyExists, "PATH_BOUND")
    assert error.metadata == {"path": path.text, "cid": Cid.of(b"one").text}
    assert await client.get_bytes(world, path) == b"one"


@case()
async def one_of_many_writers_wins_whole(target: Target) -> None:
    """Of 32 writers of different bytes exactly one succeeds, the others learn its CID, readers see it whole (I-8)."""
    client, world, path = ArtifactsClient(target.channel()), _world(target), WorldPath("/artifacts/prize")
    bodies = [target.fresh("body").encode() + bytes([n]) * 65_536 for n in range(32)]

    async def write(body: bytes) -> Artifact | TheoryError:
        (answer,) = await client.put_many(world, [ArtifactPut(path, body)])
        return answer

    async def read() -> bytes | None:
        (answer,) = await client.read_many(world, [path])
        return None if isinstance(answer, TheoryError) else answer[1]

    ended = await asyncio.gather(*(task for body in bodies for task in (write(body), read())))
    won = [answer for answer in ended[::2] if isinstance(answer, Artifact)]
    seen = {answer for answer in ended[1::2] if isinstance(answer, bytes)}
    assert len(won) == 1
    for answer in ended[::2]:
        if not isinstance(answer, Artifact):
            assert refused(answer, AlreadyExists, "PATH_BOUND").metadata["cid"] == won[0].cid.text
    final = await client.get_bytes(world, path)
    assert final in bodies
    assert Cid.of(final) == won[0].cid
    assert seen <= {final}


@case()
async def worlds_are_separate(target: Target) -> None:
    """What is bound in one world is not there in another, nor in its way (I-5)."""
    client, one, two = ArtifactsClient(target.channel()), _world(target), _world(target)
    await client.put_bytes(one, WorldPath("/artifacts/a"), b"one")
    await refusal(client.stat(two, WorldPath("/artifacts/a")), NotFound, "ARTIFACT_UNKNOWN")
    await client.put_bytes(two, WorldPath("/artifacts/a/b"), b"two")
    assert [each.path.text async for each in client.list(one)] == ["/artifacts/a"]


@case()
async def a_path_is_never_a_file_and_a_folder(target: Target) -> None:
    """The second of the two is `AlreadyExists PATH_SHADOWED` and names the first, either way round (I-9)."""
    client, world = ArtifactsClient(target.channel()), _world(target)
    await client.put_bytes(world, WorldPath("/artifacts/a/b"), b"")
    await client.put_bytes(world, WorldPath("/artifacts/c"), b"")
    for path, other in (("/artifacts/a", "/artifacts/a/b"), ("/artifacts/c/d/e", "/artifacts/c")):
        put = client.put_bytes(world, WorldPath(path), b"")
        assert (await refusal(put, AlreadyExists, "PATH_SHADOWED")).metadata == {"path": path, "other": other}
    for neighbour in ("/artifacts/a.b", "/artifacts/a-", "/artifacts/a0", "/artifacts/aa/b", "/artifacts/c ."):
        await client.put_bytes(world, WorldPath(neighbour), b"")


@case()
async def file_and_folder_at_once_leave_one_of_them(target: Target) -> None:
    """Writers that race for a path and for one below it are never both answered well (I-8, I-9)."""
    client = ArtifactsClient(target.channel())
    for _ in range(8):
        world = _world(target)
        puts = (
            client.put_many(world, [ArtifactPut(WorldPath(path), b"")]) for path in ("/artifacts/a", "/artifacts/a/b")
        )
        answers = [answer for (answer,) in await asyncio.gather(*puts)]
        assert sum(isinstance(answer, Artifact) for answer in answers) == 1
        assert len([each async for each in client.list(world)]) == 1


@case()
async def file_and_folder_in_one_batch_leave_the_earlier(target: Target) -> None:
    """Items are decided in their order: the later one is `PATH_SHADOWED`, and stops no other (I-9, I-86)."""
    client, world = ArtifactsClient(target.channel()), _world(target)
    paths = [WorldPath(f"/artifacts/{name}") for name in ("a/b", "a", "c", "c/d/e", "f", "a/b/c")]
    answers = await client.put_many(world, [ArtifactPut(path, b"") for path in paths])
    assert [answer.path for answer in answers if isinstance(answer, Artifact)] == [paths[0], paths[2], paths[4]]
    for later, earlier in ((1, 0), (3, 2), (5, 0)):
        error = refused(answers[later], AlreadyExists, "PATH_SHADOWED")
        assert error.metadata == {"path": paths[later].text, "other": paths[earlier].text}


@case()
async def batches_that_cross_leave_one_of_each_pair(target: Target) -> None:
    """Of two batches that want a file where the other wants a folder, each pair goes to one of them (I-8, I-9)."""
    clients = [ArtifactsClient(target.channel()) for _ in range(2)]
    for _ in range(4):
        world = _world(target)
        files = [f"/artifacts/{n}" for n in range(32)]
        wanted = [
            [WorldPath(file if n % 2 == writer else f"{file}/part") for n, file in enumerate(files)]
            for writer in range(2)
        ]
        puts = (
            client.put_many(world, [ArtifactPut(path, b"") for path in paths])
            for client, paths in zip(clients, wanted, strict=True)
        )
        for one, other in zip(*await asyncio.gather(*puts), strict=True):
            assert sum(isinstance(answer, Artifact) for answer in (one, other)) == 1
            refused(other if isinstance(one, Artifact) else one, AlreadyExists, "PATH_SHADOWED")
        assert len([each async for each in clients[0].list(world)]) == len(files)


@case()
async def a_path_that_is_not_canonical_is_refused(target: Target) -> None:
    """It is `Invalid PATH_INVALID` with the rule and the value, never repaired, and stops no other item (I-2, I-86)."""
    stub, world = ArtifactsServiceStub(target.channel()), _world(target)
    request = pb.PutArtifactsRequest(world=world.text)
    for path in _BAD_PATHS:
        request.items.add(world_path=path, data=b"")
    request.items.add(world_path="/artifacts/good", data=b"")
    *bad, good = (await call(stub.PutArtifacts, request)).results
    for result in bad:
        assert set(refused(item_error(result.status), Invalid, "PATH_INVALID").metadata) == {"rule", "value"}
    assert good.created
    stats = await call(stub.StatArtifacts, pb.StatArtifactsRequest(world=world.text, world_paths=_BAD_PATHS))
    reads = await call(stub.ReadArtifacts, pb.ReadArtifactsRequest(world=world.text, world_paths=_BAD_PATHS))
    for status in [*(each.status for each in stats.results), *(each.status for each in reads.results)]:
        refused(item_error(status), Invalid, "PATH_INVALID")
    for prefix in _BAD_PREFIXES:
        listed = call(stub.ListArtifacts, pb.ListArtifactsRequest(world=world.text, prefix=prefix))
        await refusal(listed, Invalid, "PATH_INVALID")
    assert [each.path.text async for each in ArtifactsClient(target.channel()).list(world)] == ["/artifacts/good"]


@case()
async def a_canonical_path_is_accepted_as_it_is(target: Target) -> None:
    """The longest and strangest paths of the grammar are bound and come back unchanged (I-3)."""
    client, world = ArtifactsClient(target.channel()), _world(target)
    paths = [WorldPath.parse(path) for path in _GOOD_PATHS]
    answers = await client.put_many(world, [ArtifactPut(path, path.text.encode()) for path in paths])
    assert [answer.path for answer in answers if isinstance(answer, Artifact)] == paths
    assert [data for _, data in [each for each in await client.read_many(world, paths) if isinstance(each, tuple)]] == [
        path.text.encode() for path in paths
    ]


@case()
async def what_is_malformed_beside_a_path_is_refused(target: Target) -> None:
    """World and plan fail the call, an item's own fields fail the item (I-86, I-89)."""
    stub, world = ArtifactsServiceStub(target.channel()), _world(target)
    item = pb.PutArtifactsRequest.Item(world_path="/artifacts/a", data=b"")
    for name in ("", "W", "a/b", "..", "a" * 129):
        await refusal(
            call(stub.PutArtifacts, pb.PutArtifactsRequest(world=name, items=[item])), Invalid, "WORLD_INVALID"
        )
        await refusal(
            call(stub.StatArtifacts, pb.StatArtifactsRequest(world=name, world_paths=["/artifacts/a"])),
            Invalid,
            "WORLD_INVALID",
        )
        await refusal(call(stub.ListArtifacts, pb.ListArtifactsRequest(world=name)), Invalid, "WORLD_INVALID")
    no_plan = pb.PutArtifactsRequest(world=world.text, plan_id="No", items=[item])
    await refusal(call(stub.PutArtifacts, no_plan), Invalid, "ID_INVALID")
    request = pb.PutArtifactsRequest(world=world.text)
    request.items.add(world_path="/artifacts/b")
    request.items.add(world_path="/artifacts/c", cid="b3:no")
    request.items.add(world_path="/artifacts/d", data=b"d", expected_cid=Cid.of(b"x").text)
    request.items.add(world_path="/artifacts/e", data=bytes(_MIB + 1))
    request.items.add(world_path="/artifacts/f", data=b"", content_type="no type")
    reasons = ["FIELD_INVALID", "CID_INVALID", "CID_MISMATCH", "BLOB_TOO_LARGE", "FIELD_INVALID"]
    for result, reason in zip((await call(stub.PutArtifacts, request)).results, reasons, strict=True):
        refused(item_error(result.status), Invalid, reason)
    assert [each async for each in ArtifactsClient(target.channel()).list(world)] == []


@case()
async def batches_of_paths_have_limits(target: Target) -> None:
    """None, more than 1,000, or more than 6 MiB of data are `Invalid BATCH_SIZE`, as a whole (I-89)."""
    stub, world = ArtifactsServiceStub(target.channel()), _world(target)
    item = pb.PutArtifactsRequest.Item(world_path="/artifacts/a", data=b"")
    heavy = [pb.PutArtifactsRequest.Item(world_path=f"/artifacts/{n}", data=bytes(_MIB)) for n in range(7)]
    for items in ([], [item] * 1001, heavy):
        await refusal(
            call(stub.PutArtifacts, pb.PutArtifactsRequest(world=world.text, items=items)), Invalid, "BATCH_SIZE"
        )
    for count in (0, 1001):
        paths = ["/artifacts/a"] * count
        for asked in (
            call(stub.StatArtifacts, pb.StatArtifactsRequest(world=world.text, world_paths=paths)),
            call(stub.ReadArtifacts, pb.ReadArtifactsRequest(world=world.text, world_paths=paths)),
        ):
            await refusal(asked, Invalid, "BATCH_SIZE")
    client = ArtifactsClient(target.channel())
    full = [ArtifactPut(WorldPath(f"/artifacts/{n}"), str(n).encode()) for n in range(1000)]
    assert all(isinstance(answer, Artifact) for answer in await client.put_many(world, full))


@case()
async def an_unbound_path_is_unknown(target: Target) -> None:
    """`NotFound ARTIFACT_UNKNOWN` names path and world, and stops no other item (I-86)."""
    client, world = ArtifactsClient(target.channel()), _world(target)
    bound = await client.put_bytes(world, WorldPath("/artifacts/a"), b"one")
    paths = [WorldPath("/artifacts/none"), WorldPath("/artifacts/a"), WorldPath("/artifacts/a/b")]
    unknown, found, below = await client.stat_many(world, paths)
    assert found == bound
    for error, path in ((unknown, paths[0]), (below, paths[2])):
        assert refused(error, NotFound, "ARTIFACT_UNKNOWN").metadata == {"path": path.text, "world": world.text}
    reads = await client.read_many(world, paths)
    refused(reads[0], NotFound, "ARTIFACT_UNKNOWN")
    assert reads[1] == (bound, b"one")


@case()
async def a_read_that_is_full_says_so(target: Target) -> None:
    """Artifacts beyond 6 MiB of answer are `Exhausted REPLY_FULL`; one over 1 MiB has to be downloaded (I-89)."""
    client, world = ArtifactsClient(target.channel()), _world(target)
    paths = [WorldPath(f"/artifacts/{n}") for n in range(8)]
    blobs = [bytes([n]) * _MIB for n in range(8)]
    for path, data in zip(paths, blobs, strict=True):
        await client.put_bytes(world, path, data)
    request = pb.ReadArtifactsRequest(world=world.text, world_paths=[path.text for path in paths])
    results = (await call(ArtifactsServiceStub(target.channel()).ReadArtifacts, request)).results
    assert [result.data for result in results[:6]] == blobs[:6]
    for result in results[6:]:
        refused(item_error(result.status), Exhausted, "REPLY_FULL")
    large = WorldPath("/artifacts/large")
    await client.put_bytes(world, large, bytes(_MIB + 1))
    (answer,) = await client.read_many(world, [large])
    refused(answer, Invalid, "BLOB_TOO_LARGE")
    assert await client.get_bytes(world, large) == bytes(_MIB + 1)


@case()
async def a_listing_names_everything_once_in_order(target: Target) -> None:
    """Pages follow the bytes of the path, end where they end, and a prefix takes whole segments (I-4, I-88)."""
    client, stub, world = ArtifactsClient(target.channel()), ArtifactsServiceStub(target.channel()), _world(target)
    names = ["a/b", "a/b.c/d", "a/é", "a-", "a.b", "a/c/d", "a/c-", "ab", "b", "\U0001f600", "ￛ", "a/c/日"]
    paths = sorted((f"/artifacts/{name}" for name in names), key=str.encode)
    await client.put_many(world, [ArtifactPut(WorldPath(path), b"") for path in reversed(paths)])
    for size in (1, 5, 12, 13):
        listed, token, pages = [], "", 0
        while pages == 0 or token:
            request = pb.ListArtifactsRequest(world=world.text, page_size=size, page_token=token)
            page = await call(stub.ListArtifacts, request)
            listed += [each.world_path for each in page.artifacts]
            token, pages = page.next_page_token, pages + 1
        assert listed == paths
        assert pages == -(-len(paths) // size)
    for prefix in ("/artifacts/a/", "/artifacts/a/c/", "/artifacts/none/", "/artifacts/"):
        below = [each.path.text async for each in client.list(world, PathPrefix.parse(prefix))]
        assert below == [path for path in paths if path.startswith(prefix)]


@case()
async def a_page_has_a_size_within_limits(target: Target) -> None:
    """0 is 100, more than 1,000 is 1,000, a negative one is `Invalid PAGE_SIZE_INVALID` (I-88)."""
    client, stub, world = ArtifactsClient(target.channel()), ArtifactsServiceStub(target.channel()), _world(target)
    full = [ArtifactPut(WorldPath(f"/artifacts/{n}"), b"") for n in range(1001)]
    await client.put_many(world, full)
    for asked, size in ((0, 100), (7, 7), (1000, 1000), (5000, 1000)):
        page = await call(stub.ListArtifacts, pb.ListArtifactsRequest(world=world.text, page_size=asked))
        assert len(page.artifacts) == size
        assert page.next_page_token
    negative = call(stub.ListArtifacts, pb.ListArtifactsRequest(world=world.text, page_size=-1))
    await refusal(negative, Invalid, "PAGE_SIZE_INVALID")


@case()
async def a_token_fits_only_its_own_listing(target: Target) -> None:
    """A token of another world or prefix, or of nobody, is `Invalid PAGE_TOKEN_INVALID` (I-88)."""
    client, stub, world = ArtifactsClient(target.channel()), ArtifactsServiceStub(target.channel()), _world(target)
    await client.put_many(world, [ArtifactPut(WorldPath(f"/artifacts/x/{n}"), b"") for n in range(3)])
    first = await call(stub.ListArtifacts, pb.ListArtifactsRequest(world=world.text, page_size=1))
    token = first.next_page_token
    for request in (
        pb.ListArtifactsRequest(world=_world(target).text, page_token=token),
        pb.ListArtifactsRequest(world=world.text, prefix="/artifacts/x/", page_token=token),
        pb.ListArtifactsRequest(world=world.text, page_token=token[:-2]),
        pb.ListArtifactsRequest(world=world.text, page_token="/artifacts/x/0"),  # noqa: S106 - of pages
    ):
        await refusal(call(stub.ListArtifacts, request), Invalid, "PAGE_TOKEN_INVALID")
    another_size = pb.ListArtifactsRequest(world=world.text, page_size=5, page_token=token)
    assert len((await call(stub.ListArtifacts, another_size)).artifacts) == 2


@case("LEDGER")
async def a_direct_write_is_recorded_once_in_the_chain_of_its_plan(target: Target) -> None:
    """Each new binding becomes one `artifact.written` of its plan, repeats become none (I-55)."""
    client, ledger = ArtifactsClient(target.channel()), LedgerClient(target.channel())
    world, plan_id = _world(target), PlanId.parse(target.fresh("plan"))
    items = [ArtifactPut(WorldPath(f"/artifacts/{n}"), str(n).encode()) for n in range(3)]
    for batch in (items[:2], items, items):
        await client.put_many(world, batch, plan_id=plan_id)
    assert await _all_events(ledger, plan_id, len(items)) == [
        {"world": world.text, "path": item.path.text, "cid": Cid.of(str(n).encode()).text, "size": 1}
        for n, item in enumerate(items)
    ]


@case("LEDGER")
async def the_ledger_says_of_a_world_what_is_bound_in_it(target: Target) -> None:
    """At the heads of the chains that wrote to a world, their events name exactly what is bound (I-145)."""
    client, ledger = ArtifactsClient(target.channel()), LedgerClient(target.channel())
    worlds, world = WorldsClient(client, ledger), _world(target)
    plans = [PlanId.parse(target.fresh("plan")) for _ in range(2)]
    for number, plan_id in enumerate((*plans, plans[0])):
        await client.put_bytes(world, WorldPath(f"/artifacts/{number}"), b"1" * number, plan_id=plan_id)
        await client.put_bytes(_world(target), WorldPath(f"/artifacts/{number}"), b"other", plan_id=plan_id)
    counts = [len(await _all_events(ledger, plan_id, least)) for plan_id, least in zip(plans, (4, 2), strict=True)]
    heads = [Position(plan_id.text, count) for plan_id, count in zip(plans, counts, strict=True)]
    now = await worlds.at(world)
    assert [each.path.text for each in now] == ["/artifacts/0", "/artifacts/1", "/artifacts/2"]
    assert await worlds.at(world, heads) == now
    assert await worlds.at(world, heads[1:]) == now[1:2]
    assert await worlds.at(world, [Position(plans[0].text, 1)]) == now[:1]


async def _all_events(ledger: LedgerClient, plan_id: PlanId, least: int) -> list[object]:
    async with asyncio.timeout(20):
        while len(events := await _events(ledger, plan_id)) < least:  # noqa: ASYNC110 - no event of ours tells
            await asyncio.sleep(0.02)
    return events


async def _events(ledger: LedgerClient, plan_id: PlanId) -> list[object]:
    pages = [page async for page in ledger.events(plan_id.text, kinds=["artifact.written"])]
    return [dict(event.body) for page in pages for event in page.events]


def _world(target: Target) -> WorldName:
    return WorldName.parse(target.fresh("world"))
