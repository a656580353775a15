#!/usr/bin/env python3
"""Writes smollm2.json: what SmolLM2-135M-Instruct answers greedily, and the ids of a thousand lines of mixed script.

    python3 make_smollm2.py MODEL.gguf smollm2.json        (needs numpy, gguf 0.19 and regex)

Nothing of omma is used. Weights are dequantised by the package gguf; the model is evaluated here in f64; the tokenizer is
the published definition of SmolLM2's, written out: control tokens, digits one by one, GPT-2's expression, bytes, merges.
Where the packages transformers and tokenizers are, the ids are compared with those of the tokenizer that they run.
"""

import json
import random
import sys
import unicodedata

import gguf
import numpy
import regex

NEW = 32
# Logits of this model are about 20, and a program that computes in f32 may be off by some 1e-4 of them. An answer is cut
# before the first token whose lead over the second best is not well above that.
MARGIN = 5e-3

CHAT = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
PROMPTS = [
    "The capital of France is",
    CHAT.format("The capital of France is"),
    "Once upon a time there was a small robot who",
    "def fibonacci(n):\n",
    "The three primary colours are",
    CHAT.format("Name three colours of the rainbow."),
    "1, 2, 3, 4,",
]


class Tokenizer:
    """Byte-level BPE with digits one by one."""

    WORDS = regex.compile(
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+"
        r"|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+"
    )

    def __init__(self, reader):
        strings = lambda key: reader.fields[key].contents()
        self.tokens = strings("tokenizer.ggml.tokens")
        types = strings("tokenizer.ggml.token_type")
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        merges = strings("tokenizer.ggml.merges")
        self.ranks = {tuple(merge.split(" ")): i for i, merge in enumerate(merges)}
        self.control = [token for token, kind in zip(self.tokens, types) if kind == gguf.TokenType.CONTROL]
        self.cut = regex.compile("|".join(regex.escape(t) for t in sorted(self.control, key=len, reverse=True)))
        shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        hidden = [b for b in range(256) if b not in shown]
        self.letters = {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}

    def encode(self, text):
        ids, at = [], 0
        for hit in self.cut.finditer(text):
            ids += self.plain(text[at : hit.start()]) + [self.ids[hit.group()]]
            at = hit.end()
        return ids + self.plain(text[at:])

    def plain(self, text):
        ids = []
        for piece in regex.split(r"(\p{N})", text):
            for word in self.WORDS.findall(piece):
                # Bytes that the vocabulary lacks (there are 21) are left out before anything is merged.
                letters = [self.letters[b] for b in word.encode() if self.letters[b] in self.ids]
                ids += [self.ids[part] for part in self.merged(letters)]
        return ids

    def merged(self, parts):
        while len(parts) > 1:
            rank, i = min((self.ranks.get(pair, 1 << 30), i) for i, pair in enumerate(zip(parts, parts[1:])))
            if rank == 1 << 30:
                break
            # Every place of this pair, from the left, before the next rank.
            left, right = parts[i], parts[i + 1]
            out, j = [], 0
            while j < len(parts):
                if parts[j : j + 2] == [left, right]:
                    out.append(left + right)
                    j += 2
                else:
                    out.append(parts[j])
                    j += 1
            parts = out
        return parts


class Model:
    """LLaMA as GGUF has it: rows of q and k in the order of rotary pairs that are neighbours."""

    def __init__(self, reader):
        number = lambda key: reader.fields["llama." + key].contents()
        self.layers = number("block_count")
        self.heads, self.kv_heads = number("attention.head_count"), number("attention.head_count_kv")
        self.eps, self.theta = number("attention.layer_norm_rms_epsilon"), number("rope.freq_base")
        self.w = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(numpy.float32) for t in reader.tensors}

    def norm(self, x, name):
        return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.w[name].astype(numpy.float64)

    def linear(self, x, name):
        return x @ self.w[name].astype(numpy.float64).T

    def turn(self, x, first):
        half = x.shape[-1] // 2
        angle = numpy.outer(first + numpy.arange(x.shape[0]), self.theta ** (-numpy.arange(half) / half))[:, None]
        even, odd = x[..., 0::2], x[..., 1::2]
        out = numpy.empty_like(x)
        out[..., 0::2] = even * numpy.cos(angle) - odd * numpy.sin(angle)
        out[..., 1::2] = even * numpy.sin(angle) + odd * numpy.cos(angle)
        return out

    def logits(self, ids, cache):
        """Of the last token; `cache` holds keys and values by layer and grows."""
        x = self.w["token_embd.weight"][ids].astype(numpy.float64)
        for i in range(self.layers):
            b = f"blk.{i}."
            h = self.norm(x, b + "attn_norm.weight")
            q, k, v = (self.linear(h, f"{b}attn_{n}.weight") for n in "qkv")
            q = q.reshape(len(ids), self.heads, -1)
            k, v = k.reshape(len(ids), self.kv_heads, -1), v.reshape(len(ids), self.kv_heads, -1)
            past = cache.get(i)
            first = 0 if past is None else len(past[0])
            q, k = self.turn(q, first), self.turn(k, first)
            if past is not None:
                k, v = numpy.concatenate([past[0], k]), numpy.concatenate([past[1], v])
            cache[i] = (k, v)
            each = self.heads // self.kv_heads
            keys, values = k.repeat(each, 1), v.repeat(each, 1)
            scores = numpy.einsum("qhd,khd->hqk", q, keys) / numpy.sqrt(q.shape[-1])
            seen = numpy.arange(len(k)) <= first + numpy.arange(len(ids))[:, None]
            scores = numpy.where(seen, scores, -numpy.inf)
            weights = numpy.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            mixed = numpy.einsum("hqk,khd->qhd", weights, values).reshape(len(ids), -1)
            x = x + self.linear(mixed, b + "attn_output.weight")
            h = self.norm(x, b + "ffn_norm.weight")
            gate = self.linear(h, b + "ffn_gate.weight")
            x = x + self.linear(gate / (1 + numpy.exp(-gate)) * self.linear(h, b + "ffn_up.weight"), b + "ffn_down.weight")
        head = "output.weight" if "output.weight" in self.w else "token_embd.weight"
        return self.linear(self.norm(x[-1:], "output_norm.weight"), head)[0]

    def greedy(self, ids, end):
        cache, new, margin, fed = {}, [], numpy.inf, list(ids)
        while len(new) < NEW:
            z = self.logits(fed, cache)
            best = numpy.argsort(z)[-2:]
            if z[best[1]] - z[best[0]] < MARGIN:
                break
            margin = min(margin, z[best[1]] - z[best[0]])
            new.append(int(best[1]))
            if new[-1] == end:
                break
            fed = new[-1:]
        return new, float(margin)


# First and last letters of what lines are made of.
SCRIPTS = {
    "latin": "az AZ", "accents": "\u00c0\u024f", "greek": "\u0391\u03c9", "cyrillic": "\u0410\u044f", "hebrew": "\u05d0\u05ea",
    "arabic": "\u0621\u064a", "devanagari": "\u0904\u0939", "bengali": "\u0985\u09b9", "tamil": "\u0b85\u0bb9", "thai": "\u0e01\u0e3a",
    "georgian": "\u10d0\u10f0", "amharic": "\u1200\u1248", "khmer": "\u1780\u17b3", "hangul": "\uac00\ud7a3", "kana": "\u3041\u30f6",
    "han": "\u4e00\u9fa5", "gothic": "\U00010330\U0001034a", "maths": "\U0001d400\U0001d7ff",
}
DIGITS = ["0123456789", "\u0660\u0661\u0662\u0669", "\u0966\u096a\u096f", "\u00b2\u00bd\u2160\u2467", "\uff10\uff15"]
SPACES = [" ", "  ", "    ", "\t", "\n", "\r\n", "\n\n", " \n ", "\u00a0", "\u3000", "\u2003", "\u200b", "\u0085", "\x0b", "\x0c", "\x1c"]
MARKS = list("!?.,;:'\"()[]{}<>|/\\@#$%^&*-_=+~`") + ["...", "\u2014", "\u00bf", "\u3002", "\u060c", "\u20ac", "\u2192", "\u2205"]
EMOJI = ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f", "\U0001f1eb\U0001f1f7", "\U0001f44d\U0001f3fd", "e\u0301", "\u0301", "\ufeff", "\u202e", "\ufffd"]
CONTROL = [chr(c) for c in range(32)] + ["\x7f", "\u0080", "\u009f"]
CONTRACTIONS = ["I'm", "don't", "we're", "you've", "he'll", "she'd", "it's", "IT'S", "o'clock", "'s", "'", "''re"]
CODE = ["for (int i = 0; i < n; ++i) {\n\t", "def f(x):\n    return x**2\n", "<a href=\"#\">", "let v: Vec<u8> = vec![];", "SELECT * FROM t WHERE a='b';",
        "\\frac{1}{2}", "0x1F", "https://example.org/?q=1&r=2", "snake_case", "camelCase", "-->", "!=", "==="]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_start", "<repo_name>", "<file_sep>", "<|im_end|><|im_start|>"]
WORDS = "the of and to in is that for it as was with be by on not he his but at are this have from which her one all were".split()


def lines(count):
    """Deterministic: kinds of pieces, each from its own small language."""
    r = random.Random(20_261_128)

    def script():
        ends = r.choice(list(SCRIPTS.values()))
        ends = r.choice(ends.split(" "))
        letters = [chr(c) for c in range(ord(ends[0]), ord(ends[1]) + 1) if unicodedata.category(chr(c)) != "Cn"]
        return "".join(r.choice(letters) for _ in range(r.randint(1, 9)))

    def run(choices, most):
        return "".join(r.choice(choices) for _ in range(r.randint(1, most)))

    kinds = [
        script, script, script,
        lambda: " ".join(r.choice(WORDS) for _ in range(r.randint(1, 6))),
        lambda: run(r.choice(DIGITS), 8),
        lambda: run(SPACES, 4), lambda: " " * r.randint(1, 20),
        lambda: run(MARKS, 5), lambda: run(EMOJI, 3), lambda: run(CONTROL, 3),
        lambda: r.choice(CONTRACTIONS), lambda: r.choice(CODE), lambda: r.choice(SPECIAL),
        lambda: r.choice(WORDS).capitalize(), lambda: r.choice(WORDS).upper() + str(r.randint(0, 99_999)),
    ]
    out = ["", " ", "\n", "a", " a", "\U0001f600", "Hello, world!", "  leading and trailing  "]
    while len(out) < count:
        glue = r.choice(["", "", " ", " ", "\u00a0"])
        out.append(glue.join(r.choice(kinds)() for _ in range(r.randint(1, 7))))
    return out


def other_tokenizer(path, tokenizer):
    """The tokenizer of the package tokenizers, as SmolLM2's tokenizer.json sets it up; None where it is not installed."""
    try:
        import tokenizers
        from tokenizers import decoders, models, pre_tokenizers
    except ImportError:
        return None
    merges = [pair for pair, _ in sorted(tokenizer.ranks.items(), key=lambda item: item[1])]
    made = tokenizers.Tokenizer(models.BPE(vocab=tokenizer.ids, merges=merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(tokenizer.control)
    return made


def main(path, to):
    reader = gguf.GGUFReader(path)
    tokenizer = Tokenizer(reader)
    texts = lines(1000)
    ids = [tokenizer.encode(text) for text in texts]
    other = other_tokenizer(path, tokenizer)
    if other is not None:
        differ = [text for text, mine in zip(texts, ids) if other.encode(text).ids != mine]
        print(f"the package tokenizers: {len(differ)} of {len(texts)} lines differ", differ[:3])
    model = Model(reader)
    answers = []
    for prompt in PROMPTS:
        new, margin = model.greedy(tokenizer.encode(prompt), tokenizer.ids["<|im_end|>"])
        said = [tokenizer.tokens[i] for i in new]
        print(f"{prompt!r} {len(new)} tokens {said!r} least lead {margin:.2e}", flush=True)
        if len(new) >= 8:
            answers.append({"prompt": prompt, "ids": new})
    with open(to, "w", encoding="ascii") as file:
        row = lambda value: json.dumps(value, separators=(",", ":"))
        file.write('{"answers":[\n' + ",\n".join(map(row, answers)) + '\n],"lines":[\n')
        file.write(",\n".join(row({"text": t, "ids": i}) for t, i in zip(texts, ids)) + "\n]}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
