#!/usr/bin/env python3
"""The rules of docs/dataset.md once more, in Python and as plainly as possible: what the C reader is compared with.

    screenplay.py MODE TURNS ROLE FILE...     prints one JSON array per row: [[prompt, answer, prompt, answer ...], line, last_line]

Only the standard library; settings other than mode and turns are read from WEFT_ORACLE as a JSON object
({"alias": ["a=b,c"], "min_answer_chars": 4 ...}).
"""
import json
import os
import re
import sys
import unicodedata
from collections import Counter, OrderedDict

SPACE = " \t\r\n\v\f\u00a0\u3000\u200b\ufeff\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\x85"
NUM = "[0-9０-９零〇一二两三四五六七八九十百千]+"
W = "[" + re.escape(SPACE) + "]*"
TITLE = "(?:[" + re.escape(SPACE) + "]+[^：:∶﹕。！？!?；;]{1,40})?"
EPISODE = re.compile(f"第{W}({NUM}){W}集(?:{W}[（(]续[)）])?(?:{W}[：:∶﹕])?(?:{W}[^：:∶﹕。！？!?；;]{{1,40}})?")
SCENE = re.compile(f"第{W}({NUM}){W}[,，]?{W}(?:幕|场|秒)(?:{W}([（(]续[)）]))?(?:{W}[：:∶﹕])?{TITLE}")
STAGE = set("时间 地点 人物 场景 道具 布景 景 出场人物 登场人物 旁白 画外音 字幕".split())
EVERYONE = set("大家 所有人 全体 齐声 同声 合 二人 两人 三人 四人 几人 其他人 其余人 人们".split())
OPEN, CLOSE = "(（", ")）"
COLON = "：:∶﹕"
NOT_NAME = set("。！？!?，,；;：:∶﹕…“”\"「」『』《》【】（）()")
ENDING = "。．！？!?.，,；;…—～~"
SELF = "朕 寡人 哀家 本宫 臣妾 嫔妾 妾身 奴婢 奴才 微臣 老臣 儿臣 草民 民女 末将 属下 卑职 下官 老身 老夫 贫僧 贫道 小人 小的".split()


def strip(s):
    return s.strip(SPACE)


def number(s):
    s = unicodedata.normalize("NFKC", s)
    if re.fullmatch(r"\d+", s):
        return int(s)
    total, digit = 0, None
    if re.fullmatch("[零〇一二两三四五六七八九0-9]+", s):
        return int("".join(str("零一二三四五六七八九".find(c.replace("〇", "零").replace("两", "二"))) if not c.isdigit() else c for c in s))
    for c in s:
        if c in "十百千":
            total += (1 if digit is None else digit) * {"十": 10, "百": 100, "千": 1000}[c]
            digit = None
        elif c in "零〇":
            digit = None
        else:
            digit = int(c) if c.isdigit() else "零一二三四五六七八九".find(c.replace("两", "二"))
    return total + (digit or 0)


def match_bracket(s, i):
    """Index of the bracket that closes the one at i, or -1."""
    depth = 0
    for k in range(i, len(s)):
        if s[k] in OPEN:
            depth += 1
        elif s[k] in CLOSE:
            depth -= 1
            if depth == 0:
                return k
    return -1


def whole_in_brackets(s):
    if s[0] not in OPEN:
        return False
    if not any(c in CLOSE for c in s):
        return True
    end = match_bracket(s, 0)
    return s[-1] in CLOSE and (end == -1 or end == len(s) - 1)


def clean_name(s):
    s = strip(s)
    if any(c in SPACE for c in s):
        parts = [p for p in re.split("[" + re.escape(SPACE) + "]+", s) if p]
        han = all(ord(c) >= 0x2E80 for p in parts for c in p)
        s = ("" if han else " ").join(parts)
    return s


def dialogue(s):
    """(name, kind, text) for `name dir* [,]? sep text`, kind ':' ';' or ','; else None."""
    i = 0
    while i < len(s) and s[i] not in NOT_NAME:
        i += 1
    name = clean_name(s[:i])
    latin = all(ord(c) < 0x2E80 for c in name)
    if not 1 <= len(name) <= (32 if latin else 12) or len(name.split(" ")) > 3 or not any(unicodedata.category(c).startswith("L") for c in name):
        return None
    while True:
        while i < len(s) and s[i] in SPACE:
            i += 1
        if i < len(s) and s[i] in OPEN:
            k = match_bracket(s, i)
            if k < 0:
                return None
            i = k + 1
        else:
            break
    if i == len(s):
        return None
    k = i
    if s[k] in "，,":
        k += 1
        while k < len(s) and s[k] in SPACE:
            k += 1
    if k < len(s) and s[k] in COLON:
        while k < len(s) and (s[k] in COLON or s[k] in SPACE):
            k += 1
        return name, ":", s[k:]
    if s[i] in "；;":
        return name, ";", s[i + 1:]
    if s[i] in "，,？?":
        return name, ",", s[i + 1:]
    return None


def joined(a, b):
    latin = lambda c: ord(c) < 0x2E80 and not 0x2010 <= ord(c) <= 0x205E
    return a + (" " if latin(a[-1]) and latin(b[0]) else "") + b


class Script:
    def __init__(self, files, role, opt):
        self.role, self.opt = role, opt
        self.alias = {}
        group = None
        for item in ",".join(opt.get("alias", [])).replace("，", ",").split(","):
            if not strip(item):
                continue
            if "=" in item:
                group, item = item.split("=", 1)
                group = strip(group)
                self.alias.setdefault(group, [(group, None)])
            name, _, span = strip(item).partition("@")
            rng = None
            if span:
                a, _, b = span.partition("-")
                rng = (int(a), int(b) if b else (10**9 if "-" in span else int(a)))
            self.alias.setdefault(name, []).append((group, rng))
        if role in self.alias:
            self.role = self.alias[role][0][0]
        self.files = files
        self.count = Counter()
        for _, lines in files:
            for raw in lines:
                s = strip(raw)
                if not s or EPISODE.fullmatch(s) or SCENE.fullmatch(s) or whole_in_brackets(s) or s[0] in "△▲" or (s[0] == "【" and s[-1] == "】"):
                    continue
                d = dialogue(s)
                if d and d[1] == ":":
                    self.count[d[0]] += 1
        self.chains = {}
        atoms = set()
        for name in sorted((n for n in self.count), key=lambda n: (len(n), n)):
            parts = None if name in self.alias or name == self.role or name == role else self.chain(name, atoms)
            if parts:
                self.chains[name] = parts
            elif self.count[name] >= 2 and len(name) >= 2:
                atoms.add(name)
        self.atoms = atoms

    def chain(self, name, atoms):
        """Fewest atoms, longest first, that make up the name."""
        best = {len(name): []}
        for i in range(len(name) - 1, -1, -1):
            for k in range(len(name), i, -1):
                part = name[i:k]
                if part in atoms and part != name and k in best and self.count[part] >= self.count[name]:
                    if i not in best or len(best[k]) + 1 < len(best[i]):
                        best[i] = [part] + best[k]
        return best.get(0) if len(best.get(0, [])) >= 2 else None

    def resolve(self, name, episode):
        """(tuple of canonical names, chorus?)"""
        if re.search("[、&＆/／]", name):
            parts = [strip(p) for p in re.split("[、&＆/／]", name)]
            parts = [p for p in parts if p]
            if len(parts) >= 2:
                return tuple(OrderedDict.fromkeys(self.canonical(p, episode) for p in parts)), True
        if name in self.alias or name == self.role:
            return (self.canonical(name, episode),), False
        if name[0] == "众" or name in EVERYONE:
            return (name,), True
        parts = self.chains.get(name)
        if parts is None and name not in self.count:
            parts = self.chain(name, self.atoms)
        if parts:
            return tuple(OrderedDict.fromkeys(self.canonical(p, episode) for p in parts)), True
        return (name,), False

    def canonical(self, name, episode):
        for head, rng in self.alias.get(name, []):
            if rng is None or (rng[0] <= episode <= rng[1]):
                return head
        return name

    def known(self, name):
        if self.count[name] >= 2 or name in self.alias or name == self.role or name[0] == "众" or name in EVERYONE or name in self.chains:
            return True
        if re.search("[、&＆/／]", name):
            parts = [strip(p) for p in re.split("[、&＆/／]", name) if strip(p)]
            return len(parts) >= 2 and all(self.known(p) for p in parts)
        return bool(self.chain(name, self.atoms))

    def pieces(self, text, who, flags, episode, depth=0):
        """The turns hidden in one text, in order: [(speakers, chorus, flags, text)]."""
        out, cur, i = [], "", 0
        def flush():
            nonlocal cur
            t = strip(unicodedata.normalize("NFC", cur))
            if t:
                out.append((who[0], who[1], set(flags), t))
            cur = ""
        while i < len(text):
            c = text[i]
            if c in OPEN:
                k = match_bracket(text, i)
                if k >= 0:
                    inner = strip(text[i + 1:k])
                    d = dialogue(inner) if inner and depth < 8 else None
                    if d and d[1] == ":" and d[0] not in STAGE and self.known(d[0]):
                        rest = strip(text[k + 1:])
                        if rest and all(ch in ENDING or ch in SPACE for ch in rest):    # it ends what stands before the aside
                            cur += rest
                            text = text[:k + 1]
                        flush()
                        out += self.pieces(d[2], self.resolve(d[0], episode), (set(flags) - {"continued", "repaired", "review"}) | {"aside"}, episode, depth + 1)
                    i = k + 1
                    continue
            if c == "【":
                k = text.find("】", i)
                if k >= 0:
                    i = k + 1
                    continue
            cur += c
            i += 1
        flush()
        return out

    def scenes(self):
        """[(episode number, [turn])]; a turn is a dict."""
        out, last_number, pending = [], None, True
        speaker, episode, cls = None, 0, []
        for f, (_, lines) in enumerate(self.files):
            pending, episode = True, 0
            for ln, raw in enumerate(lines, 1):
                s = strip(raw)
                if not s:
                    continue
                m = EPISODE.fullmatch(s)
                if m:
                    episode, pending = number(m[1]), True
                    continue
                m = SCENE.fullmatch(s)
                if m:
                    n = number(m[1])
                    if not (m[2] and out and last_number == n):
                        out.append({"episode": episode, "turns": [], "narration": None})
                        speaker = None
                    last_number, pending = n, False
                    continue
                if pending:
                    out.append({"episode": episode, "turns": [], "narration": None})
                    speaker, last_number, pending = None, None, False
                scene = out[-1]
                found = None
                if whole_in_brackets(s):
                    inner = strip(s[1:-1] if s[-1] in CLOSE else s[1:])
                    d = dialogue(inner) if inner else None
                    if d and d[1] == ":" and d[0] not in STAGE and self.known(d[0]):
                        found = self.resolve(d[0], episode), d[2], {"aside"}
                    else:
                        if not scene["turns"] and inner:
                            scene["narration"] = (scene["narration"] + "\n" if scene["narration"] else "") + unicodedata.normalize("NFC", inner)
                        continue
                elif s[0] in "△▲" or (s[0] == "【" and s[-1] == "】" and s.find("】") == len(s) - 1):
                    continue
                elif s[0] in COLON:
                    speaker = (("？",), False)
                    found = speaker, s.lstrip(COLON + SPACE), {"review"}
                else:
                    d = dialogue(s)
                    if d and d[1] == ":" and d[0] in STAGE and d[0] != self.role:
                        continue
                    if d and (d[1] == ":" or self.known(d[0])):
                        flag = {";": {"repaired"}, ",": {"review"}}.get(d[1], set())
                        found = self.resolve(d[0], episode), d[2], flag
                        speaker = found[0]
                    elif speaker:
                        found = speaker, s, {"continued"}
                    else:
                        continue
                for who, chorus, flags, text in self.pieces(found[1], found[0], found[2], episode):
                    self.add(scene["turns"], f, ln, who, chorus, flags, text)
        return out

    def add(self, turns, f, ln, who, chorus, flags, text):
        selfs = {w for w in SELF if w in text}
        t = turns[-1] if turns else None
        if t and t["who"] == who and t["chorus"] == chorus and "review" not in t["flags"] | flags:
            if (f, ln) != t["refs"][-1] and "continued" not in flags:
                t["flags"].add("merged")
            if selfs and t["self"] and not selfs & t["self"]:
                t["flags"].add("self")
            t["text"] = joined(t["text"], text)
            t["self"] |= selfs
            t["flags"] |= flags
            t["refs"].append((f, ln))
        else:
            turns.append(dict(who=who, chorus=chorus, flags=set(flags), text=text, refs=[(f, ln)], self=selfs))

    @staticmethod
    def span(turns):
        """First and last line, both in the file of the last one."""
        refs = [r for t in turns for r in t["refs"]]
        f, last = refs[-1]
        return min(ln for g, ln in refs if g == f), last

    def is_role(self, t):
        return self.role in t["who"]

    def rows(self, turns_mode):
        o = self.opt
        seen = Counter()
        for scene in self.scenes():
            turns = scene["turns"]
            if turns_mode == "pairs":
                for i, t in enumerate(turns):
                    if not self.is_role(t) or (t["chorus"] and not o.get("chorus")):
                        continue
                    if "review" in t["flags"] and not o.get("review"):
                        continue
                    p = turns[i - 1] if i else None
                    asked = p["text"] if p else scene["narration"] if o.get("narration_prompt") else None
                    if not asked or (p and (self.is_role(p) or ("review" in p["flags"] and not o.get("review")))):
                        continue
                    if len(asked) < o.get("min_prompt_chars", 0) or len(t["text"]) < o.get("min_answer_chars", 0):
                        continue
                    seen[asked] += 1
                    if o.get("keep_per_prompt") and seen[asked] > o["keep_per_prompt"]:
                        continue
                    yield ([asked, t["text"]], *self.span([p, t] if p else [t]))
            else:
                session, ask, used, asking = [], [], [], []
                for t in turns + [None]:
                    held = t is None or ("review" in t["flags"] and not o.get("review")) or (self.is_role(t) and t["chorus"] and not o.get("chorus"))
                    if held:
                        if session:
                            yield (session, *self.span(used))
                        session, ask, used, asking = [], [], [], []
                    elif not self.is_role(t):
                        ask.append(t["text"])
                        asking.append(t)
                    elif ask:
                        session += ["\n".join(ask), t["text"]]
                        used += asking + [t]
                        ask, asking = [], []
                    elif session:
                        session[-1] = joined(session[-1], t["text"])
                        used.append(t)
                    elif t is turns[0] and o.get("narration_prompt") and scene["narration"]:
                        session, used = [scene["narration"], t["text"]], [t]


def seed_rows(files, role):
    acts = [[]]
    for _, lines in files:
        acts.append([])
        for ln, raw in enumerate(lines, 1):
            s = strip(raw)
            if not s or s[0] in OPEN:
                continue
            if s.startswith("第") and s.endswith("幕"):
                acts.append([])
                continue
            m = re.search("[" + COLON + "]", s)
            if m:
                acts[-1].append((strip(s[:m.start()]), strip(s[m.end():]), ln))
    for act in acts:
        for i, (name, text, ln) in enumerate(act):
            if role in name and i > 0:
                yield [act[i - 1][1], text], act[i - 1][2], ln


def compat_rows(files, role):
    for _, lines in files:
        before = None
        for ln, raw in enumerate(lines, 1):
            s = strip(raw)
            now = None
            m = re.fullmatch(r"([^：:∶﹕]*)[：:∶﹕](.*)", s)
            if m and s[0] not in OPEN and not any(c in SPACE for c in m[1]) and not EPISODE.fullmatch(s) and not SCENE.fullmatch(s):
                name = re.sub("[（(][^（()）]*[)）]", "", m[1])
                text = re.sub("[（(][^（()）]*[)）]", "", m[2])
                text = strip(re.split("[" + COLON + "]", text)[0])
                if name and text:
                    now = (m[1], text, ln)
            if now and before and now[0] == role:
                yield [before[1], now[1]], before[2], ln
            before = now


def main():
    mode, turns, role, *paths = sys.argv[1:]
    opt = json.loads(os.environ.get("WEFT_ORACLE", "{}"))
    files = []
    for p in paths:
        with open(p, encoding="utf-8-sig", newline=None) as f:
            text = f.read()
        lines = text.split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        files.append((p, lines))
    if mode == "seed":
        rows = seed_rows(files, role)
    elif mode == "huanhuan-compat":
        rows = compat_rows(files, role)
    else:
        rows = Script(files, role, opt).rows(turns)
    for texts, line, last in rows:
        print(json.dumps([texts, line, last], ensure_ascii=False))


if __name__ == "__main__":
    main()
