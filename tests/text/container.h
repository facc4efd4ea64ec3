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

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_arena_clear(&f->arena);
    zip_clear(&f->make);
    free(f);
    return 0;
}

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

#endif
