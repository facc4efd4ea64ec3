/* The nth allocation fails, for n = 1, 2, 3 ...: every public call of model/ and adapter/ reports it, gives
 * back what it took, and works the next time.  The allocator of this program is replaced; sanitizers bring
 * their own, so that the test is skipped there. */
#include "adapter/lora.h"
#include "model/generate.h"
#include "model/models.h"

#include <errno.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
int main(void) { return 0; }
#else

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);
extern void __libc_free(void *p);

static long fail_at;        /* 0: never; counts down at every allocation */
static long balance;        /* blocks given out and not yet freed */

static bool refuse(void) { return fail_at > 0 && --fail_at == 0; }
static void *count(void *p)
{
    balance += p != NULL;
    return p;
}

void *malloc(size_t n) { return refuse() ? (errno = ENOMEM, NULL) : count(__libc_malloc(n)); }
void *calloc(size_t n, size_t size) { return refuse() ? (errno = ENOMEM, NULL) : count(__libc_calloc(n, size)); }
int posix_memalign(void **out, size_t align, size_t n)
{
    *out = refuse() ? NULL : count(__libc_memalign(align, n));
    return *out ? 0 : ENOMEM;
}
void *realloc(void *p, size_t n)
{
    if (refuse()) return errno = ENOMEM, NULL;
    void *q = __libc_realloc(p, n);
    balance += q && !p;
    return q;
}
void free(void *p)
{
    balance -= p != NULL;
    __libc_free(p);
}

static char model_dir[256], adapter_dir[256], out_dir[256];

static enum weft_status load(struct weft_err *err)
{
    struct weft_model *m;
    enum weft_status st = weft_model_load(&m, model_dir, NULL, err);
    weft_model_free(m);
    return st;
}

static enum weft_status load_and_save(struct weft_err *err)
{
    struct weft_model *m;
    enum weft_status st = weft_model_load(&m, model_dir, NULL, err);
    if (!st) st = weft_model_save(m, out_dir, WEFT_BF16, false, NULL, err);
    weft_model_free(m);
    return st;
}

static enum weft_status adapters(struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_model *m;
    struct weft_params params = { 0 };
    char fingerprint[WEFT_SHA256_HEX];
    enum weft_status st = weft_model_load(&m, model_dir, NULL, err);
    static const char *const tables[] = { "embed_tokens", "lm_head" };
    struct weft_lora_settings how = { .rank = 2, .dora = true, .tables = tables, .n_tables = 2 };
    if (!st) st = weft_lora_attach(&a, m, &(struct weft_lora_settings){ .rank = 2 }, &params, err);
    if (!st) st = weft_lora_attach(&a, m, &how, &params, err);
    if (!st) st = weft_lora_save(m, out_dir, NULL, err);
    if (!st) st = weft_lora_load(&a, m, out_dir, NULL, NULL, err);
    how = (struct weft_lora_settings){ .rank = 2, .pissa = true, .pissa_iter = 1 };
    if (!st) st = weft_lora_attach(&a, m, &how, &params, err);
    if (!st) st = weft_lora_load(&a, m, adapter_dir, NULL, NULL, err);
    if (!st) st = weft_model_fingerprint(m, fingerprint, err);
    if (!st) st = weft_lora_save(m, out_dir, &(struct weft_lora_info){ .base_sha256 = fingerprint }, err);
    weft_model_free(m);
    weft_arena_clear(&a);
    return st;
}

static enum weft_status compute(struct weft_err *err)
{
    static const int32_t ids[] = { 1, 2, 3, 4 }, pos[] = { 0, 1, 2, 3 }, cu[] = { 0, 4 };
    const struct weft_batch b = {
        .ids = ids, .labels = ids, .pos = pos, .cu = cu, .n_tokens = 4, .n_seqs = 1, .n_labels = 4
    };
    struct weft_arena a = { 0 };
    struct weft_compute c = { 0 };
    struct weft_model *m;
    struct weft_params params = { 0 };
    struct weft_pass *pass = NULL;
    struct weft_kv *kv = NULL;
    struct weft_sampler *sampler = NULL;
    struct weft_loss loss;
    float logits[64];
    enum weft_status st = weft_model_load(&m, model_dir, NULL, err);
    if (!st) st = weft_compute_init(&c, NULL, NULL, err);
    if (!st) st = weft_model_train_all(m, &a, &params, err);
    if (!st) st = weft_pass_new(&pass, &c, m, &(struct weft_pass_settings){ .max_tokens = 4, .backward = true }, err);
    if (!st) st = weft_model_loss_backward(m, pass, &b, 1, 0, 0, &loss, NULL, NULL, err);
    if (!st) st = weft_kv_new(&kv, &c, m, 8, 0, err);
    if (!st) st = weft_kv_append(kv, ids, 4, logits, err);
    if (!st)
        st = weft_sampler_new(&sampler, 61, 61,
                              &(struct weft_sample_settings){ .top_p = 1, .repetition_penalty = 1 }, err);
    weft_sampler_free(sampler);
    weft_kv_free(kv);
    weft_pass_free(pass);
    weft_model_free(m);
    weft_compute_clear(&c);
    weft_arena_clear(&a);
    return st;
}

/* `kept`: blocks that libraries may keep after a failure. */
static void check_every_failure(enum weft_status (*work)(struct weft_err *err), long kept)
{
    struct weft_err err = { 0 };
    check_ok(work(&err), &err);         /* whatever is allocated once for ever is there now */
    for (long n = 1;; n++) {
        err = (struct weft_err){ 0 };
        long before = balance;
        fail_at = n;
        enum weft_status st = work(&err);
        bool done = fail_at > 0;
        fail_at = 0;
        if (balance < before || balance > before + kept)
            fail_msg("allocation %ld: %ld blocks are lost", n, balance - before);
        if (done) {
            check_ok(st, &err);
            print_message("%ld allocations\n", n - 1);
            return;
        }
        /* OK: a way without that memory was found (libc's sort, packed panels) */
        if (st != WEFT_OK && !err.msg[0]) fail_msg("allocation %ld failed and nobody said so (status %d)", n, st);
    }
}

static void test_loading(void **state) { check_every_failure(load, 0); }
static void test_saving(void **state) { check_every_failure(load_and_save, 0); }
static void test_adapters(void **state) { check_every_failure(adapters, 4); }      /* libcrypto notes its errors */
static void test_computing(void **state) { check_every_failure(compute, 0); }

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_loading), cmocka_unit_test(test_saving),
                                        cmocka_unit_test(test_adapters), cmocka_unit_test(test_computing) };
    snprintf(model_dir, sizeof model_dir, "%s/tests/model/data/untied", WEFT_SOURCE_DIR);
    snprintf(adapter_dir, sizeof adapter_dir, "%s/tests/adapter/data/patterns", WEFT_SOURCE_DIR);
    const char *dir = check_folder();
    snprintf(out_dir, sizeof out_dir, "%s", dir);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    check_folder_gone(dir);
    return failed;
}
#endif
