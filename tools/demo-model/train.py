"""Trains the demo model on the CPU; goes on where it stopped.

    python train.py STATE [--threads 2] [--hours H]

STATE is a folder outside the repository: tokenizer.json, state.pt (model, optimiser, place in the data), log.jsonl.
Stop it with SIGINT or SIGTERM; it saves every five minutes and when it is stopped.
"""

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import random
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import data
import scenes
import tokens
from data import STAGES
from grid import OnGrid
from model import CELL_PARTS, GLYPHS, PATCH_PARTS, Model, Shape

SAVE_SECONDS, TEST_SECONDS = 300, 900
GLYPHS_OF_A_BATCH = 6000
# What a head that is told where to look counts, beside the text.
GUIDE = 0.3
# What each token of an answer of one number counts: there are two of them beside dozens that are read.
NUMBER = 5.0
# And what the first token of a line or of a shape does, where the model looks for a new place and all that follows hangs
# on it: for the text, and for the heads that are told where to look.
FIRST = 4.0


class Muon:
    """Momentum, made orthogonal, for matrices (Jordan et al. 2024); Adam for everything else. The decoder, and tower and
    resampler ("encoder") have each their own, so that a batch can leave one of them alone."""

    def __init__(self, model):
        self.parts = {}
        for name, p in model.named_parameters():
            part = "decoder" if name.startswith(("language_model", "place_proj")) else "encoder"
            matrices, others = self.parts.setdefault(part, ({}, []))
            if p.ndim == 2 and any(kind in name for kind in (".layers.", "_proj.weight", "resampler.proj")):
                matrices.setdefault(tuple(p.shape), []).append(p)
            else:
                others.append(p)
        self.momentum, self.adam = {}, {}
        for part, (matrices, others) in self.parts.items():
            self.momentum[part] = {shape: torch.zeros(len(ps), *shape) for shape, ps in matrices.items()}
            self.adam[part] = torch.optim.AdamW(others, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)

    @torch.no_grad()
    def step(self, part, rate):
        """`rate`: 1 at full speed. Parameters without a gradient are left alone."""
        matrices, others = self.parts[part]
        for shape, ps in matrices.items():
            grads = torch.stack([torch.zeros_like(p) if p.grad is None else p.grad for p in ps])
            momentum = self.momentum[part][shape]
            momentum.lerp_(grads, 0.05)
            update = orthogonal(grads.lerp_(momentum, 0.95))
            scale = 0.02 * rate * max(1, shape[0] / shape[1]) ** 0.5
            for p, u in zip(ps, update):
                p.mul_(1 - 0.0005 * rate).add_(u, alpha=-scale)
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for group in self.adam[part].param_groups:
            group["lr"] = 3e-3 * rate
        self.adam[part].step()

    def state_dict(self):
        return {"momentum": self.momentum, "adam": {part: adam.state_dict() for part, adam in self.adam.items()}}

    def load_state_dict(self, state):
        self.momentum = state["momentum"]
        for part, adam in self.adam.items():
            adam.load_state_dict(state["adam"][part])


def orthogonal(g, steps=5):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


def glyph_loss(logits, labels, rows):
    """Mean loss over parts with a character and a few without; and the share of characters named right."""
    labels = torch.from_numpy(labels).long().reshape(-1)
    present = labels > 0
    chosen = present | (torch.rand(len(labels)) < 0.15)
    logits = logits.float().reshape(-1, GLYPHS)[chosen]
    loss = F.cross_entropy(logits, labels[chosen], reduction="none")
    # Shapes are few beside characters.
    weight = torch.where(present[chosen], torch.where(labels[chosen] >= scenes.SHAPE_CLASS, 10.0, 1.0), 0.5)
    right = (logits.argmax(-1) == labels[chosen])[present[chosen]].float()
    return (loss * weight).sum() / weight.sum().clamp(min=1), right.mean().item() if len(right) else math.nan


def weighted(logits, target, weight):
    return (F.cross_entropy(logits, target, reduction="none") * weight).sum() / weight.sum()


def forward(model, batch, teach=1.0):
    """Losses and shares of right answers; `teach`: how much the text teaches the tower and the resampler, which are only
    looked through where it does not."""
    slices = None if batch["slices"] is None else torch.from_numpy(batch["slices"])
    learns = torch.is_grad_enabled() and (batch["share"] == "dense" or teach > 0)
    with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(learns):
        encoded = model.encode(slices, torch.from_numpy(batch["overview"]))
        features, queries = encoded[0]
        patch, patch_right = glyph_loss(model.patch_head(features), batch["patch"], PATCH_PARTS)
        cell, cell_right = glyph_loss(model.cell_head(queries.float()), batch["cell"], CELL_PARTS)
        if batch["share"] == "dense":
            return (patch * 0, patch, cell), (math.nan, patch_right, cell_right, math.nan)
    with torch.autocast("cpu", torch.bfloat16):
        ids, target = torch.from_numpy(batch["ids"]), torch.from_numpy(batch["target"])
        if teach < 1:
            encoded = [(None, teach * queries + (1 - teach) * queries.detach()) for _, queries in encoded]
        hidden, scores = model(encoded, batch["grid"], ids)
        wanted = target >= 0
        logits = model.language_model.logits(hidden[wanted]).float()
    first = torch.isin(ids, torch.from_numpy(batch["marks"]))
    weight = torch.where(wanted.sum(1, keepdim=True) <= 2, NUMBER, torch.where(first, FIRST, 1.0))
    text = weighted(logits, target[wanted], weight[wanted])
    right = (logits.argmax(-1) == target[wanted]).float().mean().item()
    found = math.nan
    for score, rows in zip(scores, (batch["here"], batch["next"])):
        rows = torch.from_numpy(rows)
        known = rows >= 0
        if known.any():
            text = text + GUIDE * weighted(score[known], rows[known], weight[known])
            found = (score[known].argmax(-1) == rows[known]).float().mean().item()
    return (text, patch, cell), (right, patch_right, cell_right, found)


@torch.no_grad()
def answer(model, batch, tokenizer):
    """Greedy answers, token by token, of a batch whose questions have one length each."""
    slices = None if batch["slices"] is None else torch.from_numpy(batch["slices"])
    lm, end = model.language_model, tokenizer.token_to_id(tokens.END)
    with torch.autocast("cpu", torch.bfloat16):
        encoded = model.encode(slices, torch.from_numpy(batch["overview"]))
        rows = model.rows(encoded, batch["grid"], len(batch["ids"]))
    answers = []
    for row, (before, *_) in zip(rows, batch["asked"]):
        x, caches, out, first = torch.cat((row, lm.embed_tokens(torch.tensor(before)).float())), None, [], 0
        caches = [[] for _ in lm.layers]
        while len(out) < data.LONGEST:
            with torch.autocast("cpu", torch.bfloat16):
                hidden = lm(x[None], first, caches)
                best = lm.logits(hidden[0, -1]).argmax().item()
            if best == end:
                break
            out.append(best)
            first += len(x)
            x = lm.embed_tokens(torch.tensor([best])).float()
        answers.append(tokenizer.decode(out))
    return answers


def test(model, source, tokenizer, stage):
    """Token accuracy and exact lines on fixed pictures that training does not see."""
    report = {}
    model.eval()
    for share in STAGES[stage].shares:
        right = []
        exact = total = 0
        for i in range(2):
            batch = source.batch(stage, i, count=2 if share == "pages" else 8, share=share)
            with torch.no_grad():
                right.append(forward(model, batch)[1])
            if share == "dense":
                continue
            for got, (_, after, *_) in zip(answer(model, batch, tokenizer), batch["asked"]):
                want = tokenizer.decode(after[:-1]).split("\n")
                exact += sum(a == b for a, b in zip(want, got.split("\n")))
                total += len(want)
        means = np.array(right).mean(0) if share == "dense" else np.nanmean(np.array(right), 0)
        report[share] = [round(float(x), 3) for x in means] + ([round(exact / total, 3)] if total else [])
    model.train()
    return report


def work(path, stage, first, queue):
    """The process that renders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, i = data.Source(path), first
    while os.getppid() > 1:
        batch = source.batch(stage.value, i)
        batch["scenes"] = batch["asked"] = None
        queue.put(batch)
        i += 1


def main():
    warnings.filterwarnings("ignore", "Mean of empty slice")  # A window without a kind of batch, an answer without text.
    parser = argparse.ArgumentParser()
    parser.add_argument("state", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--hours", type=float, default=1e9)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--decay", type=float, default=0, help="million units over which the rate falls to 0 from here")
    parser.add_argument("--grid", action="store_true", help="matrices stand on the grid of q8_0 in every batch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.state.mkdir(parents=True, exist_ok=True)
    path = args.state / "tokenizer.json"
    if not path.exists():
        tokens.train(path)
    tokenizer = tokens.load(path)
    comma, line = (tokenizer.encode(mark).ids for mark in (",", "\n"))
    torch.manual_seed(1)
    model = Model(Shape(vocab=tokens.VOCAB), comma[0], line[0], tokenizer.token_to_id(tokens.START))
    optimiser = Muon(model)
    place = {"step": 0, "cost": 0.0, "seconds": 0.0}
    saved = args.state / "state.pt"
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        model.load_state_dict(state["model"])
        if "encoder" in state["optimiser"]["momentum"]:
            optimiser.load_state_dict(state["optimiser"])
        place = state["place"]
    at = lambda: next(i for i, stage in enumerate(STAGES) if place["cost"] / 1e6 < stage.until)
    stage, queue = multiprocessing.Value("i", at()), multiprocessing.Queue(6)
    worker = multiprocessing.Process(target=work, args=(path, stage, place["step"], queue), daemon=True)
    worker.start()
    stopped = []
    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, lambda *_: stopped.append(1))

    def save():
        new = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "place": place}
        torch.save(new, args.state / "state.new")
        os.replace(args.state / "state.new", saved)

    def log(entry):
        print(json.dumps(entry), flush=True)
        with open(args.state / "log.jsonl", "a") as file:
            file.write(json.dumps(entry) + "\n")

    unseen_data = data.Source(path, seed="test")
    place["grid"] = args.grid
    start = last_save = last_test = time.time()
    window, from_cost = {}, place["cost"]
    log({"parameters": sum(p.numel() for p in model.parameters()), **place})
    while not stopped and time.time() - start < args.hours * 3600:
        batch = queue.get()
        began = time.time()
        rate = args.rate * STAGES[stage.value].rate * min(1, (place["step"] + 1) / 100)
        if args.decay:
            rate *= max(0.0, 1 - (place["cost"] - from_cost) / (args.decay * 1e6))
        # A step of Muon is as long whatever the gradient, so a batch weighs what it has to say.
        weight = min(1.0, (batch["patch"] > 0).sum() / GLYPHS_OF_A_BATCH)
        looked_through = batch["share"] in STAGES[stage.value].looked_through.split()
        full, teach = batch["share"] == "dense", 0 if looked_through else STAGES[stage.value].teach
        with OnGrid(model) if args.grid else contextlib.nullcontext():
            (text, patch, cell), right = forward(model, batch, teach)
            (text + weight * (patch + cell)).backward()
        # Few glyphs or a decoder that learns to read make steps of the tower that are mostly noise: they are rare or short.
        if full or teach:
            optimiser.step("encoder", rate * (1 if full else 0.5 * teach))
        if not full:
            optimiser.step("decoder", rate)
        model.zero_grad(set_to_none=True)
        took = time.time() - began
        place["step"] += 1
        place["cost"] += batch["cost"]
        place["seconds"] += took
        stage.value = at()
        window.setdefault(batch["share"], []).append((text.item(), *right, batch["cost"], batch["patches"], took))
        if place["step"] % 50 == 0:
            entry = {"step": place["step"], "Mcost": round(place["cost"] / 1e6, 2), "stage": STAGES[stage.value].name}
            for share, rows in window.items():
                mean = np.nanmean(np.array(rows)[:, :5], 0)
                entry[share] = [len(rows)] + [round(float(x), 3) for x in mean]
            rows = np.array([row[5:] for rows in window.values() for row in rows])
            entry["cost/s"] = int(rows[:, 0].sum() / rows[:, 2].sum())
            entry["minutes"] = round(place["seconds"] / 60, 1)
            log(entry)
            window = {}
        if time.time() - last_test > TEST_SECONDS:
            log({"test": test(model, unseen_data, tokenizer, stage.value), "step": place["step"]})
            last_test = time.time()
        if time.time() - last_save > SAVE_SECONDS:
            save()
            last_save = time.time()
    save()
    worker.terminate()


if __name__ == "__main__":
    main()
