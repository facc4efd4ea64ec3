/* cli/profile.h - a profile (kernels/profile.h) as a table, and as JSON */
#ifndef WEFT_CLI_PROFILE_H
#define WEFT_CLI_PROFILE_H

#include "cli/cli.h"
#include "base/json.h"
#include "kernels/profile.h"

/* Longest first; what the spans do not cover stands in the last line. */
void weft_cli_profile(struct weft_cli *cli, const struct weft_profile *p);
/* One object: seconds, flops (the machine's FLOP/s), read (bytes/s), operations [...]. */
void weft_cli_profile_json(struct weft_json_out *o, const struct weft_profile *p);

#endif
