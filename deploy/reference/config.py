"""The page of settings: every variable that a service or the command line reads, from the classes that read them."""

import ast
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from pydantic.fields import FieldInfo

from deploy.reference.markdown import code, table
from deploy.reference.markdown import page as whole
from services.artifacts.config import ArtifactsConfig
from services.executor.config import ExecutorConfig
from services.ledger.config import LedgerConfig
from services.registry.config import RegistryConfig
from services.resources.config import ResourcesConfig
from services.settings import EmbeddedSettings, ServiceSettings
from theory.cli.environment import Environment
from theory.sdk import processor

SERVICES: Sequence[type[ServiceSettings]] = (
    RegistryConfig,
    ExecutorConfig,
    ArtifactsConfig,
    ResourcesConfig,
    LedgerConfig,
)

# A home that stands for any: the defaults that lie in it are shown with the variable's name instead.
_HOME = Path("/THEORY_HOME")
_TYPES = {
    "Url": "URL",
    "Path": "path",
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
}

_ABOUT = """Everything a process is told from outside stands in its environment. A variable of a service that names no
setting stops the start (`CONFIG_KEY_UNKNOWN`), and so does a wrong value (`CONFIG_INVALID`): a typing error never
becomes a default. A URL holds no password, because URLs are logged."""

_TOGETHER = """What `python -m services` and `theory up` read. The five services share this one address: their own
`THEORY_<SERVICE>_URL` and `THEORY_<SERVICE>_ADMIN_URL` are not read. Every other setting below holds here, too."""

_APART = """What `python -m services.{service}` reads beside `THEORY_HOME`."""

_ADMIN = """An admin URL is a list, separated by commas. `http://host:port` serves `/metrics` for Prometheus, `/live`
and `/ready`; `unix:///path` and `grpc://host:port` serve gRPC health and reflection. None asks for an identity."""

_COMMAND = """What `theory` reads. Where a service answers is, in this order: `--url`, its own `THEORY_<SERVICE>_URL`,
`THEORY_URL`, the socket of all five in the home, the socket of that service alone."""

_PROCESSOR = """Beside the secrets of its spec, each under its own name, a processor is given one variable,
`{variable}`: the attempt's directory, `{default}` where it is not set."""


def page() -> str:
    """The whole page."""
    blocks = [_ABOUT, "## All five in one process", _TOGETHER, _settings(EmbeddedSettings), _ADMIN]
    for each in SERVICES:
        blocks += [f"## {each.service.capitalize()}", _APART.format(service=each.service), _settings(each)]
    blocks += ["## The command line", _COMMAND, _bullets(Environment)]
    given = _PROCESSOR.format(variable=processor.WORK_DIR_VARIABLE, default=processor.DEFAULT_WORK_DIR)
    blocks += ["## Inside an attempt", given]
    return whole("Settings", "the classes that read the environment", *blocks)


@dataclass(frozen=True, slots=True)
class Written:
    """A field as the source of its class has it."""

    annotation: str
    docstring: str


def fields_of(kind: type) -> dict[str, Written]:
    """The fields that the source of a class declares; those in a row share the docstring below the last."""
    (definition,) = ast.parse(dedent(inspect.getsource(kind))).body
    found: dict[str, Written] = {}
    waiting: dict[str, str] = {}
    for node in definition.body if isinstance(definition, ast.ClassDef) else ():
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                waiting[name] = ast.unparse(annotation)
            case ast.Expr(value=ast.Constant(value=str(text))) if waiting:
                docstring = " ".join(text.split())
                found |= {name: Written(annotation, docstring) for name, annotation in waiting.items()}
                waiting = {}
    return found


def _settings(kind: type[ServiceSettings]) -> str:
    return table(("variable", "type", "default", "what it says"), _rows(kind))


def _rows(kind: type[ServiceSettings]) -> Iterator[tuple[str, str, str, str]]:
    written = fields_of(ServiceSettings) | fields_of(kind)
    for name, field in kind.model_fields.items():
        if name == "home" and kind is not EmbeddedSettings:
            continue
        variable = field.validation_alias or f"THEORY_{kind.service}_{name}".upper()
        yield code(variable), _type(written[name].annotation, field), _default(field), written[name].docstring


def _type(annotation: str, field: FieldInfo) -> str:
    plain = annotation.removeprefix("Annotated[").partition(",")[0].removesuffix(" | None")
    kind = _TYPES.get(plain, code(annotation))
    rules = ("gt", "ge", "le")
    bounds = {name: getattr(each, name) for each in field.metadata for name in rules if hasattr(each, name)}
    match bounds:
        case {"ge": low, "le": high}:
            return f"{kind}, {low:,} to {high:,}"
        case {"ge": low}:
            return f"{kind}, at least {low:,}"
        case {"gt": low}:
            return f"{kind}, above {low:,}"
    return kind


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={"home": _HOME})
    if value is None:
        return "none"
    if value == "":
        return "empty"
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, int | float):
        return f"{value:,}"
    text = f"./{value}" if isinstance(value, Path) else value.replace(str(_HOME), "$THEORY_HOME")
    return code(text)


def _bullets(kind: type) -> str:
    return "\n".join(f"- {each.docstring}" for each in fields_of(kind).values())
