/* The schema, opening, and everything but datasets (store/datasets.c), runs (store/runs.c), batches
 * (store/batches.c), calls (store/calls.c) and search (store/words.c).  One table for each kind of thing; rows of a
 * dataset are JSON as they are exported, with the origin's parts that are looked for in columns of their own. */
#include "store/parts.h"

#include "base/file.h"
#include "base/lang.h"
#include "base/option.h"
#include "dataset/grow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

/* Steps are never changed once released: a new schema is one more step. */
static const char *const steps[] = {
    "CREATE TABLE projects(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL) STRICT;"
    "CREATE TABLE datasets(id INTEGER PRIMARY KEY, project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,"
    "  name TEXT NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL, n_rows INTEGER NOT NULL,"
    "  hash TEXT NOT NULL, recipe TEXT NOT NULL, UNIQUE(project, name, version)) STRICT;"
    "CREATE INDEX datasets_hash ON datasets(hash);"
    "CREATE TABLE rows(dataset INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE, idx INTEGER NOT NULL,"
    "  row_id TEXT, source TEXT, source_sha256 TEXT, line INTEGER, body TEXT NOT NULL,"
    "  PRIMARY KEY(dataset, idx)) STRICT;"
    "CREATE TABLE versions(project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE, name TEXT NOT NULL,"
    "  last INTEGER NOT NULL, PRIMARY KEY(project, name)) STRICT;"      /* numbers are never given twice */
    "CREATE TABLE prompts(project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE, name TEXT NOT NULL,"
    "  version INTEGER NOT NULL, created INTEGER NOT NULL, text TEXT NOT NULL,"
    "  PRIMARY KEY(project, name, version)) STRICT;"
    "CREATE TABLE calls(key TEXT PRIMARY KEY, project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,"
    "  ledger TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL,"
    "  prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE patches(id INTEGER PRIMARY KEY, project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,"
    "  dataset TEXT NOT NULL, created INTEGER NOT NULL, line TEXT NOT NULL) STRICT;"
    "CREATE INDEX patches_of ON patches(project, dataset);"
    "CREATE TABLE files(sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, bytes INTEGER NOT NULL, url TEXT NOT NULL,"
    "  created INTEGER NOT NULL) STRICT;"
    "CREATE TABLE runs(id INTEGER PRIMARY KEY, project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,"
    "  name TEXT NOT NULL, dataset_hash TEXT NOT NULL, parameters TEXT NOT NULL, state TEXT NOT NULL,"
    "  result TEXT NOT NULL, pid INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,"
    "  UNIQUE(project, name)) STRICT;",

    /* What a run was made of, and who runs it: a number of a process alone may belong to another one by now. */
    "ALTER TABLE runs ADD COLUMN output_dir TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE runs ADD COLUMN base TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE runs ADD COLUMN base_sha256 TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE runs ADD COLUMN host TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE runs ADD COLUMN born INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN steps INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN loss REAL;"
    "ALTER TABLE runs ADD COLUMN valid_loss REAL;"
    "CREATE TABLE run_data(run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, idx INTEGER NOT NULL,"
    "  part TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL, content TEXT NOT NULL, n_rows INTEGER NOT NULL,"
    "  PRIMARY KEY(run, idx)) STRICT;"
    "ALTER TABLE datasets ADD COLUMN content TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX datasets_content ON datasets(content);",

    "CREATE TABLE batches(id INTEGER PRIMARY KEY, project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,"
    "  task TEXT NOT NULL, prompt TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL, ledger TEXT NOT NULL,"
    "  output TEXT NOT NULL, state TEXT NOT NULL, units INTEGER NOT NULL, n_rows INTEGER NOT NULL,"
    "  asked INTEGER NOT NULL, reused INTEGER NOT NULL, failed INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,"
    "  completion_tokens INTEGER NOT NULL, cost REAL NOT NULL, at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX patches_line ON patches(project, dataset, line);"
    "DROP INDEX patches_of;",

    /* store/words.c */
    "CREATE VIEW row_texts AS SELECT (dataset << 32) | idx AS id, weft_row_text(body) AS text FROM rows;"
    "CREATE VIRTUAL TABLE row_words USING fts5(text, content='row_texts', content_rowid='id', tokenize='weft');"
    "INSERT INTO row_words(row_words) VALUES('rebuild');",
};

static const struct weft_db_schema schema = {
    .application_id = 0x77656674,       /* "weft" */
    .what = "the store",
    .steps = steps,
    .n_steps = WEFT_COUNT(steps),
    .log = true,
    .prepare = weft_store_register,
};

#define DATASET_COLUMNS                                                                                              \
    "d.id, d.project, p.name, d.name, d.version, d.created, d.n_rows, d.hash, d.recipe, d.content "                             \
    "FROM datasets d JOIN projects p ON p.id = d.project "

static const char *const queries[N_QUERIES] = {
    [Q_PROJECT_FIND] = "SELECT id FROM projects WHERE name = ?1",
    [Q_PROJECT_NAMES] = "SELECT name FROM projects ORDER BY name LIMIT 1000",
    [Q_PROJECT_MAKE] = "INSERT INTO projects(name, created) VALUES(?1, ?2)",
    [Q_PROJECTS] = "SELECT p.id, p.name, p.created, (SELECT count(DISTINCT name) FROM datasets WHERE project = p.id), "
                   "(SELECT count(*) FROM datasets WHERE project = p.id), "
                   "(SELECT coalesce(sum(n_rows), 0) FROM datasets WHERE project = p.id), "
                   "(SELECT count(*) FROM runs WHERE project = p.id) FROM projects p ORDER BY p.name",
    [Q_PROJECT_REMOVE] = "DELETE FROM projects WHERE id = ?1",
    [Q_DATASET_NEWEST] = "SELECT version, hash FROM datasets WHERE project = ?1 AND name = ?2 ORDER BY version DESC "
                         "LIMIT 1",
    [Q_DATASET_NUMBER] = "INSERT INTO versions(project, name, last) VALUES(?1, ?2, 1) "
                         "ON CONFLICT(project, name) DO UPDATE SET last = last + 1 RETURNING last",
    [Q_DATASET_MAKE] = "INSERT INTO datasets(project, name, version, created, n_rows, hash, recipe) "
                       "VALUES(?1, ?2, ?3, ?4, 0, '', ?5)",
    [Q_DATASET_FINISH] = "UPDATE datasets SET n_rows = ?2, hash = ?3, content = ?4 WHERE id = ?1",
    [Q_ROW_ADD] = "INSERT INTO rows(dataset, idx, row_id, source, source_sha256, line, body) "
                  "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [Q_DATASET_GET] = "SELECT " DATASET_COLUMNS "WHERE d.project = ?1 AND d.name = ?2 AND (?3 = 0 OR d.version = ?3) "
                      "ORDER BY d.version DESC LIMIT 1",
    [Q_DATASET_BY_HASH] = "SELECT " DATASET_COLUMNS "WHERE d.hash = ?1 OR d.content = ?1 ORDER BY d.id LIMIT 1",
    [Q_DATASETS] = "SELECT " DATASET_COLUMNS "WHERE ?1 = 0 OR d.project = ?1 ORDER BY p.name, d.name, d.version",
    [Q_DATASET_NAMES] = "SELECT DISTINCT name FROM datasets WHERE project = ?1 ORDER BY name LIMIT 1000",
    [Q_ROWS] = "SELECT body FROM rows WHERE dataset = ?1 ORDER BY idx",
    [Q_DATASET_REMOVE] = "DELETE FROM datasets WHERE id = ?1",
    [Q_PROMPT_NEWEST] = "SELECT version, text FROM prompts WHERE project = ?1 AND name = ?2 ORDER BY version DESC LIMIT 1",
    [Q_PROMPT_ADD] = "INSERT INTO prompts(project, name, version, created, text) VALUES(?1, ?2, ?3, ?4, ?5)",
    [Q_PROMPT_GET] = "SELECT version, text FROM prompts WHERE project = ?1 AND name = ?2 AND (?3 = 0 OR version = ?3) "
                     "ORDER BY version DESC LIMIT 1",
    [Q_CALL_PUT] = "INSERT OR REPLACE INTO calls(key, project, ledger, endpoint, model, state, prompt_tokens, "
                   "completion_tokens, at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [Q_CALL_GET] = "SELECT key, ledger, endpoint, model, state, prompt_tokens, completion_tokens, at FROM calls "
                   "WHERE key = ?1",
    [Q_CALL_TOTALS] = "SELECT endpoint, model, count(*), sum(state = 'answered'), sum(state IN ('empty', 'refused')), "
                      "sum(prompt_tokens), sum(completion_tokens), max(at) FROM calls WHERE ?1 = 0 OR project = ?1 "
                      "GROUP BY endpoint, model ORDER BY max(at) DESC, endpoint, model",
    [Q_PATCH_ADD] = "INSERT INTO patches(project, dataset, created, line) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS("
                    "SELECT 1 FROM patches WHERE project = ?1 AND dataset = ?2 AND line = ?4)",
    [Q_PATCH_SETS] = "SELECT p.name, d.dataset, count(*), max(d.created) FROM patches d JOIN projects p ON "
                     "p.id = d.project WHERE ?1 = 0 OR d.project = ?1 GROUP BY d.project, d.dataset ORDER BY 1, 2",
    [Q_BATCH_ADD] = "INSERT INTO batches(project, task, prompt, endpoint, model, ledger, output, state, units, n_rows, "
                    "asked, reused, failed, prompt_tokens, completion_tokens, cost, at) "
                    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    [Q_BATCHES] = "SELECT p.name, b.task, b.prompt, b.endpoint, b.model, b.ledger, b.output, b.state, b.units, b.n_rows, "
                  "b.asked, b.reused, b.failed, b.prompt_tokens, b.completion_tokens, b.cost, b.at FROM batches b "
                  "JOIN projects p ON p.id = b.project WHERE ?1 = 0 OR b.project = ?1 ORDER BY b.id DESC",
    [Q_WORDS_ADD] = "INSERT INTO row_words(rowid, text) VALUES((?1 << 32) | ?2, weft_row_text(?3))",
    [Q_WORDS_REMOVE] = "INSERT INTO row_words(row_words, rowid, text) SELECT 'delete', (dataset << 32) | idx, "
                       "weft_row_text(body) FROM rows WHERE dataset = ?1",
    [Q_WORDS_REMOVE_ALL] = "INSERT INTO row_words(row_words, rowid, text) SELECT 'delete', (dataset << 32) | idx, "
                           "weft_row_text(body) FROM rows WHERE dataset IN (SELECT id FROM datasets WHERE project = ?1)",
    [Q_WORDS] = "SELECT rowid, weft_bm25(row_words, ?2) FROM row_words WHERE row_words MATCH ?1",
    [Q_ROW] = "SELECT body FROM rows WHERE dataset = ?1 AND idx = ?2",
    [Q_PROMPTS] = "SELECT p.name, q.name, q.version, q.created, q.text FROM prompts q JOIN projects p ON p.id = q.project "
                  "WHERE ?1 = 0 OR q.project = ?1 ORDER BY p.name, q.name, q.version",
    [Q_PATCHES] = "SELECT line FROM patches WHERE project = ?1 AND dataset = ?2 ORDER BY id",
    [Q_FILE_PUT] = "INSERT OR REPLACE INTO files(sha256, name, bytes, url, created) VALUES(?1, ?2, ?3, ?4, ?5)",
    [Q_FILE_GET] = "SELECT sha256, name, bytes, url FROM files WHERE sha256 = ?1",
    [Q_RUN_PLACE] = "SELECT id, name FROM runs WHERE project = ?1 AND output_dir = ?2",
    [Q_RUN_NAMED] = "SELECT id, output_dir FROM runs WHERE project = ?1 AND name = ?2",
    [Q_RUN_MAKE] = "INSERT INTO runs(project, name, dataset_hash, parameters, state, result, pid, started, ended) "
                   "VALUES(?1, ?2, '', '', 'running', '', 0, 0, 0)",
    [Q_RUN_START] = "UPDATE runs SET dataset_hash = ?2, parameters = ?3, state = 'running', result = '', pid = ?4, "
                    "started = ?5, ended = 0, output_dir = ?6, base = ?7, base_sha256 = ?8, host = ?9, born = ?10, "
                    "steps = 0, loss = NULL, valid_loss = NULL WHERE id = ?1",
    [Q_RUN_DATA_CLEAR] = "DELETE FROM run_data WHERE run = ?1",
    [Q_RUN_DATA_ADD] = "INSERT INTO run_data(run, idx, part, path, sha256, content, n_rows) "
                       "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [Q_RUN_DATA] = "SELECT part, path, sha256, content, n_rows FROM run_data WHERE run = ?1 ORDER BY idx",
    [Q_RUN_END] = "UPDATE runs SET state = ?2, result = ?3, ended = ?4, steps = ?5, loss = ?6, valid_loss = ?7 "
                  "WHERE id = ?1",
    [Q_RUNS] = "SELECT r.id, p.name, r.name, r.dataset_hash, r.parameters, r.state, r.result, r.output_dir, r.base, "
               "r.base_sha256, r.started, r.ended, r.steps, r.loss, r.valid_loss "
               "FROM runs r JOIN projects p ON p.id = r.project WHERE ?1 = 0 OR r.project = ?1 "
               "ORDER BY r.started DESC, r.id DESC",
    [Q_RUN_REMOVE] = "DELETE FROM runs WHERE project = ?1 AND name = ?2",
    [Q_RUNNING] = "SELECT id, pid, host, born FROM runs WHERE state = 'running'",
    [Q_RUN_INTERRUPT] = "UPDATE runs SET state = 'interrupted', ended = ?2 WHERE id = ?1 AND state = 'running'",
};

enum { NAME_CHARS = 100 };

int64_t weft_store_now(void) { return (int64_t)time(NULL); }

enum weft_status weft_store_use(struct weft_store *s, enum weft_store_query q, struct sqlite3_stmt **st,
                                struct weft_err *err)
{
    enum weft_status status = weft_db_prepare(&s->db, &s->statements[q], queries[q], err);
    *st = s->statements[q];
    return status;
}

enum weft_status weft_store_text(struct weft_arena *a, struct sqlite3_stmt *st, int column, struct weft_str *out,
                                 struct weft_err *err)
{
    struct weft_str s = weft_db_str(st, column);
    *out = weft_str_dup(a, s.s ? s : WEFT_STR(""));
    return out->s ? WEFT_OK : weft_fail_nomem(err, s.len + 1, "the store");
}

enum weft_status weft_store_check_name(struct weft_str name, const char *what, struct weft_err *err)
{
    char shown[200];
    bool good = name.len > 0 && weft_utf8_check(name) == name.len && weft_utf8_chars(name) <= NAME_CHARS
                && name.s[0] != '-' && name.s[0] != '.';
    for (size_t i = 0; i < name.len && good; i++) {
        unsigned char c = (unsigned char)name.s[i];
        good = c > 0x20 && c != 0x7F && c != '/' && c != '@' && c != ':';
    }
    if (good) return WEFT_OK;
    return weft_fail(err, WEFT_EARG, "\"%s\" is no name for a %s: expected 1 to %d characters without blanks, /, @ and :, "
                     "not beginning with - or .", weft_escape(shown, sizeof shown, name),
                     weft_tr(err ? err->lang : WEFT_LANG_EN, what), NAME_CHARS);
}

/* ---- opening ---- */

enum weft_status weft_store_open(struct weft_store **out, const char *path, struct weft_err *err)
{
    const char *slash = strrchr(path, '/');
    struct weft_store *s = calloc(1, sizeof *s);
    enum weft_status st = WEFT_OK;
    *out = NULL;
    if (!s) return weft_fail_nomem(err, sizeof *s, "the store");
    if (slash && slash > path) {
        char *folder = strndup(path, (size_t)(slash - path));
        st = folder ? weft_dir_make(folder, err) : weft_fail_nomem(err, (size_t)(slash - path), "the store");
        free(folder);
    }
    if (!st) st = weft_db_open(&s->db, path, &schema, err);
    if (!st) st = weft_store_mark_interrupted(s, err);
    if (st) weft_store_close(s);
    else *out = s;
    return st;
}

void weft_store_close(struct weft_store *s)
{
    if (!s) return;
    weft_db_close(&s->db);
    free(s);
}

struct weft_store_facts weft_store_facts(const struct weft_store *s)
{
    return (struct weft_store_facts){ s->db.was_unclean, s->db.upgraded_from, s->db.wal, s->interrupted };
}

/* ---- projects ---- */

/* The nearest of the names that a query lists, or "". */
static void nearest(struct weft_store *s, struct weft_arena *a, struct weft_str word, char *shown, size_t room)
{
    enum { MOST = 1000 };
    const char *names[MOST];
    size_t n = 0;
    struct sqlite3_stmt *st;
    bool row = true;
    shown[0] = '\0';
    if (weft_store_use(s, Q_PROJECT_NAMES, &st, NULL)) return;
    while (n < MOST && !weft_db_step(&s->db, st, &row, NULL) && row)
        if ((names[n] = weft_str_dup(a, weft_db_str(st, 0)).s)) n++;
    weft_db_reset(st);
    struct weft_str typed = weft_str_dup(a, word);
    const char *near = typed.s ? weft_nearest(typed.s, names, n) : NULL;
    if (near) weft_escape(shown, room, weft_str_c(near));
}

static enum weft_status no_project(struct weft_store *s, struct weft_str name, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    char shown[200], near[200];
    nearest(s, &a, name, near, sizeof near);
    weft_arena_clear(&a);
    weft_escape(shown, sizeof shown, name);
    if (near[0])
        return weft_fail(err, WEFT_EARG, "no project \"%s\" in the store; did you mean \"%s\"?", shown, near);
    return weft_fail(err, WEFT_EARG, "no project \"%s\" in the store; `weft ls` lists what there is", shown);
}

static enum weft_status find_project(struct weft_store *s, struct weft_str name, int64_t *id, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    bool row = false;
    *id = 0;
    enum weft_status status = weft_store_use(s, Q_PROJECT_FIND, &st, err);
    if (status) return status;
    weft_db_bind_str(st, 1, name);
    status = weft_db_step(&s->db, st, &row, err);
    if (row) *id = weft_db_int(st, 0);
    weft_db_reset(st);
    return status;
}

enum weft_status weft_store_project(struct weft_store *s, struct weft_str name, bool make, int64_t *id,
                                    struct weft_err *err)
{
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_check_name(name, "project", err);
    if (!status) status = find_project(s, name, id, err);
    if (status || *id) return status;
    if (!make) return no_project(s, name, err);
    status = weft_db_begin(&s->db, err);
    if (status) return status;
    status = find_project(s, name, id, err);            /* somebody else was first */
    if (!status && !*id && !(status = weft_store_use(s, Q_PROJECT_MAKE, &st, err))) {
        weft_db_bind_str(st, 1, name);
        weft_db_bind_int(st, 2, weft_store_now());
        status = weft_db_run(&s->db, st, err);
        *id = weft_db_last_id(&s->db);
    }
    if (!status) status = weft_db_commit(&s->db, err);
    weft_db_rollback(&s->db);
    return status;
}

enum weft_status weft_store_projects(struct weft_store *s, struct weft_arena *a, struct weft_store_project **list,
                                     size_t *n, struct weft_err *err)
{
    struct weft_store_project *items = NULL;
    struct sqlite3_stmt *st;
    size_t count = 0, cap = 0;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_PROJECTS, &st, err);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        if (!WEFT_GROW(a, items, count, cap)) return weft_fail_nomem(err, count * sizeof *items, "the projects");
        struct weft_store_project *p = &items[count++];
        *p = (struct weft_store_project){ .id = weft_db_int(st, 0), .created = weft_db_int(st, 2),
                                          .n_datasets = (uint64_t)weft_db_int(st, 3),
                                          .n_versions = (uint64_t)weft_db_int(st, 4),
                                          .n_rows = (uint64_t)weft_db_int(st, 5),
                                          .n_runs = (uint64_t)weft_db_int(st, 6) };
        status = weft_store_text(a, st, 1, &p->name, err);
    }
    *list = items;
    *n = count;
    return status;
}

enum weft_status weft_store_project_remove(struct weft_store *s, int64_t id, struct weft_err *err)
{
    return weft_store_remove_with_words(s, Q_WORDS_REMOVE_ALL, Q_PROJECT_REMOVE, id, err);
}

/* ---- prompts ---- */

enum weft_status weft_store_prompt_put(struct weft_store *s, int64_t project_id, struct weft_str name,
                                       struct weft_str text, int64_t *version, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    bool row = false, same = false;
    enum weft_status status = weft_store_check_name(name, "prompt text", err);
    if (!status) status = weft_db_begin(&s->db, err);
    if (status) return status;
    *version = 0;
    status = weft_store_use(s, Q_PROMPT_NEWEST, &st, err);
    if (status) goto done;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, name);
    status = weft_db_step(&s->db, st, &row, err);
    if (row) {
        *version = weft_db_int(st, 0);
        same = weft_str_eq(weft_db_str(st, 1), text);
        weft_db_reset(st);
    }
    if (status || same) goto done;
    status = weft_store_use(s, Q_PROMPT_ADD, &st, err);
    if (status) goto done;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, name);
    weft_db_bind_int(st, 3, ++*version);
    weft_db_bind_int(st, 4, weft_store_now());
    weft_db_bind_str(st, 5, text.s ? text : WEFT_STR(""));
    status = weft_db_run(&s->db, st, err);
    if (!status) status = weft_db_commit(&s->db, err);
done:
    weft_db_rollback(&s->db);
    return status;
}

enum weft_status weft_store_prompt_get(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                       struct weft_str name, int64_t *version, struct weft_str *text,
                                       struct weft_err *err)
{
    char shown[200];
    struct sqlite3_stmt *st;
    bool row = false;
    enum weft_status status = weft_store_use(s, Q_PROMPT_GET, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, name);
    weft_db_bind_int(st, 3, *version);
    status = weft_db_step(&s->db, st, &row, err);
    if (status) return status;
    if (!row)
        return weft_fail(err, WEFT_EARG, "no prompt \"%s\" (version %" PRId64 ") in this project",
                         weft_escape(shown, sizeof shown, name), *version);
    *version = weft_db_int(st, 0);
    status = weft_store_text(a, st, 1, text, err);
    weft_db_reset(st);
    return status;
}

/* ---- patches ---- */

enum weft_status weft_store_patch_add(struct weft_store *s, int64_t project_id, struct weft_str dataset,
                                      struct weft_str line, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_check_name(dataset, "dataset", err);
    if (!status) status = weft_store_use(s, Q_PATCH_ADD, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, dataset);
    weft_db_bind_int(st, 3, weft_store_now());
    weft_db_bind_str(st, 4, line);
    return weft_db_run(&s->db, st, err);
}

enum weft_status weft_store_patches(struct weft_store *s, int64_t project_id, struct weft_str dataset,
                                    enum weft_status (*each)(void *ctx, struct weft_str line, struct weft_err *err),
                                    void *ctx, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_PATCHES, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, dataset);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row)
        status = each(ctx, weft_db_str(st, 0), err);
    weft_db_reset(st);
    return status;
}

/* ---- files ---- */

enum weft_status weft_store_file_put(struct weft_store *s, const struct weft_store_file *f, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_use(s, Q_FILE_PUT, &st, err);
    if (status) return status;
    weft_db_bind_str(st, 1, f->sha256);
    weft_db_bind_str(st, 2, f->name);
    weft_db_bind_int(st, 3, (int64_t)f->bytes);
    weft_db_bind_str(st, 4, f->url.s ? f->url : WEFT_STR(""));
    weft_db_bind_int(st, 5, weft_store_now());
    return weft_db_run(&s->db, st, err);
}

enum weft_status weft_store_file_get(struct weft_store *s, struct weft_arena *a, struct weft_str sha256,
                                     struct weft_store_file *f, bool *found, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    *found = false;
    enum weft_status status = weft_store_use(s, Q_FILE_GET, &st, err);
    if (status) return status;
    weft_db_bind_str(st, 1, sha256);
    status = weft_db_step(&s->db, st, found, err);
    if (status || !*found) return status;
    *f = (struct weft_store_file){ .bytes = (uint64_t)weft_db_int(st, 2) };
    status = weft_store_text(a, st, 0, &f->sha256, err);
    if (!status) status = weft_store_text(a, st, 1, &f->name, err);
    if (!status) status = weft_store_text(a, st, 3, &f->url, err);
    weft_db_reset(st);
    return status;
}
