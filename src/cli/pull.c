/* weft pull: models and datasets from Hugging Face and ModelScope, single files from anywhere. */
#include "cli/network.h"
#include "cli/verbs.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct settings {
    struct weft_cli_common common;
    bool dataset, all, offline;
    const char *output, *sha256, *ca_file;
    int64_t parallel, ranges, range_mib, retry_ms;
};

static const struct weft_option rows[] = {
    { .key = "dataset",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, dataset),
      .group = "What",
      .help = "REPO is a dataset, not a model",
      .help_zh = "REPO 是数据集，不是模型" },
    { .key = "all",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, all),
      .group = "What",
      .help = "every file, not only what weft needs",
      .help_zh = "取全部文件，而不只是 weft 需要的" },
    { .key = "sha256",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, sha256),
      .group = "What",
      .help = "what the SHA-256 of a single file must be",
      .help_zh = "单个文件应有的 SHA-256" },
    { .key = "output",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, output),
      .group = "Where",
      .help = "where a single file goes; FILE.origin.json beside it says where it came from",
      .help_zh = "单个文件的存放位置；旁边的 FILE.origin.json 记录来源",
      .short_flag = 'o' },
    { .key = "offline",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, offline),
      .group = "Network",
      .help = "only look into the cache (HF_HUB_OFFLINE)",
      .help_zh = "只查看本地缓存（HF_HUB_OFFLINE）" },
    { .key = "parallel",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, parallel),
      .def = "4",
      .min = 1,
      .max = 64,
      .group = "Network",
      .help = "files at a time",
      .help_zh = "同时下载的文件数" },
    { .key = "ranges",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, ranges),
      .def = "4",
      .min = 1,
      .max = 16,
      .group = "Network",
      .help = "parts of one large file at a time; 1: one stream, for a site that minds",
      .help_zh = "一个大文件同时下载的分段数；1 为单流，供限制连接数的站点使用" },
    { .key = "range_mib",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, range_mib),
      .def = "64",
      .min = 1,
      .max = 65536,
      .unit = "MiB",
      .group = "Network",
      .help = "length of a part; a file that is longer comes in parts",
      .help_zh = "每段的长度；比它长的文件分段下载" },
    { .key = "retry_ms",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, retry_ms),
      .def = "1000",
      .min = 1,
      .max = 600000,
      .unit = "ms",
      .group = "Network",
      .help = "shortest pause before another try",
      .help_zh = "再次尝试之前的最短等待" },
    { .key = "ca_file",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, ca_file),
      .group = "Network",
      .help = "certificates to trust instead of the system's (SSL_CERT_FILE)",
      .help_zh = "代替系统证书的受信证书文件（SSL_CERT_FILE）" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

static bool is_address(const char *word)
{
    return strncasecmp(word, "http://", 7) == 0 || strncasecmp(word, "https://", 8) == 0;
}

/* "https://host/a/b.jsonl?x" -> "b.jsonl", NULL when there is no name. */
static const char *name_in(struct weft_cli *cli, const char *url)
{
    size_t end = strcspn(url, "?#"), from = end;
    while (from && url[from - 1] != '/') from--;
    struct weft_str name = { url + from, end - from };
    if (strcspn(strstr(url, "//") + 2, "/?#") == strlen(strstr(url, "//") + 2) || !weft_hub_path_ok(name))
        return NULL;
    return weft_arena_strndup(&cli->arena, name.s, name.len);
}

/* FILE.origin.json: where a file came from and what it was, for whoever finds it in a year. */
static enum weft_status write_origin(struct weft_cli *cli, const char *path, const char *url,
                                     const struct weft_hub_repo *repo, const struct weft_hub_result *r,
                                     const char *sha256)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    char now[32];
    time_t t = time(NULL);
    struct tm parts;
    gmtime_r(&t, &parts);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &parts);
    weft_json_out_init(&o, &b);
    o.indent = 2;
    weft_json_out_object(&o);
    if (repo) {
        weft_json_out_key(&o, "site");
        weft_json_out_cstr(&o, repo->site == WEFT_HUB_LOCAL ? "local"
                               : repo->site == WEFT_HUB_MS  ? "modelscope"
                                                            : "huggingface");
        weft_json_out_key(&o, repo->site == WEFT_HUB_LOCAL ? "path" : "repo");
        weft_json_out_cstr(&o, repo->id);
        weft_json_out_key(&o, "dataset");
        weft_json_out_bool(&o, repo->dataset);
        weft_json_out_key(&o, "revision");
        weft_json_out_cstr(&o, r->commit[0] ? r->commit : repo->revision);
        weft_json_out_key(&o, "file");
        weft_json_out_cstr(&o, r->files[0].path);
    } else {
        weft_json_out_key(&o, "url");
        weft_json_out_cstr(&o, url);
    }
    weft_json_out_key(&o, "bytes");
    weft_json_out_uint(&o, r->files[0].size);
    weft_json_out_key(&o, "sha256");
    weft_json_out_cstr(&o, sha256);
    weft_json_out_key(&o, "fetched");
    weft_json_out_cstr(&o, now);
    weft_json_out_object_end(&o);
    weft_buf_char(&b, '\n');
    const char *name = weft_str_printf(&cli->arena, "%s.origin.json", path).s;
    enum weft_status st = weft_buf_check(&b, "a listing", &cli->err);
    if (!st && !name) st = weft_fail_nomem(&cli->err, strlen(path), "a path");
    if (!st) st = weft_file_write(name, weft_buf_view(&b), &cli->err);
    weft_buf_clear(&b);
    return st;
}

static enum weft_status pull_address(struct weft_cli *cli, const struct settings *set, const char *url,
                                     const struct weft_hub_options *o, struct weft_hub_result *r)
{
    const char *path = set->output ? set->output : name_in(cli, url);
    if (!path)
        return weft_fail(&cli->err, WEFT_EARG, "the address ends in no file name; say where it goes with -o FILE");
    enum weft_status st = weft_hub_fetch_url(&cli->arena, url, set->sha256, path, o, r, &cli->err);
    if (!st && !r->from_cache) st = write_origin(cli, path, url, NULL, r, r->files[0].sha256);
    return st;
}

/* One file of a repository, checked against --sha256 and copied to -o. */
static enum weft_status finish_file(struct weft_cli *cli, const struct settings *set,
                                    const struct weft_hub_repo *repo, struct weft_hub_result *r)
{
    char sha256[WEFT_SHA256_HEX];
    struct weft_map m = { 0 };
    if (!weft_file_exists(r->path))
        return weft_fail(&cli->err, WEFT_EARG, "--sha256 and -o take one file; name it behind the repository");
    enum weft_status st = weft_sha256_file(r->path, sha256, &cli->err);
    if (!st && set->sha256 && strcasecmp(set->sha256, sha256) != 0)
        st = weft_fail_rule(&cli->err, WEFT_EINPUT, "B7", "%s has the SHA-256 %s, another one than asked for",
                            r->path, sha256);
    if (st || !set->output) return st;
    st = weft_map_open(&m, r->path, &cli->err);
    if (!st) st = weft_file_write(set->output, (struct weft_str){ (const char *)m.p, m.len }, &cli->err);
    weft_map_close(&m);
    r->path = set->output;
    if (st || (r->from_cache && repo->site != WEFT_HUB_LOCAL)) return st;
    return write_origin(cli, set->output, NULL, repo, r, sha256);
}

static void print_json(struct weft_cli *cli, const struct weft_hub_result *r)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_json_out_key(&o, "path");
    weft_json_out_cstr(&o, r->path);
    weft_json_out_key(&o, "commit");
    weft_json_out_cstr(&o, r->commit);
    weft_json_out_key(&o, "from_cache");
    weft_json_out_bool(&o, r->from_cache);
    weft_json_out_key(&o, "bytes");
    weft_json_out_uint(&o, r->bytes);
    weft_json_out_key(&o, "fetched_bytes");
    weft_json_out_uint(&o, r->fetched_bytes);
    weft_json_out_key(&o, "files");
    weft_json_out_array(&o);
    for (size_t i = 0; i < r->n_files; i++) {
        weft_json_out_object(&o);
        weft_json_out_key(&o, "path");
        weft_json_out_cstr(&o, r->files[i].path);
        weft_json_out_key(&o, "bytes");
        if (r->files[i].size == UINT64_MAX) weft_json_out_null(&o);
        else weft_json_out_uint(&o, r->files[i].size);
        weft_json_out_key(&o, "sha256");
        weft_json_out_cstr(&o, r->files[i].sha256);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    weft_json_out_object_end(&o);
    weft_buf_char(&b, '\n');
    weft_put(cli, weft_buf_view(&b));
    weft_buf_clear(&b);
}

static bool ends(const char *s, const char *suffix) { return weft_str_ends(weft_str_c(s), weft_str_c(suffix)); }

/* What one would type next. */
static void print_next(struct weft_cli *cli, const struct settings *set, const struct weft_hub_result *r)
{
    const char *path = r->path;
    if (weft_file_exists(path)) {
        const char *verb = ends(path, ".jsonl") || ends(path, ".json") || ends(path, ".csv") ? "data check"
                           : ends(path, ".gguf") || ends(path, ".safetensors")               ? "inspect"
                                                                                             : "read";
        weft_say(cli, "next: %s %s %s\n", cli->program, verb, path);
        return;
    }
    if (!set->dataset) {
        weft_say(cli, "next: %s %s %s\n", cli->program, "chat", path);
        return;
    }
    for (size_t i = 0; i < r->n_files; i++)
        if (ends(r->files[i].path, ".jsonl") || ends(r->files[i].path, ".json")) {
            weft_say(cli, "next: %s data check %s/%s\n", cli->program, path, r->files[i].path);
            return;
        }
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings set;
    struct weft_str_list words = { 0 };
    struct weft_hub_options o;
    struct weft_hub_repo repo = { 0 };
    struct weft_hub_result r = { 0 };
    bool done, address;
    char bytes[32], fetched[32];
    enum weft_status st = weft_cli_options(cli, &weft_verb_pull, &set, &set.common, &words, &done);
    if (st || done) return st;
    if (!words.n)
        return weft_fail(&cli->err, WEFT_EARG, "usage: weft pull REPO [FILE...]; as in weft pull Qwen/Qwen3-0.6B");
    cli->progress.cancel = weft_cli_signals();
    st = weft_cli_hub(cli, &o);
    if (st) return st;
    o.offline = o.offline || set.offline;
    o.all = set.all;
    o.parallel = (int)set.parallel;
    o.ranges = (int)set.ranges;
    o.range_bytes = (uint64_t)set.range_mib << 20;
    o.backoff_ms = (uint32_t)set.retry_ms;
    if (set.ca_file) o.http.ca_file = set.ca_file;
    o.files = words.items + 1;
    o.n_files = words.n - 1;
    address = is_address(words.items[0]);
    if (address && words.n > 1)
        return weft_fail(&cli->err, WEFT_EARG, "an address is one file; found %zu words behind it", words.n - 1);
    if (address) st = pull_address(cli, &set, words.items[0], &o, &r);
    else {
        st = weft_hub_parse(&cli->arena, words.items[0], set.dataset, &repo, &cli->err);
        if (!st) st = weft_hub_pull(&cli->arena, &repo, &o, &r, &cli->err);
        if (!st && (set.sha256 || set.output)) st = finish_file(cli, &set, &repo, &r);
    }
    if (st == WEFT_ECANCEL) weft_note(cli, "what came is kept; the same command goes on from there\n");
    if (st) return st;
    if (cli->json) {
        print_json(cli, &r);
        return WEFT_OK;
    }
    if (!address && repo.site == WEFT_HUB_LOCAL)
        weft_say(cli, "%s  (%zu files, %s, on this machine)\n", r.path, r.n_files, weft_cli_bytes(bytes, r.bytes));
    else if (r.from_cache) weft_say(cli, "%s  (from the cache)\n", r.path);
    else
        weft_say(cli, "%s  (%zu files, %s, of which %s were fetched now)\n", r.path, r.n_files,
                 weft_cli_bytes(bytes, r.bytes), weft_cli_bytes(fetched, r.fetched_bytes));
    if (address && !cli->quiet) weft_say(cli, "SHA-256 %s\n", r.files[0].sha256);
    if (!cli->quiet) print_next(cli, &set, &r);
    return WEFT_OK;
}

static const struct weft_variable environment[] = {
    { "HF_ENDPOINT", "another site for hf:, such as a mirror", "hf: 所用的站点，例如镜像" },
    { "HF_TOKEN", "token; else the file $HF_HOME/token (HF_TOKEN_PATH)", "令牌；否则读文件 $HF_HOME/token（HF_TOKEN_PATH）" },
    { "HF_HUB_CACHE", "where hf: goes; else $HF_HOME/hub, ~/.cache/huggingface/hub",
      "hf: 的存放位置；否则为 $HF_HOME/hub、~/.cache/huggingface/hub" },
    { "HF_HUB_OFFLINE", "1: as --offline", "1：同 --offline" },
    { "MODELSCOPE_DOMAIN", "another site for ms:", "ms: 所用的站点" },
    { "MODELSCOPE_API_TOKEN", "token for ms:", "ms: 的令牌" },
    { "MODELSCOPE_CACHE", "where ms: goes; else ~/.cache/modelscope/hub", "ms: 的存放位置；否则为 ~/.cache/modelscope/hub" },
    { "HTTPS_PROXY, http_proxy", "proxy; ALL_PROXY for both; NO_PROXY: hosts without one",
      "代理；ALL_PROXY 兼顾两者；NO_PROXY 列出不走代理的主机" },
    { "SSL_CERT_FILE", "as --ca_file", "同 --ca_file" },
    { 0 },
};

const struct weft_verb weft_verb_pull = {
    .name = "pull",
    .usage = "REPO [FILE...] | URL | FOLDER",
    .help = "fetch a model, a dataset or a file: hf:OWNER/NAME[:QUANT][@REVISION], ms:OWNER/NAME, https://..., ./FOLDER",
    .help_zh = "下载模型、数据集或单个文件：hf:OWNER/NAME[:量化][@版本]、ms:OWNER/NAME、https://...、./文件夹",
    .options = &table,
    .environment = environment,
    .run = run,
};
