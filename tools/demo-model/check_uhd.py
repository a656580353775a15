"""Compares uhd.py with `omma tiles` for random sizes: check_uhd.py OMMA [COUNT]."""

import json
import random
import subprocess
import sys

import uhd

omma, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
rng = random.Random(5)
sizes = [(rng.randint(20, 1600), rng.randint(20, 1600)) for _ in range(count)]
policy = f"uhd:max={uhd.MOST},size={uhd.SIZE},patch={uhd.PATCH}"
names = [f"{w}x{h}" for w, h in sizes]
told = subprocess.run([omma, "tiles", "--policy", policy, "--json", *names], capture_output=True, check=True)
wrong = 0
for size, picture in zip(sizes, json.loads(told.stdout)["pictures"]):
    made = uhd.plan(*size)
    slices = {tuple(tile["out"]) for tile in picture["tiles"]}
    same = (tuple(picture["grid"]) if picture["tiles"] else None) == made.grid
    same = same and slices == ({made.slice} if made.grid else set()) and len(picture["tiles"]) == made.slices
    same = same and tuple(picture["overview"]["out"]) == made.overview
    if not same:
        wrong += 1
        print(size, made, picture["grid"], slices, picture["overview"])
print(f"{count - wrong} of {count} sizes agree")
sys.exit(wrong > 0)
