/* Blocks form a stack.  Each starts with its header, padded to 64 bytes, so that every piece is 64-aligned and
 * a whole zmm register can be loaded from the start of any tensor.  Large blocks begin at a huge page and ask for
 * such pages: a packed GEMM panel that crosses fewer pages misses the TLB less.  Their last part stays in small pages:
 * rounded up, a tensor of 3 MiB would take 4. */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Under AddressSanitizer what an arena has not handed out, or has taken back, may not be touched. */
#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif
#ifdef WEFT_ASAN
#include <sanitizer/asan_interface.h>
static void forbid(const void *p, size_t n) { ASAN_POISON_MEMORY_REGION(p, n); }
static void allow(const void *p, size_t n) { ASAN_UNPOISON_MEMORY_REGION(p, n); }
#else
static void forbid(const void *p, size_t n) { (void)p, (void)n; }
static void allow(const void *p, size_t n) { (void)p, (void)n; }
#endif

enum { ALIGN = 64, DEFAULT_BLOCK = 64 << 10, PAGE = 4096, HUGE_PAGE = 2 << 20, MOST_GROWTH = 8 << 20 };

struct weft_arena_block {
    struct weft_arena_block *below;
    size_t bytes, used; /* of the payload */
    char *payload;
};

enum { HEADER = (sizeof(struct weft_arena_block) + ALIGN - 1) / ALIGN * ALIGN };

void weft_arena_init(struct weft_arena *a, size_t block_bytes, size_t max_bytes)
{
    *a = (struct weft_arena){ .block_bytes = block_bytes, .max_bytes = max_bytes };
}

static void free_chain(struct weft_arena_block *b)
{
    while (b) {
        struct weft_arena_block *below = b->below;
        free(b);
        b = below;
    }
}

void weft_arena_clear(struct weft_arena *a)
{
    if (!a) return;
    free_chain(a->top);
    free_chain(a->spare);
    a->top = a->spare = NULL;
    a->held_bytes = a->used_bytes = 0;
}

static struct weft_arena_block *take_spare(struct weft_arena *a, size_t n)
{
    for (struct weft_arena_block **p = &a->spare; *p; p = &(*p)->below)
        if ((*p)->bytes >= n) {
            struct weft_arena_block *b = *p;
            *p = b->below;
            return b;
        }
    return NULL;
}

static struct weft_arena_block *new_block(struct weft_arena *a, size_t n)
{
    size_t bytes = weft_max_size(n, a->block_bytes ? a->block_bytes : (size_t)DEFAULT_BLOCK), whole,
           align = ALIGN;
    if (a->grows) bytes = weft_max_size(bytes, weft_min_size(a->held_bytes, MOST_GROWTH));
    if (!weft_size_add(bytes, HEADER, &whole)) return NULL;
    if (whole >= HUGE_PAGE) align = HUGE_PAGE;
    if (!weft_size_align(whole, align == HUGE_PAGE ? PAGE : ALIGN, &whole)) return NULL;
    if (a->max_bytes && (whole > a->max_bytes || a->held_bytes > a->max_bytes - whole)) return NULL;
    void *memory = NULL;
    if (posix_memalign(&memory, align, whole)) return NULL;
    struct weft_arena_block *b = memory;
    if (align == HUGE_PAGE) madvise(b, whole, MADV_HUGEPAGE); /* advice only: a refusal changes nothing */
    b->bytes = whole - HEADER;
    b->payload = (char *)b + HEADER;
    forbid(b->payload, b->bytes);
    a->held_bytes += whole;
    return b;
}

/* A block with room for n bytes becomes the one being filled. */
static struct weft_arena_block *push_block(struct weft_arena *a, size_t n)
{
    size_t need;
    if (!weft_size_align(n, ALIGN, &need)) return NULL;
    struct weft_arena_block *b = take_spare(a, need);
    if (!b) b = new_block(a, need);
    if (!b) return NULL;
    b->used = 0;
    b->below = a->top;
    a->top = b;
    return b;
}

/* n > 0 bytes at a multiple of `align`, which is 1 or ALIGN. */
static void *take(struct weft_arena *a, size_t n, size_t align)
{
    struct weft_arena_block *b = a->top;
    size_t start = b ? (b->used + align - 1) & ~(align - 1) : 0;
    if (!b || start > b->bytes || b->bytes - start < n) {
        b = push_block(a, n);
        if (!b) return NULL;
        start = 0;
    }
    char *p = b->payload + start;
    allow(p, n);
    a->used_bytes += start + n - b->used;
    b->used = start + n;
    if (a->used_bytes > a->peak_bytes) a->peak_bytes = a->used_bytes;
    return p;
}

void *weft_arena_alloc(struct weft_arena *a, size_t n) { return take(a, weft_max_size(n, 1), ALIGN); }

void *weft_arena_calloc(struct weft_arena *a, size_t count, size_t size)
{
    size_t n;
    if (!weft_size_mul(count, size, &n)) return NULL;
    void *p = weft_arena_alloc(a, n);
    if (p) memset(p, 0, n);
    return p;
}

char *weft_arena_strndup(struct weft_arena *a, const char *s, size_t n)
{
    size_t bytes;
    if (!weft_size_add(n, 1, &bytes)) return NULL;
    char *p = take(a, bytes, 1);
    if (!p) return NULL;
    if (n) memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *weft_arena_rest(struct weft_arena *a, size_t least, size_t *room)
{
    struct weft_arena_block *b = a->top;
    if (!b || b->bytes - b->used < least) b = push_block(a, weft_max_size(least, 1));
    if (!b) return NULL;
    *room = b->bytes - b->used;
    allow(b->payload + b->used, *room);
    return b->payload + b->used;
}

void weft_arena_took(struct weft_arena *a, size_t n)
{
    struct weft_arena_block *b = a->top;
    b->used += n;
    a->used_bytes += n;
    if (a->used_bytes > a->peak_bytes) a->peak_bytes = a->used_bytes;
    forbid(b->payload + b->used, b->bytes - b->used);
}

bool weft_arena_adopt(struct weft_arena *a, struct weft_arena *from)
{
    if (a->max_bytes && (from->held_bytes > a->max_bytes || a->held_bytes > a->max_bytes - from->held_bytes))
        return false;
    struct weft_arena_block **end = &from->top, **spare = &from->spare;
    while (*end) end = &(*end)->below;
    while (*spare) spare = &(*spare)->below;
    *end = a->top;
    *spare = a->spare;
    a->top = from->top;
    a->spare = from->spare;
    a->held_bytes += from->held_bytes;
    a->used_bytes += from->used_bytes;
    a->peak_bytes = weft_max_size(a->peak_bytes, a->used_bytes);
    from->top = from->spare = NULL;
    from->held_bytes = from->used_bytes = 0;
    return true;
}

struct weft_arena_mark weft_arena_mark(const struct weft_arena *a)
{
    return (struct weft_arena_mark){ a->top, a->top ? a->top->used : 0, a->used_bytes };
}

void weft_arena_release(struct weft_arena *a, struct weft_arena_mark mark)
{
    while (a->top != mark.top) {
        struct weft_arena_block *b = a->top;
        a->top = b->below;
        b->below = a->spare;
        a->spare = b;
        forbid(b->payload, b->bytes);
    }
    if (a->top) {
        a->top->used = mark.top_used;
        forbid(a->top->payload + mark.top_used, a->top->bytes - mark.top_used);
    }
    a->used_bytes = mark.used_bytes;
}
