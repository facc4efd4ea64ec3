/* Any text as a novel; the first bytes choose the settings, the first line is the role.  The accounts must balance,
 * every part of a speech must stand verbatim in its text, parts must not overlap, and rows must alternate. */
#include "dataset/prose.h"

#include "base/json.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_speeches(const struct weft_prose *p)
{
    size_t before[2] = { 0, 0 };
    uint64_t kinds = 0, rules = 0;
    for (int k = 0; k < WEFT_PROSE_KINDS; k++) kinds += p->funnel.kinds[k];
    for (int r = 0; r < WEFT_PROSE_RULES; r++) rules += p->funnel.by_rule[r];
    check(p->funnel.quotes == kinds + p->funnel.continued);
    check(rules == p->funnel.kinds[WEFT_PROSE_SPEECH]);
    check(p->n_speeches == kinds - p->funnel.kinds[WEFT_PROSE_WORDS]);
    size_t in_scenes = 0;
    for (size_t i = 0; i < p->n_scenes; i++) {
        check(p->scenes[i].first_speech == in_scenes);
        in_scenes += p->scenes[i].n_speeches;
    }
    check(in_scenes == p->n_speeches);
    for (size_t i = 0; i < p->n_speeches; i++) {
        const struct weft_prose_speech *sp = &p->speeches[i];
        struct weft_str text = p->texts[sp->text_idx].text;
        check(sp->n_parts >= 1 && sp->text_idx < p->n_texts && sp->scene < p->n_scenes);
        for (size_t k = 0; k < sp->n_parts; k++) {
            check(sp->parts[k].begin >= before[sp->text_idx] && sp->parts[k].begin <= sp->parts[k].end);
            check(sp->parts[k].end <= text.len);
            before[sp->text_idx] = sp->parts[k].end;
            struct weft_str part = weft_str_sub(text, sp->parts[k].begin, sp->parts[k].end);
            check(weft_utf8_check(part) == part.len);
        }
        check(weft_utf8_check(sp->text) == sp->text.len);
        check((sp->speaker.s != NULL) == (sp->confidence > 0) && sp->confidence <= 1);
        check((sp->speaker.s != NULL) == (sp->rule != WEFT_PROSE_UNKNOWN));
        check(sp->n_candidates <= WEFT_PROSE_CANDIDATES);
        double sum = 0;
        for (size_t k = 0; k < sp->n_candidates; k++) {
            check(sp->candidates[k].name.len > 0 && sp->candidates[k].score > 0);
            sum += sp->candidates[k].score;
        }
        check(sum <= 1.000001);
        if (sp->n_candidates) check(sp->context_begin <= sp->parts[0].begin && sp->context_end <= text.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_prose_settings s;
    struct weft_text texts[2];
    struct weft_prose p = { 0 };
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    struct weft_prose_rows_funnel f = { 0 };
    struct weft_text_settings utf8 = { .charset = WEFT_CHARSET_UTF8 };
    if (size < 4 || weft_options_defaults(weft_prose_options(), &s, &a, &err)) goto done;
    struct weft_str all = weft_str_dup(&a, (struct weft_str){ (const char *)data + 2, size - 2 });
    size_t lf = weft_str_find(all, WEFT_STR("\n"), 0), half = lf == SIZE_MAX ? 0 : lf + (all.len - lf) / 2;
    if (!all.s || lf == SIZE_MAX) goto done;
    if (weft_text_from_memory(&a, "one", weft_str_sub(all, lf + 1, half), &utf8, &texts[0], &err)) goto done;
    weft_err_clear(&err);
    if (weft_text_from_memory(&a, "two", weft_str_skip(all, half), &utf8, &texts[1], &err)) goto done;
    s.role = weft_arena_strndup(&a, all.s, lf);
    s.turns = data[0] & 1;
    s.thoughts = data[0] >> 1 & 1;
    s.no_guess = data[0] >> 2 & 1;
    s.gap_chars = data[0] >> 3 & 1 ? 20 : 0;
    s.min_confidence = (data[0] >> 4) / 16.0;
    s.keep_per_prompt = data[1] & 1;
    s.min_answer_chars = data[1] >> 1 & 3;
    if (data[1] & 16) s.system = "{role}{speaker}{chapter}{";
    if (data[1] & 32) s.prefix = "{speaker}：";
    if (data[1] & 64)
        check(!weft_options_set(weft_prose_options(), &s, &a, "alias", "alias", "甲=乙,丙", NULL, &err));
    weft_err_clear(&err);
    check(weft_prose_parse(&a, texts, 2, &s, NULL, &p, &err) == WEFT_OK);
    check_speeches(&p);
    for (size_t i = 0; i < p.n_speeches; i++) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_prose_speech_json(&o, &p, i);
        check(!b.failed);
        weft_buf_clear(&b);
        if (p.speeches[i].n_candidates && i % 3 == 0) weft_prose_assign(&p, i, (size_t)(i % 5), 0.7);
    }
    check_speeches(&p);
    enum weft_status st = weft_prose_rows(&a, &p, &s, &rows, &report, &f, &err);
    check(st == WEFT_OK || ((st == WEFT_EINPUT || st == WEFT_EARG) && err.msg[0]));
    check(f.speeches == f.used + f.other + weft_report_dropped(&report));
    check(f.rows == rows.n && f.answers >= f.rows && f.role_turns >= f.answers);
    for (size_t i = 0; i < rows.n; i++) {
        check(rows.items[i].n_turns >= 2 && rows.items[i].n_turns % 2 == 0);
        for (size_t t = 0; t < rows.items[i].n_turns; t++)
            check(rows.items[i].turns[t].role == (t & 1 ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER)
                  && rows.items[i].turns[t].text.s);
    }
done:
    weft_arena_clear(&a);
    return 0;
}
