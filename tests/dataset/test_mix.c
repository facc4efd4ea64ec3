/* Mixing: shares and numbers exact, every row counted once, the same for one seed, ids of the mix different and
 * leading back to their set. */
#include "check.h"

#include "base/hash.h"
#include "dataset/canon.h"
#include "dataset/mix.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    const char *folder, *a, *b;
};

/* `n` rows "PREFIX0" ...; with ids s000001 ... when `ids`. */
static const char *make_set(struct fixture *f, const char *name, const char *prefix, int n, bool ids)
{
    const char *path = weft_path_join(&f->arena, f->folder, name);
    struct weft_buf b = { 0 };
    for (int i = 0; i < n; i++) {
        weft_buf_printf(&b, "{\"instruction\":\"%s%d\",\"input\":\"\",\"output\":\"o%d\"", prefix, i, i);
        if (ids)
            weft_buf_printf(
                &b, ",\"weft\":{\"id\":\"s%06d\",\"src\":{\"file\":\"x.txt\",\"line\":%d,\"last_line\":%d}}",
                i + 1, i + 1, i + 1);
        weft_buf_cstr(&b, "}\n");
    }
    check_ok(weft_file_write(path, weft_buf_view(&b), &f->err), &f->err);
    weft_buf_clear(&b);
    return path;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    f->folder = check_folder();
    f->a = make_set(f, "general.jsonl", "g", 1000, true);
    f->b = make_set(f, "mine.jsonl", "m", 90, true);
    *state = f;
    return 0;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    check_folder_gone(f->folder);
    weft_arena_clear(&f->arena);
    free(f);
    return 0;
}

/* Opens sets from words and plans; the words are paths and what is asked of them. */
static enum weft_status plan(struct fixture *f, const char *const *words, size_t n, const struct weft_mix_settings *s,
                             struct weft_mix *m)
{
    struct weft_mix_source *sets = WEFT_NEWS(&f->arena, struct weft_mix_source, n);
    assert_non_null(sets);
    for (size_t i = 0; i < n; i++) check_ok(weft_mix_parse(&f->arena, words[i], &sets[i], &f->err), &f->err);
    check_ok(weft_mix_open(&f->arena, sets, n, NULL, NULL, m, &f->err), &f->err);
    return weft_mix_plan(m, s, &f->err);
}

static const char *word(struct fixture *f, const char *path, const char *ask)
{
    return weft_str_printf(&f->arena, "%s%s", path, ask).s;
}

static void test_mix_weights_take_until_a_set_runs_out(void **state)
{
    struct fixture *f = *state;
    struct weft_mix m;
    const char *words[] = { word(f, f->a, ":0.7"), word(f, f->b, ":0.3") };
    check_ok(plan(f, words, 2, &(struct weft_mix_settings){ .seed = 1 }, &m), &f->err);
    assert_int_equal(m.n, 300);
    assert_int_equal(m.sources[0].written, 210);
    assert_int_equal(m.sources[1].written, 90);
    assert_int_equal(m.sources[0].unused, 790);
    assert_int_equal(m.sources[0].repeats + m.sources[1].repeats + m.sources[1].unused, 0);
    unsigned char *seen[2] = { calloc(1000, 1), calloc(90, 1) };
    for (size_t i = 0; i < m.n; i++) assert_int_equal(seen[m.sets[i]][m.rows[i]]++, 0);
    free(seen[0]);
    free(seen[1]);
    weft_mix_close(&m);
}

static void test_mix_repeats_use_every_row_of_every_set(void **state)
{
    struct fixture *f = *state;
    struct weft_mix m;
    const char *words[] = { word(f, f->a, ":0.5"), word(f, f->b, ":0.5") };
    check_ok(plan(f, words, 2, &(struct weft_mix_settings){ .seed = 1, .repeat = true }, &m), &f->err);
    assert_int_equal(m.n, 2000);
    assert_int_equal(m.sources[1].written, 1000);
    assert_int_equal(m.sources[1].distinct, 90);
    assert_int_equal(m.sources[1].repeats, 910);
    int times[90] = { 0 };
    for (size_t i = 0; i < m.n; i++)
        if (m.sets[i] == 1) times[m.rows[i]]++;
    for (int i = 0; i < 90; i++) assert_in_range(times[i], 11, 12);
    weft_mix_close(&m);
}

static void test_mix_numbers_first_and_weights_share_the_rest(void **state)
{
    struct fixture *f = *state;
    struct weft_mix m;
    const char *c = make_set(f, "third.jsonl", "t", 500, false);
    const char *words[] = { word(f, f->b, ":50"), word(f, f->a, ":2.0"), word(f, c, ":1.0") };
    check_ok(plan(f, words, 3, &(struct weft_mix_settings){ .seed = 1, .rows = 451 }, &m), &f->err);
    assert_int_equal(m.n, 451);
    assert_int_equal(m.sources[0].written, 50);
    assert_int_equal(m.sources[1].written, 267);        /* 401 * 2 / 3 = 267.33 */
    assert_int_equal(m.sources[2].written, 134);        /* 133.67: the larger remainder */
    weft_mix_close(&m);
}

static void test_mix_same_seed_same_rows_and_samples_stand_alone(void **state)
{
    struct fixture *f = *state;
    struct weft_mix x, y, z, alone;
    const char *words[] = { word(f, f->a, ":100"), word(f, f->b, ":30") };
    const char *other[] = { word(f, f->b, ":80"), word(f, f->a, ":100") };
    struct weft_mix_settings s = { .seed = 7 }, kept = { .seed = 7, .keep_order = true };
    check_ok(plan(f, words, 2, &s, &x), &f->err);
    check_ok(plan(f, words, 2, &s, &y), &f->err);
    assert_memory_equal(x.rows, y.rows, x.n * sizeof *x.rows);
    assert_memory_equal(x.sets, y.sets, x.n * sizeof *x.sets);
    check_ok(plan(f, words, 2, &(struct weft_mix_settings){ .seed = 8 }, &z), &f->err);
    assert_memory_not_equal(x.rows, z.rows, x.n * sizeof *x.rows);
    weft_mix_close(&y);
    weft_mix_close(&z);
    /* The 100 rows of the first set are the same beside another set, at another place. */
    check_ok(plan(f, words, 2, &kept, &y), &f->err);
    check_ok(plan(f, other, 2, &kept, &z), &f->err);
    assert_memory_equal(y.rows, z.rows + 80, 100 * sizeof *y.rows);
    for (size_t i = 1; i < 100; i++) assert_true(y.rows[i - 1] < y.rows[i]);
    check_ok(plan(f, &words[0], 1, &kept, &alone), &f->err);
    assert_memory_equal(y.rows, alone.rows, 100 * sizeof *y.rows);
    weft_mix_close(&x);
    weft_mix_close(&y);
    weft_mix_close(&z);
    weft_mix_close(&alone);
}

static void test_mix_ids_differ_and_lead_back(void **state)
{
    struct fixture *f = *state;
    struct weft_mix m;
    struct weft_row row;
    const char *plain = make_set(f, "plain.jsonl", "p", 20, false);
    struct weft_str both;
    const char *twice = weft_path_join(&f->arena, f->folder, "twice.jsonl");
    check_ok(weft_file_read(&f->arena, f->b, 0, &both, &f->err), &f->err);
    struct weft_str doubled = weft_str_printf(&f->arena, "%s%s", both.s, both.s);
    check_ok(weft_file_write(twice, doubled, &f->err), &f->err);
    const char *words[] = { f->b, word(f, twice, ""), word(f, plain, ":50") };
    struct weft_mix_settings s = { .seed = 3, .repeat = true };
    check_ok(plan(f, words, 3, &s, &m), &f->err);
    assert_int_equal(m.n, 90 + 180 + 50);
    uint64_t ids[320];
    for (size_t i = 0; i < m.n; i++) {
        char want[64];
        struct weft_origin *o = &row.origin;
        check_ok(weft_mix_row(&m, &f->arena, i, &row, &f->err), &f->err);
        ids[i] = weft_xxh3(o->id.s, o->id.len, 0);
        for (size_t k = 0; k < i; k++) assert_true(ids[k] != ids[i]);
        check_str(o->from_set, m.sources[m.sets[i]].path);
        assert_int_equal(o->from_row, m.rows[i] + 1);
        snprintf(want, sizeof want, "s%06d", (int)(m.rows[i] % 90) + 1);
        if (m.sets[i] < 2) {
            check_str(o->from_id, want);
            check_str(o->file, "x.txt");
        } else assert_null(o->from_id.s);
    }
    check_ok(weft_mix_row(&m, &f->arena, 0, &row, &f->err), &f->err);
    weft_mix_close(&m);
    /* A sample keeps the ids of its set. */
    const char *one[] = { word(f, f->a, ":5") };
    check_ok(plan(f, one, 1, &s, &m), &f->err);
    check_ok(weft_mix_row(&m, &f->arena, 0, &row, &f->err), &f->err);
    assert_true(weft_str_eq(row.origin.id, row.origin.from_id));
    weft_mix_close(&m);
}

static void test_mix_origin_survives_writing(void **state)
{
    struct fixture *f = *state;
    struct weft_rows rows = { 0 };
    struct weft_row *row = weft_rows_add(&rows, &f->arena);
    struct weft_turn turns[] = { { WEFT_ROLE_USER, WEFT_STR("q") }, { WEFT_ROLE_ASSISTANT, WEFT_STR("a") } };
    row->turns = turns;
    row->n_turns = 2;
    row->origin.from_set = WEFT_STR("general.jsonl");
    row->origin.from_id = WEFT_STR("s000012");
    row->origin.from_row = 12;
    const char *path = weft_path_join(&f->arena, f->folder, "out.jsonl");
    check_ok(weft_rows_write(path, NULL, &rows, &f->err), &f->err);
    struct weft_rows back = { 0 };
    check_ok(weft_rows_read(&f->arena, path, NULL, &back, NULL, NULL, &f->err), &f->err);
    check_str(back.items[0].origin.from_set, "general.jsonl");
    check_str(back.items[0].origin.from_id, "s000012");
    assert_int_equal(back.items[0].origin.from_row, 12);
}

static void test_mix_refuses_what_cannot_be(void **state)
{
    struct fixture *f = *state;
    struct weft_mix m;
    struct weft_mix_source set;
    struct weft_mix_settings s = { .seed = 1 }, many = { .seed = 1, .rows = 2000 };
    const char *too_many[] = { word(f, f->b, ":91") }, *weighted[] = { word(f, f->a, ":0.5"), word(f, f->b, ":0.5") };
    check_fails(plan(f, too_many, 1, &s, &m), &f->err, WEFT_EARG, "", "90 rows, 91 are asked for");
    weft_mix_close(&m);
    weft_err_clear(&f->err);
    check_fails(plan(f, weighted, 2, &many, &m), &f->err, WEFT_EARG, "", "its weight asks for 1000");
    weft_mix_close(&m);
    weft_err_clear(&f->err);
    check_fails(weft_mix_parse(&f->arena, "x.jsonl:0.0", &set, &f->err), &f->err, WEFT_EARG, "", "above 0");
    weft_err_clear(&f->err);
    check_ok(weft_mix_parse(&f->arena, "c:/x.jsonl", &set, &f->err), &f->err);
    check_str(weft_str_c(set.path), "c:/x.jsonl");
    assert_int_equal(set.ask, WEFT_MIX_WHOLE);
}

/* ---- canonical rows ---- */

static void parse_one(struct fixture *f, const char *json, struct weft_row *row)
{
    struct weft_rows rows = { 0 };
    check_ok(weft_rows_parse(&f->arena, "x", weft_str_c(json), NULL, &rows, NULL, NULL, &f->err), &f->err);
    *row = rows.items[0];
}

static void test_content_hash_is_the_same_in_every_format(void **state)
{
    static const char *const same[] = {
        "{\"instruction\":\"q\",\"input\":\"i\",\"output\":\"a\",\"system\":\"s\",\"weft\":{\"id\":\"x\"}}",
        "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\\ni\"},{\"from\":\"gpt\",\"value\":\"a\"}],\"system\":\"s\"}",
        ("{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q\\ni\"},"
         "{\"role\":\"assistant\",\"content\":\"a\"}]}"),
    };
    static const char *const different[] = {
        "{\"instruction\":\"q\",\"input\":\"i\",\"output\":\"a\"}",
        "{\"instruction\":\"q\",\"input\":\"i\",\"output\":\"a\",\"system\":\"s\",\"kto_tag\":true}",
        "{\"instruction\":\"q\",\"input\":\"i\",\"output\":\"b\",\"system\":\"s\"}",
        "{\"instruction\":\"q\",\"input\":\"i\",\"output\":\"a\",\"system\":\"s\",\"topic\":1}",
        "{\"text\":\"q\"}",
    };
    struct fixture *f = *state;
    char want[WEFT_SHA256_HEX], got[WEFT_SHA256_HEX];
    struct weft_row row;
    for (size_t i = 0; i < WEFT_COUNT(same); i++) {
        parse_one(f, same[i], &row);
        check_ok(weft_row_content_hash(&row, i ? got : want, &f->err), &f->err);
        if (i) assert_string_equal(got, want);
    }
    for (size_t i = 0; i < WEFT_COUNT(different); i++) {
        parse_one(f, different[i], &row);
        check_ok(weft_row_content_hash(&row, got, &f->err), &f->err);
        assert_string_not_equal(got, want);
    }
}

/* The hash of a set is that of its rows' digests, computed here by hand. */
static void test_dataset_hash_is_the_hash_of_digests_in_order(void **state)
{
    static const char *const names[] = { "user\n", "assistant\n", "text\n" }, *const texts[] = { "中", "a", "" };
    struct fixture *f = *state;
    struct weft_rows rows = { 0 };
    char want[WEFT_SHA256_HEX], other[WEFT_SHA256_HEX], got[WEFT_SHA256_HEX];
    unsigned char digests[2 * WEFT_ROW_DIGEST], swapped[2 * WEFT_ROW_DIGEST];
    check_ok(weft_rows_parse(&f->arena, "x",
                             WEFT_STR("{\"instruction\":\"\\u4e2d\",\"output\":\"a\"}\n{\"text\":\"\"}\n"), NULL,
                             &rows, NULL, NULL, &f->err),
             &f->err);
    struct weft_buf members[2] = { { 0 }, { 0 } };
    for (size_t i = 0; i < 3; i++) {
        unsigned char of_text[WEFT_XXH3_BYTES];
        weft_xxh3_128(texts[i], strlen(texts[i]), of_text);
        weft_buf_cstr(&members[i / 2], names[i]);
        weft_buf_add(&members[i / 2], of_text, sizeof of_text);
    }
    for (size_t i = 0; i < 2; i++) {
        weft_xxh3_128(members[i].s, members[i].len, digests + i * WEFT_ROW_DIGEST);
        weft_xxh3_128(members[i].s, members[i].len, swapped + (1 - i) * WEFT_ROW_DIGEST);
        weft_buf_clear(&members[i]);
    }
    check_ok(weft_sha256_of((struct weft_str){ (char *)digests, sizeof digests }, want, &f->err), &f->err);
    check_ok(weft_sha256_of((struct weft_str){ (char *)swapped, sizeof swapped }, other, &f->err), &f->err);
    check_ok(weft_dataset_hash_rows(&rows, got, &f->err), &f->err);
    assert_string_equal(got, want);
    assert_string_not_equal(got, other);
}

/* ---- rows by number ---- */

static void test_row_index_finds_the_good_rows_of_lines_and_arrays(void **state)
{
    static const char *const files[] = {
        "{\"text\":\"one\"}\n\n{\"text\":2}\n  {\"text\":\"three\", \"weft\":{\"id\":\"i3\"}}\r\nnot json\n{\"text\":\"f\\u00fcnf\"}",
        "[{\"text\":\"one\"},{\"text\":2},\n\n {\"text\":\"three\", \"weft\":{\"id\":\"i3\"}}\n,{\"text\":\"f\\u00fcnf\"}]\n",
    };
    static const char *const want[] = { "one", "three", "fünf" };
    static const uint64_t line[2][3] = { { 1, 4, 6 }, { 1, 3, 4 } };
    struct fixture *f = *state;
    const char *path = weft_path_join(&f->arena, f->folder, "ix.jsonl");
    for (size_t k = 0; k < 2; k++) {
        struct weft_row_index ix;
        struct weft_report report = { 0 };
        struct weft_row row;
        check_ok(weft_file_write(path, weft_str_c(files[k]), &f->err), &f->err);
        check_ok(weft_row_index_open(&f->arena, path, NULL, &ix, &report, &f->err), &f->err);
        assert_int_equal(ix.n, 3);
        assert_int_equal(report.units_in, 3 + report.blank + weft_report_dropped(&report));
        for (size_t i = 3; i-- > 0;) {
            check_ok(weft_row_index_get(&ix, &f->arena, i, &row, &f->err), &f->err);
            check_str(row.text, want[i]);
            assert_int_equal(ix.spans[i].line, line[k][i]);
        }
        assert_true(ix.spans[1].id == weft_xxh3("i3", 2, 0) && ix.spans[0].id == 0);
        weft_row_index_close(&ix);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mix_weights_take_until_a_set_runs_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mix_repeats_use_every_row_of_every_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mix_numbers_first_and_weights_share_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mix_same_seed_same_rows_and_samples_stand_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mix_ids_differ_and_lead_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mix_origin_survives_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mix_refuses_what_cannot_be, setup, teardown),
        cmocka_unit_test_setup_teardown(test_content_hash_is_the_same_in_every_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dataset_hash_is_the_hash_of_digests_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_row_index_finds_the_good_rows_of_lines_and_arrays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
