"""Makes the golden case kernels-test/goldens/omma_demo: a small model with random weights, two pictures, the features and
greedy tokens that PyTorch computes in f32.

    python golden.py TOKENIZER OUT
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import export
import scenes
import tokens
import uhd
from model import Model, Shape

SIZE, MOST, STEPS, SEED = 70, 6, 16, int(sys.argv[3]) if len(sys.argv) > 3 else 33
QUESTIONS = ["Read the text.", "How many shapes are there?"]


@torch.no_grad()
def sample(model, tokenizer, picture, question):
    made = uhd.plan(*picture.size, MOST, SIZE)
    slices, overview = uhd.cut(picture, made)
    tensor = lambda array: None if array is None else torch.from_numpy(array)[None]
    encoded = model.encode(tensor(slices), tensor(overview))
    rows = model.rows(encoded, made.grid, 1)
    lm = model.language_model
    before = tokenizer.encode(question).ids + [tokenizer.token_to_id(tokens.ANSWER)]
    x = torch.cat((rows[0], lm.embed_tokens(torch.tensor(before))))
    caches, first, out, margins = [[] for _ in lm.layers], 0, [], []
    while len(out) < STEPS:
        logits = lm.logits(lm(x[None], first, caches)[0, -1])
        best = logits.topk(2)
        margins.append((best.values[0] - best.values[1]).item())
        out.append(best.indices[0].item())
        first += len(x)
        x = lm.embed_tokens(torch.tensor(out[-1:]))
    placed = [part for part in model.placed(encoded, made.grid, 1) if part is not None]
    features = torch.cat([part.reshape(-1, part.shape[-1]) for part in placed])
    return {"features": features.contiguous(), "generated_ids": torch.tensor(out)}, min(margins), made


def main():
    tokenizer_file, out = Path(sys.argv[1]), Path(sys.argv[2])
    tokenizer = tokens.load(tokenizer_file)
    torch.manual_seed(SEED)
    shape = Shape(64, 16, tower_layers=2, tower_mlp=96, side=3, reader_heads=2, layers=2, mlp=96, vocab=tokens.VOCAB,
                  rotary=8, place=20)  # fmt: skip
    mark = lambda text: tokenizer.encode(text).ids[0]
    model = Model(shape, mark(","), mark("\n"), tokenizer.token_to_id(tokens.START)).eval()
    for name, p in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight", "place_proj.weight")):
            torch.nn.init.normal_(p, std=3 * p.shape[1] ** -0.5)
        if "norm" in name or "ln_" in name:
            torch.nn.init.normal_(p, 1.0 if name.endswith("weight") else 0.0, 0.2)
        if "embed_tokens" in name:
            torch.nn.init.normal_(p, std=0.05)
    export.write(model, tokenizer_file, out, torch.float32, SIZE, MOST)
    samples, rng = [], random.Random(3)
    for i, (kind, size) in enumerate((("notice", (150, 101)), ("shapes", (61, 47)))):
        scene = scenes.make(rng, kind, size)
        name, expected = f"image_{i}.png", f"expected_{i}.safetensors"
        scene.picture.save(out / name)
        tensors, margin, made = sample(model, tokenizer, scene.picture, QUESTIONS[i])
        save_file(tensors, str(out / expected))
        print(name, made, tensors["generated_ids"].tolist(), f"least margin {margin:.4f}")
        spread = float(np.abs(tensors["features"].numpy()).max())
        stages = {"features": {"suggested_atol": 2e-5 * max(1.0, spread)}}
        samples.append({"images": [name], "question": QUESTIONS[i], "expected": expected, "stages": stages})
    case = {"name": "omma_demo", "made_by": "tools/demo-model/golden.py", "torch": torch.__version__, "samples": samples}
    (out / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main()
