#include "cli/network.h"

#include "base/file.h"

#include <stdlib.h>

/* The first of the names that is set and not empty. */
static const char *first_of(const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0]) return value;
    }
    return NULL;
}
#define FIRST_OF(...)                                                                                             \
    first_of((const char *const[]){ __VA_ARGS__ }, WEFT_COUNT(((const char *const[]){ __VA_ARGS__ })))

void weft_cli_network(struct weft_cli *cli, struct weft_http_options *out)
{
    *out = (struct weft_http_options){ .lang = cli->lang };
    out->proxy = FIRST_OF("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY");
    /* HTTP_PROXY in capitals is left alone: a web server's child gets it from a stranger's header "Proxy:". */
    out->plain_proxy = FIRST_OF("http_proxy", "all_proxy", "ALL_PROXY");
    if (!out->plain_proxy) out->plain_proxy = "";
    out->no_proxy = FIRST_OF("no_proxy", "NO_PROXY");
    out->ca_file = FIRST_OF("SSL_CERT_FILE");
}

static bool is_true(const char *value)
{
    static const char *const words[] = { "1", "true", "yes", "on" };
    for (size_t i = 0; value && i < WEFT_COUNT(words); i++)
        if (strcasecmp(value, words[i]) == 0) return true;
    return false;
}

/* A path from pieces, NULL when a piece is missing or memory is out (then the message of that place applies). */
static const char *join(struct weft_cli *cli, const char *folder, const char *name)
{
    return folder ? weft_path_join(&cli->arena, folder, name) : NULL;
}

static enum weft_status read_token(struct weft_cli *cli, const char *home, struct weft_hub_options *o)
{
    const char *path = FIRST_OF("HF_TOKEN_PATH");
    struct weft_str text;
    o->hf_token = FIRST_OF("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN");
    if (!path) path = join(cli, home, "token");
    if (o->hf_token || !path || !weft_file_exists(path)) return WEFT_OK;
    enum weft_status st = weft_file_read(&cli->arena, path, 64 << 10, &text, &cli->err);
    if (st) return st;
    text = weft_str_trim_ascii(text);
    o->hf_token = weft_str_dup(&cli->arena, text).s;
    return o->hf_token ? WEFT_OK : weft_fail_nomem(&cli->err, text.len, "a path");
}

enum weft_status weft_cli_hub(struct weft_cli *cli, struct weft_hub_options *out)
{
    const char *user = getenv("HOME"), *cache = FIRST_OF("XDG_CACHE_HOME"), *home = FIRST_OF("HF_HOME"),
               *domain = FIRST_OF("MODELSCOPE_DOMAIN");
    *out = (struct weft_hub_options){ .progress = &cli->progress };
    weft_cli_network(cli, &out->http);
    if (!cache) cache = join(cli, user, ".cache");
    if (!home) home = join(cli, cache, "huggingface");
    out->hf_cache = FIRST_OF("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE");
    if (!out->hf_cache) out->hf_cache = join(cli, home, "hub");
    out->ms_cache = FIRST_OF("MODELSCOPE_CACHE");
    if (!out->ms_cache) out->ms_cache = join(cli, cache, "modelscope/hub");
    out->hf_endpoint = FIRST_OF("HF_ENDPOINT");
    if (domain)
        out->ms_endpoint = strstr(domain, "://") ? domain : weft_str_printf(&cli->arena, "https://%s", domain).s;
    out->ms_token = FIRST_OF("MODELSCOPE_API_TOKEN");
    out->offline = is_true(getenv("HF_HUB_OFFLINE"));
    return read_token(cli, home, out);
}

bool weft_cli_is_repo(const char *word)
{
    return strncmp(word, "hf:", 3) == 0 || strncmp(word, "ms:", 3) == 0 || strncasecmp(word, "file:", 5) == 0;
}
