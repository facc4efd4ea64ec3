/* cli/train_stage.h - one training run from a resolved recipe: what `weft train` and `weft run` share
 *
 * Loads model, tokenizer, chat template and rows, splits, collates, attaches the adapter (or makes all weights
 * trainable), prints the memory plan, trains with a live progress line, and writes into recipe->output_dir:
 * log.jsonl, history.jsonl, loss.svg, checkpoints, and adapter/ (LoRA) or model/ (full); recipe.yaml is the caller's.
 * Prints the numbers of each step and the loss curve on stdout (on stderr with --json).  Implementation: cli/train.c.
 */
#ifndef WEFT_CLI_TRAIN_STAGE_H
#define WEFT_CLI_TRAIN_STAGE_H

#include "cli/cli.h"
#include "train/recipe.h"
#include "train/trainer.h"

/* weft_cli_compute must have been called.  `recipe` passed weft_recipe_check.  Errors are in cli->err.  The run is
 * recorded in the store (cli/record.h), in `project` where it is not NULL. */
WEFT_MUST_USE enum weft_status weft_train_stage(struct weft_cli *cli, struct weft_recipe *recipe, const char *project,
                                                struct weft_train_result *result);

#endif
