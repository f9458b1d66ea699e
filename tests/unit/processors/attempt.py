"""One attempt of a bundled processor in this process: a world in, its named outputs and files out."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from theory.sdk.processor import Context, Main

PREFIX = "/artifacts/outputs/step/0/"


@dataclass(frozen=True)
class Attempt:
    """What an attempt left."""

    outputs: Mapping[str, object]
    files: Mapping[str, bytes]

    def json(self, path: str) -> Any:
        """An output, parsed."""
        return json.loads(self.files[path])

    def picture(self, path: str) -> Image.Image:
        """An output, decoded."""
        with Image.open(io.BytesIO(self.files[path])) as picture:
            picture.load()
            return picture


def carry_out(folder: Path, main: Main, inputs: Mapping[str, object], world: Mapping[str, bytes]) -> Attempt:
    """Lay out an attempt's directory in `folder`, call the processor, collect what it wrote below `PREFIX`."""
    for path, data in world.items():
        place = folder / "world" / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    out = folder / "out"
    out.mkdir()
    document = {
        "plan_id": "p-1",
        "transition_id": "step",
        "execution_id": "p-1.step.0",
        "attempt_idx": 0,
        "seed": 0,
        "inputs": dict(inputs),
        "write_prefix": PREFIX,
        "write_set_resolved": [PREFIX + "**"],
    }
    outputs = main(Context(document, folder)) or {}
    files = {f"/{each.relative_to(out).as_posix()}": each.read_bytes() for each in out.rglob("*") if each.is_file()}
    return Attempt(outputs, files)


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as the bytes of a file."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()
