#include "train/row_loss.h"

#include "base/file.h"
#include "base/json.h"
#include "model/safetensors.h"

#include <math.h>

static const char file_name[] = "row_loss.safetensors";

size_t weft_row_loss_bytes(size_t n, size_t update_rows) { return (3 * n + 2 * update_rows) * sizeof(float); }

enum weft_status weft_row_loss_init(struct weft_row_loss *r, struct weft_arena *a, size_t n, size_t update_rows,
                                    struct weft_err *err)
{
    *r = (struct weft_row_loss){ .n = n, .cap = update_rows };
    r->seen = WEFT_NEWS(a, float, n);
    r->first = WEFT_NEWS(a, float, n);
    r->last = WEFT_NEWS(a, float, n);
    r->pending = WEFT_NEWS(a, uint32_t, update_rows);
    r->pending_loss = WEFT_NEWS(a, float, update_rows);
    if (!r->seen || !r->first || !r->last || !r->pending || !r->pending_loss)
        return weft_fail_nomem(err, weft_row_loss_bytes(n, update_rows), "the rows' losses");
    return WEFT_OK;
}

void weft_row_loss_note(struct weft_row_loss *r, size_t example, double loss)
{
    if (!isfinite(loss) || r->n_pending == r->cap) return;
    r->pending[r->n_pending] = (uint32_t)example;
    r->pending_loss[r->n_pending++] = (float)loss;
}

void weft_row_loss_commit(struct weft_row_loss *r, bool took_effect)
{
    for (size_t i = 0; took_effect && i < r->n_pending; i++) {
        uint32_t k = r->pending[i];
        if (!r->seen[k]) r->first[k] = r->pending_loss[i];
        r->last[k] = r->pending_loss[i];
        r->seen[k]++;
    }
    r->n_pending = 0;
}

/* ---- in a checkpoint ---- */

enum weft_status weft_row_loss_save(const struct weft_row_loss *r, const char *dir, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    const char *path = weft_path_join(&a, dir, file_name);
    const struct weft_st_out t[] = {
        { .name = "first", .dtype = WEFT_ST_F32, .n_dims = 1, .shape = { r->n }, .data = r->first },
        { .name = "last", .dtype = WEFT_ST_F32, .n_dims = 1, .shape = { r->n }, .data = r->last },
        { .name = "seen", .dtype = WEFT_ST_F32, .n_dims = 1, .shape = { r->n }, .data = r->seen },
    };
    enum weft_status st = path ? weft_safetensors_write(path, t, WEFT_COUNT(t), NULL, err)
                               : weft_fail_nomem(err, strlen(dir), "a path");
    weft_arena_clear(&a);
    return st;
}

static enum weft_status take(const struct weft_safetensors *f, const char *path, const char *name, float *out, size_t n,
                             struct weft_err *err)
{
    const struct weft_st_tensor *t = weft_safetensors_find(f, weft_str_c(name));
    if (!t || t->dtype != WEFT_ST_F32 || t->n_elements != n)
        return weft_fail(err, WEFT_EINPUT, "%s: expected \"%s\" with %zu numbers", path, name, n);
    if (n) memcpy(out, t->data, n * sizeof *out);
    return WEFT_OK;
}

enum weft_status weft_row_loss_load(struct weft_row_loss *r, const char *dir, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_safetensors f = { 0 };
    const char *path = weft_path_join(&a, dir, file_name);
    enum weft_status st = path ? WEFT_OK : weft_fail_nomem(err, strlen(dir), "a path");
    if (st || !weft_file_exists(path)) goto done;
    st = weft_safetensors_open(&f, &a, path, err);
    if (!st) st = take(&f, path, "first", r->first, r->n, err);
    if (!st) st = take(&f, path, "last", r->last, r->n, err);
    if (!st) st = take(&f, path, "seen", r->seen, r->n, err);
    weft_safetensors_close(&f);
done:
    weft_arena_clear(&a);
    return st;
}

/* ---- for people ---- */

size_t weft_row_loss_dearest(const struct weft_row_loss *r, size_t *examples, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n && most; i++) {
        if (!(r->seen[i] > 0) || (n == most && !(r->last[i] > r->last[examples[n - 1]]))) continue;
        size_t at = n < most ? n++ : n - 1;
        for (; at && r->last[examples[at - 1]] < r->last[i]; at--) examples[at] = examples[at - 1];
        examples[at] = i;
    }
    return n;
}

enum weft_status weft_row_loss_write(const struct weft_row_loss *r, const char *path, const struct weft_examples *ex,
                                     const char *(*name)(void *ctx, uint32_t row_idx), void *ctx, struct weft_err *err)
{
    struct weft_out out = { 0 };
    struct weft_buf line = { 0 };
    enum weft_status st = weft_out_open(&out, path, err);
    for (size_t i = 0; !st && i < r->n; i++) {
        const struct weft_example *x = &ex->items[i];
        const char *id = name ? name(ctx, x->row_idx) : NULL;
        struct weft_json_out j;
        weft_buf_reset(&line);
        weft_json_out_init(&j, &line);
        j.spaced = true;
        weft_json_out_object(&j);
        weft_json_out_key(&j, "row");
        if (id) weft_json_out_cstr(&j, id);
        else weft_json_out_uint(&j, (uint64_t)x->row_idx + 1);
        if (x->n_parts > 1) {
            weft_json_out_key(&j, "rows");
            weft_json_out_uint(&j, x->n_parts);
        }
        weft_json_out_key(&j, "seen");
        weft_json_out_uint(&j, (uint64_t)r->seen[i]);
        if (r->seen[i] > 0) {
            weft_json_out_key(&j, "first");
            weft_json_out_double(&j, round((double)r->first[i] * 1e5) / 1e5);
            weft_json_out_key(&j, "last");
            weft_json_out_double(&j, round((double)r->last[i] * 1e5) / 1e5);
        }
        weft_json_out_object_end(&j);
        weft_buf_char(&line, '\n');
        st = weft_buf_check(&line, "row_loss.jsonl", err);
        if (!st) weft_out_add(&out, line.s, line.len);
    }
    if (!st) st = weft_out_commit(&out, err);
    weft_out_close(&out);
    weft_buf_clear(&line);
    return st;
}
