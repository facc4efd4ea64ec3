/* Rows, and one value from text.  YAML, command line and help stand in files of their own. */
#include "base/option_parts.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- finding a row ---- */

static bool same_key(struct weft_str key, const char *name, bool loose)
{
    size_t i = 0;
    if (!name) return false;
    for (; i < key.len; i++) {
        char c = loose && key.s[i] == '-' ? '_' : key.s[i];
        if (!name[i] || c != name[i]) return false;
    }
    return !name[i];
}

const struct weft_option *weft_option_find(struct weft_option_table t, struct weft_str key, bool loose)
{
    for (size_t i = 0; i < t.n; i++)
        if (same_key(key, t.rows[i].key, loose) || same_key(key, t.rows[i].alias, loose)) return &t.rows[i];
    return NULL;
}

static bool same_group(const struct weft_option *a, const struct weft_option *b)
{
    return strcmp(a->group ? a->group : "", b->group ? b->group : "") == 0;
}

static bool first_of_group(struct weft_option_table t, size_t row)
{
    for (size_t i = 0; i < row; i++)
        if (same_group(&t.rows[i], &t.rows[row])) return false;
    return true;
}

size_t weft_option_next(struct weft_option_table t, size_t at, bool *heading)
{
    size_t first = 0; /* of the groups that may begin next */
    *heading = false;
    if (at != SIZE_MAX) {
        for (size_t i = at + 1; i < t.n; i++)
            if (same_group(&t.rows[i], &t.rows[at])) return i;
        while (!same_group(&t.rows[first], &t.rows[at])) first++;
        first++;
    }
    while (first < t.n && !first_of_group(t, first)) first++;
    *heading = true;
    return first;
}

/* Optimal string alignment: insert, delete, replace, swap neighbours, each costs 1.  Words longer than the rows
 * of the matrix are no typing errors of ours. */
static int distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t n = strlen(a), m = strlen(b);
    int d[3][MAX + 1];
    if (n > MAX || m > MAX) return MAX;
    for (size_t j = 0; j <= m; j++) d[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *now = d[i % 3], *last = d[(i - 1) % 3], *before = d[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return d[n % 3][m];
}

const char *weft_nearest(const char *word, const char *const *names, size_t n)
{
    int limit = (int)weft_min_size(3, strlen(word) / 2), best = limit + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        int d = names[i] ? distance(word, names[i]) : best;
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

enum weft_status weft_option_unknown(struct weft_option_table t, const char *where, struct weft_str key,
                                     struct weft_err *err)
{
    char word[65], shown[96];
    const char *nearest = NULL;
    size_t n = weft_min_size(key.len, sizeof word - 1);
    for (size_t i = 0; i < n; i++) word[i] = (char)(key.s[i] == '-' ? '_' : key.s[i]);
    word[n] = '\0';
    weft_escape(shown, sizeof shown, key);
    const char **names = calloc(t.n + 1, 2 * sizeof *names);
    if (names) {
        for (size_t i = 0; i < t.n; i++) {
            names[2 * i] = t.rows[i].key;
            names[2 * i + 1] = t.rows[i].alias;
        }
        nearest = weft_nearest(word, names, 2 * t.n);
        free(names);
    }
    if (nearest)
        return weft_fail(err, WEFT_EARG, "%s: there is no setting \"%s\"; did you mean \"%s\"?", where, shown,
                         nearest);
    return weft_fail(err, WEFT_EARG, "%s: there is no setting \"%s\"; `weft help` lists them by verb", where,
                     shown);
}

/* ---- one value ---- */

struct weft_str weft_option_choice(const struct weft_option *row, int index)
{
    const char *s = row->choices;
    for (; s && index > 0; index--) {
        s = strchr(s, '|');
        if (s) s++;
    }
    if (!s || index < 0) return (struct weft_str){ 0 };
    return (struct weft_str){ s, strcspn(s, "|") };
}

/* What a message about a value begins with: "recipe.yaml:3:12: lora_rank", or the flag alone, which names it. */
static const char *label(char out[640], const struct weft_option *row, const char *where)
{
    if (where[0] == '-' || strcmp(where, row->key) == 0) return where;
    snprintf(out, 640, "%s: %s", where, row->key);
    return out;
}

/* "LABEL is VALUE; expected EXPECTED" */
static enum weft_status refuse(const struct weft_option_sink *to, const struct weft_option *row,
                               const char *where, struct weft_str value, const char *expected)
{
    char shown[96], name[640];
    return weft_fail(to->err, WEFT_EARG, "%s is \"%s\"; expected %s", label(name, row, where),
                     weft_escape(shown, sizeof shown, value), weft_option_tr(to->err, expected));
}

static enum weft_status assign_bool(const struct weft_option_sink *to, const struct weft_option *row,
                                    const char *where, struct weft_str value)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };
    char word[8] = "";
    for (size_t i = 0; i < value.len && value.len < sizeof word; i++)
        word[i] = (char)(value.s[i] >= 'A' && value.s[i] <= 'Z' ? value.s[i] + 32 : value.s[i]);
    for (size_t i = 0; i < WEFT_COUNT(words); i++)
        if (strcmp(word, words[i]) == 0) {
            *(bool *)weft_option_field(row, to->settings) = i % 2;
            return WEFT_OK;
        }
    return refuse(to, row, where, value, "true or false");
}

/* The row's range in the user's language, and whether v is in it.  NaN is in no range. */
static enum weft_status check_range(const struct weft_option_sink *to, const struct weft_option *row,
                                    const char *where, struct weft_str value, double v)
{
    char shown[96], name[640];
    weft_escape(shown, sizeof shown, value);
    if ((row->min != 0 || row->max != 0) && !(v >= row->min && v <= row->max)) {
        if (row->max == INFINITY)
            return weft_fail(to->err, WEFT_EARG, "%s is %s; expected at least %.10g", label(name, row, where),
                             shown, row->min);
        return weft_fail(to->err, WEFT_EARG, "%s is %s; expected %.10g to %.10g", label(name, row, where),
                         shown, row->min, row->max);
    }
    if (to->warn && (row->warn_min != 0 || row->warn_max != 0)
        && !(v >= row->warn_min && v <= row->warn_max)) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        weft_buf_printf(to->warn, weft_option_tr(to->err, "%s is %s; usual is %.10g to %.10g\n"),
                        label(name, row, where), shown, row->warn_min, row->warn_max);
#pragma GCC diagnostic pop
    }
    return WEFT_OK;
}

static enum weft_status assign_int(const struct weft_option_sink *to, const struct weft_option *row,
                                   const char *where, struct weft_str value)
{
    size_t i = value.len && (value.s[0] == '-' || value.s[0] == '+');
    bool minus = i && value.s[0] == '-';
    int64_t v = 0;
    if (i == value.len) return refuse(to, row, where, value, "an integer");
    for (; i < value.len; i++) {
        int digit = value.s[i] - '0';
        if (digit < 0 || digit > 9) return refuse(to, row, where, value, "an integer");
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, minus ? -digit : digit, &v))
            return refuse(to, row, where, value, "an integer of at most 64 bits");
    }
    enum weft_status st = check_range(to, row, where, value, (double)v);
    if (!st) *(int64_t *)weft_option_field(row, to->settings) = v;
    return st;
}

static enum weft_status assign_float(const struct weft_option_sink *to, const struct weft_option *row,
                                     const char *where, struct weft_str value)
{
    /* Decimal only: no hexadecimal, "inf" or "nan", and no locale. */
    char text[64], *end = text;
    double v = 0;
    if (value.len < sizeof text) {
        if (value.len) memcpy(text, value.s, value.len);
        text[value.len] = '\0';
    } else text[0] = '\0';
    if (value.len && strspn(text, "+-.0123456789eE") == value.len) {
        locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        v = strtod_l(text, &end, c);
        freelocale(c);
    }
    if (end == text || *end || !isfinite(v))
        return refuse(to, row, where, value, "a number such as 0.5 or 1e-4");
    enum weft_status st = check_range(to, row, where, value, v);
    if (!st) *(double *)weft_option_field(row, to->settings) = v;
    return st;
}

static enum weft_status assign_choice(const struct weft_option_sink *to, const struct weft_option *row,
                                      const char *where, struct weft_str value)
{
    struct weft_buf list = { 0 };
    struct weft_str choice;
    char shown[96], name[640];
    for (int i = 0; (choice = weft_option_choice(row, i)).len; i++) {
        if (weft_str_eq(choice, value)) {
            *(int *)weft_option_field(row, to->settings) = i;
            weft_buf_clear(&list);
            return WEFT_OK;
        }
        if (i) weft_buf_cstr(&list, ", ");
        weft_buf_str(&list, choice);
    }
    enum weft_status st =
        weft_fail(to->err, WEFT_EARG, "%s is \"%s\"; expected one of: %s", label(name, row, where),
                  weft_escape(shown, sizeof shown, value), list.s ? list.s : "");
    weft_buf_clear(&list);
    return st;
}

static enum weft_status assign_string(const struct weft_option_sink *to, const struct weft_option *row,
                                      const char *where, struct weft_str value)
{
    /* A C string ends at NUL: whatever stands behind one would be lost silently. */
    if (value.len && memchr(value.s, '\0', value.len))
        return refuse(to, row, where, value, "text without NUL");
    const char *copy = weft_arena_strndup(to->arena, value.s, value.len);
    if (!copy) return weft_fail_nomem(to->err, value.len + 1, row->key);
    *(const char **)weft_option_field(row, to->settings) = copy;
    return WEFT_OK;
}

enum weft_status weft_option_assign_list(const struct weft_option_sink *to, const struct weft_option *row,
                                         const struct weft_str *items, size_t n, bool append)
{
    struct weft_str_list *list = weft_option_field(row, to->settings);
    size_t old = append ? list->n : 0;
    const char **all = WEFT_NEWS(to->arena, const char *, old + n);
    if (!all) return weft_fail_nomem(to->err, (old + n) * sizeof *all, row->key);
    if (old) memcpy(all, list->items, old * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        all[old + i] = weft_arena_strndup(to->arena, items[i].s, items[i].len);
        if (!all[old + i]) return weft_fail_nomem(to->err, items[i].len + 1, row->key);
    }
    *list = (struct weft_str_list){ all, old + n };
    return WEFT_OK;
}

/* "a, b" -> two items; an empty text is an empty list; empty items are dropped ("a,,b," is a, b). */
static enum weft_status assign_list_text(const struct weft_option_sink *to, const struct weft_option *row,
                                         const char *where, struct weft_str value, bool append)
{
    struct weft_buf items = { 0 };
    if (value.len && memchr(value.s, '\0', value.len))
        return refuse(to, row, where, value, "text without NUL");
    for (size_t i = 0; i <= value.len;) {
        size_t comma = weft_str_find(value, WEFT_STR(","), i);
        if (comma == SIZE_MAX) comma = value.len;
        struct weft_str item = weft_str_trim_ascii(weft_str_sub(value, i, comma));
        if (item.len) weft_buf_add(&items, &item, sizeof item);
        i = comma + 1;
    }
    enum weft_status st = weft_buf_check(&items, row->key, to->err);
    if (!st)
        st = weft_option_assign_list(to, row, (const struct weft_str *)(const void *)items.s,
                                     items.len / sizeof(struct weft_str), append);
    weft_buf_clear(&items);
    return st;
}

enum weft_status weft_option_place(const struct weft_option_sink *to, const struct weft_option *row, const char *where)
{
    if (!row->where) return WEFT_OK;
    const char *copy = weft_arena_strndup(to->arena, where, strlen(where));
    *(const char **)((char *)to->settings + row->where) = copy;
    return copy ? WEFT_OK : weft_fail_nomem(to->err, strlen(where), row->key);
}

enum weft_status weft_option_assign(const struct weft_option_sink *to, const struct weft_option *row,
                                    const char *where, struct weft_str value, bool append)
{
    enum weft_status st = weft_option_place(to, row, where);
    if (st) return st;
    switch (row->type) {
    case WEFT_OPT_BOOL: return assign_bool(to, row, where, value);
    case WEFT_OPT_INT: return assign_int(to, row, where, value);
    case WEFT_OPT_FLOAT: return assign_float(to, row, where, value);
    case WEFT_OPT_STRING: return assign_string(to, row, where, value);
    case WEFT_OPT_CHOICE: return assign_choice(to, row, where, value);
    case WEFT_OPT_LIST: return assign_list_text(to, row, where, value, append);
    }
    return WEFT_OK;
}

enum weft_status weft_options_set(struct weft_option_table t, void *settings, struct weft_arena *a,
                                  const char *where, const char *key, const char *value,
                                  struct weft_buf *warn, struct weft_err *err)
{
    const struct weft_option_sink to = { settings, a, warn, err };
    const struct weft_option *row = weft_option_find(t, weft_str_c(key), false);
    if (!row) return weft_option_unknown(t, where, weft_str_c(key), err);
    return weft_option_assign(&to, row, where, weft_str_c(value), false);
}

static void unset(const struct weft_option *row, void *settings)
{
    void *field = weft_option_field(row, settings);
    switch (row->type) {
    case WEFT_OPT_BOOL: *(bool *)field = false; break;
    case WEFT_OPT_INT: *(int64_t *)field = 0; break;
    case WEFT_OPT_FLOAT: *(double *)field = 0; break;
    case WEFT_OPT_STRING: *(const char **)field = NULL; break;
    case WEFT_OPT_CHOICE: *(int *)field = -1; break;
    case WEFT_OPT_LIST: *(struct weft_str_list *)field = (struct weft_str_list){ 0 }; break;
    }
}

enum weft_status weft_options_defaults(struct weft_option_table t, void *settings, struct weft_arena *a,
                                       struct weft_err *err)
{
    const struct weft_option_sink to = { settings, a, NULL, err };
    for (size_t i = 0; i < t.n; i++) {
        const struct weft_option *row = &t.rows[i];
        enum weft_status st = WEFT_OK;
        unset(row, settings);
        if (row->def && row->type == WEFT_OPT_STRING)
            *(const char **)weft_option_field(row, settings) = row->def;
        else if (row->def) st = weft_option_assign(&to, row, row->key, weft_str_c(row->def), false);
        if (st) return st;
        if (row->where) *(const char **)((char *)settings + row->where) = NULL;
    }
    return WEFT_OK;
}
