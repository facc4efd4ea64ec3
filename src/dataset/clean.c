/* A repair is a function from a text to a text.  The texts of a row are visited in one place, so that a repair cannot
 * forget the system text or the chosen answer. */
#include "dataset/clean.h"

#include "base/hash.h"
#include "dataset/check.h"
#include "dataset/grow.h"
#include "dataset/normal.h"
#include "dataset/row_text.h"

#include <stdio.h>
#include <stdlib.h>

struct answers {           /* of one prompt */
    uint64_t prompt, both; /* hashes; `both` 0: the entry counts, else it is one answer */
    uint32_t n;            /* 0: free */
};

struct weft_clean {
    struct weft_clean_settings s;
    struct weft_arena arena, scratch; /* of the report; of hashing */
    struct weft_clean_counts counts;
    struct answers *slots; /* open addressing */
    size_t n_slots, n_used;
    struct weft_buf buf;
};

/* ---- names ---- */

static const char *const repair_names[WEFT_N_REPAIRS] = { "trim",     "lines", "stray",      "nfc",
                                                          "newlines", "notes", "directions", "mojibake" };

const char *weft_repair_name(enum weft_repair r) { return repair_names[r]; }

static enum weft_status bits_of(const struct weft_str_list *list, const char *const *names, size_t n,
                                unsigned *bits, struct weft_err *err)
{
    *bits = 0;
    for (size_t i = 0; i < list->n; i++) {
        size_t k = 0;
        while (k < n && strcmp(names[k], list->items[i]) != 0) k++;
        if (k < n) *bits |= 1u << k;
        else if (strcmp(list->items[i], "all") == 0) *bits |= (1u << n) - 1;
        else {
            char word[64];
            const char *nearest = weft_nearest(list->items[i], names, n);
            return weft_fail(err, WEFT_EARG, "nothing is called \"%s\" here; did you mean \"%s\"?",
                             weft_escape(word, sizeof word, weft_str_c(list->items[i])),
                             nearest ? nearest : "all");
        }
    }
    return WEFT_OK;
}

enum weft_status weft_repair_bits(const struct weft_str_list *names, unsigned *bits, struct weft_err *err)
{
    return bits_of(names, repair_names, WEFT_N_REPAIRS, bits, err);
}

enum weft_status weft_pii_bits(const struct weft_str_list *list, unsigned *bits, struct weft_err *err)
{
    const char *names[WEFT_N_PII];
    for (int i = 0; i < WEFT_N_PII; i++) names[i] = weft_pii_name((enum weft_pii_kind)i);
    return bits_of(list, names, WEFT_N_PII, bits, err);
}

/* ---- repairs: each appends the repaired text ---- */

static void repair_trim(struct weft_buf *b, struct weft_str s) { weft_buf_str(b, weft_trim(s)); }

static void repair_lines(struct weft_buf *b, struct weft_str s)
{
    size_t ends = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.s[i];
        if (c == '\r') {
            if (i + 1 < s.len && s.s[i + 1] == '\n') continue;
            c = '\n';
        }
        ends = c == '\n' ? ends + 1 : 0;
        if (ends <= 2) weft_buf_char(b, c);
    }
}

static void repair_stray(struct weft_buf *b, struct weft_str s)
{
    for (size_t at = 0; at < s.len;) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (!weft_is_stray(cp)) weft_buf_add(b, s.s + at, n);
        at += n;
    }
}

static void repair_newlines(struct weft_buf *b, struct weft_str s)
{
    for (size_t at = 0; at < s.len;) {
        size_t hit = weft_str_find(s, WEFT_STR("\\n"), at);
        weft_buf_str(b, weft_str_sub(s, at, hit));
        if (hit == SIZE_MAX) break;
        bool escaped = hit && s.s[hit - 1] == '\\';
        weft_buf_cstr(b, escaped ? "\\n" : "\n");
        at = hit + 2;
    }
}

static void without(struct weft_buf *b, struct weft_str s,
                    bool (*next)(struct weft_str s, size_t *at, size_t *from, size_t *to))
{
    size_t at = 0, done = 0, from, to;
    while (next(s, &at, &from, &to)) {
        weft_buf_str(b, weft_str_sub(s, done, from));
        done = to;
    }
    weft_buf_str(b, weft_str_skip(s, done));
}

static void repair_notes(struct weft_buf *b, struct weft_str s) { without(b, s, weft_next_note); }
static void repair_directions(struct weft_buf *b, struct weft_str s) { without(b, s, weft_next_direction); }

static void repair_mojibake(struct weft_buf *b, struct weft_str s)
{
    if (!weft_undo_mojibake(b, s)) weft_buf_str(b, s);
}

/* In the order of the work: what one repair leaves behind the next one sees. */
static const struct {
    enum weft_repair id;
    void (*repair)(struct weft_buf *b, struct weft_str s); /* NULL: NFC, which has its own function */
    bool answers_only;
} steps[] = {
    { WEFT_REPAIR_MOJIBAKE, repair_mojibake, false },
    { WEFT_REPAIR_STRAY, repair_stray, false },
    { WEFT_REPAIR_NFC, NULL, false },
    { WEFT_REPAIR_NEWLINES, repair_newlines, false },
    { WEFT_REPAIR_NOTES, repair_notes, false },
    { WEFT_REPAIR_DIRECTIONS, repair_directions, true },
    { WEFT_REPAIR_LINES, repair_lines, false },
    { WEFT_REPAIR_TRIM, repair_trim, false },
};

/* ---- the texts of a row ---- */

struct work {
    struct weft_clean *c;
    struct weft_arena *a;
    struct weft_clean_result *out;
    size_t cap_changes;
    bool masked, repaired, failed;
};

static void changed(struct work *w, const char *what, const char *where, struct weft_str before,
                    struct weft_str after)
{
    struct weft_clean_result *r = w->out;
    if (!WEFT_GROW(w->a, r->changes, r->n_changes, w->cap_changes)) {
        w->failed = true;
        return;
    }
    struct weft_str place = weft_str_dup(w->a, weft_str_c(where));
    w->failed |= !place.s;
    r->changes[r->n_changes++] = (struct weft_change){ what, place, before, after };
}

static struct weft_str work_on(struct work *w, const char *where, struct weft_str s, bool answer)
{
    struct weft_clean *c = w->c;
    if (!s.s) return s;
    for (size_t i = 0; i < WEFT_COUNT(steps) && !w->failed; i++) {
        struct weft_str after;
        if (!(c->s.repairs >> steps[i].id & 1) || (steps[i].answers_only && !answer)) continue;
        if (steps[i].repair) {
            weft_buf_reset(&c->buf);
            steps[i].repair(&c->buf, s);
            w->failed |= c->buf.failed;
            if (weft_str_eq(weft_buf_view(&c->buf), s)) continue;
            after = weft_str_dup(w->a, weft_buf_view(&c->buf));
        } else after = weft_nfc(w->a, s);
        if (!after.s) w->failed = true;
        else if (!weft_str_eq(after, s)) {
            changed(w, repair_names[steps[i].id], where, s, after);
            c->counts.repairs[steps[i].id]++;
            w->repaired = true;
            s = after;
        }
    }
    if (c->s.mask && !w->failed) {
        weft_buf_reset(&c->buf);
        if (weft_pii_mask(&c->buf, s, c->s.mask, c->counts.masked)) {
            struct weft_str after = weft_str_dup(w->a, weft_buf_view(&c->buf));
            w->failed |= !after.s;
            changed(w, "mask", where, s, after);
            w->masked = true;
            s = after;
        }
    }
    return s;
}

/* A question that was instruction and input is worked on in these two parts. */
static struct weft_str work_on_split(struct work *w, const char *where, struct weft_str s,
                                     struct weft_row *row)
{
    char place[48];
    snprintf(place, sizeof place, "%s, instruction", where);
    struct weft_str first = work_on(w, place, weft_str_sub(s, 0, row->instruction_len), false);
    snprintf(place, sizeof place, "%s, input", where);
    struct weft_str second = work_on(w, place, weft_str_skip(s, row->instruction_len + 1), false), both;
    bool one = !first.len || !second.len;
    if (one) both = first.len ? first : second;
    else both = weft_str_printf(w->a, "%.*s\n%.*s", (int)first.len, first.s, (int)second.len, second.s);
    w->failed |= !both.s;
    if (weft_str_eq(both, s)) return s;
    row->split_input = second.len > 0; /* an instruction of no length: all of it is input */
    row->instruction_len = one ? 0 : first.len;
    return both;
}

/* The turns are copied before the first of them changes. */
static bool work_on_turns(struct work *w, struct weft_row *row)
{
    struct weft_turn *turns = NULL;
    size_t last_user = row->n_turns;
    for (size_t i = 0; i < row->n_turns; i++)
        if (row->turns[i].role == WEFT_ROLE_USER) last_user = i;
    for (size_t i = 0; i < row->n_turns && !w->failed; i++) {
        struct weft_turn *t = turns ? &turns[i] : &row->turns[i];
        char where[32];
        /* calls and results are JSON: only private data in them is touched, stray white space belongs to them */
        bool tool = t->role == WEFT_ROLE_TOOL_CALL || t->role == WEFT_ROLE_TOOL_RESULT;
        unsigned repairs = w->c->s.repairs;
        snprintf(where, sizeof where, "turn %zu", i + 1);
        bool split = i == last_user && row->split_input && row->instruction_len
                     && row->instruction_len < t->text.len && t->text.s[row->instruction_len] == '\n';
        if (tool) w->c->s.repairs = 0;
        struct weft_str after = split ? work_on_split(w, where, t->text, row)
                                      : work_on(w, where, t->text, t->role == WEFT_ROLE_ASSISTANT);
        w->c->s.repairs = repairs;
        if (w->failed || weft_str_eq(after, t->text)) continue;
        if (!turns) {
            turns = WEFT_NEWS(w->a, struct weft_turn, row->n_turns);
            if (!turns) return false;
            memcpy(turns, row->turns, row->n_turns * sizeof *turns);
            row->turns = turns;
        }
        row->turns[i].text = after;
    }
    return !w->failed;
}

static bool add_flag(struct work *w, struct weft_row *row, const char *flag)
{
    struct weft_str f = row->origin.flags;
    row->origin.flags = f.len ? weft_str_printf(w->a, "%.*s,%s", (int)f.len, f.s, flag) : weft_str_c(flag);
    return row->origin.flags.s != NULL;
}

static bool work_on_row(struct work *w, struct weft_row *row)
{
    row->system = work_on(w, "system", row->system, false);
    row->text = work_on(w, "text", row->text, false);
    row->chosen.text = work_on(w, "chosen", row->chosen.text, true);
    row->rejected.text = work_on(w, "rejected", row->rejected.text, true);
    return work_on_turns(w, row) && (!w->repaired || add_flag(w, row, "cleaned"))
           && (!w->masked || add_flag(w, row, "masked"));
}

/* ---- reasons to leave a row out ---- */

static bool finds_pii(struct weft_str s, unsigned kinds)
{
    struct weft_pii p;
    size_t at = 0;
    return kinds && s.len && weft_pii_next(s, kinds, &at, &p);
}

static bool row_has_pii(const struct weft_row *row, unsigned kinds)
{
    bool found = finds_pii(row->system, kinds) || finds_pii(row->text, kinds)
                 || finds_pii(row->chosen.text, kinds) || finds_pii(row->rejected.text, kinds);
    for (size_t i = 0; !found && i < row->n_turns; i++) found = finds_pii(row->turns[i].text, kinds);
    return found;
}

static bool is_listed(struct weft_str s, const struct weft_str_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (weft_str_is(s, list->items[i])) return true;
    return false;
}

/* One of the words of a comma-separated list is in the other list. */
static bool any_listed(struct weft_str words, const struct weft_str_list *list)
{
    while (words.len) {
        size_t comma = weft_str_find(words, WEFT_STR(","), 0);
        if (is_listed(weft_str_sub(words, 0, comma), list)) return true;
        words = comma == SIZE_MAX ? (struct weft_str){ 0 } : weft_str_skip(words, comma + 1);
    }
    return false;
}

static size_t row_chars(const struct weft_row *row)
{
    size_t n = weft_utf8_chars(row->system) + weft_utf8_chars(row->text) + weft_utf8_chars(row->chosen.text);
    for (size_t i = 0; i < row->n_turns; i++) n += weft_utf8_chars(row->turns[i].text);
    return n;
}

static bool rehash(struct weft_clean *c)
{
    size_t n = c->n_slots ? c->n_slots * 2 : 1024;
    struct answers *slots = calloc(n, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < c->n_slots; i++) {
        if (!c->slots[i].n) continue;
        size_t h = (size_t)(c->slots[i].prompt ^ c->slots[i].both) & (n - 1);
        while (slots[h].n) h = (h + 1) & (n - 1);
        slots[h] = c->slots[i];
    }
    free(c->slots);
    c->slots = slots;
    c->n_slots = n;
    return true;
}

/* The entry, or the free slot for it; there is one (too_many_answers made room). */
static struct answers *answers_of(struct weft_clean *c, uint64_t prompt, uint64_t both)
{
    size_t h = (size_t)(prompt ^ both) & (c->n_slots - 1);
    while (c->slots[h].n && (c->slots[h].prompt != prompt || c->slots[h].both != both))
        h = (h + 1) & (c->n_slots - 1);
    if (!c->slots[h].n) {
        c->n_used++;
        c->slots[h] = (struct answers){ prompt, both, 1 };
    }
    return &c->slots[h];
}

/* Is this one answer too many?  The same answer again is no other answer.  The entry of a prompt holds the number of
 * its answers and one more; that of an answer NEW, KEPT or LEFT_OUT. */
enum { NEW = 1, KEPT = 2, LEFT_OUT = 3 };

static bool too_many_answers(struct weft_clean *c, const struct weft_row *row, bool *failed)
{
    struct weft_row_hashes hashes = weft_row_hash_both(&c->scratch, row);
    uint64_t prompt = hashes.prompt, both = hashes.both | 1;
    if ((c->n_used + 2) * 2 >= c->n_slots && !rehash(c)) {
        *failed = true;
        return false;
    }
    struct answers *all = answers_of(c, prompt, 0), *one = answers_of(c, prompt, both);
    if (one->n == NEW) {
        one->n = all->n > (uint64_t)c->s.keep_per_prompt ? LEFT_OUT : KEPT;
        if (one->n == KEPT) all->n++;
    }
    return one->n == LEFT_OUT;
}

/* NULL: the row stays. */
static const char *reason_against(struct weft_clean *c, const struct weft_row *before,
                                  const struct weft_row *row, char out[64], bool *failed)
{
    const struct weft_clean_settings *s = &c->s;
    uint32_t signs = s->drop ? weft_quality_row(row, &s->quality, NULL) & s->drop : 0;
    if (row_has_pii(before, s->drop_pii)) return "private data";
    for (int i = 0; i < WEFT_N_QUALITY; i++)
        if (signs >> i & 1) {
            snprintf(out, 64, "quality: %s", weft_quality_rules()[i].name);
            return out;
        }
    if (s->speakers.n && !is_listed(row->origin.speaker, &s->speakers)) return "another speaker";
    if (s->prompt_speakers.n && !is_listed(row->origin.prompt_speaker, &s->prompt_speakers))
        return "another speaker asks";
    if (s->flags.n && any_listed(row->origin.flags, &s->flags)) return "has a flag";
    if (s->min_chars > 0 && row_chars(row) < (size_t)s->min_chars) return "too short";
    if (s->max_chars > 0 && row_chars(row) > (size_t)s->max_chars) return "too long";
    if (s->keep_per_prompt > 0 && !row->text.s && too_many_answers(c, row, failed))
        return "enough answers to this prompt";
    return NULL;
}

/* ---- rows ---- */

enum weft_status weft_clean_new(struct weft_clean **out, const struct weft_clean_settings *s,
                                struct weft_err *err)
{
    struct weft_clean *c = calloc(1, sizeof *c);
    if (!c) return weft_fail_nomem(err, sizeof *c, "the cleaning");
    c->s = *s;
    *out = c;
    return WEFT_OK;
}

void weft_clean_free(struct weft_clean *c)
{
    if (!c) return;
    weft_arena_clear(&c->arena);
    weft_arena_clear(&c->scratch);
    weft_buf_clear(&c->buf);
    free(c->slots);
    free(c);
}

const struct weft_clean_counts *weft_clean_counts(const struct weft_clean *c) { return &c->counts; }

enum weft_status weft_clean_row(struct weft_clean *c, struct weft_arena *a, const struct weft_row *row,
                                struct weft_clean_result *out, struct weft_err *err)
{
    struct work w = { .c = c, .a = a, .out = out };
    char reason[64];
    *out = (struct weft_clean_result){ .kept = true, .row = *row };
    c->counts.rows_in++;
    if (weft_row_is_judged(row) && !c->s.judged) {
        c->counts.judged++;
        c->counts.rows_out++;
        return WEFT_OK;
    }
    if (!work_on_row(&w, &out->row)) return weft_fail_nomem(err, 0, "the cleaning");
    const char *why = reason_against(c, row, &out->row, reason, &w.failed);
    if (w.failed) return weft_fail_nomem(err, 0, "the cleaning");
    if (!why) {
        c->counts.rows_out++;
        c->counts.changed += out->n_changes > 0;
        return WEFT_OK;
    }
    out->kept = false;
    out->reason = weft_str_dup(a, weft_str_c(why));
    c->counts.report.units_in = c->counts.rows_in;
    return weft_report_drop(&c->counts.report, &c->arena, out->reason, 1, (struct weft_str){ 0 }, err);
}
