/* Versions of datasets and their rows.  A version is written in one transaction: it is there as a whole, or not at
 * all.  The hash runs over the rows as they are written, so that a version equal to the newest is noticed before the
 * commit, and its transaction is dropped. */
#include "store/parts.h"

#include "dataset/canon.h"
#include "dataset/grow.h"

#include <inttypes.h>
#include <stdlib.h>

struct weft_store_writer {
    struct weft_store *s;
    int64_t project_id, id, version;
    int64_t before;                     /* the newest version there was; 0: none */
    char name[512];
    uint64_t n_rows;
    struct weft_sha256 hash;
    struct weft_dataset_hash content;
    struct weft_buf json;
    char newest[WEFT_SHA256_HEX];       /* hash of the newest version; "" for none */
};

static enum weft_status fill(struct weft_arena *a, struct sqlite3_stmt *st, struct weft_store_dataset *d,
                             struct weft_err *err)
{
    *d = (struct weft_store_dataset){ .id = weft_db_int(st, 0), .project_id = weft_db_int(st, 1),
                                      .version = weft_db_int(st, 4), .created = weft_db_int(st, 5),
                                      .n_rows = (uint64_t)weft_db_int(st, 6) };
    enum weft_status status = weft_store_text(a, st, 2, &d->project, err);
    if (!status) status = weft_store_text(a, st, 3, &d->name, err);
    if (!status) status = weft_store_text(a, st, 7, &d->hash, err);
    if (!status) status = weft_store_text(a, st, 8, &d->recipe, err);
    if (!status) status = weft_store_text(a, st, 9, &d->content, err);
    return status;
}

/* ---- writing ---- */

void weft_store_dataset_drop(struct weft_store_writer *w)
{
    if (!w) return;
    if (w->s->writing) weft_db_rollback(&w->s->db);
    w->s->writing = false;
    weft_sha256_clear(&w->hash);
    weft_dataset_hash_clear(&w->content);
    weft_buf_clear(&w->json);
    free(w);
}

static enum weft_status begin(struct weft_store_writer *w, int64_t project_id, struct weft_str name,
                              struct weft_str recipe, struct weft_err *err)
{
    struct weft_store *s = w->s;
    struct sqlite3_stmt *st;
    bool row = false;
    enum weft_status status = weft_db_begin(&s->db, err);
    if (status) return status;
    s->writing = true;
    status = weft_store_use(s, Q_DATASET_NEWEST, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, name);
    status = weft_db_step(&s->db, st, &row, err);
    if (row) {
        struct weft_str hash = weft_db_str(st, 1);
        w->before = weft_db_int(st, 0);
        if (hash.len < sizeof w->newest) memcpy(w->newest, hash.s, hash.len);
        weft_db_reset(st);
    }
    if (!status) status = weft_store_use(s, Q_DATASET_NUMBER, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, name);
    status = weft_db_step(&s->db, st, &row, err);
    if (row) w->version = weft_db_int(st, 0);
    weft_db_reset(st);
    if (!status) status = weft_store_use(s, Q_DATASET_MAKE, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, name);
    weft_db_bind_int(st, 3, w->version);
    weft_db_bind_int(st, 4, weft_store_now());
    weft_db_bind_str(st, 5, recipe.s ? recipe : WEFT_STR(""));
    status = weft_db_run(&s->db, st, err);
    w->id = weft_db_last_id(&s->db);
    return status;
}

enum weft_status weft_store_dataset_begin(struct weft_store *s, int64_t project_id, struct weft_str name,
                                          struct weft_str recipe, struct weft_store_writer **out, struct weft_err *err)
{
    *out = NULL;
    if (s->writing) return weft_fail(err, WEFT_EARG, "another dataset is being written to this store");
    enum weft_status st = weft_store_check_name(name, "dataset", err);
    if (st) return st;
    struct weft_store_writer *w = calloc(1, sizeof *w);
    if (!w) return weft_fail_nomem(err, sizeof *w, "the store");
    w->s = s;
    w->project_id = project_id;
    memcpy(w->name, name.s, weft_min_size(name.len, sizeof w->name - 1));       /* at most 100 characters */
    st = weft_sha256_init(&w->hash, err);
    if (!st) st = weft_dataset_hash_init(&w->content, err);
    if (!st) st = begin(w, project_id, name, recipe, err);
    if (st) weft_store_dataset_drop(w);
    else *out = w;
    return st;
}

enum weft_status weft_store_dataset_add(struct weft_store_writer *w, const struct weft_row *row,
                                        enum weft_format format, struct weft_err *err)
{
    struct weft_json_out o;
    struct sqlite3_stmt *st;
    weft_buf_reset(&w->json);
    weft_json_out_init(&o, &w->json);
    enum weft_status status = weft_row_to_json(&o, row, format, true, err);
    if (!status) status = weft_buf_check(&w->json, "a row", err);
    if (!status) status = weft_store_use(w->s, Q_ROW_ADD, &st, err);
    if (status) return status;
    const struct weft_origin *at = &row->origin;
    weft_db_bind_int(st, 1, w->id);
    weft_db_bind_int(st, 2, (int64_t)w->n_rows);
    weft_db_bind_str(st, 3, at->id);
    weft_db_bind_str(st, 4, at->file);
    weft_db_bind_str(st, 5, at->sha256);
    weft_db_bind_int(st, 6, (int64_t)at->line);
    weft_db_bind_str(st, 7, weft_buf_view(&w->json));
    status = weft_db_run(&w->s->db, st, err);
    if (!status) status = weft_store_use(w->s, Q_WORDS_ADD, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, w->id);
    weft_db_bind_int(st, 2, (int64_t)w->n_rows);
    weft_db_bind_str(st, 3, weft_buf_view(&w->json));
    status = weft_db_run(&w->s->db, st, err);
    if (status) return status;
    weft_buf_char(&w->json, '\n');
    weft_sha256_add(&w->hash, w->json.s, w->json.len);
    w->n_rows++;
    return weft_dataset_hash_add(&w->content, row, err);
}

enum weft_status weft_store_dataset_commit(struct weft_store_writer *w, struct weft_arena *a,
                                           struct weft_store_dataset *info, struct weft_err *err)
{
    char hash[WEFT_SHA256_HEX], content[WEFT_SHA256_HEX];
    struct weft_store *s = w->s;
    struct sqlite3_stmt *st;
    enum weft_status status;
    weft_sha256_hex(&w->hash, hash);
    weft_dataset_hash_finish(&w->content, content);
    if (!w->n_rows) {
        status = weft_fail(err, WEFT_EINPUT, "a dataset without rows is not kept");
        goto done;
    }
    bool unchanged = strcmp(hash, w->newest) == 0;
    if (unchanged) {
        weft_db_rollback(&s->db);
        status = weft_store_dataset(s, a, w->project_id, weft_str_c(w->name), w->before, info, err);
        info->unchanged = true;
        goto done;
    }
    status = weft_store_use(s, Q_DATASET_FINISH, &st, err);
    if (status) goto done;
    weft_db_bind_int(st, 1, w->id);
    weft_db_bind_int(st, 2, (int64_t)w->n_rows);
    weft_db_bind_str(st, 3, weft_str_c(hash));
    weft_db_bind_str(st, 4, weft_str_c(content));
    status = weft_db_run(&s->db, st, err);
    if (!status) status = weft_db_commit(&s->db, err);
    if (!status) status = weft_store_dataset(s, a, w->project_id, weft_str_c(w->name), w->version, info, err);
done:
    weft_store_dataset_drop(w);
    return status;
}

/* ---- reading ---- */

static enum weft_status no_dataset(struct weft_store *s, int64_t project_id, struct weft_str name, int64_t version,
                                   struct weft_err *err)
{
    struct weft_buf list = { 0 };
    char shown[200], names[300];
    struct sqlite3_stmt *st;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_DATASET_NAMES, &st, err);
    if (!status) weft_db_bind_int(st, 1, project_id);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        if (list.len) weft_buf_cstr(&list, ", ");
        weft_buf_str(&list, weft_db_str(st, 0));
    }
    weft_escape(names, sizeof names, weft_buf_view(&list));
    weft_buf_clear(&list);
    weft_escape(shown, sizeof shown, name);
    if (status) return status;
    if (version)
        return weft_fail(err, WEFT_EARG, "no version %" PRId64 " of dataset \"%s\" in this project; there are: %s", version,
                         shown, names[0] ? names : "-");
    return weft_fail(err, WEFT_EARG, "no dataset \"%s\" in this project; there are: %s", shown, names[0] ? names : "-");
}

enum weft_status weft_store_dataset(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                    struct weft_str name, int64_t version, struct weft_store_dataset *info,
                                    struct weft_err *err)
{
    struct sqlite3_stmt *st;
    bool row = false;
    enum weft_status status = weft_store_use(s, Q_DATASET_GET, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, name);
    weft_db_bind_int(st, 3, version);
    status = weft_db_step(&s->db, st, &row, err);
    if (status) return status;
    if (!row) return no_dataset(s, project_id, name, version, err);
    status = fill(a, st, info, err);
    weft_db_reset(st);
    return status;
}

enum weft_status weft_store_dataset_by_hash(struct weft_store *s, struct weft_arena *a, struct weft_str hash,
                                            struct weft_store_dataset *info, bool *found, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    *found = false;
    enum weft_status status = weft_store_use(s, Q_DATASET_BY_HASH, &st, err);
    if (status) return status;
    weft_db_bind_str(st, 1, hash);
    status = weft_db_step(&s->db, st, found, err);
    if (status || !*found) return status;
    status = fill(a, st, info, err);
    weft_db_reset(st);
    return status;
}

enum weft_status weft_store_datasets(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                     struct weft_store_dataset **list, size_t *n, struct weft_err *err)
{
    struct weft_store_dataset *items = NULL;
    struct sqlite3_stmt *st;
    size_t count = 0, cap = 0;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_DATASETS, &st, err);
    if (!status) weft_db_bind_int(st, 1, project_id);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        if (!WEFT_GROW(a, items, count, cap)) return weft_fail_nomem(err, count * sizeof *items, "the datasets");
        status = fill(a, st, &items[count++], err);
    }
    *list = items;
    *n = count;
    return status;
}

enum weft_status
weft_store_dataset_rows(struct weft_store *s, int64_t dataset_id,
                        enum weft_status (*each)(void *ctx, struct weft_str json, struct weft_err *err), void *ctx,
                        struct weft_err *err)
{
    struct sqlite3_stmt *st;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_ROWS, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, dataset_id);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row)
        status = each(ctx, weft_db_str(st, 0), err);
    weft_db_reset(st);
    return status;
}

enum weft_status weft_store_dataset_remove(struct weft_store *s, int64_t dataset_id, struct weft_err *err)
{
    return weft_store_remove_with_words(s, Q_WORDS_REMOVE, Q_DATASET_REMOVE, dataset_id, err);
}
