/* weft.h - the library behind the weft program
 *
 *     #include <weft/weft.h>
 *     cc mine.c $(pkg-config --cflags --libs weft)
 *
 * Each folder of the source tree is a module with headers of its own, installed under the same names
 * (<weft/base/json.h>); a header is the manual of its module.  This file names the seams, in the order the data
 * travels, and includes them all.  A program that needs one thing includes that one header.
 *
 * Rules that hold everywhere (docs/base.md):
 *   - a function that can fail returns enum weft_status and writes one sentence into a struct weft_err;
 *   - memory comes from a struct weft_arena that the caller makes and clears;
 *   - the library never prints, never exits, and reads no environment;
 *   - there is no global state: two threads may use it at once on different objects.
 * Version 0: names and structures may still change with each minor version.
 */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

/* base: what everything stands on */
#include "base/arena.h"     /* memory by lifetime */
#include "base/file.h"      /* files whole or absent */
#include "base/hash.h"      /* SHA-256, XXH3 */
#include "base/json.h"      /* strict JSON */
#include "base/lang.h"      /* messages in English and Chinese */
#include "base/option.h"    /* settings: YAML, command line, help from one table */
#include "base/pool.h"      /* threads */
#include "base/progress.h"  /* how far long work is */
#include "base/rng.h"       /* random numbers by counter */
#include "base/status.h"    /* errors */
#include "base/str.h"       /* text, UTF-8, buffers */

/* kernels: arithmetic on arrays, by instruction level */
#include "kernels/kernels.h"

/* text: any file to UTF-8 text that remembers where each line came from */
#include "text/text.h"

/* dataset: text to rows, checked and split */
#include "dataset/check.h"
#include "dataset/formats.h"
#include "dataset/row.h"
#include "dataset/screenplay.h"
#include "dataset/split.h"

/* tokens: rows to token ids and labels */
#include "tokens/bpe_train.h"
#include "tokens/chat.h"
#include "tokens/collate.h"
#include "tokens/tokenizer.h"

/* model: files to weights, ids to logits and back */
#include "model/config.h"
#include "model/generate.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "model/sample.h"

/* train: rows and a model to an adapter or new weights */
#include "train/checkpoint.h"
#include "train/optimizer.h"
#include "train/recipe.h"
#include "train/run.h"
#include "train/trainer.h"

/* adapter: low-rank branches on a model */
#include "adapter/lora.h"

#endif
