/* The event file, decoded by hand: records and their sums, steps, times, tags and values. */
#include "check.h"

#include "base/hash.h"
#include "train/tensorboard.h"

static const char log_text[] =
    "{\"current_steps\": 1, \"total_steps\": 4, \"loss\": 2.5, \"lr\": 0.001, \"epoch\": 0.5, \"percentage\": 25.0, "
    "\"tokens\": 100, \"rewards/margins\": 0.25, \"elapsed_time\": \"0:00:10\"}\n"
    "{\"current_steps\": 2, \"total_steps\": 4, \"event\": \"loss_jump\", \"elapsed_time\": \"0:01:00\"}\n"
    "{\"current_steps\": 300, \"total_steps\": 400, \"eval_loss\": 1.5, \"eval_rewards/margins\": -3, "
    "\"elapsed_time\": \"1 day, 1:00:00\"}\n"
    "{\"current_steps\": 3, \"to";

struct value {
    char tag[64];
    float v;
};
struct event {
    double time;
    uint64_t step;
    char version[32];
    struct value values[16];
    size_t n;
};

static uint64_t little(const unsigned char *p, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static uint64_t varint(const unsigned char **p)
{
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
        unsigned char c = *(*p)++;
        v |= (uint64_t)(c & 127) << shift;
        if (c < 128) return v;
    }
}

static void take_value(const unsigned char *p, const unsigned char *end, struct value *out)
{
    while (p < end) {
        uint64_t key = varint(&p);
        if (key == (1 << 3 | 2)) {
            size_t n = (size_t)varint(&p);
            snprintf(out->tag, sizeof out->tag, "%.*s", (int)n, (const char *)p);
            p += n;
        } else if (key == (2 << 3 | 5)) {
            uint32_t bits = (uint32_t)little(p, 4);
            memcpy(&out->v, &bits, 4);
            p += 4;
        } else fail_msg("value: key %llu", (unsigned long long)key);
    }
}

static struct event take_event(const unsigned char *p, const unsigned char *end)
{
    struct event e = { 0 };
    while (p < end) {
        uint64_t key = varint(&p);
        if (key == (1 << 3 | 1)) {
            uint64_t bits = little(p, 8);
            memcpy(&e.time, &bits, 8);
            p += 8;
        } else if (key == (2 << 3 | 0)) {
            e.step = varint(&p);
        } else if (key == (3 << 3 | 2)) {
            size_t n = (size_t)varint(&p);
            snprintf(e.version, sizeof e.version, "%.*s", (int)n, (const char *)p);
            p += n;
        } else if (key == (5 << 3 | 2)) {
            size_t bytes = (size_t)varint(&p);
            const unsigned char *stop = p + bytes;
            while (p < stop) {
                assert_int_equal(varint(&p), 1 << 3 | 2);
                size_t n = (size_t)varint(&p);
                take_value(p, p + n, &e.values[e.n++]);
                p += n;
            }
        } else fail_msg("event: key %llu", (unsigned long long)key);
    }
    return e;
}

static uint32_t masked(const void *p, size_t n)
{
    uint32_t c = weft_crc32c(0, p, n);
    return (uint32_t)((c >> 15 | c << 17) + 0xa282ead8u);
}

static size_t decode(struct weft_str file, struct event out[16])
{
    const unsigned char *p = (const unsigned char *)file.s, *end = p + file.len;
    size_t n = 0;
    while (p < end) {
        assert_true(end - p >= 16);
        size_t len = (size_t)little(p, 8);
        assert_int_equal(little(p + 8, 4), masked(p, 8));
        assert_true(len + 16 <= (size_t)(end - p));
        assert_int_equal(little(p + 12 + len, 4), masked(p + 12, len));
        out[n++] = take_event(p + 12, p + 12 + len);
        p += len + 16;
    }
    return n;
}

static const struct value *find(const struct event *e, const char *tag)
{
    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->values[i].tag, tag) == 0) return &e->values[i];
    return NULL;
}

static void test_lines_become_events(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_tensorboard t;
    struct weft_err err = { 0 };
    struct weft_str file;
    struct event e[16];
    char dir[64];
    (void)state;
    snprintf(dir, sizeof dir, "%s", check_folder());
    check_ok(weft_tensorboard_open(&t, &a, dir, weft_str_c(log_text), 90000, &err), &err);
    check_ok(weft_tensorboard_append(&t, WEFT_STR("{\"current_steps\": 301, \"loss\": 1, \"elapsed_time\": \"1 day, 1:00:01\"}"),
                                     &err),
             &err);
    check_ok(weft_file_read(&a, t.path, 0, &file, &err), &err);
    assert_int_equal(decode(file, e), 4);           /* the event line and the one cut short have nothing to draw */
    assert_string_equal(e[0].version, "brain.Event:2");
    assert_int_equal(e[1].step, 1);
    assert_int_equal(e[1].n, 4);
    assert_true(find(e + 1, "train/loss")->v == 2.5f && find(e + 1, "train/learning_rate")->v == 0.001f);
    assert_true(find(e + 1, "train/rewards/margins")->v == 0.25f && find(e + 1, "train/epoch")->v == 0.5f);
    assert_int_equal(e[2].step, 300);
    assert_true(find(e + 2, "eval/loss")->v == 1.5f && find(e + 2, "eval/rewards/margins")->v == -3.0f);
    check_near(e[2].time - e[1].time, 90000 - 10, 1e-3);
    check_near(e[1].time - t.started, 10, 1e-3);
    check_near(e[3].time - e[2].time, 1, 1e-3);

    /* Opened again with another log: the same file, written anew. */
    struct weft_tensorboard again;
    check_ok(weft_tensorboard_open(&again, &a, dir, WEFT_STR("{\"current_steps\": 7, \"loss\": 1}\n"), 0, &err), &err);
    assert_string_equal(again.path, t.path);
    check_ok(weft_file_read(&a, t.path, 0, &file, &err), &err);
    assert_int_equal(decode(file, e), 2);
    assert_int_equal(e[1].step, 7);
    weft_tensorboard_close(&t);
    weft_tensorboard_close(&again);
    check_folder_gone(dir);
    weft_arena_clear(&a);
}

static void test_without_a_file_nothing_is_written(void **state)
{
    struct weft_tensorboard t = { 0 };
    struct weft_err err = { 0 };
    (void)state;
    check_ok(weft_tensorboard_append(&t, WEFT_STR("{\"current_steps\": 1, \"loss\": 1}"), &err), &err);
    weft_tensorboard_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_become_events),
        cmocka_unit_test(test_without_a_file_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
