"""Batches: pictures of one size, their inputs, questions and answers as ids, and what the auxiliary losses name.

Batch `i` of a stage comes from the seed (SEED, stage, i), so that a run goes on where it stopped.
"""

import random
from dataclasses import dataclass

import numpy as np

import scenes
import tokens
import uhd
from model import CELL_PARTS, PATCH_PARTS
from uhd import PATCH, QUERIES

SEED = 20261128
LONGEST = 96


MORE_SHAPES = "notice sign form receipt chart shapes shapes shapes shapes shapes"


@dataclass
class Stage:
    """Shares of kinds of pictures; trained until so many million cost units (patches and rows of the decoder)."""

    name: str
    until: float
    shares: dict
    kinds: str = "notice sign form receipt chart shapes shapes shapes"
    # How much the loss of the text teaches tower and resampler: a decoder that cannot read yet would undo what they know.
    teach: float = 0.0
    rate: float = 1.0
    # Shares whose text teaches the decoder alone: their pictures are only looked through.
    looked_through: str = ""


STAGES = [
    Stage("glyphs", 5, {"dense": 1.0}),
    Stage("strips", 20, {"dense": 0.1, "strip": 0.65, "small": 0.25}, "notice sign shapes", 0.0, 0.7),
    Stage("small", 26, {"dense": 0.15, "strip": 0.1, "small": 0.7, "slices": 0.05}, teach=0.0, rate=0.6),
    Stage("slices", 39, {"dense": 0.2, "strip": 0.03, "small": 0.52, "slices": 0.25}, teach=0.7, rate=0.5),
    Stage("pages", 131, {"dense": 0.16, "small": 0.34, "slices": 0.2, "pages": 0.3}, teach=0.3, rate=0.4),
    Stage("counts", 176.5, {"dense": 0.15, "small": 0.33, "slices": 0.17, "pages": 0.35}, MORE_SHAPES, 0.3, 0.4),
    Stage("lines", 236.8, {"dense": 0.13, "small": 0.26, "slices": 0.13, "pages": 0.48}, MORE_SHAPES, 0.3, 0.4, "pages"),
    Stage("all", 1e9, {"dense": 0.13, "small": 0.42, "slices": 0.17, "pages": 0.28}, MORE_SHAPES, 0.3, 0.4, "pages"),
]
COST = {"dense": 8000, "strip": 4500, "small": 12000, "slices": 15000, "pages": 20000}


def size_of(rng, share):
    """(width, height) of the pictures of a batch."""
    if share == "strip":
        return rng.randint(6, 15) * PATCH, rng.randint(2, 5) * PATCH
    if share == "dense":
        area, ratio = uhd.SIZE**2 * rng.uniform(0.6, 1), np.exp(rng.uniform(-0.7, 0.9))
        return int((area * ratio) ** 0.5), int((area / ratio) ** 0.5)
    if share == "small":
        area = uhd.SIZE**2 * rng.choice((rng.uniform(0.3, 1), rng.uniform(0.75, 1)))
        ratio = np.exp(rng.uniform(-0.4, 0.95))
        return int((area * ratio) ** 0.5), int((area / ratio) ** 0.5)
    if share == "slices":
        area, ratio = uhd.SIZE**2 * rng.uniform(1.05, 6), np.exp(rng.uniform(-0.7, 0.7))
        return int((area * ratio) ** 0.5), int((area / ratio) ** 0.5)
    area, ratio = uhd.SIZE**2 * rng.uniform(6, 24), np.exp(rng.uniform(-0.45, 0.35))
    return int((area * ratio) ** 0.5), int((area / ratio) ** 0.5)


def kind_of(rng, share, stage, size):
    if share in ("dense", "strip"):
        return share
    if share == "pages":
        return rng.choice(("page", "page", "page", "notice", "form", "receipt"))
    kinds = stage.kinds.split() + (["page", "page", "page"] if share == "slices" else ["notice", "page"])
    if size[0] < 170 or size[1] > 1.25 * size[0]:
        kinds = [kind for kind in kinds if kind != "chart"]
    return rng.choice(kinds)


def named(scene, made, plain):
    """Classes u8 of parts of patches and of cells: ([slices, patches, parts], [slices, cells, parts]), then those of the
    overview; None where the text of an overview is too small to name."""
    width, height = scene.size
    parts = []
    for inputs in ("slices", "overview"):
        if inputs == "slices" and made.grid is None or inputs == "overview" and made.grid is not None:
            parts.append(None)
            continue
        columns, rows = made.grid or (1, 1)
        w, h = made.slice or made.overview
        across, down = w // PATCH, h // PATCH
        patch = np.zeros((rows * columns, down * across, PATCH_PARTS), np.uint8)
        tall, wide = CELL_PARTS
        side = int(QUERIES**0.5)
        cell = np.zeros((rows * columns, QUERIES, tall * wide), np.uint8)
        sx, sy = w * columns / width, h * rows / height
        for character, x, y, _ in scene.glyphs:
            x, y = x * sx, y * sy
            i, j = int(y // h), int(x // w)
            if not (0 <= i < rows and 0 <= j < columns):
                continue
            x, y, n = x - j * w, y - i * h, ord(character) - 32
            px, py = x / PATCH, y / PATCH
            patch[i * columns + j, int(py) * across + int(px), int(px % 1 * PATCH_PARTS)] = n
            cx, cy = x / w * side, y / h * side
            cell[i * columns + j, int(cy) * side + int(cx), int(cy % 1 * tall) * wide + int(cx % 1 * wide)] = n
        parts.append((patch, cell))
    return parts


def rows_of(scene, made):
    """For every character of the scene the row of the decoder that should know it: the query in whose cell it stands; -1
    where it stands in none."""
    width, height = scene.size
    columns, rows = made.grid or (1, 1)
    side, out = int(QUERIES**0.5), []
    for _, x, y, _ in scene.glyphs:
        x, y = x / width * columns, y / height * rows
        inside = 0 <= x < columns and 0 <= y < rows
        cell = int(y % 1 * side) * side + int(x % 1 * side)
        out.append(1 + (int(y) * columns + int(x)) * (QUERIES + 1) + cell if inside else -1)
    return out


def questions(scene, made, tokenizer, rng):
    """(ids of a question, ids of its answer, rows that know the first character of each token of it, and the last): the
    rows are -1 where it is not read off the picture."""
    chosen = None
    for _ in range(10):
        question, answer = rng.choice(scene.asks)
        if rng.random() < (0.4 if scene.kind == "shapes" else 0.6):
            question, answer = scene.asks[0]
        end = tokenizer.token_to_id
        before = tokenizer.encode(question).ids + [end(tokens.ANSWER)]
        encoded = tokenizer.encode(answer)
        after = encoded.ids + [end(tokens.END)]
        first, last = [-1] * len(after), [-1] * len(after)
        row_of, spots = rows_of(scene, made), scene.spots[question, answer]
        for t, (a, b) in enumerate(encoded.offsets):
            rows = [row_of[spots[i]] for i in range(a, b) if i in spots]
            if rows:
                first[t], last[t] = rows[0], rows[-1]
        chosen = (before, after[:LONGEST], first[:LONGEST], last[:LONGEST])
        if len(after) <= LONGEST:
            break
    return chosen


class Source:
    """Makes batches of a stage."""

    def __init__(self, path, unseen=False, seed=SEED):
        self.tokenizer, self.unseen, self.seed = tokens.load(path), unseen, seed
        # Behind these a line or a shape begins.
        marks = [self.tokenizer.encode(mark).ids[0] for mark in (",", "\n")]
        self.marks = np.array([*marks, self.tokenizer.token_to_id(tokens.ANSWER)])

    def batch(self, stage_index, i, count=None, share=None, kind=None):
        stage = STAGES[stage_index]
        rng = random.Random(f"{self.seed} {stage_index} {i}")
        if share is None:
            share = rng.choices(list(stage.shares), list(stage.shares.values()))[0]
        size = size_of(rng, share)
        made = uhd.Plan(None, None, size) if share == "strip" else uhd.plan(*size)
        each = made.patches + (0 if share == "dense" else made.rows + 24)
        cost = COST[share] * (2 if share in stage.looked_through.split() else 1)
        count = count or max(2, min(96, round(cost / each)))
        slices, overviews, labels, asked, made_scenes = [], [], [], [], []
        for _ in range(count):
            scene = scenes.make(rng, kind or kind_of(rng, share, stage, size), size, self.unseen)
            cut, overview = uhd.cut(scene.picture, made)
            slices.append(cut)
            overviews.append(overview)
            labels.append(named(scene, made, share))
            asked.append(([], [], [], []) if share == "dense" else questions(scene, made, self.tokenizer, rng))
            scene.picture = scene.draw = None
            made_scenes.append(scene)
        longest = max(len(a) + len(b) for a, b, _, _ in asked)
        ids, target = np.zeros((count, longest), np.int64), np.full((count, longest), -100, np.int64)
        here, following = target.copy(), target.copy()
        for row, (before, after, first, last) in enumerate(asked):
            whole = before + after
            ids[row, : len(whole)] = whole
            target[row, len(before) - 1 : len(whole) - 1] = after
            following[row, len(before) - 1 : len(whole) - 1] = first
            here[row, len(before) : len(whole)] = last
        found = 1 if made.grid is None else 0
        return {
            "share": share, "grid": made.grid, "cost": count * each, "patches": count * made.patches,
            "slices": np.stack(slices) if made.grid else None, "overview": np.stack(overviews),
            "patch": np.concatenate([label[found][0] for label in labels]),
            "cell": np.concatenate([label[found][1] for label in labels]),
            "marks": self.marks, "ids": ids, "target": target, "here": here, "next": following, "asked": asked, "scenes": made_scenes,
        }  # fmt: skip
