#include "train/log.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Length of the whole lines in the first `limit` bytes. */
static enum weft_status whole_lines(const char *path, uint64_t limit, uint64_t *out, struct weft_err *err)
{
    struct weft_map m = { 0 };
    enum weft_status st = weft_map_open(&m, path, err);
    if (st) return st;
    size_t n = m.len < limit ? m.len : (size_t)limit;
    while (n && m.p[n - 1] != '\n') n--;
    *out = n;
    weft_map_close(&m);
    return WEFT_OK;
}

enum weft_status weft_log_open(struct weft_log *l, struct weft_arena *a, const char *output_dir, uint64_t bytes,
                               struct weft_err *err)
{
    *l = (struct weft_log){ .path = weft_path_join(a, output_dir, "log.jsonl"),
                            .history = weft_path_join(a, output_dir, "history.jsonl") };
    if (!l->path || !l->history) return weft_fail_nomem(err, strlen(output_dir), "a path");
    if (!weft_file_exists(l->path)) return WEFT_OK;
    enum weft_status st = whole_lines(l->path, bytes, &l->bytes, err);
    if (!st && truncate(l->path, (off_t)l->bytes)) st = weft_fail_errno(err, "cut", l->path);
    return st;
}

void weft_log_close(struct weft_log *l) { weft_buf_clear(&l->buf); }

/* As Python prints a timedelta of whole seconds: "1 day, 2:03:04". */
static const char *clock_text(char *out, size_t n, double seconds)
{
    uint64_t s = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0, days = s / 86400;
    if (days)
        snprintf(out, n, "%llu day%s, %d:%02d:%02d", (unsigned long long)days, days == 1 ? "" : "s",
                 (int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60));
    else
        snprintf(out, n, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    return out;
}

void weft_log_begin(struct weft_log *l, struct weft_json_out *j, uint64_t step, uint64_t total)
{
    weft_buf_reset(&l->buf);
    weft_json_out_init(j, &l->buf);
    j->spaced = true;
    weft_json_out_object(j);
    weft_json_out_key(j, "current_steps");
    weft_json_out_uint(j, step);
    weft_json_out_key(j, "total_steps");
    weft_json_out_uint(j, total);
}

void weft_log_finish(struct weft_log *l, struct weft_json_out *j, double elapsed_s, double left_s, double tokens_per_s)
{
    char text[64];
    weft_json_out_key(j, "elapsed_time");
    weft_json_out_cstr(j, clock_text(text, sizeof text, elapsed_s));
    weft_json_out_key(j, "remaining_time");
    weft_json_out_cstr(j, clock_text(text, sizeof text, left_s));
    weft_json_out_key(j, "tokens_per_s");
    weft_json_out_double(j, round(tokens_per_s * 10) / 10);
    weft_json_out_object_end(j);
    weft_buf_char(&l->buf, '\n');
}

enum weft_status weft_log_append(struct weft_log *l, struct weft_err *err)
{
    enum weft_status st = weft_buf_check(&l->buf, "a line of log.jsonl", err);
    if (!st) st = weft_file_append(l->path, weft_buf_view(&l->buf), err);
    if (!st) l->bytes += l->buf.len;
    else if (truncate(l->path, (off_t)l->bytes)) { /* the first error is the one to tell */ }
    return st;
}

enum weft_status weft_log_sync(struct weft_log *l, struct weft_err *err)
{
    if (!l->bytes) return WEFT_OK;
    int fd = open(l->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return weft_fail_errno(err, "open", l->path);
    enum weft_status st = fsync(fd) ? weft_fail_errno(err, "sync", l->path) : WEFT_OK;
    if (close(fd) && !st) st = weft_fail_errno(err, "close", l->path);
    return st;
}

enum weft_status weft_log_history(struct weft_log *l, const char *event, uint64_t step, const char *key,
                                  const char *text, struct weft_err *err)
{
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    struct weft_json_out j;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    weft_buf_reset(&l->buf);
    weft_json_out_init(&j, &l->buf);
    j.spaced = true;
    weft_json_out_object(&j);
    weft_json_out_key(&j, "time");
    weft_json_out_cstr(&j, when);
    weft_json_out_key(&j, "event");
    weft_json_out_cstr(&j, event);
    weft_json_out_key(&j, "step");
    weft_json_out_uint(&j, step);
    if (key) {
        weft_json_out_key(&j, key);
        weft_json_out_cstr(&j, text);
    }
    weft_json_out_object_end(&j);
    weft_buf_char(&l->buf, '\n');
    enum weft_status st = weft_buf_check(&l->buf, "a line of history.jsonl", err);
    return st ? st : weft_file_append(l->history, weft_buf_view(&l->buf), err);
}
