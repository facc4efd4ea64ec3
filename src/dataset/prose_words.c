/* Tables instead of a parser: in narrative Chinese the subject stands first, the verb of speech last, and what comes
 * between begins with one of a few hundred characters.  The tables hold words, no sentences and no names. */
#include "dataset/prose_words.h"

#include "dataset/marks.h"
#include "dataset/normal.h"

struct words {
    const char *const *items;
    size_t n;
};
#define WORDS(list) ((struct words){ list, WEFT_COUNT(list) })

/* The first three bytes, which every word has, as a number in the order of the lists. */
static uint32_t first_char(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    return (uint32_t)u[0] << 16 | (uint32_t)u[1] << 8 | u[2];
}

/* The first word of the list that does not begin with a lower character.  Lists stand in the order of their bytes
 * (prose_words_sorted). */
static size_t first_with(uint32_t key, struct words w)
{
    size_t low = 0, high = w.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (first_char(w.items[mid]) < key) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* The longest word of the list that `s` begins or ends with; 0: none. */
static size_t begins(struct weft_str s, struct words w)
{
    size_t best = 0;
    if (s.len < 3) return 0;
    uint32_t key = first_char(s.s);
    for (size_t i = first_with(key, w); i < w.n && first_char(w.items[i]) == key; i++) {
        const char *word = w.items[i];
        size_t n = 3;
        while (word[n] && n < s.len && word[n] == s.s[n]) n++;
        if (!word[n] && n > best) best = n;
    }
    return best;
}

/* Is exactly this a word of the list? */
static bool has_word(struct weft_str s, struct words w)
{
    uint32_t key = first_char(s.s);
    for (size_t i = first_with(key, w); i < w.n && first_char(w.items[i]) == key; i++) {
        const char *word = w.items[i];
        size_t n = 3;
        while (n < s.len && word[n] && word[n] == s.s[n]) n++;
        if (n == s.len && !word[n]) return true;
    }
    return false;
}

/* Words that endings are looked up in have at most so many characters, of three bytes each. */
enum { ENDING_CHARS = 6 };

static size_t ends(struct weft_str s, struct words w)
{
    for (size_t n = weft_min_size(s.len / 3, ENDING_CHARS); n; n--)
        if (has_word(weft_str_skip(s, s.len - 3 * n), w)) return 3 * n;
    return 0;
}

/* A list of characters of three bytes each, as one text in the order of their code points (and bytes). */
static bool in_text(uint32_t cp, const char *list, size_t bytes)
{
    char utf8[4];
    size_t low = 0, high = bytes / 3;
    if (cp < 0x800 || cp > 0xFFFF) return false;
    weft_utf8_encode(cp, utf8);
    uint32_t key = first_char(utf8);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        uint32_t other = first_char(list + 3 * mid);
        if (other == key) return true;
        if (other < key) low = mid + 1;
        else high = mid;
    }
    return false;
}
#define one_of(cp, list) in_text((cp), (list), sizeof(list) - 1)

/* ---- cues ---- */

static const char *const thought_verbs[] = {
    "寻思", "寻思道", "心下", "心中", "心中说", "心中道", "心叹", "心想", "心说", "心道", "心里", "心里话",
    "心里说", "心里道", "忖度", "忖道", "思忖", "思忖道", "思索", "思道", "思量", "思量道", "想", "想道",
    "意识到", "暗叫", "暗叹", "暗忖", "暗忖道", "暗想", "暗暗", "暗自", "暗道", "暗骂", "沉吟", "沉思", "琢磨",
    "盘算", "纳闷", "腹诽", "自忖", "自忖道", "自道", "觉得", "默念",
};

static const char *const writing_verbs[] = {
    "上书", "上写", "上面是", "个字", "书写", "书曰", "书着", "写", "写了", "写明", "写有", "写的是", "写着",
    "写道", "几个字", "刻", "刻了", "刻有", "刻着", "印着", "大书", "大字", "字样", "小字", "挂着", "显示",
    "曰为", "标着", "歌曰", "注明", "画着", "留言", "绣着", "记着", "记载", "词曰", "诗云", "诗曰", "贴着",
    "载着", "金字", "题", "题了", "题曰", "题着", "题道",
};

/* Verbs of speech as they stand before a colon or behind a quote.  Verbs that end with 道 are found by rule. */
static const char *const speech_verbs[] = {
    "上奏", "下令", "乞求", "争辩", "云", "交代", "交待", "介绍", "传令", "传旨", "传话", "传音", "低吼",
    "低语", "供认", "催", "催促", "冷笑", "出主意", "出了一个主意", "出了个主意", "劝", "劝到", "劝告", "劝说",
    "反问", "反驳", "发号施令", "发誓", "发话", "发问", "发问道", "取笑", "叫到", "叫喊", "叫嚷", "叫声",
    "叫苦", "叫骂", "叮咛", "叮嘱", "叱责", "叹", "叹到", "叹息", "吆喝", "吩咐", "启奏", "吹牛", "吼", "吼到",
    "告知", "告诉", "告饶", "呵斥", "呻吟", "呼", "呼叫", "呼唤", "呼喊", "命令", "咆哮", "咒骂", "咕哝",
    "哀求", "哭", "哭喊", "哭诉", "哼", "哽咽", "唱", "商议", "商量", "啐", "喃喃", "喊", "喊冤", "喊到",
    "喊声", "喊话", "喝", "喝到", "喝斥", "喝问", "嗔", "嘀咕", "嘟哝", "嘟囔", "嘱咐", "嘲笑", "嘲讽", "嘶吼",
    "嚷", "嚷到", "嚷嚷", "回", "回到他", "回报", "回敬", "回答", "回话", "坦白", "埋怨", "声明", "大叫",
    "大喊", "大喝", "大笑", "大骂", "央求", "失声", "夸口", "夸奖", "夸赞", "奏", "奏报", "威胁", "娇嗔",
    "安慰", "客气", "宣告", "宣布", "寒暄", "尖叫", "应", "应和", "应声", "应答", "建议", "开口", "开口说",
    "张口", "强调", "心声", "念", "怒吼", "怒喝", "怒斥", "怪叫", "恐吓", "恳求", "惊叫", "惊呼", "感叹",
    "感慨", "打断", "打趣", "承认", "报", "报告", "抱怨", "抽泣", "招供", "招呼", "指出", "接口", "接着",
    "接茬", "接话", "推辞", "提议", "提醒", "插口", "插嘴", "插话", "搭话", "撒谎", "数落", "斥", "斥责",
    "断喝", "曰", "来报", "欢呼", "求", "求情", "求饶", "盘问", "祈祷", "祷告", "禀", "禀告", "禀报", "称赞",
    "笑", "笑到", "答", "答到", "答应", "答话", "结结巴巴", "继续", "耳语", "脱口而出", "自言", "自言自语",
    "自语", "致意", "致谢", "苦笑", "补充", "表示", "解说", "解释", "言", "警告", "认错", "讥讽", "训斥",
    "训话", "议论", "讲", "诉说", "询问", "说", "说到", "说话", "请教", "请求", "请示", "调侃", "谎称", "谩骂",
    "责备", "责怪", "责问", "质问", "贺喜", "赌咒", "赔罪", "赞叹", "赞美", "起誓", "轻笑", "辩护", "辩解",
    "述说", "追问", "透露", "通报", "道喜", "道歉", "道谢", "道贺", "邀请", "问", "问候", "问到", "问话",
    "附和", "降旨", "骂", "骂到", "骂声", "骂骂咧咧", "高叫", "高呼", "高喊",
};

/* Before a colon they are speech; without one they name a thing or imitate a sound: 叫“通天河”. */
static const char *const sound_verbs[] = {
    "云", "叫", "呼", "哭", "唱", "回", "客气", "应", "开口", "念", "报", "接着", "求", "称", "笑", "继续",
    "表示", "言", "道",
};

/* Ends like a verb of speech but is none. */
static const char *const no_verbs[] = {
    "一回", "一道", "且说", "乌云", "人称", "人道", "传说", "公道", "再说", "几回", "别说", "却说", "厚道",
    "原名叫", "反应", "发言", "取回", "召回", "可笑", "号称", "名叫", "名称", "听说", "味道", "回回", "地道",
    "外号叫", "大道", "夺取", "夺回", "好笑", "学问", "对应", "寻求", "小名叫", "小说", "小道", "带回", "当道",
    "彩云", "微笑", "怀念", "情愿", "情报", "想念", "打回", "找回", "报道", "拿回", "按说", "换回", "据说",
    "收回", "放回", "来回", "概念", "水道", "河道", "海报", "王道", "玩笑", "白云", "相应", "知道", "祥云",
    "简称", "胡说八道", "自称", "虽说", "街道", "要求", "誓言", "访问", "话说", "语言", "诺言", "谣言", "走回",
    "赶回", "轨道", "转回", "这回", "追回", "追求", "退回", "送回", "适应", "逃回", "通称", "通道", "难道",
    "霸道", "顾问", "预言", "频道", "飞回",
};

/* Verbs with whoever is spoken to behind them: 问X：, 吩咐X： */
static const char *const object_verbs[] = {
    "催", "催促", "冲", "劝", "劝告", "反问", "叫", "叫住", "叮嘱", "向", "吩咐", "告知", "告诉", "呵斥",
    "命令", "哀求", "喊", "喊住", "喝住", "喝问", "嘱咐", "嘲笑", "回答", "埋怨", "央求", "夸", "威胁", "安慰",
    "对", "恳求", "报告", "抱怨", "拦住", "提醒", "数落", "斥责", "朝", "求", "盘问", "禀告", "禀报", "笑",
    "警告", "训斥", "询问", "请教", "请示", "责备", "责怪", "责问", "质问", "跟", "追问", "问", "骂",
};
static const char *const toward[] = {
    "与", "冲", "冲着", "同", "向", "向着", "和", "对", "对着", "朝", "朝着", "跟",
};

/* Behind a verb: 说着 喊了声 大叫一声 叫了起来. */
static const char *const particles[] = {
    "一下", "一句", "一声", "一番", "一通", "一遍", "一阵", "下去", "不停", "不已", "不止", "两声", "个不停",
    "了", "了一下", "了一句", "了一声", "了一番", "了几句", "了几声", "了句", "了声", "几句", "几声", "出声",
    "出来", "到", "声", "完", "开了", "开来", "的", "着", "罢", "起来", "过去", "过来", "道",
};

/* The longest particle chain off the end. */
static struct weft_str without_particles(struct weft_str s)
{
    for (int i = 0; i < 3; i++) {
        size_t n = ends(s, WORDS(particles));
        if (!n || n >= s.len) break;
        s.len -= n;
    }
    return s;
}

/* The last clause of a text: behind the last pause, end or colon. */
static struct weft_str last_clause(struct weft_str s)
{
    enum { CLAUSE_BYTES = 600 };       /* a longer one is cut by the caller anyway */
    for (size_t at = s.len; at && s.len - at <= CLAUSE_BYTES;) {
        size_t begin;
        uint32_t cp = mark_before(s, at, &begin);
        if (mark_is_end(cp) || (mark_is_pause(cp) && cp != 0x3001) || mark_is_colon(cp) || mark_is_quote_closer(cp) ||
            cp == '\n' || cp == 0x2014) return weft_str_skip(s, at);
        at = begin;
    }
    return s;
}

/* 对X说, 跟X笑着说: whom; s == NULL: not said. */
static struct weft_str spoken_to(struct weft_str before)
{
    for (size_t i = before.len; i;) {
        size_t begin;
        mark_before(before, i, &begin);
        struct weft_str rest = weft_str_skip(before, begin);
        size_t n = begins(rest, WORDS(toward));
        if (n && rest.len > n) {
            struct weft_str whom = weft_str_skip(rest, n);
            bool person, several;
            prose_skip_determiner(&whom, &several);
            size_t len = prose_noun(whom, true, &person);
            if (len >= 6) return weft_str_sub(whom, 0, len);
            return (struct weft_str){ NULL, 0 };
        }
        i = begin;
    }
    return (struct weft_str){ NULL, 0 };
}

static bool found(struct weft_str text, struct weft_str clause, size_t len, enum prose_cue_kind kind,
                  struct prose_cue *out)
{
    struct weft_str head = weft_str_sub(clause, 0, len);
    *out = (struct prose_cue){ .kind = kind, .verb = (size_t)(clause.s - text.s) + len, .object = spoken_to(head) };
    return true;
}

static bool verb_at_end(struct weft_str text, struct weft_str clause, struct weft_str s, bool colon,
                        struct prose_cue *out)
{
    size_t n;
    if (ends(s, WORDS(no_verbs))) return false;
    n = ends(s, WORDS(thought_verbs));
    if (n) return found(text, clause, s.len - n, PROSE_CUE_THOUGHT, out);
    n = ends(s, WORDS(writing_verbs));
    if (n) return found(text, clause, s.len - n, PROSE_CUE_WRITING, out);
    size_t speech = ends(s, WORDS(speech_verbs));
    /* 笑道, 喝道, 厉声道: any word of one character before 道, or a manner; the verb begins where it does */
    if (weft_str_ends(s, WEFT_STR("道"))) {
        struct weft_str before = weft_str_sub(s, 0, s.len - 3);
        size_t verb = ends(before, WORDS(speech_verbs));
        /* 湘云道: no 云道 */
        if (weft_str_ends(before, WEFT_STR("云")) || weft_str_ends(before, WEFT_STR("言"))) verb = 0;
        size_t sound = verb ? ends(before, WORDS(sound_verbs)) : 0;
        size_t most = verb > sound ? verb : sound;
        return found(text, clause, before.len - most, PROSE_CUE_SPEECH, out);
    }
    n = ends(s, WORDS(sound_verbs));
    if (speech && speech > n) return found(text, clause, s.len - speech, PROSE_CUE_SPEECH, out);
    if (n) return found(text, clause, s.len - n, colon ? PROSE_CUE_SPEECH : PROSE_CUE_SOUND, out);
    if (speech) return found(text, clause, s.len - speech, PROSE_CUE_SPEECH, out);
    return false;
}

bool prose_cue_find(struct weft_str text, bool colon, struct prose_cue *out)
{
    struct weft_str clause = weft_trim(last_clause(text)), bare;
    if (!clause.len) return false;
    if (clause.len > 300) {             /* the verb is at its end */
        size_t from = clause.len - 300;
        while (from < clause.len && ((unsigned char)clause.s[from] & 0xC0) == 0x80) from++;
        clause = weft_str_skip(clause, from);
    }
    if (verb_at_end(text, clause, clause, colon, out)) return true;
    bare = without_particles(clause);
    if (bare.len < clause.len && verb_at_end(text, clause, bare, true, out)) {
        /* 喊了声“变”, 大叫一声“走”: the particle makes it speech; 叫着“…” too */
        return true;
    }
    if (!colon) return false;
    /* 问X：, 告诉X：.  The object is short and the last word. */
    for (size_t i = clause.len; i;) {
        size_t begin, n;
        mark_before(clause, i, &begin);
        struct weft_str rest = weft_str_skip(clause, begin);
        if (weft_utf8_chars(rest) > 10) break;
        n = begins(rest, WORDS(object_verbs));
        if (n && rest.len > n) {
            bool person, several;
            struct weft_str object = weft_str_skip(rest, n);
            size_t len;
            /* a verb of two characters is found one further on */
            size_t b2;
            if (begin) {
                mark_before(clause, begin, &b2);
                size_t n2 = begins(weft_str_skip(clause, b2), WORDS(object_verbs));
                if (n2 > begin - b2) {
                    begin = b2;
                    object = weft_str_skip(clause, b2 + n2);
                }
            }
            *out = (struct prose_cue){ .kind = PROSE_CUE_SPEECH, .verb = (size_t)(clause.s - text.s) + begin };
            prose_skip_determiner(&object, &several);
            len = prose_noun(object, true, &person);
            if (len) out->object = weft_str_sub(object, 0, len);
            return true;
        }
        i = begin;
    }
    return false;
}

/* ---- before the subject ---- */

static const char *const leads[] = {
    "一下子", "一会儿", "一天", "一旁", "一日", "一时", "一路上", "一边", "一面", "不一会儿", "不一时", "不久",
    "不多久", "不多时", "不想", "不料", "不由得", "不过", "与此同时", "且说", "之后", "也", "于是", "于是乎",
    "云端里", "今天", "从此", "众目睽睽之下", "但", "但是", "便", "便有", "俄而", "倒是", "偏偏", "先", "其中",
    "其后", "再", "再说", "冷不防", "刚", "刚好", "刚才", "到底", "刹那间", "半夜", "半晌", "半空中", "单说",
    "即使", "却", "却说", "原先", "原是", "原来", "又", "又有", "反正", "另有", "只", "只好", "只是", "只有",
    "只说", "可", "可是", "同时", "后来", "后面", "吓得", "吓的", "哪知", "唬的", "唯有", "喜得", "喜的",
    "因为", "因此", "外边", "外面", "夜里", "天亮", "天黑", "好在", "如今", "对面", "少时", "少顷", "就",
    "就在此时", "就在这时", "岂知", "席间", "幸亏", "幸好", "开始", "当下", "当夜", "当日", "当时", "当晚",
    "忙", "忽", "忽地", "忽然", "急得", "急忙", "急的", "恰好", "恰巧", "惊得", "想不到", "慌得", "慌忙",
    "慌的", "所以", "才", "接着", "方才", "旁边", "早", "早上", "早晨", "早有", "明天", "昨天", "是夜", "是日",
    "晚上", "最先", "最后", "有一天", "未几", "果然", "果真", "次日", "正", "正在", "正在此时", "正在这时",
    "正巧", "正说着", "此刻", "此后", "此时", "毕竟", "气得", "气的", "没想到", "深夜", "然后", "然而", "猛",
    "猛地", "猛然", "现在", "甚至", "甚至连", "疼得", "痛得", "碰巧", "究竟", "空中", "突然", "立刻", "立即",
    "第二天", "终于", "结果", "羞得", "羞的", "而", "背后", "自有", "至于", "良久", "若不是", "蓦地", "要不是",
    "言罢", "许久", "话说", "说完", "说着", "说罢", "谁", "谁料", "谁知", "赶忙", "赶快", "赶紧", "起初",
    "路上", "身后", "身旁", "过了一会儿", "过了半晌", "还", "还是", "还有", "这一下", "这一天", "这下", "这天",
    "这才", "这日", "这时", "这时候", "这边", "连", "连忙", "那天", "那才", "那日", "那时", "那边", "都",
    "里边", "里面", "门外", "随即", "随后", "霎时", "须臾", "顿时", "首先", "马上",
};
static const char *const hears[] = {
    "传出", "传来", "但听", "但见", "便听", "却听", "却见", "又听", "只听", "只听到", "只听得", "只听见",
    "只见", "只闻", "听", "听到", "听得", "听见", "响起", "就听", "忽听", "忽听得", "忽听见", "忽见", "忽闻",
    "猛听得", "猛见", "耳听", "走出", "走来", "走进", "跑来", "跳出", "转出", "钻出", "闪出",
};
static const char *const determiners[] = {
    "一", "一个", "一位", "一只", "一名", "一头", "一条", "其中一个", "其中一位", "另", "另一个", "另一位",
    "另一名", "有", "有一个", "有一位", "有一只", "有一名", "有个", "有位", "有只", "有名", "某个", "某位",
    "此", "该", "这", "这一个", "这个", "这位", "这只", "这名", "那", "那一个", "那个", "那位", "那只", "那名",
    "那头", "那条",
};
static const char *const several_determiners[] = {
    "一些", "一伙", "一帮", "一班", "一群", "七个", "三个", "三个小", "三位", "三名", "两个", "两位", "两只",
    "两名", "两名小", "九个", "二位", "五个", "众", "众位", "全体", "八个", "六个", "几个", "几位", "几只",
    "几名", "十个", "十位", "各位", "四个", "四位", "所有", "有些", "有的", "群", "许多", "诸", "诸位",
    "这三个", "这两个", "这些", "这几个", "那三个", "那两个", "那些", "那几个", "那四个",
};
static const char *const blockers[] = {
    "一下", "一切", "一口", "一同", "一听", "一块", "一声", "一定", "一手", "一把", "一旦", "一时", "一样",
    "一点", "一直", "一看", "一脚", "一般", "一见", "一起", "一路", "一边", "一阵", "一面", "一齐", "万一",
    "上", "下", "不", "不一会", "不得不", "不得已", "不料", "不由", "不知", "不禁", "不等", "不管", "不觉",
    "与", "且", "丢下", "两手", "两眼", "中", "为", "为了", "为什么", "举", "举起", "之", "乐", "也许", "了",
    "于是", "互相", "亲自", "什么", "仍", "从", "从来", "令", "以", "以为", "以便", "以免", "仰", "仿佛", "传",
    "伤心", "伸", "似乎", "低声", "何", "作", "使", "使得", "依", "依旧", "依然", "侧", "俯", "倒", "借",
    "假如", "假装", "偷偷", "先", "全", "关", "关上", "关于", "其", "其实", "内", "再三", "冒", "冲", "冷冷",
    "冷声", "几乎", "凭", "出", "分外", "则", "刚刚", "别", "到", "前", "劝", "匆匆", "化", "十分", "半天",
    "即", "即使", "历来", "厉声", "去", "及", "双手", "双眼", "反倒", "反复", "反而", "发怒", "发火", "发现",
    "取", "取出", "变", "口", "叩", "只好", "只得", "只要", "叫", "召", "可惜", "右", "叹", "吃", "合", "同",
    "同声", "后", "吐", "向", "向来", "吓", "含", "听了", "听完", "听罢", "吹", "告知", "告诉", "呜呜", "呵呵",
    "命", "和", "咬", "哈哈", "哑声", "哪个", "哪想", "哪有", "哪知", "哪里", "哭", "喊", "喜", "喝", "嘱",
    "嘴", "嘻嘻", "嘿嘿", "噘", "回", "因", "因而", "在", "坐", "埋", "声音", "外", "多", "大叫", "大哭",
    "大喊", "大喜", "大喝", "大声", "大怒", "大惊", "大概", "大笑", "大骂", "失声", "头", "奇怪", "奔", "好",
    "好像", "如今", "如何", "如同", "如果", "如此", "完后", "实在", "宣", "害得", "害怕", "对", "将", "小声",
    "少", "尖声", "尤其", "就是", "尽管", "居然", "屡次", "左", "差点", "已", "已经", "带着", "常常", "并",
    "并且", "应声", "开", "张开", "弯", "当", "彼此", "往", "往往", "很", "得", "微微", "心", "忍不住", "忙着",
    "忧", "快", "念", "怎", "怎么", "怒", "怒声", "怕", "怜", "急", "急急", "总是", "恐", "恨", "恨恨", "悄悄",
    "惊", "惊讶", "想", "愁", "愈", "愈加", "感到", "慌", "慢", "慢慢", "或", "或者", "或许", "手", "扑", "打",
    "打开", "扔下", "托", "扛着", "扬", "扮", "扯", "扶着", "把", "抓", "抬", "抬起", "抱", "抱着", "抽出",
    "拉", "拉着", "拍", "拔", "拔出", "拖", "拜", "拱", "拽", "拿", "拿出", "指着", "按", "按照", "挑着", "挥",
    "挺", "捆", "捉", "捏", "据", "捶", "掏出", "掐", "接过", "推", "揉", "提", "搂", "摇", "摔", "摸", "撅",
    "撞", "收", "放", "放下", "放声", "故意", "敲", "整", "料", "料定", "施", "无", "无奈", "无论", "既然",
    "早", "早已", "时", "时常", "是", "晚", "暗暗", "曰", "更", "更加", "曾", "曾经", "替", "最", "朗声", "朝",
    "未", "本来", "杀", "来", "极", "柔声", "根据", "格外", "欢喜", "死", "比", "气", "求", "沉声", "没",
    "没办法", "没想", "没有", "沿", "泪", "活", "派", "流", "淡淡", "渐", "渐渐", "滚", "满", "点", "照", "爬",
    "爱", "牵着", "特别", "狠狠", "独自", "猜", "理", "甚", "生气", "用", "甩", "由", "由于", "留下", "疑",
    "病", "的", "皱", "直到", "相互", "看", "看了", "看罢", "眯", "眼", "着", "着急", "睁开", "睡", "瞪", "知",
    "知道", "砸", "确实", "磕", "禁不住", "站", "竟", "竟然", "笑", "等", "粗声", "紧紧", "约", "纷纷", "经过",
    "绑", "给", "羞", "而且", "背着", "脸", "自", "自从", "自言自语", "若", "莫非", "落", "藏", "虽", "虽然",
    "行", "被", "装", "要", "要是", "见", "见了", "觉", "觉得", "认为", "让", "讲", "话", "说", "请", "走",
    "赶着", "起", "趁", "越", "越发", "跌", "跑", "跟", "跪", "跳", "跺", "踏", "踢", "踩", "身", "躬", "躲",
    "躺", "转", "轻", "轻声", "轻轻", "过", "这边", "这里", "进", "连声", "连连", "追着", "退", "逃", "递过",
    "通过", "逼", "道", "避", "那边", "那里", "醒", "里", "重", "闪", "闭上", "问", "闻", "闻言", "除", "除非",
    "险些", "陪", "随", "随着", "难过", "难道", "雇", "露", "静静", "非", "非常", "领着", "颇", "频频", "颤声",
    "飞", "骂", "骑着", "高兴", "高叫", "高喊", "高声", "默默", "齐声",
};

static const char *const group_words[] = {
    "一行人", "三人", "三妖", "两人", "两口子", "二人", "二妖", "二将", "人们", "众", "众人", "俩人",
    "兄弟二人", "兄弟们", "兄弟俩", "其他人", "其余人", "几人", "四人", "大伙", "大伙儿", "大家", "夫妇",
    "夫妻二人", "夫妻俩", "姊妹", "姐妹", "师徒", "师徒三人", "师徒二人", "师徒们", "师徒几个", "师徒四人",
    "弟兄", "所有人", "母女", "母子", "父女", "父子", "百姓", "百姓们", "老两口",
};

/* The last character of a word for a person or a creature that speaks. */
static const char person_ends[] =
    "丞主人仆仙们伯伴佛使侄侠侯僧儿公兵军农刚判匪医卒卫友叔叟吏君员哥商圣士夫女奴奶妃妇妈妖妪妹妾姊姐姑姥姨姬娘婆婢婶"
    "媪嫂嫔嬷子孙孩宗官客家将尊尚尼差师帝弟役徒怪护星氏汉爵爷爸爹牛犬狐狗狼猪猫猴王生监盗相祖神童精羊翁者臣舅萨虎虾蛇"
    "蟒蟹贼道郎长雀马鬼魔鱼鸟鹰鹿鼠龙龟";
/* The first character of what follows a subject. */
static const char predicates[] =
    "一七三上下不与且丢两为举乃乐九也了二于五亦仅今仍从他以们仰会伸但低住作你使依便俯俱倒倚借假偎停偷先全八六关其再冒"
    "冲冷凑几凭出则刚别到刺剁割劈劝勿匆十半即却厉原去又及发取变口只叫可叹吃各合同后吐向吓吩含听吼呆告呜呵命和咬哈哭唱"
    "喊喜喝嘴嘻嘿嚷四回因在地坐埋堵塞填多够大夺奇奔她如它完定实对寻射将少尤就尽已带帮常并庆应开张弯强当往待很得微心必"
    "忙忧念忽怒怔怕思急总恐恨恭恼悄惊想愁愈感愣愿慌慢我或截所手才扑打扔托扛扬扮扯扶找把抓投抛抢抬抱抽拄拆拉拍拎拔拖拜"
    "拥拦拱拽拿指按挑挖挡挥挨挺挽捂捉捏捧据捶掀掏掘接推掩掷揉提插揭揽搀搂摇摔摸撕撞收放故救敢敬敲整料施无早昨是晚更曾"
    "最有望朝未本杀来果某柔款止正此每毕气求沉没派流淡深渐滚满点照爬牵猛猜理甚生用甩由留疑的皆皱盯看真眯眼着睁睡瞄瞅瞟"
    "瞥瞧瞪知砍砸确祝离究突立站竟笑等答紧纷终经绑结给继续罢羞而肯背能脸自若苦莫落藏虽被装要见觉解认让该说诵请谢贺赔走"
    "赶起趁越足跌跑跟跪跳踏踢踩身躬躲躺转轻辞边过迎还这进连追送逃通遂道避那都醒闪闭问闻阻陪随需露非靠顺须领颇频飞驾骂"
    "骑高默";

/* Words for people that begin like an adverb or a verb. */
static const char *const person_words[] = {
    "一人", "上司", "下人", "中年人", "主人", "举人", "从人", "使女", "使者", "使臣", "侍卫", "便衣", "先生",
    "其他人", "内人", "内侍", "出家人", "别人", "前辈", "只身", "叫花子", "可汗", "同事", "同伙", "同伴",
    "同学", "后人", "后宫", "后生", "向导", "和事佬", "和尚", "地主", "地保", "外人", "外公", "外婆",
    "太上老君", "太医", "太后", "太君", "太太", "太子", "太守", "太尉", "太师", "太监", "头目", "头领", "好人",
    "好汉", "如来", "客人", "对头", "对手", "将军", "将士", "将领", "小便衣", "少主", "少女", "少奶奶", "少妇",
    "少年", "少爷", "开店的", "当家的", "当差的", "心腹", "手下", "才子", "打手", "提督", "提辖", "教授",
    "方丈", "晚辈", "杀手", "来人", "来客", "来者", "正主", "正宫", "死者", "爱人", "爱妃", "用人", "病人",
    "站长", "老师", "老板", "行人", "行者", "讲师", "说书人", "请客的", "起义军", "跑堂", "跟班", "过客",
    "还俗", "进士", "连襟", "连长", "道人", "道士", "道姑", "道童", "道长", "都督", "都统", "随从",
};
static bool is_person_word(struct weft_str s) { return begins(s, WORDS(person_words)) > 0; }

bool prose_skip_lead(struct weft_str *s)
{
    bool any = false;
    for (int i = 0; i < 6; i++) {
        size_t n = is_person_word(*s) ? 0 : begins(*s, WORDS(leads));
        if (!n || begins(*s, WORDS(hears)) > n) break;      /* 忽见 is more than 忽 */
        *s = weft_trim_left(weft_str_skip(*s, n));
        any = true;
    }
    return any;
}

static const char *const more[] = { "到", "得", "见" };

bool prose_skip_hear(struct weft_str *s)
{
    size_t n = begins(*s, WORDS(hears));
    if (!n || n >= s->len) return false;
    *s = weft_str_skip(*s, n);
    *s = weft_str_skip(*s, begins(*s, WORDS(more)));    /* 又听 and 又听见 */
    return true;
}

bool prose_skip_determiner(struct weft_str *s, bool *several)
{
    size_t n = begins(*s, WORDS(determiners)), m = begins(*s, WORDS(several_determiners));
    *several = false;
    if (m > n) {
        *several = true;
        n = m;
    }
    if (!n || n >= s->len) return false;
    *s = weft_str_skip(*s, n);
    return true;
}

bool prose_is_blocked(struct weft_str s)
{
    if (is_person_word(s)) return false;
    return begins(s, WORDS(blockers)) || begins(s, WORDS(object_verbs)) || begins(s, WORDS(speech_verbs)) > 3;
}

static const char *const one[] = { "他", "他自己", "她", "她自己", "它" };

static const char *const many[] = { "他三人", "他两个", "他两人", "他二人", "他们", "他俩", "她们", "她俩", "它们" };

size_t prose_pronoun(struct weft_str s, bool *several, bool *female)
{
    size_t n = begins(s, WORDS(one)), m = begins(s, WORDS(many));
    *several = m > n;
    *female = weft_str_starts(s, WEFT_STR("她"));
    return m > n ? m : n;
}

size_t prose_group(struct weft_str s) { return begins(s, WORDS(group_words)); }

bool prose_is_predicate(uint32_t cp) { return one_of(cp, predicates); }

bool prose_is_person(struct weft_str s)
{
    size_t begin;
    return s.len && one_of(mark_before(s, s.len, &begin), person_ends);
}

bool prose_is_title(struct weft_str s)
{
    static const char *const titles[] = { "菩萨", "佛祖", "大王", "天王", "太子", "公主", "大仙", "星君", "真人", "天尊", "祖师",
    "元帅", "将军", "夫人", "娘娘", "老爷",
        "公子", "先生", "小姐", "姑娘", "道长", "长老", "大圣", "太太", "少爷", "老板", "师傅", "大夫", "医生", "老师", "教授", "局长", "队长",
    "龙王", "真君" };
    for (size_t i = 0; i < WEFT_COUNT(titles); i++)
        if (weft_str_is(s, titles[i])) return true;
    return false;
}

static const char *const ands[] = { "、", "与", "以及", "及", "同", "和" };

size_t prose_and(struct weft_str s)
{
    return begins(s, WORDS(ands));
}

/* 金刚 is a person, 刚 alone is 刚才. */
static bool is_diamond(struct weft_str s, size_t at, uint32_t cp)
{
    size_t begin;
    return cp == 0x521A && at && mark_before(s, at, &begin) == 0x91D1;
}

/* Words for people that begin like a predicate and end a name. */
static const char *const person_tails[] = {
    "上人", "上校", "下士", "中尉", "主任", "使者", "先生", "全家", "同学", "和尚", "大人", "大仙", "大侠",
    "大叔", "大哥", "大圣", "大夫", "大妈", "大姐", "大娘", "大婶", "大嫂", "大将", "大将军", "大师", "大汉",
    "大爷", "大王", "大臣", "导师", "将军", "将领", "小姐", "少爷", "师傅", "手下", "教授", "真人", "真仙",
    "真君", "经理", "老师", "行者", "跟班", "道人", "道士", "道姑", "道童", "道长", "随从", "领导",
};

/* Within 一个黑脸大汉 these begin no predicate. */
static const char soft[] =
    "冷厉口嘴大强微心手柔淡深满猛白眼脸苦身轻边长高";

size_t prose_noun(struct weft_str s, bool determined, bool *person)
{
    enum { MOST = 6 };
    size_t at = 0, n = 0, person_at = 0, before;
    *person = false;
    while (at < s.len && n < MOST) {
        uint32_t cp;
        size_t len = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (!(cp >= 0x3400 && cp < 0xA000) && !(cp >= 0x20000 && cp < 0x32000) && cp != 0xB7) break;
        size_t tail = n >= 1 ? begins(weft_str_skip(s, at), WORDS(person_tails)) : 0;
        if (tail) {                     /* 白鹭真人, 王大人 */
            n += weft_utf8_chars(weft_str_sub(s, at, at + tail));
            person_at = at += tail;
            continue;
        }
        if (n >= (determined ? 1u : 2u) && prose_is_predicate(cp) && !is_diamond(s, at, cp) &&
            !(determined && n < 3 && one_of(cp, soft) && person_at != at)) break;
        at += len;
        n++;
        /* 丫头, not 回头; 皇后, not 然后 */
        uint32_t second = at > len ? mark_before(s, at - len, &before) : 0;
        if (one_of(cp, person_ends) || (cp == 0x5934 && one_of(second, "丫工老魔")) ||
            (cp == 0x540E && one_of(second, "太母王皇"))) person_at = at;
    }
    /* 揪住, 现出, 溅得: a verb with what completes it */
    if (!determined && n >= 2) {
        uint32_t second = mark_at(s, weft_utf8_offset(s, 1));
        if (one_of(second, "上下了住出到去完开得掉断着起过") && !(n == 2 && person_at == at) && !is_person_word(s)) return 0;
    }
    /* 刘伯钦 is not 刘伯, and 牛角 no 牛: the word must end where its predicate begins */
    if (person_at == at && (n > 1 || determined || at == s.len)) {
        *person = true;
        return at;
    }
    return n >= 2 && n <= 4 ? at : 0;
}

/* ---- the order of the lists ---- */

bool prose_words_sorted(const char **wrong)
{
    const struct words lists[] = {
        WORDS(ands), WORDS(blockers), WORDS(determiners), WORDS(group_words), WORDS(hears), WORDS(leads),
        WORDS(many), WORDS(more), WORDS(no_verbs), WORDS(object_verbs), WORDS(one), WORDS(particles),
        WORDS(person_tails), WORDS(person_words), WORDS(several_determiners), WORDS(sound_verbs), WORDS(speech_verbs),
        WORDS(thought_verbs), WORDS(toward), WORDS(writing_verbs)
    };
    for (size_t i = 0; i < WEFT_COUNT(lists); i++)
        for (size_t k = 0; k < lists[i].n; k++) {
            size_t len = strlen(lists[i].items[k]);
            if ((k && strcmp(lists[i].items[k - 1], lists[i].items[k]) >= 0) || len < 3 || len > 3 * ENDING_CHARS) {
                *wrong = lists[i].items[k];
                return false;
            }
        }
    return true;
}
