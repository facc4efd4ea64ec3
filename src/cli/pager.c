/* A page of text and a key: the terminal is in raw mode only while a key is waited for, so that whatever ends the
 * program leaves it as it was. */
#include "cli/data_row.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

bool weft_pager_can(void) { return weft_cli_is_terminal(STDIN_FILENO) && weft_cli_is_terminal(STDOUT_FILENO); }

static void screen(size_t *rows, size_t *columns)
{
    struct winsize size = { 0 };
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row >= 4 && size.ws_col >= 20;
    *rows = known ? size.ws_row : 24;
    *columns = known ? size.ws_col : 80;
}

/* A byte, -1 at the end of input or when a signal says stop; `wait_ms` < 0: as long as it takes. */
static int next_byte(struct weft_cli *cli, int wait_ms)
{
    unsigned char c;
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    for (;;) {
        if (weft_progress_cancelled(&cli->progress)) return -1;
        int ready = poll(&p, 1, wait_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return -1;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        return n == 1 ? c : -1;
    }
}

/* Escape sequences of the keys that move: ESC [ A and its like. */
static int read_key(struct weft_cli *cli)
{
    int c = next_byte(cli, -1);
    if (c != 0x1b) return c;
    int next = next_byte(cli, 50);
    if (next != '[' && next != 'O') return 0x1b;
    switch (next_byte(cli, 50)) {
    case 'A': return WEFT_KEY_UP;
    case 'B': return WEFT_KEY_DOWN;
    case 'C': return WEFT_KEY_RIGHT;
    case 'D': return WEFT_KEY_LEFT;
    case 'H': return WEFT_KEY_HOME;
    case 'F': return WEFT_KEY_LAST;
    case '5': return next_byte(cli, 50), 'b';       /* page up and down */
    case '6': return next_byte(cli, 50), ' ';
    default: return 0x1b;
    }
}

static int wait_key(struct weft_cli *cli)
{
    struct termios before, raw;
    if (tcgetattr(STDIN_FILENO, &before)) return WEFT_KEY_END;
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw)) return WEFT_KEY_END;
    int key = read_key(cli);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    return key < 0 ? WEFT_KEY_END : key;
}

/* Where each line of the screen begins: at line ends, and where a line is wider than the screen. */
static size_t *fold(struct weft_arena *a, struct weft_str text, size_t columns, size_t *n)
{
    size_t used = 0, *at = WEFT_NEWS(a, size_t, text.len + 2);
    *n = 0;
    if (!at) return NULL;
    if (text.len) at[(*n)++] = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t cp;
        size_t bytes = weft_utf8_decode(text.s + i, text.len - i, &cp, NULL);
        size_t width = cp == '\n' ? 0 : weft_utf8_width(weft_str_sub(text, i, i + bytes));
        if (used + width > columns) {
            at[(*n)++] = i;
            used = 0;
        }
        used += width;
        i += bytes;
        if (cp == '\n' && i < text.len) {
            at[(*n)++] = i;
            used = 0;
        }
    }
    at[*n] = text.len;
    return at;
}

static void draw(struct weft_str text, const size_t *at, size_t n, size_t top, size_t rows, const char *status)
{
    fputs("\033[H\033[2J", stdout);
    for (size_t i = top; i < n && i < top + rows; i++) {
        struct weft_str line = weft_str_sub(text, at[i], at[i + 1]);
        if (line.len && line.s[line.len - 1] == '\n') line.len--;
        fwrite(line.s, 1, line.len, stdout);
        fputc('\n', stdout);
    }
    printf("\033[%zu;1H\033[7m%s\033[0m", rows + 1, status);
    fflush(stdout);
}

int weft_pager_show(struct weft_cli *cli, struct weft_str text, const char *status)
{
    struct weft_arena scratch = { 0 };
    size_t rows, columns, n, top = 0;
    int key = WEFT_KEY_END;
    weft_cli_progress_end(cli);
    for (;;) {
        screen(&rows, &columns);
        rows--;
        weft_arena_clear(&scratch);
        size_t *at = fold(&scratch, text, columns, &n);
        size_t most = n > rows ? n - rows : 0;
        if (!at) break;
        top = weft_min_size(top, most);
        draw(text, at, n, top, rows, status);
        key = wait_key(cli);
        if (key == WEFT_KEY_DOWN && most) top++;
        else if (key == WEFT_KEY_UP && most) top -= top > 0;
        else if (key == ' ' && top < most) top += rows;
        else if (key == 'b' && top) top -= weft_min_size(top, rows);
        else break;
    }
    weft_arena_clear(&scratch);
    printf("\n");
    fflush(stdout);
    return key;
}

const char *weft_pager_ask(struct weft_cli *cli, const char *prompt)
{
    char line[1024];
    size_t n = 0;
    printf("\r\033[K%s ", prompt);
    fflush(stdout);
    /* Byte by byte: a buffer of stdio's would swallow keys typed ahead. */
    for (int c; (c = next_byte(cli, -1)) >= 0 && c != '\n';)
        if (n + 1 < sizeof line) line[n++] = (char)c;
    struct weft_str word = weft_str_trim_ascii((struct weft_str){ line, n });
    return word.len ? weft_arena_strndup(&cli->arena, word.s, word.len) : NULL;
}
