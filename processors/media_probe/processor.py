"""media/probe@1: says what one picture is, as a document of the schema media.metadata@1."""

import math
from collections.abc import Mapping
from pathlib import PurePosixPath

from PIL import Image, ImageOps, ImageSequence

from theory.sdk.processor import Context, ProcessorError, run

FORMATS = ("GIF", "JPEG", "PNG", "TIFF", "WEBP")
MAX_PIXELS = 64_000_000
SAMPLE = (128, 128)  # the palette is taken from a picture of this size: the same colours, and fast
CANDIDATES, PALETTE_COLOURS = 32, 5

Colour = tuple[int, ...]


def main(context: Context) -> Mapping[str, object]:
    """Read the picture at `path` and write `metadata.json`; `title` and `credit` are taken over where given."""
    path = context.input("path", str)
    title = context.input("title", str, "") or title_of(path)
    metadata: dict[str, object] = {"title": title, "source": path, **probe(context, path)}
    if credit := context.input("credit", str, ""):
        metadata["credit"] = credit
    return {"metadata_path": context.write_json("metadata.json", metadata)}


def probe(context: Context, path: str) -> dict[str, object]:
    """What the file itself tells. The size is the one it is shown in: a camera that was turned does not matter."""
    with context.open(path) as stream:
        size_bytes = stream.seek(0, 2)
        stream.seek(0)
        try:
            with Image.open(stream, formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise ProcessorError(f"{path} has more than {MAX_PIXELS} pixels")
                kind, mode = str(picture.format), picture.mode
                duration_ms = duration_of(picture)
                picture.seek(0)
                upright = ImageOps.exif_transpose(picture).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ProcessorError(f"{path} is no picture that can be read: {error}") from error
    return {
        "duration_ms": duration_ms,
        "format": kind,
        "mode": mode,
        "palette": palette_of(upright),
        "resolution": {"height": upright.height, "width": upright.width},
        "size_bytes": size_bytes,
    }


def title_of(path: str) -> str:
    """`/artifacts/inputs/hubble_deep_field.jpg` -> `Hubble deep field`."""
    words = PurePosixPath(path).stem.replace("_", " ").replace("-", " ").split()
    return " ".join(words).capitalize()


def duration_of(picture: Image.Image) -> int:
    """How long an animation runs; 0 for a still."""
    if getattr(picture, "n_frames", 1) == 1:
        return 0
    return sum(int(frame.info.get("duration", 0)) for frame in ImageSequence.Iterator(picture))


def palette_of(picture: Image.Image) -> list[str]:
    """Up to five colours that tell the picture from others, dark to light, as `#rrggbb`.

    The most frequent colour is always one of them; each further one is far from those before and not rare. All in
    integers, and ties go to the earlier candidate, so that the answer is the same everywhere.
    """
    sample = picture.resize(SAMPLE, Image.Resampling.BOX).quantize(CANDIDATES, Image.Quantize.MEDIANCUT)
    levels = sample.getpalette() or []
    counted = [(count, index) for count, index in sample.getcolors() or [] if isinstance(index, int)]
    weights: dict[Colour, int] = {
        tuple(levels[3 * index : 3 * index + 3]): math.isqrt(count) for count, index in counted
    }
    chosen = [max(weights, key=weights.__getitem__)]
    while len(chosen) < min(PALETTE_COLOURS, len(weights)):
        chosen.append(max(weights, key=lambda each: weights[each] * min(distance(each, other) for other in chosen)))
    return ["#" + bytes(each).hex() for each in sorted(chosen, key=brightness)]


def distance(one: Colour, other: Colour) -> int:
    """How far apart two colours are; 0 for the same."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def brightness(colour: Colour) -> tuple[int, Colour]:
    """How light a colour looks; the colour itself decides between equals."""
    red, green, blue = colour
    return 299 * red + 587 * green + 114 * blue, colour


if __name__ == "__main__":
    run(main)
