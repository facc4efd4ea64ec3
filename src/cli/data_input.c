/* How the verbs on data find and read their rows. */
#include "cli/data.h"

#include "dataset/info.h"

enum weft_status weft_data_find(struct weft_cli *cli, const struct weft_data_input *in, const char *word,
                                const char **path, struct weft_rows_settings *how)
{
    struct weft_info info;
    *path = word;
    *how = in->rows;
    if (!in->info || strcmp(word, "-") == 0 || weft_file_exists(word)) return WEFT_OK;
    enum weft_status st = weft_info_find(&cli->arena, in->info, word, &info, &cli->err);
    if (st) return st;
    *path = info.path;
    if (how->format == WEFT_FORMAT_AUTO) how->format = info.format;
    if (!how->columns.n) how->columns = info.columns;
    return WEFT_OK;
}

enum weft_status weft_data_each(struct weft_cli *cli, const struct weft_data_input *in, const char *word,
                                enum weft_status (*each)(void *ctx, const struct weft_row *row, struct weft_err *err),
                                void *ctx, const char **path, struct weft_report *report, struct weft_rows_shape *shape)
{
    struct weft_rows_settings how;
    struct weft_rows_shape own;
    if (!shape) shape = &own;
    enum weft_status st = weft_data_find(cli, in, word, path, &how);
    if (!st) st = weft_rows_each(&cli->arena, *path, &how, each, ctx, report, shape, &cli->err);
    if (!st) weft_data_shape_note(cli, *path, shape);
    return st;
}

enum weft_status weft_data_to_stdout(struct weft_cli *cli, const char *output, bool *to_stdout)
{
    *to_stdout = output && strcmp(output, "-") == 0;
    if (*to_stdout && cli->json)
        return weft_fail(&cli->err, WEFT_EARG, "-o - and --json both want standard output; name a file");
    return WEFT_OK;
}

enum weft_status weft_data_read(struct weft_cli *cli, const struct weft_data_input *in,
                                const struct weft_str_list *files, struct weft_rows *rows,
                                struct weft_report *report)
{
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < files->n; i++) {
        struct weft_rows_settings how;
        struct weft_rows_shape shape;
        const char *path;
        st = weft_data_find(cli, in, files->items[i], &path, &how);
        weft_progress_update(&cli->progress, "reading", i, files->n, "files", files->items[i]);
        if (!st) st = weft_rows_read(&cli->arena, path, &how, rows, report, &shape, &cli->err);
        if (!st) weft_data_shape_note(cli, path, &shape);
    }
    weft_cli_progress_end(cli);
    return st;
}

enum weft_status weft_data_tick(struct weft_cli *cli, const char *stage, uint64_t row, uint64_t of,
                                struct weft_err *err)
{
    if (row % 1024) return WEFT_OK;
    weft_progress_update(&cli->progress, stage, row, of, "rows", "");
    return weft_progress_cancelled(&cli->progress) ? weft_fail(err, WEFT_ECANCEL, "stopped") : WEFT_OK;
}
