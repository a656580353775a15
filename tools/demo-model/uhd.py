"""The geometry of the engine's `uhd` tiling (src/image/tiles/uhd.rs), operation by operation in f64.

`plan(width, height)` gives the grid, the size of a slice and of the overview; `cut` makes the tower's inputs of a
picture the way the engine does: PIL's bicubic filter on bytes, then (x / 255 - 0.5) / 0.5.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIZE, MOST, PATCH, QUERIES = 252, 24, 14, 64


@dataclass(frozen=True)
class Plan:
    """`grid` is (columns, rows) or None, sizes are (width, height)."""

    grid: tuple | None
    slice: tuple | None
    overview: tuple

    @property
    def resized(self):
        return self.slice[0] * self.grid[0], self.slice[1] * self.grid[1]

    @property
    def slices(self):
        return self.grid[0] * self.grid[1] if self.grid else 0

    @property
    def patches(self):
        area = lambda size: size[0] * size[1] // PATCH**2
        return self.slices * (area(self.slice) if self.grid else 0) + area(self.overview)

    @property
    def rows(self):
        """Rows of the decoder: queries, and a separator behind each slice."""
        return self.slices * (QUERIES + 1) + QUERIES


def fit(width, height, enlarge, side=SIZE, step=PATCH):
    if width * height > side * side or enlarge:
        ratio = width / height
        height = int(side / math.sqrt(ratio))
        width = int(height * ratio)
    multiple = lambda length: max(int(length / step) * step, step)
    return multiple(width), multiple(height)


def grid_of(width, height, most=MOST, side=SIZE):
    log_ratio = math.log(width / height)
    ideal = min(math.ceil(width * height / (side * side)), most)
    if ideal <= 1:
        return None
    best, least = (1, 1), math.inf
    for count in (ideal - 1, ideal, ideal + 1):
        if count == 1 or count > most:
            continue
        for columns in range(1, count + 1):
            if count % columns == 0:
                error = abs(log_ratio - math.log(columns / (count // columns)))
                if error < least:
                    best, least = (columns, count // columns), error
    return best


def plan(width, height, most=MOST, side=SIZE):
    grid = grid_of(width, height, most, side)
    overview = fit(width, height, grid is None, side)
    if grid is None:
        return Plan(None, None, overview)
    share = lambda length, parts: max(int(length / parts) * parts, parts) / parts
    return Plan(grid, fit(share(width, grid[0]), share(height, grid[1]), True, side), overview)


def resize(picture, size):
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC)


def cut(picture, made):
    """(slices u8 [n, height, width, 3] or None, overview u8 [height, width, 3])."""
    overview = np.asarray(resize(picture, made.overview))
    if made.grid is None:
        return None, overview
    (columns, rows), (width, height) = made.grid, made.slice
    whole = np.asarray(resize(picture, made.resized))
    whole = whole.reshape(rows, height, columns, width, 3).transpose(0, 2, 1, 3, 4)
    return whole.reshape(rows * columns, height, width, 3), overview
