#include "cli/model_files.h"

#include "base/file.h"

static const char *const names[] = {
    "tokenizer.json",     "tokenizer_config.json",  "special_tokens_map.json", "vocab.json", "merges.txt",
    "tokenizer.model",    "added_tokens.json",      "generation_config.json",  "chat_template.jinja",
};

enum weft_status weft_copy_model_files(struct weft_cli *cli, const char *from, const char *to)
{
    struct weft_arena scratch = { 0 };
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < WEFT_COUNT(names); i++) {
        const char *source = weft_path_join(&scratch, from, names[i]), *target = weft_path_join(&scratch, to, names[i]);
        struct weft_str content;
        if (!source || !target) st = weft_fail_nomem(&cli->err, 0, "a path");
        else if (weft_file_exists(source)) {
            st = weft_file_read(&scratch, source, 256u << 20, &content, &cli->err);
            if (!st) st = weft_file_write(target, content, &cli->err);
        }
    }
    weft_arena_clear(&scratch);
    return st;
}
