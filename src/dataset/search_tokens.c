/* The tokenizer: pairs of Chinese characters, folded words of everything else (dataset/search.h says why). */
#include "dataset/search.h"

#include "dataset/search_rank.h"

#include <sqlite3.h>
#include <utf8proc.h>

/* A longer word is known by its beginning. */
enum { WORD_BYTES = 256 };

enum kind { APART, WORD, PAIRED };

/* Scripts written without spaces.  Private use counts as one: damaged conversions keep rare characters there. */
static bool is_paired(uint32_t c)
{
    if (c < 0x1100) return false;
    return c <= 0x11FF || c == 0x3005 || c == 0x3006 || c == 0x3007 || (c >= 0x3041 && c <= 0x30FF && c != 0x30FB)
           || (c >= 0x3105 && c <= 0x318E) || (c >= 0x31A0 && c <= 0x31BF) || (c >= 0x31F0 && c <= 0x31FF)
           || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7A3)
           || (c >= 0xE000 && c <= 0xFAFF) || (c >= 0xFF66 && c <= 0xFF9F) || (c >= 0x20000 && c <= 0x323AF)
           || c >= 0xF0000;
}

static enum kind kind_of(uint32_t c)
{
    if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? WORD : APART;
    if (is_paired(c)) return PAIRED;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO: return WORD;
    default: return APART;
    }
}

static uint32_t fold(uint32_t c)
{
    if (c >= 0xFF01 && c <= 0xFF5E) c -= 0xFEE0;
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

typedef enum weft_status token_fn(void *ctx, struct weft_str token, size_t begin, size_t end);

static uint32_t decode(struct weft_str text, size_t at, size_t *len)
{
    uint32_t c;
    bool ok;
    *len = weft_utf8_decode(text.s + at, text.len - at, &c, &ok);
    return ok ? c : ' ';
}

/* A word from `at` on; *next: behind it. */
static enum weft_status word(struct weft_str text, size_t at, size_t *next, token_fn *each, void *ctx)
{
    char token[WORD_BYTES];
    size_t n = 0, end = at, len;
    while (end < text.len) {
        uint32_t c = decode(text, end, &len);
        if (kind_of(c) != WORD) break;
        if (n + 4 <= sizeof token) n += weft_utf8_encode(fold(c), token + n);
        end += len;
    }
    *next = end;
    return each(ctx, (struct weft_str){ token, n }, at, end);
}

/* A run of characters without spaces: its pairs, and the last one alone. */
static enum weft_status pairs(struct weft_str text, size_t at, size_t *next, bool query, token_fn *each, void *ctx)
{
    enum weft_status st = WEFT_OK;
    size_t len, first = at, end;
    (void)decode(text, at, &len);
    end = at + len;
    while (!st && end < text.len) {
        uint32_t c = decode(text, end, &len);
        if (kind_of(c) != PAIRED) break;
        st = each(ctx, weft_str_sub(text, first, end + len), first, end + len);
        first = end;
        end += len;
    }
    if (!st && (!query || first == at)) st = each(ctx, weft_str_sub(text, first, end), first, end);
    *next = end;
    return st;
}

enum weft_status weft_search_tokens(struct weft_str text, bool query, token_fn *each, void *ctx)
{
    enum weft_status st = WEFT_OK;
    for (size_t at = 0, len; at < text.len && !st;) {
        switch (kind_of(decode(text, at, &len))) {
        case APART: at += len; break;
        case WORD: st = word(text, at, &at, each, ctx); break;
        case PAIRED: st = pairs(text, at, &at, query, each, ctx); break;
        }
    }
    return st;
}

/* ---- as FTS5 wants it ---- */

struct fts5_call {
    int (*token)(void *ctx, int flags, const char *text, int n, int begin, int end);
    void *ctx;
    int result;
};

static enum weft_status hand_on(void *ctx, struct weft_str token, size_t begin, size_t end)
{
    struct fts5_call *call = ctx;
    call->result = call->token(call->ctx, 0, token.s, (int)token.len, (int)begin, (int)end);
    return call->result == SQLITE_OK ? WEFT_OK : WEFT_ESYSTEM;
}

/* The tokenizer has no state; FTS5 wants a handle that is not NULL. */
static int create(void *ctx, const char **arguments, int n, Fts5Tokenizer **out)
{
    static const char handle;
    *out = (Fts5Tokenizer *)(uintptr_t)&handle;
    return SQLITE_OK;
}

static void destroy(Fts5Tokenizer *t) { (void)t; }

static int tokenize(Fts5Tokenizer *t, void *ctx, int flags, const char *text, int n,
                    int (*token)(void *ctx, int flags, const char *text, int n, int begin, int end))
{
    struct fts5_call call = { token, ctx, SQLITE_OK };
    if (n <= 0) return SQLITE_OK;
    (void)weft_search_tokens((struct weft_str){ text, (size_t)n }, flags & FTS5_TOKENIZE_QUERY, hand_on, &call);
    return call.result;
}

enum weft_status weft_search_register(struct sqlite3 *sql, void *ctx, struct weft_err *err)
{
    fts5_tokenizer ours = { create, destroy, tokenize };
    sqlite3_stmt *st = NULL;
    fts5_api *api = NULL;
    int r = sqlite3_prepare_v2(sql, "SELECT fts5(?1)", -1, &st, NULL);
    if (r == SQLITE_OK) r = sqlite3_bind_pointer(st, 1, (void *)&api, "fts5_api_ptr", NULL);
    if (r == SQLITE_OK) (void)sqlite3_step(st);
    sqlite3_finalize(st);
    if (api) r = api->xCreateTokenizer(api, "weft", NULL, &ours, NULL);
    if (api && r == SQLITE_OK) r = weft_search_rank_register(api);
    if (api && r == SQLITE_OK) return WEFT_OK;
    return weft_fail(err, WEFT_ESYSTEM, "this build of SQLite has no full-text search (FTS5)");
}
