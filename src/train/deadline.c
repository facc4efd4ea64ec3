#include "train/deadline.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Two digits or one, up to `most`. */
static bool number(const char **p, int most, int *out)
{
    int v = 0, n = 0;
    while (isdigit((unsigned char)**p) && n < 2) v = v * 10 + (*(*p)++ - '0'), n++;
    *out = v;
    return n > 0 && v <= most;
}

static bool clock_time(const char *p, struct tm *tm)
{
    tm->tm_sec = 0;
    return number(&p, 23, &tm->tm_hour) && *p++ == ':' && strlen(p) == 2 && number(&p, 59, &tm->tm_min) && !*p;
}

/* "1h30m" */
static bool duration(const char *p, time_t *out)
{
    time_t total = 0;
    if (!*p) return false;
    while (*p) {
        char *end;
        if (!isdigit((unsigned char)*p)) return false;
        unsigned long v = strtoul(p, &end, 10);
        if (v > 1000000) return false;
        if (*end == 'h') total += (time_t)v * 3600;
        else if (*end == 'm') total += (time_t)v * 60;
        else if (*end == 's') total += (time_t)v;
        else return false;
        p = end + 1;
    }
    *out = total;
    return total > 0;
}

/* The number that n digits write; that they are digits is known. */
static int written(const char *p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++) v = v * 10 + (p[i] - '0');
    return v;
}

static bool date_time(const char *p, struct tm *tm)
{
    static const char form[] = "dddd-dd-dd ";
    for (size_t i = 0; form[i]; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)p[i])
                           : p[i] != form[i] && !(form[i] == ' ' && p[i] == 'T'))
            return false;
    tm->tm_year = written(p, 4) - 1900;
    tm->tm_mon = written(p + 5, 2) - 1;
    tm->tm_mday = written(p + 8, 2);
    return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31 && clock_time(p + 11, tm);
}

enum weft_status weft_deadline_parse(const char *text, time_t now, time_t *out, struct weft_err *err)
{
    struct tm tm;
    time_t wait;
    localtime_r(&now, &tm);
    tm.tm_isdst = -1;               /* as the rules of that day say */
    if (text[0] == '+' && duration(text + 1, &wait)) {
        *out = now + wait;
        return WEFT_OK;
    }
    bool date = false, clock = clock_time(text, &tm);
    if (!clock) date = date_time(text, &tm);
    if (!clock && !date)
        return weft_fail(err, WEFT_EINPUT,
                         "until is \"%s\"; expected a time such as 07:00, \"2026-12-01 07:00\", or a while such as +2h30m", text);
    struct tm day = tm;
    *out = mktime(&tm);
    if (clock && *out <= now) {     /* tomorrow */
        day.tm_mday++;
        *out = mktime(&day);
    }
    if (*out <= now) return weft_fail(err, WEFT_EINPUT, "until: %s has passed", text);
    return WEFT_OK;
}

uint64_t weft_deadline_fit(const struct weft_deadline *d, uint64_t step, uint64_t total, double now)
{
    uint64_t done = step - d->first_step;
    if (!(d->at > 0) || !done) return total;
    double each = (now - d->begun) / (double)done, left = d->at - now - d->closing_s;
    double fits = each > 0 ? left / each : (double)(d->most - step);
    uint64_t most = d->most > step ? d->most - step : 0, more = fits <= 0              ? 0
                                                                : fits >= (double)most ? most
                                                                                       : (uint64_t)fits;
    uint64_t planned = total > step ? total - step : 0, off = more > planned ? more - planned : planned - more;
    return off * 50 <= planned && more > 0 ? total : step + more;
}
