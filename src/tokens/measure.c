/* tokens/measure.c - the speed of encoding, and a text to measure it on */
#include "tokens/measure.h"

#include "base/rng.h"

#include <math.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum weft_status pass(const struct weft_tokenizer *t, const struct weft_str *texts, size_t n,
                             struct weft_measured_tokens *m, struct weft_err *err)
{
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    double start = now(), seconds;
    enum weft_status st = weft_encoder_new(&e, t, err);
    m->n_tokens = 0;
    for (size_t i = 0; i < n && !st; i++) {
        ids.n = 0;
        st = weft_encode(e, texts[i], WEFT_ENCODE_SPECIALS, &ids, err);
        m->n_tokens += ids.n;
    }
    seconds = fmax(now() - start, 1e-9);
    m->bytes_per_s = fmax(m->bytes_per_s, (double)m->n_bytes / seconds);
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    return st;
}

enum weft_status weft_measure_tokens(const struct weft_tokenizer *t, const struct weft_str *texts, size_t n_texts,
                                     int rounds, struct weft_measured_tokens *out, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    *out = (struct weft_measured_tokens){ 0 };
    for (size_t i = 0; i < n_texts; i++) out->n_bytes += texts[i].len;
    for (int r = 0; r < rounds && !st; r++) {
        double start = now();
        for (size_t i = 0; i < n_texts && !st; i++)
            if (weft_utf8_check(texts[i]) < texts[i].len)
                st = weft_fail(err, WEFT_EINPUT, "text %zu is not UTF-8", i + 1);
        out->check_bytes_per_s =
            fmax(out->check_bytes_per_s, (double)out->n_bytes / fmax(now() - start, 1e-9));
        if (!st) st = pass(t, texts, n_texts, out, err);
    }
    return st;
}

enum weft_status weft_measure_tokens_text(const struct weft_tokenizer *t, size_t bytes, struct weft_buf *out,
                                          struct weft_err *err)
{
    enum { LINE_TOKENS = 24 };
    double log_size = log((double)weft_tokenizer_vocab_size(t) + 1);
    struct weft_rng rng;
    enum weft_status st = WEFT_OK;
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 0);
    while (out->len < bytes && !st) {
        int32_t line[LINE_TOKENS];
        size_t n = 0;
        for (int i = 0; i < LINE_TOKENS; i++) {
            /* exp of a uniform variable: the density of rank r is 1 / r. */
            int32_t id = (int32_t)(exp(weft_rng_f64(&rng) * log_size)) - 1;
            /* Single bytes and fragments of characters would not come together as text. */
            struct weft_buf alone = { 0 };
            st = weft_decode(t, &id, 1, true, &alone, err);
            if (st) {
                weft_buf_clear(&alone);
                break;
            }
            if (alone.len && weft_str_find(weft_buf_view(&alone), WEFT_STR("\xEF\xBF\xBD"), 0) == SIZE_MAX)
                line[n++] = id;
            weft_buf_clear(&alone);
        }
        if (!st) st = weft_decode(t, line, n, true, out, err);
        weft_buf_char(out, '\n');
        if (!n && out->len > bytes / 2) break; /* a vocabulary without text: an answer all the same */
    }
    return st ? st : weft_buf_check(out, "text", err);
}
