/* A recipe is one flat YAML mapping of scalars and lists of scalars.  libfyaml parses; what a recipe does not
 * need (anchors, nested mappings, several documents) is refused by name rather than half understood. */
#include "base/json.h"
#include "base/option_parts.h"

#include <libfyaml.h>
#include <math.h>
#include <stdio.h>

enum { MAX_YAML_BYTES = 1 << 20, WHERE_BYTES = 512 };

struct reader {
    struct weft_option_table table;
    struct weft_option_sink to;
    const char *name;
    bool *seen;              /* [table.n] */
    enum weft_status unknown; /* what the first key that is in no row gave; told once all are read */
    char where[WHERE_BYTES]; /* "name:line:column" of what is being read */
};

static void set_where(struct reader *r, int line, int column)
{
    snprintf(r->where, sizeof r->where, "%s:%d:%d", r->name, line, column);
}

/* A node that is no scalar has no token of its own: the place of what came before it stays. */
static void set_where_of(struct reader *r, struct fy_node *node)
{
    struct fy_token *token = node ? fy_node_get_scalar_token(node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    if (mark) set_where(r, mark->line + 1, mark->column + 1);
}

static struct weft_str scalar_of(struct fy_node *node)
{
    size_t n = 0;
    const char *s = fy_node_get_scalar(node, &n);
    return (struct weft_str){ s, s ? n : 0 };
}

static bool is_null(struct fy_node *node)
{
    if (!node) return true;
    if (fy_node_get_type(node) != FYNT_SCALAR || fy_node_get_style(node) != FYNS_PLAIN) return false;
    struct weft_str s = scalar_of(node);
    return !s.len || weft_str_is(s, "~") || weft_str_is(s, "null") || weft_str_is(s, "Null")
           || weft_str_is(s, "NULL");
}

static enum weft_status refuse_here(struct reader *r, const char *what)
{
    return weft_fail(r->to.err, WEFT_EINPUT, "%s: %s", r->where, weft_option_tr(r->to.err, what));
}

static enum weft_status check_scalar(struct reader *r, struct fy_node *node)
{
    if (fy_node_is_alias(node))
        return refuse_here(
            r, "found an alias (*name); settings know no anchors and aliases, write the value out");
    if (fy_node_get_type(node) != FYNT_SCALAR)
        return refuse_here(r, "found a list or mapping; expected a single value");
    return WEFT_OK;
}

static enum weft_status read_list(struct reader *r, const struct weft_option *row, struct fy_node *list)
{
    struct weft_buf items = { 0 };
    enum weft_status st = WEFT_OK;
    void *iter = NULL;
    struct fy_node *node;
    while (!st && (node = fy_node_sequence_iterate(list, &iter))) {
        set_where_of(r, node);
        st = check_scalar(r, node);
        if (!st && is_null(node)) st = refuse_here(r, "found nothing; expected a single value");
        struct weft_str item = st ? (struct weft_str){ 0 } : scalar_of(node);
        if (!st && item.len && memchr(item.s, '\0', item.len))
            st = refuse_here(r, "found a NUL character; expected text");
        weft_buf_add(&items, &item, sizeof item);
    }
    if (!st) st = weft_buf_check(&items, row->key, r->to.err);
    if (!st)
        st = weft_option_assign_list(&r->to, row, (const struct weft_str *)(const void *)items.s,
                                     items.len / sizeof(struct weft_str), false);
    weft_buf_clear(&items);
    return st;
}

/* The first is the error, those after it are told with it: who rewrites a file wants to hear of all. */
static enum weft_status unknown(struct reader *r, struct weft_str key)
{
    struct weft_err next = { .lang = r->to.err ? r->to.err->lang : WEFT_LANG_EN };
    if (!r->unknown) {
        r->unknown = weft_option_unknown(r->table, r->where, key, r->to.err);
        return WEFT_OK;
    }
    if (weft_option_unknown(r->table, r->where, key, &next) && r->to.warn)
        weft_buf_printf(r->to.warn, "%s\n", next.msg);
    return WEFT_OK;
}

static enum weft_status read_pair(struct reader *r, struct fy_node *key_node, struct fy_node *value)
{
    enum weft_status st;
    set_where_of(r, key_node);
    if (!key_node || fy_node_get_type(key_node) != FYNT_SCALAR || fy_node_is_alias(key_node))
        return refuse_here(r, "found a key that is no plain name; expected KEY: VALUE");
    struct weft_str key = scalar_of(key_node);
    const struct weft_option *row = weft_option_find(r->table, key, false);
    if (!row) return unknown(r, key);
    if (r->seen[row - r->table.rows])
        return weft_fail(r->to.err, WEFT_EINPUT,
                         "%s: the setting \"%s\" comes twice (perhaps under another name); "
                         "remove one",
                         r->where, row->key);
    r->seen[row - r->table.rows] = true;
    if (is_null(value)) return WEFT_OK;
    set_where_of(r, value);
    if (row->type == WEFT_OPT_LIST && fy_node_get_type(value) == FYNT_SEQUENCE) {
        st = weft_option_place(&r->to, row, r->where);
        return st ? st : read_list(r, row, value);
    }
    st = check_scalar(r, value);
    return st ? st : weft_option_assign(&r->to, row, r->where, scalar_of(value), false);
}

static enum weft_status read_root(struct reader *r, struct fy_document *doc)
{
    struct fy_node *root = fy_document_root(doc);
    void *iter = NULL;
    struct fy_node_pair *pair;
    enum weft_status st = WEFT_OK;
    if (is_null(root)) return WEFT_OK;
    set_where(r, 1, 1);
    if (fy_node_get_type(root) != FYNT_MAPPING)
        return refuse_here(r, "found no mapping; expected settings as lines KEY: VALUE");
    while (!st && (pair = fy_node_mapping_iterate(root, &iter)))
        st = read_pair(r, fy_node_pair_key(pair), fy_node_pair_value(pair));
    return r->unknown ? r->unknown : st;
}

/* The first thing the parser complained about; its words are English only. */
static enum weft_status fail_syntax(struct reader *r, struct fy_diag *diag)
{
    void *iter = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &iter);
    if (e) set_where(r, e->line, e->column);
    return weft_fail(r->to.err, WEFT_EINPUT, "%s: not valid YAML: %s", r->where,
                     e && e->msg ? e->msg : "syntax error");
}

static void drop_output(struct fy_diag *diag, void *user, const char *buf, size_t len) {}

enum weft_status weft_options_yaml(struct weft_option_table t, void *settings, struct weft_arena *a,
                                   const char *name, struct weft_str yaml, struct weft_buf *warn,
                                   struct weft_err *err)
{
    struct reader r = { .table = t, .to = { settings, a, warn, err }, .name = name };
    struct fy_diag_cfg diag_cfg;
    struct fy_diag *diag = NULL;
    struct fy_parser *parser = NULL;
    struct fy_document *doc = NULL, *next = NULL;
    enum weft_status st = WEFT_OK;

    set_where(&r, 1, 1);
    if (yaml.len > MAX_YAML_BYTES)
        return weft_fail(err, WEFT_ELIMIT, "%s is longer than %d bytes; settings need less", name,
                         (int)MAX_YAML_BYTES);
    size_t bad = weft_utf8_check(yaml);
    if (bad < yaml.len)
        return weft_fail_rule(err, WEFT_EINPUT, "TX1",
                              "%s: byte %zu is 0x%02x, which is not UTF-8; save the file as UTF-8", name, bad,
                              (unsigned)(unsigned char)yaml.s[bad]);
    if (yaml.len && memchr(yaml.s, '\0', yaml.len))
        return weft_fail(err, WEFT_EINPUT, "%s: found a NUL byte; expected YAML text", name);
    r.seen = WEFT_NEWS(a, bool, t.n);
    if (!r.seen) return weft_fail_nomem(err, t.n, name);
    if (!weft_str_trim_ascii(yaml).len) return WEFT_OK;

    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = drop_output;
    diag_cfg.colorize = false;
    diag = fy_diag_create(&diag_cfg);
    if (diag) fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE, .diag = diag };
    parser = diag ? fy_parser_create(&cfg) : NULL;
    if (!parser || fy_parser_set_string(parser, yaml.s, yaml.len)) {
        st = weft_fail_nomem(err, yaml.len, name);
        goto done;
    }
    doc = fy_parse_load_document(parser);
    if (fy_diag_got_error(diag)) {
        st = fail_syntax(&r, diag);
        goto done;
    }
    if (!doc) goto done; /* comments only */
    st = read_root(&r, doc);
    if (st == WEFT_EARG) st = WEFT_EINPUT; /* a file is at fault, not the command line */
    if (err && st == WEFT_EINPUT) err->status = st;
    if (st) goto done;
    next = fy_parse_load_document(parser);
    if (fy_diag_got_error(diag)) st = fail_syntax(&r, diag);
    else if (next)
        st = weft_fail(err, WEFT_EINPUT, "%s: found a second document (after ---); expected one", name);
done:
    if (next) fy_parse_document_destroy(parser, next);
    if (doc) fy_parse_document_destroy(parser, doc);
    if (parser) fy_parser_destroy(parser);
    if (diag) fy_diag_destroy(diag);
    return st;
}

/* ---- writing ---- */

/* Plain only where every YAML reader, 1.1 or 1.2, agrees that it is this string. */
static bool plain_is_safe(struct weft_str s)
{
    static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off", "y", "n" };
    if (!s.len || s.len > 200) return false;
    char first = s.s[0];
    if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '_' || first == '/'))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.s[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'
                  || c == '-' || c == '.' || c == '/' || c == '+' || c == '@';
        if (!ok) return false;
    }
    for (size_t i = 0; i < WEFT_COUNT(words); i++)
        if (strlen(words[i]) == s.len && strncasecmp(words[i], s.s, s.len) == 0) return false;
    return true;
}

static void dump_string(struct weft_buf *out, struct weft_str s)
{
    struct weft_json_out json;
    if (plain_is_safe(s)) {
        weft_buf_str(out, s);
        return;
    }
    /* A JSON string is a YAML string; characters that YAML counts as line breaks or as not printable are escaped. */
    weft_json_out_init(&json, out);
    for (size_t i = 0; i < s.len && !json.ascii;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        json.ascii =
            (cp >= 0x7F && cp <= 0xA0) || cp == 0x2028 || cp == 0x2029 || cp == 0xFEFF || cp >= 0xFFFE;
    }
    weft_json_out_str(&json, s);
}

/* PyYAML takes 1e-05 for a string: YAML 1.1 wants a point in a float. */
static void dump_float(struct weft_buf *out, double v)
{
    char text[32];
    weft_json_format_double(text, v);
    size_t mantissa = strcspn(text, "e");
    weft_buf_add(out, text, mantissa);
    if (!memchr(text, '.', mantissa)) weft_buf_cstr(out, ".0");
    weft_buf_cstr(out, text + mantissa);
}

static void dump_value(const struct weft_option *row, const void *settings, struct weft_buf *out)
{
    const void *field = weft_option_field_const(row, settings);
    switch (row->type) {
    case WEFT_OPT_BOOL: weft_buf_cstr(out, *(const bool *)field ? "true" : "false"); break;
    case WEFT_OPT_INT: weft_buf_printf(out, "%lld", (long long)*(const int64_t *)field); break;
    case WEFT_OPT_FLOAT: dump_float(out, *(const double *)field); break;
    case WEFT_OPT_STRING: {
        const char *s = *(const char *const *)field;
        if (s) dump_string(out, weft_str_c(s));
        else weft_buf_cstr(out, "null");
        break;
    }
    case WEFT_OPT_CHOICE: {
        struct weft_str choice = weft_option_choice(row, *(const int *)field);
        if (choice.len) dump_string(out, choice);
        else weft_buf_cstr(out, "null");
        break;
    }
    case WEFT_OPT_LIST: {
        const struct weft_str_list *list = field;
        weft_buf_char(out, '[');
        for (size_t i = 0; i < list->n; i++) {
            if (i) weft_buf_cstr(out, ", ");
            dump_string(out, weft_str_c(list->items[i]));
        }
        weft_buf_char(out, ']');
        break;
    }
    }
}

void weft_options_dump(struct weft_option_table t, const void *settings, struct weft_buf *out)
{
    bool heading;
    for (size_t i = weft_option_next(t, SIZE_MAX, &heading), n = 0; i < t.n;
         i = weft_option_next(t, i, &heading), n++) {
        const struct weft_option *row = &t.rows[i];
        if (heading && n) weft_buf_char(out, '\n');
        if (heading && row->group) weft_buf_printf(out, "# %s\n", row->group);
        weft_buf_printf(out, "%s: ", row->key);
        dump_value(row, settings, out);
        weft_buf_char(out, '\n');
    }
}
