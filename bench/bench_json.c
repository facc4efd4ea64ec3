/* JSON read and written, as shares of copying the same text and, where python3 is at hand, times its json module.
 * bench_json [MiB] */
#include "base/file.h"
#include "base/json_measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Seconds that python3 needs to read and to write the text; false without python3. */
static bool python_seconds(const char *path, double *load, double *dump)
{
    char command[512];
    snprintf(command, sizeof command,
             "python3 -c 'import json,sys,time\n"
             "t=open(sys.argv[1],encoding=\"utf-8\").read()\n"
             "def best(f):\n"
             "    r=[]\n"
             "    for i in range(3):\n"
             "        s=time.perf_counter(); v=f(); r.append(time.perf_counter()-s)\n"
             "    return min(r),v\n"
             "a,v=best(lambda: json.loads(t)); b,_=best(lambda: json.dumps(v,ensure_ascii=False))\n"
             "print(a,b)' '%s' 2>/dev/null",
             path);
    FILE *p = popen(command, "r");
    bool ok = p && fscanf(p, "%lf %lf", load, dump) == 2;
    if (p) pclose(p);
    return ok;
}

int main(int argc, char **argv)
{
    size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 16) << 20;
    struct weft_buf text = { 0 };
    struct weft_err err = { 0 };
    enum weft_status st = WEFT_OK;
    char path[] = "/tmp/weft-bench-json-XXXXXX";
    int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    for (int s = 0; s < WEFT_N_JSON_SAMPLES && !st; s++) {
        struct weft_json_rates r;
        double load, dump;
        weft_buf_reset(&text);
        /* A real vocabulary has 150,000 keys or so: more would measure the cache. */
        size_t most = s == WEFT_JSON_SAMPLE_VOCAB ? (size_t)4 << 20 : bytes;
        weft_json_sample_text((enum weft_json_sample)s, weft_min_size(bytes, most), &text);
        st = weft_json_measure(weft_buf_view(&text), &r, &err);
        if (!st) st = weft_file_write(path, weft_buf_view(&text), &err);
        if (st) break;
        printf(
            "%-8s check %5.0f MB/s, tree %5.0f MB/s, write %5.0f MB/s; of copying %4.1f %%, %4.1f %%, %4.1f %%",
            weft_json_sample_name((enum weft_json_sample)s), r.skip / 1e6, r.tree / 1e6, r.write / 1e6,
            100 * r.skip / r.copy, 100 * r.tree / r.copy, 100 * r.write / r.copy);
        if (python_seconds(path, &load, &dump))
            printf("; tree %.1f times Python's json, write %.1f times", load * r.tree / (double)text.len,
                   dump * r.write / (double)text.len);
        printf("\n");
    }
    if (st) fprintf(stderr, "%s\n", err.msg);
    weft_buf_clear(&text);
    unlink(path);
    return weft_exit_code(st);
}
