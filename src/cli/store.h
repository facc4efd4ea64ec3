/* cli/store.h - what the verbs that use the store share: where it is, and words that name things in it */
#ifndef WEFT_CLI_STORE_H
#define WEFT_CLI_STORE_H

#include "cli/cli.h"
#include "store/store.h"

/* $WEFT_HOME, else $XDG_DATA_HOME/weft, else ~/.local/share/weft.  WEFT_EARG: none of them is set. */
WEFT_MUST_USE enum weft_status weft_cli_home(struct weft_cli *cli, const char **home);
/* Opens HOME/weft.db and says what was found there (an unclean stop, an upgrade, interrupted runs). */
WEFT_MUST_USE enum weft_status weft_cli_store(struct weft_cli *cli, struct weft_store **s);
/* The same for verbs that only look: *s is NULL where there is no store yet. */
WEFT_MUST_USE enum weft_status weft_cli_store_if_any(struct weft_cli *cli, struct weft_store **s);

/* "project", "project/dataset", "project/dataset@2", "run:project/name", "model:name". */
enum weft_word_kind { WEFT_WORD_PROJECT, WEFT_WORD_DATASET, WEFT_WORD_RUN, WEFT_WORD_MODEL };
struct weft_word {
    enum weft_word_kind kind;
    struct weft_str project, name;
    int64_t version;            /* 0: none said */
};
WEFT_MUST_USE enum weft_status weft_cli_word(struct weft_cli *cli, const char *text, struct weft_word *w);

#endif
