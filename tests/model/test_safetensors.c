/* Rules ST1-ST11 (docs/robustness.md): for each a good file and bad ones, with rule and place. */
#include "check.h"
#include "model/safetensors.h"


/* A file of a header and `data` bytes of zeros; length 0: that of the header. */
static void build(struct weft_buf *out, const char *header, size_t data, uint64_t length)
{
    uint64_t n = length ? length : strlen(header);
    weft_buf_reset(out);
    for (int i = 0; i < 8; i++) weft_buf_char(out, (char)(n >> 8 * i & 255));
    weft_buf_cstr(out, header);
    for (size_t i = 0; i < data; i++) weft_buf_char(out, 0);
}

struct reading {
    struct weft_arena arena;
    struct weft_safetensors file;
    struct weft_err err;
    enum weft_status st;
    const char *folder;
    char path[96];
    struct weft_buf buf;
};

static int set_up(void **state)
{
    struct reading *r = calloc(1, sizeof *r);
    r->folder = check_folder();
    snprintf(r->path, sizeof r->path, "%s/x.safetensors", r->folder);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct reading *r = *state;
    weft_safetensors_close(&r->file);
    check_folder_gone(r->folder);
    weft_arena_clear(&r->arena);
    weft_buf_clear(&r->buf);
    free(r);
    return 0;
}

static void open_bytes(struct reading *r, const void *p, size_t n)
{
    weft_safetensors_close(&r->file);
    weft_err_clear(&r->err);
    check_ok(weft_file_write(r->path, (struct weft_str){ p, n }, &r->err), &r->err);
    r->st = weft_safetensors_open(&r->file, &r->arena, r->path, &r->err);
}

static void open_header(struct reading *r, const char *header, size_t data)
{
    build(&r->buf, header, data, 0);
    open_bytes(r, r->buf.s, r->buf.len);
}

static void refused(struct reading *r, const char *header, size_t data, const char *rule, const char *part)
{
    open_header(r, header, data);
    check_fails(r->st, &r->err, WEFT_EINPUT, rule, part);
    if (!strstr(r->err.msg, "x.safetensors")) fail_msg("no file in: %s", r->err.msg);
    assert_null(r->file.map.p);
}

#define F32_2X3 "\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]"

static void test_good_files_are_read(void **state)
{
    struct reading *r = *state;
    open_header(
        r,
        "{\"b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[24,26]},\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{" F32_2X3 "},\"empty\":{\"dtype\":\"I64\",\"shape\":[4,0],\"data_offsets\":[24,24]}}   ",
        26);
    check_ok(r->st, &r->err);
    assert_int_equal(r->file.n, 3);
    const struct weft_st_tensor *t = weft_safetensors_find(&r->file, WEFT_STR("a"));
    assert_true(t && t->n_dims == 2 && t->shape[0] == 2 && t->shape[1] == 3 && t->n_elements == 6 && t->bytes == 24);
    t = weft_safetensors_find(&r->file, WEFT_STR("b"));
    assert_true(t && t->n_dims == 0 && t->n_elements == 1 && t->bytes == 2 && t->data == r->file.tensors[0].data + 24);
    assert_true(weft_safetensors_find(&r->file, WEFT_STR("empty"))->bytes == 0);
    assert_null(weft_safetensors_find(&r->file, WEFT_STR("c")));
    check_str(weft_json_get(&r->file.metadata, "format")->text, "pt");
    open_header(r, "{}", 0);
    check_ok(r->st, &r->err);
    assert_int_equal(r->file.n, 0);
    /* one entry of four bits fills half a byte, two fill one; names of 512 bytes; eight dimensions */
    open_header(r, "{\"a\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1);
    check_ok(r->st, &r->err);
    open_header(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,2],\"data_offsets\":[0,2],\"more\":null}}", 2);
    check_ok(r->st, &r->err);
}

static void test_ST1_a_file_has_eight_bytes_and_is_a_file(void **state)
{
    struct reading *r = *state;
    open_bytes(r, "", 0);
    check_fails(r->st, &r->err, WEFT_EINPUT, "ST1", "0 bytes");
    open_bytes(r, "\2\0\0\0\0\0\0", 7);
    check_fails(r->st, &r->err, WEFT_EINPUT, "ST1", "7 bytes");
    weft_err_clear(&r->err);
    assert_int_not_equal(weft_safetensors_open(&r->file, &r->arena, r->folder, &r->err), WEFT_OK);
    assert_non_null(strstr(r->err.msg, "folder"));
}

static void test_ST2_the_header_fits_into_the_file(void **state)
{
    static const struct {
        const char *bytes, *part;
    } others[] = {
        { "version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS" }, { "<!DOCTYPE html><html>", "HTML" },
        { "PK\x03\x04 more bytes", "zip" }, { "GGUF\3\0\0\0\0\0", "GGUF" }, { "\x80\x02}q\1(X\4\0\0", "pickle" },
    };
    struct reading *r = *state;
    static const uint64_t lengths[] = {
        1, 19, 100000001, UINT64_C(1) << 32, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63
    };
    for (size_t i = 0; i < WEFT_COUNT(lengths); i++) {
        build(&r->buf, "{}", 16, lengths[i]);
        open_bytes(r, r->buf.s, r->buf.len);
        check_fails(r->st, &r->err, WEFT_EINPUT, "ST2", "offset 0");
    }
    for (size_t i = 0; i < WEFT_COUNT(others); i++) {
        open_bytes(r, others[i].bytes, strlen(others[i].bytes));
        check_fails(r->st, &r->err, WEFT_EINPUT, "ST2", others[i].part);
    }
}

static void test_ST3_the_header_is_one_JSON_object_and_spaces(void **state)
{
    struct reading *r = *state;
    refused(r, " {}", 0, "ST3", "offset 8");
    refused(r, "[]", 0, "ST3", "offset 8");
    refused(r, "{}\n", 0, "ST3", "offset 10");
    refused(r, "{} {}", 0, "ST3", "offset 11");
    refused(r, "{\"a\":{" F32_2X3 "},}", 24, "JS2", ":1:");
    refused(r, "{\"a\":{" F32_2X3 "}", 24, "JS2", NULL);
    refused(r, "{\"\xff\":{" F32_2X3 "}}", 24, "JS1", NULL);
}

static void test_ST4_names_and_metadata(void **state)
{
    struct reading *r = *state;
    char header[800], name[600];
    refused(r, "{\"a\":{" F32_2X3 "},\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[24,24]}}", 24,
            "JS4", NULL);
    refused(r, "{\"a\":{" F32_2X3 "},\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[24,24]}}",
            24, "JS4", NULL);
    refused(r, "{\"\":{" F32_2X3 "}}", 24, "ST4", "0 bytes");
    refused(r, "{\"a\\n\":{" F32_2X3 "}}", 24, "ST4", "a\\n");
    for (size_t n = 512; n <= 513; n++) {
        memset(name, 'n', n);
        name[n] = '\0';
        snprintf(header, sizeof header, "{\"%s\":{%s}}", name, F32_2X3);
        if (n == 512) {
            open_header(r, header, 24);
            check_ok(r->st, &r->err);
        } else {
            refused(r, header, 24, "ST4", "513 bytes");
        }
    }
    refused(r, "{\"__metadata__\":{\"n\":1}}", 0, "ST4", "__metadata__");
    refused(r, "{\"__metadata__\":[]}", 0, "ST4", "__metadata__");
}

static void test_ST5_each_entry_has_its_three_fields(void **state)
{
    struct reading *r = *state;
    refused(r, "{\"a\":{\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24, "ST5", "no dtype");
    refused(r, "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,24]}}", 24, "ST5", "no shape");
    refused(r, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3]}}", 24, "ST5", "no data_offsets");
    refused(r, "{\"a\":{\"dtype\":\"f32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24, "ST5", "\"f32\"");
    refused(r, "{\"a\":{\"dtype\":\"FLOAT\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24, "ST5", "FLOAT");
    refused(r, "{\"a\":{\"dtype\":32,\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24, "ST5", ":1:15");
    refused(r, "{\"a\":[]}", 0, "ST5", ":1:6");
}

static void test_ST6_shapes_are_counted_without_overflow(void **state)
{
    struct reading *r = *state;
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,2]}}", 2, "ST6",
            "8 dimensions");
    refused(r,
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[281474976710656,281474976710656],\"data_offsets\":[0,0]}}",
            0, "ST6", "\"a\"");
    refused(r, "{\"a\":{\"dtype\":\"F32\",\"shape\":[281474976710656,65535],\"data_offsets\":[0,0]}}", 0, "ST6", NULL);
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[281474976710657],\"data_offsets\":[0,0]}}", 0, "JS6",
            "281474976710656");
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,0]}}", 0, "JS6", "found -1");
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1, "JS6", NULL);
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}}", 1, "JS6", NULL);
    refused(r, "{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "ST6", "whole bytes");
    refused(r, "{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1, "ST6", "whole bytes");
}

static void test_ST7_offsets_lie_in_the_data_and_fit_the_shape(void **state)
{
    struct reading *r = *state;
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0]}}", 2, "ST7", "not two");
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2,4]}}", 2, "ST7", "not two");
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 2, "ST7", "2 to 0");
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 2, "ST7", "have 2 bytes");
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "ST7", "need 3");
    refused(
        r,
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[9223372036854775805,9223372036854775807]}}",
        2, "ST7", NULL);
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,9223372036854775808]}}", 2, NULL, NULL);
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":\"0,2\"}}", 2, "ST7", NULL);
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2e0]}}", 2, "JS6", NULL);
}

static void test_ST8_tensors_cover_the_data(void **state)
{
    struct reading *r = *state;
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "ST8", "expected 0");
    refused(r, "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 3, "ST8", "file has 3");
    refused(
        r,
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
        3, "ST8", "expected 2, the end of \"a\"");
    refused(
        r,
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
        5, "ST8", "\"a\" begins at byte 3");
    refused(r, "{}", 1, "ST8", "file has 1");
    /* two tensors at one place */
    refused(
        r,
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
        2, "ST8", NULL);
}

/* Cut anywhere, it is refused and never read beyond its end. */
static void test_every_prefix_is_refused(void **state)
{
    struct reading *r = *state;
    struct weft_buf whole = { 0 };
    build(&whole,
          "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{" F32_2X3
          "},\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[24,30]}}",
          30, 0);
    for (size_t n = 0; n < whole.len; n++) {
        open_bytes(r, whole.s, n);
        check_fails(r->st, &r->err, WEFT_EINPUT, NULL, NULL);
        assert_true(r->err.rule[0]);
    }
    open_bytes(r, whole.s, whole.len);
    check_ok(r->st, &r->err);
    weft_buf_clear(&whole);
}

static void test_written_files_are_sorted_padded_and_read_back(void **state)
{
    struct reading *r = *state;
    struct weft_str text;
    const float a[6] = { 1, 2, 3, 4, 5, 6 };
    const uint16_t b[3] = { 7, 8, 9 };
    const struct weft_st_out tensors[] = {
        { "z", WEFT_ST_BF16, 1, { 3 }, b }, { "y", WEFT_ST_F32, 2, { 2, 3 }, a }, { "x", WEFT_ST_F32, 1, { 6 }, a },
        { "none", WEFT_ST_U8, 1, { 0 }, NULL } };
    check_ok(weft_safetensors_write(r->path, tensors, 4, (const char *const[]){ "made by", "a test", NULL },
                                    &r->err),
             &r->err);
    check_ok(weft_file_read(&r->arena, r->path, 0, &text, &r->err), &r->err);
    uint64_t n;
    memcpy(&n, text.s, 8);
    assert_int_equal(n % 8, 0);
    check_str(
        weft_str_trim_ascii(weft_str_sub(text, 8, 8 + (size_t)n)),
        "{\"__metadata__\":{\"format\":\"pt\",\"made by\":\"a test\"},"
        "\"x\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0,24]},\"y\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[24,48]},"
        "\"z\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[48,54]},\"none\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[54,54]}}");
    r->st = weft_safetensors_open(&r->file, &r->arena, r->path, &r->err);
    check_ok(r->st, &r->err);
    assert_memory_equal(weft_safetensors_find(&r->file, WEFT_STR("y"))->data, a, sizeof a);
    assert_memory_equal(weft_safetensors_find(&r->file, WEFT_STR("z"))->data, b, sizeof b);
}

/* ---- shards ---- */

static void write_shard(struct reading *r, const char *file, const char *name)
{
    const float v[2] = { 1, 2 };
    struct weft_st_out t = { name, WEFT_ST_F32, 1, { 2 }, v };
    check_ok(weft_safetensors_write(weft_path_join(&r->arena, r->folder, file), &t, 1, NULL, &r->err), &r->err);
}

static void open_index(struct reading *r, struct weft_weights *w, const char *json)
{
    weft_err_clear(&r->err);
    check_ok(weft_file_write(weft_path_join(&r->arena, r->folder, "model.safetensors.index.json"),
                             weft_str_c(json), &r->err),
             &r->err);
    r->st = weft_weights_open(w, &r->arena, r->folder, &r->err);
}

static void test_ST10_shards_are_what_the_index_says(void **state)
{
    struct reading *r = *state;
    struct weft_weights w;
    check_fails(weft_weights_open(&w, &r->arena, r->folder, &r->err), &r->err, WEFT_EINPUT, "ST10",
                "no model.safetensors");
    write_shard(r, "one.safetensors", "a");
    write_shard(r, "two.safetensors", "b");
    open_index(
        r, &w,
        "{\"metadata\":{\"total_size\":16},\"weight_map\":{\"b\":\"two.safetensors\",\"a\":\"one.safetensors\"}}");
    check_ok(r->st, &r->err);
    assert_true(w.n == 2 && w.n_files == 2 && !w.n_extra && !w.total_size_differs);
    assert_non_null(weft_weights_find(&w, "a"));
    assert_null(weft_weights_find(&w, "c"));
    weft_weights_close(&w);
    /* worth a warning only */
    open_index(r, &w, "{\"metadata\":{\"total_size\":17},\"weight_map\":{\"a\":\"one.safetensors\"}}");
    check_ok(r->st, &r->err);
    assert_true(w.n == 1 && w.n_extra == 0 && w.total_size_differs);
    weft_weights_close(&w);

    static const struct {
        const char *json, *part;
    } bad[] = {
        { "{\"weight_map\":{\"a\":\"../one.safetensors\"}}", "plain name" }, { "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "plain name" },
        { "{\"weight_map\":{\"a\":\"..\"}}", "plain name" },                  { "{\"weight_map\":{\"a\":\"x\\\\y\"}}", "plain name" },
        { "{\"weight_map\":{\"a\":1}}", "plain name" },                       { "{\"weight_map\":{\"a\":\"\"}}", "plain name" },
        { "{\"weight_map\":{\"c\":\"one.safetensors\"}}", "\"c\" is not in one.safetensors" },
        { "{\"weight_map\":[]}", "weight_map" },                              { "{}", "weight_map" },
    };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        open_index(r, &w, bad[i].json);
        check_fails(r->st, &r->err, WEFT_EINPUT, "ST10", bad[i].part);
        assert_int_equal(w.n_files, 0);
    }
    open_index(r, &w, "{\"weight_map\":{\"a\":\"three.safetensors\"}}");
    assert_int_not_equal(r->st, WEFT_OK);
    assert_non_null(strstr(r->err.msg, "three.safetensors"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_good_files_are_read),
        CASE(test_ST1_a_file_has_eight_bytes_and_is_a_file),
        CASE(test_ST2_the_header_fits_into_the_file),
        CASE(test_ST3_the_header_is_one_JSON_object_and_spaces),
        CASE(test_ST4_names_and_metadata),
        CASE(test_ST5_each_entry_has_its_three_fields),
        CASE(test_ST6_shapes_are_counted_without_overflow),
        CASE(test_ST7_offsets_lie_in_the_data_and_fit_the_shape),
        CASE(test_ST8_tensors_cover_the_data),
        CASE(test_every_prefix_is_refused),
        CASE(test_written_files_are_sorted_padded_and_read_back),
        CASE(test_ST10_shards_are_what_the_index_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
