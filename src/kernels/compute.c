/* Which level runs, and the scratch memory of a compute. */
#include "kernels/table.h"

#include "base/size.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* Registers that the operating system saves: without it a wide register loses its upper half at a task switch. */
static uint64_t saved_registers(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

unsigned weft_isa_supported(void)
{
    enum { XMM_YMM = 0x6, ZMM = 0xE6 };
    unsigned a, b, c, d, set = 1u << WEFT_ISA_REF;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return set;
    bool osxsave = c >> 27 & 1, avx = c >> 28 & 1, fma = c >> 12 & 1, f16c = c >> 29 & 1;
    if (!osxsave || !avx || !fma || !f16c || (saved_registers() & XMM_YMM) != XMM_YMM) return set;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b >> 5 & 1)) return set;
    set |= 1u << WEFT_ISA_AVX2;
    bool f = b >> 16 & 1, dq = b >> 17 & 1, bw = b >> 30 & 1, vl = b >> 31 & 1;
    if (!f || !dq || !bw || !vl || (saved_registers() & ZMM) != ZMM) return set;
    set |= 1u << WEFT_ISA_AVX512;
    bool vnni = c >> 11 & 1;
    if (vnni && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 5 & 1) set |= 1u << WEFT_ISA_AVX512BF16;
    return set;
}

/* vdpbf16ps at full rate: AMD since Zen 4 (see kernels.h). */
static bool bf16_dot_is_fast(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx && c == signature_AMD_ecx && d == signature_AMD_edx;
}
#else
unsigned weft_isa_supported(void) { return 1u << WEFT_ISA_REF; }
static bool bf16_dot_is_fast(void) { return false; }
#endif

static const char *const isa_names[WEFT_N_ISA] = { "ref", "avx2", "avx512", "avx512bf16" };

bool weft_compute_rounds(const struct weft_compute *c) { return c->k->gemm && c->k->gemm->unit_len == 2; }

bool weft_compute_has_int8(const struct weft_compute *c) { return c->k->int8 != NULL; }

const char *weft_isa_name(enum weft_isa isa) { return isa_names[isa]; }

void weft_kernels_init(struct weft_kernels *k, enum weft_isa isa)
{
    weft_kernels_ref(k);
#if defined(__x86_64__)
    if (isa >= WEFT_ISA_AVX2) weft_kernels_avx2(k);
    if (isa >= WEFT_ISA_AVX512) weft_kernels_avx512(k);
    if (isa >= WEFT_ISA_AVX512BF16) weft_kernels_avx512bf16(k);
#endif
}

static enum weft_status choose(const char *name, enum weft_isa *isa, struct weft_err *err)
{
    unsigned set = weft_isa_supported();
    if (!name || !strcmp(name, "auto")) {
        *isa = WEFT_ISA_REF;
        for (int i = WEFT_ISA_REF; i < WEFT_N_ISA; i++)
            if (set >> i & 1 && (i != WEFT_ISA_AVX512BF16 || bf16_dot_is_fast())) *isa = (enum weft_isa)i;
        return WEFT_OK;
    }
    for (int i = WEFT_ISA_REF; i < WEFT_N_ISA; i++) {
        if (strcmp(name, isa_names[i]) != 0) continue;
        *isa = (enum weft_isa)i;
        if (set >> i & 1) return WEFT_OK;
        return weft_fail(err, WEFT_EDEVICE,
                         "this processor cannot run the kernels of level %s; the best it has is %s, and "
                         "\"auto\" chooses by itself",
                         name, isa_names[31 - __builtin_clz(set)]);
    }
    return weft_fail(err, WEFT_EARG,
                     "there is no kernel level \"%s\"; expected auto, ref, avx2, avx512 or avx512bf16", name);
}

enum weft_status weft_compute_init(struct weft_compute *c, const char *isa_name, struct weft_pool *pool,
                                   struct weft_err *err)
{
    *c = (struct weft_compute){ .pool = pool };
    enum weft_status st = choose(isa_name, &c->isa, err);
    if (st) return st;
    struct weft_kernels *k = WEFT_NEW(&c->arena, struct weft_kernels);
    c->scratch = WEFT_NEWS(&c->arena, void *, (size_t)weft_pool_threads(pool));
    if (!k || !c->scratch) {
        weft_compute_clear(c);
        return weft_fail_nomem(err, sizeof *k, "the kernel table");
    }
    weft_kernels_init(k, c->isa);
    c->k = k;
    return WEFT_OK;
}

void weft_compute_clear(struct weft_compute *c)
{
    weft_arena_clear(&c->arena);
    *c = (struct weft_compute){ 0 };
}

struct weft_compute weft_compute_counter(const struct weft_compute *c, struct weft_compute_bytes *most)
{
    static char nowhere[64];            /* addresses are made from it and not used */
    static void *const none[1] = { nowhere };
    struct weft_compute counter = *c;
    counter.counted = most;
    counter.profile = NULL;
    counter.scratch = (void **)none;
    counter.shared = nowhere;
    return counter;
}

static bool scratch_bytes(const struct weft_compute *c, size_t bytes, size_t *each, size_t *all)
{
    return weft_size_align(bytes, 4096, each) && weft_size_mul(*each, (size_t)weft_pool_threads(c->pool), all);
}

size_t weft_compute_missing(const struct weft_compute *c, const struct weft_compute_bytes *most)
{
    size_t each, all = 0;
    if (most->scratch > c->scratch_bytes && !scratch_bytes(c, most->scratch, &each, &all)) return SIZE_MAX / 2;
    return all + (most->shared > c->shared_bytes ? most->shared : 0);
}

static bool take_scratch(struct weft_compute *c, size_t bytes)
{
    size_t each, all;
    if (!scratch_bytes(c, bytes, &each, &all)) return false;
    char *p = weft_arena_alloc(&c->arena, all);
    if (!p) return false;
    for (size_t t = 0; t < (size_t)weft_pool_threads(c->pool); t++) c->scratch[t] = p + t * each;
    c->scratch_bytes = each;
    return true;
}

static bool take_shared(struct weft_compute *c, size_t bytes)
{
    void *p = weft_arena_alloc(&c->arena, bytes);
    if (!p) return false;
    c->shared = p;
    c->shared_bytes = bytes;
    return true;
}

bool weft_compute_reserve(struct weft_compute *c, const struct weft_compute_bytes *most)
{
    return (most->scratch <= c->scratch_bytes || take_scratch(c, most->scratch))
           && (most->shared <= c->shared_bytes || take_shared(c, most->shared));
}

/* Unless reserved, sizes at least double, so that what older, smaller pieces waste in the arena stays below the size in
 * use. */
bool weft_compute_need_scratch(struct weft_compute *c, size_t bytes)
{
    if (c->counted) c->counted->scratch = weft_max_size(c->counted->scratch, bytes);
    return c->counted || bytes <= c->scratch_bytes || take_scratch(c, weft_max_size(bytes, 2 * c->scratch_bytes));
}

bool weft_compute_need_shared(struct weft_compute *c, size_t bytes)
{
    if (c->counted) c->counted->shared = weft_max_size(c->counted->shared, bytes);
    return c->counted || bytes <= c->shared_bytes || take_shared(c, weft_max_size(bytes, 2 * c->shared_bytes));
}
