"""Draws the pictures of the demo by hand, none of them from the training: assets.py OUT."""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

import fonts
import scenes

PAPER, INK = (250, 248, 242), (30, 30, 34)


def sheet(size, colour=PAPER):
    picture = Image.new("RGB", size, colour)
    return picture, ImageDraw.Draw(picture)


def text(draw, at, words, font, size, fill=INK, anchor="la"):
    draw.text(at, words, fill=fill, font=fonts.load(font, size), anchor=anchor)


def receipt():
    picture, draw = sheet((240, 250))
    text(draw, (120, 10), "Harbour Cafe", "DejaVuSans-Bold", 18, anchor="ma")
    items = [("Coffee", "2.80"), ("Apple cake", "3.50"), ("Tea", "2.20"), ("Honey", "4.95")]
    for i, (item, price) in enumerate(items):
        text(draw, (10, 46 + 34 * i), item, "LiberationSans-Regular", 18)
        text(draw, (230, 46 + 34 * i), price, "LiberationSans-Regular", 18, anchor="ra")
    draw.line((8, 186, 232, 186), fill=INK)
    text(draw, (10, 196), "Total", "LiberationSans-Bold", 18)
    text(draw, (230, 196), "13.45", "LiberationSans-Bold", 18, anchor="ra")
    return picture


def sign():
    picture, draw = sheet((300, 200), (172, 200, 222))
    draw.polygon([(0, 200), (0, 130), (80, 90), (170, 140), (240, 110), (300, 150), (300, 200)], fill=(120, 152, 112))
    draw.rectangle((146, 110, 154, 200), fill=(92, 92, 92))
    draw.rounded_rectangle((40, 50, 260, 112), 6, fill=(20, 60, 140), outline=(250, 250, 250))
    text(draw, (150, 81), "Willow Lane", "OpenSans-Bold", 30, (250, 250, 250), "mm")
    return picture


def form():
    picture, draw = sheet((280, 210))
    rows = [("Name:", "Martha Quinn"), ("Street:", "Mill Road"), ("City:", "Norwich"), ("Room:", "214")]
    for i, (label, value) in enumerate(rows):
        text(draw, (10, 14 + 46 * i), label, "DejaVuSans", 18)
        text(draw, (96, 14 + 46 * i), value, "LiberationSerif-Regular", 20)
        draw.line((94, 40 + 46 * i, 268, 40 + 46 * i), fill=INK)
    return picture


def chart():
    picture, draw = sheet((300, 210), (252, 252, 252))
    text(draw, (6, 4), "Visitors", "Roboto-Medium", 18)
    bars = [("Mon", 60, "blue"), ("Tue", 95, "green"), ("Wed", 140, "orange"), ("Thu", 80, "purple")]
    for i, (label, height, colour) in enumerate(bars):
        draw.rectangle((22 + 70 * i, 182 - height, 62 + 70 * i, 182), fill=scenes.COLOURS[colour])
        text(draw, (42 + 70 * i, 186), label, "Roboto-Regular", 16, anchor="ma")
    draw.line((6, 182, 294, 182), fill=INK)
    return picture


def shapes():
    picture, draw = sheet((250, 250), (236, 234, 228))
    draw.ellipse((20, 24, 100, 104), fill=scenes.COLOURS["red"])
    draw.ellipse((150, 140, 226, 216), fill=scenes.COLOURS["red"])
    draw.polygon(scenes.corners("square", 184, 66, 48, 0.1), fill=scenes.COLOURS["blue"])
    draw.polygon(scenes.corners("triangle", 70, 180, 48, -0.1), fill=scenes.COLOURS["green"])
    return picture


def page():
    picture, draw = sheet((1000, 1400))
    lines = [
        (70, 90, "Town Museum", "DejaVuSerif-Bold", 30), (70, 190, "Open Tuesday to Sunday", "DejaVuSerif", 18),
        (70, 330, "Tickets at the desk", "DejaVuSerif", 16), (70, 520, "No food or water", "LiberationSans-Regular", 16),
        (300, 700, "First floor closed", "LiberationSans-Regular", 15), (70, 880, "Group price 42.50", "DejaVuSerif", 15),
        (70, 1080, "Lost hats: room 17", "LiberationSans-Regular", 14), (70, 1290, "Code KR-2071", "DejaVuSans", 14),
    ]  # fmt: skip
    for x, y, words, font, size in lines:
        text(draw, (x, y), words, font, size)
    draw.line((70, 150, 930, 150), fill=INK)
    return picture


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for draw in (receipt, sign, form, chart, shapes, page):
        draw().save(out / f"{draw.__name__}.png", optimize=True)


if __name__ == "__main__":
    main()
