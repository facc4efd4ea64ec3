/* The asking engine against a model of ours: contracts, corrective turns, order, budget, and the bill. */
#include "dataset/ask.h"

#include "base/json.h"
#include "base/rng.h"
#include "check.h"

static struct weft_err err;

/* ---- a model in memory ---- */

enum { MAX_PENDING = 64, MAX_BILL = 4096 };

struct fake {
    struct weft_arena a;
    /* What it answers to the last user message of a conversation with `n` messages. */
    struct weft_ask_reply (*answer)(struct fake *f, struct weft_str first, struct weft_str last, size_t n);
    struct {
        size_t id;
        struct weft_str body;
        char key[WEFT_CALL_KEY_HEX];
    } pending[MAX_PENDING];
    size_t n_pending, most_pending;
    struct weft_rng rng;
    char bill[MAX_BILL][WEFT_CALL_KEY_HEX]; /* the key of every request that came */
    size_t n_bill, die_after;               /* wait fails after so many replies; 0: never */
    size_t n_replies;
};

static enum weft_status fake_send(void *ctx, size_t id, struct weft_str body, const char *key, struct weft_err *e)
{
    struct fake *f = ctx;
    assert_true(f->n_pending < MAX_PENDING && f->n_bill < MAX_BILL);
    f->pending[f->n_pending].id = id;
    f->pending[f->n_pending].body = body;
    memcpy(f->pending[f->n_pending++].key, key, WEFT_CALL_KEY_HEX);
    memcpy(f->bill[f->n_bill++], key, WEFT_CALL_KEY_HEX);
    if (f->n_pending > f->most_pending) f->most_pending = f->n_pending;
    return WEFT_OK;
}

/* Replies come in an order that chance decides, a few at a time. */
static enum weft_status fake_wait(void *ctx, uint32_t timeout, struct weft_ask_reply *out, size_t max, size_t *n,
                                  struct weft_err *e)
{
    struct fake *f = ctx;
    *n = 0;
    for (size_t want = 1 + (size_t)weft_rng_below(&f->rng, 3); want && f->n_pending && *n < max; want--) {
        size_t i = (size_t)weft_rng_below(&f->rng, f->n_pending);
        struct weft_json_value v;
        if (f->die_after && f->n_replies >= f->die_after) return weft_fail(e, WEFT_ESYSTEM, "the machine stops");
        check_ok(weft_json_parse(&f->a, "request", f->pending[i].body, &v, &err), &err);
        const struct weft_json_value *m = weft_json_get(&v, "messages");
        size_t first = 0;
        while (!weft_str_is(weft_json_get(&m->items[first], "role")->text, "user")) first++;
        out[*n] = f->answer(f, weft_json_get(&m->items[first], "content")->text,
                            weft_json_get(&m->items[m->n - 1], "content")->text, m->n);
        out[*n].id = f->pending[i].id;
        if (out[*n].outcome != WEFT_ASK_TRY_FAILED) f->pending[i] = f->pending[--f->n_pending];
        f->n_replies++;
        ++*n;
    }
    return WEFT_OK;
}

static void fake_abandon(void *ctx) { ((struct fake *)ctx)->n_pending = 0; }

/* `s` stands in for the @ of the pattern. */
static struct weft_ask_reply text_reply(struct fake *f, const char *pattern, struct weft_str s)
{
    const char *at = strchr(pattern, '@');
    struct weft_str t = weft_str_printf(&f->a, "%.*s%.*s%s", (int)(at - pattern), pattern, (int)s.len, s.s, at + 1);
    return (struct weft_ask_reply){ .text = t, .finish = WEFT_CALL_FINISH_STOP, .http_status = 200,
                                    .prompt_tokens = 100,
                                    .completion_tokens = 10 };
}

/* The passage at the end of a prompt. */
static struct weft_str passage(struct weft_str s)
{
    size_t at = 0, next;
    while ((next = weft_str_find(s, WEFT_STR("\n"), at)) != SIZE_MAX) at = next + 1;
    return weft_str_skip(s, at);
}

/* ---- a setting ---- */

struct bench {
    struct weft_arena a;
    const char *dir, *path;
    struct weft_prompt prompt;
    struct weft_ask_settings s;
    struct weft_rows rows;
    struct weft_ask_unit *units;
    size_t n;
    struct fake fake;
    struct weft_ask_transport transport;
    struct weft_ask_report report;
    struct weft_ask_result *results;
    struct weft_ledger_found found;
};

static void bench_init(struct bench *b, const char *task, size_t n,
                       struct weft_ask_reply (*answer)(struct fake *, struct weft_str, struct weft_str, size_t))
{
    *b = (struct bench){ .dir = check_folder() };
    b->path = weft_path_join(&b->a, b->dir, "calls");
    b->s = (struct weft_ask_settings){ .model = "m", .temperature = -1, .top_p = -1, .seed = -1, .concurrency = 8 };
    check_ok(weft_prompt_builtin(&b->a, task, WEFT_PROMPT_ZH, &b->prompt, &err), &err);
    for (size_t i = 0; i < n; i++) {
        struct weft_row *row = weft_rows_add(&b->rows, &b->a);
        row->kto_tag = -1;
        row->text = weft_str_printf(&b->a, "第%zu段：老张进了城，买了一头驴。", i);
        row->origin.id = weft_str_printf(&b->a, "c%06zu", i + 1);
        row->origin.file = WEFT_STR("书.txt");
        row->origin.line = i + 1;
    }
    if (n) check_ok(weft_ask_units_of_rows(&b->a, task, &b->rows, &b->units, &b->n, &err), &err);
    b->fake.answer = answer;
    weft_rng_init(&b->fake.rng, 1, WEFT_RNG_TEST, 0);
    b->transport = (struct weft_ask_transport){ "http://fake/v1", fake_send, fake_wait, fake_abandon, &b->fake,
                                                  .free = false };
}

static enum weft_status bench_run(struct bench *b)
{
    struct weft_ledger *l;
    check_ok(weft_ledger_open(&l, b->path, &b->found, &err), &err);
    b->results = WEFT_NEWS(&b->a, struct weft_ask_result, b->n);
    enum weft_status st =
        weft_ask_run(&b->a, &b->prompt, &b->s, b->units, b->n, l, &b->transport, NULL, b->results, &b->report, &err);
    weft_ledger_close(l);
    uint64_t sum = 0;
    for (int i = 0; i < WEFT_N_ASK_STATES; i++) sum += b->report.states[i];
    assert_int_equal(sum, b->n);
    return st;
}

static void bench_clear(struct bench *b)
{
    check_folder_gone(b->dir);
    weft_arena_clear(&b->fake.a);
    weft_arena_clear(&b->a);
    weft_err_clear(&err);
}

static struct weft_str input_of(const struct weft_row *row)
{
    return weft_str_skip(row->turns[0].text, row->instruction_len + 1);
}

/* ---- tests ---- */

static struct weft_ask_reply good_summary(struct fake *f, struct weft_str first, struct weft_str last, size_t n)
{
    return text_reply(f, "老张买驴：@", weft_str_sub(passage(first), 0, 9));
}

static void test_rows_stand_in_the_order_of_the_passages(void **state)
{
    struct bench b;
    bench_init(&b, "summarise", 50, good_summary);
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.report.states[WEFT_ASK_OK], 50);
    assert_int_equal(b.report.asked, 50);
    assert_int_equal(b.report.prompt_tokens, 5000);
    assert_true(b.fake.most_pending == 8);
    for (size_t i = 0; i < b.n; i++) {
        const struct weft_row *row = &b.results[i].rows.items[0];
        assert_int_equal(b.results[i].rows.n, 1);
        assert_true(weft_str_eq(row->turns[1].text, b.rows.items[i].text));
        assert_true(weft_str_starts(input_of(row), WEFT_STR("老张买驴：第")));
        check_str(weft_str_sub(row->turns[0].text, 0, row->instruction_len), b.prompt.instruction);
        check_str(row->origin.via, b.prompt.via);
        assert_true(weft_str_eq(row->origin.parents, b.rows.items[i].origin.id));
        assert_true(weft_str_ends(row->origin.id, WEFT_STR(".1")));
        check_str(row->origin.file, "书.txt");
        assert_int_equal(row->origin.line, i + 1);
        assert_true(row->origin.confidence == 1);
    }
    /* LG3: the second time nobody is asked. */
    size_t bill = b.fake.n_bill;
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.fake.n_bill, bill);
    assert_int_equal(b.report.reused, 50);
    assert_int_equal(b.report.asked, 0);
    assert_int_equal(b.report.rows, 50);
    bench_clear(&b);
}

/* Each passage is answered wrongly in its own way first, and well when it is corrected; those of 9 never are. */
static struct weft_ask_reply sloppy(struct fake *f, struct weft_str first, struct weft_str last, size_t n)
{
    struct weft_str p = passage(first);
    unsigned kind = (unsigned)(p.s[3] - '0') % 10;
    struct weft_ask_reply r = text_reply(f, "@买驴。", WEFT_STR("老张"));
    if (n > 2 && kind != 9) return r; /* corrected */
    switch (kind) {
    case 0: r.text = WEFT_STR("概括：老张买驴。"); break;
    case 1: r.text = WEFT_STR("老张进城买驴，这一句话实在太长，长得超过了五十个字，因为写它的人不肯好好地概括，只是把原文翻来覆去地抄，抄了又抄。"); break;
    case 2: r.text = WEFT_STR(""); break;
    case 3: r.text = WEFT_STR("老张进城。\n老张买驴。"); break;
    case 4: r.finish = WEFT_CALL_FINISH_LENGTH; break;
    case 5: r.text = WEFT_STR("<think>我想想"); break;
    case 6: r.text = WEFT_STR("<think>想</think>“老张买驴。”"); break; /* good */
    case 9: r.text = WEFT_STR("**梗概如下**：老张买驴"); break;
    default: break;
    }
    return r;
}

static void test_broken_contract_gets_one_corrective_turn(void **state)
{
    struct bench b;
    bench_init(&b, "summarise", 10, sloppy);
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.report.states[WEFT_ASK_OK], 9);
    assert_int_equal(b.report.states[WEFT_ASK_FLAGGED], 1);
    assert_int_equal(b.report.corrective, 7);
    assert_int_equal(b.report.asked, 17);
    assert_int_equal(b.report.thoughts, 2);
    assert_int_equal(b.results[9].state, WEFT_ASK_FLAGGED);
    assert_int_equal(b.results[9].rows.n, 0);
    check_str(b.results[9].problem, "带有标题或开头语");
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(b.results[i].corrected, i < 6);
        check_str(input_of(&b.results[i].rows.items[0]), "老张买驴。");
        assert_true(b.results[i].rows.items[0].origin.confidence == (i < 6 ? 0.8 : 1));
    }
    /* C7: corrective turns are entries of their own; nothing is asked a second time. */
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.report.asked, 0);
    assert_int_equal(b.report.reused, 17);
    assert_int_equal(b.report.states[WEFT_ASK_FLAGGED], 1);
    bench_clear(&b);
}

/* C8: stops after any number of replies; nothing that was answered is asked again, and the rows are the same. */
static void test_stopped_anywhere_and_gone_on_gives_the_same_rows(void **state)
{
    struct bench whole, b;
    bench_init(&whole, "summarise", 24, sloppy);
    check_ok(bench_run(&whole), &err);
    bench_init(&b, "summarise", 24, sloppy);
    size_t rounds = 0;
    for (;; rounds++) {
        assert_true(rounds < 60);
        b.fake.die_after = b.fake.n_replies + 1 + rounds % 4;
        b.fake.n_pending = 0;
        enum weft_status st = bench_run(&b);
        weft_err_clear(&err);
        if (!st) break;
        assert_int_equal(st, WEFT_ESYSTEM);
    }
    assert_true(rounds > 5);
    for (size_t i = 0; i < b.n; i++) {
        assert_int_equal(b.results[i].state, whole.results[i].state);
        assert_int_equal(b.results[i].rows.n, whole.results[i].rows.n);
        if (b.results[i].rows.n)
            assert_true(weft_str_eq(b.results[i].rows.items[0].turns[0].text,
                                    whole.results[i].rows.items[0].turns[0].text));
    }
    /* What was in flight at a stop may come twice on the bill; more than that may not. */
    assert_true(b.fake.n_bill <= whole.fake.n_bill + rounds * 8);
    struct weft_ledger *l;
    check_ok(weft_ledger_open(&l, b.path, &b.found, &err), &err);
    assert_int_equal(b.found.state_keys[WEFT_CALL_SENT], 0);
    weft_ledger_close(l);
    bench_clear(&whole);
    bench_clear(&b);
}

static void test_equal_requests_share_one_call(void **state)
{
    struct bench b;
    bench_init(&b, "summarise", 20, good_summary);
    for (size_t i = 0; i < b.n; i++) b.units[i].text = b.rows.items[i % 3].text;
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.fake.n_bill, 3);
    assert_int_equal(b.report.asked, 3);
    assert_int_equal(b.report.shared + b.report.reused, 17);
    assert_int_equal(b.report.states[WEFT_ASK_OK], 20);
    bench_clear(&b);
}

/* Empty, refused and failed are three things; a refusal is kept until somebody says again. */
static struct weft_ask_reply moody(struct fake *f, struct weft_str first, struct weft_str last, size_t n)
{
    struct weft_ask_reply r = text_reply(f, "@买驴。", WEFT_STR("老张"));
    unsigned kind = (unsigned)(passage(first).s[3] - '0') % 10;
    if (kind == 0) r.text = WEFT_STR("");
    if (kind == 1) {
        r.refused = true;
        r.text = (struct weft_str){ NULL, 0 };
        r.message = WEFT_STR("我不能回答");
    }
    if (kind == 2 && f->n_replies < 100) {
        r.outcome = WEFT_ASK_GAVE_UP;
        r.http_status = 500;
        r.maybe_paid = true;
        r.text = WEFT_STR("<html>\xff");
        r.message = WEFT_STR("HTTP 500 六次");
    }
    return r;
}

static void test_empty_refused_and_failed_are_told_apart(void **state)
{
    struct bench b;
    bench_init(&b, "summarise", 4, moody);
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.results[0].state, WEFT_ASK_EMPTY);
    assert_int_equal(b.results[1].state, WEFT_ASK_REFUSED);
    assert_int_equal(b.results[2].state, WEFT_ASK_FAILED);
    assert_int_equal(b.results[3].state, WEFT_ASK_OK);
    check_str(b.results[1].reply, "我不能回答");
    check_str(b.results[2].reply, "HTTP 500 六次");
    size_t bill = b.fake.n_bill;
    b.fake.n_replies = 100; /* the server is well again */
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.fake.n_bill, bill + 1); /* only what failed */
    assert_int_equal(b.results[2].state, WEFT_ASK_OK);
    b.s.again = true;
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.report.asked, 3); /* the refusal, and the empty one with its corrective turn */
    bench_clear(&b);
}

static struct weft_ask_reply no_key(struct fake *f, struct weft_str first, struct weft_str last, size_t n)
{
    struct weft_ask_reply r = text_reply(f, "@买驴。", WEFT_STR("老张"));
    if (f->n_replies < 5) return r;
    r.outcome = WEFT_ASK_STOP;
    r.http_status = 401;
    r.message = WEFT_STR("401: the key is wrong; set DEEPSEEK_API_KEY");
    return r;
}

/* C3 */
static void test_refusing_endpoint_ends_asking_and_keeps_answers(void **state)
{
    struct bench b;
    bench_init(&b, "summarise", 40, no_key);
    check_fails(bench_run(&b), &err, WEFT_EREMOTE, "", "set DEEPSEEK_API_KEY");
    assert_int_equal(b.report.states[WEFT_ASK_OK], 5);
    assert_true(b.fake.n_bill <= 5 + 8);
    weft_err_clear(&err);
    b.fake.answer = good_summary;
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.report.reused, 5);
    assert_int_equal(b.report.states[WEFT_ASK_OK], 40);
    bench_clear(&b);
}

static struct weft_ask_reply down(struct fake *f, struct weft_str first, struct weft_str last, size_t n)
{
    return (struct weft_ask_reply){ .outcome = WEFT_ASK_GAVE_UP, .message = WEFT_STR("no connection to fake") };
}

static void test_endpoint_that_is_down_is_given_up(void **state)
{
    struct bench b;
    bench_init(&b, "summarise", 200, down);
    check_fails(bench_run(&b), &err, WEFT_EREMOTE, "", "no connection to fake");
    assert_true(b.report.asked < 30);
    bench_clear(&b);
}

/* C9 */
static void test_budget_is_not_passed(void **state)
{
    struct bench b;
    bench_init(&b, "summarise", 40, good_summary);
    b.s.max_calls = 7;
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.fake.n_bill, 7);
    assert_true(b.report.over_budget && b.report.states[WEFT_ASK_LEFT] == 33);
    b.s.max_calls = 0;
    b.s.price_in = 1000;
    b.s.price_out = 1000;
    b.s.max_cost = 2;
    check_ok(bench_run(&b), &err);
    assert_true(b.report.over_budget && b.report.cost <= 2 && b.report.cost > 0);
    assert_true(b.report.states[WEFT_ASK_OK] > 7 && b.report.states[WEFT_ASK_OK] < 40);
    bench_clear(&b);
}

static void test_preview_counts_what_is_not_known_yet(void **state)
{
    struct bench b;
    struct weft_ask_estimate e;
    struct weft_ledger *l;
    bench_init(&b, "summarise", 30, good_summary);
    b.s.limit = 10;
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.report.states[WEFT_ASK_OK], 10);
    assert_int_equal(b.report.states[WEFT_ASK_LEFT], 20);
    b.s.limit = 0;
    b.s.price_in = 1;
    b.s.price_out = 2;
    b.units[29].text = b.units[28].text;
    check_ok(weft_ledger_open(&l, b.path, NULL, &err), &err);
    check_ok(weft_ask_preview(&b.a, &b.prompt, &b.s, b.units, b.n, l, "http://fake/v1", &e, &err), &err);
    weft_ledger_close(l);
    assert_int_equal(e.reused, 10);
    assert_int_equal(e.shared, 1);
    assert_int_equal(e.calls, 19);
    assert_true(e.prompt_tokens > 19 * 60 && e.prompt_tokens < 19 * 300 && e.cost > 0);
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.report.asked, e.calls);
    bench_clear(&b);
}

/* ---- tasks ---- */

static struct weft_ask_reply qa_reply(struct fake *f, struct weft_str first, struct weft_str last, size_t n)
{
    return text_reply(f, "好的：\n```json\n[{\"question\":\"谁买了驴？\",\"answer\":\"老张买了驴。\",\"evidence\":\"买了一头驴\"},"
                         "{\"question\":\"几头？\",\"answer\":\"两头@。\",\"evidence\":\"买了两头驴\"},{\"question\":\"空\"}]\n```",
                      WEFT_STR(""));
}

static void test_qa_keeps_only_pairs_with_evidence_in_the_source(void **state)
{
    struct bench b;
    bench_init(&b, "qa", 3, qa_reply);
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.report.rows, 3);
    assert_int_equal(b.report.pieces.units_in, 9);
    assert_int_equal(b.report.pieces.rows_out, 3);
    assert_int_equal(weft_report_dropped(&b.report.pieces), 6);
    assert_int_equal(b.report.pieces.n_drops, 2);
    check_str(b.report.pieces.drops[0].reason, "the evidence does not stand in the source");
    check_str(b.results[1].rows.items[0].turns[0].text, "谁买了驴？");
    check_str(b.results[1].rows.items[0].turns[1].text, "老张买了驴。");
    bench_clear(&b);
}

static struct weft_ask_reply speakers(struct fake *f, struct weft_str first, struct weft_str last, size_t n)
{
    if (n == 2) return text_reply(f, "[{\"id\":4,\"speaker\":\"@\"}]", WEFT_STR("李四"));
    return text_reply(f, "[{\"id\":4,\"speaker\":\"@\"},{\"id\":7,\"speaker\":\"？\"}]", WEFT_STR("张三"));
}

static void test_dialogue_takes_only_speakers_of_the_list(void **state)
{
    const struct weft_str names[] = { WEFT_STR("王五"), WEFT_STR("张三") };
    const struct weft_ask_open open[] = { { 4, 0, names, 2 }, { 7, 1, names, 2 } };
    struct bench b;
    bench_init(&b, "dialogue", 1, speakers);
    b.units[0].open = open;
    b.units[0].n_open = 2;
    b.units[0].values[0] = (struct weft_prompt_value){ "candidates", WEFT_STR("王五、张三") };
    b.units[0].values[1] = (struct weft_prompt_value){ "ids", WEFT_STR("4、7") };
    b.units[0].n_values = 2;
    check_ok(bench_run(&b), &err);
    assert_int_equal(b.results[0].state, WEFT_ASK_OK);
    assert_true(b.results[0].corrected);
    assert_true(b.results[0].chosen[0] == 1 && b.results[0].chosen[1] == SIZE_MAX);
    bench_clear(&b);
}

static struct weft_ask_reply more_rows(struct fake *f, struct weft_str first, struct weft_str last, size_t n)
{
    return text_reply(f, "[{\"instruction\":\"你@喝茶么？\",\"output\":\"两文一碗。\"},{\"instruction\":\"问1\",\"output\":\"别的\"}]",
                      WEFT_STR(""));
}

static void conversation(struct bench *b, const char *question, const char *answer)
{
    struct weft_row *row = weft_rows_add(&b->rows, &b->a);
    row->turns = WEFT_NEWS(&b->a, struct weft_turn, 2);
    row->turns[0] = (struct weft_turn){ WEFT_ROLE_USER, weft_str_dup(&b->a, weft_str_c(question)) };
    row->turns[1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT, weft_str_dup(&b->a, weft_str_c(answer)) };
    row->n_turns = 2;
    row->kto_tag = -1;
}

static void test_augmented_rows_have_parents_and_are_no_copies(void **state)
{
    struct bench b;
    struct weft_ask_unit *again;
    size_t n;
    char q[32];
    bench_init(&b, "augment", 0, more_rows);
    for (int i = 0; i < 3; i++) {
        snprintf(q, sizeof q, "问%d", i);
        conversation(&b, q, "答");
    }
    check_ok(weft_ask_units_of_draws(&b.a, &b.rows, 5, 3, 42, &b.units, &b.n, &err), &err);
    check_ok(weft_ask_units_of_draws(&b.a, &b.rows, 5, 3, 42, &again, &n, &err), &err);
    for (size_t i = 0; i < n; i++) assert_true(weft_str_eq(b.units[i].text, again[i].text));
    check_ok(weft_ask_units_of_draws(&b.a, &b.rows, 5, 2, 43, &again, &n, &err), &err);
    assert_false(weft_str_eq(b.units[0].parents, again[0].parents));
    check_ok(bench_run(&b), &err);
    const struct weft_row *row = &b.results[0].rows.items[0];
    assert_int_equal(b.results[0].rows.n, 1); /* the other is one of the three examples */
    check_str(row->turns[0].text, "你喝茶么？");
    check_str(row->origin.flags, "aug");
    assert_true(weft_str_starts(row->origin.parents, WEFT_STR("aug000001,r00000")));
    check_refuses(weft_ask_units_of_draws(&b.a, &b.rows, 5, 4, 1, &again, &n, &err), &err, WEFT_EINPUT, "", "too few");
    bench_clear(&b);
}

static struct weft_ask_reply verdict(struct fake *f, struct weft_str first, struct weft_str last, size_t n)
{
    return n == 2 ? text_reply(f, "{\"score\":7.5,\"reasons\":\"@\"}", WEFT_STR("好"))
                  : text_reply(f, "{\"score\":7,\"reasons\":\"@\"}", WEFT_STR("好"));
}

static void test_judge_adds_score_and_reasons_to_the_row(void **state)
{
    struct bench b;
    bench_init(&b, "judge", 0, verdict);
    conversation(&b, "问", "答");
    b.rows.items[0].extra = WEFT_STR("{\"note\":1,\"judge\":{\"score\":2}}");
    check_ok(weft_ask_units_of_rows(&b.a, "judge", &b.rows, &b.units, &b.n, &err), &err);
    check_ok(bench_run(&b), &err);
    const struct weft_row *row = &b.results[0].rows.items[0];
    check_str(row->turns[0].text, "问");
    assert_true(weft_str_starts(row->extra, WEFT_STR("{\"note\":1,\"judge\":{\"score\":7,\"reasons\":\"好\",\"via\":\"ask/judge@1+")));
    bench_clear(&b);
}

/* ---- rules ---- */

static void test_rules_take_sentences_of_the_source(void **state)
{
    struct bench b;
    bench_init(&b, "summarise", 1, NULL);
    struct weft_str text = WEFT_STR("天亮了。老张牵着驴进城卖炭，老张的驴在城门口不肯走。路人都来看老张和他的驴！“驴啊驴，”他说，“走罢。”");
    b.units[0].text = text;
    b.results = WEFT_NEWS(&b.a, struct weft_ask_result, 1);
    check_ok(weft_ask_offline(&b.a, "summarise", &b.s, &b.prompt, b.units, 1, NULL, b.results, &b.report, &err), &err);
    const struct weft_row *row = &b.results[0].rows.items[0];
    assert_true(weft_str_find(text, input_of(row), 0) != SIZE_MAX);
    assert_true(weft_utf8_chars(input_of(row)) <= 50 && weft_utf8_chars(input_of(row)) > 4);
    check_str(row->origin.via, "rule/extract@1");
    check_str(row->origin.flags, "offline");
    check_str(row->turns[1].text, text.s);
    /* One sentence that is too long is cut at a pause. */
    b.units[0].text = WEFT_STR("那一年的冬天比往年来得早，河面上结了厚厚的冰，渡船停在岸边，船夫阿橹整日坐在茶棚里，听着对岸的人声，一句话也不说，只是搓着手");
    b.results[0] = (struct weft_ask_result){ 0 };
    check_ok(weft_ask_offline(&b.a, "summarise", &b.s, &b.prompt, b.units, 1, NULL, b.results, &b.report, &err), &err);
    check_str(input_of(&b.results[0].rows.items[0]), "那一年的冬天比往年来得早，河面上结了厚厚的冰，渡船停在岸边，船夫阿橹整日坐在茶棚里，听着对岸的人声");
    bench_clear(&b);

    bench_init(&b, "qa", 1, NULL);
    b.units[0].text = WEFT_STR("# 秤\n杆秤是用杠杆称重量的器具。它是古人发明的。秤砣位于秤杆的另一头，可以滑动。");
    b.results = WEFT_NEWS(&b.a, struct weft_ask_result, 1);
    check_ok(weft_ask_offline(&b.a, "qa", &b.s, &b.prompt, b.units, 1, NULL, b.results, &b.report, &err), &err);
    assert_int_equal(b.results[0].rows.n, 2);
    check_str(b.results[0].rows.items[0].turns[0].text, "杆秤是什么？");
    check_str(b.results[0].rows.items[0].turns[1].text, "杆秤是用杠杆称重量的器具。");
    check_str(b.results[0].rows.items[1].turns[0].text, "秤砣在哪里？");
    check_refuses(weft_ask_offline(&b.a, "judge", &b.s, &b.prompt, b.units, 1, NULL, b.results, &b.report, &err), &err,
                  WEFT_EARG, "", "has no rule");
    bench_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_stand_in_the_order_of_the_passages),
        cmocka_unit_test(test_broken_contract_gets_one_corrective_turn),
        cmocka_unit_test(test_stopped_anywhere_and_gone_on_gives_the_same_rows),
        cmocka_unit_test(test_equal_requests_share_one_call),
        cmocka_unit_test(test_empty_refused_and_failed_are_told_apart),
        cmocka_unit_test(test_refusing_endpoint_ends_asking_and_keeps_answers),
        cmocka_unit_test(test_endpoint_that_is_down_is_given_up),
        cmocka_unit_test(test_budget_is_not_passed),
        cmocka_unit_test(test_preview_counts_what_is_not_known_yet),
        cmocka_unit_test(test_qa_keeps_only_pairs_with_evidence_in_the_source),
        cmocka_unit_test(test_dialogue_takes_only_speakers_of_the_list),
        cmocka_unit_test(test_augmented_rows_have_parents_and_are_no_copies),
        cmocka_unit_test(test_judge_adds_score_and_reasons_to_the_row),
        cmocka_unit_test(test_rules_take_sentences_of_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
