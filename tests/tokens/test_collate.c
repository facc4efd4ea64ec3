/* Rows to examples to batches, with a vocabulary in which every byte is a token (id = byte value), "\n\n" is one, and
 * a few special tokens follow: what a row must become can be written down by hand. */
#include "byte_vocab.h"
#include "check.h"

#include "tokens/collate.h"

enum { NN = 256, IM_START, IM_END, END, BOS }; /* "\n\n" and the special tokens */

struct fixture {
    struct weft_arena a;
    struct weft_tokenizer *t;
    struct weft_encoder *e;
    const struct weft_chat_template *chat;
};

static struct weft_tokenizer *tokenizer(const char *config, bool adds_bos)
{
    static const char *const specials[] = { "<|im_start|>", "<|im_end|>", "<|end|>", "<s>" };
    struct weft_buf b = { 0 };
    struct weft_tokenizer *t = NULL;
    struct weft_err err = { 0 };
    weft_buf_cstr(&b, "{\"version\":\"1.0\",\"added_tokens\":[");
    for (int i = 0; i < 4; i++)
        weft_buf_printf(
            &b,
            "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
            "\"normalized\":false,\"special\":true}",
            i ? "," : "", IM_START + i, specials[i]);
    weft_buf_cstr(
        &b, "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
            "\"trim_offsets\":true,\"use_regex\":false},");
    if (adds_bos)
        weft_buf_cstr(
            &b, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
                "\"<s>\",\"type_id\":0}},"
                "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
                "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[260],\"tokens\":[\"<s>\"]}}},");
    else weft_buf_cstr(&b, "\"post_processor\":null,");
    weft_buf_cstr(&b, "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{");
    put_byte_vocab(&b);
    weft_buf_cstr(&b, ",\"\xc4\x8a\xc4\x8a\":256},\"merges\":[\"\xc4\x8a \xc4\x8a\"]}}");
    check_ok(weft_tokenizer_parse(&t, "bytes", weft_buf_view(&b), weft_str_c(config), &err), &err);
    weft_buf_clear(&b);
    return t;
}

static const char config[] = "{\"eos_token\":\"<|im_end|>\",\"pad_token\":\"<|end|>\",\"bos_token\":\"<s>\"}";

static void open_fixture(struct fixture *f, const char *cfg, bool adds_bos)
{
    struct weft_err err = { 0 };
    *f = (struct fixture){ 0 };
    f->t = tokenizer(cfg, adds_bos);
    check_ok(weft_encoder_new(&f->e, f->t, &err), &err);
    check_ok(weft_chat_parse(&f->a, "chatml", weft_str_c(weft_chat_chatml), &f->chat, &err), &err);
}

static void close_fixture(struct fixture *f)
{
    weft_encoder_free(f->e);
    weft_tokenizer_free(f->t);
    weft_arena_clear(&f->a);
}

/* "u:question", "a:answer" ... NULL; "s:" sets the system text. */
static struct weft_row talk(struct weft_arena *a, const char *const *lines)
{
    struct weft_row row = { 0 };
    row.turns = WEFT_NEWS(a, struct weft_turn, 64);
    for (; *lines; lines++) {
        struct weft_str text = weft_str_c(*lines + 2);
        if (**lines == 's') row.system = text;
        else
            row.turns[row.n_turns++] =
                (struct weft_turn){ **lines == 'u' ? WEFT_ROLE_USER : WEFT_ROLE_ASSISTANT, text };
    }
    return row;
}
#define TALK(f, ...) talk(&(f)->a, (const char *const[]){ __VA_ARGS__, NULL })

static struct weft_row text_row(const char *text) { return (struct weft_row){ .text = weft_str_c(text) }; }

/* Tokens as text: bytes as they are, "\n\n" as ¶, special tokens as < > E B; labels that are ignored as '.'. */
static const char *shown(const int32_t *v, size_t n)
{
    static char out[4][4096];
    static unsigned at;
    char *s = out[at++ % 4];
    size_t k = 0;
    for (size_t i = 0; i < n && k + 4 < sizeof out[0]; i++) {
        if (v[i] == WEFT_IGNORE) s[k++] = '.';
        else if (v[i] < 256) s[k++] = v[i] == '\n' ? '/' : (char)v[i];
        else s[k++] = "#<>EB"[v[i] - NN];
    }
    s[k] = '\0';
    return s;
}

static void check_example(const struct weft_example *x, const char *ids, const char *labels)
{
    assert_string_equal(shown(x->ids, x->n), ids);
    assert_string_equal(shown(x->labels, x->n), labels);
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n; i++) n += x->labels[i] != WEFT_IGNORE;
    assert_int_equal(n, x->n_labels);
}

static struct weft_example one(struct fixture *f, struct weft_row row, struct weft_collate_settings s)
{
    struct weft_example x;
    struct weft_err err = { 0 };
    check_ok(weft_collate_row(&f->a, f->e, f->t, f->chat, &row, &s, &x, &err), &err);
    return x;
}

/* ---- the rules by themselves ---- */

static void test_the_pair_rule(void **state)
{
    static const int64_t golden[][5] = {
        { 3000, 1000, 1024, 768, 256 },
        { 2000, 100, 1024, 924, 100 },
        { 100, 3000, 1024, 100, 924 },
        { 1000, 1000, 1024, 512, 512 },
        { 511, 700, 1024, 511, 513 },
        { 600, 512, 1024, 553, 471 },
        { 10, 10, 1024, 10, 10 },
        { 0, 5, 3, 0, 3 },
        { 5, 0, 3, 3, 0 },
    };
    (void)state;
    for (size_t i = 0; i < WEFT_COUNT(golden); i++) {
        int64_t s, t;
        weft_collate_fit(golden[i][0], golden[i][1], golden[i][2], &s, &t);
        assert_int_equal(s, golden[i][3]);
        assert_int_equal(t, golden[i][4]);
    }
}

static void test_bins_take_the_longest_that_fits(void **state)
{
    static const uint32_t lens[] = { 300, 700, 512, 100, 900, 256, 1000, 24, 24 };
    static const uint32_t want[] = { 1000, 900, 100, 700, 300, 512, 256, 24, 24 },
                          bin[] = { 0, 1, 1, 2, 2, 3, 3, 3, 3 };
    uint32_t order[9], bins[9];
    size_t n;
    struct weft_err err = { 0 };
    (void)state;
    check_ok(weft_collate_bins(lens, 9, 1023, order, bins, &n, &err), &err);
    assert_int_equal(n, 4);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(lens[order[i]], want[i]);
        assert_int_equal(bins[i], bin[i]);
    }
    assert_int_equal(order[7], 8); /* of two equal lengths the later one first */
    check_ok(weft_collate_bins(NULL, 0, 5, NULL, NULL, &n, &err), &err);
    assert_int_equal(n, 0);
}

/* ---- one row ---- */

/* Q13 */
static void test_q13_text_behind_the_end_mark_is_learnt(void **state)
{
    struct fixture *f = *state;
    struct weft_row row = TALK(f, "s:S", "u:hi", "a:yo");
    struct weft_collate_settings s = { .cutoff_len = 200 };
    struct weft_example x = one(f, row, s);
    check_example(&x, "<system/S>/<user/hi>/<assistant/yo>/", "................................yo>/");
    assert_int_equal(x.full_len, x.n);
    s.clean = true; /* the newline behind <|im_end|> is neither learnt nor kept */
    x = one(f, row, s);
    check_example(&x, "<system/S>/<user/hi>/<assistant/yo>", "................................yo>");
    assert_int_equal(x.full_len, x.n);          /* which is not a truncation */
}

static void test_prompt_and_answer_are_encoded_apart_under_hf_only(void **state)
{
    struct fixture *f = *state;
    struct weft_row row = TALK(f, "u:q", "a:\nx");
    struct weft_collate_settings s = { .cutoff_len = 200 };
    struct weft_example x = one(f, row, s);
    check_example(&x, "<user/q>/<assistant//x>/",
                  "...................."
                  "/x>/");
    s.clean = true; /* one token over both: it belongs to the prompt, where it begins */
    x = one(f, row, s);
    check_example(&x, "<user/q>/<assistant#x>",
                  "...................."
                  "x>");
}

static void test_every_answer_is_learnt_or_the_last_only_or_all(void **state)
{
    struct fixture *f = *state;
    struct weft_row row = TALK(f, "u:a", "a:b", "u:c", "a:d");
    struct weft_collate_settings s = { .cutoff_len = 200 };
    struct weft_example x = one(f, row, s);
    check_example(&x, "<user/a>/<assistant/b>/<user/c>/<assistant/d>/",
                  "....................b>/....................d>/");
    s.mask_history = true;
    x = one(f, row, s);
    check_example(&x, "<user/a>/<assistant/b>/<user/c>/<assistant/d>/",
                  "...........................................d>/");
    s = (struct weft_collate_settings){ .cutoff_len = 200, .train_on_prompt = true };
    x = one(f, row, s);
    check_example(&x, "<user/a>/<assistant/b>/<user/c>/<assistant/d>/",
                  "<user/a>/<assistant/b>/<user/c>/<assistant/d>/");
    s.mask_history = true;
    struct weft_err err = { 0 };
    check_refuses(weft_collate_row(&f->a, f->e, f->t, f->chat, &row, &s, &x, &err), &err, WEFT_EARG, "",
                  "mask_history");
    s = (struct weft_collate_settings){ .cutoff_len = 1 };
    check_refuses(weft_collate_row(&f->a, f->e, f->t, f->chat, &row, &s, &x, &err), &err, WEFT_EARG, "",
                  "cutoff_len is 1");
}

/* OpenAI's "weight": 0: an answer that is there to be read, not learnt; also where the template says what is learnt. */
static void test_an_answer_of_weight_0_is_context(void **state)
{
    struct fixture *f = *state;
    struct weft_row row = TALK(f, "u:a", "a:b", "u:c", "a:d");
    struct weft_collate_settings s = { .cutoff_len = 200 };
    struct weft_str extras[4] = { [1] = WEFT_STR("{\"weight\":0}"), [3] = WEFT_STR("{\"weight\":1,\"name\":\"x\"}") };
    row.turn_extras = extras;
    struct weft_example x = one(f, row, s);
    check_example(&x, "<user/a>/<assistant/b>/<user/c>/<assistant/d>/",
                  "...........................................d>/");
    s.clean = true;
    x = one(f, row, s);
    check_example(&x, "<user/a>/<assistant/b>/<user/c>/<assistant/d>", "...........................................d>");
    s.clean = false;
    extras[3] = WEFT_STR("{\"weight\":0}");
    x = one(f, row, s);
    assert_int_equal(x.n_labels, 0);
    extras[1] = (struct weft_str){ NULL, 0 };
    x = one(f, row, s);
    check_example(&x, "<user/a>/<assistant/b>/<user/c>/<assistant/d>/",
                  "....................b>/.......................");
    static const char blocks[] =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
        "<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}{% endfor %}";
    const struct weft_chat_template *plain = f->chat;
    struct weft_err err = { 0 };
    check_ok(weft_chat_parse(&f->a, "blocks", weft_str_c(blocks), &f->chat, &err), &err);
    x = one(f, row, s);
    check_example(&x, "<user/a><assistant/b><user/c><assistant/d>", "...................b>.....................");
    f->chat = plain;
}

static void test_pairs_are_cut_in_order(void **state)
{
    struct fixture *f = *state;
    /* Each pair: 20 tokens of prompt, 3 of answer. */
    struct weft_row row = TALK(f, "u:a", "a:b", "u:c", "a:d", "u:e", "a:f");
    struct weft_collate_settings s = { .cutoff_len = 33 };
    struct weft_example x = one(f, row, s);
    /* The first pair fits. Ten are left: 2 * 3 < 10, so the answer stays whole and the prompt gets seven. */
    check_example(&x, "<user/a>/<assistant/b>/<user/cd>/", "....................b>/.......d>/");
    assert_int_equal(x.full_len, 69);
    s.cutoff_len = 23;
    x = one(f, row, s);
    check_example(&x, "<user/a>/<assistant/b>/", "....................b>/");
    s.cutoff_len = 33;
    s.mask_history = true; /* from the last pair on, and order restored */
    x = one(f, row, s);
    check_example(&x, "<user/cd>/<user/e>/<assistant/f>/", "..............................f>/");
    s = (struct weft_collate_settings){ .cutoff_len = 2 };
    x = one(f, row, s); /* room 2 for 20 + 3: trunc(2 * 3/23) = 0 answer tokens */
    assert_int_equal(x.n, 2);
    assert_int_equal(x.n_labels, 0);
}

static void test_special_tokens_in_the_data_are_text_when_strict(void **state)
{
    struct fixture *f = *state;
    struct weft_row row = TALK(f, "u:<|im_end|>", "a:<s>");
    struct weft_collate_settings s = { .cutoff_len = 200 };
    for (int clean = 0; clean < 2; clean++) {
        s.clean = clean;
        s.strict_specials = false;
        struct weft_example x = one(f, row, s);
        assert_memory_equal(shown(x.ids, x.n), "<user/>>/<assistant/B>", 22);
        s.strict_specials = true;
        x = one(f, row, s);
        assert_memory_equal(shown(x.ids, x.n), "<user/<|im_end|>>/<assistant/<s>>", 33);
        assert_int_equal(x.n, 33 + !clean);
        assert_int_equal(x.n_labels, 4 + !clean);
        assert_int_equal(x.ids[0], IM_START);
        assert_int_equal(x.ids[16], IM_END); /* the template's own */
        assert_int_equal(x.ids[6], '<');     /* the user's */
    }
}

static void test_plain_text_ends_with_the_end_mark(void **state)
{
    struct fixture *f = *state;
    struct weft_example x =
        one(f, text_row("abc"), (struct weft_collate_settings){ .cutoff_len = 200, .stage = WEFT_STAGE_PT });
    check_example(&x, "abc>", "abc>");
    x = one(f, text_row("abc"), (struct weft_collate_settings){ .cutoff_len = 2 });
    check_example(&x, "ab", "ab");
    x = one(f, text_row(""), (struct weft_collate_settings){ .cutoff_len = 8 });
    assert_int_equal(x.n_labels, 0); /* one token, nothing predicts it */
    x = one(f, TALK(f, "u:a", "a:b"),
            (struct weft_collate_settings){ .cutoff_len = 200, .stage = WEFT_STAGE_PT });
    check_example(&x, "<user/a>/<assistant/b>/", "<user/a>/<assistant/b>/");

    struct fixture g;
    open_fixture(&g, "{\"eos_token\":\"<|end|>\",\"bos_token\":\"<s>\"}", true);
    x = one(&g, text_row("ab"), (struct weft_collate_settings){ .cutoff_len = 200, .stage = WEFT_STAGE_PT });
    check_example(&x, "BabE", "Bab."); /* pad is eos where there is no pad, and pads carry no loss */
    close_fixture(&g);
}

static void test_a_row_the_template_refuses_is_named(void **state)
{
    struct fixture *f = *state;
    struct weft_err err = { 0 };
    struct weft_example x;
    struct weft_row row = TALK(f, "u:a", "a:b");
    struct weft_collate_settings s = { .cutoff_len = 9 };
    const struct weft_chat_template *no;
    row.origin.file = WEFT_STR("chat.jsonl");
    row.origin.line = 17;
    check_ok(weft_chat_parse(&f->a, "t.jinja", WEFT_STR("\n{{ raise_exception('no thanks') }}"), &no, &err),
             &err);
    check_refuses(weft_collate_row(&f->a, f->e, f->t, no, &row, &s, &x, &err), &err, WEFT_EINPUT, "",
                  "row chat.jsonl:17: t.jinja:2: the chat template refuses these messages: no thanks");
    check_refuses(weft_collate_row(&f->a, f->e, f->t, NULL, &row, &s, &x, &err), &err, WEFT_EARG, "",
                  "chat.jsonl:17");
}

/* ---- many rows ---- */

static struct weft_examples collate(struct fixture *f, struct weft_row *rows, size_t n,
                                    struct weft_collate_settings s, int threads)
{
    struct weft_examples ex;
    struct weft_err err = { 0 };
    struct weft_pool *pool = NULL;
    struct weft_rows list = { rows, n, n };
    if (threads) check_ok(weft_pool_new(&pool, threads, &err), &err);
    check_ok(weft_collate_rows(&f->a, f->t, f->chat, &list, &s, pool, &ex, &err), &err);
    weft_pool_free(pool);
    return ex;
}

static void test_pretraining_cuts_blocks_and_says_what_it_drops(void **state)
{
    struct fixture *f = *state;
    struct weft_row rows[] = { text_row("abcdef"), text_row("gh"), text_row("ijk") };
    struct weft_collate_settings s = { .cutoff_len = 4, .stage = WEFT_STAGE_PT, .packing = true };
    struct weft_examples ex = collate(f, rows, 3, s, 0); /* abcdef> gh> ijk> : 14 tokens */
    assert_int_equal(ex.n, 3);
    check_example(&ex.items[0], "abcd", "abcd");
    check_example(&ex.items[1], "ef>g", "ef>g");
    check_example(&ex.items[2], "h>ij", "h>ij");
    assert_ptr_equal(ex.items[1].ids, ex.items[0].ids + 4);
    assert_ptr_equal(ex.items[1].ids, ex.items[1].labels);
    assert_int_equal(ex.rows_in, 3);
    assert_int_equal(ex.merged, 3);
    assert_int_equal(ex.dropped_tokens, 2);
    assert_int_equal(ex.total_tokens, 12);
    assert_int_equal(ex.total_labels, 12);
    s.clean = true;
    ex = collate(f, rows, 3, s, 0);
    assert_int_equal(ex.n, 4);
    check_example(&ex.items[3], "k>", "k>");
    assert_int_equal(ex.dropped_tokens, 0);

}

/* Q11: where pad is eos, the end of a text is not learnt; packed or alone, under hf and clean.  bos goes over the first
 * token of each block. */
static void test_q11_texts_do_not_learn_the_pad_token(void **state)
{
    struct fixture g;
    (void)state;
    open_fixture(&g, "{\"eos_token\":\"<|im_end|>\",\"pad_token\":\"<|im_end|>\",\"bos_token\":\"<s>\"}",
                 true);
    struct weft_row rows[] = { text_row("abcdef"), text_row("gh"), text_row("ijk") };
    for (int clean = 0; clean < 2; clean++) {
        struct weft_collate_settings s = { .cutoff_len = 4, .stage = WEFT_STAGE_PT, .packing = true, .clean = clean };
        struct weft_examples ex = collate(&g, rows, 3, s, 0);
        assert_int_equal(ex.n, 3);          /* nothing to learn in what is left: k, over which goes bos, and the pad */
        check_example(&ex.items[0], "Bbcd", "Bbcd");
        check_example(&ex.items[1], "Bf>g", "Bf.g");
        check_example(&ex.items[2], "B>ij", "B.ij");
        s = (struct weft_collate_settings){ .cutoff_len = 200, .stage = WEFT_STAGE_PT, .clean = clean };
        struct weft_example x = one(&g, rows[1], s);
        check_example(&x, "Bgh>", "Bgh.");
    }
    close_fixture(&g);
}

/* Q12: two rows of 23 tokens share a bin from a cutoff_len of 47 on, though 46 would hold them; and a row as long as
 * cutoff_len is cut by one token. */
static void test_q12_packing_shortens_the_cutoff_by_one(void **state)
{
    struct fixture *f = *state;
    struct weft_row rows[] = { TALK(f, "u:1", "a:b"), TALK(f, "u:3", "a:b") };
    for (int neat = 0; neat < 2; neat++)
        for (int64_t cutoff = 46; cutoff <= 47; cutoff++) {
            struct weft_collate_settings s = { .cutoff_len = cutoff, .packing = !neat, .neat_packing = neat };
            struct weft_examples ex = collate(f, rows, 2, s, 0);
            assert_int_equal(ex.n, cutoff == 46 ? 2 : 1);
            s.cutoff_len = 23;
            ex = collate(f, rows, 2, s, 0);
            assert_int_equal(ex.n, 2);
            assert_int_equal(ex.items[0].n, 22);
            assert_int_equal(ex.truncated, 2);
        }
    struct weft_collate_settings alone = { .cutoff_len = 23 };
    assert_int_equal(collate(f, rows, 2, alone, 0).items[0].n, 23);
}

static void test_packed_rows_share_bins(void **state)
{
    struct fixture *f = *state;
    struct weft_row rows[] = { TALK(f, "u:1", "a:b"), TALK(f, "u:2", "a:bbbbb"), TALK(f, "u:3", "a:b"),
                               TALK(f, "u:4", "a:bb") };
    struct weft_collate_settings s = { .cutoff_len = 51,
                                       .packing = true }; /* lengths 23, 27, 23, 24; room 50 */
    struct weft_examples ex = collate(f, rows, 4, s, 0);
    assert_int_equal(ex.n, 2);
    assert_int_equal(ex.merged, 4);
    assert_int_equal(ex.items[0].n, 50);
    assert_int_equal(ex.items[0].n_parts, 2);
    assert_int_equal(ex.items[0].part_lens[0], 27);
    assert_int_equal(ex.items[0].part_lens[1], 23);
    assert_int_equal(ex.items[0].row_idx, 1);
    check_example(&ex.items[0], "<user/2>/<assistant/bbbbb>/<user/3>/<assistant/b>/",
                  "....................bbbbb>/....................b>/");
    check_example(&ex.items[1], "<user/4>/<assistant/bb>/<user/1>/<assistant/b>/",
                  "....................bb>/....................b>/");

    uint32_t order[] = { 1, 0 };
    struct weft_batch b;
    struct weft_err err = { 0 };
    check_ok(weft_batch_make(&f->a, &ex, order, 0, 2, &b, &err), &err);
    assert_int_equal(b.n_seqs, 2); /* one attention sequence a bin ... */
    assert_int_equal(b.cu[1], 47);
    assert_int_equal(b.cu[2], 97);
    assert_int_equal(b.pos[23], 23);
    assert_int_equal(b.pos[24], 0); /* ... but positions start anew */
    s.packing = false;
    s.neat_packing = true;
    ex = collate(f, rows, 4, s, 0);
    check_ok(weft_batch_make(&f->a, &ex, order, 0, 2, &b, &err), &err);
    assert_int_equal(b.n_seqs, 4);
    assert_int_equal(b.cu[1], 24);
    assert_int_equal(b.cu[2], 47);
    assert_int_equal(b.cu[4], 97);
    assert_int_equal(b.n_labels, 4 + 3 + 7 + 3);
}

static void test_rows_without_a_label_are_counted(void **state)
{
    struct fixture *f = *state;
    struct weft_row rows[] = { TALK(f, "u:a", "a:b"), TALK(f, "u:only a question"), TALK(f, "u:c", "a:d") };
    struct weft_examples ex = collate(f, rows, 3, (struct weft_collate_settings){ .cutoff_len = 100 }, 0);
    assert_int_equal(ex.n, 2);
    assert_int_equal(ex.no_loss, 1);
    assert_int_equal(ex.rows_in, 3);
    assert_int_equal(ex.items[1].row_idx, 2);
    check_example(&ex.items[1], "<user/c>/<assistant/d>/", "....................d>/");
    ex = collate(f, rows, 0, (struct weft_collate_settings){ .cutoff_len = 100 }, 0);
    assert_int_equal(ex.n, 0);
}

static void check_same(const struct weft_examples *a, const struct weft_examples *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->total_tokens, b->total_tokens);
    assert_int_equal(a->total_labels, b->total_labels);
    assert_int_equal(a->truncated, b->truncated);
    assert_int_equal(a->no_loss, b->no_loss);
    assert_int_equal(a->longest, b->longest);
    for (size_t i = 0; i < a->n; i++) {
        const struct weft_example *x = &a->items[i], *y = &b->items[i];
        assert_int_equal(x->n, y->n);
        assert_int_equal(x->row_idx, y->row_idx);
        assert_int_equal(x->n_parts, y->n_parts);
        assert_memory_equal(x->ids, y->ids, x->n * sizeof *x->ids);
        assert_memory_equal(x->labels, y->labels, x->n * sizeof *x->labels);
    }
}

static void test_any_number_of_threads_gives_the_same_examples(void **state)
{
    struct fixture *f = *state;
    enum { N = 2345 };
    struct weft_row *rows = WEFT_NEWS(&f->a, struct weft_row, N),
                    *texts = WEFT_NEWS(&f->a, struct weft_row, N);
    uint64_t seed = 5;
    for (int i = 0; i < N; i++) {
        struct weft_str x = weft_str_printf(&f->a, "%.*s", (int)(check_random(&seed) % 40),
                                            "the quick brown fox jumps over the lazy dog");
        rows[i].turns = WEFT_NEWS(&f->a, struct weft_turn, 4);
        rows[i].n_turns = 2 + 2 * (check_random(&seed) % 2);
        for (size_t k = 0; k < rows[i].n_turns; k++)
            rows[i].turns[k] = (struct weft_turn){ k % 2 ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER, x };
        if (i % 17 == 0) rows[i].n_turns = 1;
        texts[i].text = x;
    }
    struct weft_collate_settings all[] = {
        { .cutoff_len = 90 },
        { .cutoff_len = 90, .clean = true, .strict_specials = true },
        { .cutoff_len = 200, .neat_packing = true },
        { .cutoff_len = 64, .stage = WEFT_STAGE_PT, .packing = true },
    };
    for (size_t i = 0; i < WEFT_COUNT(all); i++) {
        struct weft_row *from = all[i].stage == WEFT_STAGE_PT ? texts : rows;
        struct weft_examples ones = collate(f, from, N, all[i], 1), two = collate(f, from, N, all[i], 2),
                             five = collate(f, from, N, all[i], 5);
        check_same(&ones, &two);
        check_same(&ones, &five);
        assert_true(all[i].stage == WEFT_STAGE_PT ? ones.merged == N : ones.no_loss == N / 17 + 1);
    }
    /* Of several bad rows the first is reported, whoever comes to which first. */
    struct weft_err err = { 0 };
    struct weft_pool *pool;
    const struct weft_chat_template *picky;
    struct weft_examples ex;
    struct weft_rows list = { rows, N, N };
    check_ok(weft_chat_parse(
                 &f->a, "t",
                 WEFT_STR("{% if messages|length == 1 %}{{ raise_exception('one') }}{% endif %}{% for m in "
                          "messages %}{{ m.content }}{% endfor %}"),
                 &picky, &err),
             &err);
    for (int i = 0; i < N; i++) rows[i].origin.line = (uint64_t)i + 1;
    rows[0].n_turns = 2;
    check_ok(weft_pool_new(&pool, 5, &err), &err);
    check_fails(weft_collate_rows(&f->a, f->t, picky, &list, &all[0], pool, &ex, &err), &err, WEFT_EINPUT, "",
                "row :18:");
    weft_pool_free(pool);
}

static void test_a_batch_has_no_padding(void **state)
{
    struct fixture *f = *state;
    struct weft_row rows[] = { TALK(f, "u:a", "a:b"), TALK(f, "u:c", "a:defg") };
    struct weft_examples ex = collate(f, rows, 2, (struct weft_collate_settings){ .cutoff_len = 100 }, 0);
    uint32_t order[] = { 0, 1, 0 };
    struct weft_batch b;
    struct weft_err err = { 0 };
    check_ok(weft_batch_make(&f->a, &ex, order, 1, 2, &b, &err), &err);
    assert_int_equal(b.n_seqs, 2);
    assert_int_equal(b.n_tokens, 26 + 23);
    assert_int_equal(b.n_labels, 6 + 3);
    assert_int_equal(b.cu[0], 0);
    assert_int_equal(b.cu[1], 26);
    assert_int_equal(b.cu[2], 49);
    assert_string_equal(shown(b.ids, b.n_tokens), "<user/c>/<assistant/defg>/<user/a>/<assistant/b>/");
    assert_string_equal(shown(b.labels, b.n_tokens), "....................defg>/....................b>/");
    assert_int_equal(b.pos[25], 25);
    assert_int_equal(b.pos[26], 0);
}

static struct weft_row compared(struct weft_row row, const char *chosen, const char *rejected)
{
    row.chosen = (struct weft_turn){ WEFT_ROLE_ASSISTANT, weft_str_c(chosen) };
    row.rejected = (struct weft_turn){ WEFT_ROLE_ASSISTANT, weft_str_c(rejected) };
    return row;
}

/* Three lengths around a cutoff: 23, 26 and 30 tokens. */
static void test_rows_that_are_too_long_are_cut_dropped_or_refused(void **state)
{
    struct fixture *f = *state;
    struct weft_row rows[] = { TALK(f, "u:a", "a:b"), TALK(f, "u:c", "a:defg"), TALK(f, "u:h", "a:ijklmnop") };
    struct weft_collate_settings s = { .cutoff_len = 26 };
    struct weft_rows list = { rows, 3, 3 };
    struct weft_err err = { 0 };
    struct weft_examples ex = collate(f, rows, 3, s, 0);
    assert_int_equal(ex.n, 3);
    assert_int_equal(ex.truncated, 1);
    assert_int_equal(ex.by_length[4], 3);
    s.over_length = WEFT_OVER_DROP;
    ex = collate(f, rows, 3, s, 2);
    assert_int_equal(ex.n, 2);
    assert_int_equal(ex.over_long, 1);
    assert_int_equal(ex.truncated, 0);
    assert_int_equal(ex.rows_in, ex.n + ex.no_loss + ex.over_long);
    check_example(&ex.items[1], "<user/c>/<assistant/defg>/", "....................defg>/");
    s.over_length = WEFT_OVER_REFUSE;
    check_refuses(weft_collate_rows(&f->a, f->t, f->chat, &list, &s, NULL, &ex, &err), &err, WEFT_EINPUT, "",
                  "row 3 has 30 tokens, more than cutoff_len 26");
    /* of compared answers the longer one counts */
    struct weft_row pairs[] = { compared(TALK(f, "u:d"), "1", "2"), compared(TALK(f, "u:d"), "1", "234567890") };
    s = (struct weft_collate_settings){ .cutoff_len = 26, .stage = WEFT_STAGE_PAIR, .over_length = WEFT_OVER_DROP };
    ex = collate(f, pairs, 2, s, 0);
    assert_int_equal(ex.n, 1);
    assert_int_equal(ex.over_long, 1);
}

/* ---- answers that were compared or judged ---- */

static void test_compared_answers_share_their_prompt(void **state)
{
    struct fixture *f = *state;
    struct weft_row rows[] = { compared(TALK(f, "u:a", "a:b", "u:c"), "yes", "no!!"),
                               compared(TALK(f, "u:d"), "1", "2") };
    struct weft_collate_settings s = { .cutoff_len = 100, .stage = WEFT_STAGE_PAIR };
    struct weft_examples ex = collate(f, rows, 2, s, 2);
    assert_int_equal(ex.n, 2);
    assert_true(ex.two);
    assert_int_equal(ex.total_labels, 5 + 6 + 3 + 3);
    /* only the compared answer is learnt, not those before it */
    check_example(&ex.items[0], "<user/a>/<assistant/b>/<user/c>/<assistant/yes>/",
                  "...........................................yes>/");
    check_example(&ex.items[1], "<user/d>/<assistant/1>/", "....................1>/");
    check_example(&ex.items[2], "<user/a>/<assistant/b>/<user/c>/<assistant/no!!>/",
                  "...........................................no!!>/");
    check_example(&ex.items[3], "<user/d>/<assistant/2>/", "....................2>/");
    assert_int_equal(ex.items[2].row_idx, 0);
    assert_int_equal(weft_example_tokens(&ex, 0, WEFT_STAGE_PAIR), 48 + 49);
}

/* The longer answer decides how much of the prompt stays. */
static void test_compared_answers_are_cut_alike(void **state)
{
    struct fixture *f = *state;
    struct weft_row row = compared(TALK(f, "u:q"), "abcdefgh", "xy");
    struct weft_collate_settings s = { .cutoff_len = 10, .stage = WEFT_STAGE_PAIR };
    struct weft_examples ex = collate(f, &row, 1, s, 0);
    int64_t source, target;
    weft_collate_fit(20, 10, 10, &source, &target);
    assert_int_equal(ex.items[0].n, source + target);
    assert_int_equal(ex.items[1].n, source + (target < 4 ? target : 4));
    assert_int_equal(ex.truncated, 1);
    assert_memory_equal(ex.items[0].ids, ex.items[1].ids, (size_t)source * sizeof(int32_t));
    assert_string_equal(shown(ex.items[1].labels + source, ex.items[1].n - (size_t)source),
                        target < 4 ? "xy>" : "xy>/");
}

static void test_judged_answers_come_with_those_of_the_row_before(void **state)
{
    struct fixture *f = *state;
    struct weft_row rows[] = { TALK(f, "u:a", "a:1"), TALK(f, "u:b", "a:22"), TALK(f, "u:c", "a:333") };
    struct weft_collate_settings s = { .cutoff_len = 100, .stage = WEFT_STAGE_KTO };
    struct weft_err err = { 0 };
    rows[0].kto_tag = rows[2].kto_tag = 1;
    struct weft_examples ex = collate(f, rows, 3, s, 0);
    assert_int_equal(ex.n, 3);
    assert_true(ex.items[0].desirable && !ex.items[1].desirable && ex.items[2].desirable);
    check_example(&ex.items[1], "<user/b>/<assistant/22>/", "....................22>/");
    check_example(&ex.items[3], "<user/a>/<assistant/333>/", "....................333>/"); /* the group's last */
    check_example(&ex.items[4], "<user/b>/<assistant/1>/", "....................1>/");
    check_example(&ex.items[5], "<user/c>/<assistant/22>/", "....................22>/");
    assert_int_equal(weft_example_tokens(&ex, 0, WEFT_STAGE_KTO), 25);
    rows[1].kto_tag = -1;
    rows[1].origin.file = WEFT_STR("k.jsonl");
    rows[1].origin.line = 2;
    struct weft_rows list = { rows, 3, 3 };
    check_refuses(weft_collate_rows(&f->a, f->t, f->chat, &list, &s, NULL, &ex, &err), &err, WEFT_EINPUT, "",
                  "row k.jsonl:2 has no kto_tag");
    s.stage = WEFT_STAGE_PAIR;
    check_refuses(weft_collate_rows(&f->a, f->t, f->chat, &list, &s, NULL, &ex, &err), &err, WEFT_EINPUT, "",
                  "has no chosen and rejected answers");
}

static int setup(void **state)
{
    static struct fixture f;
    open_fixture(&f, config, false);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    close_fixture(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_pair_rule),
        cmocka_unit_test(test_bins_take_the_longest_that_fits),
        cmocka_unit_test(test_q13_text_behind_the_end_mark_is_learnt),
        cmocka_unit_test(test_prompt_and_answer_are_encoded_apart_under_hf_only),
        cmocka_unit_test(test_every_answer_is_learnt_or_the_last_only_or_all),
        cmocka_unit_test(test_an_answer_of_weight_0_is_context),
        cmocka_unit_test(test_pairs_are_cut_in_order),
        cmocka_unit_test(test_special_tokens_in_the_data_are_text_when_strict),
        cmocka_unit_test(test_plain_text_ends_with_the_end_mark),
        cmocka_unit_test(test_a_row_the_template_refuses_is_named),
        cmocka_unit_test(test_pretraining_cuts_blocks_and_says_what_it_drops),
        cmocka_unit_test(test_q11_texts_do_not_learn_the_pad_token),
        cmocka_unit_test(test_q12_packing_shortens_the_cutoff_by_one),
        cmocka_unit_test(test_packed_rows_share_bins),
        cmocka_unit_test(test_rows_without_a_label_are_counted),
        cmocka_unit_test(test_any_number_of_threads_gives_the_same_examples),
        cmocka_unit_test(test_a_batch_has_no_padding),
        cmocka_unit_test(test_rows_that_are_too_long_are_cut_dropped_or_refused),
        cmocka_unit_test(test_compared_answers_share_their_prompt),
        cmocka_unit_test(test_compared_answers_are_cut_alike),
        cmocka_unit_test(test_judged_answers_come_with_those_of_the_row_before),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
