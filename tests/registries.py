"""A registry of images for tests, on loopback, and tiny images in it."""

import io
import re
import socket
import subprocess
import tarfile
from pathlib import Path

from tests.backends import program_missing
from tests.server import Server, free_port

_CONFIG = """
version: 0.1
log: {{level: warn}}
http: {{addr: "127.0.0.1:{port}"}}
storage: {{filesystem: {{rootdirectory: {home}/store}}}}
"""
_LOCKED = "auth: {{htpasswd: {{realm: theory, path: {home}/passwords}}}}\n"  # it makes the file, and tells nobody


class Registry(Server):
    """Debian's `docker-registry`. A `locked` one asks everybody for credentials that nobody has."""

    name = "docker-registry"

    def __init__(self) -> None:
        self.locked = False

    def missing(self) -> str | None:
        return program_missing("docker-registry") or program_missing("busybox")

    def push(self, name: str, says: str) -> str:
        """Make an image that prints `says` when it runs, store it under `name`, forget it here: its digest."""
        reference = f"{self.url}/{name}:v1"
        _docker("import", "--change", 'CMD ["/bin/sh", "/say"]', "-", reference, given=_layer(says))
        return self._pushed(reference)

    def push_local(self, name: str, image: str) -> str:
        """Store an image of the engine under `name`: its digest."""
        reference = f"{self.url}/{name}:v1"
        _docker("tag", image, reference)
        return self._pushed(reference)

    def _pushed(self, reference: str) -> str:
        try:
            pushed = _docker("push", reference)
        finally:
            _docker("rmi", reference)
        [digest] = re.findall(r"digest: (sha256:[0-9a-f]{64})", pushed)
        return str(digest)

    def blob(self, digest: str) -> Path:
        """The file that holds what has this digest: a manifest, or a layer of one."""
        number = digest.removeprefix("sha256:")
        return self.home / "store/docker/registry/v2/blobs/sha256" / number[:2] / number / "data"

    def layers(self, digest: str) -> list[str]:
        """The digests of the layers of a manifest."""
        found = re.findall(r"sha256:[0-9a-f]{64}", self.blob(digest).read_text().partition('"layers"')[2])
        return [str(each) for each in found]

    def _prepare(self) -> None:
        self._port = free_port()
        self.url = f"127.0.0.1:{self._port}"

    def _command(self) -> list[str]:
        config = self.home / "config.yml"
        text = _CONFIG + _LOCKED if self.locked else _CONFIG
        config.write_text(text.format(port=self._port, home=self.home))
        return ["docker-registry", "serve", str(config)]

    def _ready(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self._port)) == 0


def _layer(says: str) -> bytes:
    """A root file system of one program and one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in (("bin/sh", _busybox().read_bytes()), ("say", f"echo {says}\n".encode())):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _busybox() -> Path:
    return next(each for each in (Path("/bin/busybox"), Path("/usr/bin/busybox")) if each.exists())


def _docker(*arguments: str, given: bytes | None = None) -> str:
    return subprocess.run(["docker", *arguments], input=given, capture_output=True, check=True).stdout.decode()
