/* cli/model_files.h - the files beside the weights that make a folder a usable model */
#ifndef WEFT_CLI_MODEL_FILES_H
#define WEFT_CLI_MODEL_FILES_H

#include "cli/cli.h"

/* Copies tokenizer, chat template and generation settings of `from` into the folder `to`; what is absent is
 * left out. */
WEFT_MUST_USE enum weft_status weft_copy_model_files(struct weft_cli *cli, const char *from, const char *to);

#endif
