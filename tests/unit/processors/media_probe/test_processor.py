"""media/probe@1, run directly."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from processors.media_probe import processor
from tests.unit.processors.attempt import PREFIX, carry_out, encoded
from theory.sdk.processor import ProcessorError

SOURCE = "/artifacts/inputs/deep_field-2.png"
WRITTEN = PREFIX + "metadata.json"


def probe(folder: Path, data: bytes, **inputs: object) -> dict[str, Any]:
    attempt = carry_out(folder, processor.main, {"path": SOURCE, **inputs}, {SOURCE: data})
    assert attempt.outputs == {"metadata_path": WRITTEN}
    assert list(attempt.files) == [WRITTEN]
    metadata: dict[str, Any] = attempt.json(WRITTEN)
    return metadata


def halves() -> Image.Image:
    picture = Image.new("RGB", (30, 20), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 0, 10, 20))
    return picture


def test_a_still_is_described(tmp_path: Path) -> None:
    data = encoded(halves())
    assert probe(tmp_path, data, title="Two halves", credit="CC0") == {
        "title": "Two halves",
        "credit": "CC0",
        "source": SOURCE,
        "duration_ms": 0,
        "resolution": {"width": 30, "height": 20},
        "format": "PNG",
        "mode": "RGB",
        "palette": ["#0000ff", "#ff0000"],
        "size_bytes": len(data),
    }


def test_without_a_title_the_file_gives_it(tmp_path: Path) -> None:
    metadata = probe(tmp_path, encoded(halves()))
    assert metadata["title"] == "Deep field 2"
    assert "credit" not in metadata


def test_a_picture_that_was_turned_has_the_size_it_is_shown_in(tmp_path: Path) -> None:
    picture = halves()
    exif = picture.getexif()
    exif[0x0112] = 6
    assert probe(tmp_path, encoded(picture, "JPEG", exif=exif))["resolution"] == {"width": 20, "height": 30}


def test_an_animation_lasts_as_long_as_its_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=[100, 200, 300])
    assert probe(tmp_path, data)["duration_ms"] == 600


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_has_a_palette(mode: str, tmp_path: Path) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    metadata = probe(tmp_path, encoded(Image.new(mode, (9, 9)), kind))
    assert len(metadata["palette"]) == 1
    assert metadata["mode"] == mode


def test_a_palette_has_at_most_five_colours_from_dark_to_light() -> None:
    picture = Image.new("RGB", (64, 8))
    for column in range(64):
        picture.paste((4 * column, 255 - 4 * column, 128), (column, 0, column + 1, 8))
    palette = processor.palette_of(picture)
    assert len(palette) == len(set(palette)) == 5
    colours = [tuple(bytes.fromhex(each[1:])) for each in palette]
    assert colours == sorted(colours, key=processor.brightness)


def test_a_rare_colour_that_differs_much_is_in_the_palette() -> None:
    picture = Image.new("RGB", (100, 100), (20, 20, 20))
    picture.paste((250, 120, 10), (0, 0, 30, 30))
    assert processor.palette_of(picture) == ["#141414", "#fa780a"]


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(halves())[:60]])
def test_what_is_no_picture_is_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ProcessorError, match="is no picture that can be read"):
        probe(tmp_path, data)


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "MAX_PIXELS", 599)
    with pytest.raises(ProcessorError, match="more than 599 pixels"):
        probe(tmp_path, encoded(halves()))


def test_a_format_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProcessorError, match="is no picture"):
        probe(tmp_path, encoded(halves(), "BMP"))
