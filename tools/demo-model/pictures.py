"""Held-out pictures: pictures.py TOKENIZER OUT [COUNT] writes PNG files, and pictures.jsonl with what is asked and right.

Texts and seeds are others than in training; a sixth of the pictures has the font family that training never saw.
"""

import json
import random
import sys
from pathlib import Path

import data
import scenes
import tokens
import uhd

SMALL = "notice notice notice sign form receipt receipt chart shapes shapes".split()


def picture(rng, i, count, tokenizer):
    unseen = i % 6 == 5
    if i < count * 0.2:
        share, kind = "pages", "page"
    else:
        share, kind = "small", rng.choice(SMALL)
    while True:
        size = data.size_of(rng, share)
        if share == "small" and kind == "chart" and size[0] < 200:
            continue
        scene = scenes.make(rng, kind, size, unseen)
        asks = [(q, a) for q, a in scene.asks if len(tokenizer.encode(a).ids) < data.LONGEST]
        if scene.kind == kind and asks:
            return scene, asks


def main():
    tokenizer, out = tokens.load(sys.argv[1]), Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 500
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "pictures.jsonl", "w") as file:
        for i in range(count):
            rng = random.Random(f"held out {i}")
            scene, asks = picture(rng, i, count, tokenizer)
            question, answer = asks[0] if scene.kind == "page" or rng.random() < 0.4 else rng.choice(asks)
            name = f"{i:04}.png"
            scene.picture.save(out / name)
            made = uhd.plan(*scene.size)
            entry = {
                "file": name, "kind": scene.kind, "question": question, "answer": answer, "unseen_font": scene.unseen,
                "heights": [height for _, height in scene.lines], "slices": made.slices,
            }  # fmt: skip
            file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
