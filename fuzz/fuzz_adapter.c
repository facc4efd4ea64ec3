/* A folder as PEFT writes it: adapter_config.json up to the first zero byte, adapter_model.safetensors behind it.  What
 * loads computes, is written, and loads again; what does not leaves the adapter before in place. */
#include "adapter/lora.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(bool ok)
{
    if (!ok) abort();
}

/* One model for all inputs: making it is most of the work. */
static struct weft_model *model;
static struct weft_compute compute;
static char dir[64], config_path[128], tensors_path[128], info_path[128];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct weft_config c;
    (void)argc, (void)argv;
    check(weft_config_preset("tiny", &c, NULL, NULL));
    c.vocab_size = 7, c.hidden_size = 4, c.intermediate_size = 6, c.n_layers = 1, c.n_heads = 2, c.n_kv_heads = 1;
    c.head_dim = 2, c.max_position_embeddings = 16;
    check(weft_model_random(&model, &c, 1, NULL, NULL) == WEFT_OK);
    check(weft_compute_init(&compute, "ref", NULL, NULL) == WEFT_OK);
    snprintf(dir, sizeof dir, "/tmp/weft-fuzz-adapter-XXXXXX");
    check(mkdtemp(dir) != NULL);
    snprintf(config_path, sizeof config_path, "%s/adapter_config.json", dir);
    snprintf(tensors_path, sizeof tensors_path, "%s/adapter_model.safetensors", dir);
    snprintf(info_path, sizeof info_path, "%s/weft.json", dir);
    return 0;
}

/* As a reader sees it, without the syncs of weft_file_write. */
static void put(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    check(f && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

static void run_model(float logits[7])
{
    static const int32_t ids[] = { 1, 3, 6 }, pos[] = { 0, 1, 2 }, cu[] = { 0, 3 }, row = 2;
    struct weft_batch b = { .ids = ids, .pos = pos, .cu = cu, .n_tokens = 3, .n_seqs = 1 };
    struct weft_pass_settings settings = { .max_tokens = 3 };
    struct weft_pass *pass;
    check(weft_pass_new(&pass, &compute, model, &settings, NULL) == WEFT_OK);
    check(weft_model_logits(model, pass, &b, &row, 1, logits, NULL) == WEFT_OK);
    weft_pass_free(pass);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    const uint8_t *zero = memchr(data, 0, size);
    size_t n = zero ? (size_t)(zero - data) : size;
    float logits[7], again[7];
    put(config_path, data, n);
    put(tensors_path, zero ? zero + 1 : data, zero ? size - n - 1 : 0);
    unlink(info_path);
    enum weft_status st = weft_lora_load(&a, model, dir, NULL, NULL, &err);
    if (st) {
        check((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err.msg[0]);
    } else {
        run_model(logits);
        st = weft_lora_save(model, dir, NULL, &err);
        /* an empty adapter has nothing to save */
        if (!st) {
            check(weft_lora_load(&a, model, dir, NULL, NULL, &err) == WEFT_OK);
            run_model(again);
            for (int i = 0; i < 7; i++)
                check(logits[i] == again[i] || !(logits[i] - again[i] > 1e-3f || again[i] - logits[i] > 1e-3f));
        }
    }
    /* back to the base, whatever hung there */
    check(weft_lora_attach(&a, model, &(struct weft_lora_settings){ .rank = 1 }, NULL, &err) == WEFT_OK);
    for (size_t i = 0; i < weft_model_n_linears(model); i++) weft_model_linear(model, i)->branch = NULL;
    weft_arena_clear(&a);
    return 0;
}
