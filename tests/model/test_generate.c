/* Answers of a model whose weights are a chain: each token is followed by one token, so that the text is known.  Its
 * hidden state is the token itself (one-hot embeddings, layers that add nothing); the head maps it to its follower. */
#include "byte_vocab.h"
#include "model/generate.h"
#include "model/models.h"

enum { IM_END = 256, N_TOKENS, V = 260, D = 320 };     /* ids from N_TOKENS on belong to no token */

struct setup {
    struct weft_arena arena;
    struct weft_compute compute;
    struct weft_model *model;
    struct weft_params params;
    struct weft_tokenizer *tokenizer;
    struct weft_kv *kv;
    struct weft_err err;
};

/* Token i is byte i; 256 ends a turn. */
static struct weft_tokenizer *byte_tokenizer(void)
{
    static const char config[] = "{\"eos_token\":\"<|im_end|>\",\"chat_template\":\"{{ messages }}<|im_end|>\"}";
    struct weft_buf b = { 0 };
    struct weft_tokenizer *t = NULL;
    struct weft_err err = { 0 };
    weft_buf_cstr(
        &b,
        "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":256,\"content\":\"<|im_end|>\",\"single_word\":false,\"lstrip\":false,"
        "\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false},\"post_processor\":null,\"decoder\":{\"type\":"
        "\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{");
    put_byte_vocab(&b);
    weft_buf_cstr(&b, "},\"merges\":[]}}");
    check_ok(weft_tokenizer_parse(&t, "bytes", weft_buf_view(&b), weft_str_c(config), &err), &err);
    weft_buf_clear(&b);
    return t;
}

static struct weft_param *param(struct setup *s, const char *name)
{
    for (size_t i = 0; i < s->params.n; i++)
        if (!strcmp(s->params.items[i].name, name)) return &s->params.items[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

static void set_up(struct setup *s, const char *text, size_t cap)
{
    struct weft_config c;
    *s = (struct setup){ 0 };
    weft_config_preset("tiny", &c, NULL, NULL);
    c.hidden_size = D;
    c.intermediate_size = 8;
    c.n_layers = 1;
    c.n_heads = 4;
    c.n_kv_heads = 1;
    c.head_dim = 8;
    c.vocab_size = V;
    c.tie_word_embeddings = false;
    check_ok(weft_compute_init(&s->compute, NULL, NULL, &s->err), &s->err);
    check_ok(weft_model_random(&s->model, &c, 1, NULL, &s->err), &s->err);
    check_ok(weft_model_train_all(s->model, &s->arena, &s->params, &s->err), &s->err);
    memset(param(s, "model.layers.0.self_attn.o_proj.weight")->w, 0, D * 32 * sizeof(float));
    memset(param(s, "model.layers.0.mlp.down_proj.weight")->w, 0, D * 8 * sizeof(float));
    float *embed = param(s, "model.embed_tokens.weight")->w, *head = param(s, "lm_head.weight")->w;
    memset(embed, 0, V * D * sizeof *embed);
    memset(head, 0, V * D * sizeof *head);
    for (size_t i = 0; i < V; i++) {
        embed[i * D + i] = 1;
        head[(N_TOKENS + 1) * D + i] = 2;       /* a row of padding that would always win */
    }
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        size_t next = i + 1 < n ? (unsigned char)text[i + 1] : IM_END;
        head[next * D + (unsigned char)text[i]] = 1;
    }
    s->tokenizer = byte_tokenizer();
    check_ok(weft_kv_new(&s->kv, &s->compute, s->model, cap, 0, &s->err), &s->err);
}

static void tear_down(struct setup *s)
{
    weft_kv_free(s->kv);
    weft_tokenizer_free(s->tokenizer);
    weft_model_free(s->model);
    weft_compute_clear(&s->compute);
    weft_arena_clear(&s->arena);
}

struct pieces {
    struct weft_buf text;       /* the pieces, each in brackets */
    size_t enough;              /* pieces after which to stop; 0: never */
    size_t n;
};

static bool collect(void *ctx, struct weft_str piece)
{
    struct pieces *p = ctx;
    assert_true(piece.len > 0);
    assert_int_equal(weft_utf8_check(piece), piece.len);       /* whole code points */
    weft_buf_printf(&p->text, "[%.*s]", (int)piece.len, piece.s);
    return ++p->n != p->enough;
}

static const int32_t im_end = IM_END;
static const struct weft_generate_settings greedy = { .sample = { .top_p = 1, .repetition_penalty = 1 },
                                                      .max_new_tokens = 40,
                                                      .stop_ids = &im_end,
                                                      .n_stop_ids = 1,
                                                      .skip_special = true };

static struct weft_generated answer(struct setup *s, const char *prompt,
                                    const struct weft_generate_settings *settings, struct pieces *p)
{
    struct weft_generated out;
    int32_t ids[64];
    size_t n = strlen(prompt);
    for (size_t i = 0; i < n; i++) ids[i] = (unsigned char)prompt[i];
    check_ok(weft_generate(s->kv, s->tokenizer, ids, n, settings, p ? collect : NULL, p, &out, &s->err), &s->err);
    return out;
}

static void clear(struct weft_generated *g, struct pieces *p)
{
    weft_buf_clear(&g->text);
    weft_ids_clear(&g->ids);
    if (p) weft_buf_clear(&p->text);
}

static void test_an_answer_ends_at_a_stop_id(void **state)
{
    struct setup s;
    struct pieces p = { 0 };
    set_up(&s, "?你ok,END", 64);
    struct weft_generated g = answer(&s, "?", &greedy, &p);
    check_str(weft_buf_view(&g.text), "你ok,END");
    check_str(weft_buf_view(&p.text), "[你][o][k][,][E][N][D]");
    assert_true(g.finish == WEFT_FINISH_STOP && g.ids.n == 9 && g.prompt_tokens == 1 && g.cached_tokens == 0);
    assert_int_equal(g.ids.ids[8], 'D');
    clear(&g, &p);
    tear_down(&s);
}

static void test_an_answer_ends_at_its_length(void **state)
{
    struct setup s;
    struct pieces p = { 0 };
    struct weft_generate_settings settings = greedy;
    set_up(&s, "?你ok,END", 64);
    settings.max_new_tokens = 4;
    struct weft_generated g = answer(&s, "?", &settings, &p);
    check_str(weft_buf_view(&g.text), "你o");
    assert_true(g.finish == WEFT_FINISH_LENGTH && g.ids.n == 4);
    clear(&g, &p);
    settings.max_new_tokens = 0;
    g = answer(&s, "?", &settings, NULL);
    assert_true(g.finish == WEFT_FINISH_LENGTH && g.ids.n == 0 && g.text.len == 0);
    clear(&g, NULL);
    tear_down(&s);
    /* and at the end of the context */
    set_up(&s, "?abcdefgh", 5);
    g = answer(&s, "?", &greedy, NULL);
    check_str(weft_buf_view(&g.text), "abcde");
    assert_int_equal(g.finish, WEFT_FINISH_LENGTH);
    clear(&g, NULL);
    tear_down(&s);
}

static void test_stop_strings_span_tokens_and_are_cut(void **state)
{
    static const struct weft_str stops[] = { WEFT_STR("zz"), WEFT_STR("NDX"), WEFT_STR(",EN") };
    struct setup s;
    struct pieces p = { 0 };
    struct weft_generate_settings settings = greedy;
    settings.stops = stops;
    settings.n_stops = 3;
    set_up(&s, "?你ok,END", 64);
    struct weft_generated g = answer(&s, "?", &settings, &p);
    check_str(weft_buf_view(&g.text), "你ok");
    check_str(weft_buf_view(&p.text), "[你][o][k]");       /* never a part of the stop */
    assert_int_equal(g.finish, WEFT_FINISH_STOP);
    clear(&g, &p);
    /* what looked like the beginning of a stop and was none comes late, but comes */
    p = (struct pieces){ 0 };
    settings.n_stops = 2;
    g = answer(&s, "?", &settings, &p);
    check_str(weft_buf_view(&g.text), "你ok,END");
    check_str(weft_buf_view(&p.text), "[你][o][k][,][E][ND]");
    clear(&g, &p);
    tear_down(&s);
}

static void test_the_listener_may_have_enough(void **state)
{
    struct setup s;
    struct pieces p = { .enough = 2 };
    set_up(&s, "?你ok,END", 64);
    struct weft_generated g = answer(&s, "?", &greedy, &p);
    check_str(weft_buf_view(&g.text), "你o");
    assert_int_equal(g.finish, WEFT_FINISH_CANCEL);
    clear(&g, &p);
    tear_down(&s);
}

static void test_a_shared_beginning_is_not_computed_again(void **state)
{
    struct setup s;
    set_up(&s, "?abcd", 64);
    struct weft_generated g = answer(&s, "xyz?", &greedy, NULL);
    check_str(weft_buf_view(&g.text), "abcd");
    clear(&g, NULL);
    g = answer(&s, "xyz?abcd??", &greedy, NULL);        /* the next turn of a conversation */
    check_str(weft_buf_view(&g.text), "abcd");
    assert_true(g.prompt_tokens == 10 && g.cached_tokens == 8);
    clear(&g, NULL);
    g = answer(&s, "xyz?", &greedy, NULL);              /* the same again: its last token is computed */
    check_str(weft_buf_view(&g.text), "abcd");
    assert_int_equal(g.cached_tokens, 3);
    clear(&g, NULL);
    g = answer(&s, "xYz?", &greedy, NULL);
    assert_int_equal(g.cached_tokens, 1);
    clear(&g, NULL);
    struct weft_generated none;
    check_fails(weft_generate(s.kv, s.tokenizer, NULL, 0, &greedy, NULL, NULL, &none, &s.err), &s.err,
                WEFT_EARG, "", "no tokens");
    tear_down(&s);
}

static void test_one_seed_gives_one_text(void **state)
{
    struct setup s;
    struct weft_generate_settings settings = greedy;
    char first[64] = "";
    settings.sample.temperature = 30;       /* nearly uniform */
    settings.n_stop_ids = 0;
    set_up(&s, "?abcd", 64);
    for (int i = 0; i < 3; i++) {
        settings.sample.seed = i == 2 ? 9 : 8;
        struct weft_generated g = answer(&s, "?", &settings, NULL);
        for (size_t k = 0; k < g.ids.n; k++) assert_true(g.ids.ids[k] < N_TOKENS);
        assert_int_equal(g.ids.n, 40);
        if (i == 0) memcpy(first, g.ids.ids, sizeof first);
        else assert_true((memcmp(first, g.ids.ids, sizeof first) == 0) == (i == 1));
        clear(&g, NULL);
    }
    tear_down(&s);
}

static void test_stop_ids_come_from_all_places(void **state)
{
    struct setup s;
    const char *dir = check_folder();
    struct weft_config c = { .vocab_size = V, .eos_token_id = { 7, 9 }, .n_eos = 2 };
    int32_t ids[8];
    size_t n;
    set_up(&s, "?a", 8);
    check_ok(weft_stop_ids(dir, &c, s.tokenizer, NULL, ids, 8, &n, &s.err), &s.err);
    assert_true(n == 3 && ids[0] == 7 && ids[1] == 9 && ids[2] == IM_END);
    check_ok(weft_stop_ids(NULL, NULL, s.tokenizer, NULL, ids, 8, &n, &s.err), &s.err);
    assert_true(n == 1 && ids[0] == IM_END);
    const char *path = weft_path_join(&s.arena, dir, "generation_config.json");
    check_ok(weft_file_write(path, WEFT_STR("{\"eos_token_id\": [9, 11], \"top_p\": 0.8}"), &s.err), &s.err);
    check_ok(weft_stop_ids(dir, &c, s.tokenizer, NULL, ids, 8, &n, &s.err), &s.err);
    assert_true(n == 4 && ids[0] == 9 && ids[1] == 11 && ids[2] == 7 && ids[3] == IM_END);
    check_ok(weft_stop_ids(dir, &c, s.tokenizer, NULL, ids, 2, &n, &s.err), &s.err);
    assert_int_equal(n, 4);         /* how many there are, though only two fitted */
    check_ok(weft_file_write(path, WEFT_STR("{\"eos_token_id\": 260}"), &s.err), &s.err);
    check_fails(weft_stop_ids(dir, &c, s.tokenizer, NULL, ids, 8, &n, &s.err), &s.err, WEFT_EINPUT, "CF8",
                "generation_config.json");
    weft_err_clear(&s.err);
    check_ok(weft_file_write(path, WEFT_STR("{\"eos_token_id\": null}"), &s.err), &s.err);
    check_ok(weft_stop_ids(dir, &c, s.tokenizer, NULL, ids, 8, &n, &s.err), &s.err);
    assert_int_equal(n, 3);
    tear_down(&s);
    check_folder_gone(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_ends_at_a_stop_id),
        cmocka_unit_test(test_an_answer_ends_at_its_length),
        cmocka_unit_test(test_stop_strings_span_tokens_and_are_cut),
        cmocka_unit_test(test_the_listener_may_have_enough),
        cmocka_unit_test(test_a_shared_beginning_is_not_computed_again),
        cmocka_unit_test(test_one_seed_gives_one_text),
        cmocka_unit_test(test_stop_ids_come_from_all_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
