/* Chunks: nothing lost, no piece too long, cut where a reader would. */
#include "check.h"

#include "base/rng.h"
#include "dataset/chapter.h"
#include "dataset/chunk.h"
#include "dataset/chunk_scan.h"
#include "dataset/marks.h"
#include "dataset/normal.h"
#include "dataset/quote_next.h"

#include <utf8proc.h>

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_chunk_settings s;
    struct weft_text text;
    struct weft_chunks chunks;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    return f && !weft_options_defaults(weft_chunk_options(), &f->s, &f->arena, &f->err) ? 0 : -1;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_arena_clear(&f->arena);
    free(f);
    return 0;
}

static void read_text(struct fixture *f, struct weft_str bytes)
{
    struct weft_str copy = weft_str_dup(&f->arena, bytes);
    check_ok(weft_text_from_memory(&f->arena, "book.txt", copy, NULL, &f->text, &f->err), &f->err);
}

static void cut(struct fixture *f, int64_t max)
{
    f->s.max_chars = max;
    check_ok(weft_chunk_texts(&f->arena, &f->text, 1, &f->s, NULL, NULL, &f->chunks, &f->err), &f->err);
}

static void cut_text(struct fixture *f, const char *text, int64_t max)
{
    read_text(f, weft_str_c(text));
    cut(f, max);
}

static void check_chunk(const struct fixture *f, size_t i, const char *text)
{
    assert_true(i < f->chunks.n);
    check_str(f->chunks.items[i].text, text);
}

static uint32_t first_visible(struct weft_str s)
{
    s = weft_trim_left(s);
    return s.len ? mark_at(s, 0) : 0;
}

/* Everything that holds for any text in mode default without overlap. */
static void check_all(const struct fixture *f)
{
    size_t at = 0;
    for (size_t i = 0; i < f->chunks.n; i++) {
        const struct weft_chunk *c = &f->chunks.items[i];
        assert_int_equal(c->begin, at);
        assert_true(c->end > c->begin);
        assert_true(c->text.s == f->text.text.s + c->begin && c->text.len == c->end - c->begin);
        assert_int_equal(weft_utf8_chars(c->text), c->chars);
        assert_true(c->chars <= (uint64_t)f->s.max_chars);
        assert_int_equal(weft_utf8_check(c->text), c->text.len);
        at = c->end;
    }
    assert_int_equal(at, f->text.text.len);
}

/* ---- where chunks end ---- */

static void test_chunks_end_behind_sentences_and_their_closers(void **state)
{
    struct fixture *f = *state;
    cut_text(f, "天亮了。他说：“走吧！”她没有动。又过了很久很久。", 12);
    check_all(f);
    assert_int_equal(f->chunks.n, 3);
    check_chunk(f, 0, "天亮了。他说：“走吧！”");
    check_chunk(f, 1, "她没有动。");
    check_chunk(f, 2, "又过了很久很久。");
    cut_text(f, "真的？！……（当然！）好了好了。", 11);
    check_chunk(f, 0, "真的？！……（当然！）");
    cut_text(f, "He left. She stayed at home. It cost 3.14 in all.", 30);
    check_chunk(f, 0, "He left. She stayed at home. ");
}

static void test_a_sentence_too_long_is_cut_at_its_pauses_then_anywhere(void **state)
{
    struct fixture *f = *state;
    cut_text(f, "一二三四五，六七八九十，一二三四五六七八九十一二三四五。", 14);
    check_all(f);
    check_chunk(f, 0, "一二三四五，六七八九十，");
    assert_int_equal(f->chunks.items[0].flags, WEFT_CHUNK_AT_PAUSE);
    assert_int_equal(f->chunks.items[1].flags, WEFT_CHUNK_FORCED);
    assert_int_equal(f->chunks.items[1].chars, 14);
    /* ... but words of Latin letters stay whole, */
    cut_text(f, "some words without a stop or any pause at all", 12);
    check_chunk(f, 0, "some words ");
    /* and so do characters of several code points. */
    cut_text(f, "e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", 9);
    check_all(f);
    assert_int_equal(f->chunks.items[0].chars, 8);
    /* One that is longer than a chunk cannot. */
    cut_text(f, "a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301b", 8);
    check_all(f);
    assert_int_equal(f->chunks.items[0].chars, 8);
}

static void test_an_open_quote_is_not_cut_when_an_earlier_end_is_near(void **state)
{
    struct fixture *f = *state;
    /* 20 characters: the last end of a sentence lies in the quote, the one outside 3 characters earlier. */
    cut_text(f, "一二三四五六七八九十一二三四。“好。不过那件事情以后再说吧。”", 20);
    check_all(f);
    check_chunk(f, 0, "一二三四五六七八九十一二三四。");
    assert_int_equal(f->chunks.in_quote, 0);
    /* Too far back: the quote is cut. */
    cut_text(f, "一二三四。“一二三四五六七。八九十一二三四五六七八九十。”", 20);
    check_chunk(f, 0, "一二三四。“一二三四五六七。");
    assert_int_equal(f->chunks.items[0].flags, WEFT_CHUNK_IN_QUOTE);
    /* The next chunk knows that it begins inside the quote. */
    cut_text(f, "一二三四。\"一二三四五六七。八九十一二三四五六七八。\"好。完了。", 20);
    check_all(f);
    assert_int_not_equal(first_visible(f->chunks.items[2].text), '"');
}

static void test_no_chunk_begins_with_a_closing_quote(void **state)
{
    struct fixture *f = *state;
    /* The damaged kind: the closer stands in the next paragraph. */
    cut_text(f, "一二三四五六。“今天来比比高低！\n\n    ”小妖跑进洞里去了。", 17);
    check_all(f);
    for (size_t i = 0; i < f->chunks.n; i++)
        assert_false(mark_is_closer(first_visible(f->chunks.items[i].text)));
}

static void test_a_line_wrapped_inside_a_sentence_does_not_end_it(void **state)
{
    struct fixture *f = *state;
    cut_text(f, "第一句话。这是被折断\n的第二句话，长。\n\n第三", 14);
    check_chunk(f, 0, "第一句话。");
    /* a paragraph without a stop ends all the same */
    cut_text(f, "没有句号的一段\n\n第二段也没有句号呢", 12);
    check_chunk(f, 0, "没有句号的一段\n\n");
}

/* ---- chapters ---- */

static void test_headings_are_told_from_sentences(void **state)
{
    static const char *const headings[] = {
        "第1回 惊天地", "第一回　甄士隐梦幻", "  第十二章：归来", "第３章", "第一百零五章 谁是凶手？", "第二卷 风起",
        "卷三 夜雨", "卷之四", "楔子", "番外 三年之后", "番外二", "序章", "【第七章】 ", "## 第八节 水", "Chapter 12",
        "CHAPTER IV. The Storm", "Chapter Two: Rain", "Part III", "第五章初遇", "Epilogue", "正文 第九章 雪" };
    static const char *const sentences[] = {
        "第一回见到他，是在河边。", "第三节课的铃响了", "第二章里写道：雨停了。", "序幕拉开了。", "Chapter and verse",
        "part two of it", "Chapter 3 was long.", "番外的风吹来", "第章", "一", "第五章讲的是另一件事，他没有读完", "卷起袖子",
        "第十回合，他输了" };
    struct weft_heading h;
    for (size_t i = 0; i < WEFT_COUNT(headings); i++)
        if (!weft_heading_read(weft_str_c(headings[i]), &h)) fail_msg("no heading: %s", headings[i]);
    for (size_t i = 0; i < WEFT_COUNT(sentences); i++)
        if (weft_heading_read(weft_str_c(sentences[i]), &h)) fail_msg("a heading: %s", sentences[i]);
    assert_true(weft_heading_read(WEFT_STR("第一百零五章 谁"), &h) && h.number == 105 && h.level == 1);
    assert_true(weft_heading_read(WEFT_STR("CHAPTER XIV"), &h) && h.number == 14);
    assert_true(weft_heading_read(WEFT_STR("第二卷 风起"), &h) && h.level == 0);
}

static const char book[] = "《一本书》\n\n第一卷 春\n\n第一章 山\n山很高。\n\n第二章 水\n水很深。\n\n第二卷 秋\n第三章 云\n云很远。\n";

static void test_chapters_are_never_straddled(void **state)
{
    struct fixture *f = *state;
    cut_text(f, book, 100);
    check_all(f);
    assert_int_equal(f->chunks.n, 3);
    assert_int_equal(f->chunks.chapters, 3);
    check_str(f->chunks.items[0].chapter, "第一章 山");
    check_str(f->chunks.items[0].volume, "第一卷 春");
    check_chunk(f, 1, "第二章 水\n水很深。\n\n");
    check_str(f->chunks.items[2].chapter, "第三章 云");
    check_str(f->chunks.items[2].volume, "第二卷 秋");
    f->s.across_chapters = true;
    cut(f, 100);
    assert_int_equal(f->chunks.n, 1);
    check_str(f->chunks.items[0].chapter, "第一章 山");
}

/* ---- options ---- */

static void test_min_leaves_no_scraps(void **state)
{
    struct fixture *f = *state;
    f->s.min_chars = 6;
    cut_text(f, "一二三四五。一二三四五。一二三四五。好。", 19);
    check_all(f);
    for (size_t i = 0; i < f->chunks.n; i++) assert_true(f->chunks.items[i].chars >= 6);
    f->s.min_chars = 15;
    check_refuses(weft_chunk_texts(&f->arena, &f->text, 1, &f->s, NULL, NULL, &f->chunks, &f->err), &f->err, WEFT_EARG,
                  "", "half of max");
}

static void test_overlap_repeats_whole_sentences(void **state)
{
    struct fixture *f = *state;
    f->s.overlap_chars = 6;
    cut_text(f, "一二三四五。甲乙丙。丁戊己。天地玄黄。宇宙洪荒。", 14);
    check_chunk(f, 0, "一二三四五。甲乙丙。丁戊己。");
    check_chunk(f, 1, "丁戊己。天地玄黄。宇宙洪荒。");
    assert_int_equal(f->chunks.items[1].overlap_bytes, strlen("丁戊己。"));
    assert_int_equal(f->chunks.items[1].begin, strlen("一二三四五。甲乙丙。"));
}

static int64_t count_bytes(void *ctx, struct weft_str text, struct weft_err *err)
{
    (*(int *)ctx)++;
    return (int64_t)text.len;
}

static void test_a_token_limit_counts_through_the_function(void **state)
{
    struct fixture *f = *state;
    int calls = 0;
    struct weft_chunk_counter counter = { count_bytes, &calls };
    read_text(f, WEFT_STR("一二三四五。abcdef. 甲乙丙丁。一二三四五六七八九十一二三四五六。"));
    f->s.max_chars = 100;
    f->s.max_tokens = 30;
    check_ok(weft_chunk_texts(&f->arena, &f->text, 1, &f->s, &counter, NULL, &f->chunks, &f->err), &f->err);
    check_all(f);
    for (size_t i = 0; i < f->chunks.n; i++) {
        assert_true(f->chunks.items[i].text.len <= 30);
        assert_int_equal(f->chunks.items[i].tokens, f->chunks.items[i].text.len);
    }
    check_chunk(f, 0, "一二三四五。abcdef. ");
    assert_true(calls > 0);
    f->s.max_tokens = 2;        /* less than a character: told, and no endless loop */
    check_ok(weft_chunk_texts(&f->arena, &f->text, 1, &f->s, &counter, NULL, &f->chunks, &f->err), &f->err);
    check_all(f);
    assert_int_equal(f->chunks.over_tokens, 5 + 1 + 4 + 1 + 16 + 1);
    check_refuses(weft_chunk_texts(&f->arena, &f->text, 1, &f->s, NULL, NULL, &f->chunks, &f->err), &f->err, WEFT_EARG,
                  "", "model");
}

/* ---- mode seed ---- */

static void test_mode_seed_keeps_the_beginners_defects(void **state)
{
    struct fixture *f = *state;
    f->s.mode = WEFT_CHUNK_SEED;
    /* 4 + 4 fit into 8 though each brings a stop that was not counted; then 丙 loses its stop; a last one is added. */
    cut_text(f, "一二三。一二三四。丙丙丙丙。丁。\n", 8);
    assert_int_equal(f->chunks.n, 2);
    check_chunk(f, 0, "一二三。一二三四。");
    assert_int_equal(f->chunks.items[0].chars, 9);
    check_chunk(f, 1, "丙丙丙丙丁。\n。");
    /* A first sentence that is too long leaves an empty chunk before it. */
    cut_text(f, "一二三四五六七八九十。好。", 8);
    check_chunk(f, 0, "");
    check_chunk(f, 1, "一二三四五六七八九十");
    check_chunk(f, 2, "好。");
    /* White space at a chunk's ends goes, within it stays: Python's strip. */
    cut_text(f, "\n　一二三四五六。\n　四 五六七八九。 \n　八九十。\n", 8);
    assert_int_equal(f->chunks.n, 3);
    check_chunk(f, 0, "一二三四五六。");
    check_chunk(f, 1, "四 五六七八九");
    check_chunk(f, 2, "八九十\n。");
    f->s.min_chars = 2;
    check_refuses(weft_chunk_texts(&f->arena, &f->text, 1, &f->s, NULL, NULL, &f->chunks, &f->err), &f->err, WEFT_EARG,
                  "", "seed");
}

/* ---- rows ---- */

static void test_rows_know_their_bytes_in_the_original(void **state)
{
    struct fixture *f = *state;
    static const char crlf[] = "\xEF\xBB\xBF第一章 山\r\n山很高，很高。\r\n树很多。\r\n";
    struct weft_rows rows = { 0 };
    cut_text(f, crlf, 12);
    check_ok(weft_chunk_rows(&f->arena, &f->text, &f->chunks, 0, &rows, &f->err), &f->err);
    assert_int_equal(rows.n, f->chunks.n);
    uint64_t at = 3;
    for (size_t i = 0; i < rows.n; i++) {
        const struct weft_origin *o = &rows.items[i].origin;
        assert_int_equal(o->byte_begin, at);
        at = o->byte_end;
        check_str(o->scene, "第一章 山");
        check_str(o->via, "chunk/default@1");
        check_str(rows.items[i].text, weft_str_dup(&f->arena, f->chunks.items[i].text).s);
    }
    assert_int_equal(at, sizeof crlf - 1 - 2);      /* the last line end is no part of a line */
    check_str(rows.items[0].origin.id, "c000001");
    assert_int_equal(rows.items[1].origin.line, 2);
}

static void test_origins_are_exact_in_gb18030(void **state)
{
    struct fixture *f = *state;
    /* 甲乙丙。 and 丁戊己。, twice over, so that the charset is certain */
    static const char gb[] = "\xBC\xD7\xD2\xD2\xB1\xFB\xA1\xA3\xB6\xA1\xCE\xEC\xBC\xBA\xA1\xA3\xBC\xD7\xD2\xD2\xA1\xA3";
    struct weft_rows rows = { 0 };
    struct weft_text_settings charset = { .charset = WEFT_CHARSET_GB18030 };
    check_ok(weft_text_from_memory(&f->arena, "gb.txt", WEFT_STR(gb), &charset, &f->text, &f->err), &f->err);
    cut(f, 8);
    check_chunk(f, 0, "甲乙丙。丁戊己。");
    check_ok(weft_chunk_rows(&f->arena, &f->text, &f->chunks, 0, &rows, &f->err), &f->err);
    assert_int_equal(rows.items[0].origin.byte_end, 16);
    assert_int_equal(rows.items[1].origin.byte_begin, 16);
}

/* ---- any text ---- */

static const char *const pieces[] = { "山", "水", "他说", "。", "！", "？", "…", "，", "、", "；", "“", "”", "‘", "’", "「",
    "」", "\"", "（", "）", "\n", "\r\n", "\n\n    ", " ", "\u3000", "e\u0301",
    "\U0001F468\u200D\U0001F469\u200D\U0001F467",
    "\U0001F1E8\U0001F1F3", "a", "b", ".", ". ", "3.14", "第三章 雨\n", "\n第四回 风\n", "好的好的好的", "\uFE0F", "\u0301",
    "\t", "𠮷", "한", "ᄒ", "ᅡ", "ᆫ" };

static void test_any_text_comes_back_whole(void **state)
{
    struct fixture *f = *state;
    for (uint64_t round = 0; round < 400; round++) {
        struct weft_rng rng;
        struct weft_buf b = { 0 };
        weft_rng_init(&rng, 20240801, WEFT_RNG_TEST, round);
        uint64_t n = 1 + weft_rng_below(&rng, 400);
        weft_buf_cstr(&b, "文");
        for (uint64_t i = 0; i < n; i++) {
            /* mostly plain characters, so that sentences have a length */
            uint64_t k = weft_rng_below(&rng, 3 * WEFT_COUNT(pieces));
            weft_buf_cstr(&b, k < WEFT_COUNT(pieces) ? pieces[k] : "字");
        }
        read_text(f, weft_buf_view(&b));
        f->s.min_chars = round % 3 == 0 ? 4 : 0;
        f->s.across_chapters = round & 1;
        cut(f, 8 + (int64_t)weft_rng_below(&rng, 60));
        check_all(f);
        for (size_t i = 1; i < f->chunks.n; i++) {
            const struct weft_chunk *c = &f->chunks.items[i];
            size_t begin;
            int32_t joins = 0;
            uint32_t before = mark_before(f->text.text, c->begin, &begin), first = mark_at(f->text.text, c->begin);
            bool chapter = !f->s.across_chapters && weft_heading_read(weft_text_line(&f->text,
                (size_t)weft_text_line_of(&f->text, c->begin) - 1), &(struct weft_heading){ 0 });
            /* Only where there was no other way does a chunk begin with a closer or inside a character. */
            if (f->chunks.items[i - 1].flags & WEFT_CHUNK_FORCED) continue;
            assert_false(!chapter && mark_is_closer(first_visible(c->text)));
            assert_true(utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)first, &joins));
        }
        weft_buf_clear(&b);
        weft_arena_clear(&f->arena);
    }
}

/* ---- the quick ways against the plain ones ---- */

/* Mostly plain characters, so that sentences have a length; every `rare`th is of the pieces above. */
static void random_text(struct weft_rng *rng, struct weft_buf *b, uint64_t n, uint64_t rare)
{
    weft_buf_cstr(b, "文");
    for (uint64_t i = 0; i < n; i++) {
        uint64_t k = weft_rng_below(rng, rare * WEFT_COUNT(pieces));
        weft_buf_cstr(b, k < WEFT_COUNT(pieces) ? pieces[k] : k % 7 ? "字" : "word");
    }
}

static void test_an_end_found_near_the_limit_is_that_of_the_whole_chunk(void **state)
{
    struct fixture *f = *state;
    size_t sentences = 0;
    for (uint64_t round = 0; round < 300; round++) {
        struct weft_rng rng;
        struct weft_buf b = { 0 };
        weft_rng_init(&rng, 20240802, WEFT_RNG_TEST, round);
        random_text(&rng, &b, 1200, 1 + round % 12);
        read_text(f, weft_buf_view(&b));
        uint64_t chars = weft_utf8_chars(f->text.text);
        for (int i = 0; i < 20; i++) {
            static const uint32_t quotes[] = { 0, 0x201D, '"', 0x2019 };
            struct chunk_scan x = { .text = f->text.text, .visible_end = f->text.text.len,
                                    .min = weft_rng_below(&rng, 40), .quote = quotes[weft_rng_below(&rng, 4)] };
            uint64_t skip = weft_rng_below(&rng, chars / 2);
            size_t from = weft_utf8_offset(f->text.text, (size_t)skip);
            x.max = 40 + weft_rng_below(&rng, chars - skip - 41);
            size_t fresh = i % 3 ? from : from + weft_utf8_offset(weft_str_skip(f->text.text, from), (size_t)x.max / 3);
            unsigned flags, whole_flags;
            struct chunk_place p = chunk_scan_end(&x, from, fresh, &flags),
                               whole = chunk_scan_whole(&x, from, fresh, &whole_flags);
            assert_int_equal(p.at, whole.at);
            assert_int_equal(p.chars, whole.chars);
            assert_int_equal(p.quote, whole.quote);
            assert_int_equal(flags, whole_flags);
            sentences += !(flags & (WEFT_CHUNK_AT_PAUSE | WEFT_CHUNK_FORCED));
        }
        weft_buf_clear(&b);
        weft_arena_clear(&f->arena);
    }
    assert_true(sentences > 1000 && sentences < 6000);          /* of both kinds */
}

static void test_quotes_and_spaces_are_found_wherever_they_stand(void **state)
{
    struct fixture *f = *state;
    static const uint32_t of_each[] = {
        ' ', '\t', '\r', '\v', '\f', 0x1B, 0x85, 0xA0, 0xA1, 0x1680, 0x2000, 0x200A,
        0x200B, 0x200C, 0x2027, 0x2028, 0x2029, 0x202A, 0x202F, 0x205F, 0x2060, 0x3000, 0x3001, 0xFEFF,
        0xFEFE, '"', '\n', 0x2018, 0x2019, 0x201A, 0x201C, 0x201D, 0x300B, 0x300C, 0x300F, 0x301D,
        0x301E, 0xFF02, 0xFF62, 0xFF63, 0xFF64, 0x5B57, 'x', 0x1F468
    };
    for (uint64_t round = 0; round < 600; round++) {
        struct weft_rng rng;
        struct weft_buf b = { 0 };
        weft_rng_init(&rng, 20240803, WEFT_RNG_TEST, round);
        for (uint64_t n = weft_rng_below(&rng, 600); n; n--)
            weft_buf_utf8(&b, weft_rng_below(&rng, 9) ? 0x5B57 : of_each[weft_rng_below(&rng, WEFT_COUNT(of_each))]);
        struct weft_str s = weft_str_dup(&f->arena, weft_buf_view(&b));
        size_t spaces = 0, next = 0;
        for (size_t i = 0; i < s.len;) {
            uint32_t cp;
            if (i >= next) next = quote_next(s, i, s.len);
            size_t n = weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
            assert_int_equal(next == i, cp == '\n' || mark_closer_of(cp) || mark_is_quote_closer(cp));
            next += next == i;
            spaces += weft_is_space(cp);
            i += n;
        }
        assert_int_equal(weft_count_spaces(s), spaces);
        weft_buf_clear(&b);
        weft_arena_clear(&f->arena);
    }
}

/* The beginner's loop, sentence by sentence. */
static void check_as_the_loop(const struct fixture *f)
{
    struct weft_str t = f->text.text;
    struct weft_buf b = { 0 };
    size_t chunk = 0, chars = 0, max = (size_t)f->s.max_chars;
    for (size_t at = 0; at <= t.len;) {
        size_t to = weft_min_size(weft_str_find(t, WEFT_STR("。"), at), t.len);
        struct weft_str s = weft_str_sub(t, at, to);
        size_t n = weft_utf8_chars(s);
        bool fits = chars + n <= max;
        if (!fits) {
            check_str(f->chunks.items[chunk].text, weft_str_dup((struct weft_arena *)&f->arena,
                      weft_trim(weft_buf_view(&b))).s);
            assert_int_equal(f->chunks.items[chunk].end, at);
            chunk++;
            weft_buf_reset(&b);
            chars = 0;
        }
        weft_buf_str(&b, s);
        if (fits) weft_buf_cstr(&b, "。");
        chars += n + fits;
        at = to + (to < t.len ? strlen("。") : 1);
    }
    if (b.len) check_str(f->chunks.items[chunk++].text, weft_str_dup((struct weft_arena *)&f->arena,
                         weft_trim(weft_buf_view(&b))).s);
    assert_int_equal(f->chunks.n, chunk);
    weft_buf_clear(&b);
}

static void test_mode_seed_cuts_as_the_loop_does(void **state)
{
    struct fixture *f = *state;
    for (uint64_t round = 0; round < 300; round++) {
        struct weft_rng rng;
        struct weft_buf b = { 0 };
        weft_rng_init(&rng, 20240804, WEFT_RNG_TEST, round);
        weft_buf_cstr(&b, "文");
        for (uint64_t n = weft_rng_below(&rng, 400); n; n--)
            weft_buf_cstr(&b, weft_rng_below(&rng, 2 + round % 30) ? "字" : weft_rng_below(&rng, 4) ? "。" : "\n");
        read_text(f, weft_buf_view(&b));
        f->s.mode = WEFT_CHUNK_SEED;
        cut(f, 8 + (int64_t)weft_rng_below(&rng, 60));
        check_as_the_loop(f);
        weft_buf_clear(&b);
        weft_arena_clear(&f->arena);
    }
}

static void test_threads_do_not_change_the_chunks(void **state)
{
    struct fixture *f = *state;
    static const int64_t thread_counts[] = { 1, 2, 5 };
    struct weft_rng rng;
    struct weft_buf b = { 0 };
    weft_rng_init(&rng, 20240805, WEFT_RNG_TEST, 0);
    random_text(&rng, &b, 400000, 3);
    read_text(f, weft_buf_view(&b));
    for (int mode = 0; mode < 2; mode++) {
        struct weft_chunks want = { 0 };
        f->s.mode = mode;
        for (size_t i = 0; i < WEFT_COUNT(thread_counts); i++) {
            f->s.threads = thread_counts[i];
            cut(f, 300);
            if (!i) want = f->chunks;
            assert_true(want.n > 1000);
            assert_int_equal(f->chunks.n, want.n);
            assert_int_equal(f->chunks.chars, want.chars);
            assert_int_equal(f->chunks.visible_chars, want.visible_chars);
            assert_int_equal(f->chunks.chapters, want.chapters);
            assert_int_equal(f->chunks.longest, want.longest);
            assert_int_equal(f->chunks.in_quote + f->chunks.at_pause + f->chunks.forced,
                             want.in_quote + want.at_pause + want.forced);
            for (size_t k = 0; k < want.n; k++) {
                const struct weft_chunk *x = &want.items[k], *y = &f->chunks.items[k];
                assert_true(x->begin == y->begin && x->end == y->end && x->chars == y->chars && x->flags == y->flags);
                assert_true(weft_str_eq(x->text, y->text) && weft_str_eq(x->chapter, y->chapter));
            }
        }
    }
    weft_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chunks_end_behind_sentences_and_their_closers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_sentence_too_long_is_cut_at_its_pauses_then_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_open_quote_is_not_cut_when_an_earlier_end_is_near, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_chunk_begins_with_a_closing_quote, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_line_wrapped_inside_a_sentence_does_not_end_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_headings_are_told_from_sentences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chapters_are_never_straddled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_min_leaves_no_scraps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overlap_repeats_whole_sentences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_token_limit_counts_through_the_function, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mode_seed_keeps_the_beginners_defects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_know_their_bytes_in_the_original, setup, teardown),
        cmocka_unit_test_setup_teardown(test_origins_are_exact_in_gb18030, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_text_comes_back_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_end_found_near_the_limit_is_that_of_the_whole_chunk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quotes_and_spaces_are_found_wherever_they_stand, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mode_seed_cuts_as_the_loop_does, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads_do_not_change_the_chunks, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
