/* cli/verbs.h - the verbs, one file each; cli/main.c has the table */
#ifndef WEFT_CLI_VERBS_H
#define WEFT_CLI_VERBS_H

#include "cli/cli.h"

extern const struct weft_verb weft_verb_bench, weft_verb_chat, weft_verb_data, weft_verb_doctor,
    weft_verb_export, weft_verb_generate, weft_verb_help, weft_verb_inspect, weft_verb_ls, weft_verb_model,
    weft_verb_model_random, weft_verb_plot, weft_verb_pull, weft_verb_read, weft_verb_rm, weft_verb_run,
    weft_verb_train, weft_verb_tokenizer, weft_verb_tokenizer_decode, weft_verb_tokenizer_encode,
    weft_verb_tokenizer_train;

#endif
