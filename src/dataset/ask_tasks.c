/* The tasks: what each asks, and when a reply is an answer. */
#include "dataset/ask_parts.h"
#include "dataset/ask_reply.h"
#include "dataset/normal.h"

#include "base/json.h"
#include "base/lang.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

/* ---- what readings share ---- */

void ask_problem(struct ask_reading *r, const char *fmt, ...)
{
    char text[512];
    va_list args;
    if (r->problem.len) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, weft_tr(r->prompt->lang == WEFT_PROMPT_ZH ? WEFT_LANG_ZH : WEFT_LANG_EN, fmt), args);
    va_end(args);
    weft_buf_cstr(&r->problem, text);
}

int64_t ask_max_chars(const struct weft_prompt *p, const struct weft_ask_settings *s)
{
    return s->max_chars ? s->max_chars : p->max_chars;
}

int64_t ask_pairs(const struct weft_prompt *p, const struct weft_ask_settings *s)
{
    return s->pairs ? s->pairs : p->pairs;
}

struct weft_row *ask_row(struct ask_reading *r)
{
    const struct weft_ask_unit *u = r->unit;
    struct weft_row *row = weft_rows_add(&r->out->rows, r->a);
    if (row) {
        row->kto_tag = -1;
        row->origin = u->origin;
        row->origin.via = weft_str_c(r->via);
        row->origin.confidence = r->confidence;
        row->origin.flags = (struct weft_str){ NULL, 0 };
        row->origin.id = weft_str_printf(r->a, "%.*s.%zu", (int)u->origin.id.len, u->origin.id.s, r->out->rows.n);
        row->origin.parents =
            u->parents.len ? weft_str_printf(r->a, "%.*s,%.*s", (int)u->origin.id.len, u->origin.id.s,
                                             (int)u->parents.len, u->parents.s)
                           : u->origin.id;
    }
    if (!row || !row->origin.id.s || !row->origin.parents.s) {
        (void)weft_fail_nomem(r->err, sizeof *row, "rows");
        return NULL;
    }
    return row;
}

enum weft_status ask_row_turns(struct ask_reading *r, struct weft_row *row, struct weft_str instruction,
                               struct weft_str input, struct weft_str output)
{
    struct weft_turn *turns = WEFT_NEWS(r->a, struct weft_turn, 2);
    struct weft_str user = instruction;
    if (input.len && instruction.len) {
        user = weft_str_printf(r->a, "%.*s\n%.*s", (int)instruction.len, instruction.s, (int)input.len, input.s);
        row->split_input = true;
        row->instruction_len = instruction.len;
    } else if (input.len) user = input;
    if (!turns || !user.s) return weft_fail_nomem(r->err, input.len + instruction.len, "rows");
    turns[0] = (struct weft_turn){ WEFT_ROLE_USER, user };
    turns[1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT, output };
    row->turns = turns;
    row->n_turns = 2;
    return WEFT_OK;
}

static enum weft_status drop_piece(struct ask_reading *r, const char *reason, struct weft_str what)
{
    char shown[120];
    struct weft_str id = r->unit->origin.id,
                    place = weft_str_printf(r->a, "%.*s: %s", (int)id.len, id.s, weft_escape(shown, sizeof shown, what));
    if (!place.s) return weft_fail_nomem(r->err, what.len, "the reasons");
    r->pieces->units_in++;
    return weft_report_drop(r->pieces, r->a, weft_str_c(reason), 1, place, r->err);
}

/* ---- contracts of plain answers ---- */

/* "概括：", "**本段梗概如下**：", "Here is the summary:" before the answer.  What stands before the colon must end in such
 * a word; "答" is one only by itself, since people in stories answer. */
static bool has_heading(struct weft_str s)
{
    static const struct {
        const char *word;
        bool alone;
    } words[] = { { "概括", false }, { "总结", false },  { "摘要", false },   { "梗概", false },    { "概述", false },
                  { "简述", false }, { "情节", false },  { "回答", true },    { "答案", true },     { "答", true },
                  { "一句话", false }, { "summary", false }, { "answer", true }, { "outline", false } };
    static const char *const tails[] = { "如下", "为", "是", "*", "】", "]", "#", " " };
    size_t colon = SIZE_MAX;
    for (size_t at = 0; at < s.len && at <= 60 && colon == SIZE_MAX;) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (cp == ':' || cp == 0xFF1A) colon = at;
        at += n;
    }
    if (colon == SIZE_MAX) return false;
    struct weft_str head = weft_str_sub(s, 0, colon);
    while (head.len && strchr("*#[ ", head.s[0])) head = weft_str_skip(head, 1);
    if (weft_str_starts(head, WEFT_STR("【"))) head = weft_str_skip(head, 3);
    for (size_t t = 0; t < WEFT_COUNT(tails);) {
        struct weft_str tail = weft_str_c(tails[t]);
        bool ends = head.len && weft_str_ends(head, tail);
        if (ends) head.len -= tail.len;
        t = ends ? 0 : t + 1;
    }
    for (size_t w = 0; w < WEFT_COUNT(words); w++) {
        size_t len = strlen(words[w].word);
        if (head.len >= len && strncasecmp(head.s + head.len - len, words[w].word, len) == 0
            && (!words[w].alone || head.len == len))
            return true;
    }
    return false;
}

/* Quotation marks round the whole answer are no part of it, unless it quotes inside too. */
static struct weft_str unquoted(struct weft_str s)
{
    static const struct {
        struct weft_str open, close;
    } marks[] = { { { "“", 3 }, { "”", 3 } }, { { "「", 3 }, { "」", 3 } }, { { "\"", 1 }, { "\"", 1 } } };
    for (size_t i = 0; i < WEFT_COUNT(marks); i++) {
        struct weft_str o = marks[i].open, c = marks[i].close;
        if (s.len <= o.len + c.len || !weft_str_starts(s, o) || !weft_str_ends(s, c)) continue;
        struct weft_str inside = weft_str_sub(s, o.len, s.len - c.len);
        if (weft_str_find(inside, o, 0) == SIZE_MAX && weft_str_find(inside, c, 0) == SIZE_MAX)
            return weft_trim(inside);
    }
    return s;
}

static void check_plain(struct ask_reading *r, struct weft_str *answer)
{
    int64_t max = ask_max_chars(r->prompt, r->s);
    size_t chars;
    *answer = unquoted(*answer);
    chars = weft_utf8_chars(*answer);
    if (!answer->len) ask_problem(r, "is empty");
    else if (memchr(answer->s, '\n', answer->len)) ask_problem(r, "has more than one line");
    else if (has_heading(*answer)) ask_problem(r, "begins with a heading");
    else if (max && chars > (size_t)max)
        ask_problem(r, "has %zu characters, more than %" PRId64, chars, max);
}

/* ---- summarise ---- */

static enum weft_status summarise(struct ask_reading *r)
{
    struct weft_str summary = r->answer;
    check_plain(r, &summary);
    if (r->problem.len) return WEFT_OK;
    const char *instruction = r->s->instruction ? r->s->instruction : r->prompt->instruction;
    struct weft_row *row = ask_row(r);
    return row ? ask_row_turns(r, row, weft_str_c(instruction), summary, r->unit->text) : r->err->status;
}

/* ---- JSON answers ---- */

/* The array or object of a reply; false: a problem was written. */
static bool read_json(struct ask_reading *r, enum weft_json_kind want, struct weft_json_value *v)
{
    struct weft_str json = weft_reply_json(r->answer);
    struct weft_err own = { 0 };
    if (!json.s || weft_json_parse(r->a, "reply", json, v, &own)) ask_problem(r, "is not valid JSON");
    else if (want == WEFT_JSON_ARRAY && v->kind == WEFT_JSON_OBJECT) {
        /* {"items": [...]}: models that were told to print an object do this; a lone item counts as a list of one. */
        struct weft_json_value whole = *v, *items = WEFT_NEW(r->a, struct weft_json_value);
        if (v->n == 1 && v->items[0].kind == WEFT_JSON_ARRAY) *v = whole.items[0];
        else if (items) {
            *items = whole;
            *v = (struct weft_json_value){ .kind = WEFT_JSON_ARRAY, .n = 1 };
            v->items = items;
        }
    }
    if (!r->problem.len && v->kind != want)
        ask_problem(r, want == WEFT_JSON_ARRAY ? "is not a JSON array" : "is not a JSON object");
    return !r->problem.len;
}

static struct weft_str member(const struct weft_json_value *v, const char *key)
{
    const struct weft_json_value *m = weft_json_get(v, key);
    return m && m->kind == WEFT_JSON_STRING ? weft_trim(m->text) : (struct weft_str){ NULL, 0 };
}

/* Keeps a text of the JSON tree, which may point into the reply. */
static struct weft_str keep(struct ask_reading *r, struct weft_str s)
{
    struct weft_str k = weft_str_dup(r->a, s);
    if (!k.s) (void)weft_fail_nomem(r->err, s.len, "rows");
    return k;
}

static enum weft_status add_pair(struct ask_reading *r, struct weft_str question, struct weft_str answer)
{
    struct weft_row *row = ask_row(r);
    struct weft_str q = keep(r, question), w = keep(r, answer);
    r->pieces->units_in++;
    r->pieces->rows_out++;
    return row && q.s && w.s ? ask_row_turns(r, row, q, (struct weft_str){ NULL, 0 }, w) : r->err->status;
}

/* ---- qa ---- */

static enum weft_status qa(struct ask_reading *r)
{
    struct weft_json_value v;
    enum weft_status st = WEFT_OK;
    size_t before = r->out->rows.n, unfounded = 0;
    if (!read_json(r, WEFT_JSON_ARRAY, &v)) return WEFT_OK;
    for (size_t i = 0; !st && i < v.n; i++) {
        struct weft_str q = member(&v.items[i], "question"), w = member(&v.items[i], "answer"),
                        e = member(&v.items[i], "evidence");
        if (!q.len || !w.len) st = drop_piece(r, "question or answer missing", q);
        else if (!e.len || weft_str_find(r->unit->text, e, 0) == SIZE_MAX) {
            unfounded++;
            st = drop_piece(r, "the evidence does not stand in the source", e.len ? e : q);
        } else st = add_pair(r, q, w);
    }
    if (!st && r->out->rows.n == before) {
        if (unfounded) ask_problem(r, "quotes evidence that is not in the source");
        else ask_problem(r, "has no item with question, answer and evidence");
    }
    return st;
}

/* ---- dialogue ---- */

static enum weft_status dialogue(struct ask_reading *r)
{
    const struct weft_ask_unit *u = r->unit;
    struct weft_json_value v;
    size_t found = 0, wrong = 0;
    if (!read_json(r, WEFT_JSON_ARRAY, &v)) return WEFT_OK;
    size_t *chosen = WEFT_NEWS(r->a, size_t, u->n_open);
    bool *seen = WEFT_NEWS(r->a, bool, u->n_open);
    if (!chosen || !seen) return weft_fail_nomem(r->err, u->n_open * sizeof *chosen, "rows");
    for (size_t k = 0; k < u->n_open; k++) chosen[k] = SIZE_MAX;
    for (size_t i = 0; i < v.n; i++) {
        const struct weft_json_value *id = weft_json_get(&v.items[i], "id");
        struct weft_str name = member(&v.items[i], "speaker");
        for (size_t k = 0; id && id->is_int && k < u->n_open; k++) {
            const struct weft_ask_open *o = &u->open[k];
            if (id->integer < 0 || o->number != (uint64_t)id->integer || seen[k]) continue;
            for (size_t c = 0; c < o->n_candidates; c++)
                if (weft_str_eq(o->candidates[c], name)) chosen[k] = c;
            bool unknown = weft_str_is(name, "?") || weft_str_is(name, "？");
            seen[k] = true;
            found++;
            wrong += chosen[k] == SIZE_MAX && !unknown;
        }
    }
    if (found < u->n_open) ask_problem(r, "lacks %zu of the %zu numbers", u->n_open - found, u->n_open);
    else if (wrong) ask_problem(r, "names %zu speakers that are not in the list", wrong);
    r->out->chosen = chosen;
    return WEFT_OK;
}

/* ---- augment ---- */

static bool same_text(struct weft_arena *a, struct weft_str x, struct weft_str y)
{
    struct weft_str nx = weft_normalise(a, x), ny = weft_normalise(a, y);
    return nx.s && ny.s && weft_str_eq(nx, ny);
}

static enum weft_status augment(struct ask_reading *r)
{
    struct weft_json_value v;
    enum weft_status st = WEFT_OK;
    size_t before = r->out->rows.n, copies = 0;
    if (!read_json(r, WEFT_JSON_ARRAY, &v)) return WEFT_OK;
    for (size_t i = 0; !st && i < v.n; i++) {
        struct weft_str q = member(&v.items[i], "instruction"), in = member(&v.items[i], "input"),
                        w = member(&v.items[i], "output");
        bool copy = false;
        if (in.len) q = weft_str_printf(r->a, "%.*s\n%.*s", (int)q.len, q.s ? q.s : "", (int)in.len, in.s);
        for (size_t k = 0; k < r->unit->n_examples && !copy; k++)
            copy = same_text(r->a, q, weft_ask_question(r->unit->examples[k]))
                   || same_text(r->a, w, weft_ask_answer(r->unit->examples[k]));
        copies += copy;
        if (!q.len || !w.len) st = drop_piece(r, "instruction or output missing", q);
        else if (copy) st = drop_piece(r, "equal to an example", q);
        else if (!(st = add_pair(r, q, w))) r->out->rows.items[r->out->rows.n - 1].origin.flags = WEFT_STR("aug");
    }
    if (!st && r->out->rows.n == before) {
        if (copies) ask_problem(r, "repeats the examples");
        else ask_problem(r, "has no item with instruction and output");
    }
    return st;
}

/* ---- rag ---- */

static enum weft_status rag(struct ask_reading *r)
{
    struct weft_str answer = r->answer, role = weft_str_c(r->s->role), rest;
    /* "甄嬛：…": the name is what was asked not to be written, but the answer behind it is good. */
    if (role.len && weft_str_starts(answer, role)) {
        rest = weft_trim(weft_str_skip(answer, role.len));
        if (weft_str_starts(rest, WEFT_STR("：")) || weft_str_starts(rest, WEFT_STR(":")))
            answer = weft_trim(weft_str_skip(rest, rest.s[0] == ':' ? 1 : 3));
    }
    check_plain(r, &answer);
    if (!r->problem.len && r->unit->row && same_text(r->a, answer, weft_ask_answer(r->unit->row)))
        ask_problem(r, "repeats the ordinary answer");
    if (r->problem.len) return WEFT_OK;
    enum weft_status st = add_pair(r, r->unit->text, answer);
    if (!st) {
        r->out->rows.items[r->out->rows.n - 1].origin.flags = WEFT_STR("aug");
        r->out->rows.items[r->out->rows.n - 1].origin.speaker = role;
    }
    return st;
}

/* ---- judge ---- */

static enum weft_status judge(struct ask_reading *r)
{
    struct weft_json_value v;
    struct weft_buf extra = { 0 };
    struct weft_json_out o;
    if (!read_json(r, WEFT_JSON_OBJECT, &v)) return WEFT_OK;
    const struct weft_json_value *score = weft_json_get(&v, "score");
    struct weft_str reasons = member(&v, "reasons");
    if (!score || !score->is_int || score->integer < 0 || score->integer > 10)
        ask_problem(r, "has no whole score from 0 to 10");
    else if (!reasons.len) ask_problem(r, "gives no reasons");
    if (r->problem.len) return WEFT_OK;
    struct weft_row *row = weft_rows_add(&r->out->rows, r->a);
    if (!row) return weft_fail_nomem(r->err, sizeof *row, "rows");
    *row = *r->unit->row;
    weft_json_out_init(&o, &extra);
    weft_json_out_object(&o);
    if (row->extra.s) { /* what is there already, less an older verdict */
        struct weft_json_value old;
        struct weft_err own = { 0 };
        if (!weft_json_parse(r->a, "row", row->extra, &old, &own) && old.kind == WEFT_JSON_OBJECT)
            for (size_t i = 0; i < old.n; i++) {
                if (weft_str_is(old.keys[i], "judge")) continue;
                weft_json_out_key_str(&o, old.keys[i]);
                weft_json_out_value(&o, &old.items[i]);
            }
    }
    weft_json_out_key(&o, "judge");
    weft_json_out_object(&o);
    weft_json_out_key(&o, "score");
    weft_json_out_int(&o, score->integer);
    weft_json_out_key(&o, "reasons");
    weft_json_out_str(&o, reasons);
    weft_json_out_key(&o, "via");
    weft_json_out_cstr(&o, r->via);
    weft_json_out_object_end(&o);
    weft_json_out_object_end(&o);
    enum weft_status st = weft_buf_check(&extra, "rows", r->err);
    if (!st) {
        row->extra = keep(r, weft_buf_view(&extra));
        if (!row->extra.s) st = r->err->status;
    }
    weft_buf_clear(&extra);
    return st;
}

/* ---- the list ---- */

static const char *const summarise_names[] = { "text", "max_chars", NULL };
static const char *const qa_names[] = { "text", "pairs", NULL };
static const char *const dialogue_names[] = { "text", "candidates", "ids", NULL };
static const char *const augment_names[] = { "text", "examples", "pairs", NULL };
static const char *const rag_names[] = { "question", "answer", "lines", "role", "max_chars", NULL };
static const char *const judge_names[] = { "question", "answer", NULL };

static const struct ask_task tasks[] = {
    { { "summarise", "a passage in one sentence; rows: instruction, summary -> passage",
        "用一句话概括一段文字；数据行：指令、梗概 → 原文", summarise_names, true },
      NULL, summarise, ask_rule_summarise, "rule/extract@1" },
    { { "qa", "questions and answers from a passage, with evidence", "根据一段文字出题作答，附原文依据", qa_names, true },
      ask_shape_qa, qa, ask_rule_qa, "rule/definition@1" },
    { { "dialogue", "who says each speech of a novel that the rules leave open", "判断小说中规则定不了的话是谁说的",
        dialogue_names, false },
      ask_shape_dialogue, dialogue, NULL, NULL },
    { { "augment", "more rows in the manner of two or three examples", "仿照两三个范例编写更多数据", augment_names, false },
      ask_shape_augment, augment, NULL, NULL },
    { { "rag", "everyday dialogue in the voice of a persona, after retrieved lines of it",
        "按检索出的台词，把日常对话改写成角色的口吻", rag_names, true },
      NULL, rag, ask_rule_rag, "rule/retrieve@1" },
    { { "judge", "a score with reasons for each row", "给每一行打分并说明理由", judge_names, false }, ask_shape_judge,
      judge, NULL, NULL },
};

const struct ask_task *ask_task_of(const char *name)
{
    for (size_t i = 0; i < WEFT_COUNT(tasks); i++)
        if (strcmp(tasks[i].about.name, name) == 0) return &tasks[i];
    return NULL;
}

const struct weft_ask_task *weft_ask_task(const char *name)
{
    const struct ask_task *t = ask_task_of(name);
    return t ? &t->about : NULL;
}

const struct weft_ask_task *weft_ask_task_at(size_t i) { return i < WEFT_COUNT(tasks) ? &tasks[i].about : NULL; }

enum weft_status weft_ask_task_unknown(const char *name, struct weft_err *err)
{
    const char *names[WEFT_COUNT(tasks)];
    for (size_t i = 0; i < WEFT_COUNT(tasks); i++) names[i] = tasks[i].about.name;
    const char *nearest = weft_nearest(name, names, WEFT_COUNT(names));
    return weft_fail(err, WEFT_EARG, "unknown task \"%s\"; the nearest is %s (tasks: summarise, qa, dialogue, augment, rag, judge)",
                     name, nearest ? nearest : names[0]);
}
