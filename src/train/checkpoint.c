/* The manifest ends with a hash of its own text up to that line, so that a flipped byte in it is a damaged checkpoint
 * and not a false "the data has changed". */
#include "train/checkpoint.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/lang.h"
#include "model/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char prefix[] = "checkpoint-";
static const char self_key[] = "\n  \"sha256\": \"";
enum { MANIFEST_MAX_BYTES = 4 << 20, STATE_MAX_BYTES = 1 << 20 };

/* ---- names ---- */

/* The N of "checkpoint-N"; false for every other name. */
static bool checkpoint_step(const char *name, uint64_t *step)
{
    size_t n = sizeof prefix - 1;
    if (strncmp(name, prefix, n) != 0 || !name[n] || strlen(name + n) > 18) return false;
    *step = 0;
    for (const char *s = name + n; *s; s++) {
        if (*s < '0' || *s > '9') return false;
        *step = *step * 10 + (uint64_t)(*s - '0');
    }
    return true;
}

static bool is_leftover(const char *name)
{
    return strncmp(name, prefix, sizeof prefix - 1) == 0 && strstr(name, ".tmp-") != NULL;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static enum weft_status list_steps(struct weft_arena *a, const char *dir, uint64_t **steps, size_t *n,
                                   struct weft_err *err)
{
    const char **names = NULL;
    size_t n_names = 0;
    *n = 0;
    *steps = NULL;
    if (!weft_dir_exists(dir)) return WEFT_OK;
    enum weft_status st = weft_dir_list(a, dir, &names, &n_names, err);
    if (st) return st;
    *steps = WEFT_NEWS(a, uint64_t, n_names);
    if (!*steps) return weft_fail_nomem(err, n_names * sizeof **steps, "a list of checkpoints");
    for (size_t i = 0; i < n_names; i++) {
        uint64_t step;
        char path[4096];
        if (!checkpoint_step(names[i], &step)) continue;
        if (snprintf(path, sizeof path, "%s/%s", dir, names[i]) < (int)sizeof path && weft_dir_exists(path))
            (*steps)[(*n)++] = step;
    }
    qsort(*steps, *n, sizeof **steps, newest_first);
    return WEFT_OK;
}

static const char *folder(struct weft_arena *a, const char *dir, uint64_t step)
{
    return weft_str_printf(a, "%s/%s%llu", dir, prefix, (unsigned long long)step).s;
}

/* Size and SHA-256 of a regular file, read piece by piece: mapped, a large one would count as memory of
 * this process. */
static enum weft_status hash_file(const char *path, uint64_t *bytes, char hex[WEFT_SHA256_HEX], struct weft_err *err)
{
    char piece[1 << 16];
    struct weft_sha256 h = { 0 };
    struct stat info;
    ssize_t n = 0;
    enum weft_status st = WEFT_OK;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    *bytes = 0;
    if (fd < 0)
        return errno == ENOENT ? weft_fail_rule(err, WEFT_EINPUT, "CK4", "%s: is missing", path)
                               : weft_fail_errno(err, "open", path);
    if (fstat(fd, &info)) st = weft_fail_errno(err, "examine", path);
    else if (!S_ISREG(info.st_mode)) st = weft_fail(err, WEFT_EINPUT, "%s: is not a regular file", path);
    else st = weft_sha256_init(&h, err);
    while (!st && (n = read(fd, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) st = weft_fail_errno(err, "read", path);
        else weft_sha256_add(&h, piece, (size_t)n), *bytes += (uint64_t)n;
    }
    if (!st) weft_sha256_hex(&h, hex);
    weft_sha256_clear(&h);
    close(fd);
    return st;
}

/* ---- writing ---- */

static void add_text(struct weft_json_out *j, const char *key, const char *value)
{
    weft_json_out_key(j, key);
    if (value) weft_json_out_cstr(j, value);
    else weft_json_out_null(j);
}

static void write_identity(struct weft_json_out *j, const struct weft_checkpoint_identity *id)
{
    weft_json_out_key(j, "identity");
    weft_json_out_object(j);
    add_text(j, "program", id->program);
    add_text(j, "isa", id->isa);
    add_text(j, "data", id->hashes.data);
    add_text(j, "valid", id->hashes.valid);
    add_text(j, "tokenizer", id->hashes.tokenizer);
    add_text(j, "chat_template", id->hashes.chat_template);
    add_text(j, "base", id->hashes.base);
    add_text(j, "caller_settings", id->hashes.settings);
    weft_json_out_key(j, "settings");
    weft_json_out_raw(j, id->settings);
    weft_json_out_object_end(j);
}

static enum weft_status write_manifest(struct weft_arena *a, const char *dir, uint64_t step,
                                       const struct weft_checkpoint_identity *id, struct weft_err *err)
{
    const char **names;
    size_t n;
    char hex[WEFT_SHA256_HEX];
    struct weft_buf buf = { 0 };
    struct weft_json_out j;
    enum weft_status st = weft_dir_list(a, dir, &names, &n, err);
    if (st) return st;

    weft_json_out_init(&j, &buf);
    j.indent = 2;
    weft_json_out_object(&j);
    add_text(&j, "format", "weft-checkpoint-1");
    weft_json_out_key(&j, "step");
    weft_json_out_uint(&j, step);
    write_identity(&j, id);
    weft_json_out_key(&j, "files");
    weft_json_out_array(&j);
    for (size_t i = 0; !st && i < n; i++) {
        uint64_t bytes;
        const char *path = weft_path_join(a, dir, names[i]);
        st = path ? hash_file(path, &bytes, hex, err) : weft_fail_nomem(err, strlen(dir), "a path");
        if (st) break;
        weft_json_out_object(&j);
        add_text(&j, "name", names[i]);
        weft_json_out_key(&j, "bytes");
        weft_json_out_uint(&j, bytes);
        add_text(&j, "sha256", hex);
        weft_json_out_object_end(&j);
    }
    weft_json_out_array_end(&j);
    weft_buf_char(&buf, ',');
    if (!st) st = weft_buf_check(&buf, "manifest.json", err);
    if (!st) st = weft_sha256_of(weft_buf_view(&buf), hex, err);
    if (!st) {
        weft_buf_printf(&buf, "%s%s\"\n}\n", self_key, hex);
        st = weft_buf_check(&buf, "manifest.json", err);
    }
    const char *path = weft_path_join(a, dir, "manifest.json");
    if (!st && !path) st = weft_fail_nomem(err, strlen(dir), "a path");
    if (!st) st = weft_file_write(path, weft_buf_view(&buf), err);
    weft_buf_clear(&buf);
    return st;
}

static void param_shape(struct weft_st_out *t, const struct weft_param *p)
{
    t->dtype = WEFT_ST_F32;
    t->n_dims = p->rows == 1 ? 1 : 2;
    t->shape[0] = p->rows == 1 ? p->cols : p->rows;
    t->shape[1] = p->cols;
}

static enum weft_status write_params(struct weft_arena *a, const char *dir, const struct weft_params *p,
                                     struct weft_err *err)
{
    struct weft_st_out *t = WEFT_NEWS(a, struct weft_st_out, p->n);
    const char *path = weft_path_join(a, dir, "params.safetensors");
    if (!t || !path) return weft_fail_nomem(err, p->n * sizeof *t, "a checkpoint");
    for (size_t i = 0; i < p->n; i++) {
        param_shape(&t[i], &p->items[i]);
        t[i].name = p->items[i].name;
        t[i].data = p->items[i].w ? (const void *)p->items[i].w : p->items[i].w16;
        if (!p->items[i].w) t[i].dtype = WEFT_ST_BF16;
    }
    return weft_safetensors_write(path, t, p->n, NULL, err);
}

static enum weft_st_dtype slot_dtype(const struct weft_optimizer_state *s, int slot)
{
    return s->kind->slot_is_codes[slot] ? WEFT_ST_U8 : s->kind->slot_is_bf16[slot] ? WEFT_ST_BF16 : WEFT_ST_F32;
}

static enum weft_status write_moments(struct weft_arena *a, const char *dir, const struct weft_optimizer_state *s,
                                      struct weft_err *err)
{
    size_t n = 0, cap = s->params->n * WEFT_OPTIMIZER_SLOTS;
    struct weft_st_out *t = WEFT_NEWS(a, struct weft_st_out, cap);
    const char *path = weft_path_join(a, dir, "optimizer.safetensors");
    if (!t || !path) return weft_fail_nomem(err, cap * sizeof *t, "a checkpoint");
    for (int k = 0; k < s->n_slots; k++)
        for (size_t i = 0; i < s->params->n; i++) {
            if (!s->slot_len[k][i]) continue;
            const char *name = weft_str_printf(a, "%s.%s", s->params->items[i].name, s->kind->slot_names[k]).s;
            if (!name) return weft_fail_nomem(err, 64, "a checkpoint");
            const struct weft_param *p = &s->params->items[i];
            if (s->slot_len[k][i] == p->rows * p->cols) {
                param_shape(&t[n], p);
            } else {
                t[n].n_dims = 1;
                t[n].shape[0] = s->slot_len[k][i];
            }
            t[n].dtype = slot_dtype(s, k);
            t[n].name = name;
            t[n++].data = s->slot[k][i];
        }
    return weft_safetensors_write(path, t, n, NULL, err);
}

static enum weft_status refuse_nonfinite(struct weft_compute *c, const struct weft_optimizer_state *s,
                                         struct weft_err *err)
{
    for (size_t i = 0; i < s->params->n; i++) {
        const struct weft_param *p = &s->params->items[i];
        bool good = weft_param_finite(c, p);
        for (int k = 0; good && k < s->n_slots; k++)
            good = !s->slot_len[k][i] || s->kind->slot_is_codes[k]
                   || (s->kind->slot_is_bf16[k] ? weft_all_finite_bf16(s->slot[k][i], s->slot_len[k][i])
                                                : weft_all_finite(c, s->slot[k][i], s->slot_len[k][i]));
        if (!good)
            return weft_fail(err, WEFT_EINPUT,
                             "%s holds NaN or infinity; no checkpoint was written. Lower learning_rate and "
                             "resume from the last one",
                             p->name);
    }
    return WEFT_OK;
}

uint64_t weft_checkpoint_bytes(const struct weft_optimizer_state *opt)
{
    uint64_t n = opt->params->weight_bytes / sizeof(float);
    for (int k = 0; k < opt->n_slots; k++)
        for (size_t i = 0; i < opt->params->n; i++)
            n += weft_ceil_div(opt->slot_len[k][i] * weft_optimizer_slot_item(opt->kind, k), sizeof(float));
    return n * sizeof(float) + (uint64_t)opt->params->n * 512 + 65536;
}

enum weft_status weft_checkpoint_save(const struct weft_train_job *job, const char *output_dir,
                                      const struct weft_run_state *state, const struct weft_optimizer_state *opt,
                                      const struct weft_checkpoint_identity *id, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_buf buf = { 0 };
    const char *tmp = NULL, *path = folder(&a, output_dir, state->step), *file;
    enum weft_status st = path ? WEFT_OK : weft_fail_nomem(err, strlen(output_dir), "a path");
    if (!st) st = refuse_nonfinite(job->compute, opt, err);
    if (!st) st = weft_dir_begin(&a, path, &tmp, err);
    if (!st) st = write_params(&a, tmp, opt->params, err);
    if (!st) st = write_moments(&a, tmp, opt, err);
    if (!st) {
        weft_run_state_write(state, &buf);
        file = weft_path_join(&a, tmp, "state.json");
        st = weft_buf_check(&buf, "state.json", err);
        if (!st && !file) st = weft_fail_nomem(err, strlen(tmp), "a path");
        if (!st) st = weft_file_write(file, weft_buf_view(&buf), err);
    }
    if (!st && job->save) st = job->save(job->save_ctx, tmp, err);
    if (!st) st = write_manifest(&a, tmp, state->step, id, err);
    if (!st) st = weft_dir_commit(tmp, path, err);
    if (st && tmp && weft_dir_remove(tmp, NULL)) { /* the first error is the one to tell */ }
    weft_buf_clear(&buf);
    weft_arena_clear(&a);
    return st;
}

enum weft_status weft_checkpoint_prune(const char *output_dir, uint64_t limit, uint64_t keep, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    const char **names = NULL;
    uint64_t *steps;
    size_t n_names = 0, n;
    enum weft_status st = weft_dir_list(&a, output_dir, &names, &n_names, err);
    for (size_t i = 0; !st && i < n_names; i++) {
        if (!is_leftover(names[i])) continue;
        const char *path = weft_path_join(&a, output_dir, names[i]);
        st = path ? weft_dir_remove(path, err) : weft_fail_nomem(err, strlen(output_dir), "a path");
    }
    if (!st && limit) st = list_steps(&a, output_dir, &steps, &n, err);
    for (size_t i = limit; !st && limit && i < n; i++) {
        if (steps[i] == keep) continue;
        const char *path = folder(&a, output_dir, steps[i]);
        st = path ? weft_dir_remove(path, err) : weft_fail_nomem(err, strlen(output_dir), "a path");
    }
    weft_arena_clear(&a);
    return st;
}

/* ---- reading ---- */

static enum weft_status bad(struct weft_err *err, const char *name, const char *what)
{
    return weft_fail_rule(err, WEFT_EINPUT, "CK4", "%s: %s", name, weft_tr(err ? err->lang : WEFT_LANG_EN, what));
}

/* The tree of a manifest whose own hash is right. */
static enum weft_status manifest_tree(struct weft_arena *a, const char *name, struct weft_str text,
                                      struct weft_json_value *out, struct weft_err *err)
{
    char hex[WEFT_SHA256_HEX];
    size_t at = SIZE_MAX, next = 0;
    while ((next = weft_str_find(text, weft_str_c(self_key), next)) != SIZE_MAX) at = next++;
    if (at == SIZE_MAX) return bad(err, name, "the hash at its end is missing");
    enum weft_status st = weft_sha256_of(weft_str_sub(text, 0, at), hex, err);
    if (st) return st;
    struct weft_str tail = weft_str_skip(text, at + sizeof self_key - 1);
    if (tail.len != WEFT_SHA256_HEX - 1 + 4 || memcmp(tail.s, hex, WEFT_SHA256_HEX - 1) != 0 ||
        memcmp(tail.s + WEFT_SHA256_HEX - 1, "\"\n}\n", 4) != 0)
        return bad(err, name, "its text does not match the hash at its end");
    return weft_json_parse(a, name, text, out, err);
}

enum weft_status weft_manifest_read(const char *name, struct weft_str text,
                                    enum weft_status (*each)(void *ctx, const char *file, uint64_t bytes,
                                                             const char *sha256, struct weft_err *err),
                                    void *ctx, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_json_value tree;
    enum weft_status st = manifest_tree(&a, name, text, &tree, err);
    const struct weft_json_value *format = st ? NULL : weft_json_get(&tree, "format");
    const struct weft_json_value *files = st ? NULL : weft_json_get(&tree, "files");
    if (!st && (!format || format->kind != WEFT_JSON_STRING || !weft_str_is(format->text, "weft-checkpoint-1")))
        st = bad(err, name, "\"format\" is not \"weft-checkpoint-1\"");
    if (!st && (!files || files->kind != WEFT_JSON_ARRAY)) st = bad(err, name, "\"files\" is missing");
    for (size_t i = 0; !st && i < files->n; i++) {
        const struct weft_json_value *file = weft_json_get(&files->items[i], "name");
        const struct weft_json_value *bytes = weft_json_get(&files->items[i], "bytes");
        const struct weft_json_value *sha = weft_json_get(&files->items[i], "sha256");
        if (!file || file->kind != WEFT_JSON_STRING || !file->text.len || memchr(file->text.s, '/', file->text.len) ||
            memchr(file->text.s, '\0', file->text.len) || file->text.s[0] == '.' || !bytes || !bytes->is_int ||
            bytes->integer < 0 || !sha || sha->kind != WEFT_JSON_STRING || sha->text.len != WEFT_SHA256_HEX - 1) {
            st = bad(err, name, "an entry of \"files\" is not {name, bytes, sha256}");
            break;
        }
        const char *n = weft_arena_strndup(&a, file->text.s, file->text.len);
        const char *h = weft_arena_strndup(&a, sha->text.s, sha->text.len);
        st = n && h ? each(ctx, n, (uint64_t)bytes->integer, h, err)
                    : weft_fail_nomem(err, file->text.len, "a manifest");
    }
    weft_arena_clear(&a);
    return st;
}

struct verify {
    const char *dir;
    struct weft_arena *a;
    bool params, optimizer, state;
};

static enum weft_status verify_file(void *ctx, const char *file, uint64_t bytes, const char *sha256,
                                    struct weft_err *err)
{
    struct verify *v = ctx;
    uint64_t found;
    char hex[WEFT_SHA256_HEX];
    const char *path = weft_path_join(v->a, v->dir, file);
    if (!path) return weft_fail_nomem(err, strlen(file), "a path");
    enum weft_status st = hash_file(path, &found, hex, err);
    if (st) return st;
    if (found != bytes)
        return weft_fail_rule(err, WEFT_EINPUT, "CK4", "%s: has %llu bytes, manifest.json says %llu", path,
                              (unsigned long long)found, (unsigned long long)bytes);
    if (strcmp(hex, sha256) != 0) return bad(err, path, "its bytes do not match the hash in manifest.json");
    v->params = v->params || strcmp(file, "params.safetensors") == 0;
    v->optimizer = v->optimizer || strcmp(file, "optimizer.safetensors") == 0;
    v->state = v->state || strcmp(file, "state.json") == 0;
    return WEFT_OK;
}

enum weft_status weft_checkpoint_verify(const char *path, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_str text;
    struct verify v = { .dir = path, .a = &a };
    const char *manifest = weft_path_join(&a, path, "manifest.json");
    enum weft_status st = manifest ? WEFT_OK : weft_fail_nomem(err, strlen(path), "a path");
    if (!st && !weft_file_exists(manifest)) st = bad(err, manifest, "is missing");
    if (!st) st = weft_file_read(&a, manifest, MANIFEST_MAX_BYTES, &text, err);
    if (!st) st = weft_manifest_read(manifest, text, verify_file, &v, err);
    if (!st && !(v.params && v.optimizer && v.state))
        st = bad(err, manifest, "does not name all files of a checkpoint");
    weft_arena_clear(&a);
    return st;
}

enum weft_status weft_checkpoint_find(struct weft_arena *a, const char *output_dir, const char **path,
                                      const struct weft_progress *progress, struct weft_err *err)
{
    uint64_t *steps;
    size_t n;
    enum weft_lang lang = err ? err->lang : WEFT_LANG_EN;
    enum weft_status st = list_steps(a, output_dir, &steps, &n, err);
    *path = NULL;
    for (size_t i = 0; !st && i < n; i++) {
        struct weft_err why = { .lang = lang };
        const char *dir = folder(a, output_dir, steps[i]);
        if (!dir) return weft_fail_nomem(err, strlen(output_dir), "a path");
        enum weft_status good = weft_checkpoint_verify(dir, &why);
        if (!good) {
            *path = dir;
            return WEFT_OK;
        }
        if (good == WEFT_ENOMEM) return weft_fail(err, good, "%s", why.msg);
        struct weft_str aside = weft_str_printf(a, "%s.damaged", dir);
        struct weft_str text =
            weft_str_printf(a, weft_tr(lang, "damaged checkpoint put aside as %s: %s"), aside.s, why.msg);
        if (!aside.s || !text.s) return weft_fail_nomem(err, strlen(dir), "a path");
        st = weft_dir_remove(aside.s, err);
        if (!st && rename(dir, aside.s)) st = weft_fail_errno(err, "rename", dir);
        if (!st) weft_progress_message(progress, text.s);
    }
    return st;
}

/* ---- identity ---- */

static void differ(struct weft_buf *out, enum weft_lang lang, struct weft_str key, const struct weft_json_value *then,
                   const struct weft_json_value *now)
{
    struct weft_json_out j;
    weft_buf_str(out, key);
    weft_buf_cstr(out, ": ");
    weft_json_out_init(&j, out);
    if (then) weft_json_out_value(&j, then);
    else weft_buf_char(out, '-');
    weft_buf_cstr(out, weft_tr(lang, " then, "));
    weft_json_out_init(&j, out);
    if (now) weft_json_out_value(&j, now);
    else weft_buf_char(out, '-');
    weft_buf_cstr(out, weft_tr(lang, " now"));
    weft_buf_char(out, '\n');
}

static bool same(const struct weft_json_value *a, const struct weft_json_value *b)
{
    if (!a || !b) return a == b;
    if (a->kind != b->kind || a->n != b->n || a->boolean != b->boolean) return false;
    if (a->kind == WEFT_JSON_NUMBER) return a->number == b->number;
    if (a->kind == WEFT_JSON_STRING) return weft_str_eq(a->text, b->text);
    for (size_t i = 0; i < a->n; i++)
        if (!same(&a->items[i], &b->items[i])) return false;
    return true;
}

/* What a hash stands for, for people. */
static const struct {
    const char *key, *what;
} identity_names[] = {
    { "program", "weft itself" },        { "isa", "the instruction level" },     { "data", "the training data" },
    { "valid", "the validation data" },  { "tokenizer", "the tokenizer" },       { "chat_template", "the chat template" },
    { "base", "the base model" },        { "caller_settings", "the settings" },
};

enum weft_status weft_checkpoint_compare(const char *path, const struct weft_checkpoint_identity *id,
                                         struct weft_buf *out, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_buf buf = { 0 };
    struct weft_json_out j;
    struct weft_json_value then_tree, now_tree;
    struct weft_str text;
    enum weft_lang lang = err ? err->lang : WEFT_LANG_EN;
    const char *manifest = weft_path_join(&a, path, "manifest.json");
    enum weft_status st = manifest ? WEFT_OK : weft_fail_nomem(err, strlen(path), "a path");
    if (!st) st = weft_file_read(&a, manifest, MANIFEST_MAX_BYTES, &text, err);
    if (!st) st = manifest_tree(&a, manifest, text, &then_tree, err);
    if (!st) {
        weft_json_out_init(&j, &buf);
        weft_json_out_object(&j);
        write_identity(&j, id);
        weft_json_out_object_end(&j);
        st = weft_buf_check(&buf, "an identity", err);
    }
    if (!st) st = weft_json_parse(&a, "identity", weft_buf_view(&buf), &now_tree, err);
    if (st) goto done;

    const struct weft_json_value *then = weft_json_get(&then_tree, "identity"),
                                 *now = weft_json_get(&now_tree, "identity");
    for (size_t i = 0; i < WEFT_COUNT(identity_names); i++) {
        const struct weft_json_value *x = weft_json_get(then, identity_names[i].key);
        const struct weft_json_value *y = weft_json_get(now, identity_names[i].key);
        if (!same(x, y)) differ(out, lang, weft_str_c(weft_tr(lang, identity_names[i].what)), x, y);
    }
    const struct weft_json_value *old = weft_json_get(then, "settings"), *new = weft_json_get(now, "settings");
    for (size_t i = 0; new && i < new->n; i++) {
        const char *key = weft_arena_strndup(&a, new->keys[i].s, new->keys[i].len);
        if (!key) {
            st = weft_fail_nomem(err, new->keys[i].len, "an identity");
            goto done;
        }
        const struct weft_json_value *x = weft_json_get(old, key);
        if (!same(x, &new->items[i])) differ(out, lang, new->keys[i], x, &new->items[i]);
    }
    st = weft_buf_check(out, "an identity", err);
done:
    weft_buf_clear(&buf);
    weft_arena_clear(&a);
    return st;
}

/* ---- loading ---- */

static enum weft_status find_values(const struct weft_safetensors *f, const char *file, const char *name,
                                    enum weft_st_dtype dtype, size_t n, const struct weft_st_tensor **out,
                                    struct weft_err *err)
{
    *out = weft_safetensors_find(f, weft_str_c(name));
    if (!*out)
        return weft_fail(err, WEFT_EINPUT, "%s: has no tensor %s; this run trains other parameters", file, name);
    if ((*out)->dtype != dtype || (*out)->n_elements != n)
        return weft_fail(err, WEFT_EINPUT, "%s: %s is %s with %zu values; this run needs %s with %zu", file, name,
                         weft_st_dtype_name((*out)->dtype), (*out)->n_elements, weft_st_dtype_name(dtype), n);
    return WEFT_OK;
}

/* copy false: only looks whether everything is there. */
static enum weft_status take_params(const struct weft_safetensors *f, const char *file, struct weft_params *p,
                                    bool copy, struct weft_err *err)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct weft_st_tensor *t;
        enum weft_status st = find_values(f, file, p->items[i].name, p->items[i].w ? WEFT_ST_F32 : WEFT_ST_BF16,
                                          p->items[i].rows * p->items[i].cols, &t, err);
        if (st) return st;
        if (copy) memcpy(p->items[i].w ? (void *)p->items[i].w : p->items[i].w16, t->data, t->bytes);
    }
    return WEFT_OK;
}

static enum weft_status take_moments(struct weft_arena *a, const struct weft_safetensors *f, const char *file,
                                     struct weft_optimizer_state *s, bool copy, struct weft_err *err)
{
    for (int k = 0; k < s->n_slots; k++)
        for (size_t i = 0; i < s->params->n; i++) {
            if (!s->slot_len[k][i]) continue;
            const struct weft_st_tensor *t;
            const char *name = weft_str_printf(a, "%s.%s", s->params->items[i].name, s->kind->slot_names[k]).s;
            if (!name) return weft_fail_nomem(err, 64, "a checkpoint");
            enum weft_status st = find_values(f, file, name, slot_dtype(s, k), s->slot_len[k][i], &t, err);
            if (st) return st;
            if (copy) memcpy(s->slot[k][i], t->data, t->bytes);
        }
    return WEFT_OK;
}

enum weft_status weft_checkpoint_load(const char *path, struct weft_params *params, struct weft_optimizer_state *opt,
                                      struct weft_run_state *state, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_safetensors p = { 0 }, o = { 0 };
    struct weft_str text;
    struct weft_run_state read;
    const char *p_path = weft_path_join(&a, path, "params.safetensors");
    const char *o_path = weft_path_join(&a, path, "optimizer.safetensors");
    const char *s_path = weft_path_join(&a, path, "state.json");
    enum weft_status st = p_path && o_path && s_path ? WEFT_OK : weft_fail_nomem(err, strlen(path), "a path");
    if (!st) st = weft_file_read(&a, s_path, STATE_MAX_BYTES, &text, err);
    if (!st) st = weft_run_state_read(&read, s_path, text, err);
    if (!st) st = weft_safetensors_open(&p, &a, p_path, err);
    if (!st) st = weft_safetensors_open(&o, &a, o_path, err);
    if (!st) st = take_params(&p, p_path, params, false, err);
    if (!st && opt->kind->place) {
        opt->step = read.optimizer_step;
        opt->kind->place(opt);
    }
    if (!st) st = take_moments(&a, &o, o_path, opt, false, err);
    if (st) goto done;
    st = take_params(&p, p_path, params, true, err);
    if (!st) st = take_moments(&a, &o, o_path, opt, true, err);
    if (!st) {
        *state = read;
        opt->step = read.optimizer_step;
    }
done:
    weft_safetensors_close(&p);
    weft_safetensors_close(&o);
    weft_arena_clear(&a);
    return st;
}

enum weft_status weft_checkpoint_load_params(const char *path, struct weft_params *params, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_safetensors file = { 0 };
    const char *name = weft_path_join(&a, path, "params.safetensors");
    enum weft_status st = name ? weft_checkpoint_verify(path, err) : weft_fail_nomem(err, strlen(path), "a path");
    if (!st) st = weft_safetensors_open(&file, &a, name, err);
    if (!st) st = take_params(&file, name, params, false, err);
    if (!st) st = take_params(&file, name, params, true, err);
    weft_safetensors_close(&file);
    weft_arena_clear(&a);
    return st;
}
