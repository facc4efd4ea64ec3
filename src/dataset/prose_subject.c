#include "dataset/prose_subject.h"

#include "dataset/marks.h"
#include "dataset/normal.h"
#include "dataset/prose_words.h"

enum { TIGHT_CHARS = 4 };

static const char *const towards[] = { "对",   "向", "跟", "给", "问", "朝", "冲", "告诉", "吩咐",
                                       "劝",   "命", "令", "派", "叫", "让", "请", "把",   "将",
                                       "被",   "使", "见", "看", "骂", "求", "催", "拉着", "指着",
                                       "扶着", "当", "等", "如", "若", "虽", "因" };

static bool is_toward(struct weft_str s)
{
    for (size_t i = 0; i < WEFT_COUNT(towards); i++)
        if (weft_str_starts(s, weft_str_c(towards[i]))) return true;
    return false;
}

static bool is_tight(struct weft_str rest) { return weft_utf8_chars(weft_trim(rest)) <= TIGHT_CHARS; }

static bool is_somebody(struct weft_str s)
{
    static const char *const words[] = { "有人",   "有个人",   "有一个人", "某人",     "谁",
                                         "不知谁", "不知是谁", "一个声音", "有声音",   "一人",
                                         "一个人", "人",       "每人",     "里面的人", "外面的人" };
    for (size_t i = 0; i < WEFT_COUNT(words); i++)
        if (weft_str_starts(s, weft_str_c(words[i])) && (strcmp(words[i], "人") != 0 || s.len == 3))
            return true;
    return false;
}

/* 忽听门里有人叫喊 */
static bool has_somebody(struct weft_str clause)
{
    size_t at = weft_str_find(clause, WEFT_STR("有人"), 0);
    return at != SIZE_MAX && is_tight(weft_str_skip(clause, at + strlen("有人")));
}

/* 猪八戒, when 八戒 is known: a family name and nothing else before it. */
static bool with_family(const struct prose_names *names, struct weft_str s, size_t *n, size_t *known)
{
    uint32_t cp = s.len ? mark_at(s, 0) : 0;
    bool person;
    size_t first = cp >= 0x2E80 ? weft_utf8_offset(s, 1) : 0;
    if (!first || prose_is_predicate(cp) || prose_is_blocked(s)) return false;
    *known = prose_names_begins(names, weft_str_skip(s, first));
    if (*known == SIZE_MAX || prose_is_person(names->items[*known].text)) {
        *known = SIZE_MAX;
        return false;
    }
    *n = first + names->items[*known].text.len;
    if (prose_noun(s, false, &person) == *n) return true;
    *known = SIZE_MAX;
    return false;
}

/* A noun phrase that begins `s`; 0 when there is none, else its length. */
static size_t phrase(const struct prose_names *names, struct weft_str s, struct prose_subject *out)
{
    struct weft_str all = s;
    bool several = false, female, person, determined;
    size_t n, known, skipped;
    *out = (struct prose_subject){ .name_idx = SIZE_MAX };
    if (is_somebody(s)) {
        out->kind = PROSE_SOMEBODY;
        return s.len;
    }
    known = prose_names_begins(names, s);
    n = prose_pronoun(s, &several, &female);
    if (n && known == SIZE_MAX) {
        if (weft_str_starts(weft_str_skip(s, n), WEFT_STR("的"))) return 0;
        out->kind = several ? PROSE_GROUP : PROSE_PRONOUN;
        out->written = out->name = weft_str_sub(s, 0, n);
        return n;
    }
    n = prose_group(s);
    if (n && (known == SIZE_MAX || names->items[known].text.len <= n)) {
        bool unused;
        struct weft_str rest = weft_str_skip(s, n);
        size_t more = weft_str_is(weft_str_sub(s, 0, n), "众") ? prose_noun(rest, true, &unused) : 0;
        out->kind = PROSE_GROUP;
        out->written = out->name = weft_str_sub(s, 0, n + more);
        return n + more;
    }
    determined = false;
    if (known == SIZE_MAX) {
        determined = prose_skip_determiner(&s, &several);
        if (determined) known = prose_names_begins(names, s);
    }
    skipped = all.len - s.len;
    if (known != SIZE_MAX) {
        struct weft_str rest = weft_str_skip(s, names->items[known].text.len);
        /* a longer word for a person than the roster has: 国王 and 国王夫人 */
        n = prose_noun(s, determined, &person);
        if (person && n > names->items[known].text.len && !names->items[known].given
            && !prose_is_predicate(mark_at(rest, 0)))
            known = SIZE_MAX;
        else {
            out->kind = several ? PROSE_GROUP : PROSE_NAME;
            n = names->items[known].text.len;
            out->name_idx = known;
        }
    }
    if (known == SIZE_MAX && !determined && with_family(names, s, &n, &known)) {
        out->kind = PROSE_NAME;
        out->name_idx = known;
    } else if (known == SIZE_MAX) {
        if (!determined && prose_is_blocked(s)) return 0;
        n = prose_noun(s, determined, &person);
        if (!n || (determined && !person && n < 6)) return 0;
        out->determined = determined && !weft_str_starts(all, WEFT_STR("有"));
        out->kind = !person ? PROSE_WORD : several ? PROSE_GROUP : PROSE_PERSON;
    }
    out->name = out->name_idx == SIZE_MAX ? weft_str_sub(s, 0, n) : names->items[out->name_idx].text;
    out->written = weft_str_sub(all, 0, skipped + n);
    if (weft_str_starts(weft_str_skip(s, n), WEFT_STR("们"))) {
        out->name_idx = SIZE_MAX;
        out->kind = PROSE_GROUP;
        n += strlen("们");
        out->name = weft_str_sub(s, 0, n);
        out->written = weft_str_sub(all, 0, skipped + n);
    }
    return skipped + n;
}

/* 甲、乙 and 甲和乙 as the subject: how far it goes behind 甲; 0: 甲 stands alone.  甲和乙打了起来 is no pair. */
static size_t pair_end(const struct prose_names *names, struct weft_str rest, bool last)
{
    static const char against[] = "打斗战吵争拼交比";
    struct prose_subject other;
    size_t n = prose_and(rest), m, more;
    char utf8[4];
    if (!n) return 0;
    m = phrase(names, weft_str_skip(rest, n), &other);
    if (!m || other.kind == PROSE_PRONOUN || other.kind == PROSE_SOMEBODY) return 0;
    bool comma = weft_str_starts(rest, WEFT_STR("、"));
    bool person = other.kind == PROSE_NAME || other.kind == PROSE_PERSON;
    if (!person && !(last && is_tight(weft_str_skip(rest, n + m)))) return 0;
    more = pair_end(names, weft_str_skip(rest, n + m), last);
    uint32_t behind = mark_at(weft_str_skip(rest, n + m + more), 0);
    struct weft_str verb = { utf8, behind ? weft_utf8_encode(behind, utf8) : 0 };
    if (!comma && !more && verb.len && weft_str_find(WEFT_STR(against), verb, 0) != SIZE_MAX) return 0;
    return n + m + more;
}

/* 守门的小妖, 五庄观里的两个童子: a person behind 的.  last: near the end of the clause. */
static bool behind_de(const struct prose_names *names, struct weft_str s, bool last,
                      struct prose_subject *out)
{
    const struct weft_str de = WEFT_STR("的");
    for (size_t at = 0, k; (k = weft_str_find(s, de, at)) != SIZE_MAX;) {
        at = k + de.len;
        struct weft_str rest = weft_str_skip(s, at);
        size_t n = phrase(names, rest, out);
        if (!n || (out->kind != PROSE_NAME && out->kind != PROSE_PERSON && out->kind != PROSE_GROUP))
            continue;
        struct weft_str behind = weft_str_skip(rest, n);
        if (weft_str_starts(behind, de)) continue;
        out->tight = is_tight(behind);
        if (last ? out->tight || prose_is_predicate(mark_at(behind, 0))
                 : behind.len && prose_is_predicate(mark_at(behind, 0)))
            return true;
    }
    *out = (struct prose_subject){ .name_idx = SIZE_MAX };
    return false;
}

/* 河中钻出一只老龟, 跳出个猿猴来, (last) 见一位老人站在山坡上: whoever comes in. */
static bool comes_in(const struct prose_names *names, struct weft_str s, bool last, struct prose_subject *out)
{
    static const char *const measures[] = { "一个", "一位", "一名", "一只", "一条", "一头",
                                            "一群", "个",   "位",   "两个", "几个" };
    static const char *const verbs[] = { "走出", "跳出", "钻出", "闪出", "转出", "跑出", "冲出", "飞出", "涌出", "迎出", "爬出", "走来", "跑来",
                                         "飞来", "跳来", "走进", "闯进", "出来", "出现", "来了", "到了", "坐着", "站着", "躺着", "走着",
                                         "跪着", "立着", "有", "走上", "跳起" };
    static const char *const sights[] = { "见",   "遇见", "遇到", "碰见", "碰到",
                                          "看见", "看到", "遇上", "碰上", "是" };
    if (weft_str_starts(s, WEFT_STR("见"))) {      /* 见甲走进来，说 */
        static const char *const comings[] = { "走来", "进来", "过来", "出来", "跑来", "来了", "走进", "站在", "坐在" };
        struct weft_str rest = weft_str_skip(s, strlen("见"));
        size_t i = prose_names_begins(names, rest);
        for (size_t k = 0; i != SIZE_MAX && k < WEFT_COUNT(comings); k++) {
            if (weft_str_find(rest, weft_str_c(comings[k]), 0) == SIZE_MAX) continue;
            *out = (struct prose_subject){ .kind = PROSE_NAME, .name = names->items[i].text,
                                           .written = names->items[i].text, .name_idx = i };
            return true;
        }
    }
    for (size_t i = 0, step; i < s.len; i += step) {
        uint32_t cp;
        step = weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        /* the first characters of the measures */
        if (cp != 0x4E00 && cp != 0x4E2A && cp != 0x4F4D && cp != 0x4E24 && cp != 0x51E0) continue;
        for (size_t m = 0; m < WEFT_COUNT(measures); m++) {
            struct weft_str rest = weft_str_skip(s, i), before = weft_str_sub(s, 0, i),
                            word = weft_str_c(measures[m]);
            bool fits = false;
            if (!i || !weft_str_starts(rest, word)) continue;
            for (size_t v = 0; v < WEFT_COUNT(verbs) && !fits; v++)
                fits = weft_str_ends(before, weft_str_c(verbs[v]));
            for (size_t v = 0; v < WEFT_COUNT(sights) && !fits && last; v++)
                fits = weft_str_ends(before, weft_str_c(sights[v]));
            if (!fits) continue;
            /* 一个牵着孩子的老婆婆: the noun stands behind the last 的 */
            struct weft_str noun = weft_str_skip(rest, word.len);
            bool person;
            size_t n;
            if (behind_de(names, noun, true, out)) {
                if (out->kind == PROSE_GROUP) return true;
                return true;
            }
            n = prose_noun(noun, true, &person);
            if (!n || !person) continue;
            bool several = measures[m][0] != '\0'
                           && (strcmp(measures[m], "两个") == 0 || strcmp(measures[m], "几个") == 0);
            *out = (struct prose_subject){ .kind = several ? PROSE_GROUP : PROSE_PERSON,
                                           .name = weft_str_sub(noun, 0, n),
                                           .written = weft_str_sub(rest, 0, word.len + n),
                                           .name_idx = SIZE_MAX,
                                           .determined = true };
            return true;
        }
    }
    *out = (struct prose_subject){ .name_idx = SIZE_MAX };
    return false;
}

static bool begins_with_any(struct weft_str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (weft_str_starts(s, weft_str_c(words[i]))) return true;
    return false;
}

/* 甲的声音, 甲的头越来越疼: it is still 甲. */
static bool is_own(struct weft_str s)
{
    static const char *const words[] = { "声音", "叫声", "喊声", "话音", "嗓音", "笑声", "哭声", "骂声",
                                         "头",   "手",   "眼",   "心",   "肚子", "身",   "脸",   "嘴",
                                         "伤",   "腿",   "脚",   "耳",   "气",   "脾气", "怒",   "眼泪",
                                         "泪",   "嘴角", "目光", "眉",   "语气", "声" };
    return begins_with_any(s, words, WEFT_COUNT(words));
}

void prose_subject_of(const struct prose_names *names, struct weft_str clause, bool last,
                      enum prose_words words, struct prose_subject *out)
{
    struct weft_str s = weft_trim(clause), rest;
    struct prose_subject second;
    size_t n;
    *out = (struct prose_subject){ .name_idx = SIZE_MAX };
    /* A name of the roster may begin like an adverb (连生, 方才): names first. */
    if (prose_names_begins(names, s) == SIZE_MAX) {
        prose_skip_lead(&s);
        if (prose_names_begins(names, s) == SIZE_MAX) {
            /* 听甲如此说，便笑道: whoever is heard is not who answers */
            if (!last && weft_str_starts(s, WEFT_STR("听"))) return;
            if (prose_skip_hear(&s)) prose_skip_lead(&s);
        }
    }
    if (!s.len) return;
    if (last && has_somebody(s)) {
        out->kind = PROSE_SOMEBODY;
        out->written = WEFT_STR("有人");
        return;
    }
    n = phrase(names, s, out);
    rest = weft_str_skip(s, n);
    if (!n) {                                           /* 村上的人都说 */
        size_t at = weft_str_find(weft_str_sub(s, 0, 24), WEFT_STR("的人"), 0);
        if (at != SIZE_MAX && !is_toward(s) && prose_is_predicate(mark_at(s, at + strlen("的人")))) {
            *out = (struct prose_subject){ .kind = PROSE_SOMEBODY, .name_idx = SIZE_MAX,
                                           .written = weft_str_sub(s, 0, at + strlen("的人")) };
            return;
        }
    }
    if (n && weft_str_starts(rest, WEFT_STR("的")) && out->kind != PROSE_SOMEBODY) {
        if (is_own(weft_str_skip(rest, strlen("的")))) {
            if (out->kind != PROSE_WORD) return;
        } else { /* 甲的徒弟说, 驿馆的官员说 */
            bool place = out->kind == PROSE_WORD;
            if (weft_str_starts(rest, WEFT_STR("的人")) && !weft_str_starts(rest, WEFT_STR("的人们"))) {
                *out = (struct prose_subject){ .kind = PROSE_SOMEBODY, .written = weft_str_sub(s, 0, n + 6),
                                               .name_idx = SIZE_MAX };
                return;
            }
            if ((last || place) && behind_de(names, s, last, out)) return;
        }
        *out = (struct prose_subject){ .name_idx = SIZE_MAX };
        return;
    }
    size_t pair = n && out->kind != PROSE_SOMEBODY && out->kind != PROSE_PRONOUN ? pair_end(names, rest, last) : 0;
    if (pair && (out->kind != PROSE_WORD || last)) {
        *out = (struct prose_subject){ .kind = PROSE_GROUP, .name = weft_str_sub(s, 0, n + pair),
                                       .written = weft_str_sub(s, 0, n + pair), .name_idx = SIZE_MAX };
        return;
    }
    if (n && last && out->kind != PROSE_SOMEBODY) {
        struct weft_str heard = rest;
        /* 甲听见乙说 */
        if (weft_str_starts(heard, WEFT_STR("听")) && prose_skip_hear(&heard)) {
            size_t m = phrase(names, heard, &second);
            if (m && second.kind != PROSE_WORD && is_tight(weft_str_skip(heard, m))) {
                *out = second;
                out->tight = true;
                return;
            }
        }
    }
    if (n) {
        out->tight = is_tight(rest);
        bool believed =
            words == PROSE_WORDS_ALL || (out->tight && (words == PROSE_WORDS_TIGHT || out->determined));
        if (out->kind == PROSE_WORD && !(last && believed))
            *out = (struct prose_subject){ .name_idx = SIZE_MAX };
        if (out->kind != PROSE_NOBODY) return;
    }
    if (comes_in(names, s, last, out)) return;
    if (!is_toward(s) && behind_de(names, s, last, out)) return;
    *out = (struct prose_subject){ .name_idx = SIZE_MAX };
}
