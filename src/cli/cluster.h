/* cli/cluster.h - a verb as one rank of several */
#ifndef WEFT_CLI_CLUSTER_H
#define WEFT_CLI_CLUSTER_H

#include "cli/cli.h"
#include "train/cluster.h"

/* Sets cli->cluster, where a launcher has started this process as one of several; ranks other than 0 fall silent. */
WEFT_MUST_USE enum weft_status weft_cli_cluster_join(struct weft_cli *cli);
/* With the status that the verb ends with.  What all have agreed on is rank 0's to tell; the others end as if all were
 * well, for a launcher that sees one fail stops the rest, and what rank 0 has to say would be lost. */
WEFT_MUST_USE enum weft_status weft_cli_cluster_leave(struct weft_cli *cli, enum weft_status st);

/* WEFT_EARG where a launcher has: the verb is for one process. */
WEFT_MUST_USE enum weft_status weft_cli_alone(struct weft_cli *cli, const char *verb);

/* Threads of a rank that was not given processors of its own: its share of the machine's.  0: the usual number. */
int weft_cli_rank_threads(const struct weft_cli *cli);

static inline bool weft_cli_is_first(const struct weft_cli *cli) { return weft_cluster_rank(cli->cluster) == 0; }

#endif
