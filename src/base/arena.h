/* base/arena.h - memory by lifetime
 *
 * An arena hands out pieces of growing blocks and frees them all at once.  Lifetimes: process, job, request,
 * step.  Whoever creates an arena frees it; whoever is handed one allocates and never frees.
 * A step marks its scratch arena, works, and releases to the mark: once warm it calls no malloc.
 * Threads: an arena belongs to one thread at a time.
 */
#ifndef WEFT_BASE_ARENA_H
#define WEFT_BASE_ARENA_H

#include "base/size.h"

struct weft_arena_block;

struct weft_arena {
    struct weft_arena_block *top;   /* the block being filled; older blocks hang below it */
    struct weft_arena_block *spare; /* released blocks kept for reuse */
    size_t max_bytes;               /* 0: no limit */
    size_t block_bytes;             /* smallest block to ask for; 0 means 64 KiB */
    bool grows;                     /* blocks grow with the arena, up to 8 MiB: many small pieces then cost few page
                                     * faults, and as much again may be asked for as is used */
    size_t held_bytes;              /* asked from the system now */
    size_t used_bytes, peak_bytes;  /* handed out now, and at most so far */
};

struct weft_arena_mark {
    struct weft_arena_block *top;
    size_t top_used, used_bytes;
};

/* A zeroed struct is a valid empty arena without a limit; init only sets the two sizes. */
void weft_arena_init(struct weft_arena *a, size_t block_bytes, size_t max_bytes);
void weft_arena_clear(struct weft_arena *a); /* frees everything; the struct may be used again */

/* `n` bytes aligned to 64, uninitialised; n == 0 gives a valid pointer.  NULL: no memory or over max_bytes. */
WEFT_MUST_USE void *weft_arena_alloc(struct weft_arena *a, size_t n);

/* count * size bytes, zeroed; NULL also when the product overflows. */
WEFT_MUST_USE void *weft_arena_calloc(struct weft_arena *a, size_t count, size_t size);

/* A copy of n bytes with a final NUL.  Text is not aligned: short strings stand close together. */
WEFT_MUST_USE char *weft_arena_strndup(struct weft_arena *a, const char *s, size_t n);

/* What is left of the block that is being filled, or, where that is less than `least`, a new one: for text whose length
 * shows only when it has been written.  `*room` bytes, not aligned, to be written before anything else is asked of the
 * arena.  weft_arena_took must follow: the first n of them are handed out then (0: none).  NULL, and nothing to follow:
 * no memory or over max_bytes. */
WEFT_MUST_USE char *weft_arena_rest(struct weft_arena *a, size_t least, size_t *room);
void weft_arena_took(struct weft_arena *a, size_t n);

/* All that `from` holds becomes part of `a`, as if handed out by it last; `from` is empty then.  For work that several
 * threads did in arenas of their own.  False, and nothing changed: it would be more than a->max_bytes. */
WEFT_MUST_USE bool weft_arena_adopt(struct weft_arena *a, struct weft_arena *from);

struct weft_arena_mark weft_arena_mark(const struct weft_arena *a);
/* Everything handed out since the mark is gone; its blocks stay with the arena for reuse. */
void weft_arena_release(struct weft_arena *a, struct weft_arena_mark mark);

/* Typed forms: an array of n zeroed T, or NULL. */
#define WEFT_NEW(arena, T) ((T *)weft_arena_calloc((arena), 1, sizeof(T)))
#define WEFT_NEWS(arena, T, n) ((T *)weft_arena_calloc((arena), (n), sizeof(T)))

#endif
