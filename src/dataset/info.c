/* What LLaMA-Factory's loader understands, as rules: without "columns" the default names hold; with them, only prompt
 * and no response means plain text; "sharegpt" with the tags role and content is OpenAI's messages. */
#include "dataset/info.h"

#include "base/lang.h"

static struct weft_str text_of(const struct weft_json_value *v, const char *key)
{
    const struct weft_json_value *m = weft_json_get(v, key);
    return m && m->kind == WEFT_JSON_STRING ? m->text : (struct weft_str){ NULL, 0 };
}

/* ---- reading ---- */

struct renames {
    struct weft_arena *arena;
    const char **items;
    size_t n;
    bool failed;
};

/* `ours`=`theirs`; nothing when the entry does not name it. */
static void rename_to(struct renames *r, const char *ours, struct weft_str theirs)
{
    if (!theirs.s) return;
    r->items[r->n] = weft_str_printf(r->arena, "%s=%.*s", ours, (int)theirs.len, theirs.s).s;
    r->failed |= !r->items[r->n++];
}

static void read_columns(struct renames *r, const struct weft_json_value *entry, struct weft_info *out)
{
    static const char *const common[] = { "system", "tools", "chosen", "rejected", "kto_tag" };
    static const char *const alpaca[][2] = {
        { "prompt", "instruction" }, { "query", "input" }, { "response", "output" }, { "history", "history" }
    };
    static const char *const tags[][2] = { { "role_tag", "from" },    { "content_tag", "value" },
                                           { "user_tag", "human" },   { "assistant_tag", "gpt" },
                                           { "observation_tag", "observation" }, { "function_tag", "function_call" },
                                           { "system_tag", "system" } };
    const struct weft_json_value *columns = weft_json_get(entry, "columns"), *tag = weft_json_get(entry, "tags");
    for (size_t i = 0; i < WEFT_COUNT(common); i++) rename_to(r, common[i], text_of(columns, common[i]));
    if (!weft_str_is(text_of(entry, "formatting"), "sharegpt")) {
        bool text = text_of(columns, "prompt").s && !text_of(columns, "response").s && !text_of(columns, "chosen").s;
        out->format = text ? WEFT_FORMAT_TEXT : WEFT_FORMAT_ALPACA;
        if (text) rename_to(r, "text", text_of(columns, "prompt"));
        for (size_t i = 0; !text && i < WEFT_COUNT(alpaca); i++)
            rename_to(r, alpaca[i][1], text_of(columns, alpaca[i][0]));
        return;
    }
    bool openai = weft_str_is(text_of(tag, "role_tag"), "role") && weft_str_is(text_of(tag, "content_tag"), "content")
                  && weft_str_is(text_of(tag, "user_tag"), "user");
    out->format = openai ? WEFT_FORMAT_MESSAGES : WEFT_FORMAT_SHAREGPT;
    struct weft_str list = text_of(columns, "messages");
    rename_to(r, openai ? "messages" : "conversations", list.s || !openai ? list : WEFT_STR("conversations"));
    /* A system tag named like the default needs no rename; `system` of columns is the member of the row. */
    for (size_t i = 0; !openai && i + 1 < WEFT_COUNT(tags); i++) rename_to(r, tags[i][1], text_of(tag, tags[i][0]));
}

static enum weft_status parse_info(struct weft_arena *a, const char *path, struct weft_json_value *v,
                                   struct weft_err *err)
{
    struct weft_str text;
    enum weft_status st = weft_file_read(a, path, 1u << 24, &text, err);
    if (!st) st = weft_json_parse(a, path, text, v, err);
    if (!st && v->kind != WEFT_JSON_OBJECT)
        st = weft_fail_rule(err, WEFT_EINPUT, "DS12", "%s: found %s; expected an object of datasets by name", path,
                            weft_tr(err ? err->lang : WEFT_LANG_EN, weft_json_kind_name(v->kind)));
    return st;
}

static enum weft_status no_entry(struct weft_arena *a, const char *path, const char *name,
                                 const struct weft_json_value *v, struct weft_err *err)
{
    const char **names = WEFT_NEWS(a, const char *, v->n + 1), *near = NULL;
    char shown[128], other[128];
    for (size_t i = 0; names && i < v->n; i++) names[i] = weft_arena_strndup(a, v->keys[i].s, v->keys[i].len);
    for (size_t i = 0; names && i < v->n; i++)
        if (!names[i]) names = NULL;
    if (names) near = weft_nearest(name, names, v->n);
    weft_escape(shown, sizeof shown, weft_str_c(name));
    if (near)
        return weft_fail_rule(err, WEFT_EINPUT, "DS12", "%s: no dataset \"%s\"; did you mean \"%s\"?", path, shown,
                              weft_escape(other, sizeof other, weft_str_c(near)));
    return weft_fail_rule(err, WEFT_EINPUT, "DS12", "%s: no dataset \"%s\" among its %zu", path, shown, v->n);
}

enum weft_status weft_info_find(struct weft_arena *a, const char *info_path, const char *name, struct weft_info *out,
                                struct weft_err *err)
{
    struct weft_json_value v;
    struct weft_info info = { 0 };
    struct renames r = { .arena = a };
    char shown[128];
    enum weft_status st = parse_info(a, info_path, &v, err);
    if (st) return st;
    const struct weft_json_value *entry = weft_json_get(&v, name), *ranking;
    if (!entry) return no_entry(a, info_path, name, &v, err);
    struct weft_str file = text_of(entry, "file_name");
    if (!file.len) {
        bool hub = text_of(entry, "hf_hub_url").s || text_of(entry, "ms_hub_url").s || text_of(entry, "script_url").s;
        weft_escape(shown, sizeof shown, weft_str_c(name));
        return hub ? weft_fail_rule(err, WEFT_EINPUT, "DS12",
                                    "%s: \"%s\" lies on a hub, not in a file; weft pull fetches it", info_path, shown)
                   : weft_fail_rule(err, WEFT_EINPUT, "DS12", "%s: \"%s\" has no file_name", info_path, shown);
    }
    const char *slash = strrchr(info_path, '/');
    info.path = file.s[0] == '/' || !slash
                    ? weft_arena_strndup(a, file.s, file.len)
                    : weft_str_printf(a, "%.*s/%.*s", (int)(slash - info_path), info_path, (int)file.len, file.s).s;
    ranking = weft_json_get(entry, "ranking");
    info.ranking = ranking && ranking->kind == WEFT_JSON_BOOL && ranking->boolean;
    r.items = WEFT_NEWS(a, const char *, 24);
    if (!r.items || !info.path) return weft_fail_nomem(err, 24 * sizeof *r.items, "columns");
    read_columns(&r, entry, &info);
    if (r.failed) return weft_fail_nomem(err, 64, "columns");
    info.columns = (struct weft_str_list){ r.items, r.n };
    *out = info;
    return WEFT_OK;
}

/* ---- writing ---- */

static void pair(struct weft_json_out *o, const char *key, const char *value)
{
    weft_json_out_key(o, key);
    weft_json_out_cstr(o, value);
}

static void out_entry(struct weft_json_out *o, const struct weft_info_entry *e)
{
    weft_json_out_object(o);
    weft_json_out_key(o, "file_name");
    weft_json_out_str(o, e->file_name);
    bool list = e->format == WEFT_FORMAT_SHAREGPT || e->format == WEFT_FORMAT_MESSAGES;
    if (list) pair(o, "formatting", "sharegpt");
    if (e->ranking) {
        weft_json_out_key(o, "ranking");
        weft_json_out_bool(o, true);
    }
    weft_json_out_key(o, "columns");
    weft_json_out_object(o);
    if (list) pair(o, "messages", e->format == WEFT_FORMAT_MESSAGES ? "messages" : "conversations");
    else if (e->format == WEFT_FORMAT_TEXT) pair(o, "prompt", "text");
    else {
        pair(o, "prompt", "instruction");
        pair(o, "query", "input");
        if (!e->ranking) pair(o, "response", "output");
        if (e->history) pair(o, "history", "history");
    }
    /* In messages the system text is a message of its own. */
    if (e->system && e->format != WEFT_FORMAT_MESSAGES) pair(o, "system", "system");
    if (e->tools) pair(o, "tools", "tools");
    if (e->ranking) {
        pair(o, "chosen", "chosen");
        pair(o, "rejected", "rejected");
    }
    if (e->kto) pair(o, "kto_tag", "kto_tag");
    weft_json_out_object_end(o);
    if (e->format == WEFT_FORMAT_MESSAGES) {
        weft_json_out_key(o, "tags");
        weft_json_out_object(o);
        pair(o, "role_tag", "role");
        pair(o, "content_tag", "content");
        pair(o, "user_tag", "user");
        pair(o, "assistant_tag", "assistant");
        pair(o, "observation_tag", "tool");
        pair(o, "function_tag", "function_call");
        pair(o, "system_tag", "system");
        weft_json_out_object_end(o);
    }
    weft_json_out_object_end(o);
}

enum weft_status weft_info_write(const char *info_path, const char *name, const struct weft_info_entry *entry,
                                 bool *replaced, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_buf b = { 0 };
    struct weft_json_value v = { .kind = WEFT_JSON_OBJECT };
    struct weft_json_out o;
    bool there = false;
    enum weft_status st = weft_file_exists(info_path) ? parse_info(&a, info_path, &v, err) : WEFT_OK;
    weft_json_out_init(&o, &b);
    o.indent = 2;
    weft_json_out_object(&o);
    for (size_t i = 0; !st && i < v.n; i++) {
        weft_json_out_key_str(&o, v.keys[i]);
        if (weft_str_is(v.keys[i], name)) {
            there = true;
            out_entry(&o, entry);
        } else weft_json_out_value(&o, &v.items[i]);
    }
    if (!there) {
        weft_json_out_key(&o, name);
        out_entry(&o, entry);
    }
    weft_json_out_object_end(&o);
    weft_buf_char(&b, '\n');
    if (!st) st = weft_buf_check(&b, "dataset_info.json", err);
    if (!st) st = weft_file_write(info_path, weft_buf_view(&b), err);
    if (!st && replaced) *replaced = there;
    weft_buf_clear(&b);
    weft_arena_clear(&a);
    return st;
}
