"""Trains the connector between CLIP ViT-B/16 and SmolLM2-135M-Instruct on captioned stamps; both stay as they are.

    python train.py ONNX GGUF STAMPS OUT.safetensors [--minutes 20]

ONNX and GGUF are those of `cargo xtask real`; STAMPS is the unpacked package tuxpaint-stamps-default of Debian. Features of
the pictures are kept beside OUT. Needs PyTorch, NumPy, Pillow, safetensors, gguf and regex.
"""

import argparse
import json
import math
import random
import re
import sys
import time
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[2] / "xtask" / "real"))
import make_gguf as clip
from make_smollm2 import CHAT, Tokenizer

QUESTION = "What is in the picture?"
GRID, VARIANTS, BATCH = clip.SIDE // clip.PATCH, 2, 12


class Tower:
    """All layers but the last, in f32, with the weights that the engine has: integers times scales in f16."""

    def __init__(self, path):
        self.w = {}
        for name, shape, kind, content in clip.tower(path):
            if kind == clip.Q8_0:
                blocks = np.frombuffer(content, np.uint8).reshape(-1, 34)
                scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
                value = scale * blocks[:, 2:].copy().view(np.int8)
            else:
                value = np.frombuffer(content, np.float32)
            self.w[name] = torch.from_numpy(value.reshape(shape).copy())

    def norm(self, x, name):
        return F.layer_norm(x, (clip.WIDTH,), self.w[f"{name}.weight"], self.w[f"{name}.bias"], 1e-5)

    def linear(self, x, name):
        return F.linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    @torch.no_grad()
    def __call__(self, pixels):
        x = F.conv2d(pixels, self.w["v.patch_embd.weight"], stride=clip.PATCH).flatten(2).mT
        x = torch.cat((self.w["v.class_embd"].expand(len(x), 1, -1), x), 1) + self.w["v.position_embd.weight"]
        x = self.norm(x, "v.pre_ln")
        heads = lambda y: y.view(len(y), -1, clip.HEADS, clip.WIDTH // clip.HEADS).transpose(1, 2)
        for i in range(clip.LAYERS):
            front = f"v.blk.{i}."
            y = self.norm(x, front + "ln1")
            q, k, v = (heads(self.linear(y, front + part)) for part in ("attn_q", "attn_k", "attn_v"))
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
            x = x + self.linear(y, front + "attn_out")
            y = self.linear(self.norm(x, front + "ln2"), front + "ffn_up")
            x = x + self.linear(y * torch.sigmoid(1.702 * y), front + "ffn_down")
        return x[:, 1:]


class Decoder:
    """SmolLM2 as its GGUF file has it (rotary pairs are neighbours there), without gradients of its own."""

    def __init__(self, path, dtype=torch.bfloat16):
        self.dtype = dtype
        reader = gguf.GGUFReader(path)
        self.tokenizer = Tokenizer(reader)
        field = lambda key: reader.fields[f"llama.{key}"].contents()
        self.layers, self.heads = field("block_count"), field("attention.head_count")
        self.kv, self.eps, self.theta = field("attention.head_count_kv"), field("attention.layer_norm_rms_epsilon"), 1e5
        self.w = {}
        for t in reader.tensors:
            value = gguf.quants.dequantize(t.data, t.tensor_type).reshape(*reversed(t.shape.tolist())).copy()
            value = torch.from_numpy(value).float()
            self.w[t.name] = value if t.name == "token_embd.weight" or value.ndim == 1 else value.to(dtype)
        self.embed = self.w["token_embd.weight"]
        self.head = self.embed.to(dtype)

    def norm(self, x, name):
        return F.rms_norm(x.float(), (x.shape[-1],), self.w[f"{name}.weight"], self.eps).to(self.dtype)

    def turn(self, x, first):
        n, half = x.shape[2], x.shape[3] // 2
        frequencies = self.theta ** (-torch.arange(half).float() / half)
        angles = torch.outer(torch.arange(first, first + n).float(), frequencies)
        cos, sin = angles.cos().to(self.dtype), angles.sin().to(self.dtype)
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(3)

    def __call__(self, x, caches=None):
        """Hidden states of rows [batch, rows, width] behind what the caches hold, a list (k, v) for each layer."""
        b, n, _ = x.shape
        caches = caches or [None] * self.layers
        first = 0 if caches[0] is None else caches[0][0].shape[2]
        mask = torch.arange(first + n) <= torch.arange(first, first + n)[:, None]
        kept = []
        for i in range(self.layers):
            front = f"blk.{i}."
            y = self.norm(x, front + "attn_norm")
            split = lambda part, heads: F.linear(y, self.w[f"{front}{part}.weight"]).view(b, n, heads, -1).transpose(1, 2)
            q, k, v = self.turn(split("attn_q", self.heads), first), split("attn_k", self.kv), split("attn_v", self.kv)
            k = self.turn(k, first)
            if caches[i] is not None:
                k, v = (torch.cat((old.expand(b, -1, -1, -1), new), 2) for old, new in zip(caches[i], (k, v)))
            kept.append((k, v))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
            x = x + F.linear(y.transpose(1, 2).reshape(b, n, -1), self.w[front + "attn_output.weight"])
            y = self.norm(x, front + "ffn_norm")
            y = F.silu(F.linear(y, self.w[front + "ffn_gate.weight"])) * F.linear(y, self.w[front + "ffn_up.weight"])
            x = x + F.linear(y, self.w[front + "ffn_down.weight"])
        return self.norm(x, "output_norm"), kept

    def logits(self, x):
        return F.linear(x, self.head).float()


class Connector(torch.nn.Module):
    def __init__(self, decoder):
        super().__init__()
        width = decoder.embed.shape[1]
        self.a, self.b = torch.nn.Linear(clip.WIDTH, 2 * width), torch.nn.Linear(2 * width, width)
        with torch.no_grad():  # Begins near the middle of the embeddings, and as wide as they are.
            self.b.bias.copy_(decoder.embed.mean(0))
            self.b.weight.mul_(decoder.embed.std())

    def forward(self, x):
        x = F.dropout(x, 0.3, self.training)  # There are few pictures to learn from.
        return self.b(F.dropout(F.gelu(self.a(x)), 0.2, self.training))

    def tensors(self):
        named = {"mm.0.weight": self.a.weight, "mm.0.bias": self.a.bias, "mm.2.weight": self.b.weight, "mm.2.bias": self.b.bias}
        return {n: (t.half() if t.ndim == 2 else t.float()).detach().contiguous() for n, t in named.items()}


def stamps(folder):
    """[(file, caption)] of pictures with a short caption."""
    found = []
    for path in sorted(Path(folder).rglob("*.png")):
        text = path.with_suffix(".txt")
        if "symbols" in path.parts or not text.exists():  # Letters, digits, signs of money.
            continue
        caption = text.read_text(encoding="utf-8", errors="replace").split("\n")[0].strip()
        caption = re.sub(r"\s*\(.*?\)", "", caption).rstrip(".!").strip()
        if 2 <= len(caption) <= 48 and caption.isascii():
            found.append((path, caption[0].upper() + caption[1:] + "."))
    return found


def prepared(picture):
    """A picture as the engine hands it to the tower: padded to a square, 224 x 224, normalised."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), tuple(int(m * 255) for m in clip.MEAN))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    pixels = np.asarray(square.resize((clip.SIDE, clip.SIDE), Image.Resampling.BICUBIC), np.float32) / 255
    return torch.from_numpy((pixels - clip.MEAN) / clip.STD).permute(2, 0, 1).float()


def variant(rng, path, plain):
    """A stamp on paper, or turned round, moved and on a ground of a colour."""
    stamp = Image.open(path).convert("RGBA")
    stamp.thumbnail((400, 400))
    if plain:
        ground = Image.new("RGBA", stamp.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, stamp).convert("RGB")
    if rng.random() < 0.5:
        stamp = ImageOps.mirror(stamp)
    size = [int(s * rng.uniform(1.05, 1.6)) + 1 for s in stamp.size]
    ground = Image.new("RGBA", size, tuple(rng.randint(60, 255) for _ in range(3)) + (255,))
    ground.alpha_composite(stamp, tuple(rng.randint(0, g - s) for g, s in zip(size, stamp.size)))
    return ground.convert("RGB")


def features(tower, pictures, cache):
    if cache.exists():
        return torch.load(cache, weights_only=True)
    rng, rows = random.Random(5), []
    for i, (path, _) in enumerate(pictures):
        batch = torch.stack([prepared(variant(rng, path, v == 0)) for v in range(VARIANTS)])
        with torch.autocast("cpu", torch.bfloat16):
            rows.append(tower(batch).half())
        if i % 50 == 0:
            print("features", i, "of", len(pictures), flush=True)
    rows = torch.stack(rows)
    torch.save(rows, cache)
    return rows


def pooled(x):
    """Means of two by two patches: a quarter of the rows, for the first part of the training."""
    x = x.view(-1, GRID // 2, 2, GRID // 2, 2, clip.WIDTH)
    return x.mean((2, 4)).flatten(1, 2)


class Trainer:
    def __init__(self, decoder):
        self.decoder, encode = decoder, decoder.tokenizer.encode
        before, after = CHAT.format("<image>\n" + QUESTION).split("<image>")
        self.after, self.end = encode(after), encode("<|im_end|>")
        with torch.no_grad():
            start = decoder.embed[torch.tensor([encode(before)])].to(decoder.dtype)
            self.caches = decoder(start)[1]

    def loss(self, rows, captions):
        """Mean loss of the captions' tokens behind these rows of pictures."""
        texts = [self.decoder.tokenizer.encode(caption) + self.end for caption in captions]
        longest = max(map(len, texts))
        ids = torch.tensor([self.after + text + self.end * (longest - len(text)) for text in texts])
        x = torch.cat((rows, self.decoder.embed[ids]), 1).to(self.decoder.dtype)
        hidden, _ = self.decoder(x, self.caches)
        logits = self.decoder.logits(hidden[:, -longest - 1 : -1])
        wanted = ids[:, -longest:].clone()
        for row, text in enumerate(texts):
            wanted[row, len(text) :] = -100
        return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100)

    @torch.no_grad()
    def caption(self, rows, most=16, lead=0.0):
        """Greedy ids, cut before one that leads the second best by less than `lead`, and their text."""
        after = self.decoder.embed[torch.tensor([self.after])]
        x, caches, ids = torch.cat((rows[None], after), 1).to(self.decoder.dtype), self.caches, []
        while len(ids) < most and ids[-1:] != self.end:
            hidden, caches = self.decoder(x, caches)
            best = self.decoder.logits(hidden[0, -1]).topk(2)
            if best.values[0] - best.values[1] < lead:
                break
            ids.append(best.indices[0].item())
            x = self.decoder.embed[torch.tensor([ids[-1:]])].to(self.decoder.dtype)
        letters = {letter: byte for byte, letter in self.decoder.tokenizer.letters.items()}
        text = "".join(self.decoder.tokenizer.tokens[i] for i in ids if [i] != self.end)
        return ids, bytes(letters[c] for c in text if c in letters).decode(errors="replace")


def main():
    parser = argparse.ArgumentParser()
    for name in ("onnx", "gguf", "stamps", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(3)
    rng = random.Random(3)
    pictures = stamps(args.stamps)
    print(len(pictures), "stamps", flush=True)
    x = features(Tower(args.onnx), pictures, args.out.with_suffix(".features"))
    decoder = Decoder(args.gguf)
    trainer, connector = Trainer(decoder), Connector(decoder)
    adam = torch.optim.AdamW(connector.parameters(), lr=1e-3, weight_decay=0.01)
    held = list(range(0, len(pictures), 12))
    chosen_by = list(range(6, len(pictures), 12))
    seen = [i for i in range(len(pictures)) if i % 6]

    @torch.no_grad()
    def mean_loss(of, whole):
        connector.eval()
        rows = lambda part: x[part, 0].float() if whole else pooled(x[part, 0].float())
        parts = [of[i : i + 8] for i in range(0, len(of), 8)]
        losses = [trainer.loss(connector(rows(p)), [pictures[i][1] for i in p]).item() * len(p) for p in parts]
        connector.train()
        return sum(losses) / len(of)

    start, step, mean, best = time.time(), 0, [], (math.inf, None)
    while (share := (time.time() - start) / (60 * args.minutes)) < 1:
        whole = share > 0.5
        for group in adam.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 20) * (0.02 + 0.98 * math.cos(share * math.pi / 2) ** 2)
        chosen = rng.sample(seen, BATCH)
        rows = torch.stack([x[i, rng.randrange(VARIANTS)] for i in chosen]).float()
        rows = connector(rows if whole else pooled(rows))
        loss = trainer.loss(rows, [pictures[i][1] for i in chosen])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(connector.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        step, mean = step + 1, (mean + [loss.item()])[-20:]
        if step % 40 == 0:
            unseen = mean_loss(chosen_by, whole)
            if whole and unseen < best[0]:
                best = unseen, {name: value.clone() for name, value in connector.state_dict().items()}
            entry = {"step": step, "minutes": (time.time() - start) / 60, "loss": sum(mean) / len(mean), "unseen": unseen}
            print(json.dumps({**entry, "whole": whole}), flush=True)
    connector.load_state_dict(best[1] or connector.state_dict())
    connector.eval()
    right = 0
    with torch.no_grad():
        for i in held:
            got = trainer.caption(connector(x[i, 0].float()))[1]
            right += got == pictures[i][1]
            print(f"{pictures[i][1]:40} {got}", flush=True)
    print(f"held out: loss {mean_loss(held, True):.3f}, {right} of {len(held)} captions are exact")
    save_file(connector.tensors(), str(args.out))


if __name__ == "__main__":
    main()
