"""media/render@1, run directly."""

from pathlib import Path

import pytest
from PIL import Image

from processors.media_render import processor
from tests.unit.processors.attempt import PREFIX, Attempt, carry_out, encoded
from theory.sdk.processor import ProcessorError

SOURCE = "/artifacts/inputs/a.png"
WRITTEN = PREFIX + "tile.png"
RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def render(folder: Path, data: bytes, **inputs: object) -> Attempt:
    attempt = carry_out(folder, processor.main, {"path": SOURCE, **inputs}, {SOURCE: data})
    assert attempt.outputs == {"tile_path": WRITTEN}
    return attempt


def wide() -> Image.Image:
    """Red, with a green stripe at either end."""
    picture = Image.new("RGB", (40, 10), RED)
    picture.paste(GREEN, (0, 0, 10, 10))
    picture.paste(GREEN, (30, 0, 40, 10))
    return picture


def test_a_tile_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    tile = render(tmp_path, encoded(wide()), width=24, height=16).picture(WRITTEN)
    assert (tile.format, tile.mode, tile.size) == ("PNG", "RGB", (24, 16))


def test_a_tile_is_400_a_side_when_nothing_is_asked_for(tmp_path: Path) -> None:
    assert render(tmp_path, encoded(wide())).picture(WRITTEN).size == (400, 400)


def test_cover_fills_the_tile_and_cuts_the_ends(tmp_path: Path) -> None:
    tile = render(tmp_path, encoded(wide()), width=10, height=10).picture(WRITTEN)
    assert tile.getcolors() == [(100, RED)]


def test_contain_shows_all_of_it_on_paper(tmp_path: Path) -> None:
    tile = render(tmp_path, encoded(wide()), width=40, height=40, fit="contain").picture(WRITTEN)
    assert [tile.getpixel(at) for at in ((0, 0), (0, 20), (20, 20), (39, 39))] == [WHITE, GREEN, RED, WHITE]


def test_what_is_transparent_shows_the_paper(tmp_path: Path) -> None:
    tile = render(tmp_path, encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0))), width=8, height=8).picture(WRITTEN)
    assert tile.getcolors() == [(64, WHITE)]


def test_the_original_s_comments_stay_behind(tmp_path: Path) -> None:
    data = encoded(wide(), "JPEG", dpi=(300, 300), comment=b"taken at home", icc_profile=b"profile")
    assert render(tmp_path, data, width=8, height=8).picture(WRITTEN).info == {}


def test_a_picture_that_was_turned_is_set_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (20, 10), RED)
    picture.paste(GREEN, (0, 0, 10, 10))
    exif = picture.getexif()
    exif[0x0112] = 6
    tile = render(tmp_path, encoded(picture, "PNG", exif=exif), width=10, height=20).picture(WRITTEN)
    assert (tile.getpixel((5, 0)), tile.getpixel((5, 19))) == (GREEN, RED)


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (render(tmp_path / name, encoded(wide()), width=24, height=16) for name in "ab")
    assert first.files == second.files


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        ({"width": 0}, "width must be 1 to 4096, not 0"),
        ({"height": 4097}, "height must be 1 to 4096, not 4097"),
        ({"width": "9"}, "input width must be int, not str"),
        ({"fit": "stretch"}, "fit must be cover or contain, not 'stretch'"),
    ],
)
def test_a_wrong_input_is_refused_in_one_line(inputs: dict[str, object], line: str, tmp_path: Path) -> None:
    with pytest.raises(ProcessorError, match=line):
        render(tmp_path, encoded(wide()), **inputs)


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(wide())[:60]])
def test_what_is_no_picture_is_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ProcessorError, match="is no picture that can be read"):
        render(tmp_path, data)


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "MAX_PIXELS", 399)
    with pytest.raises(ProcessorError, match="more than 399 pixels"):
        render(tmp_path, encoded(wide()))
