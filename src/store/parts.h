/* store/parts.h - what the files of the store share; inside store/ only */
#ifndef WEFT_STORE_PARTS_H
#define WEFT_STORE_PARTS_H

#include "base/db.h"
#include "store/store.h"

/* Every statement of the store; store/store.c has the texts. */
enum weft_store_query {
    Q_PROJECT_FIND, Q_PROJECT_NAMES, Q_PROJECT_MAKE, Q_PROJECTS, Q_PROJECT_REMOVE,
    Q_DATASET_NEWEST, Q_DATASET_NUMBER, Q_DATASET_MAKE, Q_DATASET_FINISH, Q_ROW_ADD,
    Q_DATASET_GET, Q_DATASET_BY_HASH, Q_DATASETS, Q_DATASET_NAMES, Q_ROWS, Q_DATASET_REMOVE,
    Q_PROMPT_NEWEST, Q_PROMPT_ADD, Q_PROMPT_GET,
    Q_CALL_PUT, Q_CALL_GET, Q_CALL_TOTALS,
    Q_PATCH_ADD, Q_PATCHES, Q_PATCH_SETS, Q_BATCH_ADD, Q_BATCHES, Q_PROMPTS, 
    Q_WORDS_ADD, Q_WORDS_REMOVE, Q_WORDS_REMOVE_ALL, Q_WORDS, Q_ROW,
    Q_FILE_PUT, Q_FILE_GET,
    Q_RUN_PLACE, Q_RUN_NAMED, Q_RUN_MAKE, Q_RUN_START, Q_RUN_DATA_CLEAR, Q_RUN_DATA_ADD, Q_RUN_DATA,
    Q_RUN_END, Q_RUNS, Q_RUN_REMOVE, Q_RUNNING, Q_RUN_INTERRUPT,
    N_QUERIES
};

struct weft_store {
    struct weft_db db;
    struct sqlite3_stmt *statements[N_QUERIES];
    int interrupted;
    bool writing;               /* a dataset is being written: its transaction is open */
};

/* The statement, prepared or reset. */
WEFT_MUST_USE enum weft_status weft_store_use(struct weft_store *s, enum weft_store_query q, struct sqlite3_stmt **st,
                                              struct weft_err *err);
/* A name as users type it, checked.  `what` is a key of the catalogue ("project"). */
WEFT_MUST_USE enum weft_status weft_store_check_name(struct weft_str name, const char *what, struct weft_err *err);
/* A column of text in arena memory; null becomes "". */
WEFT_MUST_USE enum weft_status weft_store_text(struct weft_arena *a, struct sqlite3_stmt *st, int column,
                                               struct weft_str *out, struct weft_err *err);
int64_t weft_store_now(void);
/* The functions of the schema, on a new connection (store/words.c). */
WEFT_MUST_USE enum weft_status weft_store_register(struct sqlite3 *sql, void *ctx, struct weft_err *err);
/* `words`, then `rest`, each of the thing `id`, in one transaction. */
WEFT_MUST_USE enum weft_status weft_store_remove_with_words(struct weft_store *s, enum weft_store_query words,
                                                            enum weft_store_query rest, int64_t id,
                                                            struct weft_err *err);
/* Runs of programs that are gone (store/runs.c). */
WEFT_MUST_USE enum weft_status weft_store_mark_interrupted(struct weft_store *s, struct weft_err *err);

#endif
