"""Scores answers: score.py PICTURES ANSWERS [OTHER].

PICTURES is a folder of pictures.py, ANSWERS what `cargo run --example answers` or answers.py wrote for it; with OTHER also
says how many answers have the same tokens in both.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

BANDS = [(12, 12), (13, 14), (15, 18), (19, 26), (27, 99)]


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def scores(wanted, answers):
    """{(tiling, what, band or ''): [right, all]}."""
    table = defaultdict(lambda: [0, 0])

    def count(key, right):
        table[key][0] += right
        table[key][1] += 1

    for answer in answers:
        want = wanted[answer["file"]]
        tiling, font = answer["tiling"], ", unseen font" if want["unseen_font"] else ""
        if want["question"] == "Read the text.":
            got = answer["answer"].split("\n")
            where = "lines on pages" if want["kind"] == "page" else "lines on small pictures"
            for i, (line, height) in enumerate(zip(want["answer"].split("\n"), want["heights"])):
                right = i < len(got) and got[i] == line
                low, high = next(band for band in BANDS if band[0] <= height <= band[1])
                count((tiling, where + font, f"{low}-{high} px"), right)
                if height >= 13:
                    count((tiling, where + font, "13 px and more"), right)
                count((tiling, where + font, ""), right)
        else:
            right = answer["answer"].strip() == want["answer"]
            what = want["question"].split()[1] if want["question"].startswith("What") else want["question"].split()[0]
            names = {"the": "totals", "is": "totals", "shapes": "shapes", "How": "counts", "Describe": "descriptions"}
            count((tiling, names[what] + font, ""), right)
    return table


def main():
    wanted = {row["file"]: row for row in rows(Path(sys.argv[1]) / "pictures.jsonl")}
    table = scores(wanted, rows(Path(sys.argv[2])))
    for (tiling, what, band), (right, total) in sorted(table.items()):
        print(f"{tiling:8} {what:40} {band:16} {right:5} of {total:5}  {right / total:6.1%}")
    if len(sys.argv) > 3:
        key = lambda answer: (answer["file"], answer["tiling"])
        ids = [{key(answer): answer["ids"] for answer in rows(Path(name))} for name in sys.argv[2:4]]
        both = ids[0].keys() & ids[1].keys()
        print(f"{sum(ids[0][k] == ids[1][k] for k in both)} of {len(both)} answers have the same tokens")


if __name__ == "__main__":
    main()
