#include "dataset/ask_dialogue.h"

#include "dataset/grow.h"
#include "dataset/origin.h"

#include <stdio.h>

enum { MOST_OPEN = 12, MOST_BYTES = 6000 };

static bool is_open(const struct weft_prose_speech *s, double below)
{
    return s->kind == WEFT_PROSE_SPEECH && s->n_candidates && (!s->speaker.s || s->confidence < below);
}

/* The mark stands before the quote, not in it. */
static size_t before_quote(struct weft_str text, size_t at)
{
    static const char *const marks[] = { "“", "‘", "「", "『" };
    for (size_t i = 0; i < WEFT_COUNT(marks); i++) {
        size_t len = strlen(marks[i]);
        if (at >= len && memcmp(text.s + at - len, marks[i], len) == 0) return at - len;
    }
    return at;
}

/* The text from `begin` to `end` with the numbers of the group's speeches. */
static void write_text(const struct weft_prose *p, const size_t *group, size_t n, size_t begin, size_t end,
                       struct weft_buf *out)
{
    struct weft_str text = p->texts[p->speeches[group[0]].text_idx].text;
    size_t at = begin;
    for (size_t i = 0; i < n; i++) {
        size_t mark = before_quote(text, p->speeches[group[i]].parts[0].begin);
        weft_buf_str(out, weft_str_sub(text, at, mark));
        weft_buf_printf(out, "〔%zu〕", i + 1);
        at = mark;
    }
    weft_buf_str(out, weft_str_sub(text, at, end));
}

/* Each candidate of the group once, in order of appearance. */
static void write_candidates(const struct weft_prose *p, const size_t *group, size_t n, struct weft_buf *out)
{
    struct weft_str seen[MOST_OPEN * WEFT_PROSE_CANDIDATES];
    size_t n_seen = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < p->speeches[group[i]].n_candidates; c++) {
            struct weft_str name = p->speeches[group[i]].candidates[c].name;
            size_t k = 0;
            while (k < n_seen && !weft_str_eq(seen[k], name)) k++;
            if (k < n_seen || n_seen == WEFT_COUNT(seen)) continue;
            seen[n_seen++] = name;
            weft_buf_printf(out, "%s%.*s", k ? "、" : "", (int)name.len, name.s);
        }
}

static enum weft_status add_unit(struct weft_arena *a, const struct weft_prose *p, const size_t *group, size_t n,
                                 size_t begin, size_t end, size_t number, struct weft_ask_unit *u, struct weft_err *err)
{
    struct weft_buf text = { 0 }, names = { 0 }, ids = { 0 };
    struct weft_ask_open *open = WEFT_NEWS(a, struct weft_ask_open, n);
    enum weft_status st = open ? WEFT_OK : weft_fail_nomem(err, n * sizeof *open, "rows");
    write_text(p, group, n, begin, end, &text);
    write_candidates(p, group, n, &names);
    for (size_t i = 0; i < n && !st; i++) {
        const struct weft_prose_speech *s = &p->speeches[group[i]];
        struct weft_str *list = WEFT_NEWS(a, struct weft_str, s->n_candidates);
        if (!list) st = weft_fail_nomem(err, s->n_candidates * sizeof *list, "rows");
        for (size_t c = 0; !st && c < s->n_candidates; c++) list[c] = s->candidates[c].name;
        open[i] = (struct weft_ask_open){ i + 1, group[i], list, s->n_candidates };
        weft_buf_printf(&ids, "%s%zu", i ? "、" : "", i + 1);
    }
    if (!st) st = weft_buf_check(&text, "rows", err);
    if (!st) st = weft_buf_check(&names, "rows", err);
    if (!st) st = weft_buf_check(&ids, "rows", err);
    if (!st) {
        struct weft_str candidates = weft_str_dup(a, weft_buf_view(&names)),
                        numbers = weft_str_dup(a, weft_buf_view(&ids));
        *u = (struct weft_ask_unit){ .text = weft_str_dup(a, weft_buf_view(&text)), .open = open, .n_open = n,
                                     .values = { { "candidates", candidates }, { "ids", numbers } }, .n_values = 2 };
        weft_origin_of_span(&p->texts[p->speeches[group[0]].text_idx], begin, end, &u->origin);
        u->origin.id = weft_str_printf(a, "d%06zu", number + 1);
        if (!u->text.s || !candidates.s || !numbers.s || !u->origin.id.s) st = weft_fail_nomem(err, text.len, "rows");
    }
    weft_buf_clear(&text);
    weft_buf_clear(&names);
    weft_buf_clear(&ids);
    return st;
}

enum weft_status weft_ask_units_of_speeches(struct weft_arena *a, const struct weft_prose *p, double below,
                                            struct weft_ask_unit **out, size_t *n, struct weft_err *err)
{
    size_t group[MOST_OPEN], n_group = 0, begin = 0, end = 0, cap = 0, n_units = 0;
    struct weft_ask_unit *units = NULL;
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i <= p->n_speeches && !st; i++) {
        const struct weft_prose_speech *s = i < p->n_speeches ? &p->speeches[i] : NULL;
        if (s && !is_open(s, below)) continue;
        /* A group ends where the next speech stands in another text or scene, or would make it too long. */
        bool joins = s && n_group && n_group < MOST_OPEN && s->text_idx == p->speeches[group[0]].text_idx
                     && s->scene == p->speeches[group[0]].scene && s->context_end >= begin
                     && s->context_end - begin <= MOST_BYTES;
        if (n_group && !joins) {
            if (!WEFT_GROW(a, units, n_units, cap)) st = weft_fail_nomem(err, sizeof *units, "rows");
            else st = add_unit(a, p, group, n_group, begin, end, n_units, &units[n_units], err);
            n_units++;
            n_group = 0;
        }
        if (!s) break;
        if (!n_group || s->context_begin < begin) begin = s->context_begin;
        if (!n_group || s->context_end > end) end = s->context_end;
        group[n_group++] = i;
    }
    *out = units;
    *n = n_units;
    return st;
}

void weft_ask_choose(struct weft_prose *p, const struct weft_ask_unit *units, size_t n,
                     const struct weft_ask_result *results, struct weft_ask_choices *out)
{
    *out = (struct weft_ask_choices){ 0 };
    for (size_t i = 0; i < n; i++) {
        const struct weft_ask_result *r = &results[i];
        out->open += units[i].n_open;
        if (r->state != WEFT_ASK_OK || !r->chosen) {
            out->unanswered += units[i].n_open;
            continue;
        }
        for (size_t k = 0; k < units[i].n_open; k++) {
            if (r->chosen[k] == SIZE_MAX) {
                out->nobody++; /* what the rules thought, with their own doubt, stands */
                continue;
            }
            weft_prose_assign(p, units[i].open[k].speech, r->chosen[k], r->corrected ? 0.8 : 0.9);
            out->chosen++;
        }
    }
}

void weft_ask_mark_chosen(const struct weft_prose *p, const char *via, struct weft_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        struct weft_origin *o = &rows->items[i].origin;
        for (size_t k = 0; k < p->n_speeches; k++) {
            const struct weft_prose_speech *s = &p->speeches[k];
            if (s->rule == WEFT_PROSE_CHOSEN && s->line <= o->last_line && s->last_line >= o->line
                && weft_str_eq(p->texts[s->text_idx].name, o->file)) {
                o->via = weft_str_c(via);
                break;
            }
        }
    }
}
