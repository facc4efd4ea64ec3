#include "model/models.h"

#include "base/json.h"
#include "model/gguf.h"
#include "model/slots.h"
#include "tokens/chat.h"

static char dir[] = "/tmp/weft-gguf-XXXXXX";

static int setup(void **state) { return mkdtemp(dir) ? 0 : -1; }
static int teardown(void **state)
{
    struct weft_err err = { 0 };
    return weft_dir_remove(dir, &err) ? -1 : 0;
}

/* ---- models ---- */

/* Rows that all formats can cut: 64 and 160 wide. */
static struct weft_config shape(const char *model_type)
{
    struct weft_config c = small_config();
    c.model_type = model_type;
    c.hidden_size = 64;
    c.intermediate_size = 160;
    c.n_heads = 4;
    c.n_kv_heads = 2;
    c.head_dim = 16;
    c.tie_word_embeddings = !strcmp(model_type, "qwen2") || !strcmp(model_type, "qwen3");
    c.qkv_bias = !strcmp(model_type, "qwen2");
    c.qk_norm = !strcmp(model_type, "qwen3");
    c.pad_token_id = -1;
    c.rope.theta = 10000;
    if (c.qk_norm) c.head_dim = 24;
    if (!strcmp(model_type, "mistral")) {
        c.sliding_window = 8;
        weft_config_slide_from(&c, 0);
    }
    return c;
}

/* Random weights with biases and norms that are not all alike. */
static struct weft_model *random_model(const struct weft_config *c, struct weft_arena *a)
{
    struct weft_model *m = NULL;
    struct weft_err err = { 0 };
    struct weft_slot *slots;
    struct weft_rng rng;
    size_t n;
    check_ok(weft_model_random(&m, c, 7, &(struct weft_model_settings){ .random_type = WEFT_F32, .exact = true }, &err),
             &err);
    check_ok(weft_model_slots(m, a, &slots, &n, &err), &err);
    weft_rng_init(&rng, 3, WEFT_RNG_TEST, 5);
    for (size_t i = 0; i < n; i++)
        if (slots[i].kind == WEFT_SLOT_BIAS || slots[i].kind == WEFT_SLOT_NORM)
            for (size_t k = 0; k < slots[i].cols; k++)
                ((float *)(uintptr_t)slots[i].w)[k] += 0.2f * weft_rng_normal(&rng);
    return m;
}

static const char *write_model(const struct weft_model *m, const char *name, const char *type)
{
    struct weft_err err = { 0 };
    const char *path = check_path(dir, name);
    check_ok(weft_gguf_write(m, path, &(struct weft_gguf_save){ .type = type, .name = "t" }, &err), &err);
    return path;
}

/* A model that is drawn while it is written is the random model of that seed, whatever the file. */
static void test_a_model_of_any_size_is_drawn_while_it_is_written(void **state)
{
    static const char *const types[] = { "qwen2", "qwen3", "llama" };
    static const char *const files[] = { "F32", "BF16", "Q4_0" };
    struct weft_err err = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(types); i++) {
        struct weft_config c = shape(types[i]);
        struct weft_model *held = NULL, *drawn = NULL;
        struct weft_arena a = { 0 };
        struct weft_str want, got;
        c.vocab_size = 16601;           /* more than one piece, cut within what four normals are drawn for */
        check_ok(
            weft_model_random(&held, &c, 11, &(struct weft_model_settings){ .random_type = WEFT_F32 }, &err),
            &err);
        check_ok(weft_model_drawn(&drawn, &c, 11, &err), &err);
        assert_null(drawn->embed);
        check_ok(weft_file_read(&a, write_model(held, "held.gguf", files[i]), 0, &want, &err), &err);
        check_ok(weft_file_read(&a, write_model(drawn, "drawn.gguf", files[i]), 0, &got, &err), &err);
        assert_int_equal(want.len, got.len);
        assert_memory_equal(want.s, got.s, want.len);
        check_ok(weft_dir_make(check_path(dir, "held"), &err), &err);
        check_ok(weft_dir_make(check_path(dir, "drawn"), &err), &err);
        check_ok(weft_model_save(held, check_path(dir, "held"), WEFT_BF16, false, NULL, &err), &err);
        check_ok(weft_model_save(drawn, check_path(dir, "drawn"), WEFT_BF16, false, NULL, &err), &err);
        check_ok(weft_file_read(&a, check_path(dir, "held/model.safetensors"), 0, &want, &err), &err);
        check_ok(weft_file_read(&a, check_path(dir, "drawn/model.safetensors"), 0, &got, &err), &err);
        assert_int_equal(want.len, got.len);
        assert_memory_equal(want.s, got.s, want.len);
        weft_model_free(held);
        weft_model_free(drawn);
        weft_arena_clear(&a);
    }
}

static struct weft_model *load(const char *path, bool f32)
{
    struct weft_model *m = NULL;
    struct weft_err err = { 0 };
    check_ok(weft_model_load(&m, path, &(struct weft_model_settings){ .f32 = f32, .exact = true }, &err), &err);
    return m;
}

/* Logits of every token of a few sequences. */
static float *logits_of(struct weft_model *m, struct weft_arena *a, size_t *n)
{
    static const uint32_t lengths[] = { 1, 9, 20 };
    struct weft_err err = { 0 };
    struct weft_compute c;
    struct weft_pass *pass = NULL;
    struct weft_batch b = random_batch(a, lengths, 3, m->config.vocab_size, 2);
    int32_t *rows = WEFT_NEWS(a, int32_t, b.n_tokens);
    *n = b.n_tokens * m->config.vocab_size;
    float *logits = WEFT_NEWS(a, float, *n);
    for (size_t i = 0; i < b.n_tokens; i++) rows[i] = (int32_t)i;
    check_ok(weft_compute_init(&c, NULL, NULL, &err), &err);
    check_ok(weft_pass_new(&pass, &c, m, &(struct weft_pass_settings){ .max_tokens = b.n_tokens }, &err), &err);
    check_ok(weft_model_logits(m, pass, &b, rows, b.n_tokens, logits, &err), &err);
    weft_pass_free(pass);
    weft_compute_clear(&c);
    return logits;
}

static void same_config(const struct weft_config *a, const struct weft_config *b)
{
    struct weft_buf x = { 0 }, y = { 0 };
    struct weft_err err = { 0 };
    struct weft_config ca = *a, cb = *b;
    ca.dtype = cb.dtype = WEFT_F32;
    ca.initializer_range = cb.initializer_range = 0.02f;
    check_ok(weft_config_write(&ca, &x, &err), &err);
    check_ok(weft_config_write(&cb, &y, &err), &err);
    weft_buf_char(&y, '\0');
    check_str(weft_buf_view(&x), y.s);
    weft_buf_clear(&x);
    weft_buf_clear(&y);
}

static void round_trip(const struct weft_config *c)
{
    struct weft_arena a = { 0 };
    struct weft_model *m = random_model(c, &a);
    size_t n, n_slots, n_back_slots;
    struct weft_slot *slots, *back_slots;
    struct weft_err err = { 0 };
    float *want = logits_of(m, &a, &n);
    struct weft_model *back = load(write_model(m, "whole.gguf", "F32"), false);
    same_config(&m->config, &back->config);
    check_ok(weft_model_slots(m, &a, &slots, &n_slots, &err), &err);
    check_ok(weft_model_slots(back, &a, &back_slots, &n_back_slots, &err), &err);
    assert_int_equal(n_slots, n_back_slots);
    for (size_t i = 0; i < n_slots; i++) {
        assert_string_equal(slots[i].name, back_slots[i].name);
        assert_memory_equal(slots[i].w, back_slots[i].w, slots[i].rows * slots[i].cols * sizeof(float));
    }
    assert_memory_equal(want, logits_of(back, &a, &n), n * sizeof *want);
    weft_model_free(m);
    weft_model_free(back);
    weft_arena_clear(&a);
}

static void test_every_architecture_comes_back_as_it_was(void **state)
{
    static const char *const types[] = { "llama", "mistral", "qwen2", "qwen3" };
    for (size_t i = 0; i < WEFT_COUNT(types); i++) {
        struct weft_config c = shape(types[i]);
        round_trip(&c);
    }
}

static void test_ways_to_scale_rope_come_back(void **state)
{
    struct weft_config c = shape("llama");
    c.rope = (struct weft_rope_config){ .type = WEFT_ROPE_LLAMA3, .theta = 500000, .factor = 32, .low_freq_factor = 1,
        .high_freq_factor = 4, .original_max_position_embeddings = 8192 };
    round_trip(&c);
    c.rope = (struct weft_rope_config){ .type = WEFT_ROPE_LINEAR, .theta = 10000, .factor = 2 };
    round_trip(&c);
    c = shape("qwen2");
    c.rope = (struct weft_rope_config){ .type = WEFT_ROPE_YARN, .theta = 1000000, .factor = 4, .beta_fast = 32,
        .beta_slow = 1, .truncate = true, .original_max_position_embeddings = 64 };
    round_trip(&c);
}

/* Quantised files are used where they lie: the logits are those of the model that the values say. */
static void test_quantised_files_answer_from_the_file(void **state)
{
    static const struct {
        const char *type;
        double error;
    } types[] = { { "Q8_0", 0.0053 }, { "Q4_0", 0.087 }, { "BF16", 0.0017 }, { "F16", 0.00021 } };
    struct weft_config c = shape("llama");
    struct weft_arena a = { 0 };
    struct weft_model *m = random_model(&c, &a);
    struct weft_err err = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(types); i++) {
        const char *path = write_model(m, "q.gguf", types[i].type);
        struct weft_model *mapped = load(path, false), *widened = load(path, true);
        size_t n;
        float *got = logits_of(mapped, &a, &n), *want = logits_of(widened, &a, &n);
        assert_true(rel_l2(got, want, n) < 1e-6);
        const struct weft_linear *l = &mapped->layers[1].up, *w = &widened->layers[1].up;
        assert_int_equal(w->type, WEFT_F32);
        assert_int_equal(l->type, i < 2 ? WEFT_QUANT : i == 2 ? WEFT_BF16 : WEFT_F16);
        if (i < 2) {
            const unsigned char *data = ((const struct weft_quant *)l->w)->data;
            assert_true(data > mapped->gguf->map.p && data < mapped->gguf->map.p + mapped->gguf->map.len);
        }
        double error = rel_l2(w->w, m->layers[1].up.w, w->n_in * w->n_out);
        if (fabs(error - types[i].error) > 0.15 * types[i].error) print_message("%s: %g\n", types[i].type, error);
        assert_true(fabs(error - types[i].error) <= 0.15 * types[i].error);
        assert_null(weft_model_nonfinite(mapped, &a));
        char one[WEFT_SHA256_HEX], two[WEFT_SHA256_HEX];
        check_ok(weft_model_fingerprint(mapped, one, &err), &err);
        weft_model_free(mapped);
        mapped = load(path, false);
        check_ok(weft_model_fingerprint(mapped, two, &err), &err);
        assert_string_equal(one, two);
        weft_model_free(mapped);
        weft_model_free(widened);
    }
    weft_model_free(m);
    weft_arena_clear(&a);
}

static void test_rows_that_no_block_fits_become_f16(void **state)
{
    struct weft_config c = small_config();              /* 60 and 172 wide */
    struct weft_arena a = { 0 };
    struct weft_model *m = random_model(&c, &a), *back = load(write_model(m, "odd.gguf", "Q8_0"), false);
    assert_int_equal(back->layers[0].up.type, WEFT_F16);
    assert_true(rel_l2(back->layers[0].input_norm.w, m->layers[0].input_norm.w, 60) == 0);
    weft_model_free(m);
    weft_model_free(back);
    weft_arena_clear(&a);
}

static void test_full_training_of_a_quantised_file_is_refused(void **state)
{
    struct weft_config c = shape("qwen2");
    struct weft_arena a = { 0 };
    struct weft_params params = { 0 };
    struct weft_err err = { 0 };
    struct weft_model *m = random_model(&c, &a), *back = load(write_model(m, "full.gguf", "Q4_0"), false);
    check_fails(weft_model_train_all(back, &a, &params, &err), &err, WEFT_EARG, "", "lora");
    weft_model_free(m);
    weft_model_free(back);
    weft_arena_clear(&a);
}

static void test_a_scale_that_is_not_finite_is_found(void **state)
{
    struct weft_config c = shape("qwen2");
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_str bytes;
    struct weft_gguf g;
    struct weft_model *m = random_model(&c, &a);
    const char *path = write_model(m, "nan.gguf", "Q8_0");
    check_ok(weft_file_read(&a, path, 1 << 24, &bytes, &err), &err);
    check_ok(weft_gguf_parse(&g, &a, "nan", bytes, &err), &err);
    const struct weft_gguf_tensor *t = weft_gguf_tensor(&g, "blk.1.ffn_down.weight");
    ((unsigned char *)(uintptr_t)t->data)[5 * 34 + 1] = 0x7e;
    check_ok(weft_file_write(path, bytes, &err), &err);
    struct weft_model *back = load(path, false);
    assert_string_equal(weft_model_nonfinite(back, &a), "model.layers.1.mlp.down_proj.weight");
    weft_model_free(m);
    weft_model_free(back);
    weft_arena_clear(&a);
}

/* Blocks that another program read and made (tests/parity/gguf_files.py): values and bytes are equal to the bit,
 * at every level of the processor. */
static void test_blocks_are_those_of_the_reference(void **state)
{
    static const char *const names[] = { "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k" };
    struct fixture f;
    struct weft_err err = { 0 };
    float got[512];
    fixture_open(&f, "tests/model/data/ggml/blocks.safetensors");
    for (int isa = 0; isa < WEFT_N_ISA; isa++) {
        struct weft_compute c;
        if (!(weft_isa_supported() >> isa & 1)) continue;
        check_ok(weft_compute_init(&c, weft_isa_name((enum weft_isa)isa), NULL, &err), &err);
        for (size_t i = 0; i < WEFT_COUNT(names); i++) {
            char name[40];
            snprintf(name, sizeof name, "%s.bytes", names[i]);
            const struct weft_st_tensor *bytes = weft_safetensors_find(&f.file, weft_str_c(name));
            snprintf(name, sizeof name, "%s.values", names[i]);
            size_t n;
            const float *want = fixture_values(&f, name, &n);
            struct weft_quant q = { .format = weft_quant_find(names[i]), .rows = 1, .cols = n, .data = bytes->data };
            assert_int_equal(n, 512);
            assert_int_equal(weft_quant_bytes(&q), bytes->bytes);
            weft_dequantise(&c, got, WEFT_F32, &q, 0, 1);
            for (size_t k = 0; k < n; k++)
                if (got[k] != want[k]) fail_msg("%s at %s: element %zu is %.9g, expected %.9g", names[i],
                                                weft_isa_name((enum weft_isa)isa), k, (double)got[k], (double)want[k]);
        }
        weft_compute_clear(&c);
    }
    for (size_t i = 0; i < 2; i++) {
        size_t n;
        char name[40];
        unsigned char made[512 / 32 * 34];
        snprintf(name, sizeof name, "%s.encoded", names[i]);
        const struct weft_st_tensor *bytes = weft_safetensors_find(&f.file, weft_str_c(name));
        weft_quant_find(names[i])->quantise_row(made, fixture_values(&f, "x", &n), 512);
        assert_memory_equal(made, bytes->data, bytes->bytes);
    }
    fixture_close(&f);
}

/* ---- splits ---- */

static void add(struct weft_buf *b, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) weft_buf_char(b, (char)(v >> 8 * i));
}
static void add_text(struct weft_buf *b, const char *s)
{
    add(b, strlen(s), 8);
    weft_buf_cstr(b, s);
}
static void add_uint(struct weft_buf *b, const char *key, uint32_t v)
{
    add_text(b, key);
    add(b, WEFT_GGUF_U32, 4);
    add(b, v, 4);
}

/* Some tensors of g, with its keys when `keys`, as file number `no` of two. */
static void write_part(const struct weft_gguf *g, struct weft_str keys, size_t from, size_t to, uint32_t no,
                       uint32_t of, const char *path)
{
    struct weft_buf b = { 0 };
    struct weft_err err = { 0 };
    uint64_t offset = 0;
    weft_buf_cstr(&b, "GGUF");
    add(&b, 3, 4);
    add(&b, to - from, 8);
    add(&b, 3 + (keys.len ? g->n_keys : 0), 8);
    add_uint(&b, "split.no", no);
    add_uint(&b, "split.count", of);
    add_uint(&b, "split.tensors.count", (uint32_t)g->n_tensors);
    weft_buf_str(&b, keys);
    for (size_t i = from; i < to; i++) {
        const struct weft_gguf_tensor *t = &g->tensors[i];
        add(&b, t->name.len, 8);
        weft_buf_str(&b, t->name);
        add(&b, (uint64_t)t->n_dims, 4);
        for (int d = 0; d < t->n_dims; d++) add(&b, t->dims[d], 8);
        add(&b, t->type->id, 4);
        add(&b, offset, 8);
        offset += (t->bytes + 31) / 32 * 32;
    }
    while (b.len % 32) weft_buf_char(&b, 0);
    for (size_t i = from; i < to; i++) {
        weft_buf_add(&b, g->tensors[i].data, g->tensors[i].bytes);
        while (b.len % 32) weft_buf_char(&b, 0);
    }
    check_ok(weft_file_write(path, weft_buf_view(&b), &err), &err);
    weft_buf_clear(&b);
}

static void test_split_files_are_one_model(void **state)
{
    struct weft_config c = shape("mistral");
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_gguf g;
    struct weft_model *m = random_model(&c, &a), *back = NULL;
    size_t n;
    const char *whole = write_model(m, "all.gguf", "F32");
    check_ok(weft_gguf_open(&g, &a, whole, &err), &err);
    const char *first_name = g.tensors[0].name.s - 8;
    struct weft_str keys = { (const char *)g.map.p + 24, (size_t)(first_name - (const char *)g.map.p) - 24 };
    const char *one = check_path(dir, "m-00001-of-00002.gguf"), *two = check_path(dir, "m-00002-of-00002.gguf");
    write_part(&g, keys, 0, 10, 0, 2, one);
    write_part(&g, (struct weft_str){ 0 }, 10, g.n_tensors, 1, 2, two);
    back = load(one, false);
    assert_int_equal(back->n_gguf, 2);
    float *want = logits_of(m, &a, &n);
    assert_memory_equal(want, logits_of(back, &a, &n), n * sizeof *want);
    weft_model_free(back);
    check_fails(weft_model_load(&back, two, NULL, &err), &err, WEFT_EINPUT, "GG9", "general.architecture");
    weft_err_clear(&err);
    write_part(&g, (struct weft_str){ 0 }, 10, g.n_tensors, 0, 2, two);
    check_fails(weft_model_load(&back, one, NULL, &err), &err, WEFT_EINPUT, "GG11", "file 1 of 2");
    weft_err_clear(&err);
    write_part(&g, (struct weft_str){ 0 }, 11, g.n_tensors, 1, 2, two);
    check_fails(weft_model_load(&back, one, NULL, &err), &err, WEFT_EINPUT, "GG11", "tensors together");
    weft_gguf_close(&g);
    weft_model_free(m);
    weft_arena_clear(&a);
}

/* ---- tokenizers ---- */

static struct weft_str from_hex(struct weft_arena *a, struct weft_str hex)
{
    char *out = weft_arena_alloc(a, hex.len / 2 + 1);
    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        unsigned v = 0;
        char pair[3] = { hex.s[i], hex.s[i + 1], 0 };
        assert_int_equal(sscanf(pair, "%2x", &v), 1);
        out[i / 2] = (char)v;
    }
    return (struct weft_str){ out, hex.len / 2 };
}

/* The tokenizer written into a file, read back, and compared on the texts of its golden file.  `hide`: without the copy
 * of tokenizer.json, so that it is built from tokens, scores and merges. */
static void tokenizer_round_trip(const char *name, bool hide)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_str json, golden, line, bytes;
    struct weft_tokenizer *t = NULL, *back = NULL;
    struct weft_encoder *e = NULL;
    struct weft_config c = shape("llama");
    char file[80];
    snprintf(file, sizeof file, "tests/tokens/data/%s.json", name);
    check_ok(weft_file_read(&a, check_source(&a, file), 1 << 24, &json, &err), &err);
    snprintf(file, sizeof file, "tests/tokens/data/%s.golden.jsonl", name);
    check_ok(weft_file_read(&a, check_source(&a, file), 1 << 24, &golden, &err), &err);
    check_ok(weft_tokenizer_parse(&t, name, json, (struct weft_str){ 0 }, &err), &err);
    c.vocab_size = weft_tokenizer_vocab_size(t) + 3;
    c.n_layers = 1;
    struct weft_model *m = random_model(&c, &a);
    const char *path = check_path(dir, "tok.gguf");
    struct weft_gguf_save save = { .type = "BF16", .name = name, .tokenizer_json = json, .tokenizer = t,
                                   .chat_template = WEFT_STR("{{ messages[0].content }}\n") };
    check_ok(weft_gguf_write(m, path, &save, &err), &err);
    if (hide) {
        static const char key[] = "tokenizer.huggingface.json";
        check_ok(weft_file_read(&a, path, 1 << 24, &bytes, &err), &err);
        size_t at = weft_str_find(bytes, weft_str_c(key), 0);
        assert_true(at != SIZE_MAX);
        memcpy((char *)(uintptr_t)bytes.s + at, "tokenizer.huggingface.XXXX", sizeof key - 1);
        check_ok(weft_file_write(path, bytes, &err), &err);
    }
    check_ok(weft_model_tokenizer(&back, path, &err), &err);
    check_str(weft_tokenizer_chat_template(back), "{{ messages[0].content }}\n");
    check_ok(weft_encoder_new(&e, back, &err), &err);
    struct weft_lines lines = { .text = golden };
    size_t texts = 0;
    while (weft_lines_next(&lines, &line)) {
        struct weft_json_value row;
        struct weft_ids ids = { 0 };
        check_ok(weft_json_parse(&a, file, line, &row, &err), &err);
        const struct weft_json_value *want = weft_json_get(&row, "ids");
        if (!want) continue;
        check_ok(weft_encode(e, from_hex(&a, weft_json_get(&row, "bytes")->text), WEFT_ENCODE_SPECIALS, &ids, &err), &err);
        bool same = ids.n == want->n;
        for (size_t i = 0; same && i < ids.n; i++) same = ids.ids[i] == want->items[i].integer;
        if (!same) print_message("%s, line %llu\n", name, (unsigned long long)lines.line);
        assert_true(same);
        weft_ids_clear(&ids);
        texts++;
    }
    assert_true(texts > 20);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
    weft_tokenizer_free(back);
    weft_model_free(m);
    weft_arena_clear(&a);
}

static void test_tokenizers_come_back_whole(void **state)
{
    static const char *const names[] = { "qwen2", "llama3", "llama2", "gemma", "deepseek" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++) tokenizer_round_trip(names[i], false);
}

static void test_tokenizers_are_built_from_their_keys(void **state)
{
    static const char *const names[] = { "qwen2", "llama3", "gpt2", "tekken", "o200k", "llama2" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++) tokenizer_round_trip(names[i], true);
}

/* ---- rules ---- */

/* ---- GG10 ---- */

static void add_array(struct weft_buf *b, const char *key, unsigned item, size_t n)
{
    add_text(b, key);
    add(b, WEFT_GGUF_ARRAY, 4);
    add(b, item, 4);
    add(b, n, 8);
}

static void add_string(struct weft_buf *b, const char *key, const char *value)
{
    add_text(b, key);
    add(b, WEFT_GGUF_STRING, 4);
    add_text(b, value);
}

/* What a small file says of its tokenizer; members left 0 are as in a good one. */
struct words {
    const char *model, *pre, *token[4], *merge, *template;
    int n_types, n_scores, type;
    unsigned item;              /* of token_type */
    uint32_t eos;
    bool no_tokens, no_merges;
};

static enum weft_status tokenizer_of(struct weft_arena *a, const struct words *w, struct weft_err *err)
{
    static const char *const plain[] = { "<s>", "a", "b", "ab" };
    struct weft_buf b = { 0 }, json = { 0 }, config = { 0 };
    struct weft_gguf g;
    struct weft_tokenizer *t = NULL;
    bool llama = w->model && !strcmp(w->model, "llama");
    int n_types = w->n_types ? w->n_types : 4, n_scores = w->n_scores ? w->n_scores : 4;
    weft_buf_cstr(&b, "GGUF");
    add(&b, 3, 4);
    add(&b, 0, 8);
    add(&b, 5 + !w->no_tokens + (llama || !w->no_merges), 8);
    add_string(&b, "tokenizer.ggml.model", w->model ? w->model : "gpt2");
    add_string(&b, "tokenizer.ggml.pre", w->pre ? w->pre : "gpt-2");
    add_uint(&b, "tokenizer.ggml.eos_token_id", w->eos);
    add_string(&b, "tokenizer.chat_template", w->template ? w->template : "{{ messages[0].content }}");
    add_array(&b, "tokenizer.ggml.token_type", w->item ? w->item : WEFT_GGUF_I32, (size_t)n_types);
    for (int i = 0; i < n_types; i++) add(&b, i == 1 && w->type ? (uint64_t)w->type : i ? 1 : 3, 4);
    if (!w->no_tokens) {
        add_array(&b, "tokenizer.ggml.tokens", WEFT_GGUF_STRING, 4);
        for (int i = 0; i < 4; i++) add_text(&b, w->token[i] ? w->token[i] : plain[i]);
    }
    if (llama) {
        add_array(&b, "tokenizer.ggml.scores", WEFT_GGUF_F32, (size_t)n_scores);
        for (int i = 0; i < n_scores; i++) add(&b, 0, 4);
    } else if (!w->no_merges) {
        add_array(&b, "tokenizer.ggml.merges", WEFT_GGUF_STRING, 1);
        add_text(&b, w->merge ? w->merge : "a b");
    }
    check_ok(weft_gguf_parse(&g, a, "f", weft_buf_view(&b), err), err);
    enum weft_status st = weft_gguf_tokenizer_files(&g, &json, &config, err);
    if (!st) st = weft_tokenizer_parse(&t, "f", weft_buf_view(&json), weft_buf_view(&config), err);
    if (!st) assert_int_equal(weft_tokenizer_vocab_size(t), 4);
    weft_tokenizer_free(t);
    weft_buf_clear(&b);
    weft_buf_clear(&json);
    weft_buf_clear(&config);
    return st;
}

static void test_GG10_keys_of_the_tokenizer(void **state)
{
    static const struct words good[] = { { 0 }, { .eos = 3 }, { .type = 6 }, { .pre = "qwen2" } };
    static const struct {
        struct words w;
        const char *part;
    } bad[] = {
        { { .model = "bert" }, "\"bert\"; weft reads gpt2 and llama" },
        { { .pre = "unheard-of" }, "tokenizer.ggml.pre is \"unheard-of\"" },
        { { .no_tokens = true }, "needs tokenizer.ggml.tokens" },
        { { .no_merges = true }, "needs tokenizer.ggml.merges" },
        { { .item = WEFT_GGUF_U32 }, "token_type (i32)" },
        { { .n_types = 3 }, "4 tokens, 3 token types" },
        { { .model = "llama", .n_scores = 5 }, "5 scores" },
        { { .type = 7 }, "token 1 is of type 7" },
        { { .type = -1 }, "token 1 is of type -1" },
        { { .token = { NULL, NULL, "\xC0" } }, "token 2 is not UTF-8" },
        { { .token = { NULL, NULL, NULL, "b" } }, "\"b\" occurs twice, as 2 and 3" },
        { { .eos = 4 }, "eos_token_id is 4; there are 4 tokens" },
        { { .merge = "\xFF b" }, "merge 0 is not UTF-8" },
        { { .template = "\xFF" }, "chat_template is not UTF-8" },
    };
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(good); i++) check_ok(tokenizer_of(&a, &good[i], &err), &err);
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        check_fails(tokenizer_of(&a, &bad[i].w, &err), &err, WEFT_EINPUT, "GG10", bad[i].part);
        weft_err_clear(&err);
    }
    weft_arena_clear(&a);
}

/* ---- the container ---- */

/* One key, one tensor of eight floats. */
static struct weft_str minimal(struct weft_arena *a)
{
    struct weft_buf b = { 0 };
    weft_buf_cstr(&b, "GGUF");
    add(&b, 3, 4);
    add(&b, 1, 8);
    add(&b, 1, 8);
    add_text(&b, "k");                                  /* at 24 */
    add(&b, WEFT_GGUF_ARRAY, 4);                        /* at 33 */
    add(&b, WEFT_GGUF_BOOL, 4);
    add(&b, 3, 8);                                      /* at 41 */
    weft_buf_add(&b, "\1\0\1", 3);
    add_text(&b, "t");                                  /* at 52 */
    add(&b, 1, 4);                                      /* at 61 */
    add(&b, 8, 8);                                      /* at 65 */
    add(&b, 0, 4);                                      /* at 73 */
    add(&b, 0, 8);                                      /* at 77 */
    while (b.len % 32) weft_buf_char(&b, 0);
    for (int i = 0; i < 32; i++) weft_buf_char(&b, (char)i);
    struct weft_str s = weft_str_dup(a, weft_buf_view(&b));
    weft_buf_clear(&b);
    return s;
}

static void test_each_rule_names_its_breach(void **state)
{
    static const struct {
        size_t at;
        const char *bytes;
        size_t n;
        const char *rule, *part;
        enum weft_status status;
    } cases[] = {
        { 0, "lmgg", 4, "GG1", "before GGUF", WEFT_EINPUT },
        { 0, "PK\3\4", 4, "GG1", "expected GGUF", WEFT_EINPUT },
        { 4, "\1", 1, "GG1", "version 1", WEFT_EINPUT },
        { 4, "\0\0\0\3", 4, "GG1", "swapped", WEFT_EINPUT },
        { 8, "\1\0\1", 3, "GG2", "at most 65536", WEFT_ELIMIT },
        { 8, "\4", 1, "GG2", "4 tensors", WEFT_EINPUT },
        { 16, "\377\377\377\377\377\377\377\377", 8, "GG2", "keys", WEFT_ELIMIT },
        { 24, "\377\377\377\377\377\377\377\377", 8, "GG3", "", WEFT_ELIMIT },
        { 24, "\377\377", 2, "GG3", "bytes follow", WEFT_EINPUT },
        { 24, "\0", 1, "GG5", "", WEFT_EINPUT },
        { 32, "\377", 1, "GG5", "UTF-8", WEFT_EINPUT },
        { 33, "\15", 1, "GG4", "type 13", WEFT_EINPUT },
        { 37, "\11", 1, "GG4", "array within an array", WEFT_EINPUT },
        { 41, "\0\0\0\0\0\0\0\1", 8, "GG4", "items", WEFT_EINPUT },
        { 50, "\2", 1, "GG4", "neither 0 nor 1", WEFT_EINPUT },
        { 60, "\377", 1, "GG7", "name", WEFT_EINPUT },
        { 61, "\5", 1, "GG7", "5 dimensions", WEFT_EINPUT },
        { 61, "\0", 1, "GG7", "0 dimensions", WEFT_EINPUT },
        { 65, "\0", 1, "GG7", "dimension 0", WEFT_EINPUT },
        { 70, "\2", 1, "GG7", "2^40", WEFT_EINPUT },
        { 73, "\10", 1, "GG7", "multiple of 32", WEFT_EINPUT },
        { 73, "\143", 1, "GG7", "type number 99", WEFT_EINPUT },
        { 77, "\40", 1, "GG8", "expected 0", WEFT_EINPUT },
        { 65, "\12", 1, "GG8", "cut short", WEFT_EINPUT },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct weft_arena a = { 0 };
        struct weft_err err = { 0 };
        struct weft_gguf g;
        struct weft_str s = minimal(&a);
        memcpy((char *)(uintptr_t)s.s + cases[i].at, cases[i].bytes, cases[i].n);
        check_fails(weft_gguf_parse(&g, &a, "f", s, &err), &err, cases[i].status, cases[i].rule, cases[i].part);
        weft_arena_clear(&a);
    }
}

static void test_alignment_and_doubled_names(void **state)
{
    static const uint32_t alignments[] = { 0, 4, 48, 1u << 21 };
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_gguf g;
    for (size_t i = 0; i < WEFT_COUNT(alignments); i++) {
        struct weft_buf b = { 0 };
        weft_buf_cstr(&b, "GGUF");
        add(&b, 2, 4);
        add(&b, 0, 8);
        add(&b, 1, 8);
        add_uint(&b, "general.alignment", alignments[i]);
        check_refuses(weft_gguf_parse(&g, &a, "f", weft_buf_view(&b), &err), &err, WEFT_EINPUT, "GG6", "alignment");
        weft_buf_clear(&b);
    }
    for (int tensors = 0; tensors < 2; tensors++) {
        struct weft_buf b = { 0 };
        weft_buf_cstr(&b, "GGUF");
        add(&b, 3, 4);
        add(&b, tensors ? 2 : 0, 8);
        add(&b, tensors ? 0 : 2, 8);
        for (int i = 0; i < 2; i++) {
            if (!tensors) add_uint(&b, "twice", 1);
            else {
                add_text(&b, "twice");
                add(&b, 1, 4);
                add(&b, 8, 8);
                add(&b, 0, 4);
                add(&b, 32 * (uint64_t)i, 8);
            }
        }
        for (int i = 0; i < 96; i++) weft_buf_char(&b, 0);
        check_refuses(weft_gguf_parse(&g, &a, "f", weft_buf_view(&b), &err), &err, WEFT_EINPUT, tensors ? "GG7" : "GG5",
                      "twice");
        weft_buf_clear(&b);
    }
    weft_arena_clear(&a);
}

static void test_every_prefix_of_a_file_is_refused(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_gguf g;
    struct weft_str s = minimal(&a);
    for (size_t n = 0; n < s.len; n++) {
        struct weft_err err = { 0 };
        char *copy = malloc(n + 1);                     /* ends where its memory ends */
        memcpy(copy + 1, s.s, n);
        enum weft_status st = weft_gguf_parse(&g, &a, "f", (struct weft_str){ copy + 1, n }, &err);
        if (st != WEFT_EINPUT || err.rule[0] != 'G') print_message("%zu bytes: %d %s\n", n, st, err.msg);
        assert_true(st == WEFT_EINPUT && err.rule[0] == 'G');
        free(copy);
    }
    struct weft_err err = { 0 };
    check_ok(weft_gguf_parse(&g, &a, "f", s, &err), &err);
    weft_arena_clear(&a);
}

static void test_keys_that_do_not_fit_are_named(void **state)
{
    struct weft_config c = shape("llama");
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_model *m = random_model(&c, &a), *back = NULL;
    struct weft_str bytes;
    const char *path = write_model(m, "keys.gguf", "Q8_0");
    static const struct {
        const char *find, *put, *rule, *part;
        int after;                      /* bytes behind the end of `find` */
    } cases[] = {
        { "general.architecture", "mamba", "GG9", "mamba", 12 },
        { "llama.block_count", "\6", "GG9", "block_count", 0 },                 /* f32 */
        { "llama.embedding_length", "\5\0\0\0\377\377\377\377", "GG9", "negative", 0 },
        { "llama.attention.head_count", "\4\0\0\0\0", "GG9", "head_count", 0 },
        { "llama.block_count", "\4\0\0\0\4", "GG9", "is missing", 0 },
        { "llama.feed_forward_length", "\4\0\0\0\300", "GG9", "ffn_gate", 0 },
        { "blk.1.ffn_up.weight", NULL, "GG9", "blk.1.ffn_up.weight [160, 64] is missing", 0 },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        static const size_t lengths[] = { 5, 1, 8, 5, 5, 5 };
        check_ok(weft_file_read(&a, path, 1 << 24, &bytes, &err), &err);
        size_t at = weft_str_find(bytes, weft_str_c(cases[i].find), 0);
        assert_true(at != SIZE_MAX);
        char *p = (char *)(uintptr_t)bytes.s + at;
        if (!cases[i].put) memcpy(p, "blk.1.ffn_XX", 12);
        else memcpy(p + strlen(cases[i].find) + (size_t)cases[i].after, cases[i].put, lengths[i]);
        const char *changed = check_path(dir, "changed.gguf");
        check_ok(weft_file_write(changed, bytes, &err), &err);
        check_refuses(weft_model_load(&back, changed, NULL, &err), &err, WEFT_EINPUT, cases[i].rule, cases[i].part);
        assert_null(back);
    }
    weft_model_free(m);
    weft_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_model_of_any_size_is_drawn_while_it_is_written),
        cmocka_unit_test(test_every_architecture_comes_back_as_it_was),
        cmocka_unit_test(test_ways_to_scale_rope_come_back),
        cmocka_unit_test(test_quantised_files_answer_from_the_file),
        cmocka_unit_test(test_rows_that_no_block_fits_become_f16),
        cmocka_unit_test(test_full_training_of_a_quantised_file_is_refused),
        cmocka_unit_test(test_a_scale_that_is_not_finite_is_found),
        cmocka_unit_test(test_blocks_are_those_of_the_reference),
        cmocka_unit_test(test_split_files_are_one_model),
        cmocka_unit_test(test_tokenizers_come_back_whole),
        cmocka_unit_test(test_tokenizers_are_built_from_their_keys),
        cmocka_unit_test(test_GG10_keys_of_the_tokenizer),
        cmocka_unit_test(test_each_rule_names_its_breach),
        cmocka_unit_test(test_alignment_and_doubled_names),
        cmocka_unit_test(test_every_prefix_of_a_file_is_refused),
        cmocka_unit_test(test_keys_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
