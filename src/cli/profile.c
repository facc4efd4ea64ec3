#include "cli/profile.h"
#include "cli/data.h"

#include <stdio.h>

static double seconds_in(const struct weft_profile *p)
{
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) sum += p->rows[i].seconds;
    return sum;
}

/* Rows of p, the longest first; order [p->n]. */
static void sort_rows(const struct weft_profile *p, size_t *order)
{
    for (size_t i = 0; i < p->n; i++) {
        size_t at = i;
        for (; at && p->rows[order[at - 1]].seconds < p->rows[i].seconds; at--) order[at] = order[at - 1];
        order[at] = i;
    }
}

/* "123 GFLOP/s", "4.5 GB/s", or nothing; *share of the machine, below 0: unknown. */
static void rate_of(const struct weft_profile *p, const struct weft_profile_row *r, char out[32], double *share)
{
    *share = -1;
    out[0] = '\0';
    if (!(r->seconds > 0)) return;
    if (r->flop > 0) {
        snprintf(out, 32, "%.1f GFLOP/s", 1e-9 * r->flop / r->seconds);
        if (p->peak > 0) *share = r->flop / r->seconds / p->peak;
    } else if (r->bytes > 0) {
        snprintf(out, 32, "%.1f GB/s", 1e-9 * r->bytes / r->seconds);
        if (p->read > 0) *share = r->bytes / r->seconds / p->read;
    }
}

static void print_row(struct weft_cli *cli, const struct weft_profile *p, const struct weft_profile_row *r)
{
    char rate[32], of[16] = "", calls[32], matrix[160] = "";
    double share;
    rate_of(p, r, rate, &share);
    if (share >= 0) snprintf(of, sizeof of, "%.0f %%", 100 * share);
    if (r->type)
        snprintf(matrix, sizeof matrix, ": %s%s[%zu, %zu] %s", r->matrix, r->matrix[0] ? " " : "", r->n_out, r->n_in,
                 r->type);
    weft_tell(cli, "  %9.3f s %6.1f %% %11s %15s %7s   %s%s\n", r->seconds, 100 * r->seconds / p->seconds,
              weft_cli_count(calls, r->calls), rate, of, weft_tr(cli->lang, weft_op_name(r->op)), matrix);
}

void weft_cli_profile(struct weft_cli *cli, const struct weft_profile *p)
{
    size_t order[WEFT_PROFILE_ROWS];
    double rest = p->seconds - seconds_in(p);
    sort_rows(p, order);
    weft_tell(cli, "\n  profile of %.2f s; this machine: %.1f GFLOP/s, reads %.1f GB/s\n", p->seconds, 1e-9 * p->peak,
              1e-9 * p->read);
    weft_tell(cli, "  time, its share, calls, rate, share of the machine (products: of its GFLOP/s; others: of its GB/s)\n");
    for (size_t i = 0; i < p->n; i++) print_row(cli, p, &p->rows[order[i]]);
    weft_tell(cli, "  %9.3f s %6.1f %% %11s %15s %7s   %s\n", rest, p->seconds > 0 ? 100 * rest / p->seconds : 0, "", "", "",
              weft_tr(cli->lang, "everything else"));
}

static void put_number(struct weft_json_out *o, const char *key, double v)
{
    weft_json_out_key(o, key);
    weft_json_out_double(o, v);
}

void weft_cli_profile_json(struct weft_json_out *o, const struct weft_profile *p)
{
    size_t order[WEFT_PROFILE_ROWS];
    sort_rows(p, order);
    weft_json_out_object(o);
    put_number(o, "seconds", p->seconds);
    put_number(o, "flops", p->peak);
    put_number(o, "read", p->read);
    weft_json_out_key(o, "operations");
    weft_json_out_array(o);
    for (size_t i = 0; i < p->n; i++) {
        const struct weft_profile_row *r = &p->rows[order[i]];
        weft_json_out_object(o);
        weft_json_out_key(o, "operation");
        weft_json_out_cstr(o, weft_op_name(r->op));
        if (r->type) {
            weft_json_out_key(o, "matrix");
            weft_json_out_cstr(o, r->matrix);
            weft_json_out_key(o, "n_out");
            weft_json_out_uint(o, r->n_out);
            weft_json_out_key(o, "n_in");
            weft_json_out_uint(o, r->n_in);
            weft_json_out_key(o, "type");
            weft_json_out_cstr(o, r->type);
        }
        weft_json_out_key(o, "calls");
        weft_json_out_uint(o, r->calls);
        put_number(o, "seconds", r->seconds);
        if (r->flop > 0) put_number(o, "flop", r->flop);
        if (r->bytes > 0) put_number(o, "bytes", r->bytes);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_json_out_object_end(o);
}
