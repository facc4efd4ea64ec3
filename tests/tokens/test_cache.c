/* Collated examples on disk: what comes back is what was kept, and nothing else is ever taken. */
#include "check.h"
#include "base/json.h"
#include "tokens/cache.h"

enum { ROWS = 40, VOCAB = 500 };

/* Examples as each stage leaves them: labels that are the ids, labels with a prompt, bins of parts, pairs. */
static struct weft_examples make(struct weft_arena *a, bool two, bool bins, uint64_t seed)
{
    struct weft_examples e = { .n = two ? ROWS / 2 : ROWS, .cap = ROWS, .two = two, .rows_in = ROWS, .truncated = 3,
                               .no_loss = 1, .longest = 99, .merged = 5, .over_long = 2, .dropped_tokens = 7 };
    e.items = WEFT_NEWS(a, struct weft_example, ROWS);
    assert_non_null(e.items);
    for (size_t i = 0; i < ROWS; i++) {
        struct weft_example *x = &e.items[i];
        x->n = 2 + (uint32_t)(check_random(&seed) % 60);
        x->ids = WEFT_NEWS(a, int32_t, x->n);
        x->labels = i % 3 ? WEFT_NEWS(a, int32_t, x->n) : x->ids;
        x->row_idx = (uint32_t)i;
        x->full_len = x->n + (uint32_t)(i % 2);
        x->desirable = two && i % 4 == 1;
        for (uint32_t t = 0; t < x->n; t++) {
            x->ids[t] = (int32_t)(check_random(&seed) % VOCAB);
            if (i % 3) x->labels[t] = t < x->n / 2 ? WEFT_IGNORE : x->ids[t];
            x->n_labels += x->labels[t] != WEFT_IGNORE;
        }
        if (bins) {
            uint32_t *parts = WEFT_NEWS(a, uint32_t, 2);
            parts[0] = 1 + (uint32_t)(check_random(&seed) % (x->n - 1));
            parts[1] = x->n - parts[0];
            x->part_lens = parts;
            x->n_parts = 2;
            x->joined = i % 2;
        }
        e.total_tokens += x->n;
        e.total_labels += x->n_labels;
        e.by_length[3] += 1;
    }
    return e;
}

static void check_same(const struct weft_examples *a, const struct weft_examples *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->two, b->two);
    const uint64_t x[] = { a->rows_in, a->truncated, a->no_loss, a->longest, a->total_tokens, a->total_labels,
                           a->merged, a->over_long, a->dropped_tokens };
    const uint64_t y[] = { b->rows_in, b->truncated, b->no_loss, b->longest, b->total_tokens, b->total_labels,
                           b->merged, b->over_long, b->dropped_tokens };
    assert_memory_equal(x, y, sizeof x);
    assert_memory_equal(a->by_length, b->by_length, sizeof a->by_length);
    for (size_t i = 0; i < a->n * (a->two ? 2 : 1); i++) {
        const struct weft_example *p = &a->items[i], *q = &b->items[i];
        assert_int_equal(p->n, q->n);
        assert_int_equal(p->n_labels, q->n_labels);
        assert_int_equal(p->row_idx, q->row_idx);
        assert_int_equal(p->full_len, q->full_len);
        assert_int_equal(p->joined, q->joined);
        assert_int_equal(p->desirable, q->desirable);
        assert_int_equal(p->n_parts, q->n_parts);
        assert_memory_equal(p->ids, q->ids, p->n * sizeof *p->ids);
        assert_memory_equal(p->labels, q->labels, p->n * sizeof *p->labels);
        if (p->n_parts) assert_memory_equal(p->part_lens, q->part_lens, p->n_parts * sizeof *p->part_lens);
    }
}

static const char key[] = "0123376789abcdef0123376789abcdef0123376789abcdef0123376789abcdef";

static void test_examples_come_back_as_they_were(void **state)
{
    const char *dir = check_folder();
    for (int kind = 0; kind < 3; kind++) {
        struct weft_arena a = { 0 };
        struct weft_err err = { 0 };
        struct weft_examples want = make(&a, kind == 1, kind == 2, 5 + (uint64_t)kind), got;
        enum weft_cache_found found;
        const char *path = check_path(dir, "x.tokens");
        check_ok(weft_cache_save(path, key, &want, &err), &err);
        check_ok(weft_cache_load(&a, path, key, ROWS, VOCAB, &got, &found, &err), &err);
        assert_int_equal(found, WEFT_CACHE_TAKEN);
        check_same(&got, &want);
        struct weft_str bytes;
        check_ok(weft_file_read(&a, path, 0, &bytes, &err), &err);
        assert_int_equal(bytes.len, weft_cache_bytes(&want));
        weft_arena_clear(&a);
    }
    check_folder_gone(dir);
}

static enum weft_cache_found parse(const char *bytes, size_t n, const char *k, size_t rows, size_t vocab)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_examples got;
    enum weft_cache_found found;
    check_ok(weft_cache_parse(&a, (struct weft_str){ bytes, n }, k, rows, vocab, &got, &found, &err), &err);
    weft_arena_clear(&a);
    return found;
}

/* The bytes of a file, and the checksum put right after a change. */
static char *file_of(struct weft_arena *a, const struct weft_examples *ex, size_t *n)
{
    const char *dir = check_folder();
    struct weft_err err = { 0 };
    struct weft_str bytes;
    check_ok(weft_cache_save(check_path(dir, "x"), key, ex, &err), &err);
    check_ok(weft_file_read(a, check_path(dir, "x"), 0, &bytes, &err), &err);
    check_folder_gone(dir);
    *n = bytes.len;
    return weft_arena_strndup(a, bytes.s, bytes.len);
}
static void sign(char *bytes, size_t n)
{
    uint64_t hash = weft_xxh3(bytes, n - 8, 0);
    memcpy(bytes + n - 8, &hash, sizeof hash);
}

/* Every single bit, every length. */
static void test_no_damaged_file_is_taken(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_examples ex = make(&a, false, true, 9);
    size_t n;
    char *bytes = file_of(&a, &ex, &n);
    assert_int_equal(parse(bytes, n, key, ROWS, VOCAB), WEFT_CACHE_TAKEN);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
        assert_int_not_equal(parse(bytes, n, key, ROWS, VOCAB), WEFT_CACHE_TAKEN);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
    }
    for (size_t i = 0; i < n; i++) assert_int_not_equal(parse(bytes, i, key, ROWS, VOCAB), WEFT_CACHE_TAKEN);
    weft_arena_clear(&a);
}

static void test_files_of_others_are_told_apart(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_examples ex = make(&a, false, false, 10);
    size_t n;
    char *bytes = file_of(&a, &ex, &n), other[sizeof key];
    memcpy(other, key, sizeof key);
    other[63] = '0';
    assert_int_equal(parse(bytes, n, other, ROWS, VOCAB), WEFT_CACHE_FOREIGN);
    assert_int_equal(parse("some text", 9, key, ROWS, VOCAB), WEFT_CACHE_FOREIGN);
    assert_int_equal(parse("", 0, key, ROWS, VOCAB), WEFT_CACHE_FOREIGN);
    assert_int_equal(parse(bytes, n - 8, key, ROWS, VOCAB), WEFT_CACHE_DAMAGED);
    weft_arena_clear(&a);
}

/* The checksum and the key are right, and still no number leads out of the file, the rows or the vocabulary. */
static void test_numbers_are_checked_behind_the_checksum(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_examples ex = make(&a, false, true, 11);
    size_t n, refused = 0;
    uint64_t seed = 3;
    char *bytes = file_of(&a, &ex, &n);
    assert_int_equal(parse(bytes, n, key, ROWS - 1, VOCAB), WEFT_CACHE_DAMAGED);        /* rows of other data */
    assert_int_equal(parse(bytes, n, key, ROWS, VOCAB - 300), WEFT_CACHE_DAMAGED);
    /* items start at 376: n, n_labels, row_idx, full_len, n_parts, flags */
    static const struct {
        size_t at;
        uint32_t value;
    } changes[] = {
        { 376, 0 },      { 376, UINT32_MAX }, { 376 + 4, 1000 }, { 376 + 8, ROWS },           { 376 + 16, UINT32_MAX },
        { 376 + 16, 1 }, { 376 + 20, 8 },     { 376 + 20, 1 },   { 376 + 24 * ROWS, VOCAB },
        { 376 + 24 * ROWS, (uint32_t)-100 }
    };
    for (size_t i = 0; i < WEFT_COUNT(changes); i++) {
        uint32_t before;
        memcpy(&before, bytes + changes[i].at, 4);
        memcpy(bytes + changes[i].at, &changes[i].value, 4);
        sign(bytes, n);
        if (parse(bytes, n, key, ROWS, VOCAB) != WEFT_CACHE_DAMAGED) fail_msg("change %zu is taken", i);
        memcpy(bytes + changes[i].at, &before, 4);
    }
    for (int i = 0; i < 3000; i++) {
        char before[8];
        size_t at = 72 + check_random(&seed) % (n - 88);
        memcpy(before, bytes + at, 8);
        for (size_t k = 0; k < 1 + check_random(&seed) % 8; k++) bytes[at + k] = (char)check_random(&seed);
        sign(bytes, n);
        refused += parse(bytes, n, key, ROWS, VOCAB) != WEFT_CACHE_TAKEN;
        memcpy(bytes + at, before, 8);
    }
    assert_true(refused > 1000);
    weft_arena_clear(&a);
}

/* Each input and each setting makes another key. */
static void test_every_input_is_in_the_key(void **state)
{
    const struct weft_collate_inputs in = { "rows", "tokenizer", "chat", "2026-11-25" };
    const struct weft_collate_settings s = { .cutoff_len = 64 };
    struct weft_collate_inputs ins[5] = { in, in, in, in, in };
    struct weft_collate_settings sets[12];
    struct weft_json_value kwargs = { .kind = WEFT_JSON_BOOL };
    char keys[17][WEFT_SHA256_HEX];
    struct weft_err err = { 0 };
    ins[1].rows = "other", ins[2].tokenizer = "other", ins[3].chat = "other", ins[4].today = "2026-11-26";
    for (size_t i = 0; i < WEFT_COUNT(sets); i++) sets[i] = s;
    sets[0].stage = WEFT_STAGE_PT, sets[1].cutoff_len = 65, sets[2].over_length = WEFT_OVER_DROP;
    sets[3].train_on_prompt = true, sets[4].mask_history = true, sets[5].packing = true, sets[6].neat_packing = true;
    sets[7].clean = true, sets[8].strict_specials = true, sets[9].date = WEFT_STR("2020-01-01"), sets[10].kwargs = &kwargs;
    sets[11].stage = WEFT_STAGE_KTO;
    for (size_t i = 0; i < 5; i++) check_ok(weft_collate_key(&ins[i], &s, keys[i], &err), &err);
    for (size_t i = 0; i < 12; i++) check_ok(weft_collate_key(&in, &sets[i], keys[5 + i], &err), &err);
    for (size_t i = 0; i < 17; i++)
        for (size_t k = 0; k < i; k++) assert_string_not_equal(keys[i], keys[k]);
}

static void test_a_file_that_is_not_there_is_absent(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_examples got;
    enum weft_cache_found found;
    const char *dir = check_folder();
    check_ok(weft_cache_load(&a, check_path(dir, "none"), key, 1, 1, &got, &found, &err), &err);
    assert_int_equal(found, WEFT_CACHE_ABSENT);
    check_ok(weft_file_write(check_path(dir, "empty"), WEFT_STR(""), &err), &err);
    check_ok(weft_cache_load(&a, check_path(dir, "empty"), key, 1, 1, &got, &found, &err), &err);
    assert_int_equal(found, WEFT_CACHE_FOREIGN);
    check_folder_gone(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_come_back_as_they_were),
        cmocka_unit_test(test_no_damaged_file_is_taken),
        cmocka_unit_test(test_files_of_others_are_told_apart),
        cmocka_unit_test(test_numbers_are_checked_behind_the_checksum),
        cmocka_unit_test(test_every_input_is_in_the_key),
        cmocka_unit_test(test_a_file_that_is_not_there_is_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
