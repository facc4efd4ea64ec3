/* store/store.h - what weft remembers: one SQLite file of projects, datasets, prompts, calls, patches, files and runs
 *
 * The path comes in from the caller (the program uses $WEFT_HOME/weft.db or $XDG_DATA_HOME/weft/weft.db).  The file is
 * opened by the rules G1-G7 (base/db.h): what a call acknowledged survives kill and power cut, two programs may use it
 * at once, a damaged, foreign or newer file is refused and kept.
 *
 * A dataset of a project has versions 1, 2, 3 ...; a version never changes.  Its content hash is the SHA-256 of its
 * rows as JSON lines, that is of the file `weft data export` writes, so that a run which names the hash of
 * the file it was trained on names the version too.  Rows keep their origin (member "weft").
 *
 *     st = weft_store_open(&s, path, err);
 *     st = weft_store_project(s, "huanhuan", true, &project, err);
 *     st = weft_store_dataset_begin(s, project, "pairs", recipe, &w, err);
 *     ... weft_store_dataset_add(w, &row, WEFT_FORMAT_ALPACA, err) for each row ...
 *     st = weft_store_dataset_commit(w, &arena, &info, err);
 *     weft_store_close(s);
 *
 * Names of projects, datasets, prompts and runs are 1 to 100 characters of text without control characters, '/', '@'
 * and ':' (they are parts of words that users type: "huanhuan/pairs@2").
 *
 * Owner:   the handle; what is listed lives in the arena given.  Times are seconds since 1970.
 * Threads: one handle belongs to one thread; other threads and programs open their own.
 */
#ifndef WEFT_STORE_STORE_H
#define WEFT_STORE_STORE_H

#include "base/hash.h"
#include "dataset/formats.h"
#include "dataset/search.h"

struct weft_store;

/* Opens the file, making it and its folder where they are not there.  Runs that were marked as running by a program
 * that is no longer there become "interrupted". */
WEFT_MUST_USE enum weft_status weft_store_open(struct weft_store **out, const char *path, struct weft_err *err);
void weft_store_close(struct weft_store *s);        /* accepts NULL */

struct weft_store_facts {
    bool was_unclean;       /* the last program was killed; the file was checked and is good */
    int upgraded_from;      /* schema version before; 0: none.  A copy is PATH.v<that>.bak */
    bool wal;               /* false: this file system has no shared memory, the rollback journal serves (G7) */
    int interrupted;        /* runs that were found so */
};
struct weft_store_facts weft_store_facts(const struct weft_store *s);

/* ---- projects ---- */

struct weft_store_project {
    int64_t id;
    struct weft_str name;
    int64_t created;
    uint64_t n_datasets, n_versions, n_rows, n_runs;
};
/* WEFT_EARG: there is none of that name and `make` is false; the message has the nearest. */
WEFT_MUST_USE enum weft_status weft_store_project(struct weft_store *s, struct weft_str name, bool make, int64_t *id,
                                                  struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_store_projects(struct weft_store *s, struct weft_arena *a,
                                                   struct weft_store_project **list, size_t *n, struct weft_err *err);
/* With everything in it. */
WEFT_MUST_USE enum weft_status weft_store_project_remove(struct weft_store *s, int64_t id, struct weft_err *err);

/* ---- datasets ---- */

struct weft_store_dataset {
    int64_t id, project_id;
    struct weft_str project, name;
    int64_t version;
    int64_t created;
    uint64_t n_rows;
    struct weft_str hash;           /* SHA-256, 64 hex digits */
    struct weft_str content;        /* of what the rows say (dataset/canon.h); "" of versions kept by an older weft */
    struct weft_str recipe;         /* how it was built; "" where nobody said */
    bool unchanged;                 /* of a commit: the newest version has these rows already, none was made */
};

struct weft_store_writer;
/* One writer at a time; until it commits or is dropped, the store is locked for other writers. */
WEFT_MUST_USE enum weft_status weft_store_dataset_begin(struct weft_store *s, int64_t project_id, struct weft_str name,
                                                        struct weft_str recipe, struct weft_store_writer **out,
                                                        struct weft_err *err);
/* The row is kept in the shape of `format`, as weft_row_to_json writes it.  WEFT_EINPUT: it cannot be said so; the
 * writer goes on. */
WEFT_MUST_USE enum weft_status weft_store_dataset_add(struct weft_store_writer *w, const struct weft_row *row,
                                                      enum weft_format format, struct weft_err *err);
/* The writer is gone afterwards, whatever the status. */
WEFT_MUST_USE enum weft_status weft_store_dataset_commit(struct weft_store_writer *w, struct weft_arena *a,
                                                         struct weft_store_dataset *info, struct weft_err *err);
void weft_store_dataset_drop(struct weft_store_writer *w);      /* gives up; accepts NULL */

/* version 0: the newest.  WEFT_EARG: there is none; the message has what there is. */
WEFT_MUST_USE enum weft_status weft_store_dataset(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                                  struct weft_str name, int64_t version,
                                                  struct weft_store_dataset *info, struct weft_err *err);
/* The version with this hash of its file or of its content, of any project: *found is false where there is none. */
WEFT_MUST_USE enum weft_status weft_store_dataset_by_hash(struct weft_store *s, struct weft_arena *a,
                                                          struct weft_str hash, struct weft_store_dataset *info,
                                                          bool *found, struct weft_err *err);
/* Every version; project_id 0: of all projects. */
WEFT_MUST_USE enum weft_status weft_store_datasets(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                                   struct weft_store_dataset **list, size_t *n, struct weft_err *err);
/* Each row as one line of JSON, in order.  A status other than WEFT_OK from `each` stops and is returned. */
WEFT_MUST_USE enum weft_status
weft_store_dataset_rows(struct weft_store *s, int64_t dataset_id,
                        enum weft_status (*each)(void *ctx, struct weft_str json, struct weft_err *err), void *ctx,
                        struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_store_dataset_remove(struct weft_store *s, int64_t dataset_id,
                                                         struct weft_err *err);

/* ---- search: every row that is in the store is in its index, from the same transaction on ---- */

struct weft_store_words {
    struct weft_str text;
    enum weft_search_mode mode;
    int64_t project_id;             /* 0: all projects */
    bool all_versions;              /* else the newest of each dataset */
    size_t limit;
};
struct weft_store_hit {
    struct weft_store_dataset dataset;
    uint64_t row;                   /* its number there, from 1 */
    double score;                   /* BM25 over the rows of all versions; larger is better */
    struct weft_str json, text;     /* the row, and what it says */
};
/* The best `limit` rows; *n_all: how many there are in all. */
WEFT_MUST_USE enum weft_status weft_store_search(struct weft_store *s, struct weft_arena *a,
                                                 const struct weft_store_words *q, struct weft_store_hit **hits,
                                                 size_t *n, uint64_t *n_all, struct weft_err *err);

/* ---- prompts ---- */

/* Keeps a text under a name: a new version, or the newest when it says the same. */
WEFT_MUST_USE enum weft_status weft_store_prompt_put(struct weft_store *s, int64_t project_id, struct weft_str name,
                                                     struct weft_str text, int64_t *version, struct weft_err *err);
/* version 0: the newest. */
WEFT_MUST_USE enum weft_status weft_store_prompt_get(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                                     struct weft_str name, int64_t *version, struct weft_str *text,
                                                     struct weft_err *err);

struct weft_store_prompt {
    struct weft_str project, name, text;
    char sha256[WEFT_SHA256_HEX];   /* of the text; rows name its first digits */
    int64_t version, created;
};
/* Every version; project_id 0: of all projects. */
WEFT_MUST_USE enum weft_status weft_store_prompts(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                                  struct weft_store_prompt **list, size_t *n, struct weft_err *err);

/* ---- batches: what was asked in one go, by which prompt, and what it took ---- */

struct weft_store_batch {
    struct weft_str project, task;
    struct weft_str prompt;         /* as rows name it: "ask/qa@1+0123abcd" */
    struct weft_str endpoint, model;
    struct weft_str ledger, output; /* files; output "": no rows were written */
    struct weft_str state;          /* "done", "cancelled", "failed" */
    uint64_t units, rows, asked, reused, failed, prompt_tokens, completion_tokens;
    double cost;
    int64_t at;
};
WEFT_MUST_USE enum weft_status weft_store_batch_add(struct weft_store *s, int64_t project_id,
                                                    const struct weft_store_batch *b, struct weft_err *err);
/* Newest first; project_id 0: of all projects. */
WEFT_MUST_USE enum weft_status weft_store_batches(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                                  struct weft_store_batch **list, size_t *n, struct weft_err *err);

/* ---- calls: the index of the ledgers (dataset/ledger.h), which hold the answers ---- */

struct weft_store_call {
    struct weft_str key;            /* 64 hex digits of the ledger */
    struct weft_str ledger;         /* path of the file that has it */
    struct weft_str endpoint, model, state;
    int64_t prompt_tokens, completion_tokens;
    int64_t at;
};
/* A later word about the same key replaces the earlier. */
WEFT_MUST_USE enum weft_status weft_store_call_put(struct weft_store *s, int64_t project_id,
                                                   const struct weft_store_call *call, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_store_call_get(struct weft_store *s, struct weft_arena *a, struct weft_str key,
                                                   struct weft_store_call *call, bool *found, struct weft_err *err);

/* All of them in one transaction. */
WEFT_MUST_USE enum weft_status weft_store_calls_put(struct weft_store *s, int64_t project_id,
                                                    const struct weft_store_call *calls, size_t n,
                                                    struct weft_err *err);

/* Of one model at one endpoint, each request counted once however often it was used. */
struct weft_store_call_total {
    struct weft_str endpoint, model;
    uint64_t requests, answered;
    uint64_t unusable;              /* paid, but empty or refused */
    uint64_t prompt_tokens, completion_tokens;
    int64_t last;                   /* when the newest was written */
};
/* The model asked last comes first; project_id 0: of all projects. */
WEFT_MUST_USE enum weft_status weft_store_call_totals(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                                      struct weft_store_call_total **list, size_t *n,
                                                      struct weft_err *err);

/* ---- patches: decisions about rows, as lines of a patch file (dataset/patch.h) ---- */

/* A line that the dataset has already is not added again. */
WEFT_MUST_USE enum weft_status weft_store_patch_add(struct weft_store *s, int64_t project_id, struct weft_str dataset,
                                                    struct weft_str line, struct weft_err *err);
WEFT_MUST_USE enum weft_status
weft_store_patches(struct weft_store *s, int64_t project_id, struct weft_str dataset,
                   enum weft_status (*each)(void *ctx, struct weft_str line, struct weft_err *err), void *ctx,
                   struct weft_err *err);

/* Every line of a patch file that the dataset does not have yet, in one transaction. */
WEFT_MUST_USE enum weft_status weft_store_patches_add(struct weft_store *s, int64_t project_id, struct weft_str dataset,
                                                      struct weft_str lines, uint64_t *added, struct weft_err *err);
struct weft_store_patch_set {
    struct weft_str project, dataset;
    uint64_t n;
    int64_t last;                   /* when the newest was added */
};
WEFT_MUST_USE enum weft_status weft_store_patch_sets(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                                     struct weft_store_patch_set **list, size_t *n,
                                                     struct weft_err *err);

/* ---- files that rows came from ---- */

struct weft_store_file {
    struct weft_str sha256, name;   /* name as the user gave it */
    uint64_t bytes;
    struct weft_str url;            /* where it was fetched from; "" : it was here */
};
WEFT_MUST_USE enum weft_status weft_store_file_put(struct weft_store *s, const struct weft_store_file *f,
                                                   struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_store_file_get(struct weft_store *s, struct weft_arena *a, struct weft_str sha256,
                                                   struct weft_store_file *f, bool *found, struct weft_err *err);

/* ---- runs ---- */

/* A file that a run reads. */
struct weft_store_run_data {
    struct weft_str part;           /* "train", "valid" */
    struct weft_str path;           /* absolute */
    struct weft_str sha256;         /* of the file */
    struct weft_str content;        /* dataset hash of its rows (dataset/canon.h), whatever their format */
    uint64_t n_rows;
};

struct weft_store_run {
    int64_t id;
    struct weft_str project, name;
    struct weft_str output_dir;     /* absolute */
    struct weft_str base;           /* the word for the base model */
    struct weft_str base_sha256;    /* its fingerprint */
    struct weft_str dataset_hash;   /* content of the first training file; "" unknown */
    struct weft_str parameters;     /* every setting, as the user's recipe says them */
    struct weft_str state;          /* "running", "done", "cancelled", "failed", "interrupted" */
    struct weft_str result;         /* folder of the model, or why it failed; "" */
    int64_t started, ended;         /* ended 0: not yet */
    uint64_t steps;
    double loss, valid_loss;        /* of the last step; NaN: not measured */
};
/* A run begins, in this process: should it die, the next open marks the run "interrupted".  Of *run the name, folder,
 * base, dataset_hash and parameters are read, and where the name belongs to a run in another folder, "name-2" is taken
 * ("-3" ...).  The same folder again begins its run anew. */
WEFT_MUST_USE enum weft_status weft_store_run_begin(struct weft_store *s, int64_t project_id,
                                                    const struct weft_store_run *run,
                                                    const struct weft_store_run_data *data, size_t n_data, int64_t *id,
                                                    struct weft_err *err);
/* Of *run state, result, steps and losses are read. */
WEFT_MUST_USE enum weft_status weft_store_run_end(struct weft_store *s, int64_t id, const struct weft_store_run *run,
                                                  struct weft_err *err);
/* In the order in which they were read. */
WEFT_MUST_USE enum weft_status weft_store_run_data(struct weft_store *s, struct weft_arena *a, int64_t id,
                                                   struct weft_store_run_data **list, size_t *n, struct weft_err *err);
/* Newest first; project_id 0: of all projects. */
WEFT_MUST_USE enum weft_status weft_store_runs(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                               struct weft_store_run **list, size_t *n, struct weft_err *err);
/* WEFT_EARG: no such run. */
WEFT_MUST_USE enum weft_status weft_store_run_remove(struct weft_store *s, int64_t project_id, struct weft_str name,
                                                     struct weft_err *err);

#endif
