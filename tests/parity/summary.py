"""What `make parity` found: a line for each thing compared, in the file WEFT_PARITY_SUMMARY, and at the end a table.

    python tests/parity/summary.py step TITLE STATUS    notes that a command ended with this exit status
    python tests/parity/summary.py models FILE          notes the figures that model_test_parity printed
    python tests/parity/summary.py table FILE           prints the table; exit 1 when a line failed, or none was compared
"""

import json
import os
import re
import sys


def add(what, peer, distance, tolerance):
    """Notes one comparison; True when it is within its tolerance (a distance that is no number is not)."""
    ok = bool(distance <= tolerance)
    path = os.environ.get("WEFT_PARITY_SUMMARY")
    print(f"{'ok  ' if ok else 'FAIL'} {what}: {distance:.2g} (at most {tolerance:.2g})", flush=True)
    if path:
        with open(path, "a") as f:
            f.write(json.dumps([what, peer, float(distance), float(tolerance), ok]) + "\n")
    return ok


def show(name, peer, want, got):
    """Both curves."""
    print(f"\n-- {name}: {len(want)} updates, {peer} above, weft below")
    for at in range(0, len(want), 10):
        for values in (want, got):
            print(f"{at + 1:4d}" if values is want else "    ", " ".join(f"{x:10.6f}" for x in values[at : at + 10]))


def models(path):
    with open(path) as f:
        text = f.read()
    found = 0
    for name, what, value in re.findall(r"^(\w+): (logits|worst gradient) ([\d.e+-]+)$", text, re.M):
        found += add(f"{name}: {what}, rel-L2", "transformers", float(value), 1e-5)
    for name, got, least in re.findall(r"^(\w+): bf16 gradients, cosine ([\d.]+) \(at least ([\d.]+)\)$", text, re.M):
        found += add(f"{name}: bf16 gradients, 1 - cosine", "transformers", 1 - float(got), 1 - float(least))
    return 0 if found else 1


def table(path):
    with open(path) as f:
        rows = [json.loads(line) for line in f]
    width = max([len(r[0]) for r in rows] + [4])
    peers = max([len(r[1]) for r in rows] + [4])
    print(f"\n{'what':{width}}  {'peer':{peers}}  {'distance':>9}  {'at most':>9}")
    for what, peer, distance, tolerance, ok in rows:
        print(f"{what:{width}}  {peer:{peers}}  {distance:9.2g}  {tolerance:9.2g}  {'ok' if ok else 'FAIL'}")
    bad = [r for r in rows if not r[4]]
    print(f"{len(rows)} comparisons, {len(bad)} beyond their tolerance")
    return 1 if bad or not rows else 0


def main(verb, *args):
    if verb == "step":
        return 0 if add(args[0] + ": exit status", "", int(args[1]), 0) else 1
    return models(*args) if verb == "models" else table(*args)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
