"""Puts together what measure-gpu.sh wrote: OUT/report.json and OUT/report.md, from what is there of OUT/raw.

    python3 tools/measure_report.py OUT
"""

import json
import pathlib
import sys

# Steps whose standard output is the JSON of `omma bench`.
BENCHES = ["ceilings", "kernels", "vit", "vit_f16", "llama_f16", "llama_bf16"]
PEERS = ["f32", "tf32", "f16", "bf16"]


def text(path):
    return path.read_text(errors="replace") if path.exists() else ""


def loaded(path):
    """The JSON of a file; None where the step was stopped or wrote none."""
    try:
        return json.loads(text(path))
    except ValueError:
        return None


def steps(raw):
    names = ("name", "how", "status", "seconds")
    lines = [dict(zip(names, line.split())) for line in text(raw / "steps").splitlines()]
    return [{**s, "status": int(s["status"]), "seconds": int(s["seconds"])} for s in lines]


def card(raw):
    lines = text(raw / "card.txt").strip().splitlines()
    if lines and "," in lines[0]:
        return ", ".join(lines[1].split(", ")) if len(lines) > 1 else ""
    named = [line.strip() for line in lines if line.strip().startswith(("deviceName", "driverInfo"))]
    return ", ".join(line.split("=", 1)[1].strip() for line in named)


def collect(out):
    raw = out / "raw"
    about = dict(line.split(" ", 1) for line in text(raw / "about").splitlines())
    found = {"format": 1, **about, "card": card(raw), "steps": steps(raw)}
    benches = {name: loaded(raw / f"{name}.txt") for name in BENCHES}
    found["benches"] = {name: bench["rows"] for name, bench in benches.items() if bench}
    found["adapter"] = next((bench["adapter"] for bench in benches.values() if bench), about.get("adapter", ""))
    for name in ("test", "conformance", "perf"):
        rows = loaded(raw / f"{name}.json")
        if rows:
            found[name] = rows["rows"]
    peer = loaded(raw / "torch.json")
    if peer:
        found["torch"] = peer
    return found


def counted(rows):
    """Passes, failures and what is unsupported, in words."""
    count = lambda status: sum(row["status"] == status for row in rows)
    contested = sum(row["status"] == "fail" and row.get("contested", False) for row in rows)
    failed = count("fail") - contested
    more = f", {contested} contested" if contested else ""
    return f"{count('pass')} passed, {failed} failed{more}, {count('unsupported')} unsupported"


def number(value):
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def rate(row):
    return f"{number(row['gflops'])} GFLOP/s" if row["flops"] else f"{number(row['gbps'])} GB/s"


def peer_of(row, peers):
    """PyTorch's rows for one of ours: of its own name, without the type of weights."""
    name = row["name"].removesuffix(" f16").removesuffix(" bf16")
    return peers.get(name, {})


def table(found):
    """A line a row: ours, its share of the adapter's own ceiling, and PyTorch's times beside it."""
    peers = {}
    for row in found.get("torch", {}).get("rows", []):
        peers.setdefault(row["name"], {})[row["dtype"]] = row.get("ms")
    types = [t for t in PEERS if any(t in row for row in peers.values())]
    head = ["row", "types", "ms", "rate", "of ceiling"] + [f"PyTorch {t}, ms" for t in types]
    if types:
        head.append("ms over PyTorch of the weights type")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    rows = [row for name in BENCHES if name != "ceilings" for row in found["benches"].get(name, [])]
    for row in rows:
        cells = [row["name"], row["dtype"], number(row["ms"]), rate(row), f"{100 * row['of_ceiling']:.0f} %"]
        peer = peer_of(row, peers)
        cells += [number(peer[t]) if peer.get(t) else "-" for t in types]
        if types:
            same = peer.get(row["dtype"].rsplit(" ", 1)[-1])
            cells.append(f"{row['ms'] / same:.2f}" if same else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return lines if rows else ["No timing was finished."]


def perf(found):
    lines = ["| row | ms | of ceiling |", "|---|---|---|"]
    timed = [row for row in found.get("perf", []) if row.get("ms")]
    for row in sorted(timed, key=lambda row: row.get("of_ceiling") or 0.0):
        share = f"{100 * row['of_ceiling']:.0f} %" if row.get("of_ceiling") else "-"
        lines.append(f"| {row['name']} | {number(row['ms'])} | {share} |")
    return ["", f"### Rows of kernels-test perf, the slowest share first", "", *lines] if timed else []


def page(found):
    lines = [f"## {found['adapter']}", ""]
    torch = found.get("torch")
    peer = f" PyTorch {torch['torch']} on {torch['device']}, eager." if torch else " No PyTorch was measured."
    card = f" Card and driver: {found['card']}." if found["card"] else ""
    lines.append(f"{found.get('date', '')}, {found['adapter']}, commit {found.get('commit', '')}: `{found.get('command', '')}`.{card}{peer}")
    lines.append("")
    for name, what in (("test", "Kernels against their oracles"), ("conformance", "Conformance packs")):
        if name in found:
            lines.append(f"* {what}: {counted(found[name])}.")
    for row in found["benches"].get("ceilings", []):
        lines.append(f"* {row['name']}: {rate(row)}.")
    for step in found["steps"]:
        if step["how"] != "ran" or step["status"] != 0:
            why = {124: "stopped at its limit of time", 137: "stopped at its limit of time", 130: "interrupted"}
            reason = step["how"] if step["how"] != "ran" else why.get(step["status"], f"ended with {step['status']}")
            lines.append(f"* Not complete: {step['name']} ({reason}).")
    failures = [row for name in ("test", "conformance") for row in found.get(name, []) if row["status"] == "fail"]
    for row in failures[:20]:
        lines.append(f"* Failed: {row.get('name') or row.get('id')}: {row.get('note') or row.get('reason')}")
    return "\n".join([*lines, "", *table(found), *perf(found)]) + "\n"


def main():
    out = pathlib.Path(sys.argv[1])
    found = collect(out)
    (out / "report.json").write_text(json.dumps(found, indent=1) + "\n")
    (out / "report.md").write_text(page(found))
    print(out / "report.md")


if __name__ == "__main__":
    main()
