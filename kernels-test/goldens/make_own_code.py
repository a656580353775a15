"""Makes the golden cases of systems whose own code transformers does not have: qwen_vl, monkey, minicpmv_2_0, minicpmv_2_6.

    python3 kernels-test/goldens/make_own_code.py [NAME]   # needs torch, numpy, pillow, safetensors, tiktoken, tokenizers

Each is a small checkpoint with random weights under the names of the system's own code, kept in f16, and what the formulas of
that code give, written here anew: once in f32, which is what is expected, and once in f64, which says how far f32 is off.
A stage's tolerance is 16 times that, and at least 2e-6 of its largest value. The first seed for which every greedy choice leads
by MARGIN is taken.
"""

import base64
import collections
import json
import math
import pathlib
import sys

import numpy as np
import tiktoken
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
MARGIN = 0.004
NEW = 10
TEXT = """the quick brown fox jumps over the lazy dog. which one has a dog? is there a tree in the picture? read the text.
system user assistant. You are a helpful assistant. What is the colour of the sky? how many birds do you see? Answer: yes.
Picture 1: a small house beside the river, under the old tree; the water is cold and clear in the morning. caf\u00e9 12 345"""
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])


# Weights


class Weights:
    """Random tensors by name, in f16; read in any type."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.held = {}

    def make(self, name, *shape, scale=None, centre=0.0):
        scale = scale if scale is not None else 1.0 / math.sqrt(shape[-1])
        values = torch.randn(*shape, generator=self.generator) * scale + centre
        self.held[name] = values.half()

    def linear(self, name, n, k, bias=True, scale=1.6):
        self.make(f"{name}.weight", n, k, scale=scale / math.sqrt(k))
        if bias:
            self.make(f"{name}.bias", n, scale=0.2)

    def norm(self, name, n, bias=True):
        self.make(f"{name}.weight", n, scale=0.2, centre=1.0)
        if bias:
            self.make(f"{name}.bias", n, scale=0.2)


class Reader:
    """The tensors in one type, and the stages of a run."""

    def __init__(self, weights, dtype):
        self.tensors = {name: value.to(dtype) for name, value in weights.held.items()}
        self.dtype = dtype
        self.stages = {}

    def __getitem__(self, name):
        return self.tensors[name]

    def linear(self, name, x):
        return F.linear(x, self[f"{name}.weight"], self.tensors.get(f"{name}.bias"))

    def layer_norm(self, name, x, eps=1e-6):
        return F.layer_norm(x, x.shape[-1:], self[f"{name}.weight"], self[f"{name}.bias"], eps)

    def rms_norm(self, name, x, eps):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * self[f"{name}.weight"]

    def stage(self, name, value):
        self.stages.setdefault(name, []).append(value.detach().clone())


def attention(q, k, v, heads, causal=False):
    """[rows, width] each; heads of k and v may be fewer."""
    dim = q.shape[-1] // heads
    split = lambda x: x.view(x.shape[0], -1, dim).transpose(0, 1)
    q, k, v = split(q), split(k), split(v)
    k, v = (x.repeat_interleave(heads // x.shape[0], 0) for x in (k, v))
    scores = q @ k.transpose(1, 2) / math.sqrt(dim)
    if causal:
        ahead = torch.ones(scores.shape[1:], dtype=torch.bool).triu(scores.shape[2] - scores.shape[1] + 1)
        scores = scores.masked_fill(ahead, float("-inf"))
    return (scores.softmax(-1) @ v).transpose(0, 1).reshape(q.shape[1], -1)


def sincos(width, rows, columns):
    """First half of a row by the column, second by the row; sines, then cosines; angles in f32."""
    omega = 1.0 / 10000 ** (np.arange(width // 4, dtype=np.float32) / (width / 4.0))

    def half(places):
        angles = places.reshape(-1)[:, None].astype(np.float32) * omega[None]
        return np.concatenate([np.sin(angles), np.cos(angles)], 1)

    down, across = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    return torch.from_numpy(np.concatenate([half(across), half(down)], 1).astype(np.float32))


def resized(table, side, to, antialias):
    """A [side * side, width] table on another grid, bicubic."""
    if (side, side) == tuple(to):
        return table
    grid = table.view(1, side, side, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=to, mode="bicubic", align_corners=False, antialias=antialias)
    return grid.permute(0, 2, 3, 1).reshape(to[0] * to[1], -1)


def cross(r, name, q, k, v, heads):
    """nn.MultiheadAttention."""
    width = q.shape[-1]
    weight, bias = r[f"{name}.in_proj_weight"], r[f"{name}.in_proj_bias"]
    q, k, v = (F.linear(x, weight[i * width:][:width], bias[i * width:][:width]) for i, x in enumerate((q, k, v)))
    return r.linear(f"{name}.out_proj", attention(q, k, v, heads))


# Pictures


def photo(width, height, seed):
    """Something smooth with edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / (5 + 3 * c) + rng.random() * 6) * np.cos(y / (4 + 2 * c)) for c in range(3)]
    pixels = np.stack(planes, -1)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 255, 3)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def planes(picture, mean, std, dtype=torch.float32):
    x = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).to(dtype) / 255
    return (x - torch.tensor(mean, dtype=dtype)[:, None, None]) / torch.tensor(std, dtype=dtype)[:, None, None]


# The first Qwen's decoder, and LLaMA's kind


def turned(x, heads, angles):
    """Rotary positions, halves of a head against each other; angles [rows, pairs]."""
    x = x.view(x.shape[0], heads, -1)
    first, second = x.chunk(2, -1)
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).flatten(1)


def angles(length, dim, theta, dtype):
    # Frequencies and angles are f32 in the original whatever the weights are.
    frequencies = 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    return torch.outer(torch.arange(length, dtype=torch.float32), frequencies).to(dtype)


def qwen_layers(r, x, config, prompt):
    width, heads, eps = config["hidden_size"], config["num_attention_heads"], config["layer_norm_epsilon"]
    dim, trained = width // heads, config["seq_length"]
    theta = float(config["rotary_emb_base"])
    if config["use_dynamic_ntk"]:
        alpha = max(2 ** math.ceil(math.log(prompt / trained, 2) + 1) - 1, 1)
        theta *= alpha ** (dim / (dim - 2))
    turn = angles(len(x), dim, theta, r.dtype)
    place = torch.arange(1, len(x) + 1, dtype=torch.float64)
    grow = torch.where(place > trained, place.log() / math.log(trained), torch.ones_like(place)).to(r.dtype)
    for i in range(config["num_hidden_layers"]):
        at = f"transformer.h.{i}"
        q, k, v = r.linear(f"{at}.attn.c_attn", r.rms_norm(f"{at}.ln_1", x, eps)).split(width, -1)
        q, k = turned(q, heads, turn), turned(k, heads, turn)
        if config["use_logn_attn"]:
            q = q * grow[:, None]
        x = x + r.linear(f"{at}.attn.c_proj", attention(q, k, v, heads, causal=True))
        normed = r.rms_norm(f"{at}.ln_2", x, eps)
        inner = r.linear(f"{at}.mlp.w1", normed) * F.silu(r.linear(f"{at}.mlp.w2", normed))
        x = x + r.linear(f"{at}.mlp.c_proj", inner)
        r.stage(f"llm.layer.{i}", x)
    x = r.rms_norm("transformer.ln_f", x, eps)
    r.stage("llm.norm", x)
    return r.linear("lm_head", x)


def llama_layers(r, x, config, prompt):
    width, heads = config["hidden_size"], config["num_attention_heads"]
    eps, dim = config["rms_norm_eps"], width // heads
    turn = angles(len(x), dim, config.get("rope_theta", 10000.0), r.dtype)
    layers = config["num_hidden_layers"]
    branch = config.get("scale_depth", math.sqrt(layers)) / math.sqrt(layers)
    for i in range(layers):
        at = f"llm.model.layers.{i}"
        normed = r.rms_norm(f"{at}.input_layernorm", x, eps)
        q, k, v = (r.linear(f"{at}.self_attn.{p}_proj", normed) for p in "qkv")
        q, k = turned(q, heads, turn), turned(k, k.shape[1] // dim, turn)
        x = x + r.linear(f"{at}.self_attn.o_proj", attention(q, k, v, heads, causal=True)) * branch
        normed = r.rms_norm(f"{at}.post_attention_layernorm", x, eps)
        inner = F.silu(r.linear(f"{at}.mlp.gate_proj", normed)) * r.linear(f"{at}.mlp.up_proj", normed)
        x = x + r.linear(f"{at}.mlp.down_proj", inner) * branch
        r.stage(f"llm.layer.{i}", x)
    x = r.rms_norm("llm.model.norm", x, eps)
    r.stage("llm.norm", x)
    if "dim_model_base" in config:
        x = x / (width / config["dim_model_base"])
    head = r.tensors.get("llm.lm_head.weight", r["llm.model.embed_tokens.weight"])
    return F.linear(x, head)


def answer(r, config, ids, table, layers, features, token, scale=1.0):
    """Greedy; every step from the start. Returns ids, logits of the steps, and the smallest lead."""
    chosen, rows, lead = [], [], math.inf
    for step in range(NEW):
        x = r[table][torch.tensor(ids + chosen)] * scale
        x[[i for i, id in enumerate(ids) if id == token]] = features
        if step == 0:
            r.stage("llm.input", x)
        else:
            held, r.stages = r.stages, {}
        logits = layers(r, x, config, len(ids))
        if step == 0:
            r.stage("logits", logits)
        else:
            r.stages = held
        top = logits[-1].topk(2)
        lead = min(lead, float(top.values[0] - top.values[1]))
        rows.append(logits[-1])
        chosen.append(int(top.indices[0]))
    r.stage("generated_logits", torch.stack(rows))
    return chosen, lead


# Towers


def openclip(r, pixels, visual, tile=None):
    """Qwen-VL's tower and resampler over [3, h, w]; with the adapters of a tile (Monkey)."""
    front, heads = "transformer.visual", visual["heads"]
    x = F.conv2d(pixels[None], r[f"{front}.conv1.weight"], stride=visual["patch_size"])
    grid = x.shape[2:]
    x = x.flatten(2)[0].T + resized(r[f"{front}.positional_embedding"], 16, grid, False)
    r.stage("vision.embeddings", x)
    x = r.layer_norm(f"{front}.ln_pre", x)
    dim = x.shape[-1] // heads

    def adapted(name, source, base):
        if tile is None:
            return base
        low = F.linear(F.linear(source, r[f"{name}.{tile}.lora_a.weight"]), r[f"{name}.{tile}.lora_b.weight"])
        return base + low * r[f"{name}.{tile}.lora_scale"]

    for i in range(visual["layers"]):
        at = f"{front}.transformer.resblocks.{i}"
        normed = r.layer_norm(f"{at}.ln_1", x)
        qkv = adapted(f"{at}.attn.in_proj_lora", normed, r.linear(f"{at}.attn.in_proj", normed))
        # Head by head: q, k, v of each.
        q, k, v = (part.flatten(1) for part in qkv.view(len(x), heads, 3, dim).unbind(2))
        mixed = attention(q, k, v, heads)
        h = x + adapted(f"{at}.attn.out_proj_lora", mixed, r.linear(f"{at}.attn.out_proj", mixed))
        inner = F.gelu(r.linear(f"{at}.mlp.c_fc", r.layer_norm(f"{at}.ln_2", h)))
        x = adapted(f"{at}.mlp_lora", h, h + r.linear(f"{at}.mlp.c_proj", inner))
        r.stage(f"vision.layer.{i}", x)
    pool = f"{front}.attn_pool"
    value = r.layer_norm(f"{pool}.ln_kv", r.linear(f"{pool}.kv_proj", x))
    positions = r[f"{pool}.pos_embed"]
    key = value + resized(positions, math.isqrt(len(positions)), grid, False)
    query = r.layer_norm(f"{pool}.ln_q", r[f"{pool}.query"]) + positions
    out = cross(r, f"{pool}.attn", query, key, value, visual["output_dim"] // 128)
    out = r.layer_norm(f"{front}.ln_post", out) @ r[f"{front}.proj"]
    r.stage("connector", out)
    return out


def minicpm_resampler(r, x, grid, width):
    pool = "resampler"
    value = r.layer_norm(f"{pool}.ln_kv", r.linear(f"{pool}.kv_proj", x))
    query = r.layer_norm(f"{pool}.ln_q", r[f"{pool}.query"])
    if f"{pool}.pos_embed" in r.tensors:
        query = query + r[f"{pool}.pos_embed"]
    out = cross(r, f"{pool}.attn", query, value + sincos(width, *grid).to(r.dtype), value, width // 128)
    out = r.layer_norm(f"{pool}.ln_post", out) @ r[f"{pool}.proj"]
    r.stage("connector", out)
    return out


def timm_tower(r, pixels, vision):
    """timm's SigLIP without its last block, positions resampled with antialias."""
    x = F.conv2d(pixels[None], r["vpm.patch_embed.proj.weight"], r["vpm.patch_embed.proj.bias"], stride=vision["patch_size"])
    grid, heads = x.shape[2:], vision["num_attention_heads"]
    side = vision["image_size"] // vision["patch_size"]
    x = x.flatten(2)[0].T + resized(r["vpm.pos_embed"][0], side, grid, True)
    r.stage("vision.embeddings", x)
    for i in range(vision["num_hidden_layers"] - 1):
        at = f"vpm.blocks.{i}"
        q, k, v = r.linear(f"{at}.attn.qkv", r.layer_norm(f"{at}.norm1", x)).chunk(3, -1)
        x = x + r.linear(f"{at}.attn.proj", attention(q, k, v, heads))
        x = x + r.linear(f"{at}.mlp.fc2", F.gelu(r.linear(f"{at}.mlp.fc1", r.layer_norm(f"{at}.norm2", x))))
        r.stage(f"vision.layer.{i}", x)
    return r.layer_norm("vpm.norm", x), grid


def navit_tower(r, pixels, vision):
    """SigLIP; patch i of n has the position floor(i * side / n) of each axis."""
    at = "vpm.embeddings"
    x = F.conv2d(pixels[None], r[f"{at}.patch_embedding.weight"], r[f"{at}.patch_embedding.bias"], stride=vision["patch_size"])
    grid, heads = x.shape[2:], vision["num_attention_heads"]
    side = vision["image_size"] // vision["patch_size"]
    rows, columns = (torch.tensor([i * side // n for i in range(n)]) for n in grid)
    place = (rows[:, None] * side + columns).flatten()
    x = x.flatten(2)[0].T + r[f"{at}.position_embedding.weight"][place]
    r.stage("vision.embeddings", x)
    for i in range(vision["num_hidden_layers"]):
        at = f"vpm.encoder.layers.{i}"
        normed = r.layer_norm(f"{at}.layer_norm1", x)
        q, k, v = (r.linear(f"{at}.self_attn.{p}_proj", normed) for p in "qkv")
        x = x + r.linear(f"{at}.self_attn.out_proj", attention(q, k, v, heads))
        inner = F.gelu(r.linear(f"{at}.mlp.fc1", r.layer_norm(f"{at}.layer_norm2", x)), approximate="tanh")
        x = x + r.linear(f"{at}.mlp.fc2", inner)
        r.stage(f"vision.layer.{i}", x)
    return r.layer_norm("vpm.post_layernorm", x), grid


# Tokenizers


def ranks(extra):
    """Byte-pair ranks of TEXT: all bytes, then `extra` merges."""
    words = collections.Counter(tuple(bytes([b]) for b in word.encode()) for word in
                                [" " + w for w in TEXT.split()] + TEXT.split())
    table = {bytes([b]): i for i, b in enumerate(range(256))}
    while len(table) < 256 + extra:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        best = max(sorted(pairs), key=lambda p: pairs[p])
        joined = best[0] + best[1]
        table.setdefault(joined, len(table))
        merged = collections.Counter()
        for word, count in words.items():
            out, i = [], 0
            while i < len(word):
                if word[i : i + 2] == best:
                    out.append(joined)
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            merged[tuple(out)] += count
        words = merged
    return table


def qwen_tokenizer(folder):
    table = ranks(70)
    lines = (f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in table.items())
    (folder / "qwen.tiktoken").write_text("".join(lines))
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<|extra_{i}|>" for i in range(205)]
    names = ["ref", "box", "quad", "img"]
    control += [tag for name in names for tag in (f"<{name}>", f"</{name}>")] + ["<imgpad>"]
    cut = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    special = {token: len(table) + i for i, token in enumerate(control)}
    encoding = tiktoken.Encoding("own", pat_str=cut, mergeable_ranks=table, special_tokens=special)
    texts = ["is there a tree?", "caf\u00e9  12345\n\n the  fox's", "<img><imgpad></img>\nWhat\u00a0is", "", " leading", "\u4e2d\u6587 e\u0301"]
    import unicodedata

    cases = [{"text": t, "ids": encoding.encode(unicodedata.normalize("NFC", t), allowed_special="all")} for t in texts]
    (folder / "tiktoken_cases.json").write_text(json.dumps(cases, indent=1))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "QWenTokenizer", "model_max_length": 2048}\n')
    return encoding, special


def trained(folder, special, llama):
    if llama:
        bpe = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        bpe.normalizer = normalizers.Replace(" ", "\u2581")
        bpe.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
        alphabet, first = [], special + [f"<0x{b:02X}>" for b in range(256)]
    else:
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        alphabet, first = pre_tokenizers.ByteLevel.alphabet(), special
    trainer = trainers.BpeTrainer(vocab_size=len(first) + len(alphabet) + 80, initial_alphabet=alphabet,
                                  special_tokens=first, show_progress=False)
    bpe.train_from_iterator(TEXT.replace(" ", " \u2581" if llama else " ").splitlines(), trainer)
    saved = json.loads(bpe.to_str())
    # Bytes are no special tokens.
    saved["added_tokens"] = [t for t in saved["added_tokens"] if not t["content"].startswith("<0x")]
    if llama:
        bpe = Tokenizer.from_str(json.dumps(saved))
        bpe.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", bpe.token_to_id("<s>"))])
        saved = json.loads(bpe.to_str())
    bpe = Tokenizer.from_str(json.dumps(saved))
    (folder / "tokenizer.json").write_text(json.dumps(saved, ensure_ascii=False))
    return bpe


# Cases


def write(name, config, weights, runs, files, notes):
    """`runs` are the two readers of every sample with its ids and fields."""
    folder = HERE / name
    samples = []
    for at, run in enumerate(runs):
        suffix = f"_{at}" if at else ""
        exact, inputs, fields = run["exact"], run["inputs"], run["fields"]
        stages, expected = {}, {}

        def stage(label, value, wide, file="expected"):
            error = float((value.double() - wide.double()).abs().max())
            largest = float(wide.abs().max())
            stages[label] = {"file": f"{file}{suffix}.safetensors", "tensor": label, "shape": list(value.shape),
                             "dtype": "float32", "suggested_atol": max(16 * error, 2e-6 * largest)}
            if file == "expected":
                expected[label] = value.float().contiguous()

        if "pixel_values" in inputs:
            stage("pixel_values", inputs["pixel_values"], run["wide"], "inputs")
        for label, values in run["reader"].stages.items():
            value, wide = (torch.cat(r.stages[label]) for r in (run["reader"], exact))
            if label.startswith(("llm.", "logits", "generated")):
                value, wide = value[None], wide[None]
            stage(label, value, wide)
        expected["generated_ids"] = torch.tensor([run["chosen"]])
        stages["generated_ids"] = {"file": f"expected{suffix}.safetensors", "tensor": "generated_ids",
                                   "shape": [1, NEW], "dtype": "int64", "suggested_atol": None}
        save_file({k: v.contiguous() for k, v in inputs.items()}, folder / f"inputs{suffix}.safetensors")
        save_file(expected, folder / f"expected{suffix}.safetensors")
        samples.append({**fields, "inputs": f"inputs{suffix}.safetensors", "expected": f"expected{suffix}.safetensors",
                        "greedy": {"min_top2_margin": run["lead"]},
                        "input_shapes": {k: list(v.shape) for k, v in inputs.items()}, "stages": stages})
    save_file({k: v.contiguous() for k, v in weights.held.items()}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=1))
    case = {"name": name, "kind": "derived", "torch": torch.__version__, "notes": notes,
            "generation": {"max_new_tokens": NEW, "do_sample": False}, "samples": samples}
    (folder / "case.json").write_text(json.dumps(case, indent=1))
    for file in folder.iterdir():
        file.chmod(0o644)
    print(name, sum(f.stat().st_size for f in folder.iterdir()) // 1024, "KiB", [round(r["lead"], 4) for r in runs])


def first_seed(make, run, end):
    for seed in range(1, 400):
        weights = make(seed)
        runs = run(weights)
        leads = [r["lead"] for r in runs]
        same = all(r["chosen"] == r["exact_chosen"] for r in runs)
        if min(leads) >= MARGIN and same and all(len(set(r["chosen"])) > 3 and end not in r["chosen"] for r in runs):
            return weights, runs
    raise SystemExit("no seed")


def both(weights, inputs, forward, fields, wide=None):
    """A sample in both types."""
    result = {"inputs": inputs, "fields": fields, "wide": wide}
    for key, dtype in (("reader", torch.float32), ("exact", torch.float64)):
        reader = Reader(weights, dtype)
        chosen, lead = forward(reader, dtype)
        result[key] = reader
        if key == "reader":
            result.update(chosen=chosen, lead=lead)
        else:
            result.update(exact_chosen=chosen)
    return result


def qwen_weights(config, sets):
    visual, width = config["visual"], config["hidden_size"]
    inner = config["intermediate_size"] // 2

    def make(seed):
        w = Weights(seed)
        front, own, out = "transformer.visual", visual["width"], visual["output_dim"]
        patch, mlp = visual["patch_size"], int(visual["width"] * visual["mlp_ratio"])
        w.make(f"{front}.conv1.weight", own, 3, patch, patch, scale=1 / math.sqrt(3 * patch * patch))
        w.make(f"{front}.positional_embedding", 256, own, scale=0.5)
        w.norm(f"{front}.ln_pre", own)
        for i in range(visual["layers"]):
            at = f"{front}.transformer.resblocks.{i}"
            w.norm(f"{at}.ln_1", own)
            w.linear(f"{at}.attn.in_proj", 3 * own, own)
            w.linear(f"{at}.attn.out_proj", own, own)
            w.norm(f"{at}.ln_2", own)
            w.linear(f"{at}.mlp.c_fc", mlp, own)
            w.linear(f"{at}.mlp.c_proj", own, mlp)
            for set in range(sets):
                for name, n, rank in (("attn.in_proj", 3 * own, 16), ("attn.out_proj", own, 16), ("mlp", own, 32)):
                    low = f"{at}.{name}_lora.{set}"
                    w.make(f"{low}.lora_a.weight", rank, own)
                    w.make(f"{low}.lora_b.weight", n, rank)
                    w.make(f"{low}.lora_scale", 1, scale=0.1, centre=0.6)
        pool = f"{front}.attn_pool"
        queries = visual["n_queries"]
        w.held[f"{pool}.pos_embed"] = sincos(out, math.isqrt(queries), math.isqrt(queries)).half()
        w.make(f"{pool}.query", queries, out, scale=1.0)
        w.linear(f"{pool}.kv_proj", out, own, bias=False)
        attention_weights(w, pool, out)
        w.norm(f"{front}.ln_post", out)
        w.make(f"{front}.proj", out, out)
        w.make("transformer.wte.weight", config["vocab_size"], width, scale=0.7)
        for i in range(config["num_hidden_layers"]):
            at = f"transformer.h.{i}"
            w.norm(f"{at}.ln_1", width, bias=False)
            w.linear(f"{at}.attn.c_attn", 3 * width, width)
            w.linear(f"{at}.attn.c_proj", width, width, bias=False)
            w.norm(f"{at}.ln_2", width, bias=False)
            w.linear(f"{at}.mlp.w1", inner, width, bias=False)
            w.linear(f"{at}.mlp.w2", inner, width, bias=False)
            w.linear(f"{at}.mlp.c_proj", width, inner, bias=False)
        w.norm("transformer.ln_f", width, bias=False)
        w.linear("lm_head", config["vocab_size"], width, bias=False)
        return w

    return make


def attention_weights(w, pool, out):
    for name in ("ln_q", "ln_kv"):
        w.norm(f"{pool}.{name}", out)
    w.make(f"{pool}.attn.in_proj_weight", 3 * out, out, scale=1.6 / math.sqrt(out))
    w.make(f"{pool}.attn.in_proj_bias", 3 * out, scale=0.2)
    w.linear(f"{pool}.attn.out_proj", out, out)


def qwen_config(model_type, image_size, extra):
    return {
        "architectures": ["QWenLMHeadModel"], "model_type": model_type, "vocab_size": 548, "hidden_size": 128,
        "intermediate_size": 176, "num_hidden_layers": 2, "num_attention_heads": 2, "kv_channels": 64,
        "layer_norm_epsilon": 1e-6, "max_position_embeddings": 512, "rotary_pct": 1.0, "rotary_emb_base": 10000,
        "use_dynamic_ntk": True, "use_logn_attn": True, "no_bias": True, "seq_length": 24, "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "visual": {"heads": 2, "image_size": image_size, "image_start_id": 326 + 208 + 6, "layers": 2, "mlp_ratio": 2.5,
                   "n_queries": 16, "output_dim": 128, "patch_size": 10, "width": 64, **extra},
    }


def qwen_case(name, config, prompt_of, samples, inputs_of, notes):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    encoding, special = qwen_tokenizer(folder)
    start = config["visual"]["image_start_id"]
    assert special["<img>"] == start, special["<img>"]
    queries = config["visual"]["n_queries"]
    prepared = []
    for at, sizes in enumerate(samples):
        names = [f"image_{at}_{i}.png" for i in range(len(sizes))]
        for i, (file, size) in enumerate(zip(names, sizes)):
            photo(*size, seed=at * 10 + i + 1).save(folder / file, optimize=True)
        pictures = [Image.open(folder / file).convert("RGB") for file in names]
        prompt = prompt_of(len(pictures))
        ids, tiles = [], len(inputs_of(pictures[0], torch.float32)) if pictures else 0
        for i, part in enumerate(prompt.split("<imgpad>")):
            ids += [start + 2] * (queries * tiles) if i else []
            ids += encoding.encode(part, allowed_special="all")
        prepared.append((names, pictures, prompt, ids))

    def run(weights):
        runs = []
        for names, pictures, prompt, ids in prepared:
            def forward(r, dtype):
                features = [openclip(r, x, config["visual"], tile)
                            for picture in pictures for x, tile in inputs_of(picture, dtype)]
                return answer(r, config, ids, "transformer.wte.weight", qwen_layers, torch.cat(features), start + 2)

            pixels, wide = (torch.stack([x for p in pictures for x, _ in inputs_of(p, d)])
                            for d in (torch.float32, torch.float64))
            inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.int64),
                      "pixel_values": pixels}
            runs.append(both(weights, inputs, forward, {"images": names, "prompt": prompt}, wide))
        return runs

    weights, runs = first_seed(qwen_weights(config, config["visual"].get("lora_repeat_num", 0)), run, 326)
    write(name, config, weights, runs, {"generation_config.json": {"chat_format": "raw", "eos_token_id": 326}}, notes)


def qwen_vl():
    config = qwen_config("qwen", 70, {})

    def inputs_of(picture, dtype):
        return [(planes(picture.resize((70, 70), Image.BICUBIC), *CLIP, dtype), None)]

    def prompt(pictures):
        marks = "".join(f"Picture {i + 1}: <img><imgpad></img>\n" for i in range(pictures))
        return f"<|im_start|>user\n{marks}is there a tree?<|im_end|>\n<|im_start|>assistant\n"

    qwen_case("qwen_vl", config, prompt, [[(33, 57), (80, 80)]], inputs_of,
              "Qwen-VL: squeezed to a square, 16 queries over 7 x 7 patches. seq_length is less than the prompts, so that "
              "the base of rotary positions and the factor on queries are others than 1. Where the original has the bytes "
              "of a path and padding between <img> and </img>, here is padding; features take all those places.")


def monkey():
    config = qwen_config("monkey", 80, {"layers": 1, "n_queries": 9, "lora_repeat_num": 4, "window": 40})

    def inputs_of(picture, dtype):
        whole = planes(picture.resize((80, 80), Image.BICUBIC), *CLIP, dtype)
        cut = [(whole[:, y : y + 40, x : x + 40], i) for i, (y, x) in enumerate([(0, 0), (0, 40), (40, 0), (40, 40)])]
        return cut + [(F.interpolate(whole[None], size=(40, 40), mode="bicubic")[0], None)]

    def prompt(pictures):
        return "<img><imgpad></img> What is the colour of the sky? Answer: "

    qwen_case("monkey", config, prompt, [[(97, 71)]], inputs_of,
              "Monkey: four windows with adapters of their own, then the normalised whole shrunk without antialias. Windows "
              "are of 40 pixels (config.json's visual.window), where the code has 448.")


def slices(width, height, most, side, patch):
    """Grid (columns, rows) or None, size of the overview, size of a slice."""
    whole = lambda length: max(round(length / patch) * patch, patch)

    def fit(width, height, enlarge):
        if width * height > side * side or enlarge:
            ratio = width / height
            height = int(side / math.sqrt(ratio))
            width = int(height * ratio)
        return whole(width), whole(height)

    count = min(math.ceil(width * height / side**2), most)
    if count <= 1:
        return None, fit(width, height, True), None
    grids = [(m, n // m) for n in (count - 1, count, count + 1) if n not in (1,) and n <= most
             for m in range(1, n + 1) if n % m == 0]
    grid = min(grids, key=lambda g: abs(math.log(width / height) - math.log(g[0] / g[1])))
    near = lambda length, parts: max(round(length / parts) * parts, parts) / parts
    return grid, fit(width, height, False), fit(near(width, grid[0]), near(height, grid[1]), True)


def cut(picture, most, side, patch):
    grid, overview, slice = slices(*picture.size, most, side, patch)
    parts = [picture.resize(overview, Image.BICUBIC)]
    if grid:
        large = picture.resize((slice[0] * grid[0], slice[1] * grid[1]), Image.BICUBIC)
        for y in range(grid[1]):
            for x in range(grid[0]):
                box = (x * slice[0], y * slice[1], (x + 1) * slice[0], (y + 1) * slice[1])
                parts.append(large.crop(box))
    return grid, parts


def minicpm_case(name, config, special, llama, tower, placeholder, samples, files, notes):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    bpe = trained(folder, special, llama)
    unk, queries = bpe.token_to_id("<unk>"), config["query_num"]
    config = {**config, "vocab_size": bpe.get_vocab_size() + 3}
    half = ([0.5] * 3, [0.5] * 3)
    patch = config["patch_size"]
    most, side = config["max_slice_nums"], config["scale_resolution"]
    prepared = []
    for at, (sizes, prompt) in enumerate(samples):
        names = [f"image_{at}_{i}.png" for i in range(len(sizes))]
        for i, (file, size) in enumerate(zip(names, sizes)):
            photo(*size, seed=at * 10 + i + 5).save(folder / file, optimize=True)
        pictures = [Image.open(folder / file).convert("RGB") for file in names]
        parts, ids = [], [bpe.token_to_id("<s>")] if llama else []
        texts = prompt.split("<unk>")
        for i, text in enumerate(texts):
            if i:
                grid, own = cut(pictures[i - 1], most, side, patch)
                parts += own
                for piece in placeholder(i - 1, grid):
                    if isinstance(piece, int):
                        ids += [unk] * queries
                    elif bpe.token_to_id(piece) is not None:
                        ids.append(bpe.token_to_id(piece))
                    elif piece == "\n" and llama:
                        ids.append(bpe.token_to_id("<0x0A>"))
                    else:
                        ids += bpe.encode(piece, add_special_tokens=False).ids
            ids += bpe.encode(text, add_special_tokens=False).ids
        prepared.append((names, pictures, prompt, parts, ids))

    def run(weights):
        runs = []
        for names, pictures, prompt, parts, ids in prepared:
            def forward(r, dtype):
                features = []
                for part in parts:
                    x, grid = tower(r, planes(part, *half, dtype), config["vision_config"])
                    r.stage("vision.selected", x)
                    features.append(minicpm_resampler(r, x, grid, config["hidden_size"]))
                table, scale = "llm.model.embed_tokens.weight", config.get("scale_emb", 1.0)
                return answer(r, config, ids, table, llama_layers, torch.cat(features), unk, scale)

            pixels, wide = (torch.cat([planes(p, *half, d).flatten() for p in parts]) for d in (torch.float32, torch.float64))
            inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.int64),
                      "pixel_values": pixels, "image_sizes": torch.tensor([[p.size[1], p.size[0]] for p in pictures])}
            runs.append(both(weights, inputs, forward, {"images": names, "prompt": prompt}, wide))
        return runs

    weights, runs = first_seed(minicpm_weights(config, llama), run, config["eos_token_id"])
    write(name, config, weights, runs, files, notes)


def minicpm_weights(config, second):
    vision, width = config["vision_config"], config["hidden_size"]
    own, mlp, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    places = (vision["image_size"] // patch) ** 2

    def make(seed):
        w = Weights(seed)
        conv = "vpm.patch_embed.proj" if second else "vpm.embeddings.patch_embedding"
        w.make(f"{conv}.weight", own, 3, patch, patch, scale=1 / math.sqrt(3 * patch * patch))
        w.make(f"{conv}.bias", own, scale=0.2)
        if second:
            w.make("vpm.pos_embed", 1, places, own, scale=0.5)
        else:
            w.make("vpm.embeddings.position_embedding.weight", places, own, scale=0.5)
        for i in range(vision["num_hidden_layers"] - int(second)):
            if second:
                at = f"vpm.blocks.{i}"
                w.linear(f"{at}.attn.qkv", 3 * own, own)
                names = ("norm1", "norm2", "attn.proj")
            else:
                at = f"vpm.encoder.layers.{i}"
                for p in "qkv":
                    w.linear(f"{at}.self_attn.{p}_proj", own, own)
                names = ("layer_norm1", "layer_norm2", "self_attn.out_proj")
            w.norm(f"{at}.{names[0]}", own)
            w.norm(f"{at}.{names[1]}", own)
            w.linear(f"{at}.{names[2]}", own, own)
            w.linear(f"{at}.mlp.fc1", mlp, own)
            w.linear(f"{at}.mlp.fc2", own, mlp)
        w.norm("vpm.norm" if second else "vpm.post_layernorm", own)
        queries = config["query_num"]
        if second:
            w.held["resampler.pos_embed"] = sincos(width, math.isqrt(queries), math.isqrt(queries)).half()
        w.make("resampler.query", queries, width, scale=1.0)
        w.linear("resampler.kv_proj", width, own, bias=False)
        attention_weights(w, "resampler", width)
        w.norm("resampler.ln_post", width)
        w.make("resampler.proj", width, width)
        w.make("llm.model.embed_tokens.weight", config["vocab_size"], width, scale=0.03 if second else 0.7)
        dim = width // config["num_attention_heads"]
        kv, inner = dim * config["num_key_value_heads"], config["intermediate_size"]
        for i in range(config["num_hidden_layers"]):
            at = f"llm.model.layers.{i}"
            w.norm(f"{at}.input_layernorm", width, bias=False)
            w.norm(f"{at}.post_attention_layernorm", width, bias=False)
            for p, n in (("q", width), ("k", kv), ("v", kv)):
                w.linear(f"{at}.self_attn.{p}_proj", n, width, bias=not second)
            w.linear(f"{at}.self_attn.o_proj", width, width, bias=False)
            w.linear(f"{at}.mlp.gate_proj", inner, width, bias=False)
            w.linear(f"{at}.mlp.up_proj", inner, width, bias=False)
            w.linear(f"{at}.mlp.down_proj", width, inner, bias=False)
        w.norm("llm.model.norm", width, bias=False)
        if not second:
            w.linear("llm.lm_head", config["vocab_size"], width, bias=False)
        return w

    return make


def minicpmv_2_0():
    config = {
        "architectures": ["MiniCPMV"], "model_type": "minicpmv", "hidden_size": 128, "intermediate_size": 152,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 512, "scale_emb": 12, "dim_model_base": 48, "scale_depth": 1.4, "bos_token_id": 1,
        "eos_token_id": 2, "drop_vision_last_layer": True, "query_num": 16, "slice_mode": True, "max_slice_nums": 4,
        "scale_resolution": 42, "patch_size": 6, "image_size": 42, "vision_encoder": "vit_base_patch16_siglip_224.webli",
        "vision_config": {"hidden_size": 60, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 100,
                          "patch_size": 6, "image_size": 54}, "torch_dtype": "float16",
    }
    special = ["<unk>", "<s>", "</s>", "<image>", "</image>", "<slice>", "</slice>", "<\u7528\u6237>", "<AI>"]

    def placeholder(number, grid):
        pieces = ["<image>", 0, "</image>"]
        if grid:
            pieces.append("<slice>")
            for row in range(grid[1]):
                pieces += (["\n"] if row else []) + ["<image>", 0, "</image>"] * grid[0]
            pieces.append("</slice>")
        return pieces + ["\n"]

    samples = [([(70, 61)], "<\u7528\u6237><unk>is there a tree?<AI>"), ([(31, 40)], "<\u7528\u6237><unk>read the text.<AI>")]
    minicpm_case("minicpmv_2_0", config, special, True, timm_tower, placeholder, samples, {},
                 "MiniCPM-V 2.0: timm's tower without its last block, its positions resampled; vision_config states the small "
                 "tower's sizes, where the original has those of vision_encoder. The head is tied, as MiniCPM's default is.")


def minicpmv_2_6():
    config = {
        "architectures": ["MiniCPMV"], "model_type": "minicpmv", "version": 2.6, "hidden_size": 128,
        "intermediate_size": 152, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "max_position_embeddings": 512, "bos_token_id": 0,
        "eos_token_id": 2, "drop_vision_last_layer": False, "query_num": 16, "slice_mode": True, "max_slice_nums": 4,
        "scale_resolution": 42, "patch_size": 6, "image_size": 42, "tie_word_embeddings": False, "use_sliding_window": False,
        "vision_config": {"model_type": "siglip", "hidden_size": 60, "num_hidden_layers": 2, "num_attention_heads": 3,
                          "intermediate_size": 100, "patch_size": 6, "image_size": 66}, "torch_dtype": "float16",
    }
    processor = {"image_processor_type": "MiniCPMVImageProcessor", "processor_class": "MiniCPMVProcessor",
                 "max_slice_nums": 4, "scale_resolution": 42, "patch_size": 6, "use_image_id": True,
                 "image_feature_size": 16, "slice_mode": True, "norm_mean": [0.5] * 3, "norm_std": [0.5] * 3, "version": 2.6}
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>", "<image>", "</image>", "<slice>", "</slice>",
               "<image_id>", "</image_id>"]

    def placeholder(number, grid):
        pieces = ["<image_id>", str(number), "</image_id>", "<image>", 0, "</image>"]
        for row in range(grid[1] if grid else 0):
            pieces += (["\n"] if row else []) + ["<slice>", 0, "</slice>"] * grid[0]
        return pieces + ["\n"]

    ask = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    samples = [([(31, 40), (70, 61)], ask.format("<unk><unk>how many birds do you see?"))]
    minicpm_case("minicpmv_2_6", config, special, False, navit_tower, placeholder, samples,
                 {"preprocessor_config.json": processor, "tokenizer_config.json": {"unk_token": "<unk>"}},
                 "MiniCPM-V 2.6: SigLIP with positions by parts of height and width, a resampler whose queries have no "
                 "positions, Qwen2. Slices of all pictures in one batch.")


CASES = {f.__name__: f for f in (qwen_vl, monkey, minicpmv_2_0, minicpmv_2_6)}

if __name__ == "__main__":
    torch.set_grad_enabled(False)
    for name, make in CASES.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            make()
