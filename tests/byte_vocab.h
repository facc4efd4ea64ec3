/* tests/byte_vocab.h - the vocabulary of a byte-level tokenizer whose token i is byte i */
#ifndef WEFT_TESTS_BYTE_VOCAB_H
#define WEFT_TESTS_BYTE_VOCAB_H

#include "base/str.h"

/* The byte's letter in byte-level vocabularies. */
static inline uint32_t byte_letter(unsigned byte)
{
    unsigned next = 256;
    for (unsigned b = 0; b < 256; b++) {
        bool kept = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (b == byte) return kept ? b : next;
        next += !kept;
    }
    return 0;
}

/* Members of a "vocab" object: "!":33,"\"":34, ... */
static inline void put_byte_vocab(struct weft_buf *b)
{
    for (unsigned i = 0; i < 256; i++) {
        uint32_t letter = byte_letter(i);
        weft_buf_cstr(b, i ? ",\"" : "\"");
        if (letter == '"' || letter == '\\') weft_buf_char(b, '\\');
        weft_buf_utf8(b, letter);
        weft_buf_printf(b, "\":%u", i);
    }
}

#endif
