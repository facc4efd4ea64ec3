/* Several text files as one input: the part that all verbs which read prose share. */
#include "cli/data.h"

#include <inttypes.h>

enum weft_status weft_data_texts(struct weft_cli *cli, const struct weft_str_list *files,
                                 const struct weft_text_settings *s, struct weft_data_texts *out)
{
    out->items = WEFT_NEWS(&cli->arena, struct weft_text, files->n);
    if (!out->items) return weft_fail_nomem(&cli->err, files->n * sizeof *out->items, "the texts");
    for (size_t i = 0; i < files->n; i++) {
        enum weft_status st = weft_text_read(&cli->arena, files->items[i], s, &out->items[out->n], &cli->err);
        if (st && (files->n == 1 || (st != WEFT_EINPUT && st != WEFT_ELIMIT))) return st;
        if (st) { /* A12: a file that cannot be read is named and left out; the others go on */
            weft_warn(cli, "%s [%s]", cli->err.msg, cli->err.rule);
            weft_err_clear(&cli->err);
            out->n_failed++;
            continue;
        }
        const struct weft_text *t = &out->items[out->n++];
        out->partial |= weft_text_partial(t);
        weft_data_script_repairs(cli, t);
    }
    out->partial |= out->n_failed > 0;
    return out->n ? WEFT_OK : weft_fail(&cli->err, WEFT_EINPUT, "none of %zu files could be read", files->n);
}

void weft_data_texts_show(struct weft_cli *cli, const struct weft_data_texts *texts)
{
    for (size_t i = 0; i < texts->n; i++) {
        const struct weft_text *t = &texts->items[i];
        weft_say(cli, "%.*s: %s, %zu lines\n", (int)t->name.len, t->name.s, weft_charset_name(t->charset),
                 t->n_lines);
    }
}

void weft_data_texts_members(struct weft_json_out *o, const struct weft_data_texts *texts)
{
    weft_json_out_key(o, "files");
    weft_json_out_array(o);
    for (size_t i = 0; i < texts->n; i++) {
        const struct weft_text *t = &texts->items[i];
        weft_json_out_object(o);
        weft_data_key_str(o, "file", t->name);
        weft_data_key_str(o, "sha256", weft_str_c(t->sha256));
        weft_data_key_str(o, "charset", weft_str_c(weft_charset_name(t->charset)));
        weft_data_key_uint(o, "lines", t->n_lines);
        weft_data_key_uint(o, "repaired", t->repaired + t->nul_dropped);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_data_key_uint(o, "files_failed", texts->n_failed);
}

enum weft_status weft_data_texts_verdict(struct weft_cli *cli, const struct weft_data_texts *texts)
{
    if (!texts->partial) return WEFT_OK;
    return weft_fail(&cli->err, WEFT_EPARTIAL, "some input was damaged or left out; see above");
}
