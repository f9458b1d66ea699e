"""What can be said on the command line: every verb, its options, and the name of what carries it out."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from theory.cli.failures import EXIT_CODES
from theory.cli.grammar_ledger import ledger, verify
from theory.cli.parsers import PLAN, Format, Noun, Parser, add_common, sentence, whole_from

CHECKS = ("versions", "home", "services", "runtimes", "engine")
"""What the doctor looks at."""
PRIMITIVES = ("kv", "queue", "secret", "volume", "artifacts", "streams", "ledger", "registry", "executor")
"""What has promises that a server can be held to."""
SPEC_KINDS = ("tools", "schemas", "prompts", "policies", "predicates")
ASSIGNMENT = "NAME=TEXT, or NAME:=JSON for what is no text"

_WORLD = "a world: a plan's id, a shared world's name, or 'latest', the newest plan's"
_EXECUTION = "an execution's id such as PLAN.report or PLAN.render.3; PLAN may be 'latest'"
_POSITION = "as it was then: a chain, up to and including this event; may be given again"
_BYTES = "text; @FILE reads a file, @- standard input"


class Verb(NamedTuple):
    """A verb of the command line."""

    summary: str
    configure: Callable[[argparse.ArgumentParser], None]


def parser_of(name: str) -> Parser:
    """The parser of one verb; what it parses has `run`: `module.function` below `theory.cli`."""
    verb = VERBS[name]
    parser = Parser(f"theory {name}", description=sentence(verb.summary), epilog=EXIT_CODES, formatter_class=Format)
    add_common(parser)
    verb.configure(parser)
    return parser


def _run(parser: argparse.ArgumentParser) -> None:
    parser.description = """\
Reads a plan, uploads the local files that it names (patterns begin beside the plan), submits it, and
follows it to its end: as a picture on a terminal, as lines in a pipe. Ctrl-C ends the following, never
the plan.

With --json one document is printed at the end: the plan, its executions, the cost."""
    parser.epilog = f"""examples:
  theory run plan.yaml
  theory run plan.yaml --runtime process --set seed:=7 --set transitions.report.inputs.title="New title"
  theory run plan.yaml --into results/

{EXIT_CODES}"""
    parser.add_argument("plan", metavar="PLAN", type=Path, help="the YAML file of a plan")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="values", help=ASSIGNMENT)
    _add_run_options(parser)
    parser.set_defaults(run="run.run")


def _run_processor(parser: argparse.ArgumentParser) -> None:
    parser.description = """\
Submits a plan of one transition and follows it to its end. The files given with --file are uploaded,
and are what the processor reads; --read adds what else of a shared world it may see."""
    parser.epilog = f"""examples:
  theory run-processor media/probe@1 --file /artifacts/inputs/cat.png=cat.png \\
      --input path=/artifacts/inputs/cat.png --input title="A cat" --into out/

{EXIT_CODES}"""
    parser.add_argument("processor", metavar="REF", help="the processor's ref, such as media/probe@1")
    repeated: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument("--input", **repeated, metavar="NAME=VALUE", dest="inputs", help=ASSIGNMENT)
    parser.add_argument("--file", **repeated, metavar="PATH=FILE", dest="files", help="upload FILE as World path PATH")
    parser.add_argument("--read", **repeated, metavar="SELECTOR", dest="reads", help="a World path, or prefix/**")
    parser.add_argument("--write-prefix", metavar="PREFIX", help="where it writes, below a prefix that it declares")
    parser.add_argument("--world", metavar="NAME", help="a shared world (default: one of the plan's own)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="given to the processor (default: 0)")
    parser.add_argument("--policy", metavar="REF", help="the policy (default: default@1)")
    parser.add_argument("--max-usd-micro", type=int, metavar="N", help="the most it may cost, in micro-dollars")
    _add_run_options(parser)
    parser.set_defaults(run="run_processor.run")


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runtime", metavar="KIND", help="for the whole plan: local, process or mock")
    parser.add_argument(
        "--watch", action=argparse.BooleanOptionalAction, default=True, help="follow it to its end, or only submit it"
    )
    parser.add_argument("--logs", action="store_true", help="print what its executions print, line by line")
    parser.add_argument(
        "--into", metavar="DIR", help="copy the outputs there if it succeeds; {plan} in it stands for the plan's id"
    )


def _plan(parser: argparse.ArgumentParser) -> None:
    noun = Noun(parser, "plan")
    ls = noun.verb("ls", "list plans, the newest first")
    ls.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
    noun.verb("show", "show a plan: its executions, its cost, its outputs", ("PLAN", PLAN))
    executions = noun.verb("executions", "list the executions of a plan, or show one", ("PLAN", PLAN))
    executions.add_argument("execution", metavar="EXECUTION", nargs="?", help="such as report, or render.3")
    noun.verb("explain", "say why each execution ran, or did not have to", ("PLAN", PLAN))
    cancel = noun.verb("cancel", "end a plan early, or one execution of it: what runs is stopped", ("PLAN", PLAN))
    cancel.add_argument("execution", metavar="EXECUTION", nargs="?", help="such as report, or render.3")
    cancel.add_argument(
        "--watch", action=argparse.BooleanOptionalAction, default=True, help="follow it to its end, or only ask for it"
    )
    budget = noun.verb("budget", "show the account of a plan, or add to it", ("PLAN", PLAN))
    budget.description = """\
Shows what the plan may spend, what open attempts hold, what was spent, and what it owes. What is added pays the debt
first; then the plan may go on reserving."""
    budget.add_argument("--add", metavar="USD", help="dollars, such as 2.50: exact, six decimals at most")
    budget.add_argument("--request-id", metavar="ID", help="the same one again adds nothing (default: a new one)")
    budget.epilog = EXIT_CODES
    budget.set_defaults(run="budget.budget")
    noun.verb("watch", "follow a plan to its end; 1 where it fails; --json: one line per change", ("PLAN", PLAN))


def _artifacts(parser: argparse.ArgumentParser) -> None:
    noun, world = Noun(parser, "artifacts"), ("WORLD", _WORLD)
    ls = noun.verb("ls", "list what is below a folder of a world", world)
    ls.add_argument("prefix", metavar="PREFIX", nargs="?", help="ends in / (default: the whole world)")
    get = noun.verb("get", "copy files, or all below a folder, to this machine", world)
    get.add_argument("paths", metavar="PATH", nargs="+", help="a World path, or a folder, which ends in /")
    get.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="where to (default: here)")
    path = ("PATH", "a World path; in a folder, which ends in /, the file keeps its name")
    put = noun.verb("put", "bind a path to the bytes of a local file", world, path, ("FILE", "- is standard input"))
    put.add_argument("--content-type", metavar="TYPE", help="(default: by the file's name)")
    noun.verb("cat", "print the bytes of one file", world, ("PATH", ""))
    noun.verb("stat", "describe files", world).add_argument("paths", metavar="PATH", nargs="+")
    _mounts(noun)
    _whole_worlds(noun)
    _retention(noun)


def _retention(noun: Noun) -> None:
    gc = noun.verb("gc", "collect stored bytes that nothing refers to")
    gc.add_argument("--dry-run", action="store_true", help="only count")
    gc.description = """\
Deletes the bytes that were marked a lease ago, and marks those that are old and that no path, reservation or pin
refers to. The service does the same by itself, once per period: see its settings."""
    drop = noun.verb("drop", "drop a world, for ever", ("WORLD", _WORLD))
    drop.add_argument("--yes", action="store_true", help="needed: nothing of it comes back, nor can its name be used")
    drop.description = """\
Removes every file and stream of a world. Bytes that nothing else refers to are collected later. Refused while an
execution has reserved paths in it."""
    scrub = noun.verb("scrub", "read all stored bytes, and put aside what is damaged")
    scrub.description = """\
Computes the CID of every stored blob. One that is damaged is put into quarantine, and is missing from then on:
whoever has its bytes heals it by putting them again."""
    scrub.epilog = EXIT_CODES
    for parser, name in ((gc, "gc"), (drop, "drop"), (scrub, "scrub")):
        parser.set_defaults(run=f"retention.{name}")


def _mounts(noun: Noun) -> None:
    mount = noun.verb("mount", "lay a world out as a directory, read-only", ("WORLD", _WORLD))
    mount.add_argument("dir", metavar="DIR", type=Path, help="empty, not there yet, or a mount")
    mount.add_argument("--at", action="append", default=[], metavar="CHAIN@SEQ", help=_POSITION)
    mount.add_argument("--prefix", metavar="PREFIX", help="only what is below it; ends in / (default: everything)")
    mount.add_argument("--verify", action="store_true", help="read every file, also those that are there already")
    where = "where bytes are kept (default: the home's, else the user's cache)"
    mount.add_argument("--cache", metavar="DIR", type=Path, help=where)
    mount.description = """\
Lays the files of a world out below DIR, by their whole paths: links into a cache of verified bytes, or
copies where DIR is on another file system. Files and folders are read-only.

A mount is brought from what it holds to what it is to hold: files that are there and were not touched
stay. Whatever else is below it is removed, so keep nothing of yours there. A DIR that holds something
and is no mount is refused.

With --at it is the world of then: what the chains named, up to these events, say was written. Their
hashes are computed here. A world of several plans is written by several chains, and by system.artifacts
where no plan is named: --at may be given again."""
    mount.epilog = f"""examples:
  theory artifacts mount latest results/
  theory artifacts mount shared here/ --at plan-a@120 --at system.artifacts@31 --prefix /artifacts/frames/

{EXIT_CODES}"""
    unmount = noun.verb("unmount", "delete a mount, and all that is below it")
    unmount.add_argument("dir", metavar="DIR", type=Path)
    for parser, name in ((mount, "mount"), (unmount, "unmount")):
        parser.set_defaults(run=f"mounts.{name}")


def _whole_worlds(noun: Noun) -> None:
    below: dict[str, Any] = {
        "metavar": "PREFIX",
        "nargs": "?",
        "help": "a folder, which ends in / (default: everything)",
    }
    tree = noun.verb("tree", "draw the folders of a world, with sizes", ("WORLD", _WORLD))
    tree.add_argument("prefix", **below)
    tree.add_argument("--depth", type=whole_from(1), metavar="N", help="fold what lies deeper than N folders")
    diff = noun.verb("diff", "tell which files of two worlds differ", ("WORLD_A", _WORLD), ("WORLD_B", "likewise"))
    diff.add_argument("prefix", **below)
    diff.description = """\
Lists the files that only WORLD_B has (+), only WORLD_A has (-), or that have other bytes (~). Bytes are
compared by their CIDs: nothing is read.

WORLD@CHAIN@SEQ is the world as the events of a chain, up to this one, say that it was; more chains may
follow. PLAN@SEQ is short for it where the chain is the plan's."""
    diff.epilog = """examples:
  theory artifacts diff plan-a plan-b /artifacts/outputs/
  theory artifacts diff latest@41 latest

exit codes:
  0  the same
  1  different
  2  the command is wrong, or what was asked for is refused
  3  a service does not answer, or broke
  4  stored data are damaged"""
    fsck = noun.verb("fsck", "read every byte of a world, and name what is damaged or gone", ("WORLD", _WORLD))
    fsck.add_argument("prefix", **below)
    fsck.description = """\
Reads the bytes of everything that is bound, computes their CIDs here, and compares both CID and size.
Whether they are what the ledger says is asked by 'theory verify'."""
    fsck.epilog = EXIT_CODES
    for parser, name in ((tree, "tree"), (diff, "diff"), (fsck, "fsck")):
        parser.set_defaults(run=f"worlds.{name}")


def _streams(parser: argparse.ArgumentParser) -> None:
    noun, place = Noun(parser, "streams"), (("WORLD", _WORLD), ("SERIES", "such as /streams/camera/frames"))
    append = noun.verb("append", "append chunks to a stream and print the index of the first", *place)
    append.add_argument("chunks", metavar="CHUNK", nargs="+", help=_BYTES)
    append.add_argument("--expected", type=int, metavar="IDX", help="the index it must get: a repeat then adds nothing")
    fixed = "the first append to a stream says so for all"
    append.add_argument("--max-chunks", type=int, metavar="N", help=f"how many are kept (default: 1000); {fixed}")
    append.add_argument("--max-bytes", type=int, metavar="N", help=f"how much is kept (default: 64 MiB); {fixed}")
    every = f"record each N-th chunk in the ledger, 0 for none (default: 100); {fixed}"
    append.add_argument("--sample-every", type=int, metavar="N", help=every)
    append.add_argument(
        "--plan", metavar="PLAN", help="whose chain records them, or 'latest' (default: system.artifacts)"
    )
    read = noun.verb("read", "print chunks of a stream, by index", *place)
    start = read.add_mutually_exclusive_group()
    start.add_argument("--from", type=int, default=0, dest="start", metavar="IDX", help="the first (default: 0)")
    start.add_argument("--last", type=whole_from(1), metavar="N", help="the newest N instead")
    read.add_argument("--max", type=int, default=100, metavar="N", help="how many at most, 1 to 100 (default: 100)")
    read.add_argument("--wait", type=int, default=0, metavar="S", help="wait for a chunk, up to 20 s (default: 0)")
    read.add_argument("--raw", action="store_true", help="their bytes alone, one behind the other")
    promote = noun.verb("promote", "bind a chunk that is kept to a path, where it stays", *place)
    promote.add_argument("idx", metavar="IDX", type=int, help="its index")
    promote.add_argument("path", metavar="PATH", help="where to, such as /artifacts/stills/cover.png")
    promote.add_argument("--content-type", metavar="TYPE", help="(default: by the name of PATH)")
    promote.add_argument(
        "--plan", metavar="PLAN", help="whose chain records it, or 'latest' (default: system.artifacts)"
    )
    noun.verb("status", "describe streams", place[0]).add_argument("series", metavar="SERIES", nargs="+")
    ls = noun.verb("ls", "list the streams below a folder of a world", place[0])
    ls.add_argument("prefix", metavar="PREFIX", nargs="?", help="ends in / (default: the whole world)")


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.description = """\
Says what the memo index said of an execution: whose result it took, or what differed from the nearest earlier
key; what its key is made of; and whether an equal execution would take a result now, with the receipt that
vouches for it, verified against its name. 'theory plan explain PLAN' has one line for each of a plan."""
    parser.add_argument("execution", metavar="EXECUTION", help=_EXECUTION)
    parser.set_defaults(run="replay.explain")


def _logs(parser: argparse.ArgumentParser) -> None:
    parser.description = """\
Prints what an execution printed, its standard error on standard error; with --follow also what it goes on to
print, attempt after attempt, until it has ended. Secrets are blotted out. While an attempt runs the last
megabytes are kept, of a settled one the end alone, in which the two outputs cannot be told apart any more.

With --json each piece is a line."""
    parser.add_argument("execution", metavar="EXECUTION", help=_EXECUTION)
    parser.add_argument(
        "transition", metavar="NAME", nargs="?", help="with PLAN before it: such as report, or render.3"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on until it has ended")
    attempt = "of the N-th attempt alone, from 1 (default: the current one and all that follow)"
    parser.add_argument("--attempt", type=whole_from(1), metavar="N", help=attempt)
    parser.set_defaults(run="logs.logs")


def _replay(parser: argparse.ArgumentParser) -> None:
    parser.description = """\
Carries a settled execution out once more, from the snapshot, inputs, seed and write prefix that its receipt
names, in a world of its own and past the memo index. Then it compares both receipts and all outputs: fields
of the fingerprint, paths, the leaves of JSON files by pointer, the first range of bytes of others. It costs
what any plan does. 0 where everything is the same, 1 where anything differs."""
    parser.add_argument("execution", metavar="EXECUTION", help=_EXECUTION)
    parser.set_defaults(run="replay.replay")


def _kv(parser: argparse.ArgumentParser) -> None:
    noun, plan, key = Noun(parser, "kv"), ("PLAN", PLAN), ("KEY", "")
    get = noun.verb("get", "print the values of keys; one alone is printed as it is", plan)
    get.add_argument("keys", metavar="KEY", nargs="+")
    put = noun.verb("put", "set a key", plan, key, ("VALUE", _BYTES))
    put.add_argument("--ttl", type=int, metavar="S", help="seconds until it expires (default: never)")
    incr = noun.verb("incr", "add to a counter and print the sum", plan, key)
    incr.add_argument("--by", type=int, default=1, metavar="N", help="what to add (default: 1); may be negative")
    incr.add_argument("--ttl", type=int, metavar="S", help="seconds until it expires, where this creates it")
    noun.verb("rm", "delete keys; one that is not there is fine", plan).add_argument("keys", metavar="KEY", nargs="+")


def _queue(parser: argparse.ArgumentParser) -> None:
    noun, place = Noun(parser, "queue"), (("PLAN", PLAN), ("TOPIC", ""))
    publish = noun.verb("publish", "add a message to a topic and print its id", *place, ("BODY", _BYTES))
    publish.add_argument("--key", metavar="KEY", help="publish it once, however often this is repeated (10 minutes)")
    publish.add_argument("--delay", type=int, default=0, metavar="S", help="seconds until it becomes visible")
    most = "after N deliveries without an ack it is a dead letter; the first publish to a topic says so for all"
    publish.add_argument("--max-receives", type=int, metavar="N", help=most)
    consume = noun.verb("consume", "hand out visible messages and hide them for a while", *place)
    consume.add_argument("--max", type=int, default=1, metavar="N", help="how many at most, 1 to 30 (default: 1)")
    consume.add_argument("--visibility", type=int, default=30, metavar="S", help="seconds to hide them (default: 30)")
    consume.add_argument("--wait", type=int, default=0, metavar="S", help="wait for a message, up to 20 s (default: 0)")
    consume.add_argument("--dead", action="store_true", help="the topic's dead letters instead")
    handles: dict[str, Any] = {"metavar": "HANDLE", "nargs": "+", "help": "as consume printed it"}
    noun.verb("ack", "take delivered messages out of the queue", *place).add_argument("handles", **handles)
    nack = noun.verb("nack", "give delivered messages back", *place)
    nack.add_argument("handles", **handles)
    nack.add_argument("--delay", type=int, default=0, metavar="S", help="seconds until they become visible")
    redrive = noun.verb("redrive", "bring dead letters back to their topic", *place)
    redrive.add_argument("handles", metavar="HANDLE", nargs="+", help="as consume --dead printed it")
    noun.verb("stats", "count the messages of a plan, topic by topic", place[0])


def _up(parser: argparse.ArgumentParser) -> None:
    parser.description = """\
Starts registry, executor, artifacts, resources and ledger in one process, at one address, and stays in
the foreground. Ctrl-C drains: calls that are under way end, plans go on after the next start."""
    parser.add_argument(
        "--runtime", metavar="KIND", help="carries out plans that name none: local, process (no isolation) or mock"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="where the log goes (default: HOME/services.log)")
    parser.set_defaults(run="up.up")


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checks", metavar="CHECK", nargs="*", type=_check, help=f"only these of {', '.join(CHECKS)}")
    parser.add_argument("--quiet", action="store_true", help="say only what is bad")
    parser.set_defaults(run="doctor.doctor")


def _check(text: str) -> str:
    # `choices` would refuse that none is given.
    if text not in CHECKS:
        message = f"there is no check '{text}', but {', '.join(CHECKS)}"
        raise argparse.ArgumentTypeError(message)
    return text


def _registry(parser: argparse.ArgumentParser) -> None:
    noun = Noun(parser, "registry")
    apply = noun.verb("apply", "publish every document below a folder; what is there already stays")
    folders = "with folders processors, schemas, prompts, policies, predicates"
    apply.add_argument("folder", metavar="DIR", type=Path, help=folders)
    kinds: dict[str, Any] = {"metavar": "KIND", "choices": SPEC_KINDS}
    ls = noun.verb("ls", "list what is published")
    ls.add_argument("kind", nargs="?", help=f"one of {', '.join(SPEC_KINDS)}", **kinds)
    show = noun.verb("show", "show one document", ("REF", "such as media/probe@1"))
    show.add_argument("--kind", help="where several kinds have this ref", **kinds)


def _secrets(parser: argparse.ArgumentParser) -> None:
    check = Noun(parser, "secrets").verb("check", "tell whether secrets have values; 1 where one has none")
    check.add_argument("names", metavar="NAME", nargs="+")


def _conformance(parser: argparse.ArgumentParser) -> None:
    parser.description = """\
Holds a server, at whatever address and in whatever language, to every promise of a primitive, and says
which it kept, which it broke and why, and which were skipped because it does not claim what they need.

Names are fresh: nothing of other users is touched. Cases wait for the server's clock by sleeping. They
speak in the roles whose tokens the key in --home makes; without that key, as whoever comes without one."""
    parser.epilog = """examples:
  theory conformance kv
  theory conformance kv unix:///run/theory/theory.sock --home /run/theory
  theory conformance queue grpc://127.0.0.1:7800 --only 'a_delayed*' --json
  theory conformance queue --list

exit codes:
  0  every promise that was run is kept
  1  nothing was proven: every promise was skipped
  2  the command is wrong
  3  the server does not answer, or does not know the caller
  4  a promise is broken"""
    known = ", ".join(PRIMITIVES)
    parser.add_argument("primitive", metavar="PRIMITIVE", nargs="?", type=_primitive, help=f"one of {known}")
    where = "unix:///path or grpc://host:port (default: where every verb finds the services)"
    parser.add_argument("target", metavar="TARGET", nargs="?", help=where)
    parser.add_argument("--list", action="store_true", help="say what is promised, and ask no server")
    names: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME"}
    parser.add_argument("--only", **names, help="run this promise; * and ? stand for others")
    parser.add_argument("--skip", **names, help="leave this promise out")
    parser.add_argument("--jobs", type=whole_from(1), default=4, metavar="N", help="run so many at once (default: 4)")
    parser.add_argument(
        "--timeout", type=whole_from(1), default=60, metavar="S", help="seconds that one may take (default: 60)"
    )
    parser.set_defaults(run="conformance.conformance")


def _primitive(text: str) -> str:
    # `choices` would refuse that none is given.
    if text not in PRIMITIVES:
        message = f"there is no primitive '{text}', but {', '.join(PRIMITIVES)}"
        raise argparse.ArgumentTypeError(message)
    return text


GROUPS: Mapping[str, Mapping[str, Verb]] = {
    "plans": {
        "run": Verb("submit a plan, follow it, and say what came out", _run),
        "run-processor": Verb("run one processor on local files", _run_processor),
        "plan": Verb("list plans; show one, its executions, and why each ran", _plan),
        "explain": Verb("say why one execution ran or did not have to, and what vouches for its result", _explain),
        "logs": Verb("print what an execution prints, while it runs and afterwards", _logs),
        "replay": Verb("carry an execution out once more, and compare what comes out", _replay),
    },
    "results": {
        "artifacts": Verb("list, read, write, mount, compare, check and drop files of a world", _artifacts),
        "streams": Verb("append to, read and describe live series of a world", _streams),
        "ledger": Verb("follow and show events, chains and receipts", ledger),
        "verify": Verb("recompute chains, receipts and contents", verify),
    },
    "scratch": {
        "kv": Verb("read and write a plan's keys", _kv),
        "queue": Verb("publish, consume and acknowledge a plan's messages", _queue),
    },
    "installation": {
        "up": Verb("start the five services here, in the foreground", _up),
        "doctor": Verb("say what works, what does not, and what to do", _doctor),
        "registry": Verb("publish and show specs", _registry),
        "secrets": Verb("tell whether secrets have values", _secrets),
        "conformance": Verb("hold a server to what is promised", _conformance),
    },
}
VERBS = {name: verb for group in GROUPS.values() for name, verb in group.items()}
