"""Pictures of every kind, with questions, answers, and where each character stands."""

import io
import math
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import fonts
import words

READ, TOTAL, SHAPES, DESCRIBE = "Read the text.", "What is the total?", "What shapes are there?", "Describe the picture."
COLOURS = {
    "red": (214, 40, 40), "green": (42, 150, 62), "blue": (38, 84, 200), "yellow": (245, 208, 45),
    "purple": (138, 60, 170), "orange": (244, 134, 32), "black": (25, 25, 25), "white": (248, 248, 248),
}  # fmt: skip
FORMS = ["circle", "square", "triangle", "star"]
# The first class of a shape behind nothing and the characters.
SHAPE_CLASS = 96


@dataclass
class Scene:
    """A picture; `glyphs` are (character, x, y, font size) of centres, `lines` are (text, font size), `asks` are (question,
    answer), `spots` say for an ask which glyph each character of the answer is read from: {index: glyph}."""

    kind: str
    picture: Image.Image
    draw: ImageDraw.ImageDraw
    dark: bool
    unseen: bool
    glyphs: list = field(default_factory=list)
    lines: list = field(default_factory=list)
    asks: list = field(default_factory=list)
    spots: dict = field(default_factory=dict)
    font: str = ""

    @property
    def size(self):
        return self.picture.size

    def write(self, x, y, text, font, size, fill):
        """A line with its top left corner at x, y; returns its width."""
        face = fonts.load(font, size)
        self.draw.text((x, y), text, fill=fill, font=face)
        ascent, _ = face.getmetrics()
        # Kerning is spread over the line: right to a pixel, and much faster than the length of every beginning.
        wide = [fonts.advance(font, size, character) for character in text]
        length = face.getlength(text)
        scale, middle, before = length / max(sum(wide), 1), y + ascent - 0.33 * size, 0.0
        for character, own in zip(text, wide):
            if "!" <= character <= "~":
                self.glyphs.append((character, x + (before + own / 2) * scale, middle, size))
            before += own
        return length


def noise(rng, size, cells, spread):
    """Smooth noise f32 [height, width, 3] around 0."""
    width, height = size
    small = rng.normal(0, spread, (max(2, height * cells // max(size)), max(2, width * cells // max(size)), 3))
    planes = [Image.fromarray(small[..., i].astype(np.float32)).resize(size, Image.Resampling.BICUBIC) for i in range(3)]
    return np.stack([np.asarray(plane) for plane in planes], -1)


def background(rng, size, photo=None):
    """(picture, whether it is dark): paper, a plain colour, or something like a blurred photograph."""
    draws = np.random.default_rng(rng.getrandbits(32))
    photo = rng.random() < 0.25 if photo is None else photo
    dark = rng.random() < (0.4 if photo else 0.15)
    if photo:
        base = draws.uniform(20, 85, 3) if dark else draws.uniform(165, 235, 3)
        pixels = base + noise(draws, size, rng.randint(2, 12), rng.uniform(4, 16))
    else:
        level = rng.uniform(10, 70) if dark else rng.uniform(205, 255)
        pixels = np.clip(level + draws.uniform(-10, 10, 3), 0, 255) + np.zeros((size[1], size[0], 3), np.float32)
        if rng.random() < 0.5:
            pixels = pixels + noise(draws, size, rng.randint(2, 6), rng.uniform(1, 5))
    if rng.random() < 0.6:
        pixels = pixels + draws.normal(0, rng.uniform(0.5, 5), (size[1], size[0], 1)).astype(np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), dark


def ink(rng, dark):
    low, high = ((190, 255) if dark else (0, 75))
    if rng.random() < 0.7:
        level = rng.randint(low, high)
        return (level,) * 3
    return tuple(rng.randint(low, high) for _ in range(3))


def start(rng, kind, size, unseen, photo=None):
    picture, dark = background(rng, size, photo)
    scene = Scene(kind, picture, ImageDraw.Draw(picture), dark, unseen)
    scene.font = rng.choice(fonts.names(unseen))
    return scene


def font_size(rng, small, large):
    """Small sizes more often than large ones."""
    small, large = max(12, small), max(12, large)
    return int(math.exp(rng.uniform(math.log(small), math.log(large + 0.99))))


def fitted(rng, make, font, size, width, tries=12):
    """A text of `make(longest)` no wider than `width`, or None."""
    longest = 26
    for _ in range(tries):
        text = make(longest)
        have = fonts.load(font, size).getlength(text)
        if have <= width and len(text) <= 28:
            return text
        longest = max(2, min(longest - 1, int(len(text) * width / max(have, 1))))
    return None


def finish(rng, scene):
    """What a camera or a file does to it, now and then."""
    if rng.random() < 0.12:
        scene.picture = scene.picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.6)))
    if rng.random() < 0.15:
        file = io.BytesIO()
        scene.picture.save(file, "JPEG", quality=rng.randint(60, 95))
        scene.picture = Image.open(file).convert("RGB")
    return scene


def visible(text):
    return [i for i, character in enumerate(text) if "!" <= character <= "~"]


def ask(scene, question, *parts):
    """A question, and its answer in parts: a text, or (text, glyphs of its visible characters), which is read off."""
    answer, spots = "", {}
    for part in parts:
        text, glyphs = part if isinstance(part, tuple) else (part, ())
        spots |= zip([len(answer) + i for i in visible(text)], glyphs)
        answer += text
    scene.asks.append((question, answer))
    scene.spots[question, answer] = spots


def seen(text, first):
    """A text whose visible characters are the glyphs from `first` on."""
    return text, range(first, first + len(visible(text)))


def last(scene, text):
    """A text that was written last."""
    return seen(text, len(scene.glyphs) - len(visible(text)))


def read_all(scene):
    ask(scene, READ, seen("\n".join(text for text, _ in scene.lines), 0))


def strip(rng, size, unseen):
    """One line that fills the picture, two where there is room."""
    scene = start(rng, "strip", size, unseen)
    width, height = size
    large = rng.randint(12, max(12, min(40, int(height * 0.75))))
    text = fitted(rng, lambda n: words.phrase(rng, n), scene.font, large, width - 4)
    if text is None:
        large = 12
        text = fitted(rng, lambda n: words.phrase(rng, n), scene.font, large, width - 4) or "ok"
    face = fonts.load(scene.font, large)
    have = face.getlength(text)
    x, y = rng.uniform(2, max(2, width - have - 2)), rng.uniform(0, max(0, height - 1.25 * large))
    scene.write(int(x), int(y), text, scene.font, large, ink(rng, scene.dark))
    scene.lines.append((text, large))
    read_all(scene)
    return finish(rng, scene)


def block(rng, scene, area, count, sizes, make, fill, pitch=None, fonts_of=None):
    """Up to `count` lines inside `area` (x, y, width, height), each of a size of `sizes()`; they may be centred."""
    x, y, width, height = area
    pitch = pitch or rng.uniform(1.2, 2.0)
    centred, top = rng.random() < 0.4, y
    for _ in range(count):
        large, font = sizes(), fonts_of() if fonts_of else scene.font
        if top + 1.25 * large > y + height:
            break
        text = fitted(rng, make, font, large, width)
        if text is None:
            continue
        left = x + (width - fonts.load(font, large).getlength(text)) / 2 * centred
        scene.write(int(left), int(top), text, font, large, fill)
        scene.lines.append((text, large))
        top += large * pitch + (rng.uniform(0, 0.4) * large)
    return top


def notice(rng, size, unseen, most=4):
    """Lines on a plain ground."""
    scene = start(rng, "notice", size, unseen)
    width, height = size
    count, edge = rng.randint(1, most), rng.randint(3, 12)
    same = font_size(rng, 12, min(34, height / (1.4 * count)))
    sizes = (lambda: same) if rng.random() < 0.5 else (lambda: font_size(rng, 12, min(34, height / (1.5 * count))))
    room = max(0, height - 2 * edge - int(count * same * 1.8))
    area = (edge, edge + rng.randint(0, room), width - 2 * edge, height - 2 * edge)
    area = area[:3] + (height - edge - area[1],)
    block(rng, scene, area, count, sizes, lambda n: words.phrase(rng, n), ink(rng, scene.dark))
    if not scene.lines:
        return None
    read_all(scene)
    n = len(scene.lines)
    ask(scene, DESCRIBE, f"A notice with {n} line{'s' * (n > 1)} of text. It begins: ", seen(scene.lines[0][0], 0))
    ask(scene, "How many lines of text are there?", str(n))
    return finish(rng, scene)


def sign(rng, size, unseen):
    """A street sign before something like a photograph."""
    scene = start(rng, "sign", size, unseen, photo=True)
    width, height = size
    plate = rng.choice(((0, 90, 60), (20, 60, 140), (245, 245, 240), (150, 20, 25), (30, 30, 30), (250, 210, 60)))
    fill = (250, 250, 250) if sum(plate) < 380 else (15, 15, 15)
    lines = [words.place(rng)]
    if rng.random() < 0.35:
        lines.append(rng.choice((str(rng.randint(1, 300)), words.number(rng), words.phrase(rng, 14))))
    large = font_size(rng, 14, min(44, height / (2.2 * len(lines))))
    while large > 12 and max(fonts.load(scene.font, large).getlength(line) for line in lines) > width - 24:
        large -= 1
    wide = int(max(fonts.load(scene.font, large).getlength(line) for line in lines))
    if wide > width - 12:
        return None
    tall = int(len(lines) * large * 1.35)
    pad = rng.randint(4, 10)
    x, y = rng.randint(pad, max(pad, width - wide - pad)), rng.randint(pad, max(pad, height - tall - pad))
    box = (x - pad, y - pad, x + wide + pad, y + tall + pad)
    if rng.random() < 0.5:
        middle = (box[0] + box[2]) // 2
        scene.draw.rectangle((middle - 3, box[3], middle + 3, height), fill=(90, 90, 90))
    scene.draw.rounded_rectangle(box, rng.randint(0, 8), fill=plate, outline=fill if rng.random() < 0.5 else None)
    for i, line in enumerate(lines):
        left = x + (wide - fonts.load(scene.font, large).getlength(line)) / 2
        scene.write(int(left), int(y + i * large * 1.35), line, scene.font, large, fill)
        scene.lines.append((line, large))
    read_all(scene)
    ask(scene, DESCRIBE, "A street sign that says ", seen(" ".join(lines), 0), ".")
    return finish(rng, scene)


def form(rng, size, unseen):
    """Fields with what was filled in."""
    scene = start(rng, "form", size, unseen)
    width, height = size
    makers = {
        "Name": lambda: words.person(rng), "City": lambda: words.word(rng).capitalize(),
        "Street": lambda: words.place(rng), "Phone": lambda: f"{rng.randint(100, 999)} {rng.randint(1000, 9999)}",
        "Date": lambda: f"{rng.randint(1, 28)}/{rng.randint(1, 12)}/{rng.randint(1990, 2030)}",
        "Age": lambda: str(rng.randint(18, 90)), "Room": lambda: str(rng.randint(1, 400)),
        "Code": lambda: f"{rng.choice('ABCDEFGH')}{rng.randint(100, 9999)}", "Member": lambda: rng.choice(("yes", "no")),
    }  # fmt: skip
    count = rng.randint(2, 5)
    large = font_size(rng, 12, min(26, height / (1.6 * count + 1)))
    pitch = max(large * rng.uniform(1.35, 2.2), 1.3 * large)
    fill, other, y = ink(rng, scene.dark), rng.choice(fonts.names(unseen)), rng.randint(3, 10)
    spread = rng.random() < 0.4
    for name in rng.sample(sorted(makers), count):
        if y + 1.3 * large > height:
            break
        value, label, x = makers[name](), f"{name}:", 6
        wide = fonts.load(scene.font, large).getlength(label)
        left = x + (max(wide, large * 4) if spread else wide) + large * 0.4
        if left + fonts.load(other, large).getlength(value) > width - 2:
            continue
        scene.write(x, int(y), label, scene.font, large, fill)
        scene.write(int(left), int(y), value, other, large, fill)
        if rng.random() < 0.5:
            scene.draw.line((left, y + 1.3 * large, width - 6, y + 1.3 * large), fill=fill)
        scene.lines.append((f"{label} {value}", large))
        y += pitch
    if not scene.lines:
        return None
    read_all(scene)
    n = len(scene.lines)
    ask(scene, DESCRIBE, f"A form with {n} field{'s' * (n > 1)}. ", seen(scene.lines[0][0], 0))
    ask(scene, "How many fields are there?", str(n))
    return finish(rng, scene)


def receipt(rng, size, unseen):
    """A shop, items with prices, the total."""
    scene = start(rng, "receipt", size, unseen, photo=False)
    width, height = size
    count = rng.randint(1, 5)
    large = font_size(rng, 12, min(24, height / (1.35 * (count + 2)), width / 9))
    pitch = large * rng.uniform(1.22, 1.6)
    if pitch * (count + 2) > height - 4:
        count = max(1, int((height - 4) / pitch) - 2)
    fill, y, right = ink(rng, scene.dark), rng.randint(2, 6), width - rng.randint(4, 14)
    wide = lambda text: fonts.load(scene.font, large).getlength(text)
    name = fitted(rng, lambda n: words.shop(rng), scene.font, large, width - 8)
    if name:
        scene.write(int((width - wide(name)) / 2), y, name, scene.font, large, fill)
        scene.lines.append((name, large))
        y += pitch
    items, cents = 0, 0
    for _ in range(count):
        cost = rng.choice((rng.randint(1, 60) * 50, rng.randint(50, 3000), rng.randint(1, 30) * 100 - 1))
        label = f"{cost // 100}.{cost % 100:02}"
        item = fitted(rng, lambda n: words.word(rng).capitalize(), scene.font, large, right - 16 - wide(label))
        if item is None:
            continue
        scene.write(6, int(y), item, scene.font, large, fill)
        scene.write(int(right - wide(label)), int(y), label, scene.font, large, fill)
        scene.lines.append((f"{item} {label}", large))
        items, cents, y = items + 1, cents + cost, y + pitch
    if not items or y + large * 1.25 > height:
        return None
    if rng.random() < 0.5:
        scene.draw.line((4, y, width - 4, y), fill=fill)
    label, total = rng.choice(("Total", "TOTAL", "Sum", "To pay")), f"{cents // 100}.{cents % 100:02}"
    if wide(label) + wide(total) + 14 > right:
        return None
    scene.write(6, int(y), label, scene.font, large, fill)
    scene.write(int(right - wide(total)), int(y), total, scene.font, large, fill)
    scene.lines.append((f"{label} {total}", large))
    read_all(scene)
    ask(scene, TOTAL, last(scene, total))
    ask(scene, TOTAL, last(scene, total))
    of = (" from ", seen(name, 0)) if name else ()
    counted = f" with {items} item{'s' * (items > 1)}. The total is "
    ask(scene, DESCRIBE, "A receipt", *of, counted, last(scene, total), ".")
    ask(scene, "How many items are there?", str(items))
    return finish(rng, scene)


def chart(rng, size, unseen):
    """Bars with labels."""
    scene = start(rng, "chart", size, unseen, photo=False)
    width, height = size
    count = rng.randint(2, 5)
    large = font_size(rng, 12, 18)
    title = fitted(rng, lambda n: words.phrase(rng, min(n, 18)), scene.font, large, width - 8)
    if title is None or height < 6 * large:
        return None
    fill = ink(rng, scene.dark)
    scene.write(4, 3, title, scene.font, large, fill)
    scene.lines.append((title, large))
    values = rng.sample(range(2, 11), count)
    base, step = height - int(1.5 * large) - 2, (width - 12) / count
    unit = (base - 1.6 * large - 4) / 10
    labels, firsts = [], []
    for i, value in enumerate(values):
        label = fitted(rng, lambda n: words.word(rng)[:8].capitalize(), scene.font, large, step - 4) or "ABCDE"[i]
        colour = rng.choice([c for c in COLOURS if c not in ("black", "white")])
        left = 6 + i * step
        scene.draw.rectangle((left + step * 0.15, base - value * unit, left + step * 0.85, base), fill=COLOURS[colour])
        wide = fonts.load(scene.font, large).getlength(label)
        firsts.append(len(scene.glyphs))
        scene.write(int(left + (step - wide) / 2), base + 2, label, scene.font, large, fill)
        labels.append(label)
    scene.draw.line((4, base, width - 4, base), fill=fill)
    scene.lines.append((" ".join(labels), large))
    read_all(scene)
    tallest = values.index(max(values))
    named = "A bar chart titled ", seen(title, 0), f" with {count} bars. The tallest is "
    ask(scene, DESCRIBE, *named, seen(labels[tallest], firsts[tallest]), ".")
    ask(scene, "How many bars are there?", str(count))
    return finish(rng, scene)


def corners(form, x, y, r, turn):
    if form == "square":
        return [(x + r * math.cos(turn + a), y + r * math.sin(turn + a)) for a in (0.785, 2.356, 3.927, 5.498)]
    if form == "triangle":
        return [(x + r * math.cos(turn + a), y + r * math.sin(turn + a)) for a in (-1.571, 0.524, 2.618)]
    points = []
    for i in range(10):
        angle, radius = turn - 1.571 + i * math.pi / 5, r if i % 2 == 0 else r * 0.42
        points.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
    return points


def shapes(rng, size, unseen):
    """Coloured shapes: which, how many, where."""
    scene = start(rng, "shapes", size, unseen)
    width, height = size
    count = rng.choice((1, 2, 2, 3, 3, 4, 5, 6))
    allowed = [c for c in COLOURS if c != ("black" if scene.dark else "white")]
    kinds = [(rng.choice(allowed), rng.choice(FORMS)) for _ in range(min(count, rng.randint(1, 3)))]
    r = min(width, height) / (3.2 if count < 3 else 4.4 if count < 5 else 5.5)
    placed = []
    for _ in range(count * 30):
        own = r * rng.uniform(0.6, 1)
        if 2 * own + 2 > min(size):
            continue
        x, y = rng.uniform(own + 1, width - own - 1), rng.uniform(own + 1, height - own - 1)
        if all((x - a) ** 2 + (y - b) ** 2 > (own + c + 2) ** 2 for a, b, c, _ in placed):
            placed.append((x, y, own, rng.choice(kinds)))
        if len(placed) == count:
            break
    if not placed:
        return None
    for x, y, own, (colour, name) in placed:
        if name == "circle":
            scene.draw.ellipse((x - own, y - own, x + own, y + own), fill=COLOURS[colour])
        else:
            turn = rng.uniform(-0.25, 0.25)
            scene.draw.polygon(corners(name, x, y, own, turn), fill=COLOURS[colour])
        character = chr(32 + SHAPE_CLASS + list(COLOURS).index(colour) * len(FORMS) + FORMS.index(name))
        scene.glyphs.append((character, x, y, own))
    present = [kind for _, _, _, kind in placed]
    named = lambda i: (" ".join(present[i]), [i] * len(visible(" ".join(present[i]))))
    listed = []
    for i in sorted(range(len(placed)), key=lambda i: placed[i][0]):
        listed += [", ", named(i)]
    ask(scene, SHAPES, *listed[1:])
    if len(placed) == 2:
        (ax, ay, *_), (bx, by, *_) = placed
        across = abs(ax - bx) > abs(ay - by)
        a, b = (named(i) for i in sorted((0, 1), key=lambda i: placed[i][0 if across else 1]))
        ask(scene, DESCRIBE, "A ", a, " is left of a " if across else " is above a ", b, ".")
    else:
        n = len(placed)
        ask(scene, DESCRIBE, f"A picture of {n} shape{'s' * (n > 1)}: ", *listed[1:], ".")
    ask(scene, "How many shapes are there?", str(len(placed)))
    colour, name = rng.choice(present) if rng.random() < 0.85 else (rng.choice(allowed), rng.choice(FORMS))
    ask(scene, f"How many {name}s are there?", str(sum(kind[1] == name for kind in present)))
    ask(scene, f"How many {colour} {name}s are there?", str(present.count((colour, name))))
    return finish(rng, scene)


def page(rng, size, unseen, most=8):
    """A sheet with up to eight short lines, some of them small print, and room between."""
    scene = start(rng, "page", size, unseen, photo=False)
    width, height = size
    edge, y = rng.randint(10, max(11, width // 10)), rng.randint(6, max(7, height // 8))
    fill, count = ink(rng, scene.dark), rng.randint(2, most)
    letters = 0
    for i in range(count):
        large = font_size(rng, 12, 30) if rng.random() < 0.35 else rng.randint(12, 19)
        if y + 1.3 * large > height or letters > 150:
            break
        left = edge + (rng.randint(0, width // 3) if rng.random() < 0.3 else 0)
        text = fitted(rng, lambda n: words.phrase(rng, n), scene.font, large, width - left - 4)
        if text is None:
            continue
        scene.write(left, int(y), text, scene.font, large, fill)
        scene.lines.append((text, large))
        letters += len(text)
        close = rng.random() < 0.5
        y += large * rng.uniform(1.25, 2.2) if close else large + rng.uniform(0.2, 2) * (height - y) / (count - i + 1)
    if not scene.lines:
        return None
    read_all(scene)
    n = len(scene.lines)
    ask(scene, DESCRIBE, f"A page with {n} line{'s' * (n > 1)} of text. It begins: ", seen(scene.lines[0][0], 0))
    ask(scene, "How many lines of text are there?", str(n))
    return finish(rng, scene)


def dense(rng, size, unseen):
    """Full of lines, each in a font of its own: for the losses on glyphs, without a question."""
    scene = start(rng, "dense", size, unseen)
    width, height = size
    fill, y, base = ink(rng, scene.dark), rng.randint(-4, 4), rng.randint(12, 20)
    while y < height - 8:
        font = rng.choice(fonts.names(unseen))
        large = rng.randint(12, 16) if rng.random() < 0.5 else rng.randint(base, 2 * base) if rng.random() < 0.3 else base
        x, end = rng.randint(-6, 20), width - rng.randint(0, 30)
        while x < end:
            if rng.random() < 0.12:
                text = "".join(rng.choice(words.SIGNS) for _ in range(rng.randint(2, 8)))
            else:
                text = words.phrase(rng)
            x += scene.write(x, y, text, font, large, fill) + large * rng.uniform(0.3, 1.5)
        y += int(large * rng.uniform(1.1, 1.5))
    scene.glyphs = [g for g in scene.glyphs if 1 < g[1] < width - 1 and 2 < g[2] < height - 2]
    return finish(rng, scene)


KINDS = {f.__name__: f for f in (strip, notice, sign, form, receipt, chart, shapes, page, dense)}


def make(rng, kind, size, unseen=False):
    for _ in range(20):
        scene = KINDS[kind](rng, size, unseen)
        if scene is not None:
            return scene
    return strip(rng, size, unseen)
