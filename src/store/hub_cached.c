/* What the caches of the Python tools hold, by the words that name it.  Only looks. */
#include "store/hub.h"

#include "base/file.h"
#include "dataset/grow.h"

struct cached {
    struct weft_arena *a;
    const struct weft_hub_options *o;
    struct weft_hub_cached *items;
    size_t n, cap;
};

/* A candidate counts when it is whole: config or weights alone, or a download that was stopped, are no model. */
static enum weft_status consider(struct cached *c, struct weft_str word, struct weft_err *err)
{
    struct weft_hub_repo repo;
    struct weft_hub_result found;
    struct weft_err no = { 0 };
    if (!word.s) return weft_fail_nomem(err, 256, "a path");
    if (weft_hub_parse(c->a, word.s, false, &repo, &no) || weft_hub_find(c->a, &repo, c->o, &found, &no))
        return WEFT_OK;
    if (!WEFT_GROW(c->a, c->items, c->n, c->cap)) return weft_fail_nomem(err, c->n * sizeof *c->items, "a path");
    c->items[c->n++] = (struct weft_hub_cached){ word.s, found.path };
    return WEFT_OK;
}

/* Folders of `path`; none where it is not there or cannot be read. */
static size_t folders(struct weft_arena *a, const char *path, const char ***names)
{
    size_t n = 0;
    return path && weft_dir_exists(path) && !weft_dir_list(a, path, names, &n, NULL) ? n : 0;
}

/* "models--owner--name"; a name may hold "--" itself, an owner does not. */
static enum weft_status look_hf(struct cached *c, struct weft_err *err)
{
    static const char prefix[] = "models--";
    const char **names = NULL;
    size_t n = folders(c->a, c->o->hf_cache, &names);
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < n && !st; i++) {
        if (strncmp(names[i], prefix, sizeof prefix - 1) != 0) continue;
        struct weft_str id = weft_str_c(names[i] + sizeof prefix - 1);
        size_t cut = weft_str_find(id, WEFT_STR("--"), 0);
        if (cut == SIZE_MAX) st = consider(c, weft_str_printf(c->a, "hf:%s", id.s), err);
        else st = consider(c, weft_str_printf(c->a, "hf:%.*s/%s", (int)cut, id.s, id.s + cut + 2), err);
    }
    return st;
}

/* "models/owner/name", dots of the name written "___". */
static enum weft_status look_ms(struct cached *c, struct weft_err *err)
{
    const char *root = c->o->ms_cache ? weft_path_join(c->a, c->o->ms_cache, "models") : NULL, **owners = NULL;
    size_t n = folders(c->a, root, &owners);
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < n && !st; i++) {
        const char *owner = weft_path_join(c->a, root, owners[i]), **names = NULL;
        size_t n_names = owner ? folders(c->a, owner, &names) : 0;
        for (size_t k = 0; k < n_names && !st; k++) {
            struct weft_buf b = { 0 };
            weft_buf_printf(&b, "ms:%s/", owners[i]);
            for (const char *s = names[k]; *s;) {
                bool dot = strncmp(s, "___", 3) == 0;
                weft_buf_char(&b, dot ? '.' : *s);
                s += dot ? 3 : 1;
            }
            st = weft_buf_check(&b, "a path", err);
            if (!st) st = consider(c, weft_str_dup(c->a, weft_buf_view(&b)), err);
            weft_buf_clear(&b);
        }
    }
    return st;
}

enum weft_status weft_hub_cached(struct weft_arena *a, const struct weft_hub_options *options,
                                 struct weft_hub_cached **list, size_t *n, struct weft_err *err)
{
    struct cached c = { .a = a, .o = options };
    enum weft_status st = look_hf(&c, err);
    if (!st) st = look_ms(&c, err);
    *list = c.items;
    *n = c.n;
    return st;
}
