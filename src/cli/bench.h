/* cli/bench.h - what the benchmarks of `weft bench` share */
#ifndef WEFT_CLI_BENCH_H
#define WEFT_CLI_BENCH_H

#include "base/json.h"
#include "cli/verbs.h"

#define WEFT_BENCH_BASES "bf16|int8|q8_0|q4_0|nf4"

/* What `weft bench train` measures. */
struct weft_bench_training {
    int base;                       /* index into WEFT_BENCH_BASES */
    int64_t rows, length;           /* of a step, in tokens */
};

struct weft_bench {
    struct weft_cli *cli;
    const char *model;              /* second word of the command line; NULL: none */
    struct weft_bench_training training;
    struct weft_json_out out;       /* with --json: an array of rows */
};

/* One figure; share and `of` ("peak", "memory read") say what it is a part of, `of` NULL: of nothing. */
void weft_bench_row(struct weft_bench *b, const char *name, double value, const char *unit, double share,
                    const char *of);

#endif
