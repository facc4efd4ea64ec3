/* cli/token_cache.h - where collated examples are kept, and for how long
 *
 * HOME/cache/tokens/KEY.tokens (tokens/cache.h), or the folder of the recipe's tokenized_path.  Rows of less text than
 * WEFT_TOKEN_CACHE_TEXT are collated faster than they are looked for, and are kept only where tokenized_path says so.
 * HOME's folder holds at most WEFT_TOKEN_CACHE_BYTES: what was used longest ago goes first.  No trouble with a cache
 * ends a run: it costs a warning, and the rows are collated.
 */
#ifndef WEFT_CLI_TOKEN_CACHE_H
#define WEFT_CLI_TOKEN_CACHE_H

#include "cli/cli.h"
#include "tokens/collate.h"
#include "train/recipe.h"

enum { WEFT_TOKEN_CACHE_TEXT = 4 << 20 };
#define WEFT_TOKEN_CACHE_BYTES (UINT64_C(4) << 30)

/* weft_collate_rows, or what it once gave.  base_dir: where the tokenizer's files lie. */
WEFT_MUST_USE enum weft_status weft_cli_collate(struct weft_cli *cli, const struct weft_recipe *r, const char *base_dir,
                                                const struct weft_tokenizer *t, const struct weft_chat_template *chat,
                                                const struct weft_rows *rows, const struct weft_collate_settings *how,
                                                struct weft_examples *out);

/* What HOME's folder holds. */
WEFT_MUST_USE enum weft_status weft_token_cache_size(struct weft_cli *cli, size_t *files, uint64_t *bytes);
/* All of it goes. */
WEFT_MUST_USE enum weft_status weft_token_cache_remove(struct weft_cli *cli);

#endif
