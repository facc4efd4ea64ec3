/* weft data check FILE...: what a dataset looks like before hours go into it. */
#include "cli/data_quality.h"
#include "cli/verbs.h"
#include "dataset/check_files.h"

#include <inttypes.h>
#include <stdio.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    struct weft_check_settings check;
    struct weft_data_quality quality;
    bool signs, pii;
    int64_t places;
};

static const struct weft_option rows_table[] = {
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    { .key = "quality", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, signs), .group = "Check",
      .help = "look for signs of bad rows too", .help_zh = "也检查质量问题" },
    { .key = "pii", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, pii), .group = "Check",
      .help = "look for private data too: phones, identity cards, e-mail, IP, bank cards",
      .help_zh = "也检查个人信息：电话、身份证、邮箱、IP、银行卡" },
    { .key = "long_row", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, check.long_chars),
      .def = "0", .max = 1e9,
      .unit = "characters", .group = "Check", .help = "longer rows are counted; 0: none",
      .help_zh = "长于此长度的行计为过长；0 为不计" },
    WEFT_DATA_PLACES_ROW(struct settings, places, "rows left out to show",
                         "显示多少处被舍去的行"),
    WEFT_DATA_QUALITY_ROWS(struct settings, quality),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_table, WEFT_COUNT(rows_table) };

static void lengths_line(struct weft_cli *cli, const char *label, const struct weft_lengths *l)
{
    char text[160];
    if (!l->n) return;
    weft_put(cli, WEFT_STR("  "));
    weft_data_cell(cli, weft_tr(cli->lang, label), 20);
    snprintf(text, sizeof text,
             "%8" PRIu64 "%8" PRIu64 "%8" PRIu64 "%8" PRIu64 "%8" PRIu64 "%8" PRIu64 "%10.1f\n", l->min,
             l->p50, l->p90, l->p95, l->p99, l->max, l->mean);
    weft_put(cli, weft_str_c(text));
}

static void examples(struct weft_cli *cli, const char *heading, const struct weft_check_item *items, size_t n)
{
    if (!n) return;
    weft_say(cli, "%s\n", weft_tr(cli->lang, heading));
    for (size_t i = 0; i < n && i < 5; i++) {
        char prefix[48];
        snprintf(prefix, sizeof prefix, "  %6" PRIu64 "x  #%zu  ", items[i].count, items[i].first_row + 1);
        weft_data_line(cli, prefix, items[i].text, 50);
    }
}

/* ---- signs and private data ---- */

static void finding_line(struct weft_cli *cli, const char *name, const char *help, const struct weft_finding *f,
                         uint64_t rows)
{
    char text[96];
    weft_put(cli, WEFT_STR("  "));
    weft_data_cell(cli, name, 18);
    snprintf(text, sizeof text, "%8" PRIu64 "  %5.1f %%  #%zu:%zu  ", f->rows, 100.0 * (double)f->rows / (double)rows,
             f->first_row + 1, f->first_turn + 1);
    weft_put(cli, weft_str_c(text));
    weft_put(cli, weft_str_c(help));
    weft_put(cli, WEFT_STR("\n"));
}

static void show_findings(struct weft_cli *cli, const struct settings *s, const struct weft_findings *f, uint64_t rows)
{
    const struct weft_quality_rule *rules = weft_quality_rules();
    if (s->signs) {
        weft_say(cli, "signs of quality: %" PRIu64 " rows with one; each with its first row and turn\n",
                 f->rows_with_signs);
        for (int i = 0; i < WEFT_N_QUALITY; i++) {
            if (!f->signs[i].rows) continue;
            finding_line(cli, rules[i].name, weft_tr(cli->lang, rules[i].help), &f->signs[i], rows);
            weft_say(cli, "      fix: %s\n", weft_tr(cli->lang, rules[i].fix));
        }
    }
    if (!s->pii) return;
    weft_say(cli, "private data: %" PRIu64 " rows with some\n", f->rows_with_pii);
    for (int i = 0; i < WEFT_N_PII; i++)
        if (f->pii[i].rows) finding_line(cli, weft_pii_name((enum weft_pii_kind)i), "", &f->pii[i], rows);
    if (f->rows_with_pii)
        weft_say(cli, "      fix: %s\n", weft_tr(cli->lang, "weft data clean --mask all, or --drop_pii all"));
}

static void json_finding(struct weft_json_out *o, const char *name, const struct weft_finding *f)
{
    weft_json_out_object(o);
    weft_data_key_str(o, "name", weft_str_c(name));
    weft_data_key_uint(o, "rows", f->rows);
    if (f->pieces) weft_data_key_uint(o, "pieces", f->pieces);
    weft_data_key_uint(o, "first_row", f->first_row + 1);
    weft_data_key_uint(o, "first_turn", f->first_turn + 1);
    weft_json_out_object_end(o);
}

static void json_findings(struct weft_json_out *o, const struct settings *s, const struct weft_findings *f)
{
    if (s->signs) {
        weft_json_out_key(o, "quality");
        weft_json_out_array(o);
        for (int i = 0; i < WEFT_N_QUALITY; i++)
            if (f->signs[i].rows) json_finding(o, weft_quality_rules()[i].name, &f->signs[i]);
        weft_json_out_array_end(o);
    }
    if (!s->pii) return;
    weft_json_out_key(o, "pii");
    weft_json_out_array(o);
    for (int i = 0; i < WEFT_N_PII; i++)
        if (f->pii[i].rows) json_finding(o, weft_pii_name((enum weft_pii_kind)i), &f->pii[i]);
    weft_json_out_array_end(o);
}

static const char *verdict_word(enum weft_verdict v)
{
    return v == WEFT_VERDICT_GOOD ? "good" : v == WEFT_VERDICT_LOOK ? "worth a look" : "bad";
}

static void show(struct weft_cli *cli, const struct settings *s, const struct weft_check *c,
                 const struct weft_findings *f, const struct weft_report *r)
{
    weft_data_figure(cli, "rows", c->rows, 0);
    weft_data_figure(cli, "different rows", c->unique_rows, c->rows);
    weft_data_figure(cli, "duplicates", c->duplicate_rows, c->rows);
    weft_data_figure(cli, "prompts with several answers", c->conflicting_prompts, 0);
    weft_data_figure(cli, "rows with those prompts", c->conflicting_rows, c->rows);
    weft_data_figure(cli, "answers", c->answers, 0);
    weft_data_figure(cli, "empty answers", c->empty_answers, c->answers + c->text_rows);
    weft_data_figure(cli, "very short answers", c->short_answers, c->answers);
    if (c->copied_answers)
        weft_data_figure(cli, "answers equal to their prompt", c->copied_answers, c->answers);
    if (s->check.long_chars) weft_data_figure(cli, "long rows", c->long_rows, c->rows);
    if (c->history_rows) weft_data_figure(cli, "rows with history", c->history_rows, c->rows);
    if (c->system_rows) weft_data_figure(cli, "rows with a system text", c->system_rows, c->rows);
    if (c->tool_rows) weft_data_figure(cli, "rows with tools", c->tool_rows, c->rows);
    if (c->preference_rows) weft_data_figure(cli, "preference rows", c->preference_rows, c->rows);
    if (c->kto_rows) weft_data_figure(cli, "rows with a kto_tag", c->kto_rows, c->rows);
    if (c->text_rows) weft_data_figure(cli, "text rows", c->text_rows, c->rows);
    weft_data_figure(cli, "rows with their origin", c->with_origin, c->rows);
    weft_say(cli, "characters %18s%8s%8s%8s%8s%8s%10s\n", "min", "50 %", "90 %", "95 %", "99 %", "max", "mean");
    lengths_line(cli, "prompt", &c->prompt);
    lengths_line(cli, "answer", &c->answer);
    lengths_line(cli, "row", &c->row);
    weft_data_names(cli, "asked by", c->speakers, c->n_speakers, 10);
    weft_data_names(cli, "flags", c->flags, c->n_flags, 12);
    weft_data_names(cli, "look like control tokens", c->lookalikes, c->n_lookalikes, 8);
    examples(cli, "most repeated:", c->duplicates, c->n_duplicates);
    examples(cli, "most answered in different ways:", c->conflicts, c->n_conflicts);
    if (c->rows) show_findings(cli, s, f, c->rows);
    weft_data_drops(cli, r, (size_t)s->places);
    weft_say(cli, "verdict: %s\n", weft_tr(cli->lang, verdict_word(c->verdict)));
    for (size_t i = 0; i < c->n_reasons; i++) {
        weft_data_line(cli, "  - ", c->reasons[i], 300);
        weft_say(cli, "      fix: %s\n", c->fixes[i].s);
    }
}

static void json_lengths(struct weft_json_out *o, const char *key, const struct weft_lengths *l)
{
    weft_json_out_key(o, key);
    weft_json_out_object(o);
    weft_data_key_uint(o, "n", l->n);
    weft_data_key_uint(o, "min", l->min);
    weft_data_key_uint(o, "p50", l->p50);
    weft_data_key_uint(o, "p90", l->p90);
    weft_data_key_uint(o, "p95", l->p95);
    weft_data_key_uint(o, "p99", l->p99);
    weft_data_key_uint(o, "max", l->max);
    weft_json_out_key(o, "mean");
    weft_json_out_double(o, l->mean);
    weft_json_out_object_end(o);
}

static void json_items(struct weft_json_out *o, const char *key, const struct weft_check_item *items, size_t n)
{
    weft_data_json_items(o, key, "text", "count", true, items, n);
}

static enum weft_status show_json(struct weft_cli *cli, const struct settings *s, const struct weft_check *c,
                                  const struct weft_findings *f, const struct weft_report *r, const char *hash)
{
    const struct {
        const char *key;
        uint64_t n;
    } figures[] = { { "rows", c->rows },
                    { "unique_rows", c->unique_rows },
                    { "duplicate_rows", c->duplicate_rows },
                    { "conflicting_prompts", c->conflicting_prompts },
                    { "conflicting_rows", c->conflicting_rows },
                    { "turns", c->turns },
                    { "answers", c->answers },
                    { "empty_answers", c->empty_answers },
                    { "short_answers", c->short_answers },
                    { "copied_answers", c->copied_answers },
                    { "long_rows", c->long_rows },
                    { "history_rows", c->history_rows },
                    { "system_rows", c->system_rows },
                    { "tool_rows", c->tool_rows },
                    { "preference_rows", c->preference_rows },
                    { "kto_rows", c->kto_rows },
                    { "text_rows", c->text_rows },
                    { "with_origin", c->with_origin },
                    { "flagged", c->flagged },
                    { "units_in", r->units_in },
                    { "blank", r->blank } };
    static const char *const verdicts[] = { "good", "look", "bad" };
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    for (size_t i = 0; i < WEFT_COUNT(figures); i++) weft_data_key_uint(&o, figures[i].key, figures[i].n);
    json_lengths(&o, "prompt_chars", &c->prompt);
    json_lengths(&o, "answer_chars", &c->answer);
    json_lengths(&o, "row_chars", &c->row);
    json_items(&o, "prompt_speakers", c->speakers, c->n_speakers);
    json_items(&o, "systems", c->systems, c->n_systems);
    json_items(&o, "flags", c->flags, c->n_flags);
    json_items(&o, "lookalikes", c->lookalikes, c->n_lookalikes);
    json_items(&o, "duplicates", c->duplicates, c->n_duplicates);
    json_items(&o, "conflicts", c->conflicts, c->n_conflicts);
    weft_data_json_drops(&o, r);
    weft_data_key_str(&o, "hash", weft_str_c(hash));
    weft_data_key_str(&o, "verdict", weft_str_c(verdicts[c->verdict]));
    weft_json_out_key(&o, "reasons");
    weft_json_out_array(&o);
    for (size_t i = 0; i < c->n_reasons; i++) weft_json_out_str(&o, c->reasons[i]);
    weft_json_out_array_end(&o);
    weft_json_out_key(&o, "fixes");
    weft_json_out_array(&o);
    for (size_t i = 0; i < c->n_reasons; i++) weft_json_out_str(&o, c->fixes[i]);
    weft_json_out_array_end(&o);
    json_findings(&o, s, f);
    weft_json_out_object_end(&o);
    return weft_data_print_json(cli, &b);
}

static enum weft_status check_files(struct weft_cli *cli, const struct settings *s, const struct weft_str_list *files,
                                    struct weft_file_check *c)
{
    static const char *const layouts[] = { "", "JSON lines", "JSON array", "CSV", "TSV" };
    struct weft_report report = { 0 };
    struct weft_check check;
    struct weft_findings findings = { 0 };
    char hash[WEFT_SHA256_HEX];
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < files->n; i++) {
        struct weft_rows_settings how;
        struct weft_rows_shape shape;
        const char *path;
        st = weft_data_find(cli, &s->in, files->items[i], &path, &how);
        if (!st) st = weft_file_check_add(c, path, &how, &report, &shape, &cli->err);
        if (st) return st;
        weft_data_shape_note(cli, path, &shape);
        if (!cli->json && !cli->quiet)
            weft_say(cli, "%s: %s, %s\n", path, weft_data_format_name(shape.format),
                     shape.single ? "one object" : layouts[shape.layout]);
    }
    st = weft_file_check_finish(c, &cli->arena, &check, hash, s->signs || s->pii ? &findings : NULL, &cli->err);
    if (st) return st;
    if (cli->json) st = show_json(cli, s, &check, &findings, &report, hash);
    else {
        show(cli, s, &check, &findings, &report);
        weft_say(cli, "dataset hash %s\n", hash);
    }
    return st ? st : weft_data_partial(cli, &report);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct weft_quality_settings quality;
    struct weft_file_check *c = NULL;
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_check, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one FILE: a dataset");
    s.check.short_answer_chars = s.quality.s.short_answer_chars;
    st = weft_data_quality_settings(cli, &s.quality, &quality);
    struct weft_file_check_settings how = {
        .check = s.check, .hash = true, .findings = s.signs || s.pii, .quality = &quality
    };
    if (!st) st = weft_file_check_new(&c, &how, &cli->err);
    if (!st) st = check_files(cli, &s, &files, c);
    weft_file_check_free(c);
    return st;
}

const struct weft_verb weft_verb_data_check = {
    .name = "check",
    .usage = "FILE... [--quality] [--pii]",
    .help = "figures, duplicates, conflicts and a verdict",
    .help_zh = "统计、重复、冲突与结论",
    .options = &table,
    .run = run,
};
