/* Any bytes as a recipe, as one value, and as a command line.  What is accepted must read back equal from its dump. */
#include "base/option.h"

#include <stddef.h>
#include <stdlib.h>

struct settings {
    bool flag;
    int64_t number, any;
    double real;
    const char *text;
    int choice;
    struct weft_str_list list;
};

static const struct weft_option rows[] = {
    { .key = "flag",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, flag),
      .group = "A",
      .help = "a" },
    { .key = "lora_rank",
      .alias = "r",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, number),
      .def = "8",
      .min = 1,
      .max = 1024,
      .warn_min = 4,
      .warn_max = 64,
      .group = "A",
      .help = "b" },
    { .key = "n",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, any),
      .help = "c",
      .short_flag = 'n' },
    { .key = "x",
      .type = WEFT_OPT_FLOAT,
      .offset = offsetof(struct settings, real),
      .group = "B",
      .help = "d" },
    { .key = "t",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, text),
      .help = "e",
      .short_flag = 't' },
    { .key = "c",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, choice),
      .choices = "aa|bb",
      .help = "f" },
    { .key = "l",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, list),
      .help = "g",
      .short_flag = 'l' },
};
static const struct weft_option_table table = { rows, sizeof rows / sizeof rows[0] };

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_dump(struct weft_arena *a, const struct settings *s)
{
    struct weft_buf once = { 0 }, twice = { 0 };
    struct weft_err err = { 0 };
    struct settings again;
    weft_options_dump(table, s, &once);
    check(!once.failed);
    check(weft_options_defaults(table, &again, a, &err) == WEFT_OK);
    check(weft_options_yaml(table, &again, a, "dump", weft_buf_view(&once), NULL, &err) == WEFT_OK);
    weft_options_dump(table, &again, &twice);
    check(weft_str_eq(weft_buf_view(&once), weft_buf_view(&twice)));
    weft_buf_clear(&once);
    weft_buf_clear(&twice);
}

/* Words end at a newline; the first byte of the input chose this way. */
static enum weft_status read_words(struct weft_arena *a, struct settings *s, const uint8_t *data, size_t size,
                                   struct weft_buf *warn, struct weft_err *err)
{
    char *copy = weft_arena_strndup(a, (const char *)data, size), *argv[18] = { 0 };
    struct weft_str_list positional;
    int argc = 1;
    argv[0] = copy;
    for (char *p = copy; p && *p && argc < 17;) {
        argv[argc++] = p;
        p = strchr(p, '\n');
        if (p) *p++ = '\0';
    }
    return weft_options_argv(table, s, a, argc, argv, &positional, warn, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_buf warn = { 0 };
    struct settings s;
    enum weft_status st = weft_options_defaults(table, &s, &a, &err);
    check(st == WEFT_OK);
    if (size && data[0] == '$') st = read_words(&a, &s, data + 1, size - 1, &warn, &err);
    else
        st = weft_options_yaml(table, &s, &a, "fuzz", (struct weft_str){ (const char *)data, size }, &warn,
                               &err);
    check(st == WEFT_OK || st == WEFT_EARG || st == WEFT_EINPUT || st == WEFT_ELIMIT);
    check((st == WEFT_OK) == !err.msg[0]);
    /* A command line need not be UTF-8; a dump is, so only texts that are come back equal. */
    bool utf8 = weft_utf8_check(weft_str_c(s.text)) == weft_str_c(s.text).len;
    for (size_t i = 0; i < s.list.n; i++)
        utf8 = utf8 && weft_utf8_check(weft_str_c(s.list.items[i])) == strlen(s.list.items[i]);
    if (st == WEFT_OK && utf8) check_dump(&a, &s);
    weft_buf_clear(&warn);
    weft_arena_clear(&a);
    return 0;
}
