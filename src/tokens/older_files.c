/* tokens/older_files.c - vocab.json and merges.txt, the files of byte-level tokenizers before
 * tokenizer.json
 *
 * They hold the model and nothing else; what happens around it was code, chosen by the tokenizer's class.
 * The two are written into one text in the form of tokenizer.json and read as such, so that there is one
 * reader and one set of rules.  The vocabulary comes first and as it is, so that places in messages are
 * those of vocab.json.
 */
#include "tokens/tokenizer_parts.h"

#include "base/file.h"

static const char byte_level[] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}";

/* Qwen2's class splits by its own pattern after NFC; GPT-2's, which others took over, has the pattern in
 * ByteLevel. */
static void write_pipeline(struct weft_str tokenizer_class, struct weft_buf *out)
{
    if (weft_str_starts(tokenizer_class, WEFT_STR("Qwen2"))) {
        struct weft_json_out j;
        weft_buf_cstr(
            out,
            ",\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"behavior\":\"Isolated\","
            "\"pattern\":{\"Regex\":");
        weft_json_out_init(&j, out);
        weft_json_out_cstr(&j, weft_pattern_by_name("qwen2")->text);
        weft_buf_printf(out, "}},%s]}", byte_level);
    } else {
        weft_buf_cstr(out, ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}");
    }
    weft_buf_printf(out, ",\"decoder\":%s", byte_level);
}

enum weft_status weft_tokenizer_from_older_files(struct weft_str vocab, struct weft_str merges,
                                                 struct weft_str tokenizer_class, struct weft_buf *out,
                                                 struct weft_err *err)
{
    struct weft_lines lines = { .text = merges };
    struct weft_str line;
    struct weft_json_out j;
    weft_buf_cstr(out, "{\"version\":\"1.0\",\"model\":{\"vocab\":");
    weft_buf_str(out, vocab);
    weft_buf_cstr(out, ",\"merges\":");
    weft_json_out_init(&j, out);
    weft_json_out_array(&j);
    while (weft_lines_next(&lines, &line))
        if (line.len && !(lines.line == 1 && weft_str_starts(line, WEFT_STR("#version"))))
            weft_json_out_str(&j, line);
    weft_json_out_array_end(&j);
    weft_buf_char(out, '}');
    write_pipeline(tokenizer_class, out);
    weft_buf_char(out, '}');
    return weft_buf_check(out, "tokenizer", err);
}
