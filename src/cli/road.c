#include "cli/road.h"

#include "base/file.h"
#include "base/json.h"

#include <stdio.h>

enum weft_status weft_stage_key_begin(struct weft_stage_key *k, const char *stage, struct weft_err *err)
{
    *k = (struct weft_stage_key){ 0 };
    enum weft_status st = weft_sha256_init(&k->hash, err);
    if (!st) weft_stage_key_text(k, "stage", weft_str_c(stage));
    return st;
}

/* Name and value with their lengths, so that no two lists of parts give one stream. */
void weft_stage_key_text(struct weft_stage_key *k, const char *name, struct weft_str value)
{
    char head[96];
    int n = snprintf(head, sizeof head, "%s %zu\n", name, value.len);
    weft_sha256_add(&k->hash, head, (size_t)n);
    if (value.len) weft_sha256_add(&k->hash, value.s, value.len);
}

/* SHA-256 of a file, or of the names and hashes of the regular files in a folder. */
static enum weft_status hash_path(const char *path, char hex[WEFT_SHA256_HEX], struct weft_err *err)
{
    struct weft_arena scratch = { 0 };
    struct weft_sha256 all = { 0 };
    const char **names = NULL;
    size_t n = 0;
    if (!weft_dir_exists(path)) return weft_sha256_file(path, hex, err);
    enum weft_status st = weft_dir_list(&scratch, path, &names, &n, err);
    if (!st) st = weft_sha256_init(&all, err);
    for (size_t i = 0; !st && i < n; i++) {
        const char *file = weft_path_join(&scratch, path, names[i]);
        char one[WEFT_SHA256_HEX];
        if (!file) st = weft_fail_nomem(err, 0, "a path");
        if (st || !weft_file_exists(file)) continue;
        st = weft_sha256_file(file, one, err);
        if (!st) {
            weft_sha256_add(&all, names[i], strlen(names[i]) + 1);
            weft_sha256_add(&all, one, sizeof one);
        }
    }
    if (!st) weft_sha256_hex(&all, hex);
    weft_sha256_clear(&all);
    weft_arena_clear(&scratch);
    return st;
}

enum weft_status weft_stage_key_file(struct weft_stage_key *k, const char *path, struct weft_err *err)
{
    char hex[WEFT_SHA256_HEX];
    enum weft_status st = hash_path(path, hex, err);
    if (!st) weft_stage_key_text(k, "file", weft_str_c(hex));
    return st;
}

void weft_stage_key_finish(struct weft_stage_key *k) { weft_sha256_hex(&k->hash, k->hex); }
void weft_stage_key_clear(struct weft_stage_key *k) { weft_sha256_clear(&k->hash); }

static const char *record_path(struct weft_arena *a, const char *run_dir, const char *stage)
{
    return weft_str_printf(a, "%s/stages/%s.json", run_dir, stage).s;
}

bool weft_stage_is_done(struct weft_cli *cli, const char *run_dir, const char *stage, const struct weft_stage_key *k)
{
    struct weft_arena scratch = { 0 };
    struct weft_str text;
    struct weft_json_value v;
    bool done = false;
    const char *path = record_path(&scratch, run_dir, stage);
    /* A record that is absent or unreadable only means that the stage runs again: no error is reported. */
    if (path && weft_file_exists(path) && !weft_file_read(&scratch, path, 1u << 20, &text, NULL) &&
        !weft_json_parse(&scratch, path, text, &v, NULL)) {
        const struct weft_json_value *key = weft_json_get(&v, "key"), *outputs = weft_json_get(&v, "outputs");
        done = key && weft_str_is(key->text, k->hex) && outputs && outputs->kind == WEFT_JSON_OBJECT;
        for (size_t i = 0; done && i < outputs->n; i++) {
            char hex[WEFT_SHA256_HEX];
            const char *file =
                weft_str_printf(&scratch, "%s/%.*s", run_dir, (int)outputs->keys[i].len, outputs->keys[i].s)
                    .s;
            done = file && !hash_path(file, hex, NULL) && weft_str_is(outputs->items[i].text, hex);
        }
    }
    weft_arena_clear(&scratch);
    return done;
}

enum weft_status weft_stage_record(struct weft_cli *cli, const char *run_dir, const char *stage,
                                   const struct weft_stage_key *k, const char *const *outputs,
                                   size_t n_outputs)
{
    struct weft_arena scratch = { 0 };
    struct weft_buf buf = { 0 };
    struct weft_json_out o;
    enum weft_status st = WEFT_OK;
    weft_json_out_init(&o, &buf);
    o.indent = 2;
    weft_json_out_object(&o);
    weft_json_out_key(&o, "stage");
    weft_json_out_cstr(&o, stage);
    weft_json_out_key(&o, "key");
    weft_json_out_cstr(&o, k->hex);
    weft_json_out_key(&o, "outputs");
    weft_json_out_object(&o);
    for (size_t i = 0; !st && i < n_outputs; i++) {
        char hex[WEFT_SHA256_HEX];
        const char *path = weft_path_join(&scratch, run_dir, outputs[i]);
        st = path ? hash_path(path, hex, &cli->err) : weft_fail_nomem(&cli->err, 0, "a path");
        if (st) break;
        weft_json_out_key(&o, outputs[i]);
        weft_json_out_cstr(&o, hex);
    }
    weft_json_out_object_end(&o);
    weft_json_out_object_end(&o);
    weft_buf_char(&buf, '\n');
    const char *dir = weft_path_join(&scratch, run_dir, "stages"), *path = record_path(&scratch, run_dir, stage);
    if (!st && (!dir || !path)) st = weft_fail_nomem(&cli->err, 0, "a path");
    if (!st) st = weft_buf_check(&buf, "stage record", &cli->err);
    if (!st) st = weft_dir_make(dir, &cli->err);
    if (!st) st = weft_file_write(path, weft_buf_view(&buf), &cli->err);
    weft_buf_clear(&buf);
    weft_arena_clear(&scratch);
    return st;
}

/* ---- paths of recipes ---- */

enum weft_status weft_beside(struct weft_cli *cli, const char *recipe, const char **path)
{
    const char *slash = strrchr(recipe, '/');
    if (!*path || !(*path)[0] || (*path)[0] == '/' || !slash) return WEFT_OK;
    struct weft_str joined = weft_str_printf(&cli->arena, "%.*s/%s", (int)(slash - recipe), recipe, *path);
    if (!joined.s) return weft_fail_nomem(&cli->err, strlen(*path), "a path");
    if (weft_file_exists(joined.s) || weft_dir_exists(joined.s) || !weft_file_exists(*path)) *path = joined.s;
    return WEFT_OK;
}

enum weft_status weft_beside_list(struct weft_cli *cli, const char *recipe, struct weft_str_list *list)
{
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < list->n; i++) st = weft_beside(cli, recipe, &list->items[i]);
    return st;
}
