/* cli/data_patch.h - patch files on the command line */
#ifndef WEFT_CLI_DATA_PATCH_H
#define WEFT_CLI_DATA_PATCH_H

#include "cli/data.h"
#include "dataset/patch.h"

/* Reads the patch file, applies it to the rows, and warns of each patch that does not fit (the first 100). */
WEFT_MUST_USE enum weft_status weft_data_patch(struct weft_cli *cli, const char *path, struct weft_rows *rows,
                                               struct weft_patch_result *out);
/* The figures, for people and as members of an open object. */
void weft_data_patch_show(struct weft_cli *cli, const struct weft_patch_result *r);
void weft_data_patch_members(struct weft_json_out *o, const struct weft_patch_result *r);
/* WEFT_EPARTIAL when a patch did not fit. */
enum weft_status weft_data_patch_partial(struct weft_cli *cli, const char *path, const struct weft_patch_result *r);

#endif
