/* weft help [VERB [SUBVERB]], and the manual page: made from the verb and option tables, so that they cannot be out of
 * date. */
#include "cli/verbs.h"

#include <stdio.h>

static void list_verbs(struct weft_cli *cli, const struct weft_verb *const *list, const char *prefix)
{
    for (; *list; list++)
        printf("  %s%-*s  %s\n", prefix, (int)(14 - strlen(prefix)), (*list)->name,
               cli->lang == WEFT_LANG_ZH ? (*list)->help_zh : (*list)->help);
}

/* "data " of data's verbs; "" of others. */
static const char *prefix_of(const struct weft_verb *verb, char out[64])
{
    out[0] = '\0';
    for (const struct weft_verb *const *v = weft_cli_verbs(); *v; v++)
        for (const struct weft_verb *const *sub = (*v)->verbs; sub && *sub; sub++)
            if (*sub == verb) snprintf(out, 64, "%s ", (*v)->name);
    return out;
}

void weft_cli_help(struct weft_cli *cli, const struct weft_verb *verb)
{
    char prefix[64];
    if (!verb) {
        weft_say(cli, "weft takes you from raw text to a language model of your own.\n\nusage: weft VERB ...\n\n");
        list_verbs(cli, weft_cli_verbs(), "");
        weft_say(cli, "\n\"weft help VERB\" explains a verb; \"weft --version\" prints the version.\n");
        return;
    }
    weft_say(cli, "usage: weft %s%s %s\n", prefix_of(verb, prefix), verb->name, verb->verbs ? "VERB ..." : verb->usage);
    printf("%s\n\n", cli->lang == WEFT_LANG_ZH ? verb->help_zh : verb->help);
    if (verb->verbs) {
        char under[64];
        snprintf(under, sizeof under, "%s ", verb->name);
        list_verbs(cli, verb->verbs, under);
        return;
    }
    struct weft_buf text = { 0 };
    if (verb->options) weft_options_help(*verb->options, cli->lang, &text);
    weft_put(cli, weft_buf_view(&text));
    weft_buf_clear(&text);
    if (verb->environment) weft_say(cli, "\nEnvironment:\n");
    for (const struct weft_variable *v = verb->environment; v && v->name; v++)
        printf("  %-26s  %s\n", v->name, cli->lang == WEFT_LANG_ZH ? v->help_zh : v->help);
}

/* ---- the manual page ---- */

/* A section for each verb that runs; those of a verb with sub-verbs under its name. */
static void man_verbs(struct weft_cli *cli, const struct weft_verb *const *list, const char *prefix,
                      struct weft_buf *b)
{
    for (; *list; list++) {
        const struct weft_verb *verb = *list;
        if (verb->verbs) {
            char under[64];
            snprintf(under, sizeof under, "%s%s ", prefix, verb->name);
            man_verbs(cli, verb->verbs, under, b);
            continue;
        }
        weft_buf_printf(b, ".SH \"WEFT %s%s\"\n.B weft %s%s\n", prefix, verb->name, prefix, verb->name);
        weft_man_text(b, weft_str_c(verb->usage));
        weft_buf_cstr(b, "\n.PP\n");
        weft_man_text(b, weft_str_c(cli->lang == WEFT_LANG_ZH ? verb->help_zh : verb->help));
        weft_buf_cstr(b, cli->lang == WEFT_LANG_ZH ? "。\n" : ".\n");
        if (verb->options) weft_options_man(*verb->options, cli->lang, b);
        for (const struct weft_variable *v = verb->environment; v && v->name; v++) {
            weft_buf_printf(b, ".TP\n.B %s\n", v->name);
            weft_man_text(b, weft_str_c(cli->lang == WEFT_LANG_ZH ? v->help_zh : v->help));
            weft_buf_char(b, '\n');
        }
    }
}

static void man_section(struct weft_cli *cli, struct weft_buf *b, const char *title, const char *text)
{
    weft_buf_printf(b, ".SH \"%s\"\n", weft_tr(cli->lang, title));
    weft_man_text(b, weft_str_c(weft_tr(cli->lang, text)));
    weft_buf_char(b, '\n');
}

static enum weft_status man_page(struct weft_cli *cli)
{
    struct weft_buf b = { 0 };
    weft_buf_printf(&b, ".\\\" made by: weft help --man\n.TH WEFT 1 \"\" \"weft %s\" \"weft\"\n", WEFT_VERSION);
    man_section(cli, &b, "NAME", "weft - from raw text to a language model of your own");
    man_section(cli, &b, "SYNOPSIS", "weft VERB [FILE...] [--option VALUE] [KEY=VALUE]");
    man_section(cli, &b, "DESCRIPTION",
                "weft reads texts, builds datasets from them, fine-tunes a base model and lets you talk to the "
                "result.  Settings come from flags, from a recipe in YAML (keys as in LLaMA-Factory), from the "
                "environment, and from defaults, in this order.");
    man_verbs(cli, weft_cli_verbs(), "", &b);
    man_section(cli, &b, "EXIT STATUS",
                "0 done; 2 wrong usage; 3 bad input or a limit met; 4 done, but something was left out and counted; "
                "5 the system failed (disk, memory, permission, device); 6 the other end of a connection failed; "
                "130 or 143 stopped by a signal, what could be saved is saved.");
    man_section(cli, &b, "ENVIRONMENT",
                "WEFT_THREADS threads; WEFT_ISA instruction level; WEFT_LANG or LANG language of messages (en, zh); "
                "WEFT_HOME where weft keeps models and data.");
    enum weft_status st = weft_buf_check(&b, "a manual page", &cli->err);
    if (!st) weft_put(cli, weft_buf_view(&b));
    weft_buf_clear(&b);
    return st;
}

static const struct weft_verb *find(const struct weft_verb *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcmp((*list)->name, name) == 0) return *list;
    return NULL;
}

static enum weft_status run(struct weft_cli *cli)
{
    for (int i = 1; i < cli->argc; i++)
        if (strcmp(cli->argv[i], "--man") == 0) return man_page(cli);
    if (cli->argc < 2 || cli->argv[1][0] == '-') {
        weft_cli_help(cli, NULL);
        return WEFT_OK;
    }
    char shown[128];
    const struct weft_verb *verb = find(weft_cli_verbs(), cli->argv[1]);
    if (verb && verb->verbs && cli->argc > 2 && cli->argv[2][0] != '-') verb = find(verb->verbs, cli->argv[2]);
    if (!verb)
        return weft_fail(&cli->err, WEFT_EARG, "unknown verb \"%s\"; \"weft help\" lists the verbs",
                         weft_escape(shown, sizeof shown, weft_str_c(cli->argv[cli->argc > 2 ? 2 : 1])));
    weft_cli_help(cli, verb);
    return WEFT_OK;
}

const struct weft_verb weft_verb_help = {
    .name = "help", .usage = "[VERB] | --man", .run = run,
    .help = "explain the verbs and their options", .help_zh = "说明各个子命令及其选项",
};
