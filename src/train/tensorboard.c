#include "train/tensorboard.h"

#include "base/file.h"
#include "base/hash.h"

#include <stdio.h>
#include <time.h>

static const char prefix[] = "events.out.tfevents.", suffix[] = ".weft";

static double wall_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- protobuf's wire format ---- */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void put_le(struct weft_buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) weft_buf_char(b, (char)(unsigned char)(v >> (8 * i)));
}

static void put_varint(struct weft_buf *b, uint64_t v)
{
    for (; v >= 128; v >>= 7) weft_buf_char(b, (char)(unsigned char)(v | 128));
    weft_buf_char(b, (char)(unsigned char)v);
}

static void put_key(struct weft_buf *b, unsigned field, enum wire wire) { put_varint(b, field << 3 | (unsigned)wire); }

static void put_bytes(struct weft_buf *b, unsigned field, struct weft_str s)
{
    put_key(b, field, WIRE_BYTES);
    put_varint(b, s.len);
    weft_buf_str(b, s);
}

static void put_double(struct weft_buf *b, unsigned field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_key(b, field, WIRE_64);
    put_le(b, bits, 8);
}

static void put_float(struct weft_buf *b, unsigned field, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_key(b, field, WIRE_32);
    put_le(b, bits, 4);
}

/* ---- records ---- */

static uint32_t masked_crc(const void *p, size_t n)
{
    uint32_t crc = weft_crc32c(0, p, n);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static void put_record(struct weft_buf *out, struct weft_str event)
{
    size_t at = out->len;
    put_le(out, event.len, 8);
    if (out->len == at + 8) put_le(out, masked_crc(out->s + at, 8), 4);     /* else memory is out, told at the end */
    weft_buf_str(out, event);
    put_le(out, masked_crc(event.s, event.len), 4);
}

static void put_version(struct weft_buf *out, double wall_time)
{
    struct weft_buf event = { 0 };
    put_double(&event, 1, wall_time);
    put_bytes(&event, 3, WEFT_STR("brain.Event:2"));
    put_record(out, weft_buf_view(&event));
    weft_buf_clear(&event);
}

/* "1 day, 2:03:04" in seconds. */
static double duration_of(struct weft_str text)
{
    double total = 0, part = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.s[i];
        if (c >= '0' && c <= '9') part = part * 10 + (c - '0');
        else if (c == ':') total = (total + part) * 60, part = 0;
        else if (c == 'd') total = part * 24, part = 0;             /* hours follow */
    }
    return total + part;
}

/* train/ or eval/ and the value's name; false: no value that is drawn. */
static bool tag_of(struct weft_str key, char *out, size_t cap)
{
    static const char *const left_out[] = { "current_steps", "total_steps", "percentage", "worst_row", "tokens", "best_step" };
    for (size_t i = 0; i < WEFT_COUNT(left_out); i++)
        if (weft_str_is(key, left_out[i])) return false;
    bool eval = weft_str_starts(key, WEFT_STR("eval_"));
    struct weft_str name = weft_str_is(key, "lr") ? WEFT_STR("learning_rate") : weft_str_skip(key, eval ? 5 : 0);
    return snprintf(out, cap, "%s/%.*s", eval ? "eval" : "train", (int)name.len, name.s) < (int)cap;
}

/* Nothing for a line that is no object, or has no value that is drawn. */
static enum weft_status put_line(struct weft_tensorboard *t, struct weft_buf *out, struct weft_str line,
                                 struct weft_err *err)
{
    struct weft_arena_mark mark = weft_arena_mark(&t->arena);
    struct weft_json_value v;
    char tag[128];
    double elapsed = 0;
    const struct weft_json_value *step, *time;
    enum weft_status st = weft_json_parse(&t->arena, "log.jsonl", line, &v, err);
    weft_buf_reset(&t->summary);
    weft_buf_reset(&t->event);
    weft_buf_reset(&t->value);
    if (st || v.kind != WEFT_JSON_OBJECT) goto done;
    step = weft_json_get(&v, "current_steps");
    time = weft_json_get(&v, "elapsed_time");
    if (time && time->kind == WEFT_JSON_STRING) elapsed = duration_of(time->text);
    for (size_t i = 0; i < v.n; i++) {
        if (v.items[i].kind != WEFT_JSON_NUMBER || !tag_of(v.keys[i], tag, sizeof tag)) continue;
        weft_buf_reset(&t->value);
        put_bytes(&t->value, 1, weft_str_c(tag));
        put_float(&t->value, 2, (float)v.items[i].number);
        put_bytes(&t->summary, 1, weft_buf_view(&t->value));
    }
    if (t->summary.len && step && step->kind == WEFT_JSON_NUMBER) {
        put_double(&t->event, 1, t->started + elapsed);
        put_key(&t->event, 2, WIRE_VARINT);
        put_varint(&t->event, (uint64_t)step->integer);
        put_bytes(&t->event, 5, weft_buf_view(&t->summary));
        put_record(out, weft_buf_view(&t->event));
    }
    st = weft_buf_check(&t->summary, "events", err);
    if (!st) st = weft_buf_check(&t->event, "events", err);
    if (!st) st = weft_buf_check(&t->value, "events", err);
done:
    weft_arena_release(&t->arena, mark);
    return st;
}

/* ---- the file ---- */

static enum weft_status find_file(struct weft_tensorboard *t, struct weft_arena *a, const char *output_dir,
                                  struct weft_err *err)
{
    const char **names = NULL;
    size_t n = 0;
    enum weft_status st = weft_dir_list(a, output_dir, &names, &n, err);
    for (size_t i = 0; !st && i < n; i++)
        if (weft_str_starts(weft_str_c(names[i]), weft_str_c(prefix))
            && weft_str_ends(weft_str_c(names[i]), weft_str_c(suffix)))
            t->path = weft_path_join(a, output_dir, names[i]);
    if (!st && !t->path)
        t->path = weft_str_printf(a, "%s/%s%.0f%s", output_dir, prefix, t->started, suffix).s;
    return st || t->path ? st : weft_fail_nomem(err, strlen(output_dir), "a path");
}

enum weft_status weft_tensorboard_open(struct weft_tensorboard *t, struct weft_arena *a, const char *output_dir,
                                       struct weft_str log, double elapsed_s, struct weft_err *err)
{
    struct weft_lines lines = { .text = log };
    struct weft_str line;
    struct weft_buf all = { 0 };
    *t = (struct weft_tensorboard){ .started = wall_clock() - elapsed_s };
    enum weft_status st = find_file(t, a, output_dir, err);
    put_version(&all, t->started);
    while (!st && weft_lines_next(&lines, &line)) {
        struct weft_err skipped = { 0 };
        if (line.len && put_line(t, &all, line, &skipped) == WEFT_ENOMEM)
            st = weft_fail_nomem(err, all.len, "events");       /* a damaged line is the log's business */
    }
    if (!st) st = weft_buf_check(&all, "events", err);
    if (!st) st = weft_file_write(t->path, weft_buf_view(&all), err);
    weft_buf_clear(&all);
    return st;
}

enum weft_status weft_tensorboard_append(struct weft_tensorboard *t, struct weft_str line, struct weft_err *err)
{
    if (!t->path) return WEFT_OK;
    weft_buf_reset(&t->buf);
    enum weft_status st = put_line(t, &t->buf, line, err);
    if (!st) st = weft_buf_check(&t->buf, "events", err);
    if (st || !t->buf.len) return st;
    return weft_file_append(t->path, weft_buf_view(&t->buf), err);
}

void weft_tensorboard_close(struct weft_tensorboard *t)
{
    weft_buf_clear(&t->buf);
    weft_buf_clear(&t->summary);
    weft_buf_clear(&t->event);
    weft_buf_clear(&t->value);
    weft_arena_clear(&t->arena);
}
