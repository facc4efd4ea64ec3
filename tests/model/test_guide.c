/* Vocabularies of several kinds, kept to schemas: what may stand next is what the grammar says of each token's bytes,
 * and whatever the logits are, the text is whole within its room. */
#include "check.h"
#include "model/generate.h"
#include "model/guide.h"
#include "model/sample.h"
#include "model/shape.h"

#include <math.h>

static const char *const tokenizers[] = { "models/tiny/tokenizer.json", "tests/tokens/data/llama2.json",
                                          "tests/tokens/data/llama3.json", "tests/tokens/data/gemma.json",
                                          "tests/tokens/data/deepseek.json" };

static const char *const schemas[] = {
    "{\"type\":\"array\",\"maxItems\":3,\"items\":{\"type\":\"object\",\"properties\":{\"question\":{\"type\":\"string\","
    "\"maxLength\":40},\"answer\":{\"type\":\"string\",\"maxLength\":60},\"evidence\":{\"type\":\"string\"}}}}",
    "{\"type\":\"object\",\"properties\":{\"score\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":10},\"reasons\":{\"type\":"
    "\"string\",\"minLength\":3}}}",
    "{\"type\":\"array\",\"minItems\":2,\"maxItems\":2,\"items\":{\"type\":\"object\",\"properties\":{\"id\":{\"enum\":[3,31]},"
    "\"speaker\":{\"enum\":[\"阿沅\",\"船夫\",\"?\"]}}}}",
};

struct fixture {
    struct weft_arena a;
    struct weft_err err;
    struct weft_json_value schema;
    const struct weft_grammar *grammar;
    struct weft_tokenizer *t;
    struct weft_guide_vocab *v;
    struct weft_guide *g;
    float *logits;
    size_t n;
    uint64_t random;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f) f->random = 11;
    *state = f;
    return f ? 0 : -1;
}

static void close_guide(struct fixture *f)
{
    weft_guide_free(f->g);
    weft_guide_vocab_free(f->v);
    weft_tokenizer_free(f->t);
    free(f->logits);
    f->g = NULL;
    f->v = NULL;
    f->t = NULL;
    f->logits = NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_guide(f);
    weft_arena_clear(&f->a);
    free(f);
    return 0;
}

static void open_guide(struct fixture *f, size_t tokenizer, size_t schema)
{
    close_guide(f);
    check_ok(weft_tokenizer_load(&f->t, check_source(&f->a, tokenizers[tokenizer]), &f->err), &f->err);
    check_ok(weft_guide_vocab_new(&f->v, f->t, &f->err), &f->err);
    check_ok(weft_json_parse(&f->a, "schema", weft_str_c(schemas[schema]), &f->schema, &f->err), &f->err);
    check_ok(weft_grammar_new(&f->a, "schema", &f->schema, &f->grammar, &f->err), &f->err);
    check_ok(weft_guide_new(&f->g, f->v, f->grammar, &f->err), &f->err);
    f->n = weft_tokenizer_vocab_size(f->t);
    f->logits = malloc(f->n * sizeof *f->logits);
    assert_non_null(f->logits);
}

/* Like a model that knows nothing. */
static void draw_logits(struct fixture *f)
{
    for (size_t i = 0; i < f->n; i++) f->logits[i] = (float)(check_random(&f->random) % 1000) / 100;
}

/* ---- masks ---- */

static void compare_with_each_token(struct fixture *f, const struct weft_grammar_state *at)
{
    struct weft_buf bytes = { 0 };
    size_t open = 0;
    memset(f->logits, 0, f->n * sizeof *f->logits);
    weft_guide_allow(f->g, f->logits, f->n);
    for (size_t id = 0; id < f->n; id++) {
        struct weft_grammar_state probe = *at;
        weft_buf_reset(&bytes);
        bool may = weft_token_bytes(f->t, (int32_t)id, &bytes) && bytes.len;
        for (size_t i = 0; i < bytes.len && may; i++)
            may = weft_grammar_step(f->grammar, &probe, (unsigned char)bytes.s[i]);
        if (may != (f->logits[id] == 0)) fail_msg("token %zu \"%s\": %d", id, bytes.s, may);
        open += may;
    }
    assert_true(open > 0);
    weft_buf_clear(&bytes);
}

static void test_what_may_stand_next_is_what_the_grammar_says(void **state)
{
    struct fixture *f = *state;
    const struct weft_sample_settings warm = { .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 3 };
    for (size_t t = 0; t < WEFT_COUNT(tokenizers); t++)
        for (size_t k = 0; k < WEFT_COUNT(schemas); k++) {
            struct weft_sampler *s = NULL;
            struct weft_grammar_state at;
            struct weft_buf bytes = { 0 };
            open_guide(f, t, k);
            check_ok(weft_sampler_new(&s, f->n, f->n, &warm, &f->err), &f->err);
            check_ok(weft_guide_begin(f->g, 400, &f->err), &f->err);
            weft_grammar_start(f->grammar, &at);
            for (int i = 0; i < 14 && !weft_guide_complete(f->g); i++) {
                compare_with_each_token(f, &at);
                draw_logits(f);
                weft_guide_allow(f->g, f->logits, f->n);
                int32_t id = weft_guide_take(f->g, weft_sampler_next(s, f->logits, NULL));
                weft_buf_reset(&bytes);
                assert_true(weft_token_bytes(f->t, id, &bytes));
                for (size_t b = 0; b < bytes.len; b++)
                    assert_true(weft_grammar_step(f->grammar, &at, (unsigned char)bytes.s[b]));
            }
            weft_sampler_free(s);
            weft_buf_clear(&bytes);
        }
}

/* ---- room ---- */

/* One answer of random logits; returns how many tokens it took. */
static size_t answer(struct fixture *f, size_t most, uint64_t seed, struct weft_buf *text)
{
    const struct weft_sample_settings warm = { .temperature = 1, .top_p = 0.9, .repetition_penalty = 1.1,
                                               .seed = seed };
    struct weft_sampler *s = NULL;
    struct weft_detok detok;
    size_t n = 0;
    weft_buf_reset(text);
    weft_detok_init(&detok, f->t, true);
    check_ok(weft_sampler_new(&s, f->n, f->n, &warm, &f->err), &f->err);
    check_ok(weft_guide_begin(f->g, most, &f->err), &f->err);
    for (f->random = seed; n < most && !weft_guide_complete(f->g); n++) {
        draw_logits(f);
        weft_guide_allow(f->g, f->logits, f->n);
        int32_t drawn = weft_sampler_next(s, f->logits, NULL), id = weft_guide_take(f->g, drawn);
        assert_true(id == drawn || weft_guide_cut(f->g));
        weft_sampler_see(s, id);
        weft_detok_push(&detok, id, text);
    }
    weft_detok_finish(&detok, text);
    weft_sampler_free(s);
    return n;
}

static void test_random_logits_end_in_valid_json_within_their_room(void **state)
{
    struct fixture *f = *state;
    struct weft_buf text = { 0 };
    for (size_t t = 0; t < WEFT_COUNT(tokenizers); t++)
        for (size_t k = 0; k < WEFT_COUNT(schemas); k++) {
            size_t cut = 0, whole = 0;
            open_guide(f, t, k);
            for (size_t most = 50; most <= 200; most += 5) {
                struct weft_json_value v;
                size_t n = answer(f, most, most, &text);
                assert_true(n <= most && weft_guide_complete(f->g));
                check_ok(weft_json_parse(&f->a, "answer", weft_buf_view(&text), &v, &f->err), &f->err);
                if (!shape_fits(&f->schema, &v)) fail_msg("not of the shape: %s", text.s);
                cut += weft_guide_cut(f->g);
                whole += !weft_guide_cut(f->g);
            }
            assert_true(k == 1 ? cut > 0 : whole > 0);      /* strings without end are cut; lists of names end */
        }
    weft_buf_clear(&text);
}

static void test_the_least_room_holds_the_shortest_text(void **state)
{
    struct fixture *f = *state;
    struct weft_buf text = { 0 };
    open_guide(f, 0, 1);
    size_t least = 1;
    while (weft_guide_begin(f->g, least, &f->err) == WEFT_ELIMIT) least++;
    assert_in_range(least, 5, 60);
    check_refuses(weft_guide_begin(f->g, least - 1, &f->err), &f->err, WEFT_ELIMIT, NULL, "the shortest answer of this form takes");
    assert_true(answer(f, least, 5, &text) <= least);
    check_str(weft_buf_view(&text), "{\"score\":0,\"reasons\":\"---\"}");
    assert_true(weft_guide_cut(f->g));
    weft_buf_clear(&text);
}

static void test_an_answer_does_not_depend_on_those_before(void **state)
{
    struct fixture *f = *state;
    struct weft_buf first = { 0 }, again = { 0 };
    open_guide(f, 0, 0);
    size_t n = answer(f, 150, 9, &first);
    for (uint64_t seed = 20; seed < 40; seed++) (void)answer(f, 100, seed, &again);
    assert_int_equal(answer(f, 150, 9, &again), n);
    check_str(weft_buf_view(&again), first.s);
    weft_buf_clear(&first);
    weft_buf_clear(&again);
}

/* ---- a model ---- */

static void test_a_model_writes_json_where_it_would_have_written_prose(void **state)
{
    struct fixture *f = *state;
    struct weft_compute compute;
    struct weft_model *model = NULL;
    struct weft_kv *kv = NULL;
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    open_guide(f, 0, 0);
    check_ok(weft_compute_init(&compute, NULL, NULL, &f->err), &f->err);
    check_ok(weft_model_load(&model, check_source(&f->a, "models/tiny"), NULL, &f->err), &f->err);
    check_ok(weft_kv_new(&kv, &compute, model, 256, 0, &f->err), &f->err);
    check_ok(weft_encoder_new(&e, f->t, &f->err), &f->err);
    check_ok(weft_encode(e, WEFT_STR("渡口的灯亮了一夜。"), 0, &ids, &f->err), &f->err);
    for (int temperature = 0; temperature < 2; temperature++) {
        struct weft_generate_settings s = { .sample = { .temperature = temperature, .top_p = 0.9,
                                                        .repetition_penalty = 1, .seed = 1 },
                                            .max_new_tokens = 90, .skip_special = true, .repeatable = true };
        struct weft_generated free_text, kept, again;
        struct weft_json_value v;
        check_ok(weft_generate(kv, f->t, ids.ids, ids.n, &s, NULL, NULL, &free_text, &f->err), &f->err);
        s.guide = f->g;
        check_ok(weft_generate(kv, f->t, ids.ids, ids.n, &s, NULL, NULL, &kept, &f->err), &f->err);
        check_ok(weft_generate(kv, f->t, ids.ids, ids.n, &s, NULL, NULL, &again, &f->err), &f->err);
        assert_int_not_equal(free_text.text.s[0], '[');
        check_ok(weft_json_parse(&f->a, "answer", weft_buf_view(&kept.text), &v, &f->err), &f->err);
        assert_true(shape_fits(&f->schema, &v) && kept.ids.n <= 90);
        assert_int_equal(kept.finish, weft_guide_cut(f->g) ? WEFT_FINISH_LENGTH : WEFT_FINISH_STOP);
        check_str(weft_buf_view(&again.text), kept.text.s);
        struct weft_generated *all[] = { &free_text, &kept, &again };
        for (size_t i = 0; i < WEFT_COUNT(all); i++) {
            weft_buf_clear(&all[i]->text);
            weft_ids_clear(&all[i]->ids);
        }
    }
    struct weft_generate_settings small = { .sample = { .top_p = 1, .repetition_penalty = 1 }, .max_new_tokens = 1,
                                            .guide = f->g };
    struct weft_generated out;
    check_refuses(weft_generate(kv, f->t, ids.ids, ids.n, &small, NULL, NULL, &out, &f->err), &f->err, WEFT_ELIMIT,
                  NULL, "1 are allowed");
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    weft_kv_free(kv);
    weft_model_free(model);
    weft_compute_clear(&compute);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_may_stand_next_is_what_the_grammar_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random_logits_end_in_valid_json_within_their_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_least_room_holds_the_shortest_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_answer_does_not_depend_on_those_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_model_writes_json_where_it_would_have_written_prose, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("model/guide", tests, NULL, NULL);
}
