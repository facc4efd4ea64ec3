#include "dataset/script_names.h"

#include "base/hash.h"
#include "dataset/grow.h"
#include "dataset/normal.h"
#include "dataset/script_line.h"

enum { PARTS_MAX = 16 };

/* ---- the table ---- */

static bool rehash(struct script_names *t, size_t n_slots)
{
    uint32_t *slots = WEFT_NEWS(t->arena, uint32_t, n_slots);
    if (!slots) return false;
    for (size_t i = 0; i < t->n; i++) {
        size_t h = (size_t)weft_xxh3(t->items[i].text.s, t->items[i].text.len, 0) & (n_slots - 1);
        while (slots[h]) h = (h + 1) & (n_slots - 1);
        slots[h] = (uint32_t)i + 1;
    }
    t->slots = slots;
    t->n_slots = n_slots;
    return true;
}

static struct script_name *find(const struct script_names *t, struct weft_str name)
{
    if (!t->n_slots) return NULL;
    size_t h = (size_t)weft_xxh3(name.s, name.len, 0) & (t->n_slots - 1);
    for (; t->slots[h]; h = (h + 1) & (t->n_slots - 1))
        if (weft_str_eq(t->items[t->slots[h] - 1].text, name)) return &t->items[t->slots[h] - 1];
    return NULL;
}

static struct script_name *add(struct script_names *t, struct weft_str name)
{
    struct script_name *old = find(t, name);
    if (old) return old;
    if (!WEFT_GROW(t->arena, t->items, t->n, t->cap)) return NULL;
    if (t->n * 2 >= t->n_slots && !rehash(t, t->n_slots ? t->n_slots * 2 : 256)) return NULL;
    size_t h = (size_t)weft_xxh3(name.s, name.len, 0) & (t->n_slots - 1);
    while (t->slots[h]) h = (h + 1) & (t->n_slots - 1);
    t->items[t->n] = (struct script_name){ .text = name };
    t->slots[h] = (uint32_t)++t->n;
    return &t->items[t->n - 1];
}

/* ---- aliases ---- */

static bool is_always(const struct script_alias *alias) { return alias->first == 0 && alias->last == INT64_MAX; }

static bool add_alias(struct script_names *t, struct weft_str name, struct script_alias alias)
{
    struct script_name *item = add(t, name);
    if (!item || !WEFT_GROW(t->arena, item->aliases, item->n_aliases, item->cap_aliases)) return false;
    item->aliases[item->n_aliases++] = alias;
    t->seasons |= !is_always(&alias);
    return true;
}

/* "30-40", "30-", "30". */
static bool parse_span(struct weft_str s, int64_t *first, int64_t *last)
{
    size_t dash = weft_str_find(s, WEFT_STR("-"), 0);
    struct weft_str from = weft_trim(weft_str_sub(s, 0, dash)),
                    to = weft_trim(weft_str_skip(s, dash == SIZE_MAX ? s.len : dash + 1));
    *first = weft_chinese_number(from);
    if (!*first) return false;
    if (dash == SIZE_MAX) *last = *first;
    else if (!to.len) *last = INT64_MAX;
    else *last = weft_chinese_number(to);
    return *last >= *first;
}

/* One word of the setting: "华妃=华贵妃", "年妃", "年答应@30-40". */
static enum weft_status take_alias(struct script_names *t, struct weft_str word, struct weft_str *head,
                                   struct weft_err *err)
{
    struct script_alias alias = { .last = INT64_MAX };
    size_t equals = weft_str_find(word, WEFT_STR("="), 0), at;
    struct weft_str name = weft_trim(word);
    if (!name.len) return WEFT_OK;
    if (equals != SIZE_MAX) {
        *head = weft_trim(weft_str_sub(word, 0, equals));
        name = weft_trim(weft_str_skip(word, equals + 1));
        alias.head = *head;
        const struct script_name *known = find(t, *head);
        if (head->len && !(known && known->n_aliases) && !add_alias(t, *head, alias)) goto no_memory;
    }
    if (!head->len)
        return weft_fail(err, WEFT_EARG, "alias: \"%.*s\" names no group; write alias: NAME=OTHER,OTHER",
                         (int)word.len, word.s);
    alias.head = *head;
    at = weft_str_find(name, WEFT_STR("@"), 0);
    if (at != SIZE_MAX) {
        if (!parse_span(weft_str_skip(name, at + 1), &alias.first, &alias.last))
            return weft_fail(err, WEFT_EARG, "alias: \"%.*s\": expected NAME@FIRST-LAST with episode numbers",
                             (int)name.len, name.s);
        name = weft_trim(weft_str_sub(name, 0, at));
    }
    if (name.len && !add_alias(t, name, alias)) goto no_memory;
    return WEFT_OK;
no_memory:
    return weft_fail_nomem(err, sizeof alias, "the aliases");
}

enum weft_status script_names_init(struct script_names *t, struct weft_arena *a,
                                   const struct weft_script_settings *s, struct weft_err *err)
{
    *t = (struct script_names){ .arena = a };
    struct weft_str head = { NULL, 0 };
    for (size_t i = 0; i < s->alias.n; i++) {
        struct weft_str rest = weft_str_c(s->alias.items[i]);
        while (rest.s) {
            /* Either comma separates. */
            size_t half = weft_str_find(rest, WEFT_STR(","), 0), full = weft_str_find(rest, WEFT_STR("，"), 0);
            size_t cut = weft_min_size(half, full), skip = half < full ? 1 : 3;
            enum weft_status st = take_alias(t, weft_str_sub(rest, 0, cut), &head, err);
            if (st) return st;
            rest = cut == SIZE_MAX ? (struct weft_str){ NULL, 0 } : weft_str_skip(rest, cut + skip);
        }
    }
    t->role_given = weft_trim(weft_str_c(s->role));
    t->role = t->role_given;
    const struct script_name *role = find(t, t->role);
    if (role && role->n_aliases) t->role = role->aliases[0].head;
    return WEFT_OK;
}

struct weft_str script_names_canonical(const struct script_names *t, struct weft_str name, int64_t episode)
{
    const struct script_name *item = find(t, name);
    for (size_t i = 0; item && i < item->n_aliases; i++) {
        const struct script_alias *alias = &item->aliases[i];
        if (is_always(alias) || (episode >= alias->first && episode <= alias->last)) return alias->head;
    }
    return name;
}

/* ---- names as written ---- */

struct weft_str script_name_clean(struct weft_arena *a, struct weft_str raw)
{
    bool wide = true, space = false;
    raw = weft_trim(raw);
    for (size_t i = 0; i < raw.len;) {
        uint32_t cp;
        i += weft_utf8_decode(raw.s + i, raw.len - i, &cp, NULL);
        if (weft_is_space(cp)) space = true;
        else wide &= cp >= 0x2E80;
    }
    if (!space) return raw.s ? raw : (struct weft_str){ "", 0 };
    char *out = weft_arena_alloc(a, raw.len + 1);
    if (!out) return (struct weft_str){ NULL, 0 };
    size_t n = 0;
    bool before = false;
    for (size_t i = 0; i < raw.len;) {
        uint32_t cp;
        size_t len = weft_utf8_decode(raw.s + i, raw.len - i, &cp, NULL);
        bool is_space = weft_is_space(cp);
        if (!is_space) {
            memcpy(out + n, raw.s + i, len);
            n += len;
        } else if (!before && !wide) out[n++] = ' ';
        before = is_space;
        i += len;
    }
    out[n] = 0;
    return (struct weft_str){ out, n };
}

size_t script_names_count(struct script_names *t, struct weft_str clean, uint64_t lines)
{
    struct script_name *item = add(t, clean);
    if (!item) return SIZE_MAX;
    item->count += lines;
    return (size_t)(item - t->items);
}

/* ---- chains ---- */

static bool is_atom(const struct script_names *t, struct weft_str part, uint64_t at_least)
{
    const struct script_name *item = find(t, part);
    return item && item->count >= 2 && item->count >= at_least && !item->n_parts && weft_utf8_chars(part) >= 2;
}

/* The fewest atoms that make up `name`, longer ones first; 0 when there is no such chain of two or more.  A name has
 * at most 12 characters, so the table is small. */
static size_t find_chain(const struct script_names *t, struct weft_str name, uint64_t count,
                         struct weft_str parts[PARTS_MAX])
{
    size_t at[PARTS_MAX + 1], n = 0;        /* byte offsets of the characters */
    size_t best[PARTS_MAX + 1], next[PARTS_MAX + 1];
    for (size_t i = 0; i < name.len;) {
        uint32_t cp;
        if (n == PARTS_MAX) return 0;
        at[n++] = i;
        i += weft_utf8_decode(name.s + i, name.len - i, &cp, NULL);
    }
    at[n] = name.len;
    best[n] = 0;
    for (size_t i = n; i-- > 0;) {
        best[i] = SIZE_MAX;
        for (size_t k = n; k > i; k--) {
            if (best[k] == SIZE_MAX || best[k] + 1 >= best[i] || (i == 0 && k == n)) continue;
            if (!is_atom(t, weft_str_sub(name, at[i], at[k]), count)) continue;
            best[i] = best[k] + 1;
            next[i] = k;
        }
    }
    if (!n || best[0] == SIZE_MAX || best[0] < 2) return 0;
    size_t n_parts = 0;
    for (size_t i = 0; i < n; i = next[i]) parts[n_parts++] = weft_str_sub(name, at[i], at[next[i]]);
    return n_parts;
}

static bool is_role(const struct script_names *t, struct weft_str name)
{
    return t->role.len && (weft_str_eq(name, t->role) || weft_str_eq(name, t->role_given));
}

static bool set_chain(struct script_names *t, struct script_name *item)
{
    struct weft_str parts[PARTS_MAX];
    item->chain_known = true;
    if (item->n_aliases || is_role(t, item->text)) return true;
    size_t n = find_chain(t, item->text, item->count, parts);
    if (!n) return true;
    item->parts = WEFT_NEWS(t->arena, struct weft_str, n);
    if (!item->parts) return false;
    memcpy(item->parts, parts, n * sizeof parts[0]);
    item->n_parts = n;
    return true;
}

/* Shorter names first: a chain is never a part of another. */
static bool find_chains(struct script_names *t)
{
    for (size_t chars = 1; chars <= PARTS_MAX; chars++)
        for (size_t i = 0; i < t->n; i++) {
            struct script_name *item = &t->items[i];
            if (item->count && !item->chain_known && weft_utf8_chars(item->text) <= chars
                && !set_chain(t, item))
                return false;
        }
    return true;
}

/* ---- several names with a sign between ---- */

static bool is_joint(uint32_t cp)
{
    return cp == 0x3001 || cp == '&' || cp == 0xFF06 || cp == '/' || cp == 0xFF0F;
}

static size_t split_joint(struct weft_str name, struct weft_str parts[PARTS_MAX])
{
    size_t n = 0, from = 0;
    for (size_t i = 0; i <= name.len;) {
        uint32_t cp = 0;
        size_t len = i < name.len ? weft_utf8_decode(name.s + i, name.len - i, &cp, NULL) : 1;
        if (i == name.len || is_joint(cp)) {
            struct weft_str part = weft_trim(weft_str_sub(name, from, i));
            if (part.len && n < PARTS_MAX) parts[n++] = part;
            from = i + len;
        }
        i += len;
    }
    return n;
}

static bool has_joint(struct weft_str name)
{
    for (size_t i = 0; i < name.len;) {
        uint32_t cp;
        i += weft_utf8_decode(name.s + i, name.len - i, &cp, NULL);
        if (is_joint(cp)) return true;
    }
    return false;
}

static bool known_alone(const struct script_names *t, struct weft_str name)
{
    struct weft_str parts[PARTS_MAX];
    const struct script_name *item = find(t, name);
    if (is_role(t, name) || script_is_everyone(name)) return true;
    if (item && (item->count >= 2 || item->n_aliases || item->n_parts)) return true;
    return find_chain(t, name, item ? item->count : 0, parts) > 0;
}

bool script_names_known(const struct script_names *t, struct weft_str name)
{
    struct weft_str parts[PARTS_MAX];
    if (known_alone(t, name)) return true;
    if (!has_joint(name)) return false;
    size_t n = split_joint(name, parts);
    for (size_t i = 0; i < n; i++)
        if (!known_alone(t, parts[i])) return false;
    return n >= 2;
}

/* Those who speak, from `speakers` [n], which stays. */
static const struct weft_script_who *new_who(const struct script_names *t, struct weft_arena *a, struct weft_str label,
                                             const struct weft_str *speakers, size_t n, bool chorus)
{
    struct weft_script_who *who = WEFT_NEW(a, struct weft_script_who);
    if (!who) return NULL;
    *who = (struct weft_script_who){ .label = label, .speakers = speakers, .n = n, .chorus = chorus };
    for (size_t i = 0; i < n; i++) who->role |= weft_str_eq(speakers[i], t->role);
    return who;
}

static const struct weft_script_who *make_group(const struct script_names *t, struct weft_arena *a,
                                                const struct weft_str *parts, size_t n, int64_t episode)
{
    struct weft_buf label = { 0 };
    struct weft_str *speakers = WEFT_NEWS(a, struct weft_str, n);
    size_t n_speakers = 0;
    if (!speakers) return NULL;
    for (size_t i = 0; i < n; i++) {
        struct weft_str who = script_names_canonical(t, parts[i], episode);
        bool there = false;
        for (size_t k = 0; k < n_speakers && !there; k++) there = weft_str_eq(speakers[k], who);
        if (there) continue;
        if (n_speakers) weft_buf_cstr(&label, "、");
        weft_buf_str(&label, who);
        speakers[n_speakers++] = who;
    }
    struct weft_str kept = weft_str_dup(a, weft_buf_view(&label));
    bool ok = !label.failed && kept.s;
    weft_buf_clear(&label);
    return ok ? new_who(t, a, kept, speakers, n_speakers, true) : NULL;
}

static const struct weft_script_who *resolve(const struct script_names *t, struct weft_arena *a, struct weft_str name,
                                             const struct script_name *item, int64_t episode)
{
    struct weft_str parts[PARTS_MAX];
    size_t n = has_joint(name) ? split_joint(name, parts) : 0;
    if (n >= 2) return make_group(t, a, parts, n, episode);
    bool single = is_role(t, name) || (item && item->n_aliases);
    if (!single && script_is_everyone(name)) return new_who(t, a, name, NULL, 0, true);
    if (!single && item && item->n_parts) return make_group(t, a, item->parts, item->n_parts, episode);
    if (!single && !(item && item->count)) {
        n = find_chain(t, name, 0, parts);
        if (n) return make_group(t, a, parts, n, episode);
    }
    struct weft_str *speaker = WEFT_NEW(a, struct weft_str);
    if (!speaker) return NULL;
    *speaker = is_role(t, name) && !(item && item->n_aliases) ? t->role : script_names_canonical(t, name, episode);
    return new_who(t, a, *speaker, speaker, 1, false);
}

const struct weft_script_who *script_names_who(const struct script_names *t, struct weft_arena *a, size_t i,
                                               int64_t episode)
{
    const struct script_name *item = &t->items[i];
    return item->who ? item->who : resolve(t, a, item->text, item, episode);
}

const struct weft_script_who *script_names_resolve(const struct script_names *t, struct weft_arena *a,
                                                   struct weft_str name, int64_t episode)
{
    const struct script_name *item = find(t, name);
    return item ? script_names_who(t, a, (size_t)(item - t->items), episode) : resolve(t, a, name, NULL, episode);
}

bool script_names_settle(struct script_names *t)
{
    if (!find_chains(t)) return false;
    for (size_t i = 0; i < t->n; i++) {
        struct script_name *item = &t->items[i];
        item->stage = script_is_stage_word(item->text) && !weft_str_eq(item->text, t->role);
        if (!t->seasons && !(item->who = resolve(t, t->arena, item->text, item, 0))) return false;
    }
    return true;
}
