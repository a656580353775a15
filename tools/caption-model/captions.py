"""Writes what `cargo xtask real` expects of photographs: the captions of a float model made of the same weights, in f32.

    python captions.py ONNX GGUF CONNECTOR.safetensors PACKAGES OUT.json

The text is whole; the ids end before the first that hardly leads.
PACKAGES is the folder in which the packages scikit-image and scikit-learn are unpacked. Needs what train.py needs.
"""

import json
import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file

import train

PHOTOGRAPHS = (
    *(f"skimage/data/{name}" for name in ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")),
    *(f"sklearn/datasets/images/{name}" for name in ("china.jpg", "flower.jpg")),
)
# Logits are about 20, and a program in f32 may be off by some 1e-4 of them; pictures are resized to a rounding of 8 bits.
LEAD = 2e-2


@torch.no_grad()
def main():
    onnx, model, joint, packages, out = map(Path, sys.argv[1:6])
    tower, decoder = train.Tower(onnx), train.Decoder(model, torch.float32)
    connector, trainer = train.Connector(decoder).eval(), train.Trainer(decoder)
    weights = load_file(joint)
    names = {"mm.0": connector.a, "mm.2": connector.b}
    for name, layer in names.items():
        layer.weight.copy_(weights[f"{name}.weight"])
        layer.bias.copy_(weights[f"{name}.bias"])
    captions = []
    for name in PHOTOGRAPHS:
        picture = Image.open(packages / name).convert("RGB")
        rows = connector(tower(train.prepared(picture)[None])[0])
        ids, (_, text) = trainer.caption(rows, lead=LEAD)[0], trainer.caption(rows)
        print(f"{name:40} {text}", flush=True)
        captions.append({"file": name, "ids": ids, "text": text})
    out.write_text(json.dumps({"question": train.QUESTION, "captions": captions}, indent=1) + "\n")


if __name__ == "__main__":
    main()
