/* cli/verbs.h - the verbs, one file each; cli/main.c has the table */
#ifndef WEFT_CLI_VERBS_H
#define WEFT_CLI_VERBS_H

#include "cli/cli.h"

extern const struct weft_verb weft_verb_help;

#endif
