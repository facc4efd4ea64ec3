/* weft data stats FILE...: a dataset in figures, a histogram, and hints for the settings of a training. */
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/canon.h"
#include "dataset/stats.h"
#include "model/gguf.h"
#include "tokens/collate.h"

#include <inttypes.h>
#include <stdio.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    const char *model;
    int64_t places;
};

static const struct weft_option rows_table[] = {
    { .key = "model",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, model),
      .group = "Tokens",
      .help = "count tokens as a training of this model would: a folder, or tiny",
      .help_zh = "按训练此模型时的方式统计 token：模型目录，或 tiny" },
    WEFT_DATA_PLACES_ROW(struct settings, places, "rows left out to show",
                         "显示多少处被舍去的行"),
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_table, WEFT_COUNT(rows_table) };

/* ---- tokens ---- */

struct counter {
    struct weft_tokenizer *tokenizer;
    struct weft_encoder *encoder;
    const struct weft_chat_template *chat;
    struct weft_arena scratch;
};

static enum weft_status open_counter(struct weft_cli *cli, const char *model, struct counter *c)
{
    const char *dir;
    enum weft_status st = weft_cli_model_path(cli, model, &dir);
    if (!st) st = weft_model_tokenizer(&c->tokenizer, dir, &cli->err);
    if (!st) st = weft_encoder_new(&c->encoder, c->tokenizer, &cli->err);
    if (st) return st;
    struct weft_str source = weft_tokenizer_chat_template(c->tokenizer);
    if (!source.s) source = weft_str_c(weft_chat_chatml);
    return weft_chat_parse(&cli->arena, "chat_template", source, &c->chat, &cli->err);
}

static void close_counter(struct counter *c)
{
    weft_encoder_free(c->encoder);
    weft_tokenizer_free(c->tokenizer);
    weft_arena_clear(&c->scratch);
}

/* The row as it would be trained, uncut; of a preference row the chosen answer. */
static enum weft_status count_row(void *ctx, const struct weft_row *row, uint64_t *tokens, bool *counted,
                                  struct weft_err *err)
{
    struct counter *c = ctx;
    struct weft_arena_mark mark = weft_arena_mark(&c->scratch);
    struct weft_collate_settings s = { .stage = WEFT_STAGE_SFT,
                                       .cutoff_len = (int64_t)1 << 30,
                                       .clean = true };
    struct weft_row whole = *row;
    struct weft_example example = { 0 };
    struct weft_err refused = { .lang = err->lang };
    if (row->chosen.text.s) {
        whole.turns = WEFT_NEWS(&c->scratch, struct weft_turn, row->n_turns + 1);
        if (!whole.turns) return weft_fail_nomem(err, row->n_turns * sizeof *whole.turns, "a row");
        if (row->n_turns) memcpy(whole.turns, row->turns, row->n_turns * sizeof *whole.turns);
        whole.turns[whole.n_turns++] = row->chosen;
        whole.chosen = whole.rejected = (struct weft_turn){ 0 };
    }
    enum weft_status st =
        weft_collate_row(&c->scratch, c->encoder, c->tokenizer, c->chat, &whole, &s, &example, &refused);
    weft_arena_release(&c->scratch, mark);
    *tokens = example.full_len;
    *counted = st == WEFT_OK;
    return st == WEFT_OK || st == WEFT_EINPUT ? WEFT_OK : weft_fail(err, st, "%s", refused.msg);
}

/* ---- for people ---- */

static void lengths_line(struct weft_cli *cli, const char *label, const struct weft_lengths *l)
{
    char text[160];
    if (!l->n) return;
    weft_put(cli, WEFT_STR("  "));
    weft_data_cell(cli, weft_tr(cli->lang, label), 20);
    snprintf(text, sizeof text,
             "%8" PRIu64 "%8" PRIu64 "%8" PRIu64 "%8" PRIu64 "%8" PRIu64 "%10.1f%12" PRIu64 "\n", l->min,
             l->p5, l->p50, l->p95, l->max, l->mean, l->total);
    weft_put(cli, weft_str_c(text));
}

/* One bar a bin, from the first to the last that holds something; the longest bar fills the line. */
static void histogram(struct weft_cli *cli, const char *heading, const struct weft_lengths *l)
{
    enum { BAR = 48 };
    uint64_t most = 0;
    size_t first = WEFT_LENGTH_BINS, last = 0;
    if (l->n < 2) return;
    for (size_t i = 0; i < WEFT_LENGTH_BINS; i++) {
        if (!l->bins[i]) continue;
        if (first == WEFT_LENGTH_BINS) first = i;
        last = i;
        most = l->bins[i] > most ? l->bins[i] : most;
    }
    weft_say(cli, "%s\n", weft_tr(cli->lang, heading));
    for (size_t i = first; i <= last; i++) {
        char range[32], line[160];
        size_t n = (size_t)((l->bins[i] * BAR + most - 1) / most);
        uint64_t from = weft_length_bin(i), to = weft_length_bin(i + 1) - 1;
        if (i + 1 == WEFT_LENGTH_BINS) snprintf(range, sizeof range, "%" PRIu64 "+", from);
        else if (from == to) snprintf(range, sizeof range, "%" PRIu64, from);
        else snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, from, to);
        snprintf(line, sizeof line, "  %12s %8" PRIu64 "  %.*s\n", range, l->bins[i], (int)n,
                 "################################################");
        weft_put(cli, weft_str_c(line));
    }
}

static void letters(struct weft_cli *cli, const struct weft_stats *s)
{
    uint64_t all = 0;
    struct weft_buf b = { 0 };
    for (int k = 0; k < WEFT_N_LETTERS; k++) all += s->letters[k];
    weft_buf_printf(&b, "  %s:", weft_tr(cli->lang, "characters by script"));
    for (int k = 0; k < WEFT_N_LETTERS; k++)
        if (s->letters[k])
            weft_buf_printf(&b, " %s %.1f %%", weft_tr(cli->lang, weft_letter_name((enum weft_letter_kind)k)),
                            100.0 * (double)s->letters[k] / (double)all);
    weft_buf_printf(&b, "\n  %s:", weft_tr(cli->lang, "rows mostly in"));
    for (int k = 0; k < WEFT_N_LETTERS; k++)
        if (s->mostly[k])
            weft_buf_printf(&b, " %s %" PRIu64,
                            weft_tr(cli->lang, weft_letter_name((enum weft_letter_kind)k)), s->mostly[k]);
    weft_buf_char(&b, '\n');
    weft_put(cli, weft_buf_view(&b));
    weft_buf_clear(&b);
}

static void hints(struct weft_cli *cli, const struct settings *set, const struct weft_stats *s)
{
    weft_say(cli, "hints:\n");
    weft_say(cli,
             "  num_train_epochs %d: %d to %d are usual for %" PRIu64 " rows (fewer rows, more epochs)\n",
             s->epochs, s->epochs_from, s->epochs_to, s->check.rows);
    if (!s->tokens.n) {
        if (!set->model) weft_say(cli, "  cutoff_len: --model MODEL counts tokens and proposes one\n");
        return;
    }
    for (int i = 0; i < WEFT_N_CUTOFFS; i++)
        if (weft_cutoffs[i] == s->cutoff_len && s->longer[i] * 100 < s->tokens.n)
            weft_say(cli,
                     "  cutoff_len %" PRIu64 ": the smallest that cuts less than 1 %% of the rows (%" PRIu64
                     " of %" PRIu64 ")\n",
                     s->cutoff_len, s->longer[i], s->tokens.n);
        else if (weft_cutoffs[i] == s->cutoff_len)
            weft_say(cli,
                     "  cutoff_len %" PRIu64 " still cuts %" PRIu64 " of %" PRIu64
                     " rows: make them shorter, or train longer ones\n",
                     s->cutoff_len, s->longer[i], s->tokens.n);
}

static void show(struct weft_cli *cli, const struct settings *set, const struct weft_stats *s,
                 const struct weft_report *r)
{
    const struct weft_check *c = &s->check;
    weft_data_figure(cli, "rows", c->rows, 0);
    weft_data_figure(cli, "different rows", c->unique_rows, c->rows);
    weft_data_figure(cli, "duplicates", c->duplicate_rows, c->rows);
    weft_data_figure(cli, "prompts with several answers", c->conflicting_prompts, 0);
    weft_data_figure(cli, "rows with those prompts", c->conflicting_rows, c->rows);
    weft_data_figure(cli, "turns", c->turns, 0);
    weft_data_figure(cli, "answers", c->answers, 0);
    if (c->history_rows) weft_data_figure(cli, "rows with history", c->history_rows, c->rows);
    if (c->system_rows) weft_data_figure(cli, "rows with a system text", c->system_rows, c->rows);
    if (c->preference_rows) weft_data_figure(cli, "preference rows", c->preference_rows, c->rows);
    if (c->kto_rows) weft_data_figure(cli, "rows with a kto_tag", c->kto_rows, c->rows);
    if (c->text_rows) weft_data_figure(cli, "text rows", c->text_rows, c->rows);
    weft_say(cli, "characters %18s%8s%8s%8s%8s%10s%12s\n", "min", "5 %", "50 %", "95 %", "max", "mean",
             "total");
    lengths_line(cli, "prompt", &c->prompt);
    lengths_line(cli, "answer", &c->answer);
    lengths_line(cli, "row", &c->row);
    if (s->tokens.n) {
        weft_say(cli, "tokens\n");
        lengths_line(cli, "row", &s->tokens);
        for (int i = 0; i < WEFT_N_CUTOFFS; i++) {
            char label[64];
            snprintf(label, sizeof label, "%s %" PRIu64, weft_tr(cli->lang, "rows longer than"),
                     weft_cutoffs[i]);
            weft_data_figure(cli, label, s->longer[i], s->tokens.n);
        }
        if (s->not_counted) weft_data_figure(cli, "rows that the template refuses", s->not_counted, c->rows);
    }
    if (s->tokens.n) histogram(cli, "rows by tokens:", &s->tokens);
    else if (c->answer.n) histogram(cli, "answers by characters:", &c->answer);
    else histogram(cli, "rows by characters:", &c->row);
    letters(cli, s);
    weft_data_names(cli, "answered by", s->speakers, s->n_speakers, 10);
    weft_data_names(cli, "asked by", c->speakers, c->n_speakers, 10);
    weft_data_names(cli, "made by", s->vias, s->n_vias, 10);
    weft_data_names(cli, "flags", c->flags, c->n_flags, 12);
    weft_data_drops(cli, r, (size_t)set->places);
    hints(cli, set, s);
}

/* ---- JSON ---- */

static void json_lengths(struct weft_json_out *o, const char *key, const struct weft_lengths *l)
{
    const struct {
        const char *key;
        uint64_t n;
    } members[] = { { "n", l->n },     { "total", l->total }, { "min", l->min },
                    { "p5", l->p5 },   { "p50", l->p50 },     { "p90", l->p90 },
                    { "p95", l->p95 }, { "p99", l->p99 },     { "max", l->max } };
    weft_json_out_key(o, key);
    weft_json_out_object(o);
    for (size_t i = 0; i < WEFT_COUNT(members); i++) weft_data_key_uint(o, members[i].key, members[i].n);
    weft_json_out_key(o, "mean");
    weft_json_out_double(o, l->mean);
    weft_json_out_key(o, "bins");
    weft_json_out_array(o);
    for (size_t i = 0; i < WEFT_LENGTH_BINS; i++) {
        if (!l->bins[i]) continue;
        weft_json_out_object(o);
        weft_data_key_uint(o, "from", weft_length_bin(i));
        weft_data_key_uint(o, "n", l->bins[i]);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_json_out_object_end(o);
}

static void json_items(struct weft_json_out *o, const char *key, const struct weft_check_item *items, size_t n)
{
    weft_data_json_items(o, key, "name", "rows", false, items, n);
}

static void json_letters(struct weft_json_out *o, const char *key, const uint64_t *n)
{
    weft_json_out_key(o, key);
    weft_json_out_object(o);
    for (int k = 0; k < WEFT_N_LETTERS; k++)
        if (n[k]) weft_data_key_uint(o, weft_letter_name((enum weft_letter_kind)k), n[k]);
    weft_json_out_object_end(o);
}

static enum weft_status show_json(struct weft_cli *cli, const struct weft_stats *s,
                                  const struct weft_report *r, const char *hash)
{
    const struct weft_check *c = &s->check;
    const struct {
        const char *key;
        uint64_t n;
    } figures[] = { { "units_in", r->units_in },
                    { "blank", r->blank },
                    { "rows", c->rows },
                    { "unique_rows", c->unique_rows },
                    { "duplicate_rows", c->duplicate_rows },
                    { "conflicting_prompts", c->conflicting_prompts },
                    { "conflicting_rows", c->conflicting_rows },
                    { "turns", c->turns },
                    { "answers", c->answers },
                    { "history_rows", c->history_rows },
                    { "system_rows", c->system_rows },
                    { "preference_rows", c->preference_rows },
                    { "kto_rows", c->kto_rows },
                    { "text_rows", c->text_rows } };
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    for (size_t i = 0; i < WEFT_COUNT(figures); i++) weft_data_key_uint(&o, figures[i].key, figures[i].n);
    weft_data_key_str(&o, "hash", weft_str_c(hash));
    json_lengths(&o, "prompt_chars", &c->prompt);
    json_lengths(&o, "answer_chars", &c->answer);
    json_lengths(&o, "row_chars", &c->row);
    if (s->tokens.n) {
        json_lengths(&o, "row_tokens", &s->tokens);
        weft_json_out_key(&o, "longer_than");
        weft_json_out_object(&o);
        for (int i = 0; i < WEFT_N_CUTOFFS; i++) {
            char key[24];
            snprintf(key, sizeof key, "%" PRIu64, weft_cutoffs[i]);
            weft_data_key_uint(&o, key, s->longer[i]);
        }
        weft_json_out_object_end(&o);
        weft_data_key_uint(&o, "not_counted", s->not_counted);
        weft_data_key_uint(&o, "cutoff_len", s->cutoff_len);
    }
    json_letters(&o, "letters", s->letters);
    json_letters(&o, "rows_mostly", s->mostly);
    json_items(&o, "speakers", s->speakers, s->n_speakers);
    json_items(&o, "prompt_speakers", c->speakers, c->n_speakers);
    json_items(&o, "made_by", s->vias, s->n_vias);
    json_items(&o, "flags", c->flags, c->n_flags);
    weft_data_key_uint(&o, "num_train_epochs", (uint64_t)s->epochs);
    weft_json_out_key(&o, "epochs_range");
    weft_json_out_array(&o);
    weft_json_out_int(&o, s->epochs_from);
    weft_json_out_int(&o, s->epochs_to);
    weft_json_out_array_end(&o);
    weft_data_json_drops(&o, r);
    weft_json_out_object_end(&o);
    return weft_data_print_json(cli, &b);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    struct weft_stats stats;
    struct counter counter = { 0 };
    struct weft_row_tokens tokens = { count_row, &counter };
    char hash[WEFT_SHA256_HEX];
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_stats, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one FILE: a dataset");
    if (s.model) st = open_counter(cli, s.model, &counter);
    if (!st) st = weft_data_read(cli, &s.in, &files, &rows, &report);
    if (!st) st = weft_stats_rows(&cli->arena, &rows, s.model ? &tokens : NULL, &stats, &cli->err);
    if (!st) st = weft_dataset_hash_rows(&rows, hash, &cli->err);
    if (!st && cli->json) st = show_json(cli, &stats, &report, hash);
    else if (!st) {
        show(cli, &s, &stats, &report);
        weft_say(cli, "dataset hash %s\n", hash);
    }
    close_counter(&counter);
    return st ? st : weft_data_partial(cli, &report);
}

const struct weft_verb weft_verb_data_stats = {
    .name = "stats",
    .usage = "FILE... [--model MODEL]",
    .help = "lengths, speakers, scripts, a histogram, and hints for training",
    .help_zh = "长度、角色、文字种类、直方图，以及训练参数的建议",
    .options = &table,
    .run = run,
};
