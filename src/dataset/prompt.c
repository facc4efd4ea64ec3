/* Prompt files: front matter through the option table, then parts under "# name".  Placeholders are checked when the
 * file is read, so that a slip of the pen costs no call. */
#include "dataset/prompt.h"

#include "base/file.h"
#include "dataset/ask_parts.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- built in ---- */

/* A file of prompts/ between two symbols.  .incbin rather than a generated array: the file itself is the source. */
#define BUILT_IN(symbol, file) \
    __asm__(".section .rodata\n" \
            ".global weft_prompt_" #symbol "\n.global weft_prompt_" #symbol "_end\n" \
            "weft_prompt_" #symbol ":\n.incbin \"" WEFT_PROMPTS "/" file "\"\n" \
            "weft_prompt_" #symbol "_end:\n.byte 0\n.previous\n"); \
    extern const char weft_prompt_##symbol[] __attribute__((visibility("hidden"))); \
    extern const char weft_prompt_##symbol##_end[] __attribute__((visibility("hidden")))

BUILT_IN(summarise_zh, "summarise.zh.txt");
BUILT_IN(summarise_en, "summarise.en.txt");
BUILT_IN(qa_zh, "qa.zh.txt");
BUILT_IN(qa_en, "qa.en.txt");
BUILT_IN(dialogue_zh, "dialogue.zh.txt");
BUILT_IN(dialogue_en, "dialogue.en.txt");
BUILT_IN(augment_zh, "augment.zh.txt");
BUILT_IN(augment_en, "augment.en.txt");
BUILT_IN(rag_zh, "rag.zh.txt");
BUILT_IN(rag_en, "rag.en.txt");
BUILT_IN(judge_zh, "judge.zh.txt");
BUILT_IN(judge_en, "judge.en.txt");

static const struct {
    const char *name, *task;
    enum weft_prompt_lang lang;
    const char *begin, *end;
} files[] = {
    { "summarise.zh", "summarise", WEFT_PROMPT_ZH, weft_prompt_summarise_zh, weft_prompt_summarise_zh_end },
    { "summarise.en", "summarise", WEFT_PROMPT_EN, weft_prompt_summarise_en, weft_prompt_summarise_en_end },
    { "qa.zh", "qa", WEFT_PROMPT_ZH, weft_prompt_qa_zh, weft_prompt_qa_zh_end },
    { "qa.en", "qa", WEFT_PROMPT_EN, weft_prompt_qa_en, weft_prompt_qa_en_end },
    { "dialogue.zh", "dialogue", WEFT_PROMPT_ZH, weft_prompt_dialogue_zh, weft_prompt_dialogue_zh_end },
    { "dialogue.en", "dialogue", WEFT_PROMPT_EN, weft_prompt_dialogue_en, weft_prompt_dialogue_en_end },
    { "augment.zh", "augment", WEFT_PROMPT_ZH, weft_prompt_augment_zh, weft_prompt_augment_zh_end },
    { "augment.en", "augment", WEFT_PROMPT_EN, weft_prompt_augment_en, weft_prompt_augment_en_end },
    { "rag.zh", "rag", WEFT_PROMPT_ZH, weft_prompt_rag_zh, weft_prompt_rag_zh_end },
    { "rag.en", "rag", WEFT_PROMPT_EN, weft_prompt_rag_en, weft_prompt_rag_en_end },
    { "judge.zh", "judge", WEFT_PROMPT_ZH, weft_prompt_judge_zh, weft_prompt_judge_zh_end },
    { "judge.en", "judge", WEFT_PROMPT_EN, weft_prompt_judge_en, weft_prompt_judge_en_end },
};

bool weft_prompt_file(size_t i, struct weft_prompt_file *out)
{
    if (i >= WEFT_COUNT(files)) return false;
    *out = (struct weft_prompt_file){ files[i].name, files[i].task, files[i].lang,
                                      { files[i].begin, (size_t)(files[i].end - files[i].begin) } };
    return true;
}

enum weft_status weft_prompt_builtin(struct weft_arena *a, const char *task, enum weft_prompt_lang lang,
                                     struct weft_prompt *out, struct weft_err *err)
{
    struct weft_prompt_file f;
    if (!weft_ask_task(task)) return weft_ask_task_unknown(task, err);
    for (size_t i = 0; weft_prompt_file(i, &f); i++)
        if (strcmp(f.task, task) == 0 && f.lang == lang) return weft_prompt_parse(a, f.name, f.text, out, err);
    return weft_fail(err, WEFT_EARG, "no prompt for the task \"%s\" in this language is built in", task);
}

/* ---- placeholders ---- */

/* The next {name} at or behind `at`: [*begin, *end) with its braces; false: none.  Doubled braces are stepped over. */
static bool next_placeholder(struct weft_str t, size_t at, size_t *begin, size_t *end)
{
    for (; at < t.len; at++) {
        if (t.s[at] != '{' && t.s[at] != '}') continue;
        if (at + 1 < t.len && t.s[at + 1] == t.s[at]) {
            at++;
            continue;
        }
        if (t.s[at] == '}') continue;
        size_t stop = at + 1;
        while (stop < t.len && (t.s[stop] == '_' || (t.s[stop] >= 'a' && t.s[stop] <= 'z'))) stop++;
        if (stop == at + 1 || stop >= t.len || t.s[stop] != '}') continue;
        *begin = at;
        *end = stop + 1;
        return true;
    }
    return false;
}

static void add_plain(struct weft_buf *out, struct weft_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        weft_buf_char(out, s.s[i]);
        if ((s.s[i] == '{' || s.s[i] == '}') && i + 1 < s.len && s.s[i + 1] == s.s[i]) i++;
    }
}

void weft_prompt_fill(struct weft_str template, const struct weft_prompt_value *values, size_t n, struct weft_buf *out)
{
    size_t at = 0, begin, end;
    while (next_placeholder(template, at, &begin, &end)) {
        struct weft_str name = weft_str_sub(template, begin + 1, end - 1);
        add_plain(out, weft_str_sub(template, at, begin));
        for (size_t i = 0; i < n; i++)
            if (weft_str_is(name, values[i].name)) {
                weft_buf_str(out, values[i].text);
                break;
            }
        at = end;
    }
    add_plain(out, weft_str_skip(template, at));
}

/* ---- the file ---- */

static const struct weft_option front_rows[] = {
    { .key = "task", .type = WEFT_OPT_STRING, .offset = offsetof(struct weft_prompt, task) },
    { .key = "version", .type = WEFT_OPT_INT, .offset = offsetof(struct weft_prompt, version), .def = "1", .min = 1,
      .max = 1e9 },
    { .key = "lang", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct weft_prompt, lang), .def = "zh",
      .choices = WEFT_PROMPT_LANG_CHOICES },
    { .key = "temperature", .type = WEFT_OPT_FLOAT, .offset = offsetof(struct weft_prompt, temperature), .def = "0.7",
      .max = 2 },
    { .key = "max_tokens", .type = WEFT_OPT_INT, .offset = offsetof(struct weft_prompt, max_tokens), .def = "1000",
      .min = 1, .max = 1e6 },
    { .key = "max_chars", .type = WEFT_OPT_INT, .offset = offsetof(struct weft_prompt, max_chars), .def = "0",
      .max = 1e6 },
    { .key = "pairs", .type = WEFT_OPT_INT, .offset = offsetof(struct weft_prompt, pairs), .def = "3", .min = 1,
      .max = 100 },
    { .key = "instruction", .type = WEFT_OPT_STRING, .offset = offsetof(struct weft_prompt, instruction) },
};
static const struct weft_option_table front_table = { front_rows, WEFT_COUNT(front_rows) };

static uint64_t line_of(struct weft_str text, const char *at)
{
    uint64_t line = 1;
    for (const char *p = text.s; p < at; p++) line += *p == '\n';
    return line;
}

static enum weft_status check_part(const char *name, struct weft_str text, struct weft_str part,
                                   const struct weft_ask_task *task, struct weft_err *err)
{
    size_t at = 0, begin, end;
    while (next_placeholder(part, at, &begin, &end)) {
        char word[64];
        struct weft_str w = weft_str_sub(part, begin + 1, end - 1);
        bool known = weft_str_is(w, "problem");
        size_t n = 0;
        while (task->names[n]) known |= weft_str_is(w, task->names[n++]);
        snprintf(word, sizeof word, "%.*s", (int)weft_min_size(w.len, sizeof word - 1), w.s);
        if (!known) {
            const char *nearest = weft_nearest(word, task->names, n);
            uint64_t line = line_of(text, part.s + begin);
            return weft_fail(err, WEFT_EINPUT,
                             "%s:%" PRIu64 ": {%s} is no placeholder of the task %s; the nearest is {%s} (braces that "
                             "are text are doubled)",
                             name, line, word, task->name, nearest ? nearest : task->names[0]);
        }
        at = end;
    }
    return WEFT_OK;
}

/* Splits the text behind the front matter at its headings. */
static enum weft_status read_parts(const char *name, struct weft_str text, size_t from, struct weft_prompt *p,
                                   struct weft_err *err)
{
    struct weft_lines lines = { .text = text, .at = from };
    struct weft_str line, *part = NULL;
    const struct {
        const char *heading;
        struct weft_str *to;
    } parts[] = { { "# system", &p->system }, { "# user", &p->user }, { "# retry", &p->retry } };
    while (weft_lines_next(&lines, &line)) {
        bool heading = false;
        for (size_t i = 0; i < WEFT_COUNT(parts); i++) {
            if (!weft_str_is(line, parts[i].heading)) continue;
            if (parts[i].to->s)
                return weft_fail(err, WEFT_EINPUT, "%s:%" PRIu64 ": the part \"%s\" comes twice", name,
                                 line_of(text, line.s), parts[i].heading);
            part = parts[i].to;
            *part = (struct weft_str){ text.s + lines.at, 0 };
            heading = true;
        }
        if (heading) continue;
        if (part) part->len = (size_t)(line.s + line.len - part->s);
        else if (weft_str_trim_ascii(line).len)
            return weft_fail(err, WEFT_EINPUT,
                             "%s:%" PRIu64 ": text before the first part; expected \"# system\", \"# user\" or \"# retry\"",
                             name, line_of(text, line.s));
    }
    for (size_t i = 0; i < WEFT_COUNT(parts); i++) *parts[i].to = weft_str_trim_ascii(*parts[i].to);
    return WEFT_OK;
}

static enum weft_status check_prompt(const char *name, struct weft_str text, struct weft_prompt *p,
                                     struct weft_err *err)
{
    const struct weft_ask_task *task = p->task ? weft_ask_task(p->task) : NULL;
    if (!p->task) return weft_fail(err, WEFT_EINPUT, "%s: the front matter names no task", name);
    if (!task) return weft_ask_task_unknown(p->task, err);
    if (!p->user.len) return weft_fail(err, WEFT_EINPUT, "%s: the part \"# user\" is missing or empty", name);
    if (!p->retry.len) return weft_fail(err, WEFT_EINPUT, "%s: the part \"# retry\" is missing or empty", name);
    enum weft_status st = check_part(name, text, p->system, task, err);
    if (!st) st = check_part(name, text, p->user, task, err);
    if (!st) st = check_part(name, text, p->retry, task, err);
    /* The first name of a task is what it is about: a prompt that never says it asks the same of every row. */
    size_t at = 0, begin, end;
    bool said = false;
    while (!st && !said && next_placeholder(p->user, at, &begin, &end)) {
        said = weft_str_is(weft_str_sub(p->user, begin + 1, end - 1), task->names[0]);
        at = end;
    }
    if (!st && !said)
        st = weft_fail(err, WEFT_EINPUT, "%s: the part \"# user\" never says {%s}", name, task->names[0]);
    return st;
}

enum weft_status weft_prompt_parse(struct weft_arena *a, const char *name, struct weft_str text,
                                   struct weft_prompt *out, struct weft_err *err)
{
    struct weft_prompt p = { .name = name };
    struct weft_lines lines = { .text = text };
    struct weft_str line;
    size_t begin = 0, end = 0;
    bool open = false, closed = false;
    if (weft_utf8_check(text) != text.len)
        return weft_fail_rule(err, WEFT_EINPUT, "TX1", "%s: byte %zu is not UTF-8", name, weft_utf8_check(text));
    if (weft_str_starts(text, WEFT_STR("\xEF\xBB\xBF"))) lines.at = 3;
    while (!closed && weft_lines_next(&lines, &line)) {
        bool rule = weft_str_is(line, "---");
        if (!open && !rule) break;
        if (open && rule) {
            end = lines.line_start;
            closed = true;
        } else if (!open) {
            open = true;
            begin = lines.at;
        }
    }
    if (!closed)
        return weft_fail(err, WEFT_EINPUT, "%s:1: expected the front matter of a prompt between two lines \"---\"", name);
    enum weft_status st = weft_options_defaults(front_table, &p, a, err);
    if (!st) st = weft_options_yaml(front_table, &p, a, name, weft_str_sub(text, begin, end), NULL, err);
    if (!st) st = read_parts(name, text, lines.at, &p, err);
    if (!st) st = check_prompt(name, text, &p, err);
    if (!st) st = weft_sha256_of(text, p.sha256, err);
    if (!st) {
        p.via = weft_str_printf(a, "ask/%s@%" PRId64 "+%.8s", p.task, p.version, p.sha256).s;
        if (!p.via) st = weft_fail_nomem(err, 64, "a prompt file");
    }
    if (!st) *out = p;
    return st;
}
