"""The predicates that gate an attempt: before it is claimed, and on what it wrote before it is settled.

`budget.available@1` is not looked up here: its `required_usd_micro` is what the claim reserves, so the ledger answers
it in the transaction that takes the money.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from services.executor.domain import judging
from services.executor.ports import Judge
from theory.core.errors import Corrupt, Invalid, NotFound, NotReady, TheoryError, shown
from theory.core.jcs import JSON
from theory.core.refs import Ref
from theory.core.spec import Predicate, RegistrySnapshot
from theory.core.world_path import WorldPath

BUDGET_AVAILABLE = Ref("budget.available@1")
MAX_DOCUMENT_BYTES = 1024 * 1024
"""The largest artifact that a predicate reads."""


class WorldView(Protocol):
    """The World as one attempt sees it: what is bound, and over it what the attempt is about to bind."""

    async def exists(self, path: WorldPath) -> bool:
        """Whether there is an artifact at `path`."""
        ...

    async def read(self, path: WorldPath, max_bytes: int) -> bytes:
        """Its bytes, verified; `NotFound` (`ARTIFACT_UNKNOWN`), `Invalid` (`BLOB_TOO_LARGE`)."""
        ...


async def check(
    predicates: Sequence[Predicate],
    view: WorldView,
    snapshot: RegistrySnapshot,
    names: Mapping[str, Mapping[str, JSON]],
    judge: Judge,
) -> None:
    """Hold every predicate against the World, in order.

    An argument `${inputs.x}` or `${outputs.x}` is looked up in `names`; before an attempt there are no outputs.

    `NotReady` (`PREDICATE_REFUSED`) with `predicate` and, where it has one, `path`, for the first that says no, or that
    cannot be answered: its artifact is missing, too large or no JSON, its arguments are wrong. `Corrupt`
    (`BLOB_CORRUPT`): what it would read is damaged, and whoever asked did nothing wrong. `NotReady`
    (`PREDICATE_TIMED_OUT`) with `predicate`, `path` and `timeout_s`: what is not sure to be quick is asked of the
    `judge`, and this took too long.
    """
    asked = _Asked(view, snapshot, judge)
    for predicate in predicates:
        if predicate.id == BUDGET_AVAILABLE:
            continue
        ask = _ANSWER_BY_ID.get(predicate.id.text)
        if ask is None:
            raise _refused(predicate, "this executor does not know the predicate")
        args: Mapping[str, JSON] = {}
        try:
            args = {name: _filled(value, names) for name, value in predicate.args.items()}
            complaint = await ask(args, asked)
        except TheoryError as error:
            if error.retryable or isinstance(error, Corrupt):
                raise
            if error.reason == "PREDICATE_TIMED_OUT":
                raise _timed_out(predicate, error, **_path_of(args)) from error
            raise _refused(predicate, error.message, **_path_of(error.metadata)) from error
        if complaint is not None:
            raise _refused(predicate, complaint, **_path_of(args))


def required_usd_micro(predicates: Sequence[Predicate]) -> int | None:
    """What the admission predicates ask the budget for; None where they do not ask."""
    asked = [each.args.get("required_usd_micro") for each in predicates if each.id == BUDGET_AVAILABLE]
    amounts = [amount for amount in asked if isinstance(amount, int) and not isinstance(amount, bool)]
    return max(amounts, default=None)


class _Asked(NamedTuple):
    view: WorldView
    snapshot: RegistrySnapshot
    judge: Judge


async def _exists(args: Mapping[str, JSON], asked: _Asked) -> str | None:
    path = _path(args)
    return None if await asked.view.exists(path) else f"nothing is at {path}"


async def _jmespath_ok(args: Mapping[str, JSON], asked: _Asked) -> str | None:
    path, expression = _path(args), args.get("expression")
    if not isinstance(expression, str):
        raise Invalid("SPEC_INVALID", "the argument `expression` is a JMESPath text", field="expression")
    equals = {"equals": args["equals"]} if "equals" in args else {}
    return await _judged({"path": path.text, "expression": expression, **equals}, path, asked)


async def _schema_ok(args: Mapping[str, JSON], asked: _Asked) -> str | None:
    path, ref = _path(args), args.get("schema")
    if not isinstance(ref, str):
        raise Invalid("SPEC_INVALID", "the argument `schema` is the ref of a schema", field="schema")
    schema = asked.snapshot.get_schema(Ref.parse(ref)).schema
    return await _judged({"path": path.text, "ref": ref, "schema": schema}, path, asked)


async def _judged(rule: Mapping[str, JSON], path: WorldPath, asked: _Asked) -> str | None:
    document = await asked.view.read(path, MAX_DOCUMENT_BYTES)
    if judging.is_quick(rule, len(document)):
        return judging.complaint(rule, document)
    return await asked.judge.complaint(rule, document)


_Answer = Callable[[Mapping[str, JSON], _Asked], Awaitable[str | None]]
_ANSWER_BY_ID: Mapping[str, _Answer] = {
    "artifact.exists@1": _exists,
    "artifact.jmespath_ok@1": _jmespath_ok,
    "json.schema_ok@1": _schema_ok,
}


def _filled(value: JSON, names: Mapping[str, Mapping[str, JSON]]) -> JSON:
    """`value`, or what it names: a look-up of a whole string, never a template language."""
    if not isinstance(value, str) or not value.startswith("${"):
        return value
    source, _, name = value[2:].removesuffix("}").partition(".")
    if f"${{{source}.{name}}}" != value or name not in names.get(source, {}):
        raise NotFound("NAME_UNKNOWN", f"there is no {shown(value)}: the processor did not name it", name=shown(value))
    return names[source][name]


def _path(args: Mapping[str, JSON]) -> WorldPath:
    text = args.get("path")
    if not isinstance(text, str):
        raise Invalid("SPEC_INVALID", "the argument `path` is a World path", field="path")
    return WorldPath.parse(text)


def _path_of(facts: Mapping[str, object]) -> dict[str, str]:
    path = facts.get("path")
    return {"path": shown(path)} if isinstance(path, str) else {}


def _refused(predicate: Predicate, complaint: str, **metadata: str) -> NotReady:
    message = f"{predicate.id} says no: {shown(complaint)}"
    return NotReady("PREDICATE_REFUSED", message, predicate=predicate.id.text, **metadata)


def _timed_out(predicate: Predicate, error: TheoryError, **metadata: str) -> NotReady:
    facts = {"timeout_s": str(error.metadata.get("timeout_s", "")), "predicate": predicate.id.text, **metadata}
    return NotReady("PREDICATE_TIMED_OUT", f"{predicate.id} {error.message}", **facts)
