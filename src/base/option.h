/* base/option.h - one table row per setting
 *
 * A module describes its settings as rows that name a field of its own struct.  From the same rows come the
 * command line (--key value, --key=value, KEY=VALUE), the YAML reader, the resolved YAML written beside a run,
 * `weft help`, and later the studio's forms.  Nothing else compares setting names.
 */
#ifndef WEFT_BASE_OPTION_H
#define WEFT_BASE_OPTION_H

#include "base/str.h"

enum weft_option_type {
    WEFT_OPT_BOOL,   /* bool: true/false, yes/no, 1/0; a bare --flag is true */
    WEFT_OPT_INT,    /* int64_t */
    WEFT_OPT_FLOAT,  /* double; 1e-4 and 1.0e-4 both */
    WEFT_OPT_STRING, /* const char *, in the arena */
    WEFT_OPT_CHOICE, /* int: index into `choices` ("linear|cosine|constant") */
    WEFT_OPT_LIST    /* struct weft_str_list: a YAML list or "a,b"; repeated flags append */
};

struct weft_str_list {
    const char **items;
    size_t n;
};

struct weft_option {
    const char *key;   /* as in LLaMA-Factory where it has one: "cutoff_len" */
    const char *alias; /* another spelling accepted silently ("finetuning_type"), or NULL */
    enum weft_option_type type;
    size_t offset;   /* offsetof(struct my_settings, field) */
    const char *def; /* default as text; NULL: unset (false, 0, 0.0, NULL, -1 for a choice, empty list) */
    double min, max; /* refused outside (numbers); both 0: any */
    double warn_min, warn_max; /* usual range: outside it a warning; both 0: none */
    const char *choices;
    const char *bare;  /* of a choice: its value where the flag stands alone (--fit); NULL: it needs one */
    const char *unit;  /* "tokens", "MiB", "" */
    const char *group; /* heading in help: "Data", "LoRA", "Training" */
    const char *help, *help_zh;
    char short_flag; /* 'o' for -o, or 0 */
    size_t where;    /* offset of a const char * that is told where the value came from ("recipe.yaml:12:3"), or 0 */
};

struct weft_option_table {
    const struct weft_option *rows;
    size_t n;
};

/* Writes every default into `settings`.  Strings are the rows' own. */
WEFT_MUST_USE enum weft_status weft_options_defaults(struct weft_option_table t, void *settings,
                                                     struct weft_arena *a, struct weft_err *err);

/* Sets one value from text.  `where`: "recipe.yaml:12:3" or "--lora_rank" for messages.  Unknown key: WEFT_EARG with
 * the nearest name.  `warn` (may be NULL) gets values outside the usual range. */
WEFT_MUST_USE enum weft_status weft_options_set(struct weft_option_table t, void *settings,
                                                struct weft_arena *a, const char *where, const char *key,
                                                const char *value, struct weft_buf *warn,
                                                struct weft_err *err);

/* A YAML mapping of settings.  Nulls leave the default.  Errors carry file:line:column of the user's file.
 * A key that is in no row: WEFT_EARG naming the nearest; further ones are told to `warn`. */
WEFT_MUST_USE enum weft_status weft_options_yaml(struct weft_option_table t, void *settings,
                                                 struct weft_arena *a, const char *name, struct weft_str yaml,
                                                 struct weft_buf *warn, struct weft_err *err);

/* argv[1..argc-1]: flags set their rows, KEY=VALUE too when KEY is a row, "--" ends flags; everything else is
 * returned in order as positional.  `--no-x` clears a bool x; '-' and '_' are the same inside a flag. */
WEFT_MUST_USE enum weft_status weft_options_argv(struct weft_option_table t, void *settings,
                                                 struct weft_arena *a, int argc, char **argv,
                                                 struct weft_str_list *positional, struct weft_buf *warn,
                                                 struct weft_err *err);

/* Every setting written out as YAML, defaults too, grouped, in table order. */
void weft_options_dump(struct weft_option_table t, const void *settings, struct weft_buf *out);

/* Help text: "  --lora_rank N   rank of the adapters (default 8)", grouped, in `lang`. */
void weft_options_help(struct weft_option_table t, enum weft_lang lang, struct weft_buf *out);

/* The same as the body of a manual page (man macros): a .SS for each group, a .TP for each setting. */
void weft_options_man(struct weft_option_table t, enum weft_lang lang, struct weft_buf *out);
/* Text for a manual page: backslashes, hyphens and leading dots lose their meaning to roff. */
void weft_man_text(struct weft_buf *out, struct weft_str text);

/* Nearest of the names by edit distance (at most 3 and half the length), or NULL. */
const char *weft_nearest(const char *word, const char *const *names, size_t n);

#endif
