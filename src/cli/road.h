/* cli/road.h - the stages of `weft run` and how a finished one is recognised
 *
 * A stage has a key: the SHA-256 of everything it depends on (settings, contents of its input files, its version).
 * After it ran, stages/NAME.json in the run's folder records the key and the hashes of what it wrote.  A later run
 * with the same key, whose outputs are still what they were, skips it: like make, but by content instead of time.
 */
#ifndef WEFT_CLI_ROAD_H
#define WEFT_CLI_ROAD_H

#include "base/hash.h"
#include "cli/cli.h"

struct weft_stage_key {
    struct weft_sha256 hash;
    char hex[WEFT_SHA256_HEX];      /* after _finish */
};
WEFT_MUST_USE enum weft_status weft_stage_key_begin(struct weft_stage_key *k, const char *stage, struct weft_err *err);
void weft_stage_key_text(struct weft_stage_key *k, const char *name, struct weft_str value);
/* The content of a file, or of every regular file directly in a folder, by name. */
WEFT_MUST_USE enum weft_status weft_stage_key_file(struct weft_stage_key *k, const char *path, struct weft_err *err);
void weft_stage_key_finish(struct weft_stage_key *k);
void weft_stage_key_clear(struct weft_stage_key *k);    /* accepts a zeroed struct */

/* True when the stage's record in `run_dir` has this key and its outputs are unchanged. */
bool weft_stage_is_done(struct weft_cli *cli, const char *run_dir, const char *stage, const struct weft_stage_key *k);
/* Records the stage; outputs are files or folders, relative to run_dir. */
WEFT_MUST_USE enum weft_status weft_stage_record(struct weft_cli *cli, const char *run_dir, const char *stage,
                                                 const struct weft_stage_key *k, const char *const *outputs,
                                                 size_t n_outputs);

/* A path written in a recipe is meant from where the recipe stands, as its author sees it; a model word may be a name.
 * NULL and "" stay as they are. */
WEFT_MUST_USE enum weft_status weft_beside(struct weft_cli *cli, const char *recipe, const char **path);
WEFT_MUST_USE enum weft_status weft_beside_list(struct weft_cli *cli, const char *recipe, struct weft_str_list *list);

#endif
