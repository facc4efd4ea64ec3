/* Decisions survive a rebuild: they fit by place and content, follow a row whose lines moved, and say so when they
 * do not. */
#include "dataset/rows.h"

#include "dataset/canon.h"
#include "dataset/patch.h"

/* A row from a line of f.txt whose bytes have the hash `sha`. */
#define ROW(q, a, id, sha, line)                                                                                       \
    "{\"instruction\":\"" q "\",\"input\":\"in\",\"output\":\"" a "\",\"weft\":{\"id\":\"" id                                      \
    "\",\"src\":{\"file\":\"f.txt\",\"sha256\":\"" sha "\",\"line\":" line ",\"last_line\":" line ",\"bytes\":[" line "," line       \
    "]},\"flags\":[\"review\"]}}\n"

/* The decision about row `i`, written and read back. */
static void decide(struct fixture *f, const struct weft_rows *rows, size_t i, enum weft_patch_op op,
                   const struct weft_row *edited, struct weft_patches *out)
{
    struct weft_patch p;
    struct weft_buf b = { 0 };
    check_ok(weft_patch_for(&f->arena, &rows->items[i], op, &p, &f->err), &f->err);
    if (edited) p.row = *edited;
    if (op == WEFT_PATCH_SPEAKER) p.speaker = WEFT_STR("华妃");
    p.note = WEFT_STR("说了\n两行");
    check_ok(weft_patch_write(&b, &p, &f->err), &f->err);
    assert_true(b.len && memchr(b.s, '\n', b.len) == b.s + b.len - 1);
    check_ok(
        weft_patches_parse(&f->arena, "p.jsonl", weft_str_dup(&f->arena, weft_buf_view(&b)), out, &f->err),
        &f->err);
    weft_buf_clear(&b);
}

static void test_patch_is_written_and_read_back_whole(void **state)
{
    struct fixture *f = *state;
    struct weft_rows rows = parse(f, ROW("q", "a", "s1", "aa", "7"));
    struct weft_patches ps = { 0 };
    char hex[WEFT_SHA256_HEX];
    decide(f, &rows, 0, WEFT_PATCH_SPEAKER, NULL, &ps);
    const struct weft_patch *p = &ps.items[0];
    check_ok(weft_row_content_hash(&rows.items[0], hex, &f->err), &f->err);
    assert_int_equal(p->op, WEFT_PATCH_SPEAKER);
    check_str(p->content, hex);
    check_str(p->at.file, "f.txt");
    check_str(p->at.sha256, "aa");
    check_str(p->speaker, "华妃");
    check_str(p->note, "说了\n两行");
    assert_true(p->at.line == 7 && p->at.last_line == 7 && p->at.byte_begin == 7 && p->at.byte_end == 7);
}

static void test_patches_do_what_they_say(void **state)
{
    struct fixture *f = *state;
    struct weft_rows rows = parse(f, ROW("q1", "a1", "s1", "aa", "1") ROW("q2", "a2", "s2", "aa", "2")
                                         ROW("q3", "a3", "s3", "aa", "3") ROW("q4", "a4", "s4", "aa", "4")),
                     edited = parse(f, "{\"messages\":[{\"role\":\"user\",\"content\":\"q3\\nin\"},"
                                       "{\"role\":\"assistant\",\"content\":\"better\"}]}");
    struct weft_patches ps = { 0 };
    struct weft_patch_result r;
    decide(f, &rows, 0, WEFT_PATCH_KEEP, NULL, &ps);
    decide(f, &rows, 1, WEFT_PATCH_DROP, NULL, &ps);
    decide(f, &rows, 2, WEFT_PATCH_EDIT, &edited.items[0], &ps);
    decide(f, &rows, 3, WEFT_PATCH_SPEAKER, NULL, &ps);
    check_ok(weft_patches_apply(&f->arena, &rows, &ps, &r, &f->err), &f->err);
    assert_int_equal(r.rows_in, r.rows_out + r.dropped);
    assert_true(r.rows_out == 3 && r.kept == 1 && r.dropped == 1 && r.edited == 1 && r.renamed == 1
                && r.match.fits == 4);
    check_str(rows.items[0].origin.flags, "review,reviewed");
    check_str(rows.items[1].turns[1].text, "better");
    check_str(rows.items[1].origin.flags, "review,edited");
    check_str(rows.items[1].origin.id, "s3");
    assert_true(rows.items[1].split_input && rows.items[1].instruction_len == 2);
    check_str(rows.items[2].origin.speaker, "华妃");
    /* Once more over the result: the edit is there already, the dropped row is gone, and nothing is done twice. */
    check_ok(weft_patches_apply(&f->arena, &rows, &ps, &r, &f->err), &f->err);
    assert_true(r.match.already == 1 && r.match.unfit == 1 && r.kept == 1 && r.rows_out == 3);
    check_str(rows.items[0].origin.flags, "review,reviewed");
}

/* The source got a line at its top: other bytes, other lines, other ids, the same rows. */
static void test_patches_survive_a_rebuild(void **state)
{
    struct fixture *f = *state;
    struct weft_rows before = parse(f, ROW("q1", "a1", "s1", "aa", "1") ROW("q2", "a2", "s2", "aa", "2")
                                           ROW("q3", "a3", "s3", "aa", "3")),
                     after = parse(f, ROW("new", "new", "s1", "bb", "1") ROW("q1", "a1", "s2", "bb", "2")
                                          ROW("q2", "a2", "s3", "bb", "3") ROW("q3", "changed", "s4", "bb", "4"));
    struct weft_patches ps = { 0 };
    struct weft_patch_result r;
    decide(f, &before, 1, WEFT_PATCH_DROP, NULL, &ps);
    decide(f, &before, 2, WEFT_PATCH_DROP, NULL, &ps);
    check_ok(weft_patches_apply(&f->arena, &after, &ps, &r, &f->err), &f->err);
    assert_true(r.dropped == 1 && r.match.moved == 1 && r.match.unfit == 1);
    assert_int_equal(r.match.fate[1], WEFT_PATCH_GONE);
    check_str(after.items[1].turns[1].text, "a1");
    check_str(after.items[2].turns[1].text, "changed");
}

static void test_patch_that_does_not_fit_says_why(void **state)
{
    struct fixture *f = *state;
    struct weft_rows before = parse(f, ROW("q", "a", "s1", "aa", "1") ROW("r", "b", "s2", "aa", "2")),
                     differs = parse(f, ROW("q", "other", "s1", "aa", "1")),
                     twice = parse(f, ROW("r", "b", "s1", "bb", "5") ROW("r", "b", "s2", "bb", "6"));
    struct weft_patches one = { 0 }, two = { 0 };
    struct weft_patch_match m;
    decide(f, &before, 0, WEFT_PATCH_DROP, NULL, &one);
    check_ok(weft_patches_match(&f->arena, &differs, &one, &m, &f->err), &f->err);
    assert_int_equal(m.fate[0], WEFT_PATCH_DIFFERS);
    assert_true(m.of_row[0] == SIZE_MAX && m.unfit == 1);
    decide(f, &before, 1, WEFT_PATCH_DROP, NULL, &two);
    check_ok(weft_patches_match(&f->arena, &twice, &two, &m, &f->err), &f->err);
    assert_int_equal(m.fate[0], WEFT_PATCH_AMBIGUOUS);
    assert_true(m.of_row[0] == SIZE_MAX && m.of_row[1] == SIZE_MAX);
}

static void test_last_decision_counts_and_copies_are_decided_together(void **state)
{
    struct fixture *f = *state;
    struct weft_rows rows = parse(f, ROW("q", "a", "s1", "aa", "1") ROW("q", "a", "s1~2", "aa", "1"));
    struct weft_patches ps = { 0 };
    struct weft_patch_result r;
    decide(f, &rows, 0, WEFT_PATCH_DROP, NULL, &ps);
    decide(f, &rows, 0, WEFT_PATCH_KEEP, NULL, &ps);
    check_ok(weft_patches_apply(&f->arena, &rows, &ps, &r, &f->err), &f->err);
    assert_true(r.dropped == 0 && r.kept == 2 && r.match.replaced == 1 && r.match.fits == 1);
}

/* Rows without any source are known by what they say. */
static void test_patch_of_a_row_without_source(void **state)
{
    struct fixture *f = *state;
    const char *two = "{\"text\":\"a\"}\n{\"text\":\"b\"}\n";
    struct weft_rows rows = parse(f, two), again = parse(f, "{\"text\":\"b\"}\n{\"text\":\"c\"}\n");
    struct weft_patches ps = { 0 };
    struct weft_patch_result r;
    decide(f, &rows, 1, WEFT_PATCH_DROP, NULL, &ps);
    decide(f, &rows, 0, WEFT_PATCH_DROP, NULL, &ps);
    check_ok(weft_patches_apply(&f->arena, &again, &ps, &r, &f->err), &f->err);
    assert_true(r.dropped == 1 && r.rows_out == 1 && r.match.unfit == 1);
    check_str(again.items[0].text, "c");
}

static void test_DP1_a_line_that_is_no_patch_is_refused_with_its_place(void **state)
{
    static const char hash[] = "\"content\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"";
    static const struct {
        const char *line, *message;
    } bad[] = {
        { "{\"weft_patch\":2,\"do\":\"keep\",%s}", "weft_patch is not 1" },
        { "{\"weft_patch\":1,\"do\":\"kepe\",%s}", "none of keep, drop, edit, speaker" },
        { "{\"weft_patch\":1,\"do\":\"keep\",\"content\":\"12\"}", "SHA-256" },
        { "{\"weft_patch\":1,\"do\":\"edit\",%s}", "edit without its row" },
        { "{\"weft_patch\":1,\"do\":\"edit\",%s,\"row\":{\"instruction\":1}}", "instruction is not a string" },
        { "{\"weft_patch\":1,\"do\":\"speaker\",%s}", "no speaker" },
        { "[]", "not an object" },
        { "{\"weft_patch\":1,", "p.jsonl:3:" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        struct weft_patches ps = { 0 };
        struct weft_buf b = { 0 };
        weft_buf_printf(&b, "{\"weft_patch\":1,\"do\":\"keep\",%s}\n\n", hash);
        const char *insert = strstr(bad[i].line, "%s");
        weft_buf_add(&b, bad[i].line, insert ? (size_t)(insert - bad[i].line) : strlen(bad[i].line));
        if (insert) weft_buf_printf(&b, "%s%s", hash, insert + 2);
        check_refuses(weft_patches_parse(&f->arena, "p.jsonl", weft_buf_view(&b), &ps, &f->err), &f->err,
                      WEFT_EINPUT, "DP1", bad[i].message);
        weft_buf_clear(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_patch_is_written_and_read_back_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_patches_do_what_they_say, setup, teardown),
        cmocka_unit_test_setup_teardown(test_patches_survive_a_rebuild, setup, teardown),
        cmocka_unit_test_setup_teardown(test_patch_that_does_not_fit_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_decision_counts_and_copies_are_decided_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_patch_of_a_row_without_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_DP1_a_line_that_is_no_patch_is_refused_with_its_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
