/* weft generate: answers to one prompt or a file of prompts, from one model, or from base and tuned side by side. */
#include "cli/session.h"
#include "cli/verbs.h"

#include "base/file.h"

#include <stdio.h>

struct settings {
    struct weft_cli_common common;
    struct weft_sampling sampling;
    struct weft_session_settings session;
    const char *base, *prompt, *prompts, *system;
    bool compare, raw;
};

static const struct weft_option rows[] = {
    { .key = "prompt", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, prompt), .group = "Input",
      .help = "what to answer; \"-\" reads standard input", .help_zh = "要回答的内容；\"-\" 表示读标准输入", .short_flag = 'p' },
    { .key = "prompts", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, prompts), .group = "Input",
      .help = "a file with one prompt a line", .help_zh = "每行一个提示的文件" },
    { .key = "system", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, system), .group = "Input",
      .help = "system message", .help_zh = "系统提示" },
    { .key = "raw", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, raw), .group = "Input",
      .help = "continue the text as it is, without chat template", .help_zh = "不套对话模板，直接续写" },
    { .key = "compare", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, compare), .group = "Model",
      .help = "answer twice, without and with the adapter (or by --base and MODEL), side by side",
      .help_zh = "并排给出两个回答：不用与用适配器（或 --base 与 MODEL）" },
    { .key = "base", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, base), .group = "Model",
      .help = "with --compare: the model on the left, when MODEL was fully fine-tuned",
      .help_zh = "与 --compare 合用：左边的模型（MODEL 为全参数微调所得时）" },
    WEFT_SESSION_ROWS(struct settings, session),
    WEFT_SAMPLING_ROWS(struct settings, sampling),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

static enum weft_status answer(struct weft_session *s, const struct settings *set, struct weft_str prompt,
                               bool (*piece)(void *, struct weft_str), void *ctx, struct weft_generated *out)
{
    if (set->raw) return weft_session_continue(s, prompt, &set->sampling, piece, ctx, out);
    struct weft_turn turn = { WEFT_ROLE_USER, prompt };
    struct weft_row row = { .system = weft_str_c(set->system), .turns = &turn, .n_turns = 1, .kto_tag = -1 };
    return weft_session_answer(s, &row, &set->sampling, piece, ctx, out);
}

static const char *finish_name(enum weft_finish f)
{
    return f == WEFT_FINISH_STOP ? "stop" : f == WEFT_FINISH_LENGTH ? "length" : "cancelled";
}

static void print_json(struct weft_cli *cli, struct weft_str prompt, const struct weft_generated *base,
                       const struct weft_generated *tuned)
{
    struct weft_buf buf = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &buf);
    weft_json_out_object(&o);
    weft_json_out_key(&o, "prompt");
    weft_json_out_str(&o, prompt);
    if (base) {
        weft_json_out_key(&o, "base");
        weft_json_out_str(&o, weft_buf_view(&base->text));
    }
    weft_json_out_key(&o, base ? "tuned" : "text");
    weft_json_out_str(&o, weft_buf_view(&tuned->text));
    weft_json_out_key(&o, "finish_reason");
    weft_json_out_cstr(&o, finish_name(tuned->finish));
    weft_json_out_key(&o, "prompt_tokens");
    weft_json_out_uint(&o, tuned->prompt_tokens);
    weft_json_out_key(&o, "completion_tokens");
    weft_json_out_uint(&o, tuned->ids.n);
    weft_json_out_object_end(&o);
    weft_buf_char(&buf, '\n');
    weft_put(cli, weft_buf_view(&buf));
    weft_buf_clear(&buf);
}

static bool stream(void *ctx, struct weft_str text)
{
    struct weft_cli *cli = ctx;
    weft_put(cli, text);
    fflush(stdout);
    return !*cli->progress.cancel;
}

static bool quiet_piece(void *ctx, struct weft_str text)
{
    struct weft_cli *cli = ctx;
    return !*cli->progress.cancel;
}

static void clear(struct weft_generated *g)
{
    weft_buf_clear(&g->text);
    weft_ids_clear(&g->ids);
}

static enum weft_status one(struct weft_cli *cli, struct weft_session *tuned, struct weft_session *base,
                            const struct settings *set, struct weft_str prompt, size_t number,
                            size_t n_prompts)
{
    struct weft_generated left = { 0 }, right = { 0 };
    enum weft_status st = WEFT_OK;
    bool streamed = !set->compare && !cli->json && n_prompts == 1;
    if (set->compare) {
        if (base == tuned) weft_session_tuned(tuned, false);
        st = answer(base, set, prompt, quiet_piece, cli, &left);
        if (base == tuned) weft_session_tuned(tuned, true);
    }
    if (!st) st = answer(tuned, set, prompt, streamed ? stream : quiet_piece, cli, &right);
    if (!st && cli->json) print_json(cli, prompt, set->compare ? &left : NULL, &right);
    else if (!st && streamed) weft_put(cli, WEFT_STR("\n"));
    else if (!st) {
        if (n_prompts > 1 || set->compare) weft_say(cli, "%zu. %.*s\n", number, (int)prompt.len, prompt.s);
        if (set->compare)
            weft_print_columns(cli, "base", weft_buf_view(&left.text), "tuned", weft_buf_view(&right.text));
        else weft_say(cli, "%s\n", right.text.s ? right.text.s : "");
        weft_put(cli, WEFT_STR("\n"));
        fflush(stdout);
    }
    clear(&left);
    clear(&right);
    if (!st && *cli->progress.cancel) st = WEFT_ECANCEL;
    return st;
}

static enum weft_status all(struct weft_cli *cli, struct weft_session *tuned, struct weft_session *base,
                            const struct settings *set)
{
    struct weft_str text;
    enum weft_status st = WEFT_OK;
    if (set->prompt && strcmp(set->prompt, "-") != 0) return one(cli, tuned, base, set, weft_str_c(set->prompt), 1, 1);
    st = weft_file_read(&cli->arena, set->prompt ? "-" : set->prompts, 64u << 20, &text, &cli->err);
    if (st) return st;
    if (set->prompt) return one(cli, tuned, base, set, weft_str_trim_ascii(text), 1, 1);
    struct weft_lines lines = { .text = text };
    struct weft_str line;
    size_t n = 0, number = 0;
    while (weft_lines_next(&lines, &line)) n += weft_str_trim_ascii(line).len > 0;
    if (!n) return weft_fail(&cli->err, WEFT_EINPUT, "%s holds no prompt: expected one a line", set->prompts);
    lines = (struct weft_lines){ .text = text };
    while (!st && weft_lines_next(&lines, &line)) {
        line = weft_str_trim_ascii(line);
        if (line.len) st = one(cli, tuned, base, set, line, ++number, n);
    }
    return st;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings set;
    struct weft_str_list words = { 0 };
    struct weft_session tuned = { 0 }, base = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_generate, &set, &set.common, &words, &done);
    if (st || done) return st;
    if (words.n != 1)
        return weft_fail(&cli->err, WEFT_EARG, "expected one MODEL (a folder, or tiny); found %zu words",
                         words.n);
    if (!set.prompt == !set.prompts)
        return weft_fail(&cli->err, WEFT_EARG, "expected either --prompt TEXT or --prompts FILE");
    if (set.compare && !set.session.adapter && !set.base)
        return weft_fail(&cli->err, WEFT_EARG, "--compare needs --adapter DIR, or --base MODEL to compare with");
    set.session.model = words.items[0];
    st = weft_cli_compute(cli, &set.common);
    if (!st) st = weft_session_open(&tuned, cli, &set.session);
    if (!st && set.compare && set.base) {
        set.session.model = set.base;
        set.session.adapter = NULL;
        st = weft_session_open(&base, cli, &set.session);
    }
    if (!st) st = all(cli, &tuned, set.base ? &base : &tuned, &set);
    weft_session_close(&tuned);
    weft_session_close(&base);
    return st;
}

const struct weft_verb weft_verb_generate = {
    .name = "generate", .usage = "MODEL --prompt TEXT | --prompts FILE [--adapter DIR] [--compare]", .options = &table, .run = run,
    .help = "answer a prompt or a file of prompts; base and tuned side by side with --compare",
    .help_zh = "回答一个或一批提示；加 --compare 可并排比较微调前后的回答",
};
