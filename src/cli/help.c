/* weft help [VERB [SUBVERB]]: made from the verb and option tables, so that it cannot be out of date. */
#include "cli/verbs.h"

#include <stdio.h>

static void list_verbs(struct weft_cli *cli, const struct weft_verb *const *list, const char *prefix)
{
    for (; *list; list++)
        printf("  %s%-*s  %s\n", prefix, (int)(14 - strlen(prefix)), (*list)->name,
               cli->lang == WEFT_LANG_ZH ? (*list)->help_zh : (*list)->help);
}

void weft_cli_help(struct weft_cli *cli, const struct weft_verb *verb, const char *prefix)
{
    if (!verb) {
        weft_say(cli, "weft takes you from raw text to a language model of your own.\n\nusage: weft VERB ...\n\n");
        list_verbs(cli, weft_cli_verbs(), "");
        weft_say(cli, "\n\"weft help VERB\" explains a verb; \"weft --version\" prints the version.\n");
        return;
    }
    weft_say(cli, "usage: weft %s%s %s\n", prefix, verb->name, verb->verbs ? "VERB ..." : verb->usage);
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
}

static const struct weft_verb *find(const struct weft_verb *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcmp((*list)->name, name) == 0) return *list;
    return NULL;
}

static enum weft_status run(struct weft_cli *cli)
{
    if (cli->argc < 2 || cli->argv[1][0] == '-') {
        weft_cli_help(cli, NULL, "");
        return WEFT_OK;
    }
    char prefix[64] = "", shown[128];
    const struct weft_verb *verb = find(weft_cli_verbs(), cli->argv[1]);
    if (verb && verb->verbs && cli->argc > 2 && cli->argv[2][0] != '-') {
        snprintf(prefix, sizeof prefix, "%s ", verb->name);
        verb = find(verb->verbs, cli->argv[2]);
    }
    if (!verb)
        return weft_fail(&cli->err, WEFT_EARG, "unknown verb \"%s\"; \"weft help\" lists the verbs",
                         weft_escape(shown, sizeof shown, weft_str_c(cli->argv[cli->argc > 2 ? 2 : 1])));
    weft_cli_help(cli, verb, prefix);
    return WEFT_OK;
}

const struct weft_verb weft_verb_help = {
    .name = "help", .usage = "[VERB]", .run = run,
    .help = "explain the verbs and their options", .help_zh = "说明各个子命令及其选项",
};
