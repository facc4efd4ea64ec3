/* cli/model_files.h - the files beside the weights that make a folder a usable model */
#ifndef WEFT_CLI_MODEL_FILES_H
#define WEFT_CLI_MODEL_FILES_H

#include "cli/cli.h"
#include "model/model.h"
#include "tokens/chat.h"
#include "tokens/tokenizer.h"

/* Copies tokenizer, chat template and generation settings of `from` into the folder `to`; what is absent is
 * left out. */
WEFT_MUST_USE enum weft_status weft_copy_model_files(struct weft_cli *cli, const char *from, const char *to);

/* chat_template.jinja of a folder, in the arena of `cli`; s == NULL: there is none. */
WEFT_MUST_USE enum weft_status weft_read_template(struct weft_cli *cli, const char *dir, struct weft_str *out);
/* A template of tokens/named.h into a folder that is being saved, and the eos token that goes with it into the
 * tokenizer files there.  A model's own template travels with the model's files: nothing is done. */
WEFT_MUST_USE enum weft_status weft_write_template(struct weft_cli *cli, const struct weft_chat_template *chat,
                                                   const char *dir);

/* What is odd about a model's files but no error, as one line of facts each in `out`: settings of config.json that
 * nobody reads, tensors that the index does not name, what the tokenizer says.  Either may be NULL. */
void weft_model_oddities(struct weft_cli *cli, const struct weft_model *model, const struct weft_tokenizer *t,
                         struct weft_buf *out);
/* The same as warnings, each with the folder's name. */
void weft_warn_model(struct weft_cli *cli, const char *dir, const struct weft_model *model,
                     const struct weft_tokenizer *t);

/* tokenizer.json and tokenizer_config.json of a model; json->s == NULL: it has none. */
WEFT_MUST_USE enum weft_status weft_cli_tokenizer_json(struct weft_cli *cli, const char *path, struct weft_str *json,
                                                       struct weft_str *config);
/* m as a GGUF file (model/gguf.h) with the tokenizer of the model at `path` (NULL: without), and its chat template or
 * `chat` where there is one. */
WEFT_MUST_USE enum weft_status weft_cli_write_gguf(struct weft_cli *cli, const struct weft_model *m, const char *path,
                                                   const struct weft_chat_template *chat, const char *type, bool merge,
                                                   const char *output);

#endif
