/* Any bytes as a file of kept tokens.  An odd last byte puts length and checksum right first, so that the numbers
 * behind them are reached.  What is taken holds whole items, rows that exist and tokens of the vocabulary. */
#include "tokens/cache.h"

#include <stdlib.h>

enum { ROWS = 8, VOCAB = 100, MOST = 1 << 16 };
static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void check(bool ok)
{
    if (!ok) abort();
}

static void taken(const struct weft_examples *ex)
{
    uint64_t tokens = 0, labels = 0;
    for (size_t i = 0; i < ex->n * (ex->two ? 2 : 1); i++) {
        const struct weft_example *x = &ex->items[i];
        uint32_t n_labels = 0, sum = 0;
        check(x->n && x->row_idx < ROWS);
        for (uint32_t t = 0; t < x->n; t++) {
            check(x->ids[t] >= 0 && x->ids[t] < VOCAB);
            check(x->labels[t] == WEFT_IGNORE || (x->labels[t] >= 0 && x->labels[t] < VOCAB));
            n_labels += x->labels[t] != WEFT_IGNORE;
        }
        for (uint32_t p = 0; p < x->n_parts; p++) sum += x->part_lens[p];
        check(n_labels == x->n_labels && (!x->n_parts || sum == x->n));
        tokens += x->n;
        labels += n_labels;
    }
    check(tokens == ex->total_tokens && labels == ex->total_labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_examples ex;
    enum weft_cache_found found;
    char *bytes = malloc(size + 16);
    size_t n = size;
    if (!bytes || size > MOST) goto done;
    if (size) memcpy(bytes, data, size);
    if (size > 100 && data[size - 1] & 1) {
        memcpy(bytes + 8, key, sizeof key - 1);
        n = size / 8 * 8;
        uint64_t hash = weft_xxh3(bytes, n - 8, 0);
        memcpy(bytes + n - 8, &hash, sizeof hash);
    }
    check(weft_cache_parse(&a, (struct weft_str){ bytes, n }, key, ROWS, VOCAB, &ex, &found, &err) == WEFT_OK);
    if (found == WEFT_CACHE_TAKEN) taken(&ex);
done:
    free(bytes);
    weft_arena_clear(&a);
    return 0;
}
