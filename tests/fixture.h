/* tests/fixture.h - a zeroed fixture for each test, included behind
 *
 *     struct fixture { struct weft_arena arena; ... };
 *     #define FIXTURE_CLEAR(f) weft_search_close((f)->search)     where there is more to clear than the arena
 */
#ifndef WEFT_TESTS_FIXTURE_H
#define WEFT_TESTS_FIXTURE_H

#include "check.h"

#ifndef FIXTURE_CLEAR
#define FIXTURE_CLEAR(f) (void)(f)
#endif

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    FIXTURE_CLEAR(f);
    weft_arena_clear(&f->arena);
    free(f);
    return 0;
}

#endif
