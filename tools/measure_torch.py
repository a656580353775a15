"""PyTorch on the card that omma was measured on: the same shapes, the same models. Run by measure-gpu.sh.

    python3 tools/measure_torch.py OUT      # reads OUT/raw/kernels.txt for the shapes, writes OUT/raw/torch.json

Operators are PyTorch's own (cuBLAS, scaled_dot_product_attention, ...), models are written in plain torch and run eagerly
without autograd. f32 is f32: TF32 is off, and has rows of its own. After every row the file is written again.
"""

import json
import pathlib
import re
import sys
import time

import torch
import torch.nn.functional as F

RUNS = 5
SAMPLE_S = 0.05
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def synchronize():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def median_ms(work):
    """Median milliseconds of a run, by samples that take SAMPLE_S, after runs that are not counted."""

    def sample(repeats):
        synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        synchronize()
        return (time.perf_counter() - start) / repeats

    sample(2)
    repeats = max(1, min(1000, int(SAMPLE_S / max(sample(1), 1e-6))))
    return sorted(sample(repeats) for _ in range(RUNS))[RUNS // 2] * 1e3


def draw(*shape, dtype):
    return torch.rand(*shape, device=DEVICE, dtype=torch.float32).mul_(2).sub_(1).to(dtype)


def operator(name, dtype):
    """What a row of `omma bench kernels` of this name computes, and its flops."""
    kind, sizes = name.split()[:2]
    n = [int(size) for size in sizes.split("x")]
    if kind == "matmul":
        x, w = draw(n[0], n[1], dtype=dtype), draw(n[2], n[1], dtype=dtype)
        return lambda: F.linear(x, w), 2 * n[0] * n[1] * n[2]
    if kind == "attention":
        q, k, v = (draw(1, n[0], n[1], n[2], dtype=dtype) for _ in range(3))
        return lambda: F.scaled_dot_product_attention(q, k, v), 4 * n[0] * n[1] * n[1] * n[2]
    x = draw(*n, dtype=dtype)
    if kind == "layer_norm":
        gain, bias = draw(n[1], dtype=dtype), draw(n[1], dtype=dtype)
        return lambda: F.layer_norm(x, (n[1],), gain, bias), 0
    if kind == "softmax":
        return lambda: torch.softmax(x, -1), 0
    if kind == "gelu":
        return lambda: F.gelu(x), 0
    return None, 0


class Block(torch.nn.Module):
    def __init__(self, width, inner, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = torch.nn.LayerNorm(width, eps=1e-12), torch.nn.LayerNorm(width, eps=1e-12)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, inner), torch.nn.Linear(inner, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.out(mixed)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Vit(torch.nn.Module):
    """ViT-B/16 at 224 (Dosovitskiy et al. 2021)."""

    def __init__(self, width=768, layers=12, heads=12, classes=1000):
        super().__init__()
        self.patches = torch.nn.Conv2d(3, width, 16, 16)
        self.token = torch.nn.Parameter(torch.zeros(1, 1, width))
        self.positions = torch.nn.Parameter(torch.zeros(1, 197, width))
        self.blocks = torch.nn.Sequential(*(Block(width, 4 * width, heads) for _ in range(layers)))
        self.norm, self.head = torch.nn.LayerNorm(width, eps=1e-12), torch.nn.Linear(width, classes)

    def forward(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class LlamaBlock(torch.nn.Module):
    def __init__(self, width, inner, heads, kv_heads, eps):
        super().__init__()
        self.heads, self.kv_heads, self.size, self.eps = heads, kv_heads, width // heads, eps
        linear = lambda a, b: torch.nn.Linear(a, b, bias=False)
        self.gain1, self.gain2 = torch.nn.Parameter(torch.ones(width)), torch.nn.Parameter(torch.ones(width))
        self.qkv, self.out = linear(width, (heads + 2 * kv_heads) * self.size), linear(width, width)
        self.gate_up, self.down = linear(width, 2 * inner), linear(inner, width)

    def forward(self, x, cos, sin, cache, at):
        tokens = x.shape[0]
        qkv = self.qkv(F.rms_norm(x, x.shape[-1:], self.gain1, self.eps)).view(tokens, -1, self.size).transpose(0, 1)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads])
        turn = lambda t: t * cos + torch.cat([-t[..., self.size // 2:], t[..., : self.size // 2]], -1) * sin
        cache[0][:, at: at + tokens], cache[1][:, at: at + tokens] = turn(k), v
        k, v = cache[0][None, :, : at + tokens], cache[1][None, :, : at + tokens]
        mixed = F.scaled_dot_product_attention(turn(q)[None], k, v, is_causal=tokens > 1, enable_gqa=True)
        x = x + self.out(mixed[0].transpose(0, 1).reshape(tokens, -1))
        gate, up = self.gate_up(F.rms_norm(x, x.shape[-1:], self.gain2, self.eps)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Llama(torch.nn.Module):
    """A LLaMA decoder of the sizes of a config.json, with a cache."""

    def __init__(self, config):
        super().__init__()
        width, heads, kv_heads = (config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads"))
        inner, self.eps, self.size = config["intermediate_size"], config["rms_norm_eps"], width // heads
        self.kv_heads, layers = kv_heads, config["num_hidden_layers"]
        self.embed = torch.nn.Embedding(config["vocab_size"], width)
        self.blocks = torch.nn.ModuleList(LlamaBlock(width, inner, heads, kv_heads, self.eps) for _ in range(layers))
        self.gain = torch.nn.Parameter(torch.ones(width))
        self.head = torch.nn.Linear(width, config["vocab_size"], bias=False)

    def caches(self, context):
        weight = self.head.weight
        return [weight.new_zeros(2, self.kv_heads, context, self.size) for _ in self.blocks]

    def forward(self, ids, caches, at):
        where = torch.arange(at, at + len(ids), device=ids.device)[:, None]
        angles = where * 10000.0 ** (-torch.arange(0, self.size, 2, device=ids.device) / self.size)
        x = self.embed(ids)
        cos, sin = (torch.cat([f(angles)] * 2, -1).to(x.dtype) for f in (torch.cos, torch.sin))
        for block, cache in zip(self.blocks, caches):
            x = block(x, cos, sin, cache, at)
        return self.head(F.rms_norm(x[-1:], x.shape[-1:], self.gain, self.eps)).argmax(-1)


class Rows:
    def __init__(self, out):
        self.path = pathlib.Path(out) / "raw" / "torch.json"
        self.card = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
        self.rows = []

    def add(self, name, dtype, work, flops=0):
        try:
            ms = median_ms(work)
        # An older PyTorch may not know an operator; the row says so, and the next is measured.
        except (RuntimeError, TypeError, AttributeError) as error:
            self.rows.append({"name": name, "dtype": dtype, "error": str(error).splitlines()[0]})
        else:
            self.rows.append({"name": name, "dtype": dtype, "ms": ms, "gflops": flops / ms / 1e6})
        found = {"format": 1, "torch": torch.__version__, "device": self.card, "rows": self.rows}
        self.path.write_text(json.dumps(found, indent=1) + "\n")


def names(out):
    """The rows that omma timed, without those that differ in the type of weights only."""
    text = (pathlib.Path(out) / "raw" / "kernels.txt").read_text() if (pathlib.Path(out) / "raw" / "kernels.txt").exists() else ""
    rows = json.loads(text)["rows"] if text.strip() else []
    return list(dict.fromkeys(row["name"] for row in rows if not re.search(r" b?f16$", row["name"])))


def operators(rows, out):
    for name in names(out):
        for label, dtype in TYPES.items():
            work, flops = operator(name, dtype)
            if work is None:
                break
            rows.add(name, label, work, flops)
            if label == "f32" and DEVICE == "cuda" and flops:
                torch.backends.cuda.matmul.allow_tf32 = True
                rows.add(name, "tf32", work, flops)
                torch.backends.cuda.matmul.allow_tf32 = False


def models(rows, out):
    # On a CPU the half types say nothing about the card.
    types = TYPES if DEVICE == "cuda" else {"f32": torch.float32}
    for label, dtype in types.items():
        model = Vit().to(DEVICE, dtype).eval()
        pixels = draw(1, 3, 224, 224, dtype=dtype)
        rows.add("ViT-B/16 encode", label, lambda: model(pixels))
    config = json.loads((pathlib.Path(out) / "raw" / "llama" / "config.json").read_text())
    for label, dtype in types.items():
        if DEVICE == "cpu":
            config |= {"num_hidden_layers": 2}
        model = Llama(config).to(DEVICE, dtype).eval()
        caches = model.caches(1024)
        prompt = torch.arange(512, device=DEVICE) * 7919 % config["vocab_size"]
        layers = "" if DEVICE == "cuda" else ", 2 layers"
        rows.add(f"llama prefill{layers}", label, lambda: model(prompt, caches, 0))
        rows.add(f"llama decode{layers}", label, lambda: model(prompt[:1], caches, 512))


def main():
    out = sys.argv[1]
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    rows = Rows(out)
    with torch.inference_mode():
        operators(rows, out)
        models(rows, out)


if __name__ == "__main__":
    main()
