"""Every module stands in a known room, where import-linter sees it."""

import re
import tomllib
from pathlib import Path
from typing import Any

from tests.architecture import tree

SERVICES = frozenset({"registry", "executor", "artifacts", "resources", "ledger"})
PRIMITIVES = frozenset({"kv", "queue", "volumes", "secrets"})
ROOMS = frozenset(
    {
        "__init__",
        "__main__",
        "assembly",
        "config",
        "access",
        "servicer",
        "codec",
        "domain",
        "ports",
        "adapters",
        "plane",
    }
)
FLOORS = frozenset({"core", "api", "wire", "world", "sdk", "testing", "cli"})
DATA = {("registry", "catalog"), ("registry", "forms")}
BESIDE_ADAPTERS = frozenset({"seccomp.json"})
"""Data in the form that a product reads, beside the adapter that hands it over."""
GRAB_BAGS = re.compile(r"(^|_)(utils?|helpers?|common|managers?|base|misc)(_|$)")

# Words, not products: what needs no adapter around it.
NOT_PROVIDERS = frozenset({"cryptography", "jmespath", "jsonschema", "pydantic-settings", "pyjwt", "uv"})
PROVIDER_CONTRACTS = ("Rules know neither", "The library knows neither", "Only adapters name")


def test_services_hold_only_services_and_drivers() -> None:
    stray = [path for path in tree.python_files("services") if len(path.parts) == 2]
    assert {path.stem for path in stray} <= {"__init__", "__main__", "embedded", "launch", "settings"}
    assert {path.parts[1] for path in tree.python_files("services") if len(path.parts) > 2} <= SERVICES | {"drivers"}


def test_every_module_of_a_service_stands_in_a_known_room() -> None:
    assert [str(path) for path in tree.python_files("services") if not _room_known(path)] == []


def _room_known(path: Path) -> bool:
    service, *inside = path.with_suffix("").parts[1:]
    if not inside or service == "drivers":
        return True
    if service == "resources" and inside[0] in PRIMITIVES:
        return inside[1] in ROOMS
    if service == "artifacts" and inside[0] in {"streams", "retention"}:
        return inside[1] in ROOMS
    return inside[0] in ROOMS


def test_only_data_stands_beside_the_rooms() -> None:
    others = [path for path in tree.files() if path.parts[0] == "services" and path.suffix not in {".py", ".lua"}]
    others = [path for path in others if "adapters" not in path.parts or path.name not in BESIDE_ADAPTERS]
    beside = {path.parts[1:3] for path in others}
    assert {each for each in beside if len(each) == 2 and "." not in each[1]} <= DATA


def test_a_script_stands_beside_the_adapter_that_runs_it() -> None:
    folders = {path.parent for path in tree.files() if path.parts[0] == "services" and path.suffix == ".lua"}
    assert {folder.name for folder in folders} == {"redis", "redis_streams"}
    assert all("adapters" in folder.parts or folder.parts[1] == "drivers" for folder in folders)


def test_the_library_has_seven_floors() -> None:
    assert {path.parts[1] for path in tree.python_files("theory") if len(path.parts) > 2} <= FLOORS
    assert {path.stem for path in tree.python_files("theory") if len(path.parts) == 2} <= {"__init__"}


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in tree.python_files("theory", "services")}
    assert [str(folder) for folder in sorted(folders) if not (tree.ROOT / folder / "__init__.py").is_file()] == []


def test_no_module_is_named_for_a_grab_bag() -> None:
    named = tree.python_files("theory", "services", "tests", "processors", "deploy")
    assert [str(path) for path in named if any(GRAB_BAGS.search(part) for part in path.with_suffix("").parts)] == []


def test_the_words_of_the_library_need_three_packages_only() -> None:
    allowed = tree.STANDARD | {"blake3", "orjson", "rfc8785"}
    stray = [
        f"{path}:{line} {name}"
        for path in tree.python_files("theory")
        if path.parts[1] == "core"
        for line, name in tree.imports(path)
        if name.partition(".")[0] not in allowed and not tree.within(name, "theory.core")
    ]
    assert stray == []


def test_contracts_forbid_every_provider_that_is_a_dependency() -> None:
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text("utf-8"))
    groups: dict[str, list[Any]] = project["dependency-groups"]
    named = {each for name in SERVICES | {"service"} for each in groups[name] if isinstance(each, str)}
    providers = {re.split(r"[<>=!~\[ ]", each)[0] for each in named} - NOT_PROVIDERS
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["name"].startswith(PROVIDER_CONTRACTS):
            assert providers <= set(contract["forbidden_modules"]), contract["name"]
