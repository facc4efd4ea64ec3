/* Bits per character of a model on held-out chapters: bpc MODEL heldout.jsonl
 *
 * Every character counts, line ends and one end mark a chapter too.  A chapter is read in windows of 512 tokens that
 * advance by 256, so that every token but the first ones of a chapter sees 256 or more before it; each token is
 * counted once.  The first token of a chapter is predicted from an end mark, as in training.
 */
#include "base/file.h"
#include "base/json.h"
#include "model/model.h"
#include "tokens/tokenizer.h"

#include <math.h>
#include <stdio.h>

enum { WINDOW = 512, STRIDE = 256, WINDOWS = 16 };

struct bpc {
    struct weft_compute compute;
    struct weft_model *model;
    struct weft_pass *pass;
    int32_t ids[WINDOW * WINDOWS], labels[WINDOW * WINDOWS], pos[WINDOW * WINDOWS], cu[WINDOWS + 1];
    size_t n_windows;
    double nats;
    size_t tokens;
};

static enum weft_status flush(struct bpc *b, struct weft_err *err)
{
    struct weft_loss loss = { 0 };
    struct weft_batch batch = { b->ids, b->labels, b->pos, b->cu, (size_t)b->cu[b->n_windows], b->n_windows, 0 };
    if (!b->n_windows) return WEFT_OK;
    enum weft_status st = weft_model_loss(b->model, b->pass, &batch, &loss, err);
    b->nats += loss.sum;
    b->tokens += loss.n;
    b->n_windows = 0;
    return st;
}

/* ids [n]: end mark, chapter, end mark. */
static enum weft_status chapter(struct bpc *b, const int32_t *ids, size_t n, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    size_t counted = 1;                     /* ids before this one have been predicted, or need not be */
    for (size_t from = 0; !st && counted < n; from += STRIDE) {
        size_t len = weft_min_size(WINDOW, n - from), at = b->n_windows ? (size_t)b->cu[b->n_windows] : 0;
        for (size_t i = 0; i < len; i++) {
            b->ids[at + i] = ids[from + i];
            b->pos[at + i] = (int32_t)i;
            b->labels[at + i] = from + i >= counted ? ids[from + i] : WEFT_IGNORE;
        }
        counted = from + len;
        b->cu[++b->n_windows] = (int32_t)(at + len);
        if (b->n_windows == WINDOWS) st = flush(b, err);
    }
    return st;
}

int main(int argc, char **argv)
{
    static struct bpc b;
    struct weft_arena a = { 0 }, row = { 0 };
    struct weft_err err = { 0 };
    struct weft_pool *pool = NULL;
    struct weft_tokenizer *t = NULL;
    struct weft_encoder *e = NULL;
    struct weft_str text, line;
    struct weft_model_settings settings = { .max_positions = WINDOW };
    struct weft_pass_settings pass = { .max_tokens = WINDOW * WINDOWS };
    size_t chars = 0, chapters = 0;
    if (argc != 3) return fprintf(stderr, "usage: bpc MODEL heldout.jsonl\n"), 2;
    enum weft_status st = weft_pool_new(&pool, 0, &err);
    if (!st) st = weft_compute_init(&b.compute, NULL, pool, &err);
    if (!st) st = weft_model_load(&b.model, argv[1], &settings, &err);
    if (!st) st = weft_tokenizer_load(&t, argv[1], &err);
    if (!st) st = weft_encoder_new(&e, t, &err);
    if (!st) st = weft_pass_new(&b.pass, &b.compute, b.model, &pass, &err);
    if (!st) st = weft_file_read(&a, argv[2], 0, &text, &err);
    struct weft_lines lines = { .text = text };
    int32_t end = st ? 0 : weft_tokenizer_special(t, WEFT_EOS);
    while (!st && weft_lines_next(&lines, &line)) {
        struct weft_json_value v;
        struct weft_ids ids = { 0 };
        st = weft_json_parse(&row, argv[2], line, &v, &err);
        const struct weft_json_value *s = st ? NULL : weft_json_get(&v, "text");
        if (!st && !s) st = weft_fail(&err, WEFT_EINPUT, "%s: a line without \"text\"", argv[2]);
        if (!st) st = weft_encode(e, s->text, 0, &ids, &err);
        int32_t *all = st ? NULL : WEFT_NEWS(&row, int32_t, ids.n + 2);
        if (all) {
            all[0] = all[ids.n + 1] = end;
            if (ids.n) memcpy(all + 1, ids.ids, ids.n * sizeof *all);
            st = chapter(&b, all, ids.n + 2, &err);
            chars += weft_utf8_chars(s->text);
            chapters++;
        }
        weft_ids_clear(&ids);
        weft_arena_clear(&row);
    }
    if (!st) st = flush(&b, &err);
    if (!st)
        printf("%zu chapters, %zu characters, %zu tokens: %.4f nats a token, %.4f bits per character\n",
               chapters, chars + chapters, b.tokens, b.nats / (double)b.tokens,
               b.nats / log(2) / (double)(chars + chapters));
    else fprintf(stderr, "bpc: %s\n", err.msg);
    return weft_exit_code(st);
}
