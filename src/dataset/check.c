/* The check is filled row by row and never holds one: of each it keeps two hashes and where it is, lengths are counted
 * as they come, and texts that are tallied stay where they are or are copied once.  Rows that are alike are found at
 * the end: the hashes are 128 bits, so that equal ones are equal rows, and are brought together by their bytes. */
#include "dataset/check.h"

#include "base/hash.h"
#include "base/lang.h"
#include "base/pool.h"
#include "dataset/lengths.h"
#include "dataset/row_text.h"
#include "dataset/tally.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { SHORT_ANSWER = 2, LISTED = 20, REASONS = 8 /* at least the calls of say in judge */ };

/* ---- what a row says ---- */

struct weft_row_hashes weft_row_hash_both(struct weft_arena *scratch, const struct weft_row *row)
{
    struct weft_arena_mark mark = weft_arena_mark(scratch);
    struct weft_row_hashes out;
    struct weft_str answer;
    size_t n = weft_row_answer(row, &answer);
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++) {
        struct weft_str text = weft_normalise(scratch, row->turns[i].text);
        h = weft_xxh3(text.s, text.len, h * 31 + (uint64_t)row->turns[i].role + 1);
    }
    struct weft_str text = weft_normalise(scratch, row->text.s ? row->text : answer);
    out.prompt = h;
    out.both = weft_xxh3(text.s, text.len, h * 31 + 101);
    if (!n) out.prompt = out.both;
    weft_arena_release(scratch, mark);
    return out;
}

uint64_t weft_row_hash(struct weft_arena *scratch, const struct weft_row *row, bool prompt_only)
{
    struct weft_row_hashes h = weft_row_hash_both(scratch, row);
    return prompt_only ? h.prompt : h.both;
}

static uint32_t most_u32(size_t n) { return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n; }

/* Texts of rows are UTF-8: whoever made the row has seen to it. */
static uint32_t chars(struct weft_str s) { return most_u32(weft_utf8_chars_of_valid(s)); }

/* ---- text that looks like a control token ---- */

#if defined(__SSE2__)
static inline unsigned brackets_of_block(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('<')), _mm_cmpeq_epi8(v, _mm_set1_epi8('['))));
}
#endif

/* Offset of the next '<' or '[' at or after `at`, or s.len. */
static size_t next_bracket(struct weft_str s, size_t at)
{
#if defined(__SSE2__)
    for (; at + 16 <= s.len; at += 16) {
        unsigned hit = brackets_of_block(s.s + at);
        if (hit) return at + (size_t)__builtin_ctz(hit);
    }
    if (s.len >= 16 && at < s.len) { /* once more, over bytes that were seen */
        unsigned hit = brackets_of_block(s.s + s.len - 16) >> (at - (s.len - 16));
        return hit ? at + (size_t)__builtin_ctz(hit) : s.len;
    }
#endif
    while (at < s.len && s.s[at] != '<' && s.s[at] != '[') at++;
    return weft_min_size(at, s.len);
}

/* "<|im_end|>", "</s>", "[INST]" ...: DS7 says that it is plain text; here it is only pointed out. */
static struct weft_str next_lookalike(struct weft_str s, size_t *from)
{
    static const char *const words[] = {
        "<s>",   "</s>",    "[INST]",   "[/INST]",     "<pad>",        "<unk>",           "<eos>",
        "<bos>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<start_of_turn>", "<end_of_turn>"
    };
    for (size_t i = next_bracket(s, *from); i < s.len; i = next_bracket(s, i + 1)) {
        struct weft_str rest = weft_str_skip(s, i);
        if (weft_str_starts(rest, WEFT_STR("<|"))) {
            size_t end = weft_str_find(weft_str_sub(rest, 0, 64), WEFT_STR("|>"), 2);
            if (end != SIZE_MAX) {
                *from = i + end + 2;
                return weft_str_sub(rest, 0, end + 2);
            }
        }
        for (size_t k = 0; k < WEFT_COUNT(words); k++)
            if (weft_str_starts(rest, weft_str_c(words[k]))) {
                *from = i + strlen(words[k]);
                return weft_str_sub(rest, 0, strlen(words[k]));
            }
    }
    *from = s.len;
    return (struct weft_str){ NULL, 0 };
}

/* ---- counting ---- */

/* A row, once it has been counted. */
struct keyed {
    uint64_t prompt, both;      /* hashes of its prompt, and of its prompt and answer */
    uint64_t order, place;      /* the caller's */
};

/* Rows that are alike meet in one bucket; buckets are a thread's work each. */
enum { BUCKET_BITS = 5, BUCKETS = 1 << BUCKET_BITS };

struct weft_checker {
    struct weft_arena arena, scratch;   /* tallies; normalised texts of one row */
    struct weft_check_settings s;
    struct weft_check figures;          /* only what is counted */
    struct weft_tally speakers, systems, lookalikes, flags;
    struct weft_length_counts prompt, answer, row;
    struct weft_buf keys[BUCKETS];      /* struct keyed, by the first bits of the prompt's hash */
};

enum weft_status weft_checker_new(struct weft_checker **out, const struct weft_check_settings *s,
                                  struct weft_err *err)
{
    struct weft_checker *c = calloc(1, sizeof *c);
    *out = c;
    if (!c) return weft_fail_nomem(err, sizeof *c, "the check");
    if (s) c->s = *s;
    if (!c->s.short_answer_chars) c->s.short_answer_chars = SHORT_ANSWER;
    c->speakers.arena = c->systems.arena = c->lookalikes.arena = c->flags.arena = &c->arena;
    return WEFT_OK;
}

void weft_checker_free(struct weft_checker *c)
{
    if (!c) return;
    weft_arena_clear(&c->arena);
    weft_arena_clear(&c->scratch);
    weft_length_counts_clear(&c->prompt);
    weft_length_counts_clear(&c->answer);
    weft_length_counts_clear(&c->row);
    for (int b = 0; b < BUCKETS; b++) weft_buf_clear(&c->keys[b]);
    free(c);
}

/* One row on its way in. */
struct adding {
    struct weft_checker *c;
    uint64_t order;
    const struct weft_str *lasting;
};

/* Counts a text; the first of its kind is kept. */
static bool tally(const struct adding *x, struct weft_tally *t, struct weft_str text)
{
    size_t before = t->n;
    struct weft_tally_item *item = weft_tally_add(t, text, x->order);
    if (!item) return false;
    if (x->order < item->first) item->first = x->order;
    if (t->n == before || !x->lasting) return true;
    uintptr_t p = (uintptr_t)text.s, from = (uintptr_t)x->lasting->s;
    if (p >= from && p - from < x->lasting->len) return true;
    item->text = weft_str_dup(&x->c->arena, text);
    return item->text.s != NULL;
}

static bool count_lookalikes(const struct adding *x, struct weft_str s)
{
    for (size_t at = 0; at < s.len;) {
        struct weft_str hit = next_lookalike(s, &at);
        if (hit.s && !tally(x, &x->c->lookalikes, hit)) return false;
    }
    return true;
}

static bool count_words(const struct adding *x, struct weft_tally *t, struct weft_str list)
{
    for (size_t from = 0; list.len && from <= list.len;) {
        size_t comma = weft_str_find(list, WEFT_STR(","), from);
        if (!tally(x, t, weft_str_sub(list, from, comma))) return false;
        if (comma == SIZE_MAX) break;
        from = comma + 1;
    }
    return true;
}

/* A text of the row: its lookalikes are counted, `len` is its characters, `trimmed` and `normal` what they say. */
struct looked_at {
    struct weft_str trimmed, normal;
    uint32_t len;
};

static bool look_at(const struct adding *x, struct weft_str s, struct looked_at *out)
{
    struct weft_survey survey;
    weft_survey(s, &survey);
    out->len = most_u32(survey.chars);
    out->trimmed = weft_trim(s);
    out->normal = weft_normalise_surveyed(&x->c->scratch, s, out->trimmed, &survey);
    return !survey.bracket || count_lookalikes(x, s);
}

/* Counts the row and hashes it on the way, as weft_row_hash_both does: every text is looked at once. */
static bool count_row(const struct adding *x, const struct weft_row *row, struct weft_row_hashes *hashes)
{
    struct weft_checker *c = x->c;
    struct weft_check *k = &c->figures;
    struct weft_str answer;
    struct looked_at text = { 0 }, before;
    size_t n = weft_row_answer(row, &answer);
    uint64_t total = 0, h = 0;
    bool ok = true;

    k->rows++;
    k->turns += row->n_turns;
    k->text_rows += row->text.s != NULL;
    k->preference_rows += row->chosen.text.s != NULL;
    k->kto_rows += row->kto_tag >= 0;
    k->tool_rows += row->tools.s != NULL;
    k->system_rows += row->system.s != NULL;
    k->history_rows += n > 1;
    k->with_origin += row->origin.file.s != NULL;
    k->flagged += row->origin.flags.len > 0;
    for (size_t t = 0; ok && t < row->n_turns; t++) {
        const struct weft_turn *turn = &row->turns[t];
        before = text;
        ok = look_at(x, turn->text, &text);
        uint32_t len = text.len;
        total += len;
        if (t < n) h = weft_xxh3(text.normal.s, text.normal.len, h * 31 + (uint64_t)turn->role + 1);
        else if (t == n) hashes->both = weft_xxh3(text.normal.s, text.normal.len, h * 31 + 101);
        if (!weft_role_answers(turn->role)) {
            weft_length_counts_add(&c->prompt, len);
            continue;
        }
        weft_length_counts_add(&c->answer, len);
        k->answers++;
        if (!text.trimmed.len) k->empty_answers++;
        else if (len < (uint64_t)c->s.short_answer_chars) k->short_answers++;
        if (t && len && weft_str_eq(text.trimmed, before.trimmed)) k->copied_answers++;
    }
    if (ok && row->text.s) {
        ok = look_at(x, row->text, &text);
        total += text.len;
        k->empty_answers += !text.trimmed.len;
        hashes->both = weft_xxh3(text.normal.s, text.normal.len, 101);
    }
    if (ok && !row->text.s && n == row->n_turns) {
        struct weft_str normal = weft_normalise(&c->scratch, answer);
        hashes->both = weft_xxh3(normal.s, normal.len, h * 31 + 101);
    }
    hashes->prompt = n ? h : hashes->both;
    if (row->system.len) total += chars(row->system);
    weft_length_counts_add(&c->row, total > UINT32_MAX ? UINT32_MAX : (uint32_t)total);
    k->long_rows += c->s.long_chars > 0 && total > (uint64_t)c->s.long_chars;
    if (ok && row->origin.prompt_speaker.len) ok = tally(x, &c->speakers, row->origin.prompt_speaker);
    if (ok && row->system.s) ok = tally(x, &c->systems, row->system);
    return ok && count_words(x, &c->flags, row->origin.flags);
}

enum weft_status weft_checker_add(struct weft_checker *c, const struct weft_row *row, uint64_t order, uint64_t place,
                                  const struct weft_str *lasting, struct weft_err *err)
{
    struct adding x = { c, order, lasting };
    struct weft_row_hashes h = { 0 };
    struct weft_arena_mark mark = weft_arena_mark(&c->scratch);
    bool ok = count_row(&x, row, &h);
    weft_arena_release(&c->scratch, mark);
    struct keyed key = { h.prompt, h.both, order, place };
    struct weft_buf *keys = &c->keys[h.prompt >> (64 - BUCKET_BITS)];
    weft_buf_add(keys, &key, sizeof key);
    return ok && !keys->failed ? WEFT_OK : weft_fail_nomem(err, keys->cap, "the check");
}

static bool join_tally(struct weft_tally *t, const struct weft_tally *other)
{
    for (size_t i = 0; i < other->n; i++) {
        const struct weft_tally_item *from = &other->items[i];
        struct weft_tally_item *item = weft_tally_add(t, from->text, from->first);
        if (!item) return false;
        item->count += from->count - 1;
        if (from->first < item->first) item->first = from->first;
    }
    return true;
}

enum weft_status weft_checker_join(struct weft_checker *c, const struct weft_checker *other, struct weft_err *err)
{
    struct weft_check *k = &c->figures;
    const struct weft_check *o = &other->figures;
    const struct {
        uint64_t *to, from;
    } sums[] = {
        { &k->rows, o->rows }, { &k->text_rows, o->text_rows }, { &k->turns, o->turns }, { &k->answers, o->answers },
        { &k->empty_answers, o->empty_answers }, { &k->short_answers, o->short_answers },
        { &k->long_rows, o->long_rows }, { &k->preference_rows, o->preference_rows }, { &k->kto_rows, o->kto_rows },
        { &k->tool_rows, o->tool_rows }, { &k->system_rows, o->system_rows }, { &k->history_rows, o->history_rows },
        { &k->copied_answers, o->copied_answers }, { &k->with_origin, o->with_origin }, { &k->flagged, o->flagged },
    };
    bool ok = true;
    for (size_t i = 0; i < WEFT_COUNT(sums); i++) *sums[i].to += sums[i].from;
    weft_length_counts_join(&c->prompt, &other->prompt);
    weft_length_counts_join(&c->answer, &other->answer);
    weft_length_counts_join(&c->row, &other->row);
    for (int b = 0; b < BUCKETS; b++) {
        weft_buf_str(&c->keys[b], weft_buf_view(&other->keys[b]));
        ok &= !c->keys[b].failed;
    }
    ok = ok && join_tally(&c->speakers, &other->speakers) && join_tally(&c->systems, &other->systems)
              && join_tally(&c->lookalikes, &other->lookalikes) && join_tally(&c->flags, &other->flags);
    return ok ? WEFT_OK : weft_fail_nomem(err, c->keys[0].len, "the check");
}

/* ---- rows that are alike ---- */

enum { FEW = 24, RADIX = 256, LAST_LEVEL = 16 };

/* Byte 0 is the highest of the prompt's hash, byte 15 the lowest of the other's. */
static unsigned byte_of(const struct keyed *k, int level)
{
    uint64_t h = level < 8 ? k->prompt : k->both;
    return (unsigned)(h >> (56 - 8 * (level & 7))) & 0xFF;
}

static bool is_before(const struct keyed *a, const struct keyed *b)
{
    return a->prompt != b->prompt ? a->prompt < b->prompt : a->both < b->both;
}

static void sort_few(struct keyed *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct keyed k = keys[i];
        size_t to = i;
        for (; to && is_before(&k, &keys[to - 1]); to--) keys[to] = keys[to - 1];
        keys[to] = k;
    }
}

/* Sorts n keys by their hashes, from byte `level` on; `spare` has room for as many. */
static void sort_keys(struct keyed *keys, struct keyed *spare, size_t n, int level)
{
    size_t count[RADIX], at[RADIX], next = 0;
    for (; level < LAST_LEVEL; level++) {       /* a byte that all have alike moves nothing */
        memset(count, 0, sizeof count);
        for (size_t i = 0; i < n; i++) count[byte_of(&keys[i], level)]++;
        if (count[byte_of(&keys[0], level)] < n) break;
    }
    if (level == LAST_LEVEL) return;
    for (int b = 0; b < RADIX; b++) {
        at[b] = next;
        next += count[b];
    }
    for (size_t i = 0; i < n; i++) spare[at[byte_of(&keys[i], level)]++] = keys[i];
    memcpy(keys, spare, n * sizeof *keys);
    for (int b = 0; b < RADIX; b++)
        if (count[b] > FEW) sort_keys(keys + at[b] - count[b], spare, count[b], level + 1);
        else if (count[b] > 1) sort_few(keys + at[b] - count[b], count[b]);
}

/* The first of a group and how many it has; the LISTED greatest groups, most first. */
struct group {
    uint64_t count, order, place;
};
struct groups {
    struct group items[LISTED];
    size_t n;
};

static void list_group(struct groups *g, struct group x)
{
    size_t i = g->n < LISTED ? g->n++ : LISTED;
    for (; i && (g->items[i - 1].count < x.count
                 || (g->items[i - 1].count == x.count && g->items[i - 1].order > x.order));
         i--)
        if (i < LISTED) g->items[i] = g->items[i - 1];
    if (i < LISTED) g->items[i] = x;
}

static enum weft_status name_groups(struct weft_arena *a, const struct groups *g,
                                    const struct weft_check_source *source, struct weft_check_item **items,
                                    size_t *n, struct weft_err *err)
{
    *items = WEFT_NEWS(a, struct weft_check_item, g->n + 1);
    *n = g->n;
    if (!*items) return weft_fail_nomem(err, g->n * sizeof **items, "the check");
    for (size_t i = 0; i < g->n; i++) {
        struct weft_row row;
        enum weft_status st = source->row(source->ctx, a, g->items[i].place, &row, err);
        if (st) return st;
        (*items)[i] = (struct weft_check_item){ weft_row_headline(&row), g->items[i].count,
                                                source->number(source->ctx, g->items[i].order) };
    }
    return WEFT_OK;
}

static bool same_row(const struct keyed *a, const struct keyed *b)
{
    return a->prompt == b->prompt && a->both == b->both;
}

static void take_first(struct group *g, const struct keyed *k)
{
    if (!g->count++ || k->order < g->order) {
        g->order = k->order;
        g->place = k->place;
    }
}

/* What one bucket has. */
struct alike {
    struct weft_buf *keys;
    bool failed;
    uint64_t unique_rows, conflicting_prompts, conflicting_rows;
    struct groups duplicates, conflicts;
};

/* Sorted by prompt and answer, equal rows stand side by side, and so do the answers to one prompt. */
static void find_in_bucket(void *ctx, size_t bucket, int thread)
{
    struct alike *x = (struct alike *)ctx + bucket;
    struct keyed *keys = (struct keyed *)(void *)x->keys->s, *spare = malloc(x->keys->len + 1);
    size_t n = x->keys->len / sizeof *keys;
    x->failed = !spare;
    if (n && spare) sort_keys(keys, spare, n, 0);
    free(spare);
    for (size_t i = 0; i < n && !x->failed;) {
        struct group prompt = { 0 };
        uint64_t answers = 0;
        for (size_t start = i; i < n && keys[i].prompt == keys[start].prompt; answers++) {
            struct group same = { 0 };
            for (size_t first = i; i < n && same_row(&keys[i], &keys[first]); i++) {
                take_first(&same, &keys[i]);
                take_first(&prompt, &keys[i]);
            }
            if (same.count > 1) list_group(&x->duplicates, same);
            x->unique_rows++;
        }
        if (answers > 1) {
            x->conflicting_prompts++;
            x->conflicting_rows += prompt.count;
            list_group(&x->conflicts, prompt);
        }
    }
}

static enum weft_status find_alike(struct weft_checker *c, struct weft_arena *a, struct weft_pool *pool,
                                   const struct weft_check_source *source, struct weft_check *k, struct weft_err *err)
{
    struct alike *all = calloc(BUCKETS, sizeof *all);
    struct groups duplicates = { .n = 0 }, conflicts = { .n = 0 };
    bool failed = !all;
    for (int b = 0; all && b < BUCKETS; b++) all[b].keys = &c->keys[b];
    if (all) weft_pool_run(pool, BUCKETS, find_in_bucket, all);
    for (int b = 0; all && b < BUCKETS; b++) {
        failed |= all[b].failed;
        k->unique_rows += all[b].unique_rows;
        k->conflicting_prompts += all[b].conflicting_prompts;
        k->conflicting_rows += all[b].conflicting_rows;
        for (size_t i = 0; i < all[b].duplicates.n; i++) list_group(&duplicates, all[b].duplicates.items[i]);
        for (size_t i = 0; i < all[b].conflicts.n; i++) list_group(&conflicts, all[b].conflicts.items[i]);
    }
    free(all);
    if (failed) return weft_fail_nomem(err, c->keys[0].len, "the check");
    k->duplicate_rows = k->rows - k->unique_rows;
    enum weft_status st = name_groups(a, &duplicates, source, &k->duplicates, &k->n_duplicates, err);
    return st ? st : name_groups(a, &conflicts, source, &k->conflicts, &k->n_conflicts, err);
}

/* ---- the result ---- */

static bool list_items(struct weft_arena *a, struct weft_tally *t, size_t most, const struct weft_check_source *source,
                       struct weft_check_item **items, size_t *n)
{
    weft_tally_sort(t);
    *n = weft_min_size(t->n, most);
    *items = WEFT_NEWS(a, struct weft_check_item, *n + 1);
    for (size_t i = 0; *items && i < *n; i++)
        (*items)[i] = (struct weft_check_item){ t->items[i].text, t->items[i].count,
                                                source->number(source->ctx, t->items[i].first) };
    return *items != NULL;
}

struct judging {
    struct weft_arena *arena;
    struct weft_check *out;
};

/* `fix` is a key of the catalogue. */
static bool say(struct judging *c, enum weft_lang lang, enum weft_verdict verdict, const char *fix,
                const char *fmt, ...) WEFT_PRINTF(5, 6);

static bool say(struct judging *c, enum weft_lang lang, enum weft_verdict verdict, const char *fix,
                const char *fmt, ...)
{
    struct weft_check *k = c->out;
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, weft_tr(lang, fmt), ap);
    va_end(ap);
    if (verdict > k->verdict) k->verdict = verdict;
    k->fixes[k->n_reasons] = weft_str_c(weft_tr(lang, fix));
    k->reasons[k->n_reasons] = weft_str_dup(c->arena, weft_str_c(text));
    return k->reasons[k->n_reasons++].s != NULL;
}

static bool judge(struct judging *c, uint64_t rows, enum weft_lang lang)
{
    struct weft_check *k = c->out;
    bool ok = true;
    k->reasons = WEFT_NEWS(c->arena, struct weft_str, REASONS);
    k->fixes = WEFT_NEWS(c->arena, struct weft_str, REASONS);
    if (!k->reasons || !k->fixes) return false;
    if (k->empty_answers)
        ok = ok
             && say(c, lang, WEFT_VERDICT_BAD, "weft data clean --drop empty_answer leaves them out",
                    "%" PRIu64 " of %" PRIu64 " answers are empty: training on them teaches silence",
                    k->empty_answers, k->answers + k->text_rows);
    if (k->copied_answers * 50 > rows)
        ok = ok
             && say(c, lang, WEFT_VERDICT_BAD, "weft data clean --drop same_as_prompt leaves them out",
                    "%" PRIu64 " of %" PRIu64 " rows answer with their own prompt", k->copied_answers, rows);
    if (k->duplicate_rows * 10 > rows)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK, "weft data dedup keeps one of each, near doubles too",
                    "%" PRIu64 " of %" PRIu64
                    " rows are duplicates: they weigh double in training and leak into the validation part",
                    k->duplicate_rows, rows);
    if (k->conflicting_rows * 10 > rows)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK, "weft data clean --keep-per-prompt K keeps K answers of each prompt",
                    "%" PRIu64 " of %" PRIu64
                    " rows give different answers to one prompt: keep a few of each (keep_per_prompt)",
                    k->conflicting_rows, rows);
    if (k->short_answers * 10 > k->answers)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK,
                    "weft data clean --drop short_answer, or more turns a row (--turns multi)",
                    "%" PRIu64 " of %" PRIu64 " answers are very short: the model will be too",
                    k->short_answers, k->answers);
    if (k->n_lookalikes)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK, "harmless where they are meant as text; look at them",
                    "%zu kinds of text look like control tokens; they are trained as plain text",
                    k->n_lookalikes);
    if (rows < 50)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK, "more source text, more speakers, or weft data augment",
                    "%" PRIu64 " rows are few: expect the model to learn them by heart", rows);
    return ok;
}

enum weft_status weft_checker_finish(struct weft_checker *c, struct weft_arena *a, struct weft_pool *pool,
                                     const struct weft_check_source *source, struct weft_check *out,
                                     struct weft_err *err)
{
    *out = c->figures;
    bool ok = weft_length_counts_finish(&c->prompt, &out->prompt) && weft_length_counts_finish(&c->answer, &out->answer)
              && weft_length_counts_finish(&c->row, &out->row)
              && list_items(a, &c->speakers, SIZE_MAX, source, &out->speakers, &out->n_speakers)
              && list_items(a, &c->systems, LISTED, source, &out->systems, &out->n_systems)
              && list_items(a, &c->lookalikes, LISTED, source, &out->lookalikes, &out->n_lookalikes)
              && list_items(a, &c->flags, SIZE_MAX, source, &out->flags, &out->n_flags);
    enum weft_status st = ok ? find_alike(c, a, pool, source, out, err) : WEFT_OK;
    if (st) return st;
    ok = ok && judge(&(struct judging){ a, out }, out->rows, err ? err->lang : WEFT_LANG_EN);
    return ok ? WEFT_OK : weft_fail_nomem(err, c->keys[0].len, "the check");
}

/* ---- rows in memory ---- */

static size_t number_of(void *ctx, uint64_t order) { return (size_t)order; }

static enum weft_status row_of(void *ctx, struct weft_arena *a, uint64_t place, struct weft_row *row,
                               struct weft_err *err)
{
    const struct weft_rows *rows = ctx;
    *row = rows->items[place];
    return WEFT_OK;
}

enum weft_status weft_check_rows(struct weft_arena *a, const struct weft_rows *rows,
                                 const struct weft_check_settings *s, struct weft_check *out,
                                 struct weft_err *err)
{
    struct weft_rows all = *rows;
    struct weft_check_source source = { &all, number_of, row_of };
    struct weft_checker *c;
    enum weft_status st = weft_checker_new(&c, s, err);
    for (size_t i = 0; !st && i < rows->n; i++) st = weft_checker_add(c, &rows->items[i], i, i, NULL, err);
    if (!st) st = weft_checker_finish(c, a, NULL, &source, out, err);
    weft_checker_free(c);
    return st;
}
