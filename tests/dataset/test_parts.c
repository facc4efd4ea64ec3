/* Rows by several threads, and the check filled by them: the same as line after line in one, wherever the file is
 * cut. */
#include "check.h"

#include "base/pool.h"
#include "base/rng.h"
#include "dataset/canon.h"
#include "dataset/check_files.h"
#include "dataset/format_parts.h"
#include "dataset/lengths.h"

#include <utf8proc.h>

struct reading {
    struct weft_arena arena;
    struct weft_rows rows;
    struct weft_report report;
    struct weft_rows_shape shape;
    struct weft_err err;
    enum weft_status st;
};

static void read_by(struct reading *r, struct weft_str text, size_t part_bytes, const struct weft_rows_settings *s)
{
    *r = (struct reading){ 0 };
    r->st = weft_rows_parse_parts(&r->arena, "t.jsonl", text, s, part_bytes, &r->rows, &r->report, &r->shape, &r->err);
}

static bool same_str(struct weft_str a, struct weft_str b) { return !a.s == !b.s && weft_str_eq(a, b); }

static bool same_row(const struct weft_row *a, const struct weft_row *b)
{
    struct weft_buf x = { 0 }, y = { 0 };
    weft_row_canonical(&x, a);
    weft_row_canonical(&y, b);
    bool same = weft_str_eq(weft_buf_view(&x), weft_buf_view(&y)) && same_str(a->origin.id, b->origin.id)
                && same_str(a->origin.file, b->origin.file) && a->origin.line == b->origin.line
                && a->read_as == b->read_as && a->split_input == b->split_input && a->kto_tag == b->kto_tag;
    weft_buf_clear(&x);
    weft_buf_clear(&y);
    return same;
}

static void check_same(const struct reading *want, const struct reading *got, size_t part_bytes, int threads)
{
    const struct weft_report *a = &want->report, *b = &got->report;
    if (want->st != got->st || strcmp(want->err.msg, got->err.msg) != 0 || strcmp(want->err.rule, got->err.rule) != 0)
        fail_msg("parts of %zu, %d threads: %d \"%s\", expected %d \"%s\"", part_bytes, threads, got->st, got->err.msg,
                 want->st, want->err.msg);
    assert_int_equal(a->units_in, b->units_in);
    assert_int_equal(a->rows_out, b->rows_out);
    assert_int_equal(a->blank, b->blank);
    assert_int_equal(a->n_drops, b->n_drops);
    for (size_t i = 0; i < a->n_drops; i++) {
        assert_true(weft_str_eq(a->drops[i].reason, b->drops[i].reason));
        assert_int_equal(a->drops[i].count, b->drops[i].count);
    }
    assert_int_equal(a->n_places, b->n_places);
    for (size_t i = 0; i < a->n_places; i++)
        if (!weft_str_eq(a->places[i], b->places[i]))
            fail_msg("parts of %zu: place %zu is %s, expected %s", part_bytes, i, b->places[i].s, a->places[i].s);
    if (want->st) return;
    assert_int_equal(want->shape.format, got->shape.format);
    assert_int_equal(want->shape.layout, got->shape.layout);
    assert_int_equal(want->rows.n, got->rows.n);
    for (size_t i = 0; i < want->rows.n; i++)
        if (!same_row(&want->rows.items[i], &got->rows.items[i]))
            fail_msg("parts of %zu, %d threads: row %zu differs", part_bytes, threads, i);
}

static const int thread_counts[] = { 1, 2, 5 };

/* Cut into parts of `from`, from + step ... bytes, by 1, 2 and 5 threads. */
static void check_cuts(struct weft_str text, const struct weft_rows_settings *s, size_t from, size_t to, size_t step)
{
    struct reading want;
    struct weft_rows_settings how = s ? *s : (struct weft_rows_settings){ 0 };
    read_by(&want, text, 0, s);
    for (size_t bytes = from; bytes <= to; bytes += step)
        for (size_t t = 0; t < WEFT_COUNT(thread_counts); t++) {
            struct reading got;
            how.threads = thread_counts[t];
            read_by(&got, text, bytes, &how);
            check_same(&want, &got, bytes, how.threads);
            weft_arena_clear(&got.arena);
        }
    weft_arena_clear(&want.arena);
}

/* Whatever a line can be: good rows of three shapes, blank lines, CR before LF, and faults of JSON and of rows. */
static const char mixed[] =
    "\xEF\xBB\xBF{\"instruction\":\"问一\",\"output\":\"答\\n一\","
    "\"weft\":{\"id\":\"s1\",\"src\":{\"file\":\"a\",\"line\":3}}}\r\n"
    "\n"
    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\",\"name\":\"n\"}]}\n"
    "  \t\r\n"
    "{\"instruction\":\"x\",\"instruction\":\"y\",\"output\":\"z\"}\n"
    "{\"instruction\":\"x\",\"output\":7}\n"
    "{\"instruction\":\"\xFF\",\"output\":\"z\"}\n"
    "[1]\n"
    "{\"text\":\"plain \\u4e2d\"} \n"
    "{\"instruction\":\"cut\n"
    "\",\"output\":\"off\"}\n"
    "{\"instruction\":\"\",\"input\":\"only\",\"output\":\"\",\"extra\":[1,2]}\n"
    "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\",\"value\":\"a\"}],\"system\":\"s\"}\n"
    "\n\n"
    "{\"other\":1}";

static void test_every_cut_of_a_small_file_reads_the_same(void **state)
{
    (void)state;
    struct reading r;
    check_cuts(weft_str_c(mixed), NULL, 1, sizeof mixed, 1);
    read_by(&r, weft_str_c(mixed), 0, NULL); /* and what it reads is what is there */
    assert_int_equal(r.st, WEFT_OK);
    assert_int_equal(r.rows.n, 5);
    assert_int_equal(r.report.blank, 4);
    assert_int_equal(weft_report_dropped(&r.report), 7);
    weft_arena_clear(&r.arena);
}

static void test_the_first_error_of_the_file_wins(void **state)
{
    (void)state;
    struct weft_rows_settings narrow = { .max_line_bytes = 100 };
    check_cuts(weft_str_c(mixed), &narrow, 1, sizeof mixed, 7);
    check_cuts(weft_str_c("{\"a\":1}\n\n{\"b\":2}\n{\"c\"\n"), NULL, 1, 24, 1); /* no good row */
    check_cuts(weft_str_c("{\"text\":\"a\"}\n"), NULL, 1, 14, 1);
}

/* More faults than places are kept, in parts of their own; a line longer than many parts; a last line without LF. */
static void test_long_files_read_the_same(void **state)
{
    (void)state;
    struct weft_buf b = { 0 };
    for (int i = 0; i < 3000; i++) {
        if (i % 7 == 3) weft_buf_printf(&b, "{\"instruction\":%d,\"output\":\"x\"}\n", i);
        else if (i % 11 == 5) weft_buf_printf(&b, "{\"instruction\":\"cut %d\n", i);
        else weft_buf_printf(&b, "{\"instruction\":\"q%d\\t\",\"output\":\"a%d\",\"n\":%d}\n", i, i * 7, i);
        if (i == 1500) {
            weft_buf_cstr(&b, "{\"text\":\"");
            for (int k = 0; k < 9000; k++) weft_buf_cstr(&b, "长");
            weft_buf_cstr(&b, "\"}\n");
        }
    }
    weft_buf_cstr(&b, "{\"text\":\"end\"}");
    check_cuts(weft_buf_view(&b), NULL, 997, 20000, 4999);
    weft_buf_clear(&b);
}

static void test_rows_are_added_behind_those_there_are(void **state)
{
    (void)state;
    struct reading r = { 0 };
    struct weft_rows_settings two = { .threads = 2 };
    for (int i = 0; i < 3; i++)
        check_ok(weft_rows_parse_parts(&r.arena, "t", weft_str_c(mixed), &two, 64, &r.rows, &r.report, NULL, &r.err),
                 &r.err);
    assert_int_equal(r.rows.n, 15);
    for (size_t i = 5; i < 15; i++) assert_true(same_row(&r.rows.items[i], &r.rows.items[i - 5]));
    weft_arena_clear(&r.arena);
}

static void test_memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    int refused = 0, fine = 0;
    for (size_t limit = 64; limit < 1 << 20; limit += limit / 8 + 64) {
        struct weft_arena small = { .max_bytes = limit, .block_bytes = 64 };
        struct weft_rows rows = { 0 };
        struct weft_report report = { 0 };
        struct weft_err err = { 0 };
        enum weft_status st =
            weft_rows_parse_parts(&small, "t", weft_str_c(mixed), NULL, 128, &rows, &report, NULL, &err);
        assert_true(st == WEFT_OK || st == WEFT_ENOMEM);
        if (st) refused++;
        else fine++;
        weft_arena_clear(&small);
    }
    assert_true(refused > 3 && fine > 3);
}

/* ---- the check of files ---- */

static void check_items(const struct weft_check_item *a, size_t n, const struct weft_check_item *b, size_t m)
{
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        assert_true(weft_str_eq(a[i].text, b[i].text));
        assert_int_equal(a[i].count, b[i].count);
        assert_int_equal(a[i].first_row, b[i].first_row);
    }
}

static void check_equal(const struct weft_check *a, const struct weft_check *b)
{
    const uint64_t *x = &a->rows, *y = &b->rows; /* the figures stand one after another */
    for (size_t i = 0; i < offsetof(struct weft_check, prompt) / sizeof *x; i++)
        if (x[i] != y[i])
            fail_msg("figure %zu: %llu, expected %llu", i, (unsigned long long)y[i], (unsigned long long)x[i]);
    assert_memory_equal(&a->prompt, &b->prompt, sizeof a->prompt);
    assert_memory_equal(&a->answer, &b->answer, sizeof a->answer);
    assert_memory_equal(&a->row, &b->row, sizeof a->row);
    check_items(a->speakers, a->n_speakers, b->speakers, b->n_speakers);
    check_items(a->systems, a->n_systems, b->systems, b->n_systems);
    check_items(a->duplicates, a->n_duplicates, b->duplicates, b->n_duplicates);
    check_items(a->conflicts, a->n_conflicts, b->conflicts, b->n_conflicts);
    check_items(a->lookalikes, a->n_lookalikes, b->lookalikes, b->n_lookalikes);
    check_items(a->flags, a->n_flags, b->flags, b->n_flags);
    assert_int_equal(a->verdict, b->verdict);
    assert_int_equal(a->n_reasons, b->n_reasons);
    for (size_t i = 0; i < a->n_reasons; i++) assert_true(weft_str_eq(a->reasons[i], b->reasons[i]));
}

/* Rows with everything the check counts, many of them alike, over several parts of 128 KiB. */
static void write_rows(const char *path, int layout, size_t n)
{
    struct weft_rows_writer w = { 0 };
    struct weft_rows_writer_settings s = { .layout = layout };
    struct weft_err err = { 0 };
    struct weft_rng rng;
    static const char *const answers[] = { "好。", " 好。\n", "<|im_end|> 不", "", "见 13800138000", "哈哈哈哈哈哈哈哈哈哈哈哈" };
    weft_rng_init(&rng, 3, WEFT_RNG_TEST, 0);
    check_ok(weft_rows_writer_open(&w, path, &s, &err), &err);
    for (size_t i = 0; i < n; i++) {
        char question[200], flags[32], id[24];
        struct weft_turn turns[2] = { { .role = WEFT_ROLE_USER }, { .role = WEFT_ROLE_ASSISTANT } };
        snprintf(question, sizeof question, "问题 %llu\n\"第二行\"",
                 (unsigned long long)weft_rng_below(&rng, n / 3 + 1));
        snprintf(flags, sizeof flags, "%s", i % 5 ? "" : i % 3 ? "merged" : "merged,chorus");
        snprintf(id, sizeof id, "s%zu", i);
        turns[0].text = weft_str_c(question);
        turns[1].text = weft_str_c(answers[weft_rng_below(&rng, WEFT_COUNT(answers))]);
        struct weft_row row = { .turns = turns, .n_turns = 2, .kto_tag = -1 };
        row.origin.id = weft_str_c(id);
        row.origin.file = WEFT_STR("剧本.txt");
        row.origin.prompt_speaker = i % 2 ? WEFT_STR("小\"满\"") : WEFT_STR("阿九");
        row.origin.flags = weft_str_c(flags);
        if (i % 9 == 0) row.system = i % 2 ? WEFT_STR("你\n是") : WEFT_STR("你是");
        check_ok(weft_rows_writer_add(&w, &row, &err), &err);
    }
    check_ok(weft_rows_writer_commit(&w, &err), &err);
    weft_rows_writer_close(&w);
}

static void check_files_by(const char *const *paths, size_t n_paths, int threads, size_t want_rows)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_rows rows = { 0 };
    struct weft_report one = { 0 }, other = { 0 };
    struct weft_check want, got;
    struct weft_findings want_found, got_found;
    struct weft_rows_shape shape;
    char want_hash[WEFT_SHA256_HEX], got_hash[WEFT_SHA256_HEX];
    struct weft_file_check *c;
    for (size_t i = 0; i < n_paths; i++)
        check_ok(weft_rows_read(&a, paths[i], NULL, &rows, &one, NULL, &err), &err);
    assert_int_equal(rows.n, want_rows);
    check_ok(weft_check_rows(&a, &rows, NULL, &want, &err), &err);
    check_ok(weft_dataset_hash_rows(&rows, want_hash, &err), &err);
    weft_find_rows(&rows, NULL, &want_found);

    struct weft_file_check_settings s = { .threads = threads, .hash = true, .findings = true };
    check_ok(weft_file_check_new(&c, &s, &err), &err);
    for (size_t i = 0; i < n_paths; i++)
        check_ok(weft_file_check_add(c, paths[i], NULL, &other, &shape, &err), &err);
    check_ok(weft_file_check_finish(c, &a, &got, got_hash, &got_found, &err), &err);
    check_equal(&want, &got);
    assert_true(got.n_duplicates > 10 && got.n_conflicts > 10 && got.n_lookalikes == 1 && got.n_speakers == 2);
    assert_string_equal(want_hash, got_hash);
    assert_memory_equal(&want_found, &got_found, sizeof want_found);
    assert_true(got_found.rows_with_pii > 10 && got_found.rows_with_signs > 10);
    assert_int_equal(one.units_in, other.units_in);
    assert_int_equal(one.rows_out, other.rows_out);
    weft_file_check_free(c);
    weft_arena_clear(&a);
}

static void test_files_are_checked_as_their_rows_are(void **state)
{
    (void)state;
    const char *dir = check_folder();
    char lines[256], array[256], table[256];
    snprintf(lines, sizeof lines, "%s", check_path(dir, "a.jsonl"));
    snprintf(array, sizeof array, "%s", check_path(dir, "b.json"));
    snprintf(table, sizeof table, "%s", check_path(dir, "c.csv"));
    write_rows(lines, WEFT_LAYOUT_JSONL, 9000); /* more than one wave of parts for one thread */
    write_rows(array, WEFT_LAYOUT_ARRAY, 5000);
    write_rows(table, WEFT_LAYOUT_CSV, 300);
    const char *const all[] = { lines, array, table, lines };
    for (size_t t = 0; t < WEFT_COUNT(thread_counts); t++) {
        check_files_by(all, 1, thread_counts[t], 9000);
        check_files_by(all, 4, thread_counts[t], 23300);
    }
    check_folder_gone(dir);
}

static void test_a_file_that_cannot_be_checked_says_why(void **state)
{
    (void)state;
    struct weft_err err = { 0 };
    struct weft_report report = { 0 };
    struct weft_rows_shape shape;
    struct weft_file_check *c;
    struct weft_file_check_settings s = { .threads = 2 };
    check_ok(weft_file_check_new(&c, &s, &err), &err);
    enum weft_status st = weft_file_check_add(c, "/nowhere/x.jsonl", NULL, &report, &shape, &err);
    check_fails(st, &err, WEFT_ESYSTEM, "", "/nowhere/x.jsonl");
    weft_file_check_free(c);
    weft_file_check_free(NULL);
}

/* ---- lengths ---- */

static int by_length(const void *x, const void *y)
{
    const uint32_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

static void test_lengths_counted_are_lengths_sorted(void **state)
{
    (void)state;
    struct weft_rng rng;
    uint32_t len[500];
    weft_rng_init(&rng, 5, WEFT_RNG_TEST, 0);
    for (size_t n = 0; n < WEFT_COUNT(len); n += n < 30 ? 1 : 67) {
        struct weft_lengths l = { 0 };
        uint64_t total = 0;
        for (size_t i = 0; i < n; i++) {
            len[i] = (uint32_t)weft_rng_below(&rng, i % 4 ? 60 : 9000);
            if (i % 50 == 49) len[i] = UINT32_MAX - (uint32_t)i;
            total += len[i];
        }
        assert_true(weft_lengths_of(len, n, &l));
        assert_int_equal(l.n, n);
        if (!n) continue;
        qsort(len, n, sizeof *len, by_length);
        assert_int_equal(l.total, total);
        assert_int_equal(l.min, len[0]);
        assert_int_equal(l.max, len[n - 1]);
        const uint64_t got[] = { l.p5, l.p50, l.p90, l.p95, l.p99 };
        const unsigned percent[] = { 5, 50, 90, 95, 99 };
        for (size_t k = 0; k < WEFT_COUNT(got); k++) assert_int_equal(got[k], len[(n * percent[k] + 99) / 100 - 1]);
        for (size_t bin = 0; bin < WEFT_LENGTH_BINS; bin++) {
            uint64_t want = 0;
            for (size_t i = 0; i < n; i++)
                want += len[i] >= weft_length_bin(bin)
                        && (bin + 1 == WEFT_LENGTH_BINS || len[i] < weft_length_bin(bin + 1));
            assert_int_equal(l.bins[bin], want);
        }
    }
}

/* ---- normal texts ---- */

/* The definition: trimmed, each run of white space one space. */
static void fold(struct weft_str s, struct weft_buf *out)
{
    bool before = true;
    weft_buf_reset(out);
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        bool space = weft_is_space(cp);
        if (!space) weft_buf_add(out, s.s + i, n);
        else if (!before) weft_buf_char(out, ' ');
        before = space;
        i += n;
    }
    if (out->len && before) out->len--;
}

static void test_folded_white_space_is_as_defined(void **state)
{
    (void)state;
    static const char *const pieces[] = { "a", "b", "中", "，", "é", "😀", " ", " ", "\n", "\t", "\r", "\x01", "\xC2\xA0",
                                          "\xC2\x85", "\xE3\x80\x80", "\xE2\x80\x83", "\xE2\x80\xA8", "\xE2\x80\x8B",
                                          "\xEF\xBB\xBF", "\xEF\xBC\x81", "\xE2\x80\x9C", "\xE1\x9A\x80", "ʰ" };
    struct weft_arena a = { 0 };
    struct weft_buf text = { 0 }, want = { 0 };
    struct weft_rng rng;
    int changed = 0, many = 0;
    weft_rng_init(&rng, 9, WEFT_RNG_TEST, 0);
    for (int round = 0; round < 20000; round++) {
        struct weft_arena_mark mark = weft_arena_mark(&a);
        weft_buf_reset(&text);
        size_t plain = round % 3 ? 6 : 1; /* mostly letters, or everything alike */
        for (uint64_t n = weft_rng_below(&rng, round % 10 ? 60 : 600); n; n--)
            weft_buf_cstr(&text,
                          pieces[weft_rng_below(&rng, weft_rng_below(&rng, plain) ? 6 : WEFT_COUNT(pieces))]);
        fold(weft_buf_view(&text), &want);
        struct weft_str got = weft_normalise(&a, weft_buf_view(&text));
        if (!weft_str_eq(got, weft_buf_view(&want)))
            fail_msg("\"%s\" became \"%.*s\"", text.s ? text.s : "", (int)got.len, got.s);
        changed += got.s != text.s;
        struct weft_survey survey, plain_survey;
        weft_survey(weft_buf_view(&text), &survey);
        weft_survey_plain(weft_buf_view(&text), &plain_survey);
        assert_int_equal(survey.chars, plain_survey.chars);
        assert_int_equal(survey.n_spots, plain_survey.n_spots);
        many += survey.n_spots > WEFT_SPOTS;
        for (size_t i = 0; i < survey.n_spots && i < WEFT_SPOTS; i++)
            assert_int_equal(survey.spots[i], plain_survey.spots[i]);
        got = weft_normalise_surveyed(&a, weft_buf_view(&text), weft_trim(weft_buf_view(&text)), &survey);
        if (!weft_str_eq(got, weft_buf_view(&want)))
            fail_msg("surveyed, \"%s\" became \"%.*s\"", text.s ? text.s : "", (int)got.len, got.s);
        weft_arena_release(&a, mark);
    }
    assert_true(changed > 1000 && many > 100);
    weft_buf_clear(&text);
    weft_buf_clear(&want);
    weft_arena_clear(&a);
}

/* A text of any length with one byte or pair of note at any place: found by every way of looking. */
static void test_a_survey_finds_what_stands_anywhere(void **state)
{
    (void)state;
    static const char *const notes[] = { "<", "[", "\n", "\x1f", "  ", "\xC3\xA9", "\xCC\x81", "中", "。",
                                         "\xE3\x80\x80", "\xE3\x80\xAA", "“", "\xE2\x80\xA8", "，", "\xEF\xBD\xA1", "😀", "か" };
    for (size_t len = 0; len <= 200; len += 1 + len / 70)
        for (size_t k = 0; k < WEFT_COUNT(notes); k++) {
            size_t n = strlen(notes[k]);
            for (size_t at = 0; at + n <= len; at++) {
                char *text = malloc(len + 1); /* exactly: reading beyond shows under a sanitizer */
                struct weft_survey got, want;
                memset(text, 'a', len);
                memcpy(text + at, notes[k], n);
                text = realloc(text, len);
                weft_survey((struct weft_str){ text, len }, &got);
                weft_survey_plain((struct weft_str){ text, len }, &want);
                assert_int_equal(got.chars, want.chars);
                assert_int_equal(got.bracket, want.bracket);
                assert_int_equal(got.bracket, k < 2);
                assert_int_equal(got.n_spots, want.n_spots);
                if (want.n_spots) assert_int_equal(got.spots[0], want.spots[0]);
                free(text);
            }
        }
}

/* Whatever weft_nfc leaves alone without asking, the library leaves alone too: every character, by itself and beside
 * others that compose. */
static void test_every_character_is_composed_as_the_library_does(void **state)
{
    (void)state;
    static const char *const before[] = { "", "a", "e\xCC\x81", "\xE1\x84\x80", "か" };
    struct weft_arena a = { 0 };
    size_t alone = 0;
    for (uint32_t cp = 1; cp <= 0x10FFFF; cp++) {
        struct weft_arena_mark mark = weft_arena_mark(&a);
        if (cp >= 0xD800 && cp <= 0xDFFF) continue;
        for (size_t i = 0; i < WEFT_COUNT(before); i++) {
            char text[24];
            size_t n = strlen(before[i]);
            memcpy(text, before[i], n);
            n += weft_utf8_encode(cp, text + n);
            text[n] = 0;
            struct weft_str got = weft_nfc(&a, (struct weft_str){ text, n });
            alone += got.s == text;
            char *want = (char *)utf8proc_NFC((const utf8proc_uint8_t *)text);
            assert_non_null(want);
            if (!weft_str_eq(got, weft_str_c(want))) fail_msg("U+%04X behind \"%s\"", cp, before[i]);
            free(want);
        }
        weft_arena_release(&a, mark);
    }
    assert_true(alone > 300000);
    weft_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut_of_a_small_file_reads_the_same),
        cmocka_unit_test(test_the_first_error_of_the_file_wins),
        cmocka_unit_test(test_long_files_read_the_same),
        cmocka_unit_test(test_rows_are_added_behind_those_there_are),
        cmocka_unit_test(test_memory_that_runs_out_is_an_error),
        cmocka_unit_test(test_files_are_checked_as_their_rows_are),
        cmocka_unit_test(test_a_file_that_cannot_be_checked_says_why),
        cmocka_unit_test(test_lengths_counted_are_lengths_sorted),
        cmocka_unit_test(test_folded_white_space_is_as_defined),
        cmocka_unit_test(test_a_survey_finds_what_stands_anywhere),
        cmocka_unit_test(test_every_character_is_composed_as_the_library_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
