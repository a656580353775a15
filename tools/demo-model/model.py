"""The demo model: a tower over slices, a resampler, a LLaMA decoder. Names of tensors are those of the checkpoint.

All pictures of a batch have one size, so slices and overviews are two dense batches and nothing is masked.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

from uhd import PATCH


@dataclass
class Shape:
    width: int = 320
    head: int = 64
    tower_layers: int = 4
    tower_mlp: int = 768
    side: int = 8
    reader_heads: int = 10
    layers: int = 4
    mlp: int = 896
    vocab: int = 768
    theta: float = 10000.0
    # The decoder turns so much of a head, and looks for places with the rest, however far they are.
    rotary: int = 32
    text_theta: float = 100.0
    # Sines and cosines of a query's place on the whole picture.
    place: int = 80

    def as_dict(self):
        return asdict(self)


# What the auxiliary losses name: parts of a patch, and parts of a query's cell (rows, columns); nothing, one of 95 characters
# or one of 32 coloured shapes.
PATCH_PARTS, CELL_PARTS, GLYPHS = 3, (3, 6), 128
# Layers of the decoder whose first head is taught where to look: at what was read last, at what comes next.
GUIDED = (1, 2)


def linear(n, k, bias=False):
    layer = nn.Linear(k, n, bias=bias)
    nn.init.normal_(layer.weight, std=k**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Norm(nn.Module):
    """RMS norm in f32."""

    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight, self.eps).to(x.dtype)


def turn(x, cos, sin):
    """Rotary turn of the first channels of a head, in pairs half of them apart; `cos` and `sin` [rows, pairs]."""
    turned = 2 * cos.shape[-1]
    a, b = x[..., :turned].chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin, x[..., turned:]), -1)


def axial(rows, cols, head, theta):
    """Pixtral's positions: even frequencies turn with the row, odd ones with the column."""
    frequencies = 1.0 / theta ** (torch.arange(0, head, 2).float() / head)
    down = torch.outer(torch.arange(rows).float(), frequencies[0::2])
    across = torch.outer(torch.arange(cols).float(), frequencies[1::2])
    angles = torch.cat((down[:, None].expand(-1, cols, -1), across[None].expand(rows, -1, -1)), -1)
    angles = angles.reshape(rows * cols, head // 2)
    return angles.cos(), angles.sin()


class Attention(nn.Module):
    def __init__(self, width, head):
        super().__init__()
        self.heads, self.head = width // head, head
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, linear(width, width))
        nn.init.zeros_(self.o_proj.weight)

    def forward(self, x, cos, sin, causal=False, cache=None, watch=None):
        """`watch`, of the training only: a row, and a list that gets the scores of the first head from that row on,
        [batch, rows, all rows]."""
        b, n, width = x.shape
        split = lambda y: y.view(b, n, self.heads, self.head).transpose(1, 2)
        q, k, v = (split(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        cos, sin = cos.to(q.dtype), sin.to(q.dtype)
        q, k = turn(q, cos, sin), turn(k, cos, sin)
        if cache is not None:
            if cache:
                k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
            cache[:] = [k, v]
            causal = causal and n > 1
        if watch is not None:
            first, seen = watch
            scores = (q[:, 0, first:] * self.head**-0.5 @ k[:, 0].mT).float()
            later = torch.arange(n) > torch.arange(first, n)[:, None]
            seen.append(scores.masked_fill(later, -1e9))
        if causal or not self.training:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        else:  # Faster on the CPU, forward and backward, than the fused kernel.
            y = (q * self.head**-0.5 @ k.mT).softmax(-1) @ v
        return self.o_proj(y.transpose(1, 2).reshape(b, n, width))


class Mlp(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.gate_proj, self.up_proj = linear(inner, width), linear(inner, width)
        self.down_proj = linear(width, inner)
        nn.init.zeros_(self.down_proj.weight)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class TowerLayer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.attention_norm, self.attention = Norm(s.width), Attention(s.width, s.head)
        self.ffn_norm, self.feed_forward = Norm(s.width), Mlp(s.width, s.tower_mlp)

    def forward(self, x, cos, sin):
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.feed_forward(self.ffn_norm(x))


class Tower(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.shape = s
        self.patch_conv = linear(s.width, 3 * PATCH**2)
        self.ln_pre = Norm(s.width)
        self.transformer = nn.ModuleDict({"layers": nn.ModuleList(TowerLayer(s) for _ in range(s.tower_layers))})

    def forward(self, pixels):
        """u8 [inputs, height, width, 3] -> features [inputs, patches, width] and the grid (rows, columns)."""
        n, height, width, _ = pixels.shape
        rows, cols = height // PATCH, width // PATCH
        x = (pixels.float() / 255 - 0.5) / 0.5
        x = x.view(n, rows, PATCH, cols, PATCH, 3).permute(0, 1, 3, 5, 2, 4).reshape(n, rows * cols, -1)
        x = self.ln_pre(self.patch_conv(x))
        cos, sin = axial(rows, cols, self.shape.head, self.shape.theta)
        for layer in self.transformer["layers"]:
            x = layer(x, cos, sin)
        return x, (rows, cols)


class Reader(nn.Module):
    """The resampler: `proj(ln_post(q + out(attention(q, x' + positions, x'))))`, `q = ln_q(query) + pos_embed`,
    `x' = ln_kv(x)`; the positions of keys are those of the queries, interpolated to the grid of patches.

    It starts as a gather: the first channels hold places only, and each head looks at its own part of the cell.
    """

    def __init__(self, s):
        super().__init__()
        self.side, self.heads, width = s.side, s.reader_heads, s.width
        self.query = nn.Parameter(torch.randn(s.side**2, width) * 0.02)
        self.ln_q, self.ln_kv, self.ln_post = (nn.LayerNorm(width, 1e-6) for _ in range(3))
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, linear(width, width, True))
        self.proj = linear(width, width)
        self.place_channels(width)

    def place_channels(self, width):
        head = width // self.heads
        pairs = head // 4
        omega = torch.linspace(0.3, 2.2, pairs)
        place = torch.arange(self.side).float()
        angle = torch.outer(place, omega)
        half = torch.cat((angle.sin(), angle.cos()), 1)
        table = torch.zeros(self.side, self.side, width)
        table[..., : 2 * pairs] = half[:, None]
        table[..., 2 * pairs : 4 * pairs] = half[None]
        table[..., head:] = torch.randn(self.side, self.side, width - head) * 0.1
        self.pos_embed = nn.Parameter(table.view(self.side**2, width))
        spots = [(dy, dx) for dy in (-0.33, 0.0, 0.33) for dx in (-0.33, 0.0, 0.33)]
        with torch.no_grad():
            for norm in (self.ln_q, self.ln_kv):
                norm.weight[:head] = 0
            self.q_proj.weight.mul_(0.05)
            self.k_proj.weight.mul_(0.05)
            for h in range(self.heads):
                dy, dx = spots[h % len(spots)]
                block = torch.zeros(head, head)
                for axis, delta in enumerate((dy, dx)):
                    at = 2 * pairs * axis
                    cos, sin = torch.diag((omega * delta).cos()), torch.diag((omega * delta).sin())
                    block[at : at + pairs, at : at + 2 * pairs] = torch.cat((cos, sin), 1)
                    block[at + pairs : at + 2 * pairs, at : at + 2 * pairs] = torch.cat((-sin, cos), 1)
                rows = slice(h * head, (h + 1) * head)
                gain = 5.0 if h < len(spots) else 2.0
                self.q_proj.weight[rows, :head] = gain * block
                self.k_proj.weight[rows, :head] = gain * torch.eye(head)

    def places(self, grid):
        table = self.pos_embed.float().view(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        wide = F.interpolate(table, grid, mode="bicubic", align_corners=False)
        return wide[0].permute(1, 2, 0).reshape(grid[0] * grid[1], -1)

    def forward(self, x, grid):
        b, n, width = x.shape
        value = self.ln_kv(x.float())
        query = self.ln_q(self.query) + self.pos_embed
        q, k, v = self.q_proj(query), self.k_proj(value + self.places(grid)), self.v_proj(value)
        split = lambda y, rows: y.view(-1, rows, self.heads, width // self.heads).transpose(1, 2)
        q = split(q, len(query)).expand(b, -1, -1, -1)
        y = F.scaled_dot_product_attention(q, split(k, n), split(v, n))
        y = self.out_proj(y.transpose(1, 2).reshape(b, len(query), width)).float()
        return self.proj(self.ln_post(y + query))


class DecoderLayer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.input_layernorm, self.self_attn = Norm(s.width), Attention(s.width, s.head)
        self.post_attention_layernorm, self.mlp = Norm(s.width), Mlp(s.width, s.mlp)

    def forward(self, x, cos, sin, cache=None, watch=None):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, True, cache, watch)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.shape = s
        self.embed_tokens = nn.Embedding(s.vocab, s.width)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        self.layers = nn.ModuleList(DecoderLayer(s) for _ in range(s.layers))
        self.norm = Norm(s.width)

    def forward(self, x, first=0, caches=None, watch=None):
        """`watch`: {layer: (row, list)}, see `Attention`."""
        places = torch.arange(first, first + x.shape[1]).float()
        rotary = self.shape.rotary
        frequencies = 1.0 / self.shape.text_theta ** (torch.arange(0, rotary, 2).float() / rotary)
        angles = torch.outer(places, frequencies)
        cos, sin = angles.cos(), angles.sin()
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, None if caches is None else caches[i], (watch or {}).get(i))
        return self.norm(x)

    def logits(self, x):
        return F.linear(x, self.embed_tokens.weight.to(x.dtype))


def place_codes(grid, side, width):
    """f32 [rows, columns, side * side, width] for a grid (columns, rows) of slices with side x side queries each: sines and
    cosines of the row, then of the column, on the whole picture, of frequencies from 2 to 0.02 a query."""
    columns, rows = grid
    frequencies = 2.0 * 0.01 ** (torch.arange(width // 4).double() / (width // 4 - 1))

    def code(slices):
        angles = torch.outer(torch.arange(slices * side).double(), frequencies)
        return torch.cat((angles.sin(), angles.cos()), -1).view(slices, side, width // 2)

    down = code(rows)[:, None, :, None].expand(-1, columns, -1, side, -1)
    across = code(columns)[None, :, None].expand(rows, -1, side, -1, -1)
    return torch.cat((down, across), -1).reshape(rows, columns, side**2, width).float()


class Model(nn.Module):
    def __init__(self, s, comma, line, start):
        """`comma`, `line` and `start`: ids of the separators behind a slice and of the first token."""
        super().__init__()
        self.shape, self.marks = s, (comma, line, start)
        self.vision_tower, self.resampler = Tower(s), Reader(s)
        self.language_model = Decoder(s)
        self.place_proj = linear(s.width, s.place)
        nn.init.zeros_(self.place_proj.weight)
        # Of the training only.
        self.patch_head = linear(PATCH_PARTS * GLYPHS, s.width)
        self.cell_head = linear(CELL_PARTS[0] * CELL_PARTS[1] * GLYPHS, s.width)

    def encode(self, slices, overview):
        """u8 [pictures, slices, h, w, 3] or None, [pictures, h, w, 3] -> lists of (patch features, query features)."""
        out = []
        for pixels in (slices, overview):
            if pixels is None:
                continue
            flat = pixels.reshape(-1, *pixels.shape[-3:])
            features, grid = self.vision_tower(flat)
            out.append((features, self.resampler(features, grid)))
        return out

    def placed(self, encoded, grid, pictures):
        """Query features of slices [pictures, rows, columns, queries, width] or None, and of the overview [pictures, queries,
        width]. Those of what is seen at native resolution know their place on the picture."""
        width = self.shape.width
        overview = encoded[-1][1].float().view(pictures, -1, width)
        places = self.place_proj(place_codes(grid or (1, 1), self.shape.side, self.shape.place)).float()
        if grid is None:
            return None, overview + places[0, 0]
        return encoded[0][1].float().view(pictures, grid[1], grid[0], -1, width) + places, overview

    def rows(self, encoded, grid, pictures):
        """[pictures, rows, width]: the start token, slices with their separators, the overview."""
        comma, line, start = self.marks
        embed = self.language_model.embed_tokens.weight
        width = embed.shape[1]
        slices, overview = self.placed(encoded, grid, pictures)
        parts = [embed[start].expand(pictures, 1, width)]
        if grid is not None:
            ends = embed[torch.tensor([comma] * (grid[0] - 1) + [line])]
            ends = ends.view(1, 1, grid[0], 1, width).expand(pictures, grid[1], -1, -1, -1)
            parts.append(torch.cat((slices, ends), 3).reshape(pictures, -1, width))
        return torch.cat(parts + [overview], 1)

    def forward(self, encoded, grid, ids):
        """Hidden states [pictures, len(ids), width] of the text behind the picture; and for every layer of `GUIDED` the
        scores of its first head [pictures, len(ids), all rows]."""
        rows = self.rows(encoded, grid, len(ids))
        x = torch.cat((rows, self.language_model.embed_tokens(ids).float()), 1)
        seen = {layer: [] for layer in GUIDED}
        hidden = self.language_model(x, watch={layer: (rows.shape[1], got) for layer, got in seen.items()})
        return hidden[:, rows.shape[1] :], [got[0] for got in seen.values()]
