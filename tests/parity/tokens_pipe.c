/* tests/parity/tokens_pipe.c - the tokenizer behind two pipes, for tests/parity/tokens.py
 *
 *   tokens_pipe TOKENIZER FLAGS     FLAGS: the sum of WEFT_ENCODE_*
 *   stdin   for each text: u32 length, bytes
 *   stdout  for each text: u32 n, n ids, n begins, u32 length of the decoded text, its bytes; the same without
 *           special tokens
 */
#include "tokens/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

static void put(const void *p, size_t n)
{
    if (fwrite(p, 1, n, stdout) != n) exit(5);
}

static void put_decoded(const struct weft_tokenizer *t, const struct weft_ids *ids, bool skip_special,
                        struct weft_err *err)
{
    struct weft_buf text = { 0 };
    if (weft_decode(t, ids->ids, ids->n, skip_special, &text, err))
        fprintf(stderr, "%s\n", err->msg), exit(1);
    uint32_t n = (uint32_t)text.len;
    put(&n, 4);
    put(text.s, n);
    weft_buf_clear(&text);
}

int main(int argc, char **argv)
{
    struct weft_tokenizer *t = NULL;
    struct weft_encoder *e = NULL;
    struct weft_err err = { 0 };
    struct weft_ids ids = { 0 };
    uint32_t len;
    char *text = NULL;
    if (argc != 3) return 2;
    if (weft_tokenizer_load(&t, argv[1], &err) || weft_encoder_new(&e, t, &err)) {
        fprintf(stderr, "%s %s\n", err.rule, err.msg);
        return 3;
    }
    while (fread(&len, 4, 1, stdin) == 1) {
        text = realloc(text, (size_t)len + 1);
        if (!text || fread(text, 1, len, stdin) != len) return 5;
        ids.n = 0;
        if (weft_encode(e, (struct weft_str){ text, len }, (unsigned)atoi(argv[2]) | WEFT_ENCODE_OFFSETS,
                        &ids, &err)) {
            fprintf(stderr, "%s %s\n", err.rule, err.msg);
            return 3;
        }
        uint32_t n = (uint32_t)ids.n;
        put(&n, 4);
        put(ids.ids, 4 * ids.n);
        put(ids.begin, 4 * ids.n);
        put_decoded(t, &ids, false, &err);
        put_decoded(t, &ids, true, &err);
    }
    free(text);
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
    return 0;
}
