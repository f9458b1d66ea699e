"""media/report@1, run directly."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from processors.media_report import processor
from tests.unit.processors.attempt import PREFIX, Attempt, carry_out, encoded
from theory.sdk.processor import ProcessorError

PROBE, RENDER = "/artifacts/outputs/probe/", "/artifacts/outputs/render/"
INPUTS = {"metadata_prefix": PROBE, "tiles_prefix": RENDER, "title": "Two of them", "subtitle": "Side by side"}
RED, BLUE = (255, 0, 0), (0, 0, 255)


def photograph(number: int, title: str, colour: tuple[int, int, int], **facts: Any) -> dict[str, bytes]:
    metadata = {"title": title, "duration_ms": 0, "resolution": {"width": 30, "height": 20}, "format": "PNG", **facts}
    return {
        f"{PROBE}{number}/metadata.json": json.dumps(metadata).encode(),
        f"{RENDER}{number}/tile.png": encoded(Image.new("RGB", (200, 200), colour)),
    }


def two() -> dict[str, bytes]:
    return photograph(2, "Second", BLUE, mode="L") | photograph(
        10, "Tenth", RED, credit="Ann, CC0", palette=["#ff0000"]
    )


def report(folder: Path, world: dict[str, bytes], **inputs: object) -> Attempt:
    return carry_out(folder, processor.main, {**INPUTS, **inputs}, world)


def test_a_report_is_a_picture_a_page_and_a_summary(tmp_path: Path) -> None:
    attempt = report(tmp_path, two())
    assert attempt.outputs == {
        "picture_path": PREFIX + "report.png",
        "page_path": PREFIX + "report.html",
        "summary_path": PREFIX + "summary.json",
        "photographs": 2,
    }
    assert sorted(attempt.files) == sorted(str(path) for path in attempt.outputs.values() if isinstance(path, str))


def test_the_summary_counts_and_names_what_there_is_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    world = two() | photograph(11, "Large", RED, resolution={"width": 100, "height": 100}, format="JPEG")
    assert report(tmp_path, world).json(PREFIX + "summary.json") == {
        "title": "Two of them",
        "photographs": 3,
        "pixels": 11_200,
        "formats": {"JPEG": 1, "PNG": 2},
        "largest": {"title": "Large", "width": 100, "height": 100},
        "items": [
            {
                "title": title,
                "metadata_path": f"{PROBE}{number}/metadata.json",
                "tile_path": f"{RENDER}{number}/tile.png",
            }
            for number, title in ((2, "Second"), (10, "Tenth"), (11, "Large"))
        ],
    }


def test_the_picture_shows_every_tile_in_its_place(tmp_path: Path) -> None:
    sheet = report(tmp_path, two(), columns=2).picture(PREFIX + "report.png")
    left, top = processor.MARGIN + 100, processor.MARGIN + processor.HEADER + 100
    assert sheet.width == 2 * processor.MARGIN + 2 * 200 + processor.GUTTER
    assert sheet.getpixel((left, top)) == BLUE
    assert sheet.getpixel((left + 200 + processor.GUTTER, top)) == RED


def test_a_smaller_tile_stands_in_the_middle_of_its_cell(tmp_path: Path) -> None:
    world = two()
    world[f"{RENDER}2/tile.png"] = encoded(Image.new("RGB", (100, 50), BLUE))
    sheet = report(tmp_path, world, columns=2).picture(PREFIX + "report.png")
    left, top = processor.MARGIN, processor.MARGIN + processor.HEADER
    assert sheet.getpixel((left + 100, top + 100)) == BLUE
    assert sheet.getpixel((left + 100, top + 60)) not in {BLUE, RED}


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def test_the_page_needs_no_other_file_and_loads_none(tmp_path: Path) -> None:
    page = Page(report(tmp_path, two()).files[PREFIX + "report.html"].decode())
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"] == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    ]


def test_hostile_titles_stay_text(tmp_path: Path) -> None:
    hostile = "<script>alert('$title')</script>\"&"
    world = photograph(0, hostile, RED, credit=hostile, palette=["red;}</style><script>", "#ff0000"], format="<b>")
    page = Page(report(tmp_path, world, title=hostile, subtitle=hostile).files[PREFIX + "report.html"].decode())
    assert not {"script", "b>"} & {tag for tag, _ in page.tags}
    assert page.said.count(hostile) == 5
    assert [attributes["style"] for tag, attributes in page.tags if tag == "i"] == ["background:#ff0000"]


def test_the_same_photographs_give_the_same_bytes(tmp_path: Path) -> None:
    assert report(tmp_path / "a", two()).files == report(tmp_path / "b", two()).files


@pytest.mark.parametrize(("left_out", "number"), [(f"{PROBE}2/metadata.json", "2"), (f"{RENDER}10/tile.png", "10")])
def test_a_photograph_without_its_other_half_is_refused(left_out: str, number: str, tmp_path: Path) -> None:
    world = {path: data for path, data in two().items() if path != left_out}
    with pytest.raises(ProcessorError, match=f"not both: {number}$"):
        report(tmp_path, world)


def test_nothing_to_report_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProcessorError, match="nothing to report on"):
        report(tmp_path, {"/artifacts/outputs/probe/x/metadata.json": b"{}"})


def test_a_description_without_a_resolution_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProcessorError, match="has no resolution"):
        report(tmp_path, photograph(0, "Odd", RED, resolution=None))


@pytest.mark.parametrize("columns", [-1, 13])
def test_columns_out_of_range_are_refused(columns: int, tmp_path: Path) -> None:
    with pytest.raises(ProcessorError, match="columns must be 0"):
        report(tmp_path, two(), columns=columns)


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (6, 3), (7, 4), (8, 4), (9, 3), (12, 4), (24, 6), (400, 12)]
)
def test_columns_fit_the_number_of_photographs(count: int, columns: int) -> None:
    assert processor.columns_for(count) == columns


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Häggström", "Haggstrom"),
        ("512 × 512", "512 x 512"),
        ("a — b", "a - b"),
        ("a · b", "a · b"),
        ("写真", "??"),
        ("a\nb\x00", "a b?"),
    ],
)
def test_letters_that_the_font_lacks_are_drawn_plainly(text: str, drawn: str) -> None:
    assert processor.plain(text) == drawn


def test_a_line_that_is_too_long_ends_in_an_ellipsis() -> None:
    sheet = Image.new("RGB", (600, 40))
    pen = processor.Pen(sheet)
    line = pen.fit("A title that goes on and on and on", 28, 200)
    assert line.startswith("A title")
    assert line.endswith("...")
    pen.text((0, 0), line, 28, "#ffffff")
    drawn = sheet.getbbox()
    assert drawn is not None
    assert drawn[2] <= 200
