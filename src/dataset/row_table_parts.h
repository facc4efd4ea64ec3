/* dataset/row_table_parts.h - rows as tables for spreadsheets: one column a member; inside dataset/ only
 *
 * A cell is text or JSON.  instruction, input, output, text and tools are always text; system, chosen and rejected
 * are text unless they are a JSON object, array or string; every other cell is JSON where it is JSON, else text. 
 * Text that would be read as JSON, or is empty where empty means absent, is written as a JSON string: what is
 * written reads back equal.  An empty cell is an absent member; but in a row that has no other shape, an empty
 * instruction or output is empty text.
 */
#ifndef WEFT_DATASET_ROW_TABLE_PARTS_H
#define WEFT_DATASET_ROW_TABLE_PARTS_H

#include "dataset/format_parts.h"
#include "text/csv.h"

enum weft_cell { WEFT_CELL_JSON, WEFT_CELL_TEXT, WEFT_CELL_MOSTLY_TEXT };

struct weft_row_header {
    struct weft_str *names;     /* in the arena */
    enum weft_cell *cells;      /* [n] what stands in the column */
    bool *shapes;               /* [n] the column marks a row of another shape than Alpaca */
    size_t n, instruction, output, chosen, preferred;       /* SIZE_MAX: no such column */
    char separator;
};

/* Is the first row of `text` the header of a table of rows: does a column have the key of a format (by the columns
 * setting)?  Then *out is filled; else false. */
bool weft_table_sniff(struct weft_arena *a, struct weft_str text, const struct weft_rows_settings *s,
                      struct weft_row_header *out);

/* One row as the tree that the formats read; strings point into the cells or the arena.  False: no memory. */
bool weft_table_tree(struct weft_arena *a, const struct weft_row_header *h, const struct weft_csv_row *row,
                     struct weft_json_value *out);

/* Rows gathered as JSON lines, written as a table at the end, when all columns are known: memory of the whole text.
 * */
struct weft_table_out {
    struct weft_buf lines;
};
WEFT_MUST_USE enum weft_status weft_table_write(const struct weft_table_out *t, char separator, struct weft_out *out,
                                                struct weft_err *err);

#endif
