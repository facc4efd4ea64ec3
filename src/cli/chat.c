/* weft chat: a conversation in the terminal.  Lines from a pipe are one turn each, so that it can be scripted. */
#include "cli/session.h"
#include "cli/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct settings {
    struct weft_cli_common common;
    struct weft_sampling sampling;
    struct weft_session_settings session;
    const char *system;
};

static const struct weft_option rows[] = {
    { .key = "system", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, system), .group = "Model",
      .help = "system message", .help_zh = "系统提示" },
    WEFT_SESSION_ROWS(struct settings, session),
    WEFT_SAMPLING_ROWS(struct settings, sampling),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

enum { MAX_TURNS = 10000 };

struct talk {
    struct weft_cli *cli;
    struct weft_session session;
    struct settings set;
    struct weft_turn *turns;        /* [MAX_TURNS] */
    size_t n_turns;
    bool terminal;
};

static bool show(void *ctx, struct weft_str text)
{
    struct talk *t = ctx;
    if (!t->cli->json) {
        weft_put(t->cli, text);
        fflush(stdout);
    }
    return !*t->cli->progress.cancel;
}

static void print_json(struct talk *t, struct weft_str user, const struct weft_generated *g)
{
    struct weft_buf buf = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &buf);
    weft_json_out_object(&o);
    weft_json_out_key(&o, "user");
    weft_json_out_str(&o, user);
    weft_json_out_key(&o, "assistant");
    weft_json_out_str(&o, weft_buf_view(&g->text));
    weft_json_out_key(&o, "prompt_tokens");
    weft_json_out_uint(&o, g->prompt_tokens);
    weft_json_out_key(&o, "completion_tokens");
    weft_json_out_uint(&o, g->ids.n);
    weft_json_out_object_end(&o);
    weft_buf_char(&buf, '\n');
    weft_put(t->cli, weft_buf_view(&buf));
    fflush(stdout);
    weft_buf_clear(&buf);
}

static enum weft_status turn(struct talk *t, struct weft_str line)
{
    struct weft_cli *cli = t->cli;
    struct weft_generated g = { 0 };
    if (t->n_turns + 2 > MAX_TURNS)
        return weft_fail(&cli->err, WEFT_ELIMIT, "a conversation holds at most %d turns", MAX_TURNS);
    struct weft_str kept = weft_str_dup(&cli->arena, line);
    if (!kept.s) return weft_fail_nomem(&cli->err, line.len, "the conversation");
    t->turns[t->n_turns] = (struct weft_turn){ WEFT_ROLE_USER, kept };
    struct weft_row row = {
        .system = weft_str_c(t->set.system), .turns = t->turns, .n_turns = t->n_turns + 1, .kto_tag = -1
    };
    struct weft_sampling sampling = t->set.sampling;
    /* each turn draws its own numbers; one seed still gives one conversation */
    sampling.seed += (int64_t)t->n_turns;
    enum weft_status st = weft_session_answer(&t->session, &row, &sampling, show, t, &g);
    if (!st) {
        struct weft_str answer = weft_str_dup(&cli->arena, weft_buf_view(&g.text));
        t->turns[t->n_turns + 1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT, answer };
        t->n_turns += 2;
        if (cli->json) print_json(t, kept, &g);
        else weft_put(cli, WEFT_STR("\n"));
        if (g.finish == WEFT_FINISH_CANCEL && *cli->progress.cancel) st = WEFT_ECANCEL;
    }
    weft_buf_clear(&g.text);
    weft_ids_clear(&g.ids);
    return st;
}

/* True when the line was a command; *quit ends the conversation. */
static bool command(struct talk *t, struct weft_str line, bool *quit)
{
    if (weft_str_is(line, "/quit") || weft_str_is(line, "/exit")) *quit = true;
    else if (weft_str_is(line, "/new")) {
        t->n_turns = 0;
        weft_note(t->cli, "(a new conversation)\n");
    } else if (weft_str_is(line, "/help")) {
        weft_note(t->cli, "/new starts anew, /quit ends, everything else is said to the model\n");
    } else {
        return false;
    }
    return true;
}

static enum weft_status talk(struct talk *t)
{
    char *line = NULL;
    size_t cap = 0;
    enum weft_status st = WEFT_OK;
    bool quit = false;
    if (t->terminal) weft_note(t->cli, "Say something. /new starts anew, /quit ends.\n");
    while (!st && !quit) {
        if (t->terminal) {
            fputs("> ", stdout);
            fflush(stdout);
        }
        errno = 0;
        ssize_t n = getline(&line, &cap, stdin);
        if (n < 0) break;
        struct weft_str said = weft_str_trim_ascii((struct weft_str){ line, (size_t)n });
        if (!said.len || command(t, said, &quit)) continue;
        size_t bad = weft_utf8_check(said);
        if (bad < said.len) {
            st = weft_fail_rule(&t->cli->err, WEFT_EINPUT, "TX1",
                                "standard input: byte %zu of the line is not UTF-8", bad);
            break;
        }
        st = turn(t, said);
        if (st == WEFT_ELIMIT && t->terminal) {          /* say it and go on: the user can start anew */
            weft_note(t->cli, "%s\n", t->cli->err.msg);
            weft_err_clear(&t->cli->err);
            st = WEFT_OK;
        }
    }
    free(line);
    if (t->terminal) fputc('\n', stdout);
    return st;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct talk t = { .cli = cli, .terminal = weft_cli_is_terminal(STDIN_FILENO) };
    struct weft_str_list words = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_chat, &t.set, &t.set.common, &words, &done);
    if (st || done) return st;
    if (words.n != 1)
        return weft_fail(&cli->err, WEFT_EARG, "expected one MODEL (a folder, or tiny); found %zu words",
                         words.n);
    t.set.session.model = words.items[0];
    t.turns = WEFT_NEWS(&cli->arena, struct weft_turn, MAX_TURNS);
    if (!t.turns) return weft_fail_nomem(&cli->err, MAX_TURNS * sizeof *t.turns, "the conversation");
    st = weft_cli_compute(cli, &t.set.common);
    if (!st) st = weft_session_open(&t.session, cli, &t.set.session);
    if (!st) st = talk(&t);
    weft_session_close(&t.session);
    return st;
}

const struct weft_verb weft_verb_chat = {
    .name = "chat", .usage = "MODEL [--adapter DIR] [--system TEXT]", .options = &table, .run = run,
    .help = "talk to a model in the terminal", .help_zh = "在终端里与模型对话",
};
