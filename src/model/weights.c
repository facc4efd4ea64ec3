/* The weights of a model directory: one file, or the shards that model.safetensors.index.json names (rule ST10). */
#include "model/safetensors.h"

#include "base/lang.h"

#include <stdlib.h>

enum { MAX_SHARDS = 10000 };

static int by_name(const void *a, const void *b)
{
    const struct weft_st_tensor *const *x = a, *const *y = b;
    return weft_str_cmp((*x)->name, (*y)->name);
}

static enum weft_status allocate_list(struct weft_weights *w, struct weft_arena *a, size_t n, struct weft_err *err)
{
    w->tensors = WEFT_NEWS(a, const struct weft_st_tensor *, n);
    return w->tensors ? WEFT_OK : weft_fail_nomem(err, n * sizeof *w->tensors, "the list of weights");
}

static enum weft_status open_single(struct weft_weights *w, struct weft_arena *a, const char *path,
                                    struct weft_err *err)
{
    w->files = WEFT_NEWS(a, struct weft_safetensors, 1);
    if (!w->files) return weft_fail_nomem(err, sizeof *w->files, "the list of weights");
    enum weft_status st = weft_safetensors_open(&w->files[0], a, path, err);
    if (st) return st;
    w->n_files = 1;
    st = allocate_list(w, a, w->files[0].n, err);
    for (size_t i = 0; !st && i < w->files[0].n; i++) w->tensors[w->n++] = &w->files[0].tensors[i];
    return st;
}

/* A plain name in the same folder: nothing that leads elsewhere. */
static bool plain_name(struct weft_str s)
{
    if (!s.len || s.len > 255 || weft_str_is(s, ".") || weft_str_is(s, "..")) return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.s[i] == '/' || s.s[i] == '\\' || (unsigned char)s.s[i] < 0x20) return false;
    return true;
}

/* The shard of this name, opened when it is new. */
static enum weft_status find_shard(struct weft_weights *w, struct weft_arena *a, struct weft_str *names,
                                   const char *dir, struct weft_str name, size_t *idx, struct weft_err *err)
{
    for (*idx = w->n_files; (*idx)-- > 0;)
        if (weft_str_eq(names[*idx], name)) return WEFT_OK;
    *idx = w->n_files;
    if (w->n_files == MAX_SHARDS)
        return weft_fail_rule(err, WEFT_ELIMIT, "ST10", "%s: more than %d shards", dir, MAX_SHARDS);
    struct weft_str file = weft_str_dup(a, name);
    const char *path = file.s ? weft_path_join(a, dir, file.s) : NULL;
    if (!path) return weft_fail_nomem(err, name.len, "a path");
    names[*idx] = file;
    enum weft_status st = weft_safetensors_open(&w->files[*idx], a, path, err);
    if (!st) w->n_files++;
    return st;
}

static enum weft_status open_index(struct weft_weights *w, struct weft_arena *a, const char *dir,
                                   const char *path, struct weft_err *err)
{
    struct weft_json_value root;
    const struct weft_json_value *map, *total;
    struct weft_str text, *names;
    char shown[200], shown_file[200];
    uint64_t bytes = 0;
    size_t in_files = 0, cap, shard;
    enum weft_status st;

    st = weft_file_read(a, path, 256u << 20, &text, err);
    if (!st) st = weft_json_parse(a, path, text, &root, err);
    if (st) return st;
    map = weft_json_get(&root, "weight_map");
    if (!map || map->kind != WEFT_JSON_OBJECT)
        return weft_fail_rule(err, WEFT_EINPUT, "ST10", "%s: there is no object \"weight_map\"", path);
    cap = weft_min_size(map->n, MAX_SHARDS);
    w->files = WEFT_NEWS(a, struct weft_safetensors, cap);
    names = WEFT_NEWS(a, struct weft_str, cap);
    if (!w->files || !names) return weft_fail_nomem(err, cap * sizeof *w->files, "the list of shards");
    st = allocate_list(w, a, map->n, err);
    for (size_t i = 0; !st && i < map->n; i++) {
        const struct weft_json_value *v = &map->items[i];
        weft_escape(shown, sizeof shown, map->keys[i]);
        if (v->kind != WEFT_JSON_STRING || !plain_name(v->text))
            return weft_fail_rule(err, WEFT_EINPUT, "ST10",
                                  "%s: tensor \"%s\" is said to be in %s \"%s\"; expected the plain name "
                                  "of a file in the same folder",
                                  path, shown,
                                  weft_tr(err ? err->lang : WEFT_LANG_EN, weft_json_kind_name(v->kind)),
                                  weft_escape(shown_file, sizeof shown_file, v->text));
        st = find_shard(w, a, names, dir, v->text, &shard, err);
        if (st) return st;
        const struct weft_st_tensor *t = weft_safetensors_find(&w->files[shard], map->keys[i]);
        if (!t)
            return weft_fail_rule(err, WEFT_EINPUT, "ST10",
                                  "%s: tensor \"%s\" is not in %s, where it is said to be", path, shown,
                                  weft_escape(shown_file, sizeof shown_file, v->text));
        w->tensors[w->n++] = t;
        bytes += t->bytes;
    }
    if (st) return st;
    if (w->n) qsort(w->tensors, w->n, sizeof *w->tensors, by_name);
    for (size_t i = 0; i < w->n_files; i++) in_files += w->files[i].n;
    w->n_extra = in_files - w->n;
    total = weft_json_get(weft_json_get(&root, "metadata"), "total_size");
    w->total_size_differs = total && !(total->is_int && total->integer >= 0 && (uint64_t)total->integer == bytes);
    return WEFT_OK;
}

enum weft_status weft_weights_open(struct weft_weights *w, struct weft_arena *a, const char *dir, struct weft_err *err)
{
    *w = (struct weft_weights){ 0 };
    const char *single = weft_path_join(a, dir, "model.safetensors");
    const char *index = weft_path_join(a, dir, "model.safetensors.index.json");
    enum weft_status st;
    if (!single || !index) return weft_fail_nomem(err, strlen(dir) + 32, "a path");
    if (weft_file_exists(single)) st = open_single(w, a, single, err);
    else if (weft_file_exists(index)) st = open_index(w, a, dir, index, err);
    else
        st = weft_fail_rule(err, WEFT_EINPUT, "ST10",
                            "%s: there is no model.safetensors and no model.safetensors.index.json; "
                            "expected a model directory in Hugging Face layout",
                            dir);
    if (st) weft_weights_close(w);
    return st;
}

void weft_weights_close(struct weft_weights *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->n_files; i++) weft_safetensors_close(&w->files[i]);
    *w = (struct weft_weights){ 0 };
}

const struct weft_st_tensor *weft_weights_find(const struct weft_weights *w, const char *name)
{
    struct weft_st_tensor key = { .name = weft_str_c(name) };
    const struct weft_st_tensor *p = &key;
    const struct weft_st_tensor **found = w->n ? bsearch(&p, w->tensors, w->n, sizeof *w->tensors, by_name) : NULL;
    return found ? *found : NULL;
}
