/* Dialogue from prose: one trap a test, in sentences of our own. */
#include "check.h"

#include "base/rng.h"
#include "dataset/prose.h"
#include "dataset/prose_words.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_prose_settings s;
    struct weft_text text;
    struct weft_prose p;
    struct weft_rows rows;
    struct weft_report report;
    struct weft_prose_rows_funnel funnel;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    return f && !weft_options_defaults(weft_prose_options(), &f->s, &f->arena, &f->err) ? 0 : -1;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_arena_clear(&f->arena);
    free(f);
    return 0;
}

static void set(struct fixture *f, const char *key, const char *value)
{
    check_ok(weft_options_set(weft_prose_options(), &f->s, &f->arena, key, key, value, NULL, &f->err), &f->err);
}

/* What holds for any text. */
static void check_all(const struct fixture *f)
{
    const struct weft_prose *p = &f->p;
    uint64_t kinds = 0, rules = 0;
    size_t before = 0;
    for (int k = 0; k < WEFT_PROSE_KINDS; k++) kinds += p->funnel.kinds[k];
    for (int r = 0; r < WEFT_PROSE_RULES; r++) rules += p->funnel.by_rule[r];
    assert_int_equal(p->funnel.quotes, kinds + p->funnel.continued);
    assert_int_equal(rules, p->funnel.kinds[WEFT_PROSE_SPEECH]);
    for (size_t i = 0; i < p->n_speeches; i++) {
        const struct weft_prose_speech *sp = &p->speeches[i];
        for (size_t k = 0; k < sp->n_parts; k++) {
            assert_true(sp->parts[k].begin >= before && sp->parts[k].begin <= sp->parts[k].end);
            assert_true(sp->parts[k].end <= f->text.text.len);
            before = sp->parts[k].end;
        }
        /* verbatim: a speech of one line is the source itself, the others are made of its lines */
        if (sp->n_parts == 1 && sp->line == sp->last_line)
            assert_true(sp->text.s >= f->text.text.s && sp->text.s + sp->text.len <= f->text.text.s + f->text.text.len);
        assert_true((sp->speaker.s != NULL) == (sp->confidence > 0));
        if (sp->kind == WEFT_PROSE_SPEECH && sp->confidence < 0.9) assert_true(sp->context_end > sp->context_begin);
    }
}

static void parse(struct fixture *f, const char *text)
{
    struct weft_str copy = weft_str_dup(&f->arena, weft_str_c(text));
    check_ok(weft_text_from_memory(&f->arena, "novel.txt", copy, NULL, &f->text, &f->err), &f->err);
    check_ok(weft_prose_parse(&f->arena, &f->text, 1, &f->s, NULL, &f->p, &f->err), &f->err);
    check_all(f);
}

static void check_speech_at(const struct fixture *f, size_t i, const char *speaker, const char *text,
                            const char *file, int line)
{
    if (i >= f->p.n_speeches) _fail(file, line);
    const struct weft_prose_speech *sp = &f->p.speeches[i];
    if (text) check_str_at(sp->text, weft_str_c(text), file, line);
    if (!speaker) {
        if (sp->speaker.s) {
            print_error("speaker %.*s, expected none\n", (int)sp->speaker.len, sp->speaker.s);
            _fail(file, line);
        }
        return;
    }
    check_str_at(sp->speaker, weft_str_c(speaker), file, line);
}
#define check_speech(f, i, speaker, text) check_speech_at((f), (i), (speaker), (text), __FILE__, __LINE__)

/* ---- cues ---- */

static void test_a_cue_before_the_quote_names_the_speaker(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“走吧。”\n老船夫摇摇头问道∶“去哪儿？”\n阿沅对老船夫说:“去对岸！”\n“老船夫笑了”是她后来写的一句。\n");
    assert_int_equal(f->p.n_speeches, 3);
    check_speech(f, 0, "阿沅", "走吧。");
    check_speech(f, 1, "老船夫", "去哪儿？");
    check_speech(f, 2, "阿沅", "去对岸！");
    assert_int_equal(f->p.speeches[0].rule, WEFT_PROSE_BEFORE);
    check_str(f->p.speeches[2].addressee, "老船夫");
    assert_int_equal(f->p.funnel.kinds[WEFT_PROSE_WORDS], 1);
}

static void test_a_cue_behind_or_between_names_the_speaker(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“起风了。”\n\n“收帆！”老船夫喊道。\n\n“不收，”阿沅说，“收了就回不去了。”\n\n“你看。”老船夫问，“那是什么？”\n");
    assert_int_equal(f->p.n_speeches, 4);
    check_speech(f, 1, "老船夫", "收帆！");
    assert_int_equal(f->p.speeches[1].rule, WEFT_PROSE_AFTER);
    check_speech(f, 2, "阿沅", "不收，收了就回不去了。");
    assert_int_equal(f->p.speeches[2].rule, WEFT_PROSE_BETWEEN);
    assert_int_equal(f->p.speeches[2].n_parts, 2);
    assert_true(f->p.speeches[2].flags & WEFT_PROSE_PARTS);
    check_speech(f, 3, "老船夫", "你看。那是什么？");
    assert_int_equal(f->p.funnel.continued, 2);
}

static void test_the_cue_behind_a_quote_may_belong_to_the_next_one(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅问：“冷不冷？”老船夫答道：“不冷。”阿沅说：“那就好。”\n");
    check_speech(f, 0, "阿沅", "冷不冷？");
    check_speech(f, 1, "老船夫", "不冷。");
    check_speech(f, 2, "阿沅", "那就好。");
}

static void test_the_subject_may_stand_further_back(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“早。”老船夫说：“早。”\n阿沅走到船头，看了看水面，轻声说：“水涨了。”说完又回头对他说：“小心。”\n"
             "老船夫收了桨。雨停了，笑着说：“好了。”\n老船夫的手越来越冷，只好说：“歇一会儿吧。”\n");
    check_speech(f, 2, "阿沅", "水涨了。");
    assert_int_equal(f->p.speeches[2].rule, WEFT_PROSE_EARLIER);
    check_speech(f, 3, "阿沅", "小心。");
    check_speech(f, 4, "老船夫", "好了。");
    assert_true(f->p.speeches[4].confidence < f->p.speeches[2].confidence);
    check_speech(f, 5, "老船夫", "歇一会儿吧。");
}

static void test_somebody_else_in_the_clause_is_not_the_speaker(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“来。”老船夫说：“好。”\n"
             "阿沅听见老船夫喊：“开船了！”\n"
             "阿沅看着老船夫，说：“等等。”\n"
             "岸边走出一个挑担的货郎，问：“还有位子吗？”\n"
             "阿沅的徒弟说：“有。”\n"
             "守门的小童说：“快些。”\n");
    check_speech(f, 2, "老船夫", "开船了！");
    check_speech(f, 3, "阿沅", "等等。");
    check_speech(f, 4, "货郎", "还有位子吗？");
    check_speech(f, 5, "徒弟", "有。");
    check_speech(f, 6, "小童", "快些。");
}

static void test_somebody_unknown_stays_unknown(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“听。”阿沅又说：“有动静。”\n阿沅停下脚步，忽听门外有人喊：“开门！”\n");
    check_speech(f, 2, NULL, "开门！");
    assert_int_equal(f->p.speeches[2].rule, WEFT_PROSE_UNKNOWN);
    assert_true(f->p.speeches[2].n_candidates > 0);
    check_str(f->p.speeches[2].candidates[0].name, "阿沅");
}

static void test_several_speak_as_a_group(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“好。”小满说：“好。”\n众人齐声喊道：“好！”\n阿沅和小满说：“我们也去。”\n他们说：“走。”\n");
    check_speech(f, 2, "众人", "好！");
    assert_true(f->p.speeches[2].flags & WEFT_PROSE_GROUP);
    assert_true(f->p.speeches[3].flags & WEFT_PROSE_GROUP);
    check_speech(f, 4, NULL, "走。");
}

/* ---- guesses ---- */

static void test_a_pronoun_means_the_subject_before_it(void **state)
{
    struct fixture *f = *state;
    parse(f, "老船夫说：“坐稳。”阿沅说：“嗯。”\n\n阿沅回到舱里。她说：“真暖和。”\n");
    check_speech(f, 2, "阿沅", "真暖和。");
    assert_int_equal(f->p.speeches[2].rule, WEFT_PROSE_PRONOUN);
    check_str(f->p.speeches[2].written, "她");
    assert_true(f->p.speeches[2].confidence < 0.9);
    set(f, "no_guess", "true");
    parse(f, "老船夫说：“坐稳。”阿沅说：“嗯。”\n\n阿沅回到舱里。她说：“真暖和。”\n");
    check_speech(f, 2, NULL, "真暖和。");
}

static void test_two_take_turns(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅问：“几时开船？”\n\n老船夫说：“天亮。”\n\n“能早些吗？”\n\n“不能。”\n\n“为什么？”\n\n天黑了下来，风越刮越大，两岸的灯一盏盏灭了。\n\n“走吧。”\n");
    check_speech(f, 2, "阿沅", "能早些吗？");
    check_speech(f, 3, "老船夫", "不能。");
    check_speech(f, 4, "阿沅", "为什么？");
    assert_int_equal(f->p.speeches[4].rule, WEFT_PROSE_ALTERNATION);
    assert_true(f->p.speeches[4].confidence < f->p.speeches[2].confidence);
    check_speech(f, 5, NULL, "走吧。");      /* narration ends the run */
}

static void test_who_is_spoken_to_answers(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“早。”老船夫说：“早。”\n\n阿沅问老船夫：“几时开船？”\n\n“天亮。”\n");
    check_speech(f, 3, "老船夫", "天亮。");
}

static void test_an_action_before_a_bare_quote_is_a_weak_cue(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“早。”阿沅又说：“走。”\n\n阿沅抬起头。“起雾了。”\n");
    check_speech(f, 2, "阿沅", "起雾了。");
    assert_int_equal(f->p.speeches[2].rule, WEFT_PROSE_ACTION);
}

/* ---- what is no speech ---- */

static void test_thoughts_writing_and_words_are_no_speech(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅心想：“不妙。”\n门上写着：“止步”。\n“砰”的一声，门开了。\n他自称“江上第一”。\n听见“开船”二字，她站了起来。\n岸上叫“柳渡”的地方到了。\n阿沅大喊一声“停”，船停了。\n");
    assert_int_equal(f->p.funnel.kinds[WEFT_PROSE_THOUGHT], 1);
    assert_int_equal(f->p.funnel.kinds[WEFT_PROSE_WRITING], 1);
    assert_int_equal(f->p.funnel.kinds[WEFT_PROSE_WORDS], 4);
    assert_int_equal(f->p.funnel.kinds[WEFT_PROSE_SPEECH], 1);
    check_speech(f, 0, "阿沅", "不妙。");
    check_speech(f, 2, "阿沅", "停");
}

/* ---- quotes ---- */

static void test_a_closer_in_the_next_paragraph_is_brought_back(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅喊∶“今天要比比高低！\n\n    ”老船夫笑着说∶“不比。”\n");
    check_speech(f, 0, "阿沅", "今天要比比高低！");
    assert_true(f->p.speeches[0].flags & WEFT_PROSE_REPAIRED);
    check_speech(f, 1, "老船夫", "不比。");
    assert_int_equal(f->p.funnel.repaired, 1);
}

static void test_a_broken_paragraph_is_one_speech(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“好船！\n\n    好船！就它了。”\n");
    assert_int_equal(f->p.n_speeches, 1);
    check_speech(f, 0, "阿沅", "好船！\n好船！就它了。");
    assert_int_equal(f->p.speeches[0].last_line, 3);
}

static void test_lost_marks_cost_one_quote_only(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“茶来。\n\n老船夫说：“没有茶。”\n\n阿沅说：要茶，不要水。”老船夫叹道：“好吧。”\n\n雨停了。”\n");
    assert_int_equal(f->p.n_speeches, 4);
    check_speech(f, 0, "阿沅", "茶来。");
    check_speech(f, 1, "老船夫", "没有茶。");
    check_speech(f, 2, "阿沅", "要茶，不要水。");
    check_speech(f, 3, "老船夫", "好吧。");
    assert_int_equal(f->p.funnel.repaired, 2);
    assert_int_equal(f->p.funnel.stray, 1);
}

static void test_a_speech_of_several_paragraphs_opens_each_of_them(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：“那年发大水。\n“船都沉了。\n“只有这一条没有。”\n\n老船夫说：“是啊。”\n");
    assert_int_equal(f->p.n_speeches, 2);
    check_speech(f, 0, "阿沅", "那年发大水。\n船都沉了。\n只有这一条没有。");
    assert_int_equal(f->p.speeches[0].n_parts, 3);
    check_speech(f, 1, "老船夫", "是啊。");
}

static void test_quotes_of_every_kind_nest(void **state)
{
    struct fixture *f = *state;
    parse(f, "阿沅说：「他说『再见』，就走了。」\n老船夫说：“那块牌子上写‘止步’呢。”\n阿沅说：“她喊“救命”，没人听见。”\n小满说：\"知道了。\"\n小满又说：\"走。\"\n");
    assert_int_equal(f->p.n_speeches, 5);
    check_speech(f, 0, "阿沅", "他说『再见』，就走了。");
    check_speech(f, 1, "老船夫", "那块牌子上写‘止步’呢。");
    check_speech(f, 2, "阿沅", "她喊“救命”，没人听见。");
    check_speech(f, 3, "小满", "知道了。");
    check_speech(f, 4, "小满", "走。");
}

/* ---- names ---- */

static const char heroes[] = "沈小满说：“早。”小满说：“早。”\n白鹭真人说：“坐。”白鹭说：“茶。”\n真人笑道：“好茶。”\n沈小满笑道：“是。”白鹭真人问：“几时走？”\n";

static void test_names_of_one_person_are_found(void **state)
{
    struct fixture *f = *state;
    parse(f, heroes);
    assert_non_null(f->p.speeches[0].speaker.s);
    assert_true(weft_str_eq(f->p.speeches[0].speaker, f->p.speeches[1].speaker));
    set(f, "alias", "掌柜=沈小满,小满");
    parse(f, heroes);
    check_speech(f, 0, "掌柜", "早。");
    check_speech(f, 1, "掌柜", "早。");
    check_speech(f, 4, "白鹭真人", "好茶。");
    check_refuses(weft_options_set(weft_prose_options(), &f->s, &f->arena, "alias", "alias", "=甲", NULL, &f->err) ||
                      weft_prose_parse(&f->arena, &f->text, 1, &f->s, NULL, &f->p, &f->err)
                      ? WEFT_EARG : WEFT_OK, &f->err, WEFT_EARG, "", "NAME=NAME");
}

/* 满 begins a predicate in most texts; where every clause has it behind the same two characters, it is the name's. */
static void test_a_name_that_looks_cut_by_a_verb_is_read_whole(void **state)
{
    struct fixture *f = *state;
    parse(f, "沈小满说：“早。”\n沈小满把灯放下，沈小满站起来。沈小满却没有走。\n沈小满问：“船呢？”小满又说：“走。”\n");
    check_speech(f, 0, "沈小满", "早。");
    check_speech(f, 1, "沈小满", "船呢？");
    check_speech(f, 2, "沈小满", "走。");
    /* A verb that always follows is no part of a name: the same word stands behind it each time. */
    parse(f, "阿沅说：“一。”\n阿沅说：“二。”\n阿沅说：“三。”\n阿沅说：“四。”\n阿沅说：“五。”\n");
    check_speech(f, 4, "阿沅", "五。");
}

/* ---- rows ---- */

static enum weft_status rows(struct fixture *f, const char *role)
{
    f->s.role = role;
    f->rows = (struct weft_rows){ 0 };
    f->report = (struct weft_report){ 0 };
    weft_err_clear(&f->err);
    check_ok(weft_prose_parse(&f->arena, &f->text, 1, &f->s, NULL, &f->p, &f->err), &f->err);
    enum weft_status st = weft_prose_rows(&f->arena, &f->p, &f->s, &f->rows, &f->report, &f->funnel, &f->err);
    assert_int_equal(f->funnel.speeches, f->funnel.used + f->funnel.other + weft_report_dropped(&f->report));
    return st;
}

static const char scenes[] = "第一章 船\n\n老船夫说：“坐稳。”老船夫又说：“开船了。”阿沅说：“好。”\n“谁？”\n阿沅说：“没有人。”\n\n第二章 岸\n\n"
                             "阿沅说：“到了。”老船夫问：“冷吗？”阿沅答道：“不冷。”\n";

static void test_rows_never_join_unrelated_pages(void **state)
{
    struct fixture *f = *state;
    set(f, "no_guess", "true");
    parse(f, scenes);
    check_ok(rows(f, "阿沅"), &f->err);
    assert_int_equal(f->rows.n, 2);
    check_str(f->rows.items[0].turns[0].text, "坐稳。开船了。");
    check_str(f->rows.items[0].turns[1].text, "好。");
    check_str(f->rows.items[0].origin.scene, "第一章 船");
    check_str(f->rows.items[0].origin.flags, "merged");
    check_str(f->rows.items[1].turns[0].text, "冷吗？");
    assert_int_equal(f->funnel.role_turns, 4);
    assert_int_equal(weft_report_dropped(&f->report), 2);   /* after the unknown; first in its chapter */
    assert_int_equal(f->rows.items[1].origin.line, 9);
    /* the bytes of the row in the file hold both speeches */
    const struct weft_origin *o = &f->rows.items[1].origin;
    check_str(weft_str_sub(f->text.text, o->byte_begin, o->byte_end), "冷吗？”阿沅答道：“不冷。");
}

static void test_narration_ends_a_scene(void **state)
{
    struct fixture *f = *state;
    set(f, "gap", "20");
    parse(f, "老船夫说：“开船了。”\n风从江面上吹过来，灯影摇晃，远处传来几声犬吠，过了很久才静下来。\n阿沅说：“好。”老船夫说：“坐。”阿沅说：“嗯。”\n");
    assert_int_equal(f->p.n_scenes, 2);
    check_ok(rows(f, "阿沅"), &f->err);
    assert_int_equal(f->rows.n, 1);
    check_str(f->rows.items[0].turns[0].text, "坐。");
}

static void test_multi_turn_rows_hold_a_scene(void **state)
{
    struct fixture *f = *state;
    set(f, "turns", "multi");
    set(f, "prefix", "{speaker}：");
    set(f, "system", "{role}对{speaker}");
    parse(f, "老船夫说：“坐稳。”小满说：“开船。”阿沅说：“好。”老船夫问：“冷吗？”阿沅答道：“不冷。”小满说：“冷。”\n");
    check_ok(rows(f, "阿沅"), &f->err);
    assert_int_equal(f->rows.n, 1);
    assert_int_equal(f->rows.items[0].n_turns, 4);
    check_str(f->rows.items[0].turns[0].text, "老船夫：坐稳。\n小满：开船。");
    check_str(f->rows.items[0].turns[3].text, "不冷。");
    check_str(f->rows.items[0].system, "阿沅对老船夫");
    assert_int_equal(f->funnel.other, 1);
}

static void test_a_choice_replaces_the_rules(void **state)
{
    struct fixture *f = *state;
    parse(f, "老船夫说：“坐稳。”阿沅说：“好。”\n\n夜里很静。忽听舱外有人喊：“着火了！”阿沅说：“快走。”\n");
    check_speech(f, 2, NULL, "着火了！");
    const struct weft_prose_speech *sp = &f->p.speeches[2];
    size_t who = SIZE_MAX;
    for (size_t i = 0; i < sp->n_candidates; i++)
        if (weft_str_is(sp->candidates[i].name, "老船夫")) who = i;
    assert_int_not_equal(who, SIZE_MAX);
    weft_prose_assign(&f->p, 2, who, 0.8);
    check_speech(f, 2, "老船夫", "着火了！");
    assert_int_equal(f->p.funnel.by_rule[WEFT_PROSE_CHOSEN], 1);
    f->s.role = "阿沅";
    check_ok(weft_prose_rows(&f->arena, &f->p, &f->s, &f->rows, &f->report, &f->funnel, &f->err), &f->err);
    assert_int_equal(f->rows.n, 2);
    check_str(f->rows.items[1].turns[0].text, "着火了！");
    assert_true(f->rows.items[1].origin.confidence > 0.79 && f->rows.items[1].origin.confidence < 0.81);
    weft_prose_assign(&f->p, 2, SIZE_MAX, 0);
    check_speech(f, 2, NULL, "着火了！");
}

static void test_a_role_that_never_speaks_is_named_with_the_nearest(void **state)
{
    struct fixture *f = *state;
    parse(f, scenes);
    check_fails(rows(f, "阿园"), &f->err, WEFT_EINPUT, "", "阿沅");
    check_fails(rows(f, NULL), &f->err, WEFT_EARG, "", "role");
}

/* ---- a real novel: who speaks in these lines, judged by hand (docs/dataset.md) ---- */

static void test_speakers_of_a_real_novel_agree_with_a_reader(void **state)
{
    struct fixture *f = *state;
    const char *folder = getenv("WEFT_SHARED_DATA");
    char path[4096];
    snprintf(path, sizeof path, "%s/西游记白话文.txt", folder ? folder : "");
    if (!folder || !weft_file_exists(path)) skip();
    struct weft_str table;
    struct weft_lines lines = { 0 };
    struct weft_str line;
    char table_path[4096];
    snprintf(table_path, sizeof table_path, "%s/tests/dataset/data/prose_sample.tsv", WEFT_SOURCE_DIR);
    check_ok(weft_file_read(&f->arena, table_path, 0, &table, &f->err), &f->err);
    check_ok(weft_text_read(&f->arena, path, NULL, &f->text, &f->err), &f->err);
    check_ok(weft_prose_parse(&f->arena, &f->text, 1, &f->s, NULL, &f->p, &f->err), &f->err);
    check_all(f);
    lines.text = table;
    size_t judged = 0, right = 0, same = 0;
    while (weft_lines_next(&lines, &line)) {
        unsigned long at, nth;
        char verdict, speaker[64];
        if (!line.len || line.s[0] == '#') continue;
        assert_int_equal(sscanf(weft_str_dup(&f->arena, line).s, "%lu\t%lu\t%c\t%63s", &at, &nth, &verdict, speaker), 4);
        judged++;
        right += verdict == '+';
        for (size_t i = 0, n = 0; i < f->p.n_speeches; i++) {
            const struct weft_prose_speech *sp = &f->p.speeches[i];
            if (sp->line != at || sp->kind != WEFT_PROSE_SPEECH || ++n != nth) continue;
            same += sp->speaker.s && weft_str_is(sp->speaker, speaker);
        }
    }
    const struct weft_prose_funnel *u = &f->p.funnel;
    assert_int_equal(judged, 100);
    assert_int_equal(same, judged);     /* the program still says what was judged */
    assert_true(right >= 95);
    assert_true(u->by_rule[WEFT_PROSE_UNKNOWN] * 100 <= u->kinds[WEFT_PROSE_SPEECH] * 15);
}

/* ---- any text ---- */

static const char *const pieces[] = { "“", "”", "「", "」", "『", "』", "\"", "‘", "’", "：", "∶", "，", "。", "！",
    "？", "…", "\n", "\n\n    ",
    "\r\n", "甲", "阿沅", "老船夫", "他", "她说", "说", "问道", "喊", "心想", "写着", "对", "和", "、", "的", "有人", "众人", "走来一个", "只听",
    "第二章 水\n", " ", "e\u0301", "好", "那", "——" };

static void test_accounts_balance_on_any_text(void **state)
{
    struct fixture *f = *state;
    for (uint64_t round = 0; round < 300; round++) {
        struct weft_rng rng;
        struct weft_buf b = { 0 };
        weft_rng_init(&rng, 20240802, WEFT_RNG_TEST, round);
        uint64_t n = 1 + weft_rng_below(&rng, 300);
        weft_buf_cstr(&b, "文");
        for (uint64_t i = 0; i < n; i++) weft_buf_cstr(&b, pieces[weft_rng_below(&rng, WEFT_COUNT(pieces))]);
        struct weft_str copy = weft_str_dup(&f->arena, weft_buf_view(&b));
        check_ok(weft_options_defaults(weft_prose_options(), &f->s, &f->arena, &f->err), &f->err);
        check_ok(weft_text_from_memory(&f->arena, "any.txt", copy, NULL, &f->text, &f->err), &f->err);
        f->s.gap_chars = round & 1 ? 10 : 0;
        f->s.turns = round >> 1 & 1;
        f->s.thoughts = round >> 2 & 1;
        f->s.role = "阿沅";
        check_ok(weft_prose_parse(&f->arena, &f->text, 1, &f->s, NULL, &f->p, &f->err), &f->err);
        check_all(f);
        f->rows = (struct weft_rows){ 0 };
        f->report = (struct weft_report){ 0 };
        enum weft_status st = weft_prose_rows(&f->arena, &f->p, &f->s, &f->rows, &f->report, &f->funnel, &f->err);
        assert_true(st == WEFT_OK || st == WEFT_EINPUT);
        assert_int_equal(f->funnel.speeches, f->funnel.used + f->funnel.other + weft_report_dropped(&f->report));
        assert_int_equal(f->funnel.rows, f->rows.n);
        weft_err_clear(&f->err);
        weft_buf_clear(&b);
        weft_arena_clear(&f->arena);
    }
}

/* They are searched by halves. */
static void test_the_lists_of_words_are_in_order(void **state)
{
    const char *wrong = "";
    (void)state;
    if (!prose_words_sorted(&wrong)) fail_msg("\"%s\" is out of place", wrong);
}

/* ---- threads ---- */

/* A chapter of speeches with and without cues, broken quotes among them. */
static void messy_chapter(struct weft_buf *b, int number, size_t n_lines)
{
    static const char *const names[] = { "赵铁柱", "铁柱", "小翠", "那老者", "众人", "他", "她", "李大人", "白云真人", "真人" };
    static const char *const verbs[] = { "说", "问道", "笑道", "大叫一声", "心想", "写着", "对李大人说", "点了点头" };
    static const char *const texts[] = { "你好。", "走吧！", "怎么回事？", "“里面”的话。", "过河", "天色晚了，" };
    struct weft_rng rng;
    weft_rng_init(&rng, 20261125, WEFT_RNG_TEST, (uint64_t)number);
#define ONE_OF(list) (list)[weft_rng_below(&rng, WEFT_COUNT(list))]
    weft_buf_printf(b, "第%d回 过河\n", number);
    for (size_t i = 0; i < n_lines; i++) {
        const char *n = ONE_OF(names), *v = ONE_OF(verbs), *t = ONE_OF(texts);
        switch (weft_rng_below(&rng, 10)) {
        case 0: case 1: weft_buf_printf(b, "%s%s：“%s”\n", n, v, t); break;
        case 2: weft_buf_printf(b, "“%s”%s%s。\n", t, n, v); break;
        case 3: weft_buf_printf(b, "“%s”\n", t); break;
        case 4: weft_buf_printf(b, "“%s，”%s%s，“%s”\n", t, n, v, ONE_OF(texts)); break;
        case 5: weft_buf_printf(b, "%s抬起头。“%s”\n", n, t); break;
        case 6: weft_buf_printf(b, "%s走了过来，%s跟着。%s\n", n, ONE_OF(names), t); break;
        case 7: weft_buf_printf(b, "只听%s%s：「%s\n", n, v, t); break;
        case 8: weft_buf_printf(b, "%s”\n", t); break;
        default: weft_buf_cstr(b, "\n");
        }
    }
#undef ONE_OF
}

/* A chapter, its speeches and their places in it. */
static struct weft_str speeches_of(struct fixture *f, const struct weft_prose *p)
{
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < p->n_speeches; i++) {
        const struct weft_prose_speech *sp = &p->speeches[i];
        const struct weft_prose_scene *scene = &p->scenes[sp->scene];
        const struct weft_text *t = &p->texts[sp->text_idx];
        size_t from = 0;                /* lines before its chapter */
        for (size_t l = 0; l < sp->line - 1; l++)
            if (weft_str_starts(weft_text_line(t, l), WEFT_STR("第"))) from = l;
        assert_true(i >= scene->first_speech && i < scene->first_speech + scene->n_speeches);
        weft_buf_printf(&b, "%.*s %zu-%zu %.*s: %.*s (%s %.3f %u) %.*s\n", (int)scene->chapter.len, scene->chapter.s,
                        (size_t)sp->line - from, (size_t)sp->last_line - from, (int)sp->speaker.len, sp->speaker.s,
                        (int)sp->text.len, sp->text.s, weft_prose_rule_name(sp->rule), sp->confidence, sp->flags,
                        (int)sp->written.len, sp->written.s);
        for (size_t k = 0; k < sp->n_candidates; k++)
            weft_buf_printf(&b, " %.*s %.4f", (int)sp->candidates[k].name.len, sp->candidates[k].name.s,
                            sp->candidates[k].score);
    }
    for (size_t i = 0; i < p->n_roster; i++)
        weft_buf_printf(&b, "%.*s = %.*s: %zu\n", (int)p->roster[i].name.len, p->roster[i].name.s,
                        (int)p->roster[i].speaker.len, p->roster[i].speaker.s, (size_t)p->roster[i].count);
    struct weft_str s = weft_str_dup(&f->arena, weft_buf_view(&b));
    weft_buf_clear(&b);
    return s;
}

/* One book of nine chapters, and the same chapters as files of their own: the places where the work is cut and who does
 * it leave no trace. */
static void test_threads_and_files_do_not_change_the_speeches(void **state)
{
    struct fixture *f = *state;
    enum { CHAPTERS = 9, LINES = 900 };
    struct weft_text *texts = WEFT_NEWS(&f->arena, struct weft_text, 1 + CHAPTERS);
    struct weft_buf book = { 0 };
    for (int i = 1; i <= CHAPTERS; i++) {
        struct weft_buf chapter = { 0 };
        messy_chapter(&chapter, i, LINES);
        weft_buf_str(&book, weft_buf_view(&chapter));
        check_ok(weft_text_from_memory(&f->arena, "n.txt", weft_str_dup(&f->arena, weft_buf_view(&chapter)), NULL,
                                       &texts[i], &f->err),
                 &f->err);
        weft_buf_clear(&chapter);
    }
    check_ok(weft_text_from_memory(&f->arena, "n.txt", weft_str_dup(&f->arena, weft_buf_view(&book)), NULL, &texts[0],
                                   &f->err),
             &f->err);
    weft_buf_clear(&book);
    struct weft_str want = { NULL, 0 };
    for (int files = 0; files < 2; files++)
        for (int64_t threads = 1; threads <= 5; threads += 2) {
            struct weft_prose p;
            f->s.threads = threads;
            check_ok(weft_prose_parse(&f->arena, files ? texts + 1 : texts, files ? CHAPTERS : 1, &f->s, NULL, &p,
                                      &f->err),
                     &f->err);
            assert_true(p.n_speeches > CHAPTERS * LINES / 3 && p.n_scenes >= CHAPTERS);
            struct weft_str got = speeches_of(f, &p);
            if (!want.s) want = got;
            assert_true(weft_str_eq(got, want));
        }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_cue_before_the_quote_names_the_speaker),
        T(test_a_cue_behind_or_between_names_the_speaker),
        T(test_the_cue_behind_a_quote_may_belong_to_the_next_one),
        T(test_the_subject_may_stand_further_back),
        T(test_somebody_else_in_the_clause_is_not_the_speaker),
        T(test_somebody_unknown_stays_unknown),
        T(test_several_speak_as_a_group),
        T(test_a_pronoun_means_the_subject_before_it),
        T(test_two_take_turns),
        T(test_who_is_spoken_to_answers),
        T(test_an_action_before_a_bare_quote_is_a_weak_cue),
        T(test_thoughts_writing_and_words_are_no_speech),
        T(test_a_closer_in_the_next_paragraph_is_brought_back),
        T(test_a_broken_paragraph_is_one_speech),
        T(test_lost_marks_cost_one_quote_only),
        T(test_a_speech_of_several_paragraphs_opens_each_of_them),
        T(test_quotes_of_every_kind_nest),
        T(test_names_of_one_person_are_found),
        T(test_rows_never_join_unrelated_pages),
        T(test_narration_ends_a_scene),
        T(test_multi_turn_rows_hold_a_scene),
        T(test_a_choice_replaces_the_rules),
        T(test_a_role_that_never_speaks_is_named_with_the_nearest),
        T(test_a_name_that_looks_cut_by_a_verb_is_read_whole),
        T(test_speakers_of_a_real_novel_agree_with_a_reader),
        T(test_accounts_balance_on_any_text),
        T(test_the_lists_of_words_are_in_order),
        T(test_threads_and_files_do_not_change_the_speeches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
