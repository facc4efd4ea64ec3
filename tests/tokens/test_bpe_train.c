/* The trainer against the plain algorithm it must equal, on small texts full of repeats. */
#include "base/json.h"
#include "base/rng.h"
#include "tokens/bpe_train.h"
#include "tokens/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct weft_bpe_settings settings(size_t vocab_size, size_t min_frequency)
{
    return (struct weft_bpe_settings){ .vocab_size = vocab_size,
                                       .min_frequency = min_frequency,
                                       .pattern = "qwen2" };
}

static void train(struct weft_arena *a, const struct weft_bpe_settings *s, const struct weft_str *texts,
                  size_t n, struct weft_json_value *out)
{
    struct weft_buf json = { 0 };
    struct weft_err err = { 0 };
    if (weft_bpe_train(s, texts, n, NULL, &json, &err)) fail_msg("%s", err.msg);
    struct weft_str copy = weft_str_dup(a, weft_buf_view(&json));
    weft_buf_clear(&json);
    if (weft_json_parse(a, "tokenizer.json", copy, out, &err)) fail_msg("%s", err.msg);
}

/* ---- the plain algorithm: one word list, one merge at a time over all of it ---- */

struct plain {
    int *symbols; /* words one behind the other, each ended by -1 */
    size_t n;
    int (*merges)[2];
    size_t n_merges;
};

static void plain_train(struct plain *p, size_t n_symbols, uint64_t min_count)
{
    p->n_merges = 0;
    for (size_t c = 256; c < n_symbols; c++) {
        uint64_t *count = calloc(n_symbols * n_symbols, sizeof *count), best = 0;
        for (size_t i = 0; i + 1 < p->n; i++)
            if (p->symbols[i] >= 0 && p->symbols[i + 1] >= 0)
                count[(size_t)p->symbols[i] * n_symbols + (size_t)p->symbols[i + 1]]++;
        size_t at = 0;
        for (size_t k = 0; k < n_symbols * n_symbols; k++)
            if (count[k] > best) best = count[k], at = k;
        free(count);
        if (best < min_count) return;
        int a = (int)(at / n_symbols), b = (int)(at % n_symbols);
        p->merges[p->n_merges][0] = a;
        p->merges[p->n_merges++][1] = b;
        size_t to = 0;
        for (size_t i = 0; i < p->n; i++) {
            bool hit = i + 1 < p->n && p->symbols[i] == a && p->symbols[i + 1] == b;
            p->symbols[to++] = hit ? (int)c : p->symbols[i];
            i += hit;
        }
        p->n = to;
    }
}

static void test_learns_the_merges_of_the_plain_algorithm(void **state)
{
    struct weft_rng rng;
    struct weft_unicode *u = NULL;
    assert_int_equal(weft_unicode_new(&u, NULL), WEFT_OK);
    weft_rng_init(&rng, 7, WEFT_RNG_TEST, 0);
    for (int round = 0; round < 30; round++) {
        struct weft_arena a = { 0 };
        enum { LEN = 600, SYMBOLS = 300 };
        unsigned letters = 1 + (unsigned)weft_rng_below(&rng, 4);
        uint64_t min_count = 2 + weft_rng_below(&rng, 3);
        char text[LEN];
        for (size_t i = 0; i < LEN; i++)
            text[i] = weft_rng_below(&rng, 30) ? (char)('a' + weft_rng_below(&rng, letters)) : ' ';
        struct weft_str texts[2] = { { text, LEN / 3 }, { text + LEN / 3, LEN - LEN / 3 } };
        struct plain p = { .symbols = malloc(2 * LEN * sizeof *p.symbols),
                           .merges = malloc(SYMBOLS * sizeof *p.merges) };
        for (int t = 0; t < 2; t++)
            for (size_t at = 0, end; at < texts[t].len; at = end) {
                end = weft_pattern_by_name("qwen2")->next(u, (const unsigned char *)texts[t].s, texts[t].len,
                                                          at);
                for (size_t i = at; i < end; i++) {
                    unsigned char c = (unsigned char)texts[t].s[i];
                    p.symbols[p.n++] = c == ' ' ? 220 : c - 33;
                }
                p.symbols[p.n++] = -1;
            }
        plain_train(&p, SYMBOLS, min_count);

        struct weft_bpe_settings s = settings(SYMBOLS, min_count);
        struct weft_json_value root;
        train(&a, &s, texts, 2, &root);
        const struct weft_json_value *model = weft_json_get(&root, "model"),
                                     *vocab = weft_json_get(model, "vocab"),
                                     *merges = weft_json_get(model, "merges");
        assert_int_equal(merges->n, p.n_merges);
        assert_int_equal(vocab->n, 256 + p.n_merges);
        for (size_t i = 0; i < merges->n; i++) {
            struct weft_str x = vocab->keys[p.merges[i][0]], y = vocab->keys[p.merges[i][1]];
            struct weft_str want = weft_str_printf(&a, "%.*s %.*s", (int)x.len, x.s, (int)y.len, y.s);
            if (!weft_str_eq(merges->items[i].text, want))
                fail_msg("round %d, merge %zu: learned \"%.*s\", expected \"%.*s\"", round, i,
                         (int)merges->items[i].text.len, merges->items[i].text.s, (int)want.len, want.s);
        }
        free(p.symbols);
        free(p.merges);
        weft_arena_clear(&a);
    }
    weft_unicode_free(u);
}

static void test_special_tokens_get_the_highest_ids(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_str text = WEFT_STR("一二三一二三一二三");
    static const char *const specials[] = { "<|x|>", "<|y|>" };
    struct weft_bpe_settings s = settings(400, 2);
    s.specials = specials;
    s.n_specials = 2;
    struct weft_json_value root;
    train(&a, &s, &text, 1, &root);
    size_t n_vocab = weft_json_get(weft_json_get(&root, "model"), "vocab")->n;
    const struct weft_json_value *added = weft_json_get(&root, "added_tokens");
    assert_int_equal(added->n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(weft_json_get(&added->items[i], "id")->integer, n_vocab + i);
        assert_true(weft_str_is(weft_json_get(&added->items[i], "content")->text, specials[i]));
    }
    weft_arena_clear(&a);
}

static void test_nfc_joins_decomposed_letters_before_counting(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_str text = WEFT_STR("e\xCC\x81 e\xCC\x81 e\xCC\x81");
    struct weft_bpe_settings s = settings(300, 2);
    s.nfc = true;
    struct weft_json_value root;
    train(&a, &s, &text, 1, &root);
    const struct weft_json_value *merges = weft_json_get(weft_json_get(&root, "model"), "merges");
    assert_int_equal(merges->n, 2); /* C3 A9, then the space before it */
    assert_true(weft_str_is(merges->items[0].text, "\xC3\x83 \xC2\xA9"));
    weft_arena_clear(&a);
}

static void test_empty_text_gives_the_bytes_alone(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_bpe_settings s = settings(300, 2);
    struct weft_json_value root;
    train(&a, &s, NULL, 0, &root);
    assert_int_equal(weft_json_get(weft_json_get(&root, "model"), "vocab")->n, 256);
    weft_arena_clear(&a);
}

static void refused(const struct weft_bpe_settings *s, const char *part)
{
    struct weft_buf json = { 0 };
    struct weft_err err = { 0 };
    struct weft_str text = WEFT_STR("text");
    assert_int_equal(weft_bpe_train(s, &text, 1, NULL, &json, &err), WEFT_EARG);
    if (!strstr(err.msg, part)) fail_msg("message \"%s\" lacks \"%s\"", err.msg, part);
    weft_buf_clear(&json);
}

static void test_settings_that_make_no_sense_are_refused(void **state)
{
    struct weft_bpe_settings s = settings(255, 2);
    refused(&s, "at least 256");
    s = settings(300, 2);
    s.pattern = "gpt5";
    refused(&s, "qwen2");
    static const char *const twice[] = { "<s>", "<s>" }, *const empty[] = { "" };
    s = settings(300, 2);
    s.specials = twice;
    s.n_specials = 2;
    refused(&s, "twice");
    s.specials = empty;
    s.n_specials = 1;
    refused(&s, "empty");
}

static void test_stops_when_cancelled(void **state)
{
    struct weft_buf json = { 0 };
    struct weft_err err = { 0 };
    struct weft_str text = WEFT_STR("abab abab");
    int cancel = 1;
    struct weft_bpe_settings s = settings(300, 2);
    assert_int_equal(weft_bpe_train(&s, &text, 1, &(struct weft_progress){ .cancel = &cancel }, &json, &err),
                     WEFT_ECANCEL);
    assert_int_equal(json.len, 0);
    weft_buf_clear(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_the_merges_of_the_plain_algorithm),
        cmocka_unit_test(test_special_tokens_get_the_highest_ids),
        cmocka_unit_test(test_nfc_joins_decomposed_letters_before_counting),
        cmocka_unit_test(test_empty_text_gives_the_bytes_alone),
        cmocka_unit_test(test_settings_that_make_no_sense_are_refused),
        cmocka_unit_test(test_stops_when_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
