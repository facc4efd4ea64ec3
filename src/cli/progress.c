/* Progress is drawn on stderr.  On a terminal one line is rewritten at most ten times a second; elsewhere a plain
 * line is written every ten seconds and at the end of a stage, so that a log stays short. */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static volatile int stop_signal;    /* the one mutable global: only a signal handler has nobody to pass it a context */

static void on_signal(int number)
{
    if (stop_signal) _exit(128 + number);
    stop_signal = number;
}

volatile const int *weft_cli_signals(void)
{
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
    return &stop_signal;
}

uint64_t weft_cli_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

const char *weft_cli_duration(char out[32], double seconds)
{
    if (!(seconds >= 0)) seconds = 0;
    unsigned long long s = (unsigned long long)(seconds + 0.5);
    if (s >= 3600) snprintf(out, 32, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
    else snprintf(out, 32, "%llu:%02llu", s / 60, s % 60);
    return out;
}

const char *weft_cli_count(char out[32], uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), w = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) out[w++] = ',';
        out[w++] = digits[i];
    }
    out[w] = '\0';
    return out;
}

const char *weft_cli_bytes(char out[32], uint64_t n)
{
    static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double v = (double)n;
    size_t u = 0;
    while (v >= 1000 && u + 1 < WEFT_COUNT(unit)) v /= 1024, u++;
    snprintf(out, 32, u && v < 100 ? "%.1f %s" : "%.0f %s", v, unit[u]);
    return out;
}

void weft_cli_progress_end(struct weft_cli *cli)
{
    if (!cli->line.on_line) return;
    fputc('\n', stderr);
    cli->line.on_line = false;
}

static void draw(struct weft_cli *cli, uint64_t done, uint64_t total, const char *unit, const char *note, bool terminal)
{
    char count[32], of[32], left[32];
    double seconds = (double)(weft_cli_now_ms() - cli->line.started_ms) / 1000;
    double rate = seconds > 0.2 ? (double)(done - cli->line.first_done) / seconds : 0;
    struct weft_buf text = { 0 };
    weft_buf_printf(&text, "%s", weft_tr(cli->lang, cli->line.stage));
    if (total) {
        unsigned percent = (unsigned)(100.0 * (double)done / (double)total);
        if (terminal) {
            static const char bar[] = "####################";
            weft_buf_printf(&text, " [%-20.*s]", (int)(percent > 100 ? 20 : percent / 5), bar);
        }
        weft_buf_printf(&text, " %u%%  %s/%s %s", percent, weft_cli_count(count, done), weft_cli_count(of, total),
                        weft_tr(cli->lang, unit));
    } else {
        weft_buf_printf(&text, "  %s %s", weft_cli_count(count, done), weft_tr(cli->lang, unit));
    }
    if (note[0]) weft_buf_printf(&text, "  %s", note);
    if (rate > 0 && total > done) {
        weft_cli_duration(left, (double)(total - done) / rate);
        weft_buf_cstr(&text, "  ");
        weft_buf_cstr(&text, left);
        weft_buf_cstr(&text, cli->lang == WEFT_LANG_ZH ? " 剩余" : " left");
    }
    if (!text.failed) {
        if (terminal) {
            size_t columns = weft_cli_columns();
            while (text.len && weft_utf8_width(weft_buf_view(&text)) >= columns) {      /* never wraps */
                text.len--;
                while (text.len && ((unsigned char)text.s[text.len] & 0xC0) == 0x80) text.len--;
                text.s[text.len] = '\0';
            }
            fprintf(stderr, "\r\033[K%s", text.s);
            fflush(stderr);
        } else {
            fprintf(stderr, "%s\n", text.s);
        }
    }
    weft_buf_clear(&text);
}

static void update(void *ctx, const char *stage, uint64_t done, uint64_t total, const char *unit, const char *note)
{
    struct weft_cli *cli = ctx;
    if (cli->quiet) return;
    bool terminal = weft_cli_is_terminal(STDERR_FILENO), finished = total && done >= total;
    uint64_t now = weft_cli_now_ms();
    if (!cli->line.stage || strcmp(cli->line.stage, stage) != 0) {
        weft_cli_progress_end(cli);
        cli->line.stage = stage;
        cli->line.first_done = done;
        cli->line.started_ms = cli->line.drawn_ms = now;
        if (!finished) return;          /* short work shows nothing */
    }
    uint64_t pause = terminal ? 100 : 10000;
    if (now - cli->line.drawn_ms < pause
        && !(finished && (terminal ? cli->line.on_line : now - cli->line.started_ms > pause)))
        return;
    cli->line.drawn_ms = now;
    draw(cli, done, total, unit, note, terminal);
    cli->line.on_line = terminal;
    if (finished) {
        weft_cli_progress_end(cli);
        cli->line.stage = NULL;
    }
}

static void message(void *ctx, const char *text)
{
    struct weft_cli *cli = ctx;
    if (cli->quiet) return;
    weft_cli_progress_end(cli);
    fprintf(stderr, "%s\n", text);
}

void weft_cli_progress_init(struct weft_cli *cli)
{
    cli->progress = (struct weft_progress){ update, message, cli, weft_cli_signals() };
}
