"""media/report@1: one contact sheet of many tiles, as a picture, as a page, and as numbers."""

import base64
import html
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template

from PIL import Image, ImageDraw, ImageFont

from theory.sdk.processor import Context, ProcessorError, run

MAX_COLUMNS = 12
NEAR = 2  # so many columns more or less than the best shape are worth a full last row
MAX_TILE_SIDE = 1024
COMPRESSION = 6  # stated, so that another default of a later Pillow does not change the bytes

# The sheet, in pixels and colours.
MARGIN, GUTTER, HEADER, CAPTION, FOOTER = 96, 40, 236, 132, 134
GAP, SWATCHES = 6, 14  # between a tile and its colours; their height
NIGHT, RULE, WHITE, GREY, DIM, AMBER = "#131415", "#303336", "#f4f1ea", "#a7a49c", "#76746e", "#e8a33d"

COLOUR = re.compile(r"#[0-9a-f]{6}")

# Letters that the font in Pillow lacks and that have a plain form.
PLAIN = str.maketrans({"\N{MULTIPLICATION SIGN}": "x", "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\u00df": "ss"})


@dataclass(frozen=True)
class Shot:
    """One photograph: what was said about it, and its tile."""

    title: str
    facts: str
    credit: str
    palette: tuple[str, ...]
    metadata_path: str
    tile_path: str
    tile_bytes: bytes
    tile: Image.Image
    width: int
    height: int
    kind: str


def main(context: Context) -> Mapping[str, object]:
    """Pair what lies under `metadata_prefix` and `tiles_prefix` and write the sheet, the page and the summary."""
    title = context.input("title", str, "Contact sheet")
    subtitle = context.input("subtitle", str, "")
    columns = context.input("columns", int, 0)
    if not 0 <= columns <= MAX_COLUMNS:
        raise ProcessorError(f"columns must be 0 (as it fits best) to {MAX_COLUMNS}, not {columns}")
    shots = collect(context)
    sheet = draw_sheet(shots, title, subtitle, columns or columns_for(len(shots)))
    with context.writer("report.png") as stream:
        sheet.save(stream, "PNG", compress_level=COMPRESSION)
    return {
        "picture_path": context.output_path("report.png"),
        "page_path": context.write("report.html", page_of(shots, title, subtitle).encode()),
        "summary_path": context.write_json("summary.json", summary_of(shots, title)),
        "photographs": len(shots),
    }


def columns_for(count: int) -> int:
    """Nearest to a sheet half as wide again as it is high, without a hole in the last row where that can be."""
    widest = min(count, MAX_COLUMNS)
    wanted = math.isqrt(max(2 * count - 1, 1)) + 1
    full = [each for each in range(2, widest + 1) if count % each == 0 and abs(each - wanted) <= NEAR]
    return min(full, key=lambda each: abs(each - wanted)) if full else min(wanted, widest)


def noun_for(count: int) -> str:
    """What is counted, in the right number."""
    return "photograph" if count == 1 else "photographs"


# ---- What there is


def collect(context: Context) -> list[Shot]:
    """Every photograph, in the order of its number; `ProcessorError` where a description has no tile or none exists."""
    documents = numbered(context, context.input("metadata_prefix", str), "metadata.json")
    tiles = numbered(context, context.input("tiles_prefix", str), "tile.png")
    if alone := sorted(documents.keys() ^ tiles.keys()):
        raise ProcessorError(f"these have a description or a tile, not both: {', '.join(map(str, alone))}")
    if not documents:
        raise ProcessorError("nothing to report on: no metadata.json among the reads")
    return [load(context, documents[number], tiles[number]) for number in sorted(documents)]


def numbered(context: Context, prefix: str, name: str) -> dict[int, str]:
    """The paths `<prefix><number>/<name>` by their number."""
    found: dict[int, str] = {}
    for path in context.list(prefix):
        folder, _, last = path[len(prefix) :].partition("/")
        if last == name and folder.isdecimal():
            found[int(folder)] = path
    return found


def load(context: Context, metadata_path: str, tile_path: str) -> Shot:
    """One photograph; the schema media.metadata@1 was checked before, so what it asks for is there."""
    document = context.read_json(metadata_path)
    if not isinstance(document, dict) or not isinstance(document.get("resolution"), dict):
        raise ProcessorError(f"{metadata_path} has no resolution")
    width, height = int(document["resolution"]["width"]), int(document["resolution"]["height"])
    kind = str(document.get("format", ""))
    facts = [
        f"{width} \N{MULTIPLICATION SIGN} {height}",
        kind,
        "Greyscale" if document.get("mode") == "L" else "Colour",
    ]
    with context.open(tile_path) as stream, Image.open(stream, formats=("PNG",)) as tile:
        if max(tile.size) > MAX_TILE_SIDE:
            raise ProcessorError(f"{tile_path} is larger than {MAX_TILE_SIDE} pixels a side")
        pixels = tile.convert("RGB")
    return Shot(
        title=str(document["title"]),
        facts="  \N{MIDDLE DOT}  ".join(filter(None, facts)),
        credit=str(document.get("credit", "")),
        palette=tuple(each for each in document.get("palette", []) if COLOUR.fullmatch(str(each))),
        metadata_path=metadata_path,
        tile_path=tile_path,
        tile_bytes=context.read(tile_path),
        tile=pixels,
        width=width,
        height=height,
        kind=kind,
    )


def summary_of(shots: Sequence[Shot], title: str) -> dict[str, object]:
    """The numbers, for predicates and other programs."""
    largest = max(shots, key=lambda shot: shot.width * shot.height)
    return {
        "title": title,
        "photographs": len(shots),
        "pixels": sum(shot.width * shot.height for shot in shots),
        "formats": dict(Counter(shot.kind for shot in shots)),
        "largest": {"title": largest.title, "width": largest.width, "height": largest.height},
        "items": [
            {"title": shot.title, "metadata_path": shot.metadata_path, "tile_path": shot.tile_path} for shot in shots
        ],
    }


# ---- The picture


def draw_sheet(shots: Sequence[Shot], title: str, subtitle: str, columns: int) -> Image.Image:
    """The contact sheet: a header, the tiles with their colours and captions, a footer."""
    cell_width = max(shot.tile.width for shot in shots)
    cell_height = max(shot.tile.height for shot in shots)
    rows = -(-len(shots) // columns)
    width = 2 * MARGIN + columns * cell_width + (columns - 1) * GUTTER
    height = MARGIN + HEADER + rows * (cell_height + GAP + SWATCHES + CAPTION) + (rows - 1) * GUTTER + FOOTER
    sheet = Image.new("RGB", (width, height), NIGHT)
    pen = Pen(sheet)
    draw_header(pen, shots, title, subtitle)
    for index, shot in enumerate(shots):
        row, column = divmod(index, columns)
        left = MARGIN + column * (cell_width + GUTTER)
        top = MARGIN + HEADER + row * (cell_height + GAP + SWATCHES + CAPTION + GUTTER)
        draw_shot(pen, shot, (left, top), (cell_width, cell_height), f"{index + 1:02}")
    pen.line(height - FOOTER + 36, MARGIN, width - MARGIN)
    pen.text((MARGIN, height - FOOTER + 62), "media/probe@1   media/render@1   media/report@1", 20, DIM)
    pen.text_right((width - MARGIN, height - FOOTER + 62), "Same photographs, same bytes", 20, DIM)
    return sheet


def draw_header(pen: "Pen", shots: Sequence[Shot], title: str, subtitle: str) -> None:
    """Title and subtitle on the left, the count on the right, a rule below."""
    right = pen.width - MARGIN
    pen.text((MARGIN, MARGIN - 26), "CONTACT SHEET", 20, AMBER, tracking=5)
    pen.text((MARGIN - 4, MARGIN + 14), pen.fit(title, 84, right - MARGIN - 320), 84, WHITE)
    pen.text((MARGIN, MARGIN + 126), pen.fit(subtitle, 28, right - MARGIN - 320), 28, GREY)
    pen.text_right((right, MARGIN + 14), str(len(shots)), 84, AMBER)
    pen.text_right((right, MARGIN + 126), noun_for(len(shots)), 28, GREY)
    pen.line(MARGIN + HEADER - 40, MARGIN, right)


def draw_shot(pen: "Pen", shot: Shot, at: tuple[int, int], cell: tuple[int, int], number: str) -> None:
    """One tile in the middle of its cell, its colours below it, its caption below them."""
    (left, top), (width, height) = at, cell
    pen.sheet.paste(shot.tile, (left + (width - shot.tile.width) // 2, top + (height - shot.tile.height) // 2))
    for index, colour in enumerate(shot.palette):
        start, end = index * width // len(shot.palette), (index + 1) * width // len(shot.palette)
        pen.box((left + start, top + height + GAP, left + end - 1, top + height + GAP + SWATCHES - 1), colour)
    below = top + height + GAP + SWATCHES
    pen.text((left, below + 18), pen.fit(shot.title, 28, width - 50), 28, WHITE)
    pen.text_right((left + width, below + 24), number, 20, AMBER, tracking=1)
    pen.text((left, below + 60), pen.fit(shot.facts, 20, width), 20, GREY)
    pen.text((left, below + 89), pen.fit(shot.credit, 20, width), 20, DIM)


class Pen:
    """Draws on a sheet with the one font that comes with Pillow, so that every machine draws the same."""

    def __init__(self, sheet: Image.Image) -> None:
        self.sheet = sheet
        self.width = sheet.width
        self._draw = ImageDraw.Draw(sheet)
        self._fonts: dict[int, ImageFont.FreeTypeFont] = {}

    def box(self, corners: tuple[int, int, int, int], colour: str) -> None:
        """A filled rectangle."""
        self._draw.rectangle(corners, fill=colour)

    def line(self, y: int, left: int, right: int) -> None:
        """A thin horizontal rule."""
        self._draw.rectangle((left, y, right - 1, y + 1), fill=RULE)

    def text(self, at: tuple[int, int], text: str, size: int, colour: str, tracking: int = 0) -> None:
        """One line, from its top left; `tracking` pixels more between letters."""
        x, y = at
        for piece in plain(text) if tracking else [plain(text)]:
            self._draw.text((x, y), piece, fill=colour, font=self._font(size))
            x += self._length(piece, size) + tracking

    def text_right(self, at: tuple[int, int], text: str, size: int, colour: str, tracking: int = 0) -> None:
        """One line, to its top right."""
        pieces = list(plain(text)) if tracking else [plain(text)]
        length = sum(self._length(piece, size) for piece in pieces) + tracking * (len(pieces) - 1)
        self.text((at[0] - length, at[1]), text, size, colour, tracking)

    def fit(self, text: str, size: int, width: int) -> str:
        """The text, cut with an ellipsis where it is wider than `width`."""
        text = plain(text)
        if self._length(text, size) <= width:
            return text
        while text and self._length(text + "...", size) > width:
            text = text[:-1].rstrip()
        return text + "..."

    def _length(self, text: str, size: int) -> int:
        return round(self._font(size).getlength(text))

    def _font(self, size: int) -> ImageFont.FreeTypeFont:
        if size not in self._fonts:
            font = ImageFont.load_default(size)
            if not isinstance(font, ImageFont.FreeTypeFont):
                raise ProcessorError("this Pillow has no FreeType: install the wheel that requirements.txt pins")
            # The basic layout: the other one is used only where the system happens to have its library.
            self._fonts[size] = font.font_variant(layout_engine=ImageFont.Layout.BASIC)
        return self._fonts[size]


def plain(text: str) -> str:
    """The text in letters that the font has: accents are dropped, what remains unknown becomes a question mark."""
    apart = unicodedata.normalize("NFKD", text.translate(PLAIN))
    return "".join(map(drawable, (each for each in apart if not unicodedata.combining(each))))


def drawable(letter: str) -> str:
    """The letter, or what stands for it: a line never breaks in two."""
    if letter.isspace():
        return " "
    return letter if letter == "\N{MIDDLE DOT}" or (letter.isascii() and letter.isprintable()) else "?"


# ---- The page

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: dark; font: 16px/1.5 system-ui, sans-serif; background: #131415; color: #f4f1ea }
body { max-width: 1180px; margin: 0 auto; padding: 4rem 2rem 2rem }
header { display: flex; gap: 2rem; align-items: end; border-bottom: 1px solid #303336; padding-bottom: 1.5rem }
header div { flex: 1 }
header small { color: #e8a33d; letter-spacing: .25em; font-size: .75rem }
h1 { font-weight: 400; font-size: clamp(2rem, 6vw, 3.5rem); line-height: 1.1; margin: .2em 0 }
header p { margin: 0; color: #a7a49c }
header strong { display: block; text-align: right; color: #e8a33d; font-weight: 400 }
header strong { font-size: clamp(2rem, 6vw, 3.5rem); line-height: 1.3 }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 2rem 1.5rem; padding: 2rem 0 }
figure { margin: 0 }
img { display: block; width: 100%; height: auto }
.palette { display: flex; height: 10px; margin-top: 4px }
.palette i { flex: 1 }
figcaption { padding-top: .7rem; font-size: .82rem; color: #a7a49c }
figcaption b { display: block; font-weight: 400; font-size: 1.1rem; color: #f4f1ea }
figcaption b span { float: right; font-size: .8rem; color: #e8a33d; padding-top: .25rem }
figcaption em { display: block; font-style: normal; color: #8b8880 }
footer { border-top: 1px solid #303336; padding-top: 1rem; color: #8b8880; font-size: .8rem }
</style>
</head>
<body>
<header>
<div><small>CONTACT SHEET</small><h1>$title</h1><p>$subtitle</p></div>
<p><strong>$count</strong>$noun</p>
</header>
<main>
$figures
</main>
<footer>media/probe@1 &middot; media/render@1 &middot; media/report@1 &middot; $pixels megapixels in all</footer>
</body>
</html>
""")

FIGURE = Template("""<figure>
<img src="data:image/png;base64,$data" width="$width" height="$height" alt="$title">
<div class="palette">$palette</div>
<figcaption><b><span>$number</span>$title</b>$facts<em>$credit</em></figcaption>
</figure>""")


def page_of(shots: Sequence[Shot], title: str, subtitle: str) -> str:
    """One file that needs no other: styles and tiles are in it, and a policy that lets nothing else load."""
    figures = [
        FIGURE.substitute(
            data=base64.b64encode(shot.tile_bytes).decode(),
            width=shot.tile.width,
            height=shot.tile.height,
            title=html.escape(shot.title),
            palette="".join(f'<i style="background:{html.escape(colour)}"></i>' for colour in shot.palette),
            number=f"{index:02}",
            facts=html.escape(shot.facts),
            credit=html.escape(shot.credit),
        )
        for index, shot in enumerate(shots, start=1)
    ]
    return PAGE.substitute(
        title=html.escape(title),
        subtitle=html.escape(subtitle),
        count=len(shots),
        noun=noun_for(len(shots)),
        figures="\n".join(figures),
        pixels=sum(shot.width * shot.height for shot in shots) // 1_000_000,
    )


if __name__ == "__main__":
    run(main)
