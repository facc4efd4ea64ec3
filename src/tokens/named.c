/* The table of templates, and how a row of it becomes Jinja.
 *
 * A part is a string in which C stands for what was said, BOS and EOS for special tokens of the tokenizer, and
 * CUT for a place where it is cut before it is tokenized (BOS and EOS are cut out anyway).  A part that needs
 * a token to exist has TOKEN in front of it.  Each piece becomes one {{ }} of the template.
 *
 * Why generate Jinja and not render parts directly: one renderer serves training, chat and evaluation, and the
 * text that is saved beside the weights is what other programs read. */
#include "tokens/named.h"

#include "base/option.h"

#include <stdio.h>

#define C "\x01"
#define BOS "\x02"
#define EOS "\x03"
#define CUT "\x04"
#define TOKEN "\x05"

enum {
    FUSED = 1,          /* the system text is put before the first user's, as one text */
    REPLACES_EOS = 2,   /* the first stop word is the model's eos from now on */
    LABELS_END = 4,     /* answers have no end mark: eos is the label behind them */
    THINKS = 8,         /* thoughts are treated as such */
    CLOSES_ONLY = 16    /* an empty thought is its closing mark alone */
};

struct named {
    const char *name;
    const char *system, *user, *answer;     /* NULL: C; C; C and EOS, or with LABELS_END C */
    const char *prefix, *default_system;    /* NULL: none */
    const char *stops[3];
    unsigned flags;
    const char *thought[2];                 /* NULL: <think>, newline; newline, </think>, two newlines */
};

/* ChatML and its variants. */
#define IM(role) "<|im_start|>" role "\n" C "<|im_end|>\n"
#define IM_USER IM("user") "<|im_start|>assistant\n"
#define IM_ANSWER C "<|im_end|>\n"
#define IM_PARTS .system = IM("system"), .user = IM_USER, .answer = IM_ANSWER
#define GEMMA_PARTS                                                                                             \
    .prefix = BOS, .system = C "\n\n", .user = "<start_of_turn>user\n" C "<end_of_turn>\n<start_of_turn>model\n", \
    .answer = C "<end_of_turn>\n"
#define HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define GLM_PARTS                                                                                               \
    .prefix = "[gMASK]<sop>", .system = "<|system|>\n" C, .user = "<|user|>\n" C "<|assistant|>", .answer = "\n" C, \
    .stops = { "<|user|>", "<|observation|>" }
#define IBM(role) "<|start_of_role|>" role "<|end_of_role|>"

static const char vicuna_system[] = "A chat between a curious user and an artificial intelligence assistant. "
                                    "The assistant gives helpful, detailed, and polite answers to the user's questions.";

/* Sorted by name. */
static const struct named table[] = {
    { .name = "alpaca", .user = "### Instruction:\n" C "\n\n### Response:\n", .answer = C EOS "\n\n",
      .default_system = "Below is an instruction that describes a task. "
                        "Write a response that appropriately completes the request.\n\n" },
    { .name = "baichuan", .user = TOKEN "<reserved_102>" CUT C CUT TOKEN "<reserved_103>", .flags = LABELS_END },
    { .name = "baichuan2", .user = "<reserved_106>" C "<reserved_107>", .flags = LABELS_END },
    { .name = "bailing", .system = "<role>SYSTEM</role>" C, .user = "<role>HUMAN</role>" C "<role>ASSISTANT</role>",
      .stops = { "<|endoftext|>" }, .flags = LABELS_END },
    { .name = "breeze", .prefix = BOS, .user = "[INST] " C " [/INST] ", .flags = LABELS_END },
    { .name = "chatglm3", .prefix = TOKEN "[gMASK]" CUT TOKEN "sop", .system = TOKEN "<|system|>" CUT "\n" CUT C,
      .user = TOKEN "<|user|>" CUT "\n" CUT C CUT TOKEN "<|assistant|>", .answer = "\n" CUT C,
      .stops = { "<|user|>", "<|observation|>" }, .flags = LABELS_END },
    { .name = "chatml", IM_PARTS, .stops = { "<|im_end|>", "<|im_start|>" }, .flags = REPLACES_EOS },
    { .name = "cohere", .prefix = BOS,
      .system = "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>" C "<|END_OF_TURN_TOKEN|>",
      .user = "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>" C
              "<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>" },
    { .name = "cpm4", .prefix = BOS, IM_PARTS, .stops = { "<|im_end|>" } },
    { .name = "deepseek", .prefix = BOS, .system = C "\n\n", .user = "User: " C "\n\nAssistant:" },
    { .name = "deepseek3", .prefix = BOS, .user = "<｜User｜>" C "<｜Assistant｜>" },
    { .name = "deepseekr1", .prefix = BOS, .user = "<｜User｜>" C "<｜Assistant｜>", .flags = THINKS },
    { .name = "default", .system = "System: " C EOS "\n", .user = "Human: " C EOS "\nAssistant:",
      .answer = C EOS "\n" },
    { .name = "empty", .answer = C },
    { .name = "exaone", .system = "[|system|]" C "[|endofturn|]\n", .user = "[|user|]" C "\n[|assistant|]",
      .answer = C EOS "\n" },
    { .name = "falcon", .user = "User: " C "\nFalcon:", .answer = C "\n", .flags = LABELS_END },
    { .name = "falcon_h1", .prefix = BOS, IM_PARTS, .stops = { "<|im_end|>", "<|end_of_text|>" } },
    { .name = "fewshot", .answer = C "\n\n", .flags = LABELS_END },
    { .name = "gemma", GEMMA_PARTS, .stops = { "<end_of_turn>" }, .flags = REPLACES_EOS | FUSED },
    { .name = "gemma2", GEMMA_PARTS, .stops = { "<eos>", "<end_of_turn>" }, .flags = LABELS_END | FUSED },
    { .name = "gemma3", GEMMA_PARTS, .stops = { "<end_of_turn>" }, .flags = REPLACES_EOS | FUSED },
    { .name = "glm4", GLM_PARTS, .flags = LABELS_END },
    { .name = "glm4_7", GLM_PARTS, .flags = LABELS_END | THINKS | CLOSES_ONLY, .thought = { "<think>", "</think>" } },
    { .name = "glm4_moe", GLM_PARTS, .flags = LABELS_END | THINKS },
    { .name = "glmz1", GLM_PARTS, .flags = LABELS_END | THINKS },
    { .name = "granite3", .system = IBM("system") C "<|end_of_text|>\n",
      .user = IBM("user") C "<|end_of_text|>\n" IBM("assistant"), .answer = C "<|end_of_text|>\n" },
    { .name = "granite4", .system = IBM("system") C "<|end_of_text|>\n",
      .user = IBM("user") C "<|end_of_text|>\n" IBM("assistant"), .answer = C "<|end_of_text|>\n",
      .stops = { "<|end_of_text|>" }, .default_system = "You are Granite, developed by IBM. You are a helpful AI assistant." },
    { .name = "hunyuan", .prefix = "<|startoftext|>", .system = C "<|extra_4|>", .user = C "<|extra_0|>",
      .answer = C "<|eos|>", .stops = { "<|eos|>" } },
    { .name = "index", .system = "<unk>" C, .user = "reserved_0" C "reserved_1", .flags = LABELS_END },
    { .name = "llama2", .system = "<<SYS>>\n" C "\n<</SYS>>\n\n", .user = BOS "[INST] " C " [/INST]", .flags = FUSED },
    { .name = "llama2_zh", .system = "<<SYS>>\n" C "\n<</SYS>>\n\n", .user = BOS "[INST] " C " [/INST]",
      .default_system = "You are a helpful assistant. 你是一个乐于助人的助手。", .flags = FUSED },
    { .name = "llama3", .prefix = BOS, .system = HEADER("system") C "<|eot_id|>",
      .user = HEADER("user") C "<|eot_id|>" HEADER("assistant"), .answer = C "<|eot_id|>",
      .stops = { "<|eot_id|>", "<|eom_id|>" }, .flags = REPLACES_EOS },
    { .name = "mimo", IM_PARTS, .default_system = "You are a helpful assistant.", .stops = { "<|im_end|>" },
      .flags = REPLACES_EOS | THINKS },
    { .name = "ministral", .prefix = BOS, .system = C "\n\n", .user = "[INST]" C "[/INST]", .flags = FUSED },
    { .name = "mistral", .prefix = BOS, .system = C "\n\n", .user = "[INST] " C "[/INST]", .answer = " " C EOS,
      .flags = FUSED },
    { .name = "mistral_small", .prefix = BOS, .system = "[SYSTEM_PROMPT]" C "[/SYSTEM_PROMPT]",
      .user = "[INST]" C "[/INST]" },
    { .name = "moonlight", .system = "<|im_system|>system<|im_middle|>" C "<|im_end|>",
      .user = "<|im_user|>user<|im_middle|>" C "<|im_end|><|im_assistant|>assistant<|im_middle|>",
      .answer = C "<|im_end|>", .default_system = "You are a helpful assistant provided by Moonshot-AI.",
      .stops = { "<|im_end|>" }, .flags = REPLACES_EOS },
    { .name = "olmo", .prefix = EOS, .user = "<|user|>\n" C "<|assistant|>\n" },
    { .name = "openchat", .prefix = BOS, .user = "GPT4 Correct User: " C EOS "GPT4 Correct Assistant:" },
    { .name = "openchat-3.6", .prefix = BOS,
      .user = HEADER("GPT4 Correct User") C "<|eot_id|>" HEADER("GPT4 Correct Assistant"), .stops = { "<|eot_id|>" } },
    { .name = "opencoder", IM_PARTS, .default_system = "You are OpenCoder, created by OpenCoder Team.",
      .stops = { "<|im_end|>" } },
    { .name = "phi", .system = "<|system|>\n" C "<|end|>\n", .user = "<|user|>\n" C "<|end|>\n<|assistant|>\n",
      .answer = C "<|end|>\n", .stops = { "<|end|>" }, .flags = REPLACES_EOS },
    { .name = "phi4", .system = "<|im_start|>system<|im_sep|>" C "<|im_end|>",
      .user = "<|im_start|>user<|im_sep|>" C "<|im_end|><|im_start|>assistant<|im_sep|>", .answer = C "<|im_end|>",
      .stops = { "<|im_end|>" }, .flags = REPLACES_EOS },
    { .name = "phi4_mini", .system = "<|system|>" C "<|end|>", .user = "<|user|>" C "<|end|><|assistant|>",
      .answer = C "<|end|>", .stops = { "<|end|>" }, .flags = REPLACES_EOS },
    { .name = "qwen", IM_PARTS,
      .default_system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
      .stops = { "<|im_end|>" }, .flags = REPLACES_EOS },
    { .name = "qwen3", IM_PARTS, .stops = { "<|im_end|>" }, .flags = REPLACES_EOS | THINKS },
    { .name = "qwen3_5", IM_PARTS, .stops = { "<|im_end|>" }, .flags = REPLACES_EOS | THINKS },
    { .name = "qwen3_5_nothink", IM_PARTS, .stops = { "<|im_end|>" }, .flags = REPLACES_EOS },
    { .name = "qwen3_nothink", IM_PARTS, .stops = { "<|im_end|>" }, .flags = REPLACES_EOS },
    { .name = "sailor", .system = IM("system"), .user = IM("question") "<|im_start|>answer\n", .answer = IM_ANSWER,
      .default_system = "You are an AI assistant named Sailor created by Sea AI Lab. "
                        "Your answer should be friendly, unbiased, faithful, informative and detailed.",
      .stops = { "<|im_end|>" } },
    { .name = "seed_oss", .system = BOS "system\n" C EOS, .user = BOS "user\n" C EOS BOS "assistant\n",
      .flags = THINKS, .thought = { "<seed:think>", "</seed:think>" } },
    { .name = "smollm", IM_PARTS, .stops = { "<|im_end|>" } },
    { .name = "smollm2", IM_PARTS,
      .default_system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face.",
      .stops = { "<|im_end|>" } },
    { .name = "solar", .system = "### System:\n" C "\n\n", .user = "### User:\n" C "\n\n### Assistant:\n",
      .flags = LABELS_END },
    { .name = "starchat", .system = "<|system|>\n" C "<|end|>\n", .user = "<|user|>\n" C "<|end|>\n<|assistant|>",
      .answer = C "<|end|>\n", .stops = { "<|end|>" } },
    { .name = "vicuna", .user = "USER: " C " ASSISTANT:", .default_system = vicuna_system },
    { .name = "yi", IM_PARTS, .stops = { "<|im_end|>" } },
    { .name = "yuan", .user = C CUT TOKEN "<sep>", .answer = C "<eod>\n", .stops = { "<eod>" } },
    { .name = "zephyr", .system = "<|system|>\n" C EOS, .user = "<|user|>\n" C EOS "<|assistant|>\n",
      .default_system = "You are Zephyr, a helpful assistant." },
};

static const struct named *find(const char *name)
{
    for (size_t i = 0; i < WEFT_COUNT(table); i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}

const char *weft_named_name(size_t i) { return i < WEFT_COUNT(table) ? table[i].name : NULL; }

bool weft_named_marks_ends_by_label(const char *name)
{
    const struct named *n = find(name);
    return n && n->flags & LABELS_END;
}

enum weft_status weft_named_check(const char *where, const char *name, struct weft_err *err)
{
    const char *names[WEFT_COUNT(table)];
    char shown[64], all[1024] = "";
    if (find(name)) return WEFT_OK;
    for (size_t i = 0, n = 0; i < WEFT_COUNT(table); i++) {
        size_t len = strlen(table[i].name);
        names[i] = table[i].name;
        if (n + len + 3 > sizeof all) continue;
        memcpy(all + n, n ? ", " : "", n ? 2 : 0);
        n += n ? 2 : 0;
        memcpy(all + n, names[i], len + 1);
        n += len;
    }
    const char *nearest = weft_nearest(name, names, WEFT_COUNT(names));
    weft_escape(shown, sizeof shown, weft_str_c(name));
    if (nearest)
        return weft_fail(err, WEFT_EARG, "%s: no template \"%s\"; the nearest name is %s", where, shown, nearest);
    return weft_fail(err, WEFT_EARG, "%s: no template \"%s\"; there are: %s", where, shown, all);
}

/* ---- the text ---- */

struct writer {
    struct weft_buf out;
    struct weft_str bos, eos;   /* texts of the tokens; s == NULL: there is none */
};

/* A string of Jinja. */
static void literal(struct weft_buf *b, struct weft_str s)
{
    weft_buf_char(b, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.s[i] == '\n') weft_buf_cstr(b, "\\n");
        else {
            if (s.s[i] == '\'' || s.s[i] == '\\') weft_buf_char(b, '\\');
            weft_buf_char(b, s.s[i]);
        }
    }
    weft_buf_char(b, '\'');
}

static void literal_c(struct weft_buf *b, const char *s) { literal(b, weft_str_c(s)); }

/* One piece, `from` to `to` of a part: 'text' ~ what ~ 'text'. */
static void piece(struct writer *w, const char *from, const char *to, const char *what)
{
    bool first = true;
    while (from < to) {
        const char *end = memchr(from, C[0], (size_t)(to - from));
        if (!first) weft_buf_cstr(&w->out, " ~ ");
        first = false;
        if (end == from) {
            weft_buf_cstr(&w->out, what);
            from++;
            continue;
        }
        if (!end) end = to;
        if (*from == TOKEN[0]) from++;
        literal(&w->out, (struct weft_str){ from, (size_t)(end - from) });
        from = end;
    }
}

/* A part, each piece in braces of its own. */
static void part(struct writer *w, const char *p, const char *what)
{
    while (p && *p) {
        const char *end = p + strcspn(p, BOS EOS CUT);
        if (end > p) {
            weft_buf_cstr(&w->out, "{{- ");
            piece(w, p, end, what);
            weft_buf_cstr(&w->out, " -}}");
        }
        struct weft_str special = *end == BOS[0] ? w->bos : *end == EOS[0] ? w->eos : (struct weft_str){ 0 };
        if (special.len) {
            weft_buf_cstr(&w->out, "{{- ");
            literal(&w->out, special);
            weft_buf_cstr(&w->out, " -}}");
        }
        p = *end ? end + 1 : end;
    }
}

static bool is_in_parts(const struct named *n, const char *word)
{
    const char *const parts[] = { n->prefix, n->system, n->user, n->answer };
    for (size_t i = 0; i < WEFT_COUNT(parts); i++)
        if (parts[i] && strstr(parts[i], word)) return true;
    return false;
}

static enum weft_status no_token(const struct named *n, const char *token, size_t len, struct weft_err *err)
{
    return weft_fail(err, WEFT_EINPUT,
                     "template %s writes the token %.*s, which this model's tokenizer does not have; take the template of "
                     "the model's own family, or template_mode: model", n->name, (int)len, token);
}

/* Tokens that the template writes must be the tokenizer's: as plain text they would mean nothing to the model. */
static enum weft_status check_tokens(const struct named *n, const struct weft_tokenizer *t, struct weft_err *err)
{
    const char *const parts[] = { n->prefix, n->system, n->user, n->answer };
    for (size_t i = 0; i < WEFT_COUNT(n->stops) && n->stops[i]; i++)
        if (weft_tokenizer_id(t, weft_str_c(n->stops[i])) < 0 && is_in_parts(n, n->stops[i]))
            return no_token(n, n->stops[i], strlen(n->stops[i]), err);
    for (size_t i = 0; i < WEFT_COUNT(parts); i++)
        for (const char *p = parts[i]; p && (p = strchr(p, TOKEN[0]));) {
            size_t len = strcspn(++p, C BOS EOS CUT TOKEN);
            if (weft_tokenizer_id(t, (struct weft_str){ p, len }) < 0) return no_token(n, p, len, err);
        }
    return WEFT_OK;
}

/* The comment at the beginning: see struct weft_chat_rules. */
static void rules(struct weft_buf *b, const struct named *n, const struct weft_tokenizer *t,
                  const struct weft_named_settings *s)
{
    struct weft_json_out o;
    weft_buf_cstr(b, "{#- weft ");
    weft_json_out_init(&o, b);
    o.spaced = true;
    weft_json_out_object(&o);
    weft_json_out_key(&o, "template");
    weft_json_out_cstr(&o, n->name);
    weft_json_out_key(&o, "pieces");
    weft_json_out_bool(&o, true);
    weft_json_out_key(&o, "eos_label");
    weft_json_out_bool(&o, n->flags & LABELS_END);
    weft_json_out_key(&o, "preserve_thinking");
    weft_json_out_bool(&o, s->preserve_thinking);
    if (n->flags & REPLACES_EOS) {
        weft_json_out_key(&o, "eos");
        weft_json_out_cstr(&o, n->stops[0]);
    }
    weft_json_out_key(&o, "stop");
    weft_json_out_array(&o);
    for (size_t i = 0; i < WEFT_COUNT(n->stops) && n->stops[i]; i++)
        if (weft_tokenizer_id(t, weft_str_c(n->stops[i])) >= 0) weft_json_out_cstr(&o, n->stops[i]);
    weft_json_out_array_end(&o);
    weft_json_out_object_end(&o);
    weft_buf_cstr(b, " -#}\n");
}

/* Takes the thoughts out of `content`, as the regular expression open(.*?)close would, and the newlines in front. */
static void take_thoughts_out(struct weft_buf *b, const char *open, const char *close)
{
    weft_buf_cstr(b, "{%- set t = namespace(out='', held='', open=false) -%}\n{%- for text in content.split(");
    literal_c(b, open);
    weft_buf_cstr(b, ") -%}\n{%- if loop.first -%}{%- set t.out = text -%}{%- else -%}{%- set t.held = t.held ~ ");
    literal_c(b, open);
    weft_buf_cstr(b, " ~ text if t.open else text -%}{%- set t.open = true -%}\n{%- if ");
    literal_c(b, close);
    weft_buf_cstr(b, " in t.held -%}{%- set t.out = t.out ~ t.held.split(");
    literal_c(b, close);
    weft_buf_cstr(b, ", 1)[1] -%}{%- set t.open = false -%}{%- endif -%}\n{%- endif -%}\n{%- endfor -%}\n"
                     "{%- set content = (t.out ~ ");
    literal_c(b, open);
    weft_buf_cstr(b, " ~ t.held if t.open else t.out).lstrip('\\n') -%}\n");
}

static struct weft_str stripped(const char *s)
{
    struct weft_str v = weft_str_c(s);
    while (v.len && v.s[v.len - 1] == '\n') v.len--;
    while (v.len && v.s[0] == '\n') v = weft_str_skip(v, 1);
    return v;
}

/* The assistant's turn; only what stands between generation and endgeneration is learnt. */
static void answer(struct writer *w, const struct named *n, const char *open, const char *close,
                   const char *empty)
{
    struct weft_buf *b = &w->out;
    if (n->flags & THINKS) {
        weft_buf_cstr(b, "{%- set whole = every or loop.last -%}\n"
                         "{%- if (whole and think == false) or not (whole or preserve) -%}\n");
        take_thoughts_out(b, open, close);
        weft_buf_cstr(b, "{%- endif -%}\n{%- set bare = whole and ");
        literal(b, stripped(open));
        weft_buf_cstr(b, " not in content and ");
        literal(b, stripped(close));
        weft_buf_cstr(b, " not in content -%}\n{%- if bare and not think -%}{{- ");
        literal_c(b, empty);
        weft_buf_cstr(b, " -}}{%- endif -%}\n");
    }
    weft_buf_cstr(b, "{%- generation -%}");
    if (n->flags & THINKS) {
        weft_buf_cstr(b, "{%- if bare and think -%}{{- ");
        literal_c(b, empty);
        weft_buf_cstr(b, " -}}{%- endif -%}");
    }
    part(w, n->answer ? n->answer : n->flags & LABELS_END ? C : C EOS, "content");
    weft_buf_cstr(b, "{%- endgeneration -%}\n");
}

static void begin(struct writer *w, const struct named *n, const struct weft_named_settings *s)
{
    static const char *const thinking[] = { "true", "false", "none" };
    struct weft_buf *b = &w->out;
    const char *system = s->default_system ? s->default_system : n->default_system;
    weft_buf_cstr(b, "{%- set system = ");
    literal_c(b, system ? system : "");
    weft_buf_cstr(b, " -%}\n{%- set talk = messages -%}\n"
                     "{%- if messages and messages[0].role == 'system' -%}{%- set talk = messages[1:] -%}\n"
                     "{%- if messages[0].content -%}{%- set system = messages[0].content -%}{%- endif -%}\n"
                     "{%- endif -%}\n");
    if (n->flags & THINKS)
        weft_buf_printf(b,
                        "{%%- set think = enable_thinking if enable_thinking is defined else %s -%%}\n"
                        "{%%- set every = every_answer is defined and every_answer -%%}\n"
                        "{%%- set preserve = %s -%%}\n",
                        thinking[s->thinking], s->preserve_thinking ? "true" : "false");
    part(w, n->prefix, "");
    if (n->flags & FUSED) return;
    weft_buf_cstr(b, "{%- if system -%}");
    part(w, n->system ? n->system : C, "system");
    weft_buf_cstr(b, "{%- endif -%}\n");
}

static void write_template(struct writer *w, const struct named *n, const struct weft_named_settings *s)
{
    struct weft_buf *b = &w->out;
    const char *open = n->thought[0] ? n->thought[0] : "<think>\n",
               *close = n->thought[1] ? n->thought[1] : "\n</think>\n\n";
    char empty[64];
    snprintf(empty, sizeof empty, "%s%s", n->flags & CLOSES_ONLY ? "" : open, close);
    begin(w, n, s);
    weft_buf_cstr(b, "{%- for message in talk -%}\n{%- set content = message.content or '' -%}\n"
                     "{%- if message.role == 'user' -%}\n");
    if (n->flags & FUSED) {
        const char *system = n->system ? n->system : C;
        weft_buf_cstr(b, "{%- if loop.first and system -%}{%- set content = ");
        piece(w, system, system + strlen(system), "system");
        weft_buf_cstr(b, " ~ content -%}{%- endif -%}\n");
    }
    part(w, n->user ? n->user : C, "content");
    weft_buf_cstr(b, "\n{%- elif message.role == 'assistant' -%}\n");
    answer(w, n, open, close, empty);
    weft_buf_printf(b,
                    "{%%- else -%%}{{- raise_exception('template %s has no place for a message of ' ~ message.role) -}}\n"
                    "{%%- endif -%%}\n{%%- endfor -%%}\n", n->name);
    if (n->flags & THINKS) {
        weft_buf_cstr(b, "{%- if not think and talk and talk[-1].role == 'user' -%}{{- ");
        literal_c(b, empty);
        weft_buf_cstr(b, " -}}{%- endif -%}\n");
    }
}

static struct weft_str special(const struct weft_tokenizer *t, enum weft_special_token which)
{
    int32_t id = weft_tokenizer_special(t, which);
    return id < 0 ? (struct weft_str){ 0 } : weft_tokenizer_content(t, id);
}

enum weft_status weft_named_template(struct weft_arena *a, const char *name, const struct weft_tokenizer *t,
                                     const struct weft_named_settings *s, struct weft_str *out,
                                     struct weft_err *err)
{
    const struct named *n = find(name);
    struct writer w = { .bos = special(t, WEFT_BOS), .eos = special(t, WEFT_EOS) };
    enum weft_status st = n ? check_tokens(n, t, err) : weft_named_check("template", name, err);
    if (st) return st;
    if (n->flags & REPLACES_EOS) w.eos = weft_str_c(n->stops[0]);
    rules(&w.out, n, t, s);
    write_template(&w, n, s);
    st = weft_buf_check(&w.out, "a chat template", err);
    if (!st) *out = weft_str_dup(a, weft_buf_view(&w.out));
    if (!st && !out->s) st = weft_fail_nomem(err, w.out.len, "a chat template");
    weft_buf_clear(&w.out);
    return st;
}
