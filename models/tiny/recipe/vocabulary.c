/* models/tiny/recipe/vocabulary.c - learns tokenizer.json of the model `tiny`
 *
 * Text: the chapters of the JSONL files given (member "text"), of the first file without every 50th line,
 * which is held out for measuring; and modern.txt, repeated until it is about a fiftieth of all, so that
 * role words, digits, JSON and modern Chinese have tokens of their own.  README.md beside this file has
 * the command.
 */
#include "base/file.h"
#include "base/json.h"
#include "tokens/bpe_train.h"
#include "tokens/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { VOCAB_SIZE = 8192, HELD_OUT_EVERY = 50, MODERN_SHARE = 50 };

struct texts {
    struct weft_str *items;
    size_t n, cap;
    uint64_t bytes;
};

static enum weft_status add(struct texts *t, struct weft_str s, struct weft_err *err)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 4096;
        struct weft_str *items = realloc(t->items, cap * sizeof *items);
        if (!items) return weft_fail_nomem(err, cap * sizeof *items, "texts");
        t->items = items;
        t->cap = cap;
    }
    t->items[t->n++] = s;
    t->bytes += s.len;
    return WEFT_OK;
}

static enum weft_status read_chapters(struct weft_arena *a, const char *path, struct texts *train,
                                      struct texts *held_out, struct weft_err *err)
{
    struct weft_lines lines = { 0 };
    struct weft_str line;
    enum weft_status st = weft_file_read(a, path, 0, &lines.text, err);
    while (!st && weft_lines_next(&lines, &line)) {
        struct weft_json_value row;
        st = weft_json_parse(a, path, line, &row, err);
        const struct weft_json_value *text = st ? NULL : weft_json_get(&row, "text");
        if (!text) continue;
        st = add(held_out && lines.line % HELD_OUT_EVERY == 0 ? held_out : train, text->text, err);
    }
    return st;
}

static void show(void *ctx, const char *stage, uint64_t done, uint64_t total, const char *unit,
                 const char *note)
{
    fprintf(stderr, "\r%s %" PRIu64 " of %" PRIu64 " %s   ", stage, done, total, unit);
}

int main(int argc, char **argv)
{
    struct weft_arena a = { 0 };
    struct texts train = { 0 }, held_out = { 0 };
    struct weft_err err = { 0 };
    struct weft_buf json = { 0 };
    struct weft_str modern;
    enum weft_status st;

    if (argc < 4) {
        fprintf(stderr, "usage: %s modern.txt tokenizer.json classic-zh.jsonl [more.jsonl ...]\n", argv[0]);
        return 2;
    }
    st = weft_file_read(&a, argv[1], 0, &modern, &err);
    for (int i = 3; i < argc && !st; i++)
        st = read_chapters(&a, argv[i], &train, i == 3 ? &held_out : NULL, &err);
    if (st) goto done;
    size_t times = modern.len ? train.bytes / MODERN_SHARE / modern.len : 0;
    fprintf(stderr, "%zu chapters, %" PRIu64 " bytes; modern.txt %zu times\n", train.n, train.bytes, times);
    for (size_t i = 0; i < times && !st; i++) st = add(&train, modern, &err);
    if (st) goto done;
    static const char *const specials[] = { "<|endoftext|>", "<|im_start|>", "<|im_end|>" };
    struct weft_bpe_settings s = {
        .vocab_size = VOCAB_SIZE, .pattern = "qwen2", .nfc = true, .specials = specials, .n_specials = 3
    };
    st = weft_bpe_train(&s, train.items, train.n, &(struct weft_progress){ .update = show }, &json, &err);
    if (st) goto done;
    st = weft_file_write(argv[2], weft_buf_view(&json), &err);
done:
    if (st) fprintf(stderr, "\n%s\n", err.msg);
    else fprintf(stderr, "\n");
    free(train.items);
    free(held_out.items);
    weft_buf_clear(&json);
    weft_arena_clear(&a);
    return weft_exit_code(st);
}
