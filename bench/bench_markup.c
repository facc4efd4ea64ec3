/* Input built for slowness (A8), as HTML, Markdown and CSV: seconds for n pieces and for 2 n, and their ratio, which is
 * 2 where time is linear.  The larger file is a megabyte.  Then real pages: megabytes a second, as a share of copying.
 * bench_markup */
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BYTES = 1 << 20, TRIES = 5 };
/* Ratios of shorter times would tell about the machine. */
static const double shortest = 0.03;

/* Of this processor: other programs do not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best of a few tries: the machine may be busy with other things. */
static double seconds(const char *reader, struct weft_str bytes)
{
    double best = 1e9;
    for (int i = 0; i < TRIES; i++) {
        struct weft_arena a = { 0 };
        struct weft_err err = { 0 };
        struct weft_text_settings s = { .reader = reader };
        struct weft_text t;
        double start = now();
        enum weft_status st = weft_text_from_memory(&a, "bench", bytes, &s, &t, &err);
        double took = now() - start;
        if (st && st != WEFT_EINPUT) fprintf(stderr, "%s: %s\n", reader, err.msg);
        weft_arena_clear(&a);
        if (took < best) best = took;
    }
    return best;
}

static void repeat(struct weft_buf *b, const char *piece, size_t bytes)
{
    size_t n = bytes / strlen(piece);
    weft_buf_reset(b);
    weft_buf_cstr(b, "x\n");
    for (size_t i = 0; i < n; i++) weft_buf_cstr(b, piece);
}

static void hostile(const char *reader, const char *const *pieces, size_t n)
{
    struct weft_buf b = { 0 };
    double worst = 0, longest = 0;
    const char *slow = "", *steep = "";
    for (size_t i = 0; i < n; i++) {
        repeat(&b, pieces[i], BYTES / 2);
        double half = seconds(reader, weft_buf_view(&b));
        repeat(&b, pieces[i], BYTES);
        double whole = seconds(reader, weft_buf_view(&b));
        if (whole > longest) longest = whole, slow = pieces[i];
        if (whole > shortest && whole / half > worst) worst = whole / half, steep = pieces[i];
    }
    char x[32], y[32];
    printf("%-9s %zu patterns of 1 MiB: longest %.3f s (%s), highest ratio of times for 2n and n %.2f (%s)\n", reader, n,
           longest, weft_escape(x, sizeof x, weft_str_c(slow)), worst, weft_escape(y, sizeof y, weft_str_c(steep)));
    weft_buf_clear(&b);
}

static void ordinary(const char *reader, const char *piece)
{
    struct weft_buf b = { 0 };
    repeat(&b, piece, (size_t)16 << 20);
    double took = seconds(reader, weft_buf_view(&b)), start = now();
    char *copy = malloc(b.len);
    if (copy) memcpy(copy, b.s, b.len);
    double copied = now() - start;
    printf("%-9s %.0f MB/s, %.1f %% of copying (%d)\n", reader, (double)b.len / took / 1e6, 100 * copied / took,
           copy ? copy[b.len / 2] & 1 : 0);
    free(copy);
    weft_buf_clear(&b);
}

int main(void)
{
    static const char *const html[] = { "<", "<a ", "<!--", "<b>", "</b>", "<div>", "</div>", "<b></i>", "<div><p></b>",
                                        "<table><tr><td>", "<p a=\"", "a=b ", "<title>", "&", "&#", "&notit", "<br>", "\r",
                                        "<script><!--<script>", "<ruby><rt>", "<h1>", "<pre>\n", "<template>", "e\xCC\x81" };
    static const char *const markdown[] = { "[", "[a](", "[a]\n", "[a](b)\n", "*a ", "**a ", "_a", "`a", "``a`\n", "> ", "- ",
                                            "- a\n  ", "1. a\n", "<a ", "<!-- a\n", "&", "$a", "![", "|a|b|\n|---|---|\n",
                                            "|---", "\\", "```\n", "    a\n", "[x]: y\n", "# a\n", "a\n", "<b>\n\n" };
    static const char *const csv[] = { "\"", ",", "\"a\"", "\"\n\"", "a,b\n", "\"\"\"\",", "\n", ";\n", "a\t" };
    hostile("html", html, WEFT_COUNT(html));
    hostile("markdown", markdown, WEFT_COUNT(markdown));
    hostile("csv", csv, WEFT_COUNT(csv));
    ordinary("html", "<div class=\"c\"><p>雨下了整整一夜，<b>阿沅</b>推开窗。&hellip;</p>\n<!-- x --></div>\n");
    ordinary("markdown", "## 第一章\n\n雨下了**整整**一夜，[阿沅](http://x/y)推开窗。\n\n- 甲\n- 乙\n\n");
    ordinary("csv", "1,雨下了整整一夜,\"阿沅\"\"推\"\"开窗。\"\n");
    return 0;
}
