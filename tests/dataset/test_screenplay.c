/* The screenplay reader against the frozen answers of tests/oracle/screenplay.py, and rule by rule. */
#include "check.h"

#include "base/json.h"
#include "base/rng.h"
#include "dataset/formats.h"
#include "dataset/screenplay.h"

#include <iconv.h>

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_script_settings s;
    struct weft_rows rows;
    struct weft_report report;
    struct weft_script_funnel funnel;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    return f && !weft_options_defaults(weft_script_options(), &f->s, &f->arena, &f->err) ? 0 : -1;
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
    check_ok(weft_options_set(weft_script_options(), &f->s, &f->arena, key, key, value, NULL, &f->err),
             &f->err);
}

static enum weft_status run_texts(struct fixture *f, const struct weft_text *texts, size_t n)
{
    weft_err_clear(&f->err);
    f->rows = (struct weft_rows){ 0 };
    f->report = (struct weft_report){ 0 };
    enum weft_status st =
        weft_script_rows(&f->arena, texts, n, &f->s, &f->rows, &f->report, &f->funnel, &f->err);
    /* The account, exactly, whether rows came of it or not. */
    if (!st || f->funnel.lines) {
        uint64_t lines = 0;
        for (size_t i = 0; i < n; i++) lines += texts[i].n_lines;
        assert_int_equal(f->funnel.lines, lines);
        assert_int_equal(f->report.units_in, lines);
        assert_true(weft_script_balanced(&f->funnel, &f->report));
    }
    return st;
}

/* A script in the source text of the test. */
static void run(struct fixture *f, const char *role, const char *script)
{
    struct weft_text text;
    struct weft_str copy = weft_str_dup(&f->arena, weft_str_c(script));
    f->s.role = role;
    check_ok(weft_text_from_memory(&f->arena, "s.txt", copy, NULL, &text, &f->err), &f->err);
    struct weft_text *kept = WEFT_NEW(&f->arena, struct weft_text);
    *kept = text;
    check_ok(run_texts(f, kept, 1), &f->err);
}

static void check_row(struct fixture *f, size_t i, const char *prompt, const char *answer)
{
    assert_true(i < f->rows.n);
    assert_int_equal(f->rows.items[i].n_turns, 2);
    check_str(f->rows.items[i].turns[0].text, prompt);
    check_str(f->rows.items[i].turns[1].text, answer);
}

static uint64_t dropped(const struct fixture *f, const char *reason)
{
    for (size_t i = 0; i < f->report.n_drops; i++)
        if (weft_str_is(f->report.drops[i].reason, reason)) return f->report.drops[i].count;
    return 0;
}

/* ---- the frozen answers ---- */

static struct weft_text *read_traps(struct fixture *f)
{
    struct weft_text *texts = WEFT_NEWS(&f->arena, struct weft_text, 2);
    static const char *const names[] = { "tests/data/traps_1.txt", "tests/data/traps_2.txt" };
    for (int i = 0; i < 2; i++)
        check_ok(weft_text_read(&f->arena, check_source(&f->arena, names[i]), NULL, &texts[i], &f->err),
                 &f->err);
    return texts;
}

/* [[text, text ...], line, last_line] a row, as the oracle prints them. */
static struct weft_str as_lines(struct fixture *f)
{
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < f->rows.n; i++) {
        const struct weft_row *row = &f->rows.items[i];
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        o.spaced = true;
        weft_json_out_array(&o);
        weft_json_out_array(&o);
        for (size_t t = 0; t < row->n_turns; t++) {
            assert_int_equal(row->turns[t].role, t & 1 ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER);
            weft_json_out_str(&o, row->turns[t].text);
        }
        weft_json_out_array_end(&o);
        weft_json_out_uint(&o, row->origin.line);
        weft_json_out_uint(&o, row->origin.last_line);
        weft_json_out_array_end(&o);
        weft_buf_char(&b, '\n');
    }
    struct weft_str s = weft_str_dup(&f->arena, weft_buf_view(&b));
    weft_buf_clear(&b);
    return s;
}

static void compare_with_frozen(struct fixture *f, const char *name)
{
    struct weft_str want;
    char path[128];
    snprintf(path, sizeof path, "tests/data/traps.%s.jsonl", name);
    check_ok(weft_file_read(&f->arena, check_source(&f->arena, path), 0, &want, &f->err), &f->err);
    f->s.role = "阿沅";
    check_ok(run_texts(f, read_traps(f), 2), &f->err);
    check_str(as_lines(f), want.s);
}

static void test_every_mode_equals_the_oracle(void **state)
{
    struct fixture *f = *state;
    set(f, "mode", "seed");
    compare_with_frozen(f, "seed");
    set(f, "mode", "huanhuan-compat");
    compare_with_frozen(f, "compat");
    set(f, "mode", "default");
    set(f, "alias", "沈掌柜=沈老板,夫人沈氏@3-");
    compare_with_frozen(f, "pairs");
    set(f, "turns", "multi");
    compare_with_frozen(f, "multi");
    set(f, "review", "true");
    set(f, "chorus", "true");
    set(f, "narration_prompt", "true");
    compare_with_frozen(f, "multi-all");
    set(f, "turns", "pairs");
    compare_with_frozen(f, "pairs-all");
}

static void test_short_rows_and_repeated_prompts_equal_the_oracle(void **state)
{
    struct fixture *f = *state;
    set(f, "alias", "沈掌柜=沈老板,夫人沈氏@3-");
    set(f, "min_prompt_chars", "4");
    set(f, "min_answer_chars", "5");
    set(f, "keep_per_prompt", "1");
    compare_with_frozen(f, "pairs-long");
    assert_true(dropped(f, "prompt or answer too short") > 0);
    assert_true(dropped(f, "prompt kept often enough") == 0);
}

/* The same script in half-width punctuation gives the same rows in half-width punctuation. */
static struct weft_str halved(struct fixture *f, struct weft_str s)
{
    static const char *const pairs[][2] = { { "：", ":" }, { "（", "(" }, { "）", ")" },
                                            { "；", ";" }, { "，", "," }, { "？", "?" } };
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < s.len;) {
        size_t k = 0;
        while (k < WEFT_COUNT(pairs) && !weft_str_starts(weft_str_skip(s, i), weft_str_c(pairs[k][0]))) k++;
        if (k == WEFT_COUNT(pairs)) weft_buf_char(&b, s.s[i++]);
        else {
            weft_buf_cstr(&b, pairs[k][1]);
            i += 3;
        }
    }
    struct weft_str out = weft_str_dup(&f->arena, weft_buf_view(&b));
    weft_buf_clear(&b);
    return out;
}

static void test_half_width_input_gives_the_same_rows(void **state)
{
    struct fixture *f = *state;
    struct weft_text *full = read_traps(f), *half = WEFT_NEWS(&f->arena, struct weft_text, 2);
    f->s.role = "阿沅";
    for (int i = 0; i < 2; i++)
        check_ok(weft_text_from_memory(&f->arena, full[i].name.s, halved(f, full[i].text), NULL, &half[i],
                                       &f->err),
                 &f->err);
    for (int mode = 0; mode < 3; mode++)
        for (int multi = 0; multi < (mode ? 1 : 2); multi++) {
            f->s.mode = mode;
            f->s.turns = multi;
            check_ok(run_texts(f, full, 2), &f->err);
            struct weft_str want = halved(f, as_lines(f));
            assert_true(f->rows.n > 10);
            check_ok(run_texts(f, half, 2), &f->err);
            check_str(as_lines(f), want.s);
        }
}

static void test_a_gb18030_script_gives_the_same_rows_with_its_own_bytes(void **state)
{
    struct fixture *f = *state;
    struct weft_text *utf8 = read_traps(f), gb;
    f->s.role = "阿沅";
    check_ok(run_texts(f, utf8, 1), &f->err);
    struct weft_str want = as_lines(f);

    iconv_t cd = iconv_open("GB18030", "UTF-8");
    size_t left = utf8->text.len, room = left * 2, cap = room;
    char *in = (char *)utf8->text.s, *bytes = weft_arena_alloc(&f->arena, room), *to = bytes;
    assert_non_null(bytes);
    assert_int_equal(iconv(cd, &in, &left, &to, &room), 0);
    iconv_close(cd);
    check_ok(weft_text_from_memory(&f->arena, "gb.txt", (struct weft_str){ bytes, cap - room }, NULL, &gb,
                                   &f->err),
             &f->err);
    assert_int_equal(gb.charset, WEFT_CHARSET_GB18030);
    check_ok(run_texts(f, &gb, 1), &f->err);
    check_str(as_lines(f), want.s);
    /* The bytes of the origin, decoded, hold the answer. */
    const struct weft_origin *o = &f->rows.items[0].origin;
    struct weft_text back;
    struct weft_str cut = { bytes + o->byte_begin, o->byte_end - o->byte_begin };
    check_ok(weft_text_from_memory(&f->arena, "cut", cut,
                                   &(struct weft_text_settings){ .charset = WEFT_CHARSET_GB18030 }, &back,
                                   &f->err),
             &f->err);
    check_str(back.text, "周叔：阿沅，铺子还开着么？\n阿沅：开着。天黑以前，灯铺从不打烊。");
}

/* ---- origins ---- */

static void test_rows_know_where_they_came_from(void **state)
{
    struct fixture *f = *state;
    set(f, "system", "你是{role}，对方是{speaker}。（{episode}{scene}）");
    set(f, "prefix", "{speaker}：");
    run(f, "阿沅", "第一集\n第1幕\n周叔：灯呢？\n\n（风声）\n阿沅：在。\n周叔：好。\n");
    const struct weft_row *row = f->rows.items;
    assert_int_equal(f->rows.n, 1);
    check_row(f, 0, "周叔：灯呢？", "在。");
    check_str(row->system, "你是阿沅，对方是周叔。（第一集第1幕）");
    check_str(row->origin.id, "s000001");
    check_str(row->origin.file, "s.txt");
    assert_int_equal(row->origin.sha256.len, 64);
    assert_int_equal(row->origin.line, 3);
    assert_int_equal(row->origin.last_line, 6);
    assert_int_equal(row->origin.byte_begin, 10 + 8);
    assert_int_equal(row->origin.byte_end, 10 + 8 + 19 + 1 + 13 + 15);
    check_str(row->origin.via, "script/default@1");
    check_str(row->origin.episode, "第一集");
    check_str(row->origin.scene, "第1幕");
    check_str(row->origin.speaker, "阿沅");
    check_str(row->origin.prompt_speaker, "周叔");
    assert_null(row->origin.flags.s);
    assert_int_equal(f->funnel.headings, 2);
    assert_int_equal(f->funnel.narration, 1);
    assert_int_equal(f->funnel.blank, 1);
    assert_int_equal(f->funnel.used, 2);
    assert_int_equal(f->funnel.other, 1);
}

static void test_flags_tell_what_was_done_to_a_row(void **state)
{
    struct fixture *f = *state;
    f->s.role = "阿沅";
    check_ok(run_texts(f, read_traps(f), 2), &f->err);
    static const struct {
        const char *prompt, *flags;
    } want[] = {
        { "等你的灯。", "repaired" }, { "我来谢你。上回那盏走马灯，全镇都说好。", "merged" },
        { "奴婢说的是心里话。本宫不爱听。", "merged,self" }, { "快请进来！", "aside" }, { "灯亮了！灯亮了！", "chorus" },
        { "前几日有人递来一封没有落款的信：信上说你会走。", "continued" }, { "天快亮了。", "resumed" },
    };
    for (size_t k = 0; k < WEFT_COUNT(want); k++) {
        size_t i = 0;
        while (i < f->rows.n && !weft_str_is(f->rows.items[i].turns[0].text, want[k].prompt)) i++;
        if (i == f->rows.n) fail_msg("no row with prompt %s", want[k].prompt);
        check_str(f->rows.items[i].origin.flags, want[k].flags);
    }
    assert_int_equal(f->funnel.self, 1);
    assert_int_equal(f->funnel.repaired, 1);
}

static void test_places_name_the_lines_that_were_left_out(void **state)
{
    struct fixture *f = *state;
    f->err.lang = WEFT_LANG_ZH;
    run(f, "阿沅", "第1幕\n【抄本误】\n周叔：灯呢？\n周叔：哦。\n阿沅：在。\n第2幕\n没有名字的一行\n阿沅，你好\n阿沅：在。\n");
    assert_int_equal(f->report.n_places, 4);
    check_str(f->report.places[0], "s.txt:2: 编者注: 【抄本误】");
    check_str(f->report.places[1], "s.txt:7: 没有说话者: 没有名字的一行");
    check_str(f->report.places[2], "s.txt:8: 说话者存疑: 阿沅，你好");
    check_str(f->report.places[3], "s.txt:9: 说话者存疑: 阿沅：在。");
    check_str(f->report.drops[0].reason, "editor's note");
    assert_int_equal(dropped(f, "doubtful speaker"), 2);        /* and the answer to it */
}

/* ---- names ---- */

static void test_aliases_hold_in_their_episodes_and_the_role_may_be_an_alias(void **state)
{
    struct fixture *f = *state;
    const char *script = "第一集\n第1幕\n甲：一？\n华妃：是一。\n第二集\n第2幕\n甲：二？\n年答应：是二。\n甲：二二？\n华贵妃：是二二。\n";
    set(f, "alias", "华妃=华贵妃,年答应@1-1");
    run(f, "华贵妃", script);
    assert_int_equal(f->rows.n, 2);
    check_row(f, 1, "二二？", "是二二。");
    check_str(f->rows.items[0].origin.speaker, "华妃");
    f->s.alias = (struct weft_str_list){ 0 };
    set(f, "alias", "华妃=华贵妃，年答应@2-");
    run(f, "华妃", script);
    assert_int_equal(f->rows.n, 3);
    check_row(f, 1, "二？", "是二。");
    f->s.alias = (struct weft_str_list){ 0 };
    set(f, "alias", "年妃,华妃");
    check_fails(
        run_texts(f, &(struct weft_text){ .name = WEFT_STR("x"), .lines = &(struct weft_text_line){ 0 } }, 1),
        &f->err, WEFT_EARG, NULL, "names no group");
}

static void test_chains_of_names_need_parts_seen_more_often(void **state)
{
    struct fixture *f = *state;
    /* 富察贵人 is one person: 贵人 is seen less often than the whole. */
    run(f, "陵容", "甲甲：一\n富察：二\n富察：三\n富察：四\n贵人：五\n贵人：六\n富察贵人：七\n富察贵人：八\n富察贵人：九\n陵容：十\n");
    check_row(f, 0, "七八九", "十");
    check_str(f->rows.items[0].origin.prompt_speaker, "富察贵人");
    run(f, "陵容", "富察：一\n富察：二\n眉庄：三\n眉庄：四\n富察眉庄：五\n陵容：六\n眉庄富察陵容：七\n陵容：八\n");
    check_str(f->rows.items[0].origin.prompt_speaker, "富察、眉庄");
    assert_int_equal(dropped(f, "spoken by several"), 1);
}

static void test_stage_words_are_no_speakers_unless_they_are_the_role(void **state)
{
    struct fixture *f = *state;
    run(f, "甲", "人物：甲、乙\n乙：在么？\n旁白：夜深了。\n甲：在。\n");
    check_row(f, 0, "在么？", "在。");
    run(f, "旁白", "人物：甲、乙\n乙：在么？\n旁白：夜深了。\n甲：在。\n");
    check_row(f, 0, "在么？", "夜深了。");
}

static void test_latin_scripts_are_read_too(void **state)
{
    struct fixture *f = *state;
    run(f, "Alice",
        "Bob: Hello there.\nBob (softly): Are you in?\nAlice (aside): I am.\nAlice: Come in.\nEverybody else: Hooray!\n");
    check_row(f, 0, "Hello there. Are you in?", "I am. Come in.");
}

/* ---- structure ---- */

static void test_scenes_bound_pairs_and_continued_scenes_do_not(void **state)
{
    struct fixture *f = *state;
    run(f, "乙", "第1幕\n甲：一\n第1幕（续）\n乙：二\n第2幕\n甲：三\n第1幕（续）\n乙：四\n第3幕\n甲：五\n第二集\n乙：六\n甲：七\n第一百零三场 夜 外\n乙：八\n");
    assert_int_equal(f->rows.n, 1);
    check_row(f, 0, "一", "二");
    assert_int_equal(dropped(f, "nobody speaks before it in its scene"), 3);
    /* A sentence that begins like a heading is none. */
    run(f, "乙", "甲：一\n第三幕的戏我看过了。\n乙：二\n");
    check_row(f, 0, "一第三幕的戏我看过了。", "二");
}

static void test_directions_leave_no_gap_and_asides_cut_the_text(void **state)
{
    struct fixture *f = *state;
    run(f, "乙", "甲：快（挥手）走（乙：好）吧（乙（笑）：（点头）走了（甲：嗯））。\n乙：（叹气）\n乙：唉【原文如此】。\n甲：走吧\n");
    assert_int_equal(f->rows.n, 3);
    check_row(f, 0, "快走", "好");
    check_row(f, 1, "吧。", "走了");
    check_row(f, 2, "嗯", "唉。");
    assert_int_equal(f->funnel.narration, 1);
    run(f, "乙", "甲：快走（乙：好）来（丙：谁）…… \n甲：走\n");
    assert_int_equal(f->rows.n, 1);
    assert_int_equal(f->funnel.role_turns, 1);
}

static void test_multi_turn_rows_hold_a_whole_scene(void **state)
{
    struct fixture *f = *state;
    set(f, "turns", "multi");
    set(f, "prefix", "{speaker}：");
    run(f, "乙", "第1幕\n乙：没人问\n甲：一\n丙：二\n乙：三\n甲：四\n乙：五\n甲：六\n第2幕\n甲：七\n");
    assert_int_equal(f->rows.n, 1);
    const struct weft_row *row = f->rows.items;
    assert_int_equal(row->n_turns, 4);
    check_str(row->turns[0].text, "甲：一\n丙：二");
    check_str(row->turns[1].text, "三");
    check_str(row->turns[3].text, "五");
    check_str(row->origin.prompt_speaker, "甲、丙");
    assert_int_equal(f->funnel.answers, 2);
    assert_int_equal(f->funnel.other, 2);       /* 六 and 七 */
}

static void test_episode_ranges_choose(void **state)
{
    struct fixture *f = *state;
    const char *script = "第一集\n第1幕\n甲：一\n乙：二\n第二集\n第2幕\n甲：三\n乙：四\n第三集\n第3幕\n甲：五\n乙：六\n";
    set(f, "episodes", "1,3-");
    run(f, "乙", script);
    assert_int_equal(f->rows.n, 2);
    check_row(f, 1, "五", "六");
    assert_int_equal(dropped(f, "outside the chosen episodes or scenes"), 2);
    f->s.episodes = "1-x,";
    check_fails(run_texts(f, read_traps(f), 1), &f->err, WEFT_EARG, NULL, "episodes");
}

static void test_scene_ranges_choose_and_names_and_episodes_are_counted(void **state)
{
    struct fixture *f = *state;
    const char *script = "第一集\n第1幕\n甲：一\n乙：二\n第2幕\n甲：三\n丙：四\n第二集\n第3幕\n甲：五\n乙：六\n";
    set(f, "alias", "乙=丙");
    run(f, "乙", script);
    assert_int_equal(f->rows.n, 3);
    assert_int_equal(f->funnel.n_names, 2);
    check_str(f->funnel.names[0].name, "乙");
    assert_int_equal(f->funnel.names[0].count, 2);
    check_str(f->funnel.names[1].name, "丙");
    assert_int_equal(f->funnel.n_episodes, 2);
    check_str(f->funnel.episodes[0].name, "第一集");
    assert_int_equal(f->funnel.episodes[0].count, 2);
    set(f, "scenes", "2-3");
    set(f, "episodes", "1");
    run(f, "乙", script);
    assert_int_equal(f->rows.n, 1);
    check_row(f, 0, "三", "四");
    assert_int_equal(dropped(f, "outside the chosen episodes or scenes"), 4);
    f->s.scenes = "2;3";
    f->s.episodes = NULL;
    check_fails(run_texts(f, read_traps(f), 1), &f->err, WEFT_EARG, NULL, "scenes: \"2;3\"");
}

/* ---- modes of others ---- */

/* 10, 12, 13: two acts with 4 and 5 lines, one pair, and the bytes of json.dump. */
static void test_seed_mode_writes_what_python_writes(void **state)
{
    struct fixture *f = *state;
    const char *folder = check_folder(), *path = weft_path_join(&f->arena, folder, "out.json");
    struct weft_str got;
    set(f, "mode", "seed");
    run(f, "甲",
        "第1幕\n甲:一来了.\n乙:二\"在\"\\了.\n甲:三走了.\n乙:四散了.\n(五)\n\n第2幕\n(六)\n丙:七?\n丁:八.\n丙:九.(雷声)十.\n丁:十一.\n丙:十二.\n");
    assert_int_equal(f->rows.n, 1);
    assert_int_equal(f->funnel.lines, 14);
    check_ok(
        weft_rows_write(path, &(struct weft_rows_writer_settings){ .no_origin = true }, &f->rows, &f->err),
        &f->err);
    check_ok(weft_file_read(&f->arena, path, 0, &got, &f->err), &f->err);
    check_str(
        got,
        "[\n    {\n        \"instruction\": \"二\\\"在\\\"\\\\了.\",\n        \"input\": \"\",\n        \"output\": \"三走了.\"\n    }\n]");
    run(f, "丙", "第2幕\n(六)\n丙:七?\n丁:八.\n丙:九.(雷声)十.\n");
    check_row(f, 0, "八.", "九.(雷声)十.");
    /* The substring test of the original takes other people's lines too. */
    run(f, "甲", "乙：一\n乙（看甲）：二\n");
    check_row(f, 0, "一", "二");
    check_folder_gone(folder);
}

static void test_compat_mode_cuts_at_the_second_colon_and_breaks_at_narration(void **state)
{
    struct fixture *f = *state;
    set(f, "mode", "huanhuan-compat");
    run(f, "甲", "乙：一（笑）二：三\n甲：四：五\n（六）\n甲：七\n乙 ：八\n甲：九\n乙（叹）：十\n甲：（点头）十一\n甲：十二\n甲（笑）：十三\n");
    assert_int_equal(f->rows.n, 3);
    check_row(f, 0, "一二", "四");
    check_row(f, 1, "十", "十一");
    check_row(f, 2, "十一", "十二");
}

/* ---- refusals ---- */

static void test_a_role_that_never_speaks_is_an_error_that_names_who_does(void **state)
{
    struct fixture *f = *state;
    struct weft_text *texts = read_traps(f);
    f->s.role = "阿源";
    check_fails(run_texts(f, texts, 2), &f->err, WEFT_EINPUT, NULL, "阿沅 (");
    f->s.role = NULL;
    check_fails(run_texts(f, texts, 2), &f->err, WEFT_EARG, NULL, "--role");
    f->s.role = "阿沅";
    set(f, "min_answer_chars", "1000");
    check_fails(run_texts(f, texts, 2), &f->err, WEFT_EINPUT, NULL, "too short");
    struct weft_text prose;
    check_ok(weft_text_from_memory(&f->arena, "p.txt", WEFT_STR("没有台词的一段文字。\n又一段。\n"), NULL,
                                   &prose, &f->err),
             &f->err);
    check_fails(run_texts(f, &prose, 1), &f->err, WEFT_EINPUT, NULL, "no line of dialogue");
}

static void test_chinese_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = { { "7", 7 },           { "２３", 23 },
                  { "十", 10 },         { "十二", 12 },
                  { "二十", 20 },       { "一百零五", 105 },
                  { "一百一十", 110 },  { "两百", 200 },
                  { "百二", 102 },      { "一千零二十四", 1024 },
                  { "二〇二四", 2024 }, { "", 0 },
                  { "甲", 0 },          { "99999999999999999999", 0 } };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++)
        assert_int_equal(weft_chinese_number(weft_str_c(cases[i].text)), cases[i].value);
}

/* Inputs made to be slow: a bracket for every character, one speaker for ever, asides in asides. */
/* Brackets are looked for sixteen bytes at a time: each place of a line, each width, notes too. */
static void test_directions_are_taken_out_wherever_they_stand(void **state)
{
    struct fixture *f = *state;
    static const char *const directions[] = { "(笑)", "（笑）", "【笑】" };
    for (size_t d = 0; d < WEFT_COUNT(directions); d++)
        for (size_t before = 1; before <= 40; before++)
            for (size_t behind = 0; behind <= 20; behind += 5) {
                struct weft_buf script = { 0 }, answer = { 0 };
                for (size_t i = 0; i < before; i++) weft_buf_cstr(&answer, i % 7 == 3 ? "，" : "a");
                weft_buf_printf(&script, "乙：问。\n甲：%s%s", answer.s, directions[d]);
                for (size_t i = 0; i < behind; i++) {
                    weft_buf_cstr(&script, "，");
                    weft_buf_cstr(&answer, "，");
                }
                run(f, "甲", script.s);
                check_row(f, 0, "问。", answer.s);
                weft_buf_clear(&script);
                weft_buf_clear(&answer);
            }
}

/* Every dropped line is counted; a hundred of their places are kept, the rarer reasons first. */
static void test_places_are_kept_of_the_first_hundred_dropped_lines(void **state)
{
    struct fixture *f = *state;
    struct weft_buf b = { 0 };
    for (int i = 0; i < 150; i++) weft_buf_printf(&b, "没有说话人的一行 %d\n", i);
    weft_buf_cstr(&b, "甲：无人问。\n乙：问。\n甲：答。\n【注】\n");
    run(f, "甲", b.s);
    weft_buf_clear(&b);
    assert_int_equal(dropped(f, "no speaker"), 150);
    assert_int_equal(dropped(f, "nobody speaks before it in its scene"), 1);
    assert_int_equal(dropped(f, "editor's note"), 1);
    assert_int_equal(f->report.n_places, WEFT_REPORT_PLACES);
    check_str(f->report.places[0], "s.txt:154: editor's note: 【注】");
    check_str(f->report.places[1], "s.txt:1: no speaker: 没有说话人的一行 0");
    check_str(f->report.places[99], "s.txt:99: no speaker: 没有说话人的一行 98");
    check_str(f->rows.items[0].origin.id, "s000001");
    check_str(weft_row_id(&f->arena, 's', 0), "s000000");
    check_str(weft_row_id(&f->arena, 'c', 1234567), "c1234567");
}

static void test_hostile_scripts_take_linear_time(void **state)
{
    struct fixture *f = *state;
    static const char *const parts[] = { "（", "【", "（甲：", "甲：（", "）", "甲，", "：" };
    for (size_t k = 0; k < WEFT_COUNT(parts); k++) {
        struct weft_buf b = { 0 };
        weft_buf_cstr(&b, "乙：一\n甲：二\n甲：");
        while (b.len < 400000) weft_buf_cstr(&b, parts[k]);
        weft_buf_cstr(&b, "\n乙：三\n甲：四\n");
        for (int mode = 0; mode < 3; mode++) {
            f->s.mode = mode;
            run(f, "甲", b.s);
        }
        f->s.mode = WEFT_SCRIPT_DEFAULT;
        weft_buf_clear(&b);
    }
    struct weft_buf b = { 0 };
    for (int i = 0; i < 60000; i++) weft_buf_printf(&b, "（第%d步）\n", i);
    weft_buf_cstr(&b, "乙：一\n");
    for (int i = 0; i < 60000; i++) weft_buf_printf(&b, "甲：第%d句\n", i);
    for (int i = 0; i < 30000; i++) weft_buf_printf(&b, "人%d：问\n甲：答\n", i);
    run(f, "甲", b.s);
    set(f, "turns", "multi");
    run(f, "甲", b.s);
    weft_buf_clear(&b);
}

/* ---- threads ---- */

/* Turns without a heading across the places where the text is cut, headings just before and behind them, a role that
 * opens its act: rows, fates and counts must not tell where that was. */
static void test_threads_do_not_change_the_rows_of_mode_seed(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "甄嬛", "皇帝", "眉庄", "槿汐" };
    static const int64_t thread_counts[] = { 1, 2, 5 };
    struct weft_rng rng;
    struct weft_buf b = { 0 };
    struct weft_text text;
    size_t n = 0, no_prompt = 0;        /* what a plain loop finds */
    bool before = false;
    weft_rng_init(&rng, 20240806, WEFT_RNG_TEST, 0);
    for (int i = 0; i < 40000; i++) {
        uint64_t kind = weft_rng_below(&rng, 10), who = weft_rng_below(&rng, 4);
        bool heading = (i > 9000 && kind == 0 && weft_rng_below(&rng, 40) == 0) || i == 20479;
        if (heading) weft_buf_printf(&b, "第%d幕\n", i);
        else if (kind == 1) weft_buf_cstr(&b, "（夜）\n");
        else if (kind == 2) weft_buf_cstr(&b, "　\n");
        else weft_buf_printf(&b, "%s：第%d句。\n", names[who], i);
        if (heading) before = false;
        else if (kind != 1 && kind != 2) {
            n += who == 0 && before;
            no_prompt += who == 0 && !before;
            before = true;
        }
    }
    check_ok(weft_text_from_memory(&f->arena, "s.txt", weft_str_dup(&f->arena, weft_buf_view(&b)), NULL, &text, &f->err),
             &f->err);
    weft_buf_clear(&b);
    f->s.role = "甄嬛";
    f->s.mode = WEFT_SCRIPT_SEED;
    struct weft_rows want = { 0 };
    uint64_t want_refused = 0;
    for (size_t t = 0; t < WEFT_COUNT(thread_counts); t++) {
        f->s.threads = thread_counts[t];
        check_ok(run_texts(f, &text, 1), &f->err);
        if (!t) want = f->rows;
        assert_int_equal(f->rows.n, n);
        assert_int_equal(f->funnel.role_turns, n + no_prompt);
        /* less those that are the prompt of the next row */
        uint64_t refused = dropped(f, "nobody speaks before it in its scene");
        if (!t) want_refused = refused;
        assert_true(refused > 0 && refused <= no_prompt && refused == want_refused);
        assert_int_equal(f->funnel.n_speakers, 4);
        for (size_t i = 0; i < n; i++) {
            const struct weft_row *x = &want.items[i], *y = &f->rows.items[i];
            assert_true(weft_str_eq(x->turns[0].text, y->turns[0].text));
            assert_true(weft_str_eq(x->turns[1].text, y->turns[1].text));
            assert_true(weft_str_eq(x->origin.id, y->origin.id) && weft_str_eq(x->origin.scene, y->origin.scene));
            assert_true(x->origin.line == y->origin.line && x->origin.byte_end == y->origin.byte_end);
        }
    }
}

/* Everything a reader can stumble over, in no order. */
static void messy_script(struct weft_buf *b, size_t n_lines)
{
    static const char *const names[] = { "甄嬛", "皇帝", "眉庄", "众人", "甄嬛眉庄", "皇帝、眉庄", "苏 培盛", "Tom", "旁白", "年答应" };
    static const char *const separators[] = { "：", "：", "：", ":", "：：", "；", "，", "（怒）：", "（笑）（哭）:" };
    static const char *const texts[] = { "你好。", "朕知道了", "臣妾告退（跪下）", "（笑）好", "本宫乏了。【注】", "走（皇帝：站住）。",
                                         "e\u0301te\u0301", "", "（", "（（甄嬛：（低声）快走（眉庄：好））罢", "第三幕的戏", "　空　" };
    struct weft_rng rng;
    weft_rng_init(&rng, 20261125, WEFT_RNG_TEST, 0);
#define ONE_OF(list) (list)[weft_rng_below(&rng, WEFT_COUNT(list))]
    for (size_t i = 0; i < n_lines; i++) {
        uint64_t kind = weft_rng_below(&rng, 100), number = weft_rng_below(&rng, 9);
        if (kind < 60) weft_buf_printf(b, "%s%s%s%s\n", ONE_OF(names), ONE_OF(separators), ONE_OF(texts), ONE_OF(texts));
        else if (kind < 68) weft_buf_cstr(b, kind < 64 ? "\n" : "　 \n");
        else if (kind < 74) weft_buf_printf(b, "（%s）\n", ONE_OF(texts));
        else if (kind < 77) weft_buf_printf(b, "（%s：%s）\n", ONE_OF(names), ONE_OF(texts));
        else if (kind < 79) weft_buf_printf(b, "第%d幕%s\n", (int)number, kind == 77 ? "（续）" : "");
        else if (kind < 80 && number == 0) weft_buf_printf(b, "第%d集\n", (int)weft_rng_below(&rng, 20) + 1);
        else if (kind < 84) weft_buf_printf(b, "%s%s\n", kind == 80 ? "△" : kind == 81 ? "：" : "【", ONE_OF(texts));
        else weft_buf_printf(b, "%s%s\n", ONE_OF(texts), ONE_OF(texts));
    }
#undef ONE_OF
}

/* All that is told of the rows and of the lines without a row; lines counted from behind the first `shift`. */
static struct weft_str everything(struct fixture *f, size_t shift)
{
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < f->rows.n; i++) {
        const struct weft_origin *o = &f->rows.items[i].origin;
        const struct weft_str parts[] = { o->id, o->episode, o->scene, o->speaker, o->prompt_speaker, o->flags };
        for (size_t k = 0; k < WEFT_COUNT(parts); k++) weft_buf_printf(&b, "%.*s|", (int)parts[k].len, parts[k].s);
        weft_buf_printf(&b, "%zu-%zu\n", (size_t)o->line - shift, (size_t)o->last_line - shift);
    }
    for (size_t i = 0; i < f->report.n_drops; i++)
        weft_buf_printf(&b, "%s: %zu\n", f->report.drops[i].reason.s, (size_t)f->report.drops[i].count);
    for (size_t i = 0; i < f->funnel.n_speakers; i++)
        weft_buf_printf(&b, "%.*s: %zu\n", (int)f->funnel.speakers[i].name.len, f->funnel.speakers[i].name.s,
                        (size_t)f->funnel.speakers[i].count);
    for (size_t i = 0; i < f->funnel.n_episodes; i++)
        weft_buf_printf(&b, "%.*s: %zu\n", (int)f->funnel.episodes[i].name.len, f->funnel.episodes[i].name.s,
                        (size_t)f->funnel.episodes[i].count);
    weft_buf_printf(&b, "%zu used, %zu other, %zu narration, %zu turns of the role", (size_t)f->funnel.used,
                    (size_t)f->funnel.other, (size_t)f->funnel.narration, (size_t)f->funnel.role_turns);
    struct weft_str s = weft_str_dup(&f->arena, weft_buf_view(&b));
    weft_buf_clear(&b);
    return s;
}

/* Blank lines before a script move all the places where it is cut: nothing may tell where they were. */
static void test_neither_threads_nor_slices_change_the_rows(void **state)
{
    struct fixture *f = *state;
    static const int64_t thread_counts[] = { 1, 2, 5 };
    static const size_t shifts[] = { 0, 1, 2050, 4095 };
    static const char *const settings[][2] = {
        { "mode", "seed" }, { "mode", "huanhuan-compat" }, { "mode", "default" },
        { "alias", "甄嬛=莞嫔,年答应@3-9" }, { "keep_per_prompt", "2" }, { "narration_prompt", "true" },
        { "chorus", "true" }, { "review", "true" }, { "prefix", "{speaker}在{scene}说：" }, { "scenes", "2-6" },
        { "turns", "multi" } };
    struct weft_text *texts = WEFT_NEWS(&f->arena, struct weft_text, WEFT_COUNT(shifts));
    for (size_t k = 0; k < WEFT_COUNT(shifts); k++) {
        struct weft_buf b = { 0 };
        for (size_t i = 0; i < shifts[k]; i++) weft_buf_char(&b, '\n');
        messy_script(&b, 14000);
        check_ok(weft_text_from_memory(&f->arena, "s.txt", weft_str_dup(&f->arena, weft_buf_view(&b)), NULL, &texts[k],
                                       &f->err),
                 &f->err);
        weft_buf_clear(&b);
    }
    f->s.role = "甄嬛";
    for (size_t i = 0; i < WEFT_COUNT(settings); i++) {
        struct weft_str want = { NULL, 0 }, want_lines = { NULL, 0 };
        set(f, settings[i][0], settings[i][1]);     /* one upon the other */
        for (size_t k = 0; k < WEFT_COUNT(shifts) * WEFT_COUNT(thread_counts); k++) {
            size_t text = k / WEFT_COUNT(thread_counts);
            f->s.threads = thread_counts[k % WEFT_COUNT(thread_counts)];
            check_ok(run_texts(f, &texts[text], 1), &f->err);
            assert_true(f->rows.n > 20);
            struct weft_str got = everything(f, shifts[text]);
            if (!k) want = got;
            assert_true(weft_str_eq(got, want));
            got = as_lines(f);
            if (!text) assert_true(weft_str_eq(got, k ? want_lines : got));
            if (!k) want_lines = got;
        }
    }
    /* Nor where one file ends and the next one begins: scenes that are resumed, and an episode of its own. */
    struct weft_text both[] = { texts[1], texts[3], texts[0] };
    set(f, "turns", "pairs");
    struct weft_str want = { NULL, 0 };
    for (size_t k = 0; k < WEFT_COUNT(thread_counts); k++) {
        f->s.threads = thread_counts[k];
        check_ok(run_texts(f, both, 3), &f->err);
        struct weft_str got = everything(f, 0);
        if (!k) want = got;
        assert_true(weft_str_eq(got, want));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_every_mode_equals_the_oracle),
        TEST(test_short_rows_and_repeated_prompts_equal_the_oracle),
        TEST(test_half_width_input_gives_the_same_rows),
        TEST(test_a_gb18030_script_gives_the_same_rows_with_its_own_bytes),
        TEST(test_rows_know_where_they_came_from),
        TEST(test_flags_tell_what_was_done_to_a_row),
        TEST(test_places_name_the_lines_that_were_left_out),
        TEST(test_aliases_hold_in_their_episodes_and_the_role_may_be_an_alias),
        TEST(test_chains_of_names_need_parts_seen_more_often),
        TEST(test_stage_words_are_no_speakers_unless_they_are_the_role),
        TEST(test_latin_scripts_are_read_too),
        TEST(test_scenes_bound_pairs_and_continued_scenes_do_not),
        TEST(test_directions_leave_no_gap_and_asides_cut_the_text),
        TEST(test_multi_turn_rows_hold_a_whole_scene),
        TEST(test_episode_ranges_choose),
        TEST(test_scene_ranges_choose_and_names_and_episodes_are_counted),
        TEST(test_seed_mode_writes_what_python_writes),
        TEST(test_compat_mode_cuts_at_the_second_colon_and_breaks_at_narration),
        TEST(test_a_role_that_never_speaks_is_an_error_that_names_who_does),
        TEST(test_chinese_numbers),
        TEST(test_directions_are_taken_out_wherever_they_stand),
        TEST(test_places_are_kept_of_the_first_hundred_dropped_lines),
        TEST(test_hostile_scripts_take_linear_time),
        TEST(test_threads_do_not_change_the_rows_of_mode_seed),
        TEST(test_neither_threads_nor_slices_change_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
