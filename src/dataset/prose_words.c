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

/* The longest word of the list that `s` begins or ends with; 0: none. */
static size_t begins(struct weft_str s, struct words w)
{
    size_t best = 0;
    if (s.len < 3) return 0;                    /* every word has three bytes or more */
    for (size_t i = 0; i < w.n; i++) {
        const char *w0 = w.items[i];
        if (w0[2] != s.s[2] || w0[1] != s.s[1] || w0[0] != s.s[0]) continue;
        struct weft_str word = weft_str_c(w0);
        if (word.len > best && weft_str_starts(s, word)) best = word.len;
    }
    return best;
}

static size_t ends(struct weft_str s, struct words w)
{
    size_t best = 0;
    for (size_t i = 0; i < w.n; i++) {
        struct weft_str word = weft_str_c(w.items[i]);
        if (word.len > best && weft_str_ends(s, word)) best = word.len;
    }
    return best;
}

/* A list of characters of three bytes each, as one text in the order of their code points (and bytes). */
static bool one_of(uint32_t cp, const char *list)
{
    char utf8[4];
    size_t low = 0, high = strlen(list) / 3;
    if (cp < 0x800 || cp > 0xFFFF) return false;
    weft_utf8_encode(cp, utf8);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = memcmp(utf8, list + 3 * mid, 3);
        if (!order) return true;
        if (order > 0) low = mid + 1;
        else high = mid;
    }
    return false;
}

/* ---- cues ---- */

static const char *const thought_verbs[] = {
    "想", "心想", "暗想", "想道", "心道", "暗道", "忖道", "思道", "自道", "寻思", "思忖", "暗忖", "自忖", "琢磨", "盘算", "思量",
    "忖度", "纳闷", "心里说", "心中说", "心里道", "心中道", "心说", "心里", "心中", "暗自", "思索", "沉思", "默念", "心下", "寻思道", "思忖道",
    "暗忖道", "自忖道", "思量道", "沉吟", "暗暗", "心里话", "暗叫", "暗骂", "心叹", "暗叹", "意识到", "觉得", "腹诽" };

static const char *const writing_verbs[] = {
    "写", "写着", "写道", "写了", "写的是", "写有", "上写", "大书", "书写", "刻", "刻着", "刻有", "刻了", "题", "题着", "题了", "题道", "题曰",
    "上书", "印着",
    "绣着", "贴着", "画着", "标着", "书着", "书曰", "诗曰", "词曰", "诗云", "歌曰", "曰为", "上面是", "留言", "显示", "记载", "记着", "载着",
    "挂着", "写明",
    "注明", "大字", "几个字", "个字", "字样", "小字", "金字" };

/* Verbs of speech as they stand before a colon or behind a quote.  Verbs that end with 道 are found by rule. */
static const char *const speech_verbs[] = {
    "说", "问", "答", "喊", "嚷", "骂", "吼", "叹", "劝", "喝", "曰", "云", "言", "唱", "念", "报", "禀", "求", "应", "讲", "回",
    "奏", "斥", "呼", "笑", "哭",
    "告诉", "告知", "回答", "应答", "吩咐", "命令", "下令", "传令", "传旨", "降旨", "解释", "埋怨", "抱怨", "插嘴", "插话", "插口", "接口",
    "接话", "接茬",
    "建议", "提议", "报告", "来报", "禀告", "禀报", "回报", "通报", "叮嘱", "嘱咐", "叮咛", "央求", "哀求", "恳求", "请求", "乞求", "求饶",
    "求情", "祷告",
    "祈祷", "招呼", "商量", "商议", "议论", "反问", "追问", "质问", "询问", "发问", "盘问", "责问", "喝问", "冷笑", "大笑", "苦笑", "自语", "自言自语",
    "自言", "开口", "发话", "回话", "答话", "搭话", "传话", "说话", "喊话", "答应", "应声", "附和", "嘟囔", "嘟哝", "嘀咕", "咕哝", "低语",
    "耳语", "感叹",
    "感慨", "叹息", "惊呼", "高呼", "欢呼", "呼喊", "呼叫", "呼唤", "大叫", "高叫", "尖叫", "惊叫", "怪叫", "吆喝", "呵斥", "喝斥", "训斥",
    "斥责", "怒斥",
    "叱责", "责备", "责怪", "数落", "安慰", "劝说", "劝告", "提醒", "警告", "威胁", "恐吓", "辩解", "辩护", "承认", "补充", "宣布", "宣告",
    "声明", "表示",
    "称赞", "夸奖", "夸赞", "赞叹", "赞美", "道歉", "道谢", "致谢", "讥讽", "嘲讽", "嘲笑", "打趣", "调侃", "取笑", "撒谎", "谎称", "强调",
    "指出", "打断",
    "发誓", "起誓", "赌咒", "诉说", "哭诉", "述说", "咆哮", "怒吼", "低吼", "嘶吼", "呻吟", "哽咽", "抽泣", "催促", "催", "叫苦", "叫喊", "叫嚷", "叫骂",
    "大骂", "咒骂", "谩骂", "夸口", "吹牛", "出主意", "出了个主意", "出了一个主意", "回敬", "反驳", "争辩", "嗔", "哼", "啐", "高喊", "大喊", "哭喊",
    "怒喝", "大喝",
    "断喝", "请示", "请教", "推辞", "客气", "寒暄", "问候", "告饶", "上奏", "启奏", "奏报", "训话", "喊冤", "应和", "接着", "继续", "解说",
    "介绍", "透露",
    "坦白", "招供", "供认", "赔罪", "认错", "致意", "道喜", "贺喜", "道贺", "邀请", "发号施令", "交代", "交待", "嚷嚷", "喃喃", "娇嗔", "轻笑", "失声",
    "张口", "脱口而出", "骂骂咧咧", "结结巴巴", "传音", "问话", "喊声", "叫声", "骂声", "发问道", "说到", "喊到", "叫到", "问到", "答到", "骂到",
    "笑到", "吼到", "嚷到",
    "叹到", "劝到", "回到他", "喝到", "开口说", "心声" };

/* Before a colon they are speech; without one they name a thing or imitate a sound: 叫“通天河”. */
static const char *const sound_verbs[] = { "叫", "称", "道", "呼", "笑", "哭", "报", "回", "应", "言", "云", "念", "唱",
    "求", "接着", "继续",
                                           "客气", "表示", "开口" };

/* Ends like a verb of speech but is none. */
static const char *const no_verbs[] = {
    "知道", "味道", "街道", "难道", "大道", "小道", "河道", "地道", "一道", "报道", "轨道", "通道", "水道", "频道", "人道", "王道", "霸道",
    "厚道", "公道", "当道",
    "小说", "传说", "听说", "据说", "再说", "虽说", "别说", "按说", "话说", "却说", "且说", "胡说八道", "学问", "访问", "顾问", "白云", "乌云",
    "彩云", "祥云", "语言",
    "谣言", "诺言", "誓言", "发言", "预言", "名叫", "小名叫", "外号叫", "原名叫", "玩笑", "微笑", "可笑", "好笑", "名称", "简称", "号称", "自称",
    "人称", "通称", "相应",
    "反应", "适应", "对应", "收回", "带回", "退回", "召回", "追回", "夺回", "几回", "一回", "这回", "来回", "概念", "想念", "怀念", "要求",
    "寻求", "追求", "海报", "情报",
    "情愿", "夺取", "取回", "找回", "换回", "打回", "逃回", "飞回", "拿回", "放回", "走回", "转回", "赶回", "回回", "送回" };

/* Verbs with whoever is spoken to behind them: 问X：, 吩咐X： */
static const char *const object_verbs[] = { "告诉", "告知", "吩咐", "命令", "嘱咐", "叮嘱", "劝告", "责问", "质问", "追问", "反问",
    "喝问", "盘问", "询问", "责备",
    "责怪", "埋怨", "抱怨", "安慰", "提醒", "警告", "威胁", "催促", "训斥", "斥责", "呵斥", "数落", "回答", "报告", "禀告", "禀报", "请教",
    "请示", "央求", "哀求",
    "恳求", "嘲笑", "叫住", "喊住", "喝住", "拦住", "问", "劝", "骂", "求", "笑", "催", "喊", "叫", "夸", "对", "向", "跟", "朝", "冲" };
static const char *const toward[] = { "对着", "向着", "朝着", "冲着", "对", "向", "跟", "朝", "冲", "与", "和", "同" };

/* Behind a verb: 说着 喊了声 大叫一声 叫了起来. */
static const char *const particles[] = { "着", "了", "起来", "出来", "过去", "过来", "一声", "一句", "两声", "几声", "声", "了声",
    "了一声", "了一句", "了几声",
    "了几句", "几句", "一番", "了一番", "一遍", "一阵", "下去", "开来", "开了", "不已", "不停", "不止", "道", "出声", "个不停", "一通", "了句",
    "完", "罢", "的", "到",
    "一下", "了一下" };

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
    "这时候", "这时", "那时", "此时", "此刻", "当时", "当下", "这下", "这一下", "正在这时", "就在这时", "正在此时", "就在此时", "正说着", "说着", "说完",
    "说罢", "言罢", "忽然",
    "忽地", "突然", "猛然", "蓦地", "猛地", "冷不防", "于是", "于是乎", "然后", "接着", "随后", "随即", "最后", "后来", "后面", "原来", "果然",
    "终于", "一天", "有一天",
    "这天", "这一天", "那天", "第二天", "次日", "当晚", "晚上", "早上", "早晨", "一会儿", "不一会儿", "不一时", "一时", "不久", "过了一会儿", "过了半晌",
    "半晌", "良久",
    "许久", "不料", "谁知", "谁料", "哪知", "没想到", "想不到", "岂知", "幸亏", "幸好", "好在", "可是", "但是", "但", "可", "却", "而", "只是",
    "不过", "然而", "因此",
    "所以", "因为", "只好", "便", "就", "才", "又", "也", "还", "再", "都", "忙", "连忙", "急忙", "赶忙", "赶紧", "慌忙", "立刻", "立即",
    "马上", "顿时", "霎时", "刹那间",
    "这才", "那才", "方才", "刚才", "刚", "正", "正在", "恰好", "恰巧", "正巧", "偏偏", "原先", "起初", "开始", "先", "最先", "首先", "其中",
    "只有", "唯有", "旁边",
    "一旁", "一边", "那边", "这边", "门外", "里面", "外面", "里边", "外边", "身后", "背后", "半空中", "空中", "云端里", "却说", "且说", "话说",
    "单说", "再说", "只说",
    "如今", "现在", "今天", "昨天", "明天", "夜里", "半夜", "深夜", "天亮", "天黑", "至于", "对面", "身旁", "忽", "只", "猛", "倒是", "还是",
    "到底", "毕竟", "究竟", "当日",
    "一日", "那日", "这日", "是日", "当夜", "是夜", "此后", "其后", "从此", "同时", "与此同时", "不由得", "原是", "反正", "果真", "众目睽睽之下",
    "一路上", "路上", "席间", "结果",
    "要不是", "若不是", "即使", "甚至", "甚至连", "连", "谁", "不想", "不多时", "不多久", "少时", "少顷", "须臾", "俄而", "未几", "一面", "唬的",
    "吓的", "吓得", "急得",
    "急的", "气得", "气的", "喜得", "羞得", "慌得", "慌的", "喜的", "羞的", "惊得", "早有", "早", "便有", "又有", "还有", "另有", "自有", "刚好",
    "碰巧", "痛得", "疼得", "之后", "赶快", "一下子" };
static const char *const hears[] = {
    "只听得", "只听见", "只听到", "只听", "忽听得", "忽听见", "忽听", "忽闻", "听得", "听见", "听到", "就听", "便听", "猛听得", "又听", "却听",
    "但听", "只闻", "耳听",
    "只见", "忽见", "但见", "却见", "猛见", "传来", "传出", "响起", "跑来", "走来", "走出", "走进", "跳出", "钻出", "闪出",
    "转出", "听" };
static const char *const determiners[] = { "那个", "这个", "那位", "这位", "那名", "这名", "那只", "这只", "那条", "那头", "那一个",
    "这一个", "一个", "一位", "一名", "一只", "一条",
    "一头", "有个", "有位", "有只", "有名", "有一个", "有一位", "有一名", "有一只", "其中一个", "其中一位", "另一个", "另一位", "另一名", "某个", "某位",
    "那", "这", "该", "一", "有", "此", "另" };
static const char *const several_determiners[] = { "那些", "这些", "几个", "几位", "几名", "两个", "两位", "两名", "三个", "三位",
    "四个", "四位", "五个", "六个", "七个", "八个",
    "九个", "十个", "那几个", "这几个", "那两个", "这两个", "那三个", "这三个", "那四个", "众", "众位", "各位", "诸位", "一群", "一伙", "一班",
    "一帮", "许多", "一些", "有些", "有的",
    "所有", "全体", "十位", "群", "诸", "三个小", "两只", "几只", "两名小", "二位", "三名" };
static const char *const blockers[] = { "对", "向", "跟", "给", "问", "叫", "让", "把", "将", "被", "请", "告诉", "告知",
    "见", "看", "朝", "冲", "指着", "拉着", "为", "替", "以",
    "用", "因", "在", "从", "到", "当", "等", "如果", "如今", "如同", "如此", "如何", "若", "虽", "由", "往", "比", "按", "照", "依",
    "凭", "随", "沿", "据", "除", "自从", "直到", "关于", "不", "没", "无",
    "非", "未", "别", "很", "更", "最", "极", "十分", "非常", "是", "使", "令", "命", "派", "要", "想", "说", "讲", "劝", "求", "拿",
    "取", "举", "提", "抬", "伸",
    "摇", "点", "拍", "跳", "跑", "走", "飞", "站", "坐", "跪", "拜", "叩", "磕", "行", "回", "转", "退", "进", "出", "上", "下",
    "来", "去", "起", "过", "开", "关",
    "打", "杀", "捉", "抓", "捆", "绑", "放", "变", "化", "念", "吹", "拔", "喊", "骂", "哭", "笑", "叹", "喝", "吃", "吐", "流",
    "落", "露", "吓", "惊", "怒", "恨", "急",
    "羞", "喜", "乐", "一边", "一面", "一手", "一脚", "一把", "一口", "一听", "一见", "一看", "一下", "一声", "一阵", "一起", "一齐", "一同",
    "一块", "一时", "一路", "一直",
    "一定", "一样", "一般", "一切", "一点", "半天", "大声", "高声", "低声", "轻声", "小声", "厉声", "怒声", "齐声", "同声", "连声", "失声",
    "应声", "放声", "尖声", "沉声",
    "柔声", "冷声", "朗声", "颤声", "粗声", "哑声", "大叫", "大喊", "大喝", "大笑", "大哭", "大骂", "大怒", "大惊", "大喜", "高叫", "高喊", "好",
    "多", "少", "快", "慢", "轻",
    "重", "早", "晚", "先", "完后", "后", "前", "左", "右", "双手", "两手", "两眼", "双眼", "眼", "手", "口", "心", "身", "头", "脸",
    "嘴", "泪", "声音", "话", "满", "全", "故意",
    "于是", "因而", "反而", "反倒", "仍", "依然", "依旧", "居然", "竟", "竟然", "忍不住", "禁不住", "自言自语", "互相", "相互", "彼此", "亲自",
    "独自", "暗暗", "悄悄", "偷偷",
    "慢慢", "渐渐", "轻轻", "紧紧", "狠狠", "恨恨", "微微", "淡淡", "冷冷", "静静", "默默", "匆匆", "急急", "连连", "频频", "纷纷", "哈哈",
    "呵呵", "嘿嘿", "嘻嘻", "呜呜",
    "召", "传", "宣", "约", "陪", "托", "雇", "嘱", "逼", "害得", "发现", "自", "说", "道", "曰", "得", "着", "了", "的", "之", "其",
    "何", "怎", "哪个", "哪里", "哪有", "哪知", "哪想", "什么", "为什么", "怎么", "如果", "假如", "要是", "只要", "除非", "无论", "不管", "尽管",
    "虽然", "既然", "即使", "就是", "即", "则", "或", "并", "且", "与", "和", "同", "及", "而且", "并且", "或者", "使得", "以免", "以便",
    "为了", "由于", "随着", "经过", "通过",
    "根据", "按照", "关上", "打开", "拿出", "掏出", "取出", "抽出", "拔出", "举起", "抬起", "睁开", "闭上", "张开", "放下", "扔下", "丢下",
    "留下", "接过", "递过", "带着",
    "领着", "抱着", "背着", "扶着", "牵着", "骑着", "挑着", "扛着", "赶着", "追着", "冒", "趁", "借", "托", "扮", "装", "假装", "含", "咬",
    "瞪", "皱", "眯", "噘", "撅",
    "挥", "甩", "扬", "挺", "弯", "俯", "仰", "侧", "躬", "拱", "作", "施", "合", "整", "理", "收", "藏", "埋", "躲", "闪", "避",
    "逃", "奔", "冲", "扑", "撞", "推", "拉",
    "扯", "拽", "拖", "搂", "抱", "摸", "揉", "捏", "掐", "敲", "捶", "砸", "踢", "踩", "跺", "踏", "爬", "滚", "摔", "跌", "倒",
    "躺", "睡", "醒", "病", "死", "活",
    "时", "里", "中", "内", "外", "那里", "这里", "那边", "这边", "哪里", "可惜", "难道", "莫非", "大概", "也许", "或许", "似乎", "好像",
    "仿佛", "其实", "实在", "确实", "本来",
    "从来", "向来", "历来", "已经", "曾经", "已", "曾", "早已", "刚刚", "渐", "愈", "越", "挺", "颇", "甚", "尤其", "特别", "格外", "分外",
    "更加", "愈加", "越发", "听了",
    "听完", "听罢", "看了", "看罢", "见了", "闻", "闻言", "知", "知道", "觉", "觉得", "感到", "认为", "以为", "料", "料定", "猜", "疑", "怕",
    "恐", "愁", "忧", "怜", "爱",
    "气", "生气", "发怒", "发火", "高兴", "欢喜", "害怕", "着急", "伤心", "难过", "奇怪", "惊讶", "慌", "忙着", "只好", "只得", "不得不",
    "不得已", "无奈", "没办法", "没有",
    "没想", "不知", "不料", "不禁", "不觉", "不由", "不管", "不等", "不一会", "差点", "几乎", "险些", "万一", "一旦", "反复", "再三", "屡次",
    "时常", "常常", "往往", "总是" };

static const char *const group_words[] = { "众人", "大家", "大伙", "大伙儿", "二人", "两人", "三人", "四人", "几人", "人们", "所有人",
    "其他人", "其余人", "师徒们",
    "师徒几个", "师徒三人", "师徒四人", "师徒二人", "师徒", "兄弟二人", "兄弟俩", "夫妻二人", "夫妻俩", "夫妇", "母女", "父子", "父女", "母子", "姐妹",
    "姊妹", "弟兄", "兄弟们", "二妖", "三妖",
    "二将", "众", "俩人", "两口子", "老两口", "一行人", "百姓们", "百姓" };

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
static const char *const person_words[] = { "先生", "太子", "太太", "太后", "太监", "太医", "太守", "太师", "太君", "太上老君",
    "太尉", "行者", "行人", "来人", "来客",
    "来者", "下人", "上司", "头领", "头目", "好汉", "好人", "打手", "当家的", "当差的", "正宫", "才子", "都督", "都统", "过客", "出家人", "进士",
    "跟班", "使者", "使臣",
    "使女", "随从", "站长", "跑堂", "道士", "道人", "道童", "道姑", "道长", "说书人", "讲师", "对头", "对手", "向导", "将军", "将士", "将领",
    "和尚", "从人", "用人",
    "叫花子", "爱人", "爱妃", "病人", "死者", "前辈", "后生", "后人", "手下", "心腹", "少年", "少女", "少爷", "少妇", "少主", "少奶奶", "晚辈",
    "中年人", "内侍", "内人", "外人",
    "外婆", "外公", "地主", "地保", "别人", "举人", "提督", "提辖", "杀手", "如来", "连长", "连襟", "便衣", "后宫", "可汗", "只身", "还俗",
    "方丈", "其他人", "开店的", "请客的",
    "老板", "老师", "起义军", "正主", "小便衣", "同学", "同伴", "同事", "同伙", "和事佬", "教授", "侍卫", "客人", "主人", "一人" };
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

bool prose_skip_hear(struct weft_str *s)
{
    static const char *const more[] = { "见", "得", "到" };
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

size_t prose_pronoun(struct weft_str s, bool *several, bool *female)
{
    static const char *const one[] = { "他", "她", "它", "他自己", "她自己" };
    static const char *const many[] = { "他们", "她们", "它们", "他二人", "他两个", "他俩", "她俩", "他两人", "他三人" };
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

size_t prose_and(struct weft_str s)
{
    static const char *const ands[] = { "和", "与", "、", "及", "以及", "同" };
    return begins(s, WORDS(ands));
}

/* 金刚 is a person, 刚 alone is 刚才. */
static bool is_diamond(struct weft_str s, size_t at, uint32_t cp)
{
    size_t begin;
    return cp == 0x521A && at && mark_before(s, at, &begin) == 0x91D1;
}

/* Words for people that begin like a predicate and end a name. */
static const char *const person_tails[] = { "大王", "大人", "大师", "大哥", "大姐", "大嫂", "大叔", "大爷", "大妈", "大娘", "大婶",
    "大夫", "大仙", "大圣",
    "大将军", "大将", "大臣", "大汉", "大侠", "真人", "真君", "真仙", "道长", "道士", "道人", "道童", "道姑", "行者", "将军", "将领", "和尚",
    "使者", "手下", "上人",
    "上校", "下士", "中尉", "少爷", "全家", "小姐", "教授", "主任", "经理", "同学", "师傅", "老师", "先生", "领导", "导师", "跟班", "随从" };

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
