/* Two texts side by side.  Widths are terminal columns: a Chinese character takes two. */
#include "cli/session.h"

#include <stdio.h>

enum { NARROW = 64, GAP = 3 };

/* Takes from *text what fits into `width` columns (at least one character), up to and without a newline. */
static struct weft_str take_line(struct weft_str *text, size_t width)
{
    struct weft_str rest = *text;
    size_t used = 0, n = 0, space = 0;
    while (n < rest.len && rest.s[n] != '\n') {
        uint32_t cp;
        size_t bytes = weft_utf8_decode(rest.s + n, rest.len - n, &cp, NULL);
        size_t w = weft_utf8_width(weft_str_sub(rest, n, n + bytes));
        if (used + w > width && n) {
            if (space && cp < 0x2E80) n = space;        /* words stay whole; Chinese breaks anywhere */
            break;
        }
        used += w;
        n += bytes;
        if (cp == ' ') space = n;
    }
    struct weft_str line = weft_str_sub(rest, 0, n);
    if (n < rest.len && rest.s[n] == '\n') n++;
    *text = weft_str_skip(rest, n);
    return line;
}

static void put_padded(struct weft_str s, size_t width)
{
    size_t used = weft_utf8_width(s);
    fwrite(s.s ? s.s : "", 1, s.len, stdout);
    for (; used < width; used++) putchar(' ');
}

void weft_print_columns(struct weft_cli *cli, const char *left_head, struct weft_str left,
                        const char *right_head, struct weft_str right)
{
    size_t columns = weft_min_size(weft_cli_columns(), 120), width = (columns - 4 - GAP) / 2;
    struct weft_str heads[2] = { weft_str_c(weft_tr(cli->lang, left_head)),
                                 weft_str_c(weft_tr(cli->lang, right_head)) };
    struct weft_str texts[2] = { weft_str_trim_ascii(left), weft_str_trim_ascii(right) };
    weft_cli_progress_end(cli);
    if (columns < NARROW) {
        for (int i = 0; i < 2; i++)
            printf("  %.*s: %.*s\n", (int)heads[i].len, heads[i].s, (int)texts[i].len, texts[i].s);
        return;
    }
    fputs("    ", stdout);
    put_padded(heads[0], width);
    fputs(" | ", stdout);
    put_padded(heads[1], 0);
    putchar('\n');
    while (texts[0].len || texts[1].len) {
        fputs("    ", stdout);
        put_padded(take_line(&texts[0], width), width);
        fputs(" | ", stdout);
        put_padded(take_line(&texts[1], width), 0);
        putchar('\n');
    }
}
