"""media/render@1: makes a tile of a given size from one picture; the same picture gives the same bytes."""

from collections.abc import Mapping

from PIL import Image, ImageOps

from theory.sdk.processor import Context, ProcessorError, run

FORMATS = ("GIF", "JPEG", "PNG", "TIFF", "WEBP")
MAX_PIXELS = 64_000_000
MAX_SIDE = 4096
DEFAULT_SIDE = 400
PAPER = (255, 255, 255)
COMPRESSION = 6  # stated, so that another default of a later Pillow does not change the bytes


def main(context: Context) -> Mapping[str, object]:
    """Read the picture at `path` and write `tile.png` of `width` x `height`.

    `fit` is `cover` (fill the tile, cut what is over) or `contain` (the whole picture, paper around it).
    """
    path = context.input("path", str)
    size = side_of(context, "width"), side_of(context, "height")
    tile = render(decode(context, path), size, context.input("fit", str, "cover"))
    with context.writer("tile.png") as stream:
        tile.save(stream, "PNG", compress_level=COMPRESSION)
    return {"tile_path": context.output_path("tile.png")}


def side_of(context: Context, name: str) -> int:
    """One side of the tile in pixels."""
    side = context.input(name, int, DEFAULT_SIDE)
    if not 1 <= side <= MAX_SIDE:
        raise ProcessorError(f"{name} must be 1 to {MAX_SIDE}, not {side}")
    return side


def decode(context: Context, path: str) -> Image.Image:
    """The first frame, upright, on paper where it is transparent."""
    with context.open(path) as stream:
        try:
            with Image.open(stream, formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise ProcessorError(f"{path} has more than {MAX_PIXELS} pixels")
                upright = ImageOps.exif_transpose(picture).convert("RGBA")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ProcessorError(f"{path} is no picture that can be read: {error}") from error
    # A fresh canvas has no colour profile, resolution or comment of the original to carry along.
    canvas = Image.new("RGB", upright.size, PAPER)
    canvas.paste(upright, mask=upright.getchannel("A"))
    return canvas


def render(picture: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """The tile itself."""
    if fit == "cover":
        return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    if fit == "contain":
        return ImageOps.pad(picture, size, Image.Resampling.LANCZOS, color=PAPER)
    raise ProcessorError(f"fit must be cover or contain, not {fit!r}")


if __name__ == "__main__":
    run(main)
