/* cli/record.h - what verbs remember in the store beside their work
 *
 * Training and asking write their files whatever becomes of the store: one that is missing, locked, damaged or cannot
 * be written costs one warning, and the verb goes on.  So nothing here returns a status, and cli->err stays as it was.
 */
#ifndef WEFT_CLI_RECORD_H
#define WEFT_CLI_RECORD_H

#include "cli/store.h"
#include "dataset/prompt.h"

/* The option row of the verbs that record. */
#define WEFT_RECORD_ROW(T, field)                                                                                      \
    { .key = "project", .type = WEFT_OPT_STRING, .offset = offsetof(T, field), .group = "Store",                       \
      .help = "project of the store to record this in (default: that of the dataset, else \"default\")",               \
      .help_zh = "记录到仓库中的哪个项目（默认为数据集所在的项目，否则为 default）" }

/* A run of training, begun when its data and model are known. */
struct weft_record_run {
    const char *project;            /* as the user said; NULL: found by the data */
    const char *output_dir, *base;
    const char *base_sha256;
    struct weft_str parameters;
    const struct weft_store_run_data *data;
    size_t n_data;
};
/* The number of the run in the store; 0: it is not recorded. */
int64_t weft_record_run_begin(struct weft_cli *cli, const struct weft_record_run *run);
/* By the status and message of the run in `st` and cli->err; id 0 does nothing. */
void weft_record_run_end(struct weft_cli *cli, int64_t id, enum weft_status st, const char *result, uint64_t steps,
                         double loss, double valid_loss);

/* A batch of questions, the prompt it used, and every call behind it: of these key, state, tokens and time are read.
 * `file`: the prompt's own, or NULL of a built-in one. */
void weft_record_batch(struct weft_cli *cli, const char *project, const struct weft_store_batch *batch,
                       const struct weft_prompt *prompt, const char *file, struct weft_store_call *calls, size_t n);
/* The decisions of a patch file, about the rows of `file`: of the dataset that has these rows, else under the file's
 * name. */
void weft_record_patches(struct weft_cli *cli, const char *project, const char *file, const char *content,
                         const char *patches);

#endif
