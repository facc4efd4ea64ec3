/* The fast encoder against the plain algorithm, on vocabularies made to catch its short cuts: merges at
 * random, many of them across the borders of characters, some made twice over. */
#include "base/rng.h"
#include "tokens/bpe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { MAX_MERGES = 120, MAX_TOKENS = 256 + MAX_MERGES };

/* A byte-level vocabulary, and the same as plain arrays. */
struct random_vocab {
    struct weft_arena arena;
    struct weft_vocab vocab;
    struct weft_bpe bpe;
    struct weft_str raw[MAX_TOKENS];
    int n_tokens;
    int merges[MAX_MERGES][3]; /* a, b, what they make */
    int n_merges;
};

static const char *const pieces[] = { "中", "国", "人", "的", "，", "é", "a", "b", "1", "\xF0\x9F\x98\x80" };

static size_t random_word(struct weft_rng *rng, char *out, size_t max_pieces)
{
    size_t len = 0, n = 1 + weft_rng_below(rng, max_pieces),
           kinds = 1 + weft_rng_below(rng, WEFT_COUNT(pieces));
    for (size_t i = 0; i < n; i++) {
        const char *p = pieces[weft_rng_below(rng, kinds)];
        memcpy(out + len, p, strlen(p));
        len += strlen(p);
    }
    return len;
}

static int find_raw(const struct random_vocab *v, struct weft_str raw)
{
    for (int i = 0; i < v->n_tokens; i++)
        if (weft_str_eq(v->raw[i], raw)) return i;
    return -1;
}

static int plain_encode(const struct random_vocab *v, struct weft_str word, int *symbols)
{
    int n = (int)word.len;
    for (int i = 0; i < n; i++) symbols[i] = find_raw(v, weft_str_sub(word, (size_t)i, (size_t)i + 1));
    for (;;) {
        int best = MAX_MERGES, at = -1;
        for (int i = 0; i + 1 < n; i++)
            for (int k = v->n_merges; k-- > 0;) /* the last rank of a pair counts */
                if (v->merges[k][0] == symbols[i] && v->merges[k][1] == symbols[i + 1]) {
                    if (k < best) best = k, at = i;
                    break;
                }
        if (at < 0) return n;
        symbols[at] = v->merges[best][2];
        memmove(symbols + at + 1, symbols + at + 2, (size_t)(n - at - 2) * sizeof *symbols);
        n--;
    }
}

static void add_token(struct random_vocab *v, struct weft_str raw)
{
    struct weft_byte_level map;
    struct weft_buf text = { 0 };
    bool taken;
    weft_byte_level_init(&map);
    weft_byte_level_map(&map, raw, &text);
    struct weft_str content = weft_str_dup(&v->arena, weft_buf_view(&text));
    weft_buf_clear(&text);
    assert_int_equal(weft_vocab_add(&v->vocab, content, v->n_tokens, &taken, NULL), WEFT_OK);
    assert_false(taken);
    v->raw[v->n_tokens++] = weft_str_dup(&v->arena, raw);
}

/* Merges of neighbours that really occur in words; `wild`: of any that join to a token. */
static void make(struct random_vocab *v, struct weft_rng *rng)
{
    struct weft_merge merges[MAX_MERGES];
    size_t bad;
    bool wild = weft_rng_below(rng, 3) == 0;
    for (int i = 0; i < 256; i++) add_token(v, (struct weft_str){ (const char[]){ (char)i }, 1 });
    int wanted = 10 + (int)weft_rng_below(rng, MAX_MERGES - 10);
    for (int tries = 0; v->n_merges < wanted && tries < 4000; tries++) {
        char word[400], joined[400];
        int symbols[400];
        size_t len = random_word(rng, word, 8);
        int n = plain_encode(v, (struct weft_str){ word, len }, symbols), a, b;
        if (n < 2) continue;
        int at = (int)weft_rng_below(rng, (uint64_t)n - 1);
        a = symbols[at];
        b = symbols[at + 1];
        if (wild && weft_rng_below(rng, 2)) { /* another way to make a token there is, or a pair again */
            int k = v->n_merges ? (int)weft_rng_below(rng, (uint64_t)v->n_merges) : -1;
            if (k < 0) continue;
            struct weft_str whole = v->raw[v->merges[k][2]];
            size_t cut = 1 + weft_rng_below(rng, whole.len - 1);
            a = find_raw(v, weft_str_sub(whole, 0, cut));
            b = find_raw(v, weft_str_skip(whole, cut));
            if (a < 0 || b < 0) continue;
        }
        if (v->raw[a].len + v->raw[b].len > 24) continue;
        memcpy(joined, v->raw[a].s, v->raw[a].len);
        memcpy(joined + v->raw[a].len, v->raw[b].s, v->raw[b].len);
        struct weft_str raw = { joined, v->raw[a].len + v->raw[b].len };
        int c = find_raw(v, raw);
        if (c < 0) add_token(v, raw), c = v->n_tokens - 1;
        v->merges[v->n_merges][0] = a;
        v->merges[v->n_merges][1] = b;
        v->merges[v->n_merges++][2] = c;
    }
    for (int i = 0; i < v->n_merges; i++)
        merges[i] = (struct weft_merge){ weft_vocab_content(&v->vocab, v->merges[i][0]),
                                         weft_vocab_content(&v->vocab, v->merges[i][1]), 0 };
    v->bpe.vocab = &v->vocab;
    v->bpe.byte_level = true;
    struct weft_err err = { 0 };
    if (weft_bpe_build(&v->bpe, merges, (size_t)v->n_merges, &bad, &err))
        fail_msg("%s (merge %zu)", err.msg, bad);
}

static void test_random_vocabularies_as_the_plain_algorithm(void **state)
{
    struct weft_rng rng;
    weft_rng_init(&rng, 11, WEFT_RNG_TEST, 0);
    size_t whole = 0;
    for (int round = 0; round < 300; round++) {
        struct random_vocab *v = calloc(1, sizeof *v);
        struct weft_bpe_scratch scratch = { 0 };
        struct weft_ids ids = { 0 };
        make(v, &rng);
        for (size_t i = 0; i < WEFT_COUNT(v->bpe.wide); i++)
            for (size_t k = 0; v->bpe.wide[i] && k < 256; k++)
                whole +=
                    v->bpe.wide[i][k].symbol != WEFT_NO_SYMBOL && v->bpe.wide[i][k].made_at != WEFT_NO_RANK;
        for (int w = 0; w < 150; w++) {
            char word[1200];
            int want[1200];
            struct weft_str s = { word, random_word(&rng, word, w % 30 == 0 ? 250 : 9) };
            int n = plain_encode(v, s, want);
            bool offsets = w % 2;
            ids.n = 0;
            assert_int_equal(weft_bpe_encode(&v->bpe, &scratch, s, s.len, offsets, 7, &ids, NULL), WEFT_OK);
            assert_int_equal(ids.n, n);
            size_t at = 7;
            for (int i = 0; i < n; i++) {
                if (ids.ids[i] != want[i])
                    fail_msg("round %d, word %d \"%.*s\": token %d is %d; expected %d", round, w, (int)s.len,
                             s.s, i, ids.ids[i], want[i]);
                if (offsets) assert_int_equal(ids.begin[i], at);
                at += v->raw[want[i]].len;
            }
        }
        weft_ids_clear(&ids);
        weft_bpe_scratch_clear(&scratch);
        weft_bpe_clear(&v->bpe);
        weft_vocab_clear(&v->vocab);
        weft_arena_clear(&v->arena);
        free(v);
    }
    assert_true(whole > 100); /* the short cut was taken */
}

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static double seconds_for(const struct weft_bpe *m, struct weft_bpe_scratch *scratch, const char *text,
                          size_t len)
{
    struct weft_ids ids = { 0 };
    double best = 1e9;
    for (int i = 0; i < 2; i++) {
        double start = cpu_seconds();
        ids.n = 0;
        assert_int_equal(
            weft_bpe_encode(m, scratch, (struct weft_str){ text, len }, len, false, 0, &ids, NULL), WEFT_OK);
        double took = cpu_seconds() - start;
        best = took < best ? took : best;
    }
    weft_ids_clear(&ids);
    return best;
}

static void test_a_megabyte_of_one_letter_is_one_word(void **state)
{
    struct random_vocab *v = calloc(1, sizeof *v);
    struct weft_bpe_scratch scratch = { 0 };
    struct weft_merge merges[6];
    size_t len = 1 << 20, bad;
    for (int i = 0; i < 256; i++) add_token(v, (struct weft_str){ (const char[]){ (char)i }, 1 });
    char *text = malloc(len);
    memset(text, 'a', len);
    for (int i = 0; i < 6; i++) add_token(v, (struct weft_str){ text, (size_t)2 << i });
    for (int i = 0; i < 6; i++) {
        struct weft_str half = weft_vocab_content(&v->vocab, i ? 255 + i : 'a');
        merges[i] = (struct weft_merge){ half, half, 0 };
    }
    v->bpe.vocab = &v->vocab;
    v->bpe.byte_level = true;
    assert_int_equal(weft_bpe_build(&v->bpe, merges, 6, &bad, NULL), WEFT_OK);
    double one = seconds_for(&v->bpe, &scratch, text, len),
           half = seconds_for(&v->bpe, &scratch, text, len / 2);
    print_message("1 MB of one letter: %.3f s, half of it %.3f s\n", one, half);
    assert_true(one < 5); /* below 0.2 s by itself; the machine may be busy, the build a sanitizer's */
    assert_true(one < 6 * half + 0.1);
    free(text);
    weft_bpe_scratch_clear(&scratch);
    weft_bpe_clear(&v->bpe);
    weft_vocab_clear(&v->vocab);
    weft_arena_clear(&v->arena);
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_vocabularies_as_the_plain_algorithm),
        cmocka_unit_test(test_a_megabyte_of_one_letter_is_one_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
