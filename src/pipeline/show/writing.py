"""Text on pages that Pillow draws."""

import re
import unicodedata

from PIL import Image, ImageDraw, ImageFont

# Pixels.
FONT, SMALL = 15, 13
LINE = 20  # of text
BLACK, GREY = (0, 0, 0), (90, 90, 90)
DASHES = re.compile("[\u2010-\u2015\u2212]")


def font_of(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own."""
    return ImageFont.load_default(size)


def plain(text: str) -> str:
    r"""Text in the signs that the font has: letters without accents; what else it lacks is spelt out, as \u65e5."""
    return "".join(map(_plain, DASHES.sub("-", text)))


def _plain(sign: str) -> str:
    bare = "".join(part for part in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(part))
    return bare if bare.isascii() else sign.encode("ascii", "backslashreplace").decode("ascii")


def write(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    text: str,
    *,
    size: int = SMALL,
    anchor: str = "la",
    colour: tuple[int, int, int] = BLACK,
) -> None:
    """Write a line of text at a place; `anchor` as Pillow has it."""
    draw.text((x, y), plain(text), font=font_of(size), fill=colour, anchor=anchor)


def write_up(page: Image.Image, x: int, middle: int, text: str) -> None:
    """Write from the bottom upwards, centred at a height."""
    length = round(font_of(SMALL).getlength(plain(text))) + 2
    strip = Image.new("RGB", (length, LINE), "white")
    write(ImageDraw.Draw(strip), 1, 1, text)
    page.paste(strip.rotate(90, expand=True), (x, middle - length // 2))


def wrapped(text: str, width: float) -> list[str]:
    """Lines of a text that fit into a width; what has no space to break at is broken within."""
    font, lines = font_of(FONT), []

    def fits(line: str) -> bool:
        return font.getlength(plain(line)) <= width

    for part in text.split("\n"):
        line = ""
        for word in part.split(" "):
            longer = f"{line} {word}" if line else word
            if line and not fits(longer):
                lines.append(line)
                longer = word
            while len(longer) > 1 and not fits(longer):
                n = next(n for n in range(len(longer) - 1, 0, -1) if n == 1 or fits(longer[:n]))
                lines.append(longer[:n])
                longer = longer[n:]
            line = longer
        lines.append(line)
    return lines
