/* mock_llm [OPTIONS] - an OpenAI-compatible service that answers by rule, fails on demand, and keeps a bill
 *
 *   POST /v1/chat/completions   whole or streamed       GET /v1/models       GET /bill   the bill's sums as JSON
 *
 *   --port N           listen there (default: any; the port is the first line of stdout)
 *   --answer RULE      how an answer follows from the last user message:
 *                        summary  its last paragraph's first sentence, at most 40 characters (default)
 *                        echo     the message          hash     16 digits of its SHA-256
 *                        text:T   T, always
 *   --answers FILE     rows {"match": "part of the last user message", "answer": "..."}: the first that matches goes
 *                      before the rule.  An answer may hold {hash}, replaced by 16 digits of the message's SHA-256
 *   --fault KIND=RATE  may come often; each request falls into at most one kind, by its key, its count and
 *                      --seed, so that the order of arrival does not matter
 *   --script A,B,...   the first requests end so, one after the other ("ok" answers); then as without a script
 *   --max-faults N     one key gets at most so many faults, then its answer (default 2)
 *   --seed N           --delay MS   before each reply       --piece MS   between the pieces of a stream
 *   --key KEY          401 without it       --model NAME    404 for another one
 *   --retry-after S    in 429 replies (default 1)
 *   --bill FILE        one line per event: {"event": "asked"|"answered"|"fault", "n", "key", "kind", ...}
 *   --seconds N        lives so long at most (default 600)
 *
 * Kinds of fault.  Before the model: 429 429-date 429-plain quota 401 403 404 408 500 503 reset close hang.
 * In its reply: cut (half the body) json (cut JSON, right length) html utf8 nodone (stream without its end) errorevent
 * (error in the stream) drip (a byte a second) big (64 MiB).
 * In the answer itself, only for requests with one user message, so that a corrective turn is answered well: length
 * (finish_reason) refusal empty form (a talkative prefix).
 *
 * The key of a request is the SHA-256 of its body. */
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "mock/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_KINDS = 32, MAX_SCRIPT = 4096, MAX_ANSWERS = 1024 };

struct fault {
    const char *kind;
    double rate;
};

/* What the bill knows of a body. */
struct entry {
    struct entry *next;
    char key[WEFT_SHA256_HEX];
    unsigned asked, answered, faults;
};

struct llm {
    const char *rule, *key, *model, *bill;
    struct fault faults[MAX_KINDS];
    size_t n_faults;
    const char *script[MAX_SCRIPT];
    size_t n_script;
    struct weft_str match[MAX_ANSWERS], answer[MAX_ANSWERS];
    size_t n_answers;
    unsigned max_faults, delay_ms, piece_ms, retry_after;
    uint64_t seed;
    int bill_fd;
    struct entry *table[4096];
    size_t requests, answered;
    struct weft_arena arena; /* for good */
};

static bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }

static void die(const char *what, const char *text)
{
    fprintf(stderr, "mock_llm: %s%s\n", what, text);
    exit(2);
}

/* ---- the bill ---- */

static struct entry *find_entry(struct llm *m, const char *key)
{
    struct entry **slot = &m->table[weft_xxh3(key, 64, 0) % WEFT_COUNT(m->table)];
    for (struct entry *e = *slot; e; e = e->next)
        if (is(e->key, key)) return e;
    struct entry *e = WEFT_NEW(&m->arena, struct entry);
    if (!e) die("memory", "");
    memcpy(e->key, key, sizeof e->key);
    e->next = *slot;
    return *slot = e;
}

/* One write, so that the line is whole whatever happens to this program. */
static void write_bill(struct llm *m, const char *event, size_t n, const struct entry *e, const char *kind,
                       const char *more)
{
    if (m->bill_fd >= 0)
        dprintf(m->bill_fd, "{\"event\":\"%s\",\"n\":%zu,\"key\":\"%s\",\"kind\":\"%s\"%s}\n", event, n, e->key,
                kind, more);
}

struct answered {
    struct llm *llm;
    struct entry *entry;
};

/* The last byte of an answer is with the kernel. */
static void on_answered(void *ctx, size_t n)
{
    struct answered *a = ctx;
    a->entry->answered++;
    a->llm->answered++;
    write_bill(a->llm, "answered", n, a->entry, "ok", "");
}

static void send_bill(struct llm *m, struct mock_conn *c)
{
    size_t keys = 0, max = 0, repeated = 0;
    for (size_t i = 0; i < WEFT_COUNT(m->table); i++)
        for (const struct entry *e = m->table[i]; e; e = e->next) {
            keys++;
            if (e->answered > max) max = e->answered;
            if (e->answered > 1) repeated++;
        }
    struct weft_buf b = { 0 };
    weft_buf_printf(
        &b, "{\"requests\":%zu,\"answered\":%zu,\"keys\":%zu,\"max_answered\":%zu,\"answered_again\":%zu}\n",
        m->requests, m->answered, keys, max, repeated);
    mock_reply(c, 200, "application/json", "", weft_buf_view(&b));
    weft_buf_clear(&b);
}

/* ---- which fault ---- */

static bool spoils_answer(const char *kind)
{
    return is(kind, "length") || is(kind, "refusal") || is(kind, "empty") || is(kind, "form");
}

static const char *choose(struct llm *m, struct entry *e, size_t n_user)
{
    if (m->requests <= m->n_script) return m->script[m->requests - 1];
    if (e->faults >= m->max_faults) return "ok";
    /* A number in [0, 1) of key, count and seed. */
    uint64_t h = weft_xxh3(e->key, 64, m->seed * 1000003 + e->asked);
    double u = (double)(h >> 11) / 9007199254740992.0;
    for (size_t i = 0; i < m->n_faults; i++) {
        if (u < m->faults[i].rate)
            return spoils_answer(m->faults[i].kind) && n_user > 1 ? "ok" : m->faults[i].kind;
        u -= m->faults[i].rate;
    }
    return "ok";
}

/* ---- the answer ---- */

static struct weft_str summary(struct weft_str text)
{
    text = weft_str_trim_ascii(text);
    for (size_t i = text.len; i-- > 0;)
        if (text.s[i] == '\n') {
            text = weft_str_skip(text, i + 1);
            break;
        }
    size_t end = weft_str_find(text, WEFT_STR("。"), 0), dot = weft_str_find(text, WEFT_STR(". "), 0);
    if (dot < end) end = dot;
    end = weft_min_size(end, weft_utf8_offset(text, 40));
    return weft_str_sub(text, 0, end);
}

static void digits_of(struct weft_str text, char out[17])
{
    char hex[WEFT_SHA256_HEX];
    if (weft_sha256_of(text, hex, NULL)) die("memory", "");
    memcpy(out, hex, 16);
    out[16] = '\0';
}

static void answer_of(const struct llm *m, struct weft_str user, struct weft_buf *out)
{
    char digits[17];
    digits_of(user, digits);
    for (size_t i = 0; i < m->n_answers; i++) {
        if (weft_str_find(user, m->match[i], 0) == SIZE_MAX) continue;
        for (size_t at = 0;;) {
            size_t hole = weft_str_find(m->answer[i], WEFT_STR("{hash}"), at);
            weft_buf_str(out, weft_str_sub(m->answer[i], at, hole));
            if (hole == SIZE_MAX) return;
            weft_buf_cstr(out, digits);
            at = hole + 6;
        }
    }
    if (is(m->rule, "echo")) weft_buf_str(out, user);
    else if (is(m->rule, "hash")) weft_buf_cstr(out, digits);
    else if (strncmp(m->rule, "text:", 5) == 0) weft_buf_cstr(out, m->rule + 5);
    else weft_buf_str(out, summary(user));
}

/* ---- replies ---- */

static void send_error(struct mock_conn *c, int status, const char *more, const char *message, const char *code)
{
    struct weft_buf b = { 0 };
    weft_buf_printf(&b, "{\"error\":{\"message\":\"%s\",\"type\":\"mock\",\"param\":null,\"code\":\"%s\"}}",
                    message, code);
    mock_reply(c, status, "application/json", more, weft_buf_view(&b));
    weft_buf_clear(&b);
}

/* Faults that come instead of a reply by the model.  False: none of them. */
static bool refuse(struct llm *m, struct mock_conn *c, const char *kind)
{
    char more[128] = "";
    if (is(kind, "429") || is(kind, "429-date") || is(kind, "429-plain")) {
        time_t then = time(NULL) + (time_t)m->retry_after;
        struct tm parts;
        gmtime_r(&then, &parts);
        if (is(kind, "429")) snprintf(more, sizeof more, "Retry-After: %u\r\n", m->retry_after);
        if (is(kind, "429-date"))
            strftime(more, sizeof more, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
        send_error(c, 429, more, "too many requests", "rate_limit_exceeded");
    } else if (is(kind, "quota")) send_error(c, 429, "", "quota used up", "insufficient_quota");
    else if (is(kind, "401")) send_error(c, 401, "", "no such key", "invalid_api_key");
    else if (is(kind, "403")) send_error(c, 403, "", "not allowed", "permission_denied");
    else if (is(kind, "404")) send_error(c, 404, "", "no such model", "model_not_found");
    else if (is(kind, "408")) send_error(c, 408, "", "timed out", "timeout");
    else if (is(kind, "500")) send_error(c, 500, "", "something broke", "internal_error");
    else if (is(kind, "503")) mock_reply(c, 503, "text/html", "", WEFT_STR("<html>busy</html>"));
    else if (is(kind, "reset")) mock_reset(c);
    else if (is(kind, "close")) mock_close(c);
    else if (is(kind, "hang")) mock_hang(c);
    else return false;
    return true;
}

static void begin_chunk(struct weft_buf *b, const char *model)
{
    weft_buf_printf(
        b, "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"%s\",",
        model);
}

static void add_delta(struct weft_buf *b, const char *model, const char *key, struct weft_str text,
                      const char *finish)
{
    struct weft_json_out o;
    begin_chunk(b, model);
    weft_buf_cstr(b, "\"choices\":[{\"index\":0,\"delta\":");
    weft_json_out_init(&o, b);
    weft_json_out_object(&o);
    if (key) {
        weft_json_out_key(&o, key);
        weft_json_out_str(&o, text);
    }
    weft_json_out_object_end(&o);
    if (finish) weft_buf_printf(b, ",\"finish_reason\":\"%s\"}]}\n\n", finish);
    else weft_buf_cstr(b, ",\"finish_reason\":null}]}\n\n");
}

struct reply {
    const char *kind, *model, *finish;
    struct weft_str content;
    size_t prompt_tokens, answer_tokens;
    bool refusal, usage;
};

static void send_stream(struct llm *m, struct mock_conn *c, const struct reply *r)
{
    struct weft_buf b = { 0 };
    size_t sent = 0;
    mock_say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: hello\n\n");
    add_delta(&b, r->model, "role", WEFT_STR("assistant"), NULL);
    if (r->refusal) add_delta(&b, r->model, "refusal", r->content, NULL);
    /* Eight characters each; a client that cuts characters would be seen. */
    for (size_t at = 0; !r->refusal && at < r->content.len;) {
        struct weft_str left = weft_str_skip(r->content, at),
                        piece = weft_str_sub(left, 0, weft_utf8_offset(left, 8));
        add_delta(&b, r->model, "content", piece, NULL);
        at += piece.len;
        if ((is(r->kind, "errorevent") || is(r->kind, "cut") || is(r->kind, "nodone")) && at * 2 >= r->content.len)
            break;
        if (m->piece_ms) {
            mock_send(c, weft_str_skip(weft_buf_view(&b), sent));
            sent = b.len;
            mock_wait(c, m->piece_ms);
        }
    }
    if (is(r->kind, "errorevent")) {
        weft_buf_cstr(
            &b,
            "data: {\"error\":{\"message\":\"the model fell over\",\"type\":\"server_error\",\"code\":null}}\n\n");
    } else if (is(r->kind, "cut")) b.len -= 5;
    else if (is(r->kind, "utf8"))
        weft_buf_cstr(&b, "data: {\"choices\":[{\"delta\":{\"content\":\"\xe4\xb8\"}}]}\n\n");
    else if (is(r->kind, "json")) weft_buf_cstr(&b, "data: {\"choices\":[{\"delta\":\n\n");
    else if (!is(r->kind, "nodone")) {
        add_delta(&b, r->model, NULL, (struct weft_str){ 0 }, r->finish);
        if (r->usage) {
            begin_chunk(&b, r->model);
            weft_buf_printf(&b,
                            "\"choices\":[],\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,"
                            "\"total_tokens\":%zu}}\n\n",
                            r->prompt_tokens, r->answer_tokens, r->prompt_tokens + r->answer_tokens);
        }
        weft_buf_cstr(&b, "data: [DONE]\n\n");
    }
    struct weft_str rest = weft_str_skip(weft_buf_view(&b), sent);
    if (is(r->kind, "drip")) mock_drip(c, rest, 1, 1000);
    else mock_send(c, rest);
    weft_buf_clear(&b);
}

static void send_whole(struct mock_conn *c, const struct reply *r)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_buf_printf(
        &b,
        "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"%s\",\"choices\":[{"
        "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":",
        r->model);
    weft_json_out_init(&o, &b);
    if (r->refusal) weft_json_out_null(&o);
    else weft_json_out_str(&o, r->content);
    weft_buf_cstr(&b, ",\"refusal\":");
    weft_json_out_init(&o, &b);
    if (r->refusal) weft_json_out_str(&o, r->content);
    else weft_json_out_null(&o);
    weft_buf_printf(
        &b,
        "},\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,"
        "\"total_tokens\":%zu}}",
        r->finish, r->prompt_tokens, r->answer_tokens, r->prompt_tokens + r->answer_tokens);
    if (is(r->kind, "utf8")) {
        char *quote = strstr(b.s, "\"content\":\"");
        if (quote) quote[11] = '\xff'; /* over the first byte of the answer */
    }
    if (is(r->kind, "errorevent")) {
        weft_buf_reset(&b);
        weft_buf_cstr(&b,
                      "{\"error\":{\"message\":\"the model fell over\",\"type\":\"server_error\",\"code\":null}}");
    }
    if (is(r->kind, "json") || is(r->kind, "nodone")) b.len = b.len / 2;
    if (is(r->kind, "cut") || is(r->kind, "drip")) {
        mock_printf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", b.len);
        if (is(r->kind, "drip")) mock_drip(c, weft_buf_view(&b), 1, 1000);
        else {
            mock_send(c, weft_str_sub(weft_buf_view(&b), 0, b.len / 2));
            mock_close(c);
        }
    } else mock_reply(c, 200, "application/json", "", weft_buf_view(&b));
    weft_buf_clear(&b);
}

static void send_big(struct mock_conn *c)
{
    char spaces[16384];
    memset(spaces, ' ', sizeof spaces);
    mock_printf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{");
    mock_repeat(c, (struct weft_str){ spaces, sizeof spaces }, (64 << 20) / sizeof spaces);
    mock_close(c);
}

/* ---- a request ---- */

struct asked {
    const char *model;
    struct weft_str user; /* the last user message */
    size_t n_user, prompt_chars;
    bool stream, usage;
};

static struct weft_str content_of(const struct weft_json_value *content)
{
    if (content && content->kind == WEFT_JSON_STRING) return content->text;
    if (content && content->kind == WEFT_JSON_ARRAY && content->n) { /* parts: the last one's text */
        const struct weft_json_value *text = weft_json_get(&content->items[content->n - 1], "text");
        if (text && text->kind == WEFT_JSON_STRING) return text->text;
    }
    return WEFT_STR("");
}

static bool read_request(struct weft_arena *a, struct weft_str body, struct asked *q)
{
    struct weft_json_value v;
    if (weft_json_parse(a, "request", body, &v, NULL)) return false;
    const struct weft_json_value *messages = weft_json_get(&v, "messages"), *model = weft_json_get(&v, "model"),
                                 *stream = weft_json_get(&v, "stream"),
                                 *options = weft_json_get(&v, "stream_options"),
                                 *usage = weft_json_get(options, "include_usage");
    if (!messages || messages->kind != WEFT_JSON_ARRAY || !model || model->kind != WEFT_JSON_STRING) return false;
    *q = (struct asked){ .model = weft_arena_strndup(a, model->text.s, model->text.len),
                         .stream = stream && stream->boolean,
                         .usage = usage && usage->boolean };
    for (size_t i = 0; i < messages->n; i++) {
        const struct weft_json_value *role = weft_json_get(&messages->items[i], "role");
        struct weft_str text = content_of(weft_json_get(&messages->items[i], "content"));
        q->prompt_chars += weft_utf8_chars(text);
        if (!role || role->kind != WEFT_JSON_STRING || !weft_str_is(role->text, "user")) continue;
        q->n_user++;
        q->user = text;
    }
    return q->model != NULL;
}

/* A form that is asked for is broken by words around it, an upper bound by their length. */
static const char chatter[] =
    "Sure! Here is what you asked for, written with great pleasure and at considerable length, "
    "because that is what I like to do:\n\n";

static void complete(struct llm *m, struct mock_conn *c, const struct mock_request *r)
{
    struct weft_arena a = { 0 };
    struct asked q = { 0 };
    struct weft_buf content = { 0 };
    char key[WEFT_SHA256_HEX], more[256], bearer[512];
    struct weft_str auth = mock_header(r, "authorization"), idempotency = mock_header(r, "idempotency-key");
    if (weft_sha256_of(r->body, key, NULL)) die("memory", "");
    size_t n = ++m->requests;
    struct entry *e = find_entry(m, key);
    e->asked++;
    bool readable = read_request(&a, r->body, &q);
    const char *kind = readable ? choose(m, e, q.n_user) : "unreadable";
    snprintf(bearer, sizeof bearer, "Bearer %s", m->key ? m->key : "");
    snprintf(more, sizeof more, ",\"asked\":%u,\"idempotency\":\"%.*s\"", e->asked, (int)idempotency.len,
             idempotency.s ? idempotency.s : "");
    write_bill(m, "asked", n, e, kind, more);
    if (m->delay_ms) mock_wait(c, m->delay_ms);
    if (m->key && !weft_str_is(auth, bearer)) send_error(c, 401, "", "no such key", "invalid_api_key");
    else if (!readable) send_error(c, 400, "", "the body is no chat completion request", "invalid_json");
    else if (m->model && !is(m->model, q.model)) send_error(c, 404, "", "no such model", "model_not_found");
    else if (!is(kind, "ok") && refuse(m, c, kind)) e->faults++;
    else if (is(kind, "html"))
        e->faults++, mock_reply(c, 200, "text/html", "", WEFT_STR("<html>proxy login</html>"));
    else if (is(kind, "big")) e->faults++, send_big(c);
    else {
        struct reply reply = { .kind = kind,
                               .model = q.model,
                               .finish = is(kind, "length") ? "length" : "stop",
                               .refusal = is(kind, "refusal"),
                               .usage = q.usage,
                               .prompt_tokens = q.prompt_chars };
        if (is(kind, "form")) weft_buf_cstr(&content, chatter);
        if (is(kind, "refusal")) weft_buf_cstr(&content, "I cannot help with that.");
        else if (!is(kind, "empty")) answer_of(m, q.user, &content);
        if (is(kind, "length"))
            content.len = weft_utf8_offset(weft_buf_view(&content), weft_utf8_chars(weft_buf_view(&content)) / 2);
        reply.content = weft_buf_view(&content);
        reply.answer_tokens = weft_utf8_chars(reply.content);
        if (!is(kind, "ok")) e->faults++;
        if (q.stream) send_stream(m, c, &reply);
        else send_whole(c, &reply);
        if (is(kind, "ok") || spoils_answer(kind)) {
            struct answered *done = WEFT_NEW(&m->arena, struct answered);
            if (!done) die("memory", "");
            *done = (struct answered){ m, e };
            mock_then(c, on_answered, done, n);
        }
        if (q.stream) mock_close(c);
    }
    weft_buf_clear(&content);
    weft_arena_clear(&a);
}

static void handle(void *ctx, struct mock_conn *c, const struct mock_request *r)
{
    struct llm *m = ctx;
    if (weft_str_is(r->method, "POST") && weft_str_ends(r->target, WEFT_STR("/chat/completions")))
        complete(m, c, r);
    else if (weft_str_ends(r->target, WEFT_STR("/models")))
        mock_reply(c, 200, "application/json", "",
                   WEFT_STR("{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\","
                            "\"created\":1,\"owned_by\":\"mock\"}]}"));
    else if (weft_str_is(r->target, "/bill")) send_bill(m, c);
    else send_error(c, 404, "", "no such path", "not_found");
}

/* ---- options ---- */

static void read_answers(struct llm *m, const char *path)
{
    struct weft_str text, line;
    struct weft_err err = { 0 };
    if (weft_file_read(&m->arena, path, 0, &text, &err)) die(err.msg, "");
    struct weft_lines lines = { .text = text };
    while (weft_lines_next(&lines, &line)) {
        struct weft_json_value v;
        if (!line.len) continue;
        if (weft_json_parse_row(&m->arena, path, lines.line, line, &v, &err)) die(err.msg, "");
        const struct weft_json_value *match = weft_json_get(&v, "match"), *answer = weft_json_get(&v, "answer");
        if (!match || !answer || m->n_answers == MAX_ANSWERS) die("expected rows with match and answer in ", path);
        m->match[m->n_answers] = match->text;
        m->answer[m->n_answers++] = answer->text;
    }
}

static void read_script(struct llm *m, char *list)
{
    char *save = NULL;
    for (char *word = strtok_r(list, ",", &save); word && m->n_script < MAX_SCRIPT;
         word = strtok_r(NULL, ",", &save))
        m->script[m->n_script++] = word;
}

static void read_fault(struct llm *m, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || m->n_faults == MAX_KINDS) die("expected KIND=RATE, found ", text);
    *equals = '\0';
    m->faults[m->n_faults++] = (struct fault){ text, atof(equals + 1) };
}

int main(int argc, char **argv)
{
    static struct llm m = { .rule = "summary", .max_faults = 2, .retry_after = 1, .bill_fd = -1 };
    int port = 0, seconds = 600;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i];
        char *value = argv[i + 1];
        if (is(name, "--port")) port = atoi(value);
        else if (is(name, "--answer")) m.rule = value;
        else if (is(name, "--answers")) read_answers(&m, value);
        else if (is(name, "--fault")) read_fault(&m, value);
        else if (is(name, "--script")) read_script(&m, value);
        else if (is(name, "--max-faults")) m.max_faults = (unsigned)atoi(value);
        else if (is(name, "--seed")) m.seed = strtoull(value, NULL, 10);
        else if (is(name, "--delay")) m.delay_ms = (unsigned)atoi(value);
        else if (is(name, "--piece")) m.piece_ms = (unsigned)atoi(value);
        else if (is(name, "--key")) m.key = value;
        else if (is(name, "--model")) m.model = value;
        else if (is(name, "--retry-after")) m.retry_after = (unsigned)atoi(value);
        else if (is(name, "--bill")) m.bill = value;
        else if (is(name, "--seconds")) seconds = atoi(value);
        else die("unknown option ", name);
    }
    if (argc % 2 == 0) die("every option takes a value; the last one is ", argv[argc - 1]);
    if (m.bill) {
        FILE *f = fopen(m.bill, "a");
        if (!f) die("cannot write ", m.bill);
        m.bill_fd = fileno(f);
    }
    struct mock *server = mock_new(handle, &m);
    mock_listen(server, &port);
    mock_run(server, seconds);
    weft_arena_clear(&m.arena);
    return 0;
}
