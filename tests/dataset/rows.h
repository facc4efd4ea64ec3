/* tests/dataset/rows.h - an arena, an error and rows from JSON lines, for tests about rows */
#ifndef WEFT_TESTS_DATASET_ROWS_H
#define WEFT_TESTS_DATASET_ROWS_H

#include "check.h"

#include "dataset/formats.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
};

#include "fixture.h"

static struct weft_rows parse(struct fixture *f, const char *lines)
{
    struct weft_rows rows = { 0 };
    struct weft_str own = weft_str_dup(&f->arena, weft_str_c(lines));
    check_ok(weft_rows_parse(&f->arena, "x", own, NULL, &rows, NULL, NULL, &f->err), &f->err);
    return rows;
}

#endif
