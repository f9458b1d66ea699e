"""What can be said of the ledger on the command line: `theory ledger` and `theory verify`."""

import argparse
from datetime import datetime
from pathlib import Path

from theory.cli.parsers import CHAIN, PLAN, Noun, whole_from


def ledger(parser: argparse.ArgumentParser) -> None:
    """The verbs of `theory ledger`."""
    noun = Noun(parser, "ledger")
    tail = noun.verb("tail", "print the last events of a chain; --json: one line per event", ("CHAIN", CHAIN))
    tail.add_argument(
        "-n", "--lines", type=whole_from(0), default=20, metavar="N", help="how many (default: 20; 0: all)"
    )
    tail.add_argument("-f", "--follow", action="store_true", help="go on with what is appended, until Ctrl-C")
    tail.add_argument(
        "--after", type=whole_from(0), metavar="SEQ", help="all events behind this position, instead of the last"
    )
    kinds = "only these, or a family such as 'scratch.*'; may be given again"
    tail.add_argument("--kind", action="append", default=[], metavar="KIND", help=kinds)
    tail.add_argument(
        "--since", type=_time, metavar="TIME", help="only events of this time or later, such as 2026-01-31T08:00:00Z"
    )
    tail.add_argument("--until", type=_time, metavar="TIME", help="only events of an earlier time")
    timeline = noun.verb("timeline", "draw when each execution of a plan ran, and how it ended", ("PLAN", PLAN))
    timeline.add_argument("--all", action="store_true", help="one line per execution, however many there are")
    sound = noun.verb("verify", "verify chains, receipts, accounts and the signed tree; not the stored bytes")
    sound.add_argument("chain", metavar="CHAIN", nargs="?", help=f"{CHAIN} (default: every chain)")
    show = noun.verb("show", "show one event in full; without CHAIN, the chains and their heads")
    show.add_argument("chain", metavar="CHAIN", nargs="?", help=CHAIN)
    show.add_argument("seq", metavar="SEQ", nargs="?", type=whole_from(1), help="which (default: the last)")
    receipts = noun.verb("receipts", "list the receipts of a plan and its account, or show one", ("PLAN", PLAN))
    receipts.add_argument("receipt", metavar="RECEIPT", nargs="?", help="the id of one, b3:...")
    export = noun.verb("export", "write the settle receipts of a plan to files that anyone can verify", ("PLAN", PLAN))
    export.add_argument("receipt", metavar="RECEIPT", nargs="*", help="only these, b3:...")
    export.add_argument("--to", type=Path, default=Path(), metavar="DIR", help="where (default: here)")
    prune = noun.verb("prune", "drop what events said that prove nothing; every hash and proof stays", ("CHAIN", CHAIN))
    prune.description = """\
Drops, for ever, what the events of scratch, of streams and of starts of executions said. Their places, hashes and
leaves stay, so that chains, trees, proofs and receipts verify as before; settlements, money, plans and what was bound
keep all they say. A plan has to have ended. What is pruned is itself recorded in the chain, and audits check that."""
    prune.add_argument("--kind", action="append", default=[], metavar="KIND", help=kinds)
    prune.add_argument(
        "--to", type=whole_from(1), default=0, metavar="SEQ", help="only events up to this one (default: all)"
    )
    prune.add_argument(
        "--before", type=_time, metavar="TIME", help="only events before the first of this time or later"
    )
    prune.add_argument("--dry-run", action="store_true", help="only count")
    prune.add_argument("--yes", action="store_true", help="needed: nothing of it comes back")
    prune.set_defaults(run="prune.prune")
    noun.verb("checkpoint", "print the newest signed state of the ledger, as others can keep and compare it")
    noun.verb("fsck", "read the whole ledger and compare all of it with the tree that it signed")


def verify(parser: argparse.ArgumentParser) -> None:
    """The options of `theory verify`."""
    parser.description = """\
Recomputes every hash of a chain and its links, every receipt from its bytes, the account from the
events, and the CID of every output; names each event, receipt and artifact that is not what it says.
Without PLAN it looks at every chain that there is.

Files that 'theory ledger export' wrote are verified without any service, with the key of the log alone.

Where the ledger's public key is known (THEORY_LOG_KEY, or this home's own ledger) every event is also shown
to be a leaf of the tree that the ledger signed, and that tree to contain every state that was seen here
before: then nobody, not even its operator, can have rewritten it since. 'theory ledger fsck' also finds
events that were taken away from the end of a chain."""
    parser.add_argument(
        "plan", metavar="PLAN", nargs="*", help="a plan's id, 'latest', or system.<service>; or files of receipts"
    )
    parser.add_argument("--all", action="store_true", help="every chain (the default without PLAN)")
    parser.add_argument("--key", metavar="KEY", help="the public key of the log: one line, or a file that holds it")
    parser.set_defaults(run="verify.verify")


def _time(text: str) -> datetime:
    message = f"'{text}' is no time with a zone, such as 2026-01-31T08:00:00Z"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(message) from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(message)
    return moment
