"""What `cargo run --example answers` does, by PyTorch in f32: answers.py STATE PICTURES [auto] [none] > ANSWERS.

A picture that the first tiling leaves whole is answered about once.
"""

import json
import sys
from pathlib import Path

import torch
from PIL import Image

import export
import tokens
import uhd

LONGEST = 128


@torch.no_grad()
def answer(model, tokenizer, picture, question, most):
    """Greedy ids, the end token among them."""
    made = uhd.plan(*picture.size, most)
    tensor = lambda array: None if array is None else torch.from_numpy(array.copy())[None]
    encoded = model.encode(*(tensor(part) for part in uhd.cut(picture, made)))
    lm, end = model.language_model, tokenizer.token_to_id(tokens.END)
    before = tokenizer.encode(question).ids + [tokenizer.token_to_id(tokens.ANSWER)]
    x = torch.cat((model.rows(encoded, made.grid, 1)[0], lm.embed_tokens(torch.tensor(before))))
    caches, first, ids = [[] for _ in lm.layers], 0, []
    while len(ids) < LONGEST and (not ids or ids[-1] != end):
        ids.append(lm.logits(lm(x[None], first, caches)[0, -1]).argmax().item())
        first += len(x)
        x = lm.embed_tokens(torch.tensor(ids[-1:]))
    return ids


def main():
    model, tokenizer = export.restore(Path(sys.argv[1]))
    folder, tilings = Path(sys.argv[2]), sys.argv[3:] or ["auto"]
    for line in (folder / "pictures.jsonl").read_text().splitlines():
        asked = json.loads(line)
        picture = Image.open(folder / asked["file"]).convert("RGB")
        for tiling in tilings:
            ids = answer(model, tokenizer, picture, asked["question"], 1 if tiling == "none" else uhd.MOST)
            entry = {"file": asked["file"], "tiling": tiling, "answer": tokenizer.decode(ids), "ids": ids}
            print(json.dumps(entry), flush=True)
            if uhd.plan(*picture.size).grid is None:
                break


if __name__ == "__main__":
    main()
