"""What holds for every test: stubs are there, no network but loopback, and a missing backend is never a quiet skip."""

import ipaddress
import socket
import sys
from pathlib import Path

import pytest
from xdist.remote import Producer

from tests import backends
from tests.parallel import Shares

ROOT = Path(__file__).parents[1]
SLOW_S = 0.25

_loud: dict[str, int] = {}
_quiet: dict[str, int] = {}
_slow: list[tuple[float, str]] = []


def pytest_configure(config: pytest.Config) -> None:
    if not (ROOT / "theory" / "api" / "__init__.py").is_file():
        pytest.exit("theory/api is missing: run `make stubs`", returncode=3)
    sys.addaudithook(_guard_network)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker"):
        backends.require("docker", backends.docker_missing())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares:
    return Shares(config, log)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        _note_skip(report.longrepr[2])
    if report.when == "call" and report.duration > SLOW_S and not _UNTIMED & report.keywords.keys():
        _slow.append((report.duration, report.nodeid))


_UNTIMED = {"slow", "docker", "drill", "long"}


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        _note_skip(report.longrepr[2])


def _note_skip(reason: str) -> None:
    reason = reason.removeprefix("Skipped: ")
    table = _loud if reason.startswith(backends.PREFIX) else _quiet
    table[reason] = table.get(reason, 0) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    unit = sorted((each for each in _slow if "tests/unit/" in each[1]), reverse=True)
    if unit:
        terminalreporter.section(f"unit tests above {SLOW_S} s that are not marked slow")
        for duration, name in unit[:10]:
            terminalreporter.write_line(f"{duration:6.2f} s  {name}")
    if _quiet:
        terminalreporter.section("not applicable")
        for reason, count in sorted(_quiet.items()):
            terminalreporter.write_line(f"{count:5d} x  {reason}")
    if _loud:
        terminalreporter.section("NOT TESTED: backends missing on this machine", yellow=True, bold=True)
        for reason, count in sorted(_loud.items()):
            terminalreporter.write_line(f"{count:5d} x  {reason.removeprefix(backends.PREFIX)}")
        terminalreporter.write_line(f"{backends.REQUIRED}=name,... turns these into failures, as CI does.")


def _guard_network(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse every address but unix sockets and loopback; what C libraries open by themselves is not seen here."""
    if event in _ADDRESSED:
        sock, address = arguments[0], arguments[1]
        if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0] if isinstance(address, tuple) else None
            _refuse_unless_loopback(host, event)
    elif event in _NAMED:
        _refuse_unless_loopback(arguments[0], event)


_ADDRESSED = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"})
_NAMED = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})


def _refuse_unless_loopback(host: object, event: str) -> None:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if text is None or text == "localhost":
        return
    try:
        loopback = isinstance(text, str) and ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        message = f"tests reach unix sockets and loopback only: {event} {host!r}"
        raise PermissionError(message)
