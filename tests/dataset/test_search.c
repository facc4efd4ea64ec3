/* Full-text search: what is found is what stands there, in Chinese and elsewhere, whatever the query says. */
#include "check.h"

#include "base/rng.h"
#include "dataset/search.h"

#include <sqlite3.h>

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_search *search;
    struct weft_search_hit *hits;
    size_t n;
    uint64_t all;
};

#define FIXTURE_CLEAR(f) weft_search_close((f)->search)
#include "fixture.h"

static void add(struct fixture *f, const char *text)
{
    struct weft_search_doc doc = { weft_str_c(text), WEFT_STR("here") };
    check_ok(weft_search_add(f->search, &doc, NULL, &f->err), &f->err);
}

static void fill(struct fixture *f, const char *const *texts, size_t n)
{
    check_ok(weft_search_open(&f->search, NULL, &f->err), &f->err);
    for (size_t i = 0; i < n; i++) add(f, texts[i]);
    check_ok(weft_search_commit(f->search, &f->err), &f->err);
}

static void ask(struct fixture *f, const char *query, enum weft_search_mode mode)
{
    check_ok(weft_search_query(f->search, &f->arena, weft_str_c(query), mode, 100, &f->hits, &f->n, &f->all, &f->err),
             &f->err);
}

/* The ids of all hits of a query for every word, in order: "1 3". */
static void check_ids(struct fixture *f, const char *query, const char *want)
{
    struct weft_buf got = { 0 };
    ask(f, query, WEFT_SEARCH_ALL);
    for (int64_t id = 1; id <= 1000; id++)
        for (size_t i = 0; i < f->n; i++)
            if (f->hits[i].id == id) weft_buf_printf(&got, "%s%d", got.len ? " " : "", (int)id);
    if (!weft_str_is(weft_buf_view(&got), want)) print_error("query \"%s\"\n", query);
    check_str(weft_buf_view(&got), want);
    assert_int_equal(f->all, f->n);
    weft_buf_clear(&got);
}

static const char *const lines[] = {
    "阿沅推开窗，看见河面上漂着一盏灯。",                  /* 1 */
    "“阿沅，你还记得那年冬天吗？”船夫问。",                /* 2 */
    "The Ferry leaves at dawn; 渡口 is empty.",             /* 3 */
    "沅江的水很冷。阿爸说。",                                /* 4: 阿 and 沅, never together */
    "ＡＢＣ１２３ 全角的字母",                               /* 5 */
    "灯",                                                    /* 6 */
    "Ünïcode WÖRTER and naïve cafés",                        /* 7 */
};

static void test_a_name_of_two_characters_is_found(void **state)
{
    struct fixture *f = *state;
    fill(f, lines, WEFT_COUNT(lines));
    check_ids(f, "阿沅", "1 2");
    check_ids(f, "沅阿", "");
    check_ids(f, "船夫", "2");
    check_ids(f, "渡口", "3");
    check_str(f->hits[0].text, lines[2]);
    check_str(f->hits[0].origin, "here");
}

static void test_one_and_many_characters(void **state)
{
    struct fixture *f = *state;
    fill(f, lines, WEFT_COUNT(lines));
    check_ids(f, "灯", "1 6");
    check_ids(f, "沅", "1 2 4");
    check_ids(f, "窗", "1");            /* the last of its run */
    check_ids(f, "你还记得那年冬天吗", "2");
    check_ids(f, "记得那年", "2");
    check_ids(f, "记得冬天", "");
    check_ids(f, "记得 冬天", "2");     /* two words */
    check_ids(f, "窗看见", "");         /* punctuation parts them */
}

static void test_words_are_folded(void **state)
{
    struct fixture *f = *state;
    fill(f, lines, WEFT_COUNT(lines));
    check_ids(f, "ferry", "3");
    check_ids(f, "FERRY dawn", "3");
    check_ids(f, "ferr", "");
    check_ids(f, "abc123", "5");
    check_ids(f, "ａｂｃ123", "5");
    check_ids(f, "wörter ÜNÏCODE", "7");
}

static void test_queries_are_text_and_never_commands(void **state)
{
    struct fixture *f = *state;
    fill(f, lines, WEFT_COUNT(lines));
    static const char *const hostile[] = { "\"", "阿沅\" OR \"", "阿沅 OR 渡口", "text: 阿沅", "阿沅 NOT 船夫", "NEAR(阿沅)",
                                           "阿沅*", "^阿沅", "'; DROP TABLE docs; --", "{text} : 阿沅", "-阿沅", "+", "(",
                                           "\xFF\xFE", "a\"\"b", "AND", "*" };
    for (size_t i = 0; i < WEFT_COUNT(hostile); i++) {
        ask(f, hostile[i], WEFT_SEARCH_ALL);
        ask(f, hostile[i], WEFT_SEARCH_ANY);
    }
    check_ids(f, "阿沅*", "1 2");
    check_ids(f, "阿沅 OR 渡口", "");       /* "or" is a word that no line has */
    check_ids(f, "", "");
    check_ids(f, "，。？", "");
    assert_int_equal(weft_search_count(f->search), WEFT_COUNT(lines));
}

static void test_rare_words_and_short_rows_rank_higher(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {
        "今天下雨，明天也下雨，后天还是下雨，谁知道要下到什么时候才能停呢。",
        "今天下雨。",
        "今天晴。",
        "昨夜有人看见白鹿，今天下雨。",
    };
    fill(f, texts, WEFT_COUNT(texts));
    ask(f, "今天有没有下雨，白鹿还在吗", WEFT_SEARCH_ANY);
    assert_true(f->n >= 3);
    assert_int_equal(f->hits[0].id, 4);     /* the only one with 白鹿 */
    for (size_t i = 1; i < f->n; i++) assert_true(f->hits[i - 1].score >= f->hits[i].score);
    ask(f, "晴", WEFT_SEARCH_ANY);
    assert_int_equal(f->n, 1);
    check_ok(weft_search_query(f->search, &f->arena, WEFT_STR("今天"), WEFT_SEARCH_ALL, 2, &f->hits, &f->n, &f->all,
                               &f->err),
             &f->err);
    assert_int_equal(f->n, 2);
    assert_int_equal(f->all, 4);
}

/* Random texts of few characters: a query of one to five finds exactly the texts that hold it. */
static void random_text(struct weft_rng *rng, struct weft_buf *b)
{
    static const char *const words[] = { "今天", "下雨", "天", "雨", "白鹿", "晴", "ferry", "dawn", "，" };
    weft_buf_reset(b);
    for (uint64_t n = 1 + weft_rng_below(rng, weft_rng_below(rng, 4) ? 8 : 120); n; n--) {
        uint64_t most = 1 + weft_rng_below(rng, WEFT_COUNT(words));     /* the first ones come most */
        weft_buf_cstr(b, words[weft_rng_below(rng, most)]);
        if (most & 1) weft_buf_char(b, ' ');
    }
}

static const char *const asked[] = { "今天", "下雨", "天", "今天 白鹿", "今天天晴白鹿雨", "ferry dawn", "晴" };

/* The few best of many are those of all hits in order, though most hits are never ranked to the end. */
static void test_the_best_few_are_the_best_of_all(void **state)
{
    struct fixture *f = *state;
    struct weft_buf b = { 0 };
    struct weft_rng rng;
    int many = 0;
    weft_rng_init(&rng, 5, WEFT_RNG_TEST, 0);
    check_ok(weft_search_open(&f->search, NULL, &f->err), &f->err);
    for (int i = 0; i < 1500; i++) {
        random_text(&rng, &b);
        add(f, b.s);
    }
    check_ok(weft_search_commit(f->search, &f->err), &f->err);
    for (size_t k = 0; k < 2 * WEFT_COUNT(asked); k++) {
        enum weft_search_mode mode = k & 1 ? WEFT_SEARCH_ANY : WEFT_SEARCH_ALL;
        struct weft_search_hit *all, *few;
        size_t n_all, n;
        uint64_t met;
        check_ok(weft_search_query(f->search, &f->arena, weft_str_c(asked[k / 2]), mode, 2000, &all, &n_all, NULL,
                                   &f->err), &f->err);
        many += n_all > 100;
        for (size_t limit = 1; limit <= 50; limit += 7) {
            check_ok(weft_search_query(f->search, &f->arena, weft_str_c(asked[k / 2]), mode, limit, &few, &n, &met,
                                       &f->err), &f->err);
            assert_int_equal(n, weft_min_size(limit, n_all));
            assert_int_equal(met, n_all);
            for (size_t i = 0; i < n; i++) assert_true(few[i].id == all[i].id && few[i].score == all[i].score);
        }
    }
    assert_true(many > 8);
    weft_buf_clear(&b);
}

static void test_scores_are_those_of_fts5(void **state)
{
    struct fixture *f = *state;
    sqlite3 *sql = NULL;
    sqlite3_stmt *put = NULL, *get = NULL;
    struct weft_buf b = { 0 };
    struct weft_rng rng;
    int n = 0;
    weft_rng_init(&rng, 6, WEFT_RNG_TEST, 0);
    assert_int_equal(sqlite3_open(":memory:", &sql), SQLITE_OK);
    check_ok(weft_search_register(sql, NULL, &f->err), &f->err);
    assert_int_equal(sqlite3_exec(sql, "CREATE VIRTUAL TABLE w USING fts5(text, tokenize='weft')", 0, 0, 0), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(sql, "INSERT INTO w VALUES(?1)", -1, &put, NULL), SQLITE_OK);
    for (int i = 0; i < 300; i++) {
        random_text(&rng, &b);
        sqlite3_bind_text(put, 1, b.s, (int)b.len, SQLITE_TRANSIENT);
        assert_int_equal(sqlite3_step(put), SQLITE_DONE);
        sqlite3_reset(put);
    }
    assert_int_equal(sqlite3_prepare_v2(sql, "SELECT bm25(w), weft_bm25(w) FROM w WHERE w MATCH ?1", -1, &get, NULL),
                     SQLITE_OK);
    for (size_t k = 0; k < 2 * WEFT_COUNT(asked); k++) {
        size_t pieces;
        weft_buf_reset(&b);
        check_ok(weft_search_match(&b, weft_str_c(asked[k / 2]), k & 1 ? WEFT_SEARCH_ANY : WEFT_SEARCH_ALL, &pieces,
                                   &f->err), &f->err);
        sqlite3_bind_text(get, 1, b.s, (int)b.len, SQLITE_TRANSIENT);
        for (; sqlite3_step(get) == SQLITE_ROW; n++)
            assert_true(sqlite3_column_double(get, 1) == -sqlite3_column_double(get, 0));
        sqlite3_reset(get);
    }
    assert_true(n > 500);
    sqlite3_finalize(put);
    sqlite3_finalize(get);
    sqlite3_close(sql);
    weft_buf_clear(&b);
}

static void test_found_is_what_a_plain_search_finds(void **state)
{
    struct fixture *f = *state;
    static const char *const letters[] = { "阿", "沅", "灯", "，", "渡" };
    enum { TEXTS = 200 };
    char texts[TEXTS][128];
    uint64_t seed = 7;
    check_ok(weft_search_open(&f->search, NULL, &f->err), &f->err);
    for (size_t i = 0; i < TEXTS; i++) {
        size_t n = 1 + check_random(&seed) % 20;
        texts[i][0] = '\0';
        for (size_t k = 0; k < n; k++) strcat(texts[i], letters[check_random(&seed) % WEFT_COUNT(letters)]);
        add(f, texts[i]);
    }
    check_ok(weft_search_commit(f->search, &f->err), &f->err);
    for (int round = 0; round < 300; round++) {
        char query[32] = "";
        size_t n = 1 + check_random(&seed) % 5, want = 0;
        for (size_t k = 0; k < n; k++) {
            size_t pick = check_random(&seed) % 4;
            strcat(query, letters[pick == 3 ? 4 : pick]);
        }
        for (size_t i = 0; i < TEXTS; i++) want += strstr(texts[i], query) != NULL;
        check_ok(weft_search_query(f->search, &f->arena, weft_str_c(query), WEFT_SEARCH_ALL, TEXTS, &f->hits, &f->n,
                                   &f->all, &f->err), &f->err);
        assert_int_equal(f->all, want);
        assert_int_equal(f->n, want);
        for (size_t i = 0; i < f->n; i++) assert_non_null(strstr(texts[f->hits[i].id - 1], query));
    }
}

static void test_a_file_keeps_what_was_committed(void **state)
{
    struct fixture *f = *state;
    const char *folder = check_folder(), *path = check_path(folder, "index.db");
    struct weft_str label;
    check_ok(weft_search_open(&f->search, path, &f->err), &f->err);
    add(f, "渡口的灯");
    check_ok(weft_search_set_label(f->search, WEFT_STR("a.txt"), &f->err), &f->err);
    check_ok(weft_search_commit(f->search, &f->err), &f->err);
    add(f, "没有写完的灯");
    weft_search_close(f->search);
    f->search = NULL;
    check_ok(weft_search_open(&f->search, path, &f->err), &f->err);
    assert_int_equal(weft_search_count(f->search), 1);
    check_ids(f, "灯", "1");
    check_ok(weft_search_label(f->search, &f->arena, &label, &f->err), &f->err);
    check_str(label, "a.txt");
    check_ok(weft_search_clear(f->search, &f->err), &f->err);
    add(f, "另一盏灯");
    check_ok(weft_search_commit(f->search, &f->err), &f->err);
    check_ids(f, "渡口", "");
    check_ids(f, "一盏", "1");
    weft_search_close(f->search);
    f->search = NULL;
    check_folder_gone(folder);
}

static void test_a_file_of_another_kind_is_refused_and_kept(void **state)
{
    struct fixture *f = *state;
    const char *folder = check_folder(), *path = check_path(folder, "notes.txt");
    struct weft_str content;
    check_ok(weft_file_write(path, WEFT_STR("this is no database, and long enough to be looked at as one: "
                                            "0123456789012345678901234567890123456789012345678901234567890123456789"),
                             &f->err), &f->err);
    check_fails(weft_search_open(&f->search, path, &f->err), &f->err, WEFT_EINPUT, "G4", "notes.txt");
    check_ok(weft_file_read(&f->arena, path, 0, &content, &f->err), &f->err);
    assert_true(weft_str_starts(content, WEFT_STR("this is no database")));
    check_folder_gone(folder);
}

struct listing {
    struct weft_buf out;
};
static enum weft_status list(void *ctx, struct weft_str token, size_t begin, size_t end)
{
    struct listing *l = ctx;
    assert_true(end > begin);
    if (l->out.len) weft_buf_char(&l->out, '|');
    weft_buf_str(&l->out, token);
    return WEFT_OK;
}
static void check_tokens(const char *text, bool query, const char *want)
{
    struct listing l = { 0 };
    assert_int_equal(weft_search_tokens(weft_str_c(text), query, list, &l), WEFT_OK);
    check_str(weft_buf_view(&l.out), want);
    weft_buf_clear(&l.out);
}

static void test_tokens(void **state)
{
    (void)state;
    check_tokens("甄嬛传", false, "甄嬛|嬛传|传");
    check_tokens("甄嬛传", true, "甄嬛|嬛传");
    check_tokens("灯", true, "灯");
    check_tokens("看iPhone15手机", false, "看|iphone15|手机|机");
    check_tokens("さくら・サクラ 한국", false, "さく|くら|ら|サク|クラ|ラ|한국|국");
    check_tokens("𠮷野家", false, "𠮷野|野家|家");
    check_tokens("a_b-c\xFF" "d", false, "a|b|c|d");
    check_tokens("", false, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_name_of_two_characters_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_and_many_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words_are_folded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queries_are_text_and_never_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rare_words_and_short_rows_rank_higher, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_best_few_are_the_best_of_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scores_are_those_of_fts5, setup, teardown),
        cmocka_unit_test_setup_teardown(test_found_is_what_a_plain_search_finds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_keeps_what_was_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_of_another_kind_is_refused_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
    };
    return cmocka_run_group_tests_name("dataset/search", tests, NULL, NULL);
}
