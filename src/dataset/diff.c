/* Rows are compared by 64-bit hashes of what each round looks at; equal rows pair in order of appearance. */
#include "dataset/diff.h"

#include "dataset/canon.h"
#include "dataset/grow.h"

#include <stdlib.h>

static const size_t NONE = SIZE_MAX;

/* ---- matching ---- */

struct key {
    uint64_t hash;
    size_t row;
};

struct side {
    const struct weft_rows *rows;
    uint64_t *content;              /* [n] */
    size_t *partner;                /* [n], NONE while there is none */
    struct key *keys;               /* [n], of one round */
    size_t n_keys;
};

static int by_hash(const void *x, const void *y)
{
    const struct key *a = x, *b = y;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static uint64_t text_hash(struct weft_str s, uint64_t seed) { return weft_xxh3(s.len ? s.s : "", s.len, seed); }

enum round { ID_AND_CONTENT, CONTENT, PLACE, ID, ROUNDS };

/* 0: the row takes no part in this round. */
static uint64_t key_of(const struct side *s, size_t i, enum round round)
{
    const struct weft_origin *o = &s->rows->items[i].origin;
    uint64_t numbers[] = { o->line, o->last_line, o->byte_begin, o->byte_end };
    uint64_t id = o->id.len ? text_hash(o->id, 3) : 0;
    switch (round) {
    case ID_AND_CONTENT: return id ? weft_xxh3(&s->content[i], sizeof s->content[i], id) : 0;
    case CONTENT: return s->content[i];
    case PLACE:
        return o->file.len && o->line
                   ? weft_xxh3(numbers, sizeof numbers, text_hash(o->part, text_hash(o->file, 5)))
                   : 0;
    default: return id;
    }
}

static void collect(struct side *s, enum round round)
{
    s->n_keys = 0;
    for (size_t i = 0; i < s->rows->n; i++) {
        if (s->partner[i] != NONE) continue;
        uint64_t hash = key_of(s, i, round);
        if (hash) s->keys[s->n_keys++] = (struct key){ hash, i };
    }
    if (s->n_keys) qsort(s->keys, s->n_keys, sizeof *s->keys, by_hash);
}

static size_t run_end(const struct side *s, size_t at)
{
    size_t end = at;
    while (end < s->n_keys && s->keys[end].hash == s->keys[at].hash) end++;
    return end;
}

/* Pairs equal keys; `single`: only those that one row of each side has. */
static void match(struct side *x, struct side *y, bool single)
{
    for (size_t i = 0, k = 0; i < x->n_keys && k < y->n_keys;) {
        uint64_t a = x->keys[i].hash, b = y->keys[k].hash;
        if (a < b) i++;
        else if (b < a) k++;
        else {
            size_t i_end = run_end(x, i), k_end = run_end(y, k);
            bool one = i_end - i == 1 && k_end - k == 1;
            for (; i < i_end && k < k_end && (one || !single); i++, k++) {
                x->partner[x->keys[i].row] = y->keys[k].row;
                y->partner[y->keys[k].row] = x->keys[i].row;
            }
            i = i_end;
            k = k_end;
        }
    }
}

static enum weft_status side_init(struct weft_arena *a, struct side *s, const struct weft_rows *rows,
                                  char hash[WEFT_SHA256_HEX], struct weft_err *err)
{
    struct weft_dataset_hash h;
    enum weft_status st = weft_dataset_hash_init(&h, err);
    if (st) return st;
    *s = (struct side){ .rows = rows };
    s->content = WEFT_NEWS(a, uint64_t, rows->n + 1);
    s->partner = WEFT_NEWS(a, size_t, rows->n + 1);
    s->keys = WEFT_NEWS(a, struct key, rows->n + 1);
    if (!s->content || !s->partner || !s->keys) st = weft_fail_nomem(err, rows->n * 32, "the comparison");
    for (size_t i = 0; !st && i < rows->n; i++) {
        st = weft_dataset_hash_add(&h, &rows->items[i], err);
        if (!st) s->content[i] = weft_xxh3(h.digests.s, h.digests.len, 1);
        s->partner[i] = NONE;
    }
    if (!st) weft_dataset_hash_finish(&h, hash);
    weft_dataset_hash_clear(&h);
    return st;
}

/* Matched rows less the longest run of partners that is in order already. */
static bool count_moved(struct weft_arena *a, const struct side *y, uint64_t *moved)
{
    size_t *tail = WEFT_NEWS(a, size_t, y->rows->n + 1), n = 0;     /* smallest last partner of a run of each length */
    uint64_t matched = 0;
    if (!tail) return false;
    for (size_t k = 0; k < y->rows->n; k++) {
        size_t p = y->partner[k], low = 0, high = n;
        if (p == NONE) continue;
        matched++;
        while (low < high) {
            size_t mid = low + (high - low) / 2;
            if (tail[mid] < p) low = mid + 1;
            else high = mid;
        }
        tail[low] = p;
        if (low == n) n++;
    }
    *moved = matched - n;
    return true;
}

static void list(const struct side *x, const struct side *y, struct weft_diff *out)
{
    size_t seen = 0;        /* removed rows before this one are in the list */
    for (size_t k = 0; k <= y->rows->n; k++) {
        size_t p = k < y->rows->n ? y->partner[k] : x->rows->n;
        for (; p != NONE && seen < p; seen++)
            if (x->partner[seen] == NONE) {
                out->items[out->n_items++] = (struct weft_diff_item){ WEFT_DIFF_REMOVED, seen, NONE };
                out->removed++;
            }
        if (k == y->rows->n) break;
        if (p == NONE) {
            out->items[out->n_items++] = (struct weft_diff_item){ WEFT_DIFF_ADDED, NONE, k };
            out->added++;
        } else if (x->content[p] != y->content[k]) {
            out->items[out->n_items++] = (struct weft_diff_item){ WEFT_DIFF_CHANGED, p, k };
            out->changed++;
        } else {
            out->same++;
            out->renumbered += !weft_str_eq(x->rows->items[p].origin.id, y->rows->items[k].origin.id);
        }
    }
}

enum weft_status weft_diff_rows(struct weft_arena *a, const struct weft_rows *before, const struct weft_rows *after,
                                struct weft_diff *out, struct weft_err *err)
{
    struct side x, y;
    *out = (struct weft_diff){ .before = before->n, .after = after->n };
    enum weft_status st = side_init(a, &x, before, out->hash_before, err);
    if (!st) st = side_init(a, &y, after, out->hash_after, err);
    if (st) return st;
    for (enum round r = ID_AND_CONTENT; r < ROUNDS; r++) {
        collect(&x, r);
        collect(&y, r);
        match(&x, &y, r == PLACE || r == ID);
    }
    out->items = WEFT_NEWS(a, struct weft_diff_item, before->n + after->n + 1);
    if (!out->items || !count_moved(a, &y, &out->moved))
        return weft_fail_nomem(err, (before->n + after->n) * sizeof *out->items, "the comparison");
    list(&x, &y, out);
    return WEFT_OK;
}

/* ---- fields ---- */

struct fields {
    struct weft_arena *arena;
    struct weft_diff_field *items;
    size_t n, cap;
    bool failed;
};

static void add(struct fields *f, struct weft_str name, struct weft_str before, struct weft_str after)
{
    if (weft_str_eq(before, after) && !before.s == !after.s) return;
    f->failed |= !name.s || !WEFT_GROW(f->arena, f->items, f->n, f->cap);
    if (!f->failed) f->items[f->n++] = (struct weft_diff_field){ name, before, after };
}

/* "assistant: text"; the role is shown only where the two sides differ in it. */
static struct weft_str shown(struct fields *f, const struct weft_row *row, size_t i, bool role)
{
    if (i >= row->n_turns) return (struct weft_str){ NULL, 0 };
    const struct weft_turn *t = &row->turns[i];
    if (!role) return t->text.s ? t->text : WEFT_STR("");
    struct weft_str s = weft_str_printf(f->arena, "%s: %.*s", weft_role_name(t->role), (int)t->text.len, t->text.s);
    f->failed |= !s.s;
    return s;
}

static struct weft_str turn_extra(const struct weft_row *row, size_t i)
{
    return row->turn_extras && i < row->n_turns ? row->turn_extras[i] : (struct weft_str){ NULL, 0 };
}

enum weft_status weft_diff_fields(struct weft_arena *a, const struct weft_row *before, const struct weft_row *after,
                                  struct weft_diff_field **fields, size_t *n, struct weft_err *err)
{
    static const struct weft_str tags[] = { { NULL, 0 }, { "false", 5 }, { "true", 4 } };
    struct fields f = { .arena = a };
    size_t turns = weft_max_size(before->n_turns, after->n_turns);
    add(&f, WEFT_STR("system"), before->system, after->system);
    add(&f, WEFT_STR("tools"), before->tools, after->tools);
    for (size_t i = 0; i < turns; i++) {
        bool role = i < before->n_turns && i < after->n_turns && before->turns[i].role != after->turns[i].role;
        role |= i >= before->n_turns || i >= after->n_turns;
        add(&f, weft_str_printf(a, "turn %zu", i + 1), shown(&f, before, i, role), shown(&f, after, i, role));
        add(&f, weft_str_printf(a, "members of turn %zu", i + 1), turn_extra(before, i), turn_extra(after, i));
    }
    add(&f, WEFT_STR("text"), before->text, after->text);
    add(&f, WEFT_STR("chosen"), before->chosen.text, after->chosen.text);
    add(&f, WEFT_STR("rejected"), before->rejected.text, after->rejected.text);
    add(&f, WEFT_STR("kto_tag"), tags[before->kto_tag + 1], tags[after->kto_tag + 1]);
    add(&f, WEFT_STR("other members"), before->extra, after->extra);
    *fields = f.items;
    *n = f.n;
    return f.failed ? weft_fail_nomem(err, f.cap * sizeof *f.items, "the comparison") : WEFT_OK;
}

/* ---- characters ---- */

enum { MOST_EDITS = 1000 };

/* Code points and where they begin. */
struct chars {
    uint32_t *cp;
    size_t *at;         /* [n + 1] */
    size_t n;
};

static bool read_chars(struct weft_arena *a, struct weft_str s, struct chars *c)
{
    size_t n = weft_utf8_chars(s), at = 0;
    *c = (struct chars){ WEFT_NEWS(a, uint32_t, n + 1), WEFT_NEWS(a, size_t, n + 1), 0 };
    if (!c->cp || !c->at) return false;
    while (at < s.len) {
        c->at[c->n] = at;
        at += weft_utf8_decode(s.s + at, s.len - at, &c->cp[c->n], NULL);
        c->n++;
    }
    c->at[c->n] = s.len;
    return true;
}

struct pieces {
    struct weft_arena *arena;
    struct weft_diff_piece *items;
    size_t n, cap;
    bool failed;
};

static void piece(struct pieces *p, enum weft_diff_op op, struct weft_str s, const struct chars *c,
                  size_t from, size_t to)
{
    if (from >= to || p->failed) return;
    p->failed = !WEFT_GROW(p->arena, p->items, p->n, p->cap);
    if (!p->failed) p->items[p->n++] = (struct weft_diff_piece){ op, weft_str_sub(s, c->at[from], c->at[to]) };
}

/* Myers' greedy search.  v[k] is the furthest x on diagonal k (x - y); the v of every d is kept to walk back.
 * Marks in del [n] and ins [m] what is not common; false: no memory, or more than MOST_EDITS edits. */
static bool myers(const uint32_t *x, size_t n, const uint32_t *y, size_t m, unsigned char *del, unsigned char *ins)
{
    struct weft_arena a = { 0 };
    int32_t most = (int32_t)weft_min_size(n + m, MOST_EDITS), d, width = 2 * most + 3;
    int32_t **kept = WEFT_NEWS(&a, int32_t *, (size_t)most + 1), *v = WEFT_NEWS(&a, int32_t, (size_t)width);
    bool found = false;
    for (d = 0; kept && v && d <= most && !found; d++) {
        kept[d] = WEFT_NEWS(&a, int32_t, 2 * (size_t)d + 3);
        if (!kept[d]) break;
        for (int32_t k = -d; k <= d && !found; k += 2) {
            int32_t *at = v + most + 1;
            int32_t px = k == -d || (k != d && at[k - 1] < at[k + 1]) ? at[k + 1] : at[k - 1] + 1;
            if (d == 0) px = 0;
            while (px < (int32_t)n && px - k < (int32_t)m && px - k >= 0 && x[px] == y[px - k]) px++;
            at[k] = px;
            found = px >= (int32_t)n && px - k >= (int32_t)m;
        }
        memcpy(kept[d], v + most + 1 - d - 1, (2 * (size_t)d + 3) * sizeof **kept);
    }
    /* Back from the end: the step of edit d came from the v of d - 1. */
    int32_t px = (int32_t)n, py = (int32_t)m;
    for (d = d - 1; found && d > 0; d--) {
        const int32_t *before = kept[d - 1] + d;        /* index 0 is diagonal 0 */
        int32_t k = px - py, limit = d - 1;
        int32_t low = k - 1 >= -limit && k - 1 <= limit ? before[k - 1] : -1;
        int32_t high = k + 1 >= -limit && k + 1 <= limit ? before[k + 1] : -1;
        bool down = k == -d || (k != d && low < high);
        int32_t from_x = down ? high : low, from_k = down ? k + 1 : k - 1;
        if (down) ins[from_x - from_k] = 1;
        else del[from_x] = 1;
        px = from_x;
        py = from_x - from_k;
    }
    weft_arena_clear(&a);
    return found;
}

enum weft_status weft_diff_text(struct weft_arena *a, struct weft_str before, struct weft_str after,
                                struct weft_diff_piece **out, size_t *n_out, struct weft_err *err)
{
    struct pieces p = { .arena = a };
    struct chars x, y;
    size_t head = 0, tail = 0;
    if (!read_chars(a, before, &x) || !read_chars(a, after, &y)) goto no_memory;
    while (head < x.n && head < y.n && x.cp[head] == y.cp[head]) head++;
    while (tail < x.n - head && tail < y.n - head && x.cp[x.n - 1 - tail] == y.cp[y.n - 1 - tail]) tail++;
    size_t n = x.n - head - tail, m = y.n - head - tail;
    unsigned char *del = WEFT_NEWS(a, unsigned char, n + 1), *ins = WEFT_NEWS(a, unsigned char, m + 1);
    if (!del || !ins) goto no_memory;
    if (!n || !m || n > INT32_MAX / 4 || m > INT32_MAX / 4 || !myers(x.cp + head, n, y.cp + head, m, del, ins)) {
        memset(del, 1, n);
        memset(ins, 1, m);
    }
    piece(&p, WEFT_DIFF_EQUAL, after, &y, 0, head);
    for (size_t i = 0, k = 0; i < n || k < m;) {
        size_t i0 = i, k0 = k;
        while (i < n && del[i]) i++;
        piece(&p, WEFT_DIFF_DELETE, before, &x, head + i0, head + i);
        while (k < m && ins[k]) k++;
        piece(&p, WEFT_DIFF_INSERT, after, &y, head + k0, head + k);
        k0 = k;
        while (i < n && k < m && !del[i] && !ins[k]) i++, k++;
        piece(&p, WEFT_DIFF_EQUAL, after, &y, head + k0, head + k);
    }
    piece(&p, WEFT_DIFF_EQUAL, after, &y, y.n - tail, y.n);
    *out = p.items;
    *n_out = p.n;
    if (!p.failed) return WEFT_OK;
no_memory:
    return weft_fail_nomem(err, before.len + after.len, "the comparison");
}
