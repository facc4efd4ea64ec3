/* tests/dataset/rows.h - an arena, an error and rows from JSON lines, for tests about rows */
#ifndef WEFT_TESTS_DATASET_ROWS_H
#define WEFT_TESTS_DATASET_ROWS_H

#include "check.h"

#include "dataset/formats.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_arena_clear(&f->arena);
    free(f);
    return 0;
}

static struct weft_rows parse(struct fixture *f, const char *lines)
{
    struct weft_rows rows = { 0 };
    struct weft_str own = weft_str_dup(&f->arena, weft_str_c(lines));
    check_ok(weft_rows_parse(&f->arena, "x", own, NULL, &rows, NULL, NULL, &f->err), &f->err);
    return rows;
}

#endif
