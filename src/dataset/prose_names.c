#include "dataset/prose_names.h"

#include "base/hash.h"
#include "dataset/grow.h"
#include "dataset/marks.h"
#include "dataset/normal.h"
#include "dataset/prose_words.h"

/* What follows a name when only a title makes the difference: 如来 and 如来佛祖. */
static const char *const titles[] = { "佛祖", "佛",   "菩萨", "祖师", "仙",   "大仙", "真人", "星君",
                                      "天尊", "天王", "大圣", "太子", "公主", "夫人", "老爷", "公子",
                                      "先生", "小姐", "姑娘", "元帅", "将军", "道长", "师父", "师傅",
                                      "老祖", "娘娘", "国师", "行者", "和尚", "长老", "大王", "太太",
                                      "少爷", "大人", "老师", "医生", "警官", "队长", "真君", "儿" };
/* Before a name: a family name is any other character. */
static const char not_family[] =
    "老小大那这众假真两三二四五女男美丑好坏胖瘦黑白红青黄新旧前后其该此某各本我你他她是和与同对向跟";

enum { FIRSTS = 1 << 16 };

static bool rehash(struct prose_names *t)
{
    size_t n = t->n_slots ? t->n_slots * 2 : 64;
    uint32_t *slots = WEFT_NEWS(t->arena, uint32_t, n);
    if (!slots || t->n >= UINT32_MAX) return false;
    for (size_t i = 0; i < t->n; i++) {
        size_t h = (size_t)weft_xxh3(t->items[i].text.s, t->items[i].text.len, 0) & (n - 1);
        while (slots[h]) h = (h + 1) & (n - 1);
        slots[h] = (uint32_t)i + 1;
    }
    t->slots = slots;
    t->n_slots = n;
    return true;
}

bool prose_names_may_begin(const struct prose_names *t, struct weft_str s)
{
    uint32_t first = mark_at(s, 0) % FIRSTS;
    return t->firsts[first / 64] >> first % 64 & 1;
}

size_t prose_names_find(const struct prose_names *t, struct weft_str text)
{
    if (!t->n_slots) return SIZE_MAX;
    size_t h = (size_t)weft_xxh3(text.s, text.len, 0) & (t->n_slots - 1);
    for (; t->slots[h]; h = (h + 1) & (t->n_slots - 1))
        if (weft_str_eq(t->items[t->slots[h] - 1].text, text)) return t->slots[h] - 1;
    return SIZE_MAX;
}

size_t prose_names_add(struct prose_names *t, struct weft_str text, uint64_t n)
{
    size_t i = prose_names_find(t, text), chars = weft_utf8_chars(text);
    if (i != SIZE_MAX) {
        t->items[i].count += n;
        return i;
    }
    if (t->n * 2 >= t->n_slots && !rehash(t)) return SIZE_MAX;
    if (!WEFT_GROW(t->arena, t->items, t->n, t->cap)) return SIZE_MAX;
    size_t h = (size_t)weft_xxh3(text.s, text.len, 0) & (t->n_slots - 1);
    while (t->slots[h]) h = (h + 1) & (t->n_slots - 1);
    i = t->n++;
    t->items[i] = (struct prose_name){ .text = text, .count = n, .group = i };
    t->slots[h] = (uint32_t)t->n;
    uint32_t first = mark_at(text, 0) % FIRSTS;
    t->firsts[first / 64] |= UINT64_C(1) << first % 64;
    if (chars > t->longest) t->longest = chars;
    return i;
}

static size_t give(struct prose_names *t, struct weft_str name)
{
    size_t i = prose_names_add(t, name, 0);
    if (i != SIZE_MAX) t->items[i].given = t->items[i].known = true;
    return i;
}

enum weft_status prose_names_init(struct prose_names *t, struct weft_arena *a,
                                  const struct weft_prose_settings *s, struct weft_err *err)
{
    size_t head = SIZE_MAX;
    *t = (struct prose_names){ .arena = a, .firsts = WEFT_NEWS(a, uint64_t, FIRSTS / 64) };
    if (!t->firsts) goto no_memory;
    for (size_t i = 0; i < s->alias.n; i++) {
        struct weft_str item = weft_trim(weft_str_c(s->alias.items[i]));
        size_t sign = weft_str_find(item, WEFT_STR("="), 0);
        struct weft_str name = weft_trim(sign == SIZE_MAX ? item : weft_str_skip(item, sign + 1));
        if (sign != SIZE_MAX) {
            struct weft_str group = weft_trim(weft_str_sub(item, 0, sign));
            if (!group.len)
                return weft_fail(err, WEFT_EARG, "alias \"%s\": expected NAME=NAME", s->alias.items[i]);
            head = give(t, group);
            if (head == SIZE_MAX) goto no_memory;
        }
        if (head == SIZE_MAX || !name.len)
            return weft_fail(err, WEFT_EARG, "alias \"%s\": expected NAME=NAME", s->alias.items[i]);
        size_t k = give(t, name);
        if (k == SIZE_MAX) goto no_memory;
        t->items[k].group = t->items[head].group;
        t->items[head].aliased = t->items[k].aliased = true;
    }
    if (s->role && give(t, weft_trim(weft_str_c(s->role))) == SIZE_MAX) goto no_memory;
    return WEFT_OK;
no_memory:
    return weft_fail_nomem(err, sizeof *t->items, "the names");
}

struct weft_str prose_names_group(const struct prose_names *t, size_t i)
{
    return t->items[t->items[i].group].text;
}

size_t prose_names_begins(const struct prose_names *t, struct weft_str s)
{
    size_t best = SIZE_MAX, at = 0;
    if (!prose_names_may_begin(t, s)) return SIZE_MAX;
    for (size_t n = 0; n < t->longest && at < s.len; n++) {
        uint32_t cp;
        at += weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (mark_is_end(cp) || mark_is_pause(cp)) break;
        size_t i = prose_names_find(t, weft_str_sub(s, 0, at));
        if (i != SIZE_MAX && t->items[i].known) best = i;
    }
    return best;
}

static void join(struct prose_names *t, size_t a, size_t b)
{
    /* Whoever comes up more often stands for both, but the user's groups stand as they are. */
    size_t ga = t->items[a].group, gb = t->items[b].group;
    const struct prose_name *x = &t->items[ga], *y = &t->items[gb];
    if (ga == gb || (x->aliased && y->aliased)) return;
    bool keep_a = x->aliased != y->aliased ? x->aliased
                  : x->given != y->given   ? x->given
                                           : x->count >= y->count;
    size_t to = keep_a ? ga : gb, from = keep_a ? gb : ga;
    for (size_t i = 0; i < t->n; i++)
        if (t->items[i].group == from) t->items[i].group = to;
}

static bool begins_with_family(struct weft_str longer, struct weft_str name)
{
    if (longer.len <= name.len || !weft_str_ends(longer, name)) return false;
    struct weft_str first = weft_str_sub(longer, 0, longer.len - name.len);
    return weft_utf8_chars(first) == 1 && weft_str_find(weft_str_c(not_family), first, 0) == SIZE_MAX
           && !prose_is_predicate(mark_at(first, 0));
}

static bool ends_with_title(struct weft_str longer, struct weft_str name)
{
    if (longer.len <= name.len || !weft_str_starts(longer, name)) return false;
    struct weft_str rest = weft_str_skip(longer, name.len);
    for (size_t i = 0; i < WEFT_COUNT(titles); i++)
        if (weft_str_is(rest, titles[i])) return true;
    return false;
}

void prose_names_begin(struct prose_names *t, size_t i, struct weft_str s)
{
    struct prose_name *name = &t->items[i];
    struct weft_str rest = weft_str_skip(s, name->text.len);
    uint32_t next = mark_at(rest, 0);
    size_t len = next ? name->text.len + weft_utf8_offset(rest, 1) : 0;
    name->begins++;
    if (name->begins == 1 && next >= 0x3400 && next < 0xA000) name->longer = weft_str_sub(s, 0, len);
    if (!name->longer.s || !weft_str_starts(s, name->longer)) return;
    name->longer_begins++;
    uint32_t behind = mark_at(s, name->longer.len);
    for (size_t k = 0; behind && k < WEFT_COUNT(name->behind); k++) {
        if (name->behind[k] == behind) break;
        if (name->behind[k]) continue;
        name->behind[k] = behind;
        break;
    }
}

bool prose_names_lengthen(struct prose_names *t)
{
    enum { CLAUSES = 4 };       /* fewer prove nothing */
    const size_t n = t->n;      /* those added here are long enough */
    for (size_t i = 0; i < n; i++) {
        const struct prose_name short_one = t->items[i];
        if (short_one.given || short_one.begins < CLAUSES || short_one.longer_begins < short_one.begins
            || !short_one.behind[WEFT_COUNT(short_one.behind) - 1])
            continue;
        size_t k = prose_names_add(t, short_one.longer, short_one.count);
        if (k == SIZE_MAX) return false;
        t->items[k].far += short_one.far;
        t->items[k].begins += short_one.begins;
        t->items[i].count = t->items[i].far = t->items[i].begins = 0;
    }
    return true;
}

void prose_names_settle(struct prose_names *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct prose_name *name = &t->items[i];
        name->known |= name->count >= 2 || (name->count >= 1 && name->begins >= 2)
                       || (name->far >= 1 && name->begins >= 3);
    }
    /* 悟空 and 孙悟空: a name without its family name.  Words that end like any person's (妖怪, 女妖怪) are no names. */
    for (size_t i = 0; i < t->n; i++) {
        struct prose_name *name = &t->items[i];
        size_t family = SIZE_MAX, n = 0;
        if (!name->known || weft_utf8_chars(name->text) < 2 || prose_is_title(name->text)) continue;
        if (!prose_is_person(name->text)) {
            for (size_t k = 0; k < t->n; k++)
                if (t->items[k].known && begins_with_family(t->items[k].text, name->text)) {
                    family = k;
                    n++;
                }
            if (n == 1) join(t, i, family);
        }
        if (!prose_is_person(name->text) || name->given)
            for (size_t k = 0; k < t->n; k++)
                if (t->items[k].known && ends_with_title(t->items[k].text, name->text)) join(t, i, k);
    }
}
