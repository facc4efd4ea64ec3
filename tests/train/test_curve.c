/* The log as curves, and their two drawings. */
#include "check.h"
#include "train/curve.h"

static const char log_text[] =
    "{\"current_steps\": 10, \"total_steps\": 40, \"loss\": 4.5, \"lr\": 0.1, \"elapsed_time\": \"0:00:01\"}\n"
    "{\"current_steps\": 20, \"total_steps\": 40, \"loss\": 3.25, \"elapsed_time\": \"0:00:02\"}\n"
    "{\"current_steps\": 20, \"total_steps\": 40, \"eval_loss\": 3.5}\n"
    "{\"current_steps\": 25, \"total_steps\": 40, \"event\": \"loss_jump\", \"loss\": 99, \"median\": 3}\n"
    "{\"current_steps\": 30, \"total_steps\": 40, \"loss\": null}\n"
    "{\"current_steps\": 40, \"total_steps\": 40, \"loss\": 3}\n"
    "{\"current_steps\": 40, \"total_steps\": 40, \"eval_loss\": 3.125}\n"
    "{\"current_steps\": 50, \"total_st";      /* being written */

static void read_log(struct weft_arena *a, const char *text, struct weft_curve c[WEFT_N_CURVES])
{
    struct weft_err err = { 0 };
    const char *dir = check_folder(), *path = check_path(dir, "log.jsonl");
    check_ok(weft_file_write(path, weft_str_c(text), &err), &err);
    check_ok(weft_log_curves(a, path, c, &err), &err);
    check_folder_gone(dir);
}

static void test_log_becomes_two_curves(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_curve c[WEFT_N_CURVES];
    read_log(&a, log_text, c);
    assert_int_equal(c[WEFT_CURVE_TRAIN].n, 3);
    check_near(c[WEFT_CURVE_TRAIN].points[1].x, 20, 0);
    check_near(c[WEFT_CURVE_TRAIN].points[1].y, 3.25, 0);
    check_near(c[WEFT_CURVE_TRAIN].points[2].x, 40, 0);
    assert_int_equal(c[WEFT_CURVE_VALID].n, 2);
    check_near(c[WEFT_CURVE_VALID].points[1].y, 3.125, 0);
    weft_arena_clear(&a);
}

static void test_damaged_line_inside_a_log_is_named(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_curve c[WEFT_N_CURVES];
    struct weft_err err = { 0 };
    const char *dir = check_folder(), *path = check_path(dir, "log.jsonl");
    check_ok(
        weft_file_write(
            path, weft_str_c("{\"current_steps\": 1, \"loss\n{\"current_steps\": 2, \"loss\": 1}\n"), &err),
        &err);
    check_fails(weft_log_curves(&a, path, c, &err), &err, WEFT_EINPUT, NULL, "log.jsonl");
    check_folder_gone(dir);
    weft_arena_clear(&a);
}

/* A straight line stays as it is, ends included; noise shrinks. */
static void test_smoothing_keeps_lines_and_removes_noise(void **state)
{
    enum { N = 600 };
    static struct weft_curve_point p[N];
    static double out[N];
    struct weft_curve c = { "x", p, N };
    for (int i = 0; i < N; i++) p[i] = (struct weft_curve_point){ i, 5 - 0.004 * i };
    weft_curve_smooth(&c, WEFT_CURVE_FINE, out);
    for (int i = 0; i < N; i++) check_near(out[i], p[i].y, 1e-9);
    double noise = 0, left = 0;
    uint64_t seed = 1;
    for (int i = 0; i < N; i++) {
        double e = (double)check_random(&seed) / 2147483648.0 - 0.5;
        p[i].y += e;
        noise += e * e;
    }
    weft_curve_smooth(&c, WEFT_CURVE_FINE, out);
    for (int i = 0; i < N; i++) left += pow(out[i] - (5 - 0.004 * i), 2);
    assert_true(left < 0.1 * noise);
    c.n = 1;
    weft_curve_smooth(&c, WEFT_CURVE_FINE, out);
    check_near(out[0], p[0].y, 0);
}

static void test_ticks_are_round_numbers(void **state)
{
    double step;
    char text[32];
    check_near(weft_curve_ticks(0.3, 9.7, 6, &step), 2, 1e-12);
    check_near(step, 2, 1e-12);
    check_near(weft_curve_ticks(2.91, 3.13, 6, &step), 2.95, 1e-9);
    check_near(step, 0.05, 1e-12);
    assert_string_equal(weft_curve_number(text, 2.95, step, false), "2.95");
    check_near(weft_curve_ticks(0, 37000, 8, &step), 0, 0);
    assert_string_equal(weft_curve_number(text, 35000, step, true), "35k");
    assert_string_equal(weft_curve_number(text, -1e-20, 0.5, false), "0.0");
}

static struct weft_curve falling(struct weft_curve_point *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (struct weft_curve_point){ (double)(10 * (i + 1)), 3 + 4 * exp(-(double)i * 6 / (double)n) };
    return (struct weft_curve){ "training", p, n };
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)); at++) n++;
    return n;
}

/* One spike does not press the rest of the curve flat. */
static void test_window_leaves_a_spike_out(void **state)
{
    static struct weft_curve_point p[1000];
    struct weft_curve c = falling(p, 1000);
    p[500].y = 1e6;
    struct weft_curve_window w = weft_curve_window_of(&c, 1);
    assert_true(w.y1 < 1e5);
    c.n = 0;
    w = weft_curve_window_of(&c, 1);
    assert_true(w.x0 < w.x1 && w.y0 < w.y1);
}

static void test_svg_is_well_formed_and_self_contained(void **state)
{
    static struct weft_curve_point p[5000], q[4];
    struct weft_curve c[2] = { falling(p, 5000), falling(q, 4) };
    struct weft_buf svg = { 0 };
    c[1].label = "a < b & \"c\"";
    weft_curve_svg(&svg, c, 2, "<loss> & more", "step", "loss");
    check_contains(svg.s, "&lt;loss&gt; &amp; more");
    check_contains(svg.s, "a &lt; b &amp; &quot;c&quot;");
    check_contains(svg.s, "prefers-color-scheme:dark");
    assert_int_equal(count(svg.s, "http"), 1);          /* the namespace */
    assert_int_equal(count(svg.s, "<circle"), 4);       /* the short curve's points */
    assert_int_equal(count(svg.s, "class=\"r "), 1);    /* the long one's raw line */
    assert_int_equal(count(svg.s, "<g "), count(svg.s, "</g>"));
    assert_int_equal(count(svg.s, "<text"), count(svg.s, "</text>"));
    assert_null(strstr(svg.s, "nan"));
    assert_null(strstr(svg.s, "inf"));
    assert_true(svg.len < 60000);
    weft_buf_clear(&svg);
    weft_curve_svg(&svg, NULL, 0, "", "", "");
    check_contains(svg.s, "</svg>");
    weft_buf_clear(&svg);
}

/* Two panels, a row of the table for each run, the least loss of a column set off; a run without validation, or with
 * nothing at all, leaves a gap. */
static void test_runs_share_a_picture(void **state)
{
    static struct weft_curve_point p[200], q[9];
    const struct weft_curve long_one = falling(p, 200), short_one = falling(q, 9);
    struct weft_curve_run runs[10] = { { "a<b", { long_one, short_one } }, { "second", { long_one } }, { "third", { { 0 } } } };
    const struct weft_curve_words words = { "five & one", "step", "training", "validation", "lowest (step)" };
    struct weft_buf svg = { 0 };
    q[4].y = 1.25;
    weft_curve_svg_runs(&svg, runs, 3, &words);
    check_contains(svg.s, "five &amp; one");
    check_contains(svg.s, ">a&lt;b</text>");
    check_contains(svg.s, ">1.250 (50)</text>");
    assert_int_equal(count(svg.s, "<clipPath"), 2);
    assert_int_equal(count(svg.s, "class=\"l c0\""), 3);      /* both curves and the table */
    assert_int_equal(count(svg.s, "class=\"l c1\""), 2);
    assert_int_equal(count(svg.s, "class=\"l c2\""), 1);
    assert_int_equal(count(svg.s, "<circle"), 9);
    assert_int_equal(count(svg.s, "<g "), count(svg.s, "</g>"));
    assert_int_equal(count(svg.s, "<text"), count(svg.s, "</text>"));
    assert_int_equal(count(svg.s, "http"), 1);
    assert_null(strstr(svg.s, "nan"));
    assert_null(strstr(svg.s, "inf"));
    weft_buf_reset(&svg);
    for (size_t i = 3; i < 10; i++) runs[i] = runs[0];
    weft_curve_svg_runs(&svg, runs, 10, &words);        /* more runs than colours */
    assert_null(strstr(svg.s, "c8\""));
    assert_int_equal(count(svg.s, ">1.250 (50)</text>"), 8);
    weft_buf_reset(&svg);
    weft_curve_svg_runs(&svg, runs + 2, 1, &words);
    check_contains(svg.s, "</svg>");
    assert_null(strstr(svg.s, "nan"));
    weft_buf_clear(&svg);
}

static void test_lowest_is_the_first_of_equals(void **state)
{
    const struct weft_curve_point p[] = { { 1, 3 }, { 2, 2 }, { 3, 2 }, { 4, 5 } };
    const struct weft_curve c = { "x", p, 4 }, none = { "x", NULL, 0 };
    check_near(weft_curve_lowest(&c).x, 2, 0);
    assert_true(isnan(weft_curve_lowest(&none).y));
}

static void test_terminal_curve_fits_its_box(void **state)
{
    static struct weft_curve_point p[300], q[5];
    struct weft_curve c[2] = { falling(p, 300), falling(q, 5) };
    struct weft_buf text = { 0 };
    c[1].label = "validation";
    for (size_t i = 0; i < 5; i++) q[i].x = 600 * (double)(i + 1);
    for (size_t columns = 20; columns <= 120; columns += 25) {
        weft_buf_reset(&text);
        weft_curve_text(&text, c, 2, columns, 12);
        struct weft_lines lines = { .text = weft_buf_view(&text) };
        struct weft_str line;
        size_t n = 0;
        while (weft_lines_next(&lines, &line)) {
            if (++n < 12) assert_true(weft_utf8_width(line) <= columns);
            assert_true(!line.len || line.s[line.len - 1] != ' ');
        }
        assert_int_equal(n, 12);
        assert_int_equal(count(text.s, "\u25c6"), 6);   /* five marks and the legend */
    }
    /* high on the left, low on the right */
    weft_buf_reset(&text);
    weft_curve_text(&text, c, 1, 60, 12);
    char *second = strchr(text.s, '\n');
    *second = '\0';
    assert_true(weft_utf8_width(weft_str_c(text.s)) < 20);
    weft_buf_reset(&text);
    c[0].n = 0;
    weft_curve_text(&text, c, 1, 60, 12);
    assert_int_equal(text.len, 0);
    weft_buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_becomes_two_curves),
        cmocka_unit_test(test_damaged_line_inside_a_log_is_named),
        cmocka_unit_test(test_smoothing_keeps_lines_and_removes_noise),
        cmocka_unit_test(test_ticks_are_round_numbers),
        cmocka_unit_test(test_window_leaves_a_spike_out),
        cmocka_unit_test(test_svg_is_well_formed_and_self_contained),
        cmocka_unit_test(test_runs_share_a_picture),
        cmocka_unit_test(test_lowest_is_the_first_of_equals),
        cmocka_unit_test(test_terminal_curve_fits_its_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
