/* Units from rows: passages, questions with their answers, drawn groups of examples. */
#include "dataset/ask.h"

#include "base/lang.h"
#include "base/rng.h"

#include <inttypes.h>

struct weft_str weft_ask_question(const struct weft_row *row)
{
    for (size_t i = row->n_turns; i-- > 0;)
        if (row->turns[i].role == WEFT_ROLE_USER) return row->turns[i].text;
    return (struct weft_str){ NULL, 0 };
}

struct weft_str weft_ask_answer(const struct weft_row *row)
{
    for (size_t i = row->n_turns; i-- > 0;)
        if (row->turns[i].role == WEFT_ROLE_ASSISTANT) return row->turns[i].text;
    return row->chosen.text;
}

static bool name_unit(struct weft_arena *a, const struct weft_row *row, size_t i, struct weft_origin *out)
{
    *out = row->origin;
    if (!out->id.s) out->id = weft_str_printf(a, "r%06zu", i + 1);
    return out->id.s != NULL;
}

/* The text a task is about: of a text row the text; of a conversation the question, or (for tasks about passages) the
 * answer, since there the passage stands. */
enum weft_status weft_ask_units_of_rows(struct weft_arena *a, const char *task, const struct weft_rows *rows,
                                        struct weft_ask_unit **out, size_t *n, struct weft_err *err)
{
    const struct weft_ask_task *t = weft_ask_task(task);
    struct weft_ask_unit *units = WEFT_NEWS(a, struct weft_ask_unit, rows->n);
    if (!t) return weft_ask_task_unknown(task, err);
    if (!units) return weft_fail_nomem(err, rows->n * sizeof *units, "rows");
    bool asks = strcmp(t->names[0], "question") == 0;
    for (size_t i = 0; i < rows->n; i++) {
        const struct weft_row *row = &rows->items[i];
        struct weft_ask_unit *u = &units[i];
        u->row = row;
        if (asks && row->text.s)
            return weft_fail(err, WEFT_EINPUT, "row %zu is a plain text; the task %s needs questions and answers", i + 1,
                             task);
        u->text = asks ? weft_ask_question(row) : row->text.s ? row->text : weft_ask_answer(row);
        if (!u->text.len)
            return weft_fail(err, WEFT_EINPUT, "row %zu has no text for the task %s", i + 1, task);
        if (asks) u->values[u->n_values++] = (struct weft_prompt_value){ "answer", weft_ask_answer(row) };
        if (!name_unit(a, row, i, &u->origin)) return weft_fail_nomem(err, 16, "rows");
    }
    *out = units;
    *n = rows->n;
    return WEFT_OK;
}

/* Draw number d of the seed: `examples` different rows. */
static void draw(uint64_t seed, uint64_t d, size_t n, size_t examples, size_t *out)
{
    struct weft_rng rng;
    weft_rng_init(&rng, seed, WEFT_RNG_DATA, d);
    for (size_t k = 0; k < examples;) {
        size_t pick = (size_t)weft_rng_below(&rng, n), same = 0;
        for (size_t i = 0; i < k; i++) same += out[i] == pick;
        if (!same) out[k++] = pick;
    }
}

static enum weft_status fill_draw(struct weft_arena *a, const struct weft_rows *rows, const size_t *picks,
                                  size_t examples, size_t number, struct weft_ask_unit *u, struct weft_err *err)
{
    struct weft_buf text = { 0 }, parents = { 0 };
    const struct weft_row **shown = WEFT_NEWS(a, const struct weft_row *, examples);
    enum weft_status st = shown ? WEFT_OK : weft_fail_nomem(err, examples * sizeof *shown, "rows");
    for (size_t k = 0; k < examples && !st; k++) {
        const struct weft_row *row = &rows->items[picks[k]];
        struct weft_origin o;
        struct weft_str q = weft_ask_question(row), w = weft_ask_answer(row);
        shown[k] = row;
        if (!name_unit(a, row, picks[k], &o)) st = weft_fail_nomem(err, 16, "rows");
        weft_buf_printf(&text, "%s%zu.\ninstruction: %.*s\noutput: %.*s", k ? "\n\n" : "", k + 1, (int)q.len,
                        q.s ? q.s : "", (int)w.len, w.s ? w.s : "");
        weft_buf_printf(&parents, "%s%.*s", k ? "," : "", (int)o.id.len, o.id.s);
    }
    if (!st) st = weft_buf_check(&text, "rows", err);
    if (!st) st = weft_buf_check(&parents, "rows", err);
    if (!st) {
        u->text = weft_str_dup(a, weft_buf_view(&text));
        u->parents = weft_str_dup(a, weft_buf_view(&parents));
        u->origin = (struct weft_origin){ .id = weft_str_printf(a, "aug%06zu", number + 1) };
        u->examples = shown;
        u->n_examples = examples;
        if (!u->text.s || !u->parents.s || !u->origin.id.s) st = weft_fail_nomem(err, text.len, "rows");
    }
    weft_buf_clear(&text);
    weft_buf_clear(&parents);
    return st;
}

enum weft_status weft_ask_units_of_draws(struct weft_arena *a, const struct weft_rows *rows, uint64_t draws,
                                         uint64_t examples, uint64_t seed, struct weft_ask_unit **out, size_t *n,
                                         struct weft_err *err)
{
    size_t picks[16];
    struct weft_ask_unit *units = WEFT_NEWS(a, struct weft_ask_unit, draws);
    enum weft_status st = WEFT_OK;
    if (!units) return weft_fail_nomem(err, draws * sizeof *units, "rows");
    if (examples < 1 || examples > WEFT_COUNT(picks))
        return weft_fail(err, WEFT_EARG, "examples is %" PRIu64 "; expected 1 to %zu", examples, WEFT_COUNT(picks));
    if (rows->n < examples)
        return weft_fail(err, WEFT_EINPUT, "%zu rows are too few to draw %" PRIu64 " examples from", rows->n, examples);
    for (size_t i = 0; i < rows->n; i++)
        if (!weft_ask_question(&rows->items[i]).len || !weft_ask_answer(&rows->items[i]).len)
            return weft_fail(err, WEFT_EINPUT, "row %zu has no question and answer to show as an example", i + 1);
    for (size_t d = 0; d < draws && !st; d++) {
        draw(seed, d, rows->n, examples, picks);
        st = fill_draw(a, rows, picks, examples, d, &units[d], err);
    }
    *out = units;
    *n = draws;
    return st;
}
