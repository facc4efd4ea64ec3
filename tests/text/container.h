/* tests/text/container.h - documents in a zip archive, made in memory and read as text */
#ifndef WEFT_TESTS_TEXT_CONTAINER_H
#define WEFT_TESTS_TEXT_CONTAINER_H

#include "check.h"
#include "zip_make.h"

#include "text/text.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct zip_make make;
    struct weft_text text;
};

#define FIXTURE_CLEAR(f) zip_clear(&(f)->make)
#include "fixture.h"

/* The archive as a file of this name. */
static enum weft_status read_as(struct fixture *f, const char *name)
{
    weft_err_clear(&f->err);
    f->text = (struct weft_text){ 0 };
    return weft_text_from_memory(&f->arena, name, zip_end(&f->make), NULL, &f->text, &f->err);
}

static bool noted(const struct fixture *f, const char *part)
{
    for (size_t i = 0; i < f->text.n_notes; i++)
        if (strstr(f->text.notes[i].s, part)) return true;
    return false;
}

/* The archive in arenas of every size up to `most` bytes: it is read, or memory is said to have given out. */
static void memory_gives_out(const struct fixture *f, size_t most)
{
    struct weft_str whole = weft_buf_view(&f->make.b);
    size_t failed = 0;
    for (size_t max = 64; max < most; max += max / 8) {
        struct weft_arena a = { .max_bytes = max, .block_bytes = 64 };
        struct weft_err err = { 0 };
        struct weft_text t;
        enum weft_status st = weft_text_from_memory(&a, "t", whole, NULL, &t, &err);
        assert_true(st == WEFT_OK || (st == WEFT_ENOMEM && err.msg[0]));
        failed += st != WEFT_OK;
        weft_arena_clear(&a);
    }
    assert_true(failed > 3);
}

#endif
