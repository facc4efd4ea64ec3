#include "base/json_measure.h"

#include "base/json.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { RUNS = 5 };

const char *weft_json_sample_name(enum weft_json_sample s)
{
    static const char *const names[] = { "rows", "numbers", "vocab" };
    return names[s];
}

static void add_row(struct weft_json_out *o, struct weft_rng *rng)
{
    static const char *const parts[] = {
        "天色将明，",
        "她把信折好，",
        "雨还没有停。",
        "\"你终于来了。\"",
        "院子里的桂花开了，",
        "The lamp went out. ",
        "\n",
        "他没有回答，",
        "只是看着河对岸的灯火。",
        "no one had asked her that before, ",
    };
    struct weft_buf text = { 0 };
    for (uint64_t n = 3 + weft_rng_below(rng, 20); n; n--)
        weft_buf_cstr(&text, parts[weft_rng_below(rng, WEFT_COUNT(parts))]);
    weft_json_out_object(o);
    weft_json_out_key(o, "instruction");
    weft_json_out_cstr(o, parts[weft_rng_below(rng, WEFT_COUNT(parts))]);
    weft_json_out_key(o, "input");
    weft_json_out_cstr(o, "");
    weft_json_out_key(o, "output");
    weft_json_out_str(o, weft_buf_view(&text));
    weft_json_out_key(o, "line");
    weft_json_out_int(o, (int64_t)weft_rng_below(rng, 100000));
    weft_json_out_object_end(o);
    weft_buf_clear(&text);
}

void weft_json_sample_text(enum weft_json_sample s, size_t bytes, struct weft_buf *out)
{
    struct weft_json_out o;
    struct weft_rng rng;
    char key[32];
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, s);
    weft_json_out_init(&o, out);
    if (s == WEFT_JSON_SAMPLE_VOCAB) weft_json_out_object(&o);
    else weft_json_out_array(&o);
    for (int64_t i = 0; out->len < bytes && !out->failed; i++) {
        switch (s) {
        case WEFT_JSON_SAMPLE_ROWS: add_row(&o, &rng); break;
        case WEFT_JSON_SAMPLE_NUMBERS: {
            /* Half of them as people write them, half as programs do. */
            double v = weft_rng_f64(&rng) * pow(10, (double)weft_rng_below(&rng, 12) - 6);
            weft_json_out_double(&o, i % 2 ? v : round(v * 1000) / 1000);
            break;
        }
        default:
            snprintf(key, sizeof key, "%s%llx", i % 3 ? "Ġ" : "",
                     (unsigned long long)i * 2654435761u % 4294967291u);
            weft_json_out_key(&o, key);
            weft_json_out_int(&o, i);
        }
    }
    if (s == WEFT_JSON_SAMPLE_VOCAB) weft_json_out_object_end(&o);
    else weft_json_out_array_end(&o);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void keep_best(double *rate, size_t bytes, double seconds)
{
    double r = (double)bytes / (seconds > 1e-9 ? seconds : 1e-9);
    if (r > *rate) *rate = r;
}

enum weft_status weft_json_measure(struct weft_str text, struct weft_json_rates *out, struct weft_err *err)
{
    struct weft_arena arena = { 0 };
    struct weft_buf buf = { 0 };
    struct weft_json j;
    struct weft_json_value v;
    enum weft_status st = WEFT_OK;
    *out = (struct weft_json_rates){ 0 };
    weft_arena_init(&arena, 1 << 20, 0);
    struct weft_arena_mark start = weft_arena_mark(&arena);
    for (int run = 0; run < RUNS; run++) {
        double t = now();
        weft_buf_reset(&buf);
        weft_buf_str(&buf, text);
        keep_best(&out->copy, text.len, now() - t);

        t = now();
        st = weft_json_init(&j, &arena, "sample", text, err);
        if (!st) st = weft_json_skip(&j, err);
        if (!st) st = weft_json_end(&j, err);
        if (st) goto done;
        keep_best(&out->skip, text.len, now() - t);
        weft_arena_release(&arena, start);

        t = now();
        st = weft_json_parse(&arena, "sample", text, &v, err);
        if (st) goto done;
        keep_best(&out->tree, text.len, now() - t);

        struct weft_json_out o;
        weft_buf_reset(&buf);
        weft_json_out_init(&o, &buf);
        t = now();
        weft_json_out_value(&o, &v);
        keep_best(&out->write, buf.len, now() - t);
        st = weft_buf_check(&buf, "sample", err);
        if (st) goto done;
        weft_arena_release(&arena, start);
    }
done:
    weft_buf_clear(&buf);
    weft_arena_clear(&arena);
    return st;
}
