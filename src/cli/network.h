/* cli/network.h - what the environment says about the network: proxies, certificates, hubs, tokens */
#ifndef WEFT_CLI_NETWORK_H
#define WEFT_CLI_NETWORK_H

#include "cli/cli.h"
#include "store/hub.h"

/* HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY (either case) and SSL_CERT_FILE. */
void weft_cli_network(struct weft_cli *cli, struct weft_http_options *out);

/* HF_ENDPOINT, HF_TOKEN (or the file that `hf auth login` leaves), HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE,
 * MODELSCOPE_DOMAIN, MODELSCOPE_API_TOKEN, MODELSCOPE_CACHE, and the network. */
WEFT_MUST_USE enum weft_status weft_cli_hub(struct weft_cli *cli, struct weft_hub_options *out);

/* Is this MODEL word the name of a repository ("hf:...", "ms:...")? */
bool weft_cli_is_repo(const char *word);

#endif
