/* weft data prose FILE... --role R -o OUT: dialogue of a novel becomes rows in which R answers.  --speeches FILE
 * writes every speech with its speaker and how sure that is; without a role that is all there is to do. */
#include "base/file.h"
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/prose_options.h"

#include <inttypes.h>

struct settings {
    struct weft_cli_common common;
    struct weft_prose_settings prose;
    struct weft_text_settings text;
    const char *output, *speeches;
    int format, layout;
    bool no_origin, doubtful;
    int64_t places;
};

static const struct weft_option rows[] = {
    WEFT_DATA_OUTPUT_ROW(struct settings, output),
    { .key = "speeches",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, speeches),
      .group = "Output",
      .help = "write every speech as a JSON line: speaker, confidence, rule, candidates",
      .help_zh = "把每句话写成一行 JSON：说话人、把握、规则、候选人" },
    { .key = "doubtful",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, doubtful),
      .group = "Output",
      .help = "of the speeches, only those that are unknown or less sure than 0.9",
      .help_zh = "只写说话人未知或把握低于 0.9 的" },
    { .key = "format",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, format),
      .def = "auto",
      .choices = WEFT_FORMAT_CHOICES,
      .group = "Output",
      .help = "shape of the rows (auto: alpaca)",
      .help_zh = "行的格式（auto 为 alpaca）" },
    WEFT_DATA_LAYOUT_ROW(struct settings, layout),
    WEFT_DATA_NO_ORIGIN_ROW(struct settings, no_origin),
    WEFT_DATA_PLACES_ROW(struct settings, places, "speeches left out to show",
                         "显示多少处被舍去的话"),
    WEFT_PROSE_OPTION_ROWS(struct settings, prose.),
    WEFT_TEXT_OPTION_ROWS(struct settings, text),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

struct result {
    struct weft_data_texts texts;
    struct weft_prose prose;
    struct weft_rows rows;
    struct weft_report report;
    struct weft_prose_rows_funnel funnel;
};

static const char *const rule_labels[WEFT_PROSE_RULES] = {
    [WEFT_PROSE_UNKNOWN] = "  speaker unknown",
    [WEFT_PROSE_BEFORE] = "  by a cue before it",
    [WEFT_PROSE_AFTER] = "  by a cue behind it",
    [WEFT_PROSE_BETWEEN] = "  by a cue between its parts",
    [WEFT_PROSE_EARLIER] = "  by a subject further back",
    [WEFT_PROSE_PRONOUN] = "  by a pronoun",
    [WEFT_PROSE_ACTION] = "  by what is done beside it",
    [WEFT_PROSE_ALTERNATION] = "  by taking turns",
    [WEFT_PROSE_CHOSEN] = "  chosen",
};

static void show_names(struct weft_cli *cli, const char *label, const struct weft_prose_name *names, size_t n)
{
    struct weft_check_item *items = WEFT_NEWS(&cli->arena, struct weft_check_item, n + 1);
    size_t k = 0;
    for (size_t i = 0; items && i < n; i++)
        if (names[i].count) items[k++] = (struct weft_check_item){ names[i].name, names[i].count, 0 };
    if (items) weft_data_names(cli, label, items, k, 10);
}

static void show_prose(struct weft_cli *cli, const struct weft_prose *p)
{
    const struct weft_prose_funnel *f = &p->funnel;
    uint64_t speeches = f->kinds[WEFT_PROSE_SPEECH];
    weft_data_figure(cli, "quotes", f->quotes, 0);
    weft_data_figure(cli, "quotes repaired", f->repaired, f->quotes);
    weft_data_figure(cli, "quote marks without a partner", f->stray, 0);
    weft_data_figure(cli, "words and names, no speech", f->kinds[WEFT_PROSE_WORDS], f->quotes);
    weft_data_figure(cli, "something written", f->kinds[WEFT_PROSE_WRITING], f->quotes);
    weft_data_figure(cli, "thoughts", f->kinds[WEFT_PROSE_THOUGHT], f->quotes);
    weft_data_figure(cli, "parts of the speech before", f->continued, f->quotes);
    weft_data_figure(cli, "speeches", speeches, f->quotes);
    for (int r = WEFT_PROSE_BEFORE; r < WEFT_PROSE_RULES; r++)
        if (f->by_rule[r]) weft_data_figure(cli, rule_labels[r], f->by_rule[r], speeches);
    weft_data_figure(cli, rule_labels[WEFT_PROSE_UNKNOWN], f->by_rule[WEFT_PROSE_UNKNOWN], speeches);
    show_names(cli, "speakers", p->roster, p->n_roster);
}

static void show_rows(struct weft_cli *cli, const struct result *r, size_t n)
{
    for (size_t i = 0; i < r->rows.n && i < n; i++) {
        const struct weft_row *row = &r->rows.items[i];
        weft_say(cli, "\n%.*s  %.*s:%" PRIu64 "\n", (int)row->origin.id.len, row->origin.id.s,
                 (int)row->origin.file.len, row->origin.file.s, row->origin.line);
        for (size_t t = 0; t < row->n_turns && t < 6; t++) {
            struct weft_buf b = { 0 };
            struct weft_str name = t & 1 ? row->origin.speaker : row->origin.prompt_speaker;
            weft_buf_printf(&b, "  %.*s  ", (int)name.len, name.s);
            if (b.s) weft_data_line(cli, b.s, row->turns[t].text, 60);
            weft_buf_clear(&b);
        }
    }
}

static void show(struct weft_cli *cli, const struct settings *s, const struct result *r)
{
    weft_data_texts_show(cli, &r->texts);
    show_prose(cli, &r->prose);
    if (!s->prose.role) return;
    weft_say(cli, "%" PRIu64 " rows with %" PRIu64 " answers, from %" PRIu64 " turns of %s\n", r->funnel.rows,
             r->funnel.answers, r->funnel.role_turns, s->prose.role);
    weft_data_figure(cli, "speeches in rows", r->funnel.used, r->funnel.speeches);
    weft_data_figure(cli, "speeches not beside the role", r->funnel.other, r->funnel.speeches);
    weft_data_figure(cli, "left out", weft_report_dropped(&r->report), r->funnel.speeches);
    show_names(cli, "asked by", r->funnel.speakers, r->funnel.n_speakers);
    weft_data_drops(cli, &r->report, (size_t)s->places);
}

static void json_names(struct weft_json_out *o, const char *key, const struct weft_prose_name *names,
                       size_t n)
{
    weft_json_out_key(o, key);
    weft_json_out_array(o);
    for (size_t i = 0; i < n; i++) {
        weft_json_out_object(o);
        weft_data_key_str(o, "name", names[i].name);
        if (!weft_str_eq(names[i].name, names[i].speaker)) weft_data_key_str(o, "is", names[i].speaker);
        weft_data_key_uint(o, "count", names[i].count);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
}

static enum weft_status show_json(struct weft_cli *cli, const struct settings *s, const struct result *r)
{
    const struct weft_prose_funnel *f = &r->prose.funnel;
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_texts_members(&o, &r->texts);
    weft_json_out_key(&o, "funnel");
    weft_json_out_object(&o);
    weft_data_key_uint(&o, "quotes", f->quotes);
    weft_data_key_uint(&o, "continued", f->continued);
    for (int k = 0; k < WEFT_PROSE_KINDS; k++)
        weft_data_key_uint(&o, weft_prose_kind_name((enum weft_prose_kind)k), f->kinds[k]);
    weft_data_key_uint(&o, "repaired", f->repaired);
    weft_data_key_uint(&o, "stray", f->stray);
    weft_json_out_object_end(&o);
    weft_json_out_key(&o, "by_rule");
    weft_json_out_object(&o);
    for (int k = 0; k < WEFT_PROSE_RULES; k++)
        weft_data_key_uint(&o, weft_prose_rule_name((enum weft_prose_rule)k), f->by_rule[k]);
    weft_json_out_object_end(&o);
    weft_data_key_uint(&o, "scenes", r->prose.n_scenes);
    json_names(&o, "speakers", r->prose.roster, r->prose.n_roster);
    if (s->prose.role) {
        weft_data_key_str(&o, "role", weft_str_c(s->prose.role));
        weft_data_key_uint(&o, "rows", r->funnel.rows);
        weft_data_key_uint(&o, "answers", r->funnel.answers);
        weft_data_key_uint(&o, "role_turns", r->funnel.role_turns);
        weft_data_key_uint(&o, "speeches", r->funnel.speeches);
        weft_data_key_uint(&o, "used", r->funnel.used);
        weft_data_key_uint(&o, "other", r->funnel.other);
        weft_data_json_drops(&o, &r->report);
        json_names(&o, "prompt_speakers", r->funnel.speakers, r->funnel.n_speakers);
    }
    weft_data_key_str(&o, "output", weft_str_c(s->output));
    weft_json_out_object_end(&o);
    return weft_data_print_json(cli, &b);
}

static enum weft_status write_speeches(struct weft_cli *cli, const struct settings *s,
                                       const struct weft_prose *p)
{
    struct weft_out out = { 0 };
    struct weft_buf b = { 0 };
    enum weft_status st = weft_out_open(&out, s->speeches, &cli->err);
    for (size_t i = 0; i < p->n_speeches && !st; i++) {
        struct weft_json_out o;
        if (s->doubtful && !p->speeches[i].n_candidates) continue;
        weft_buf_reset(&b);
        weft_json_out_init(&o, &b);
        weft_prose_speech_json(&o, p, i);
        weft_buf_char(&b, '\n');
        st = weft_buf_check(&b, "a speech", &cli->err);
        if (!st) weft_out_str(&out, weft_buf_view(&b));
    }
    if (!st) st = weft_out_commit(&out, &cli->err);
    weft_out_close(&out);
    weft_buf_clear(&b);
    return st;
}

static enum weft_status check_words(struct weft_cli *cli, const struct settings *s,
                                    const struct weft_str_list *files)
{
    bool rows_out = s->output && strcmp(s->output, "-") == 0,
         speeches_out = s->speeches && strcmp(s->speeches, "-") == 0;
    if (!files->n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one FILE: a novel");
    if (rows_out + speeches_out + cli->json > 1)
        return weft_fail(&cli->err, WEFT_EARG,
                         "only one of -o -, --speeches - and --json can have standard output");
    if (s->output && !s->prose.role)
        return weft_fail(&cli->err, WEFT_EARG, "no role given: say who answers, for example --role 甄嬛");
    return WEFT_OK;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct result r = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_prose, &s, &s.common, &files, &done);
    if (st || done) return st;
    s.prose.threads = s.text.threads = s.common.threads;
    st = check_words(cli, &s, &files);
    if (!st) st = weft_data_texts(cli, &files, &s.text, &r.texts);
    if (!st)
        st = weft_prose_parse(&cli->arena, r.texts.items, r.texts.n, &s.prose, &cli->progress, &r.prose,
                              &cli->err);
    weft_cli_progress_end(cli);
    if (!st && s.speeches) st = write_speeches(cli, &s, &r.prose);
    if (!st && s.prose.role)
        st = weft_prose_rows(&cli->arena, &r.prose, &s.prose, &r.rows, &r.report, &r.funnel, &cli->err);
    if (!st && s.output) {
        struct weft_rows_writer_settings w = { .format = s.format,
                                               .layout = s.layout,
                                               .no_origin = s.no_origin,
                                               .threads = s.common.threads };
        st = weft_rows_write(s.output, &w, &r.rows, &cli->err);
    }
    if (st) return st;
    bool to_stdout = (s.output && strcmp(s.output, "-") == 0) || (s.speeches && strcmp(s.speeches, "-") == 0);
    if (cli->json) st = show_json(cli, &s, &r);
    else if (!to_stdout && !cli->quiet) {
        show(cli, &s, &r);
        if (s.speeches) weft_say(cli, "%s: %zu speeches written\n", s.speeches, r.prose.n_speeches);
        if (s.output) weft_say(cli, "%s: %" PRIu64 " rows written\n", s.output, r.funnel.rows);
        else if (s.prose.role) {
            show_rows(cli, &r, 3);
            weft_say(cli, "\nnothing written; -o FILE writes these rows\n");
        }
    }
    return st ? st : weft_data_texts_verdict(cli, &r.texts);
}

const struct weft_verb weft_verb_data_prose = {
    .name = "prose",
    .usage = "FILE... [--role NAME] [-o OUT.jsonl] [--speeches FILE]",
    .help = "the dialogue of a novel, with speakers found by rule, becomes rows in which one role answers",
    .help_zh = "按规则找出小说对话的说话人，变成由某个角色回答的数据行",
    .options = &table,
    .run = run,
};
