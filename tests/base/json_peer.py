"""What Python's json says of each text of a corpus; test_json_python.c compares.

usage: json_peer.py CORPUS    the corpus holds records: length in decimal, newline, that many bytes
prints one line per record: "bad", "strict RULE" (Python takes it, weft's rules do not), or "ok" and the value
written again with separators ",", ":".
"""
import json
import math
import sys

MAX_DEPTH = 128
sys.set_int_max_str_digits(0)
sys.setrecursionlimit(100000)


class Strict(Exception):
    pass


def object_of(pairs):
    keys = [k for k, _ in pairs]
    value = dict(pairs)
    if len(value) != len(keys):
        raise Strict("JS4")
    return value


def constant(name):
    raise Strict("JS2")


def check(value, depth=0):
    if isinstance(value, str):
        if any(0xD800 <= ord(c) <= 0xDFFF for c in value):
            raise Strict("JS5")
    elif isinstance(value, float):
        if math.isinf(value):
            raise Strict("JS6")
    elif isinstance(value, int) and not isinstance(value, bool):
        try:
            float(value)
        except OverflowError:
            raise Strict("JS6") from None
    elif isinstance(value, (list, dict)):
        if depth >= MAX_DEPTH:
            raise Strict("JS3")
        for item in value:
            check(item, depth + 1)
        if isinstance(value, dict):
            for item in value.values():
                check(item, depth + 1)


def verdict(data):
    try:
        text = data.decode("utf-8")
        if text.startswith("\ufeff"):
            text = text[1:]         # weft skips one mark
        json.loads(text)
    except (ValueError, RecursionError):
        return "bad"
    try:
        value = json.loads(text, object_pairs_hook=object_of, parse_constant=constant)
        check(value)
    except Strict as rule:
        return f"strict {rule}"
    return "ok " + json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main():
    out = sys.stdout.buffer
    with open(sys.argv[1], "rb") as corpus:
        while line := corpus.readline():
            out.write(verdict(corpus.read(int(line))).encode("utf-8") + b"\n")


main()
