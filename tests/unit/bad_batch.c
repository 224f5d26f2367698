/* bad_batch.c: each rule of format.h, broken once. */
#include "bad_batch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "json_msgpack.h"
#include "wire/format.h"

static const char good[] =
    "{\"node\":{\"name\":\"n\",\"boot_id\":\"b\",\"kernel\":\"k\",\"arch\":\"a\",\"agent\":\"g\","
    "\"cpus\":1},"
    "\"seq\":1,\"window\":{\"start_ns\":0,\"end_ns\":30,\"slot_ns\":10,\"period_ns\":1},"
    "\"strings\":[\"\",\"x\"],"
    "\"objects\":{\"path\":[1],\"kind\":[1],\"build_id\":[{\"$bin\":\"00ff\"}],\"flags\":[0]},"
    "\"frames\":{\"kind\":[1],\"object\":[0],\"address\":[{\"$uint\":\"18446744073709551615\"}],"
    "\"name\":[1],\"file\":[0],\"line\":[0]},"
    "\"stacks\":{\"parent\":[0,0],\"frame\":[0,0],\"methods\":[0,5]},"
    "\"processes\":{\"pid\":[1],\"ppid\":[0],\"start_ns\":[0],\"name\":[1],\"exe\":[0],"
    "\"cgroup\":[0]},"
    "\"labels\":{\"process\":[0],\"key\":[1],\"value\":[1]},"
    "\"samples\":{\"slot\":[2],\"process\":[0],\"thread\":[1],\"cpu\":[0],\"stack\":[1],"
    "\"count\":[1]},"
#define FIGURE(name) ",\"" #name "\":[null]"
    "\"usage\":{\"time_ns\":[29],\"span_ns\":[0],\"cgroup\":[1],"
    "\"network\":[{\"$uint\":\"18446744073709551615\"}],\"summed\":[4294967295]" WIRE_USAGE(
        FIGURE) "},"
#undef FIGURE
                "\"usage_labels\":{\"cgroup\":[1],\"key\":[1],\"value\":[0]},"
                "\"usage_processes\":{\"usage\":[0],\"pid\":[7],\"threads\":[1],\"start_ns\":[0],"
                "\"exe\":[1],"
                "\"command\":[1],\"cpu_user_ns\":[null],\"cpu_system_ns\":[0],\"rss_bytes\":[1],"
                "\"virtual_bytes\":[{\"$uint\":\"9223372036854775807\"}]},"
                "\"pods\":{\"uid\":[1],\"namespace\":[1],\"name\":[1],\"ip\":[0],\"phase\":[0],"
                "\"workload\":[0],\"started_ns\":[{\"$uint\":\"9223372036854775807\"}]},"
                "\"pod_labels\":{\"pod\":[0],\"key\":[1],\"value\":[0]},"
                "\"containers\":{\"id\":[1],\"pod_uid\":[0],\"name\":[1],\"image\":[0],\"reason\":["
                "0],"
                "\"kind\":[3],\"state\":[4],\"restarts\":[4294967295],\"started_ns\":[0]},"
                "\"counters\":{\"samples\":1}}";

#define BAD(name, path, value, reason)      \
    {                                       \
        name, path, value, -EBADMSG, reason \
    }
#define BIG(name, path, value, reason)    \
    {                                     \
        name, path, value, -EFBIG, reason \
    }

const struct bad_batch bad_batches[] = {
    /* shape */
    BAD("no-seq", "seq", NULL, "seq is missing"),
    BAD("no-node-name", "node.name", NULL, "node.name is missing"),
    BAD("no-window-end", "window.end_ns", NULL, "window.end_ns is missing"),
    BAD("no-samples-cpu", "samples.cpu", NULL, "samples.cpu is missing"),
    BAD("no-strings", "strings", NULL, "strings is missing"),
    BAD("node-is-array", "node", "[]", "node is not a map"),
    BAD("samples-is-nil", "samples", "null", "samples is not a map"),
    BAD("strings-is-map", "strings", "{}", "strings is not an array"),
    BAD("methods-differ", "stacks.methods", "[0]",
        "stacks.methods has 1 rows, but stacks.parent has 2"),
    BAD("methods-are-map", "stacks.methods", "{}", "stacks.methods is not an array"),
    BAD("column-is-number", "samples.cpu", "7", "samples.cpu is not an array"),
    BAD("columns-differ", "samples.cpu", "[0,0]", "samples.cpu has 2 rows, but samples.slot has 1"),
    BAD("key-twice", "node",
        "{\"$pairs\":[[\"name\",\"a\"],[\"boot_id\",\"\"],[\"kernel\",\"\"],[\"arch\",\"\"],"
        "[\"agent\",\"\"],[\"cpus\",1],[\"name\",\"b\"]]}",
        "node.name is there twice"),
    BAD("key-is-number", "node", "{\"$pairs\":[[1,2]]}", "node.a key is not a str"),
    BAD("array-longer-than-bytes", "counters", "{\"$raw\":\"ddffffffff\"}",
        "counters is an array of more items than bytes are left"),
    BAD("map-longer-than-bytes", "counters", "{\"$raw\":\"dfffffffff\"}",
        "counters is a map of more pairs than bytes are left"),
    BAD("str-longer-than-bytes", "counters", "{\"$raw\":\"dbffffffff\"}",
        "counters is cut: it is longer than the bytes left"),
    BAD("type-byte-c1", "seq", "{\"$raw\":\"c1\"}",
        "seq has the type byte 0xc1, which msgpack never uses"),
    BAD("too-deep", "unknown", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
        "the value of an unknown key nests deeper than READER_MAX_NESTING (16)"),
    /* values */
    BAD("seq-negative", "seq", "-1", "seq is not an unsigned integer"),
    BAD("seq-float", "seq", "1.5", "seq is not an unsigned integer"),
    BAD("seq-64-bits", "seq", "{\"$uint\":\"9223372036854775808\"}",
        "seq is 9223372036854775808, must be below 2^63"),
    BAD("node-name-empty", "node.name", "\"\"", "node: name is empty"),
    BAD("node-name-number", "node.name", "1", "node.name is not a str"),
    BAD("cpus-33-bits", "node.cpus", "4294967296", "node.cpus is 4294967296"),
    BAD("start-negative", "window.start_ns", "-1", "window.start_ns is not an unsigned integer"),
    BAD("start-64-bits", "window.start_ns", "{\"$uint\":\"9223372036854775808\"}",
        "window.start_ns is 9223372036854775808, must be below 2^63"),
    BAD("window-empty", "window.end_ns", "0", "window: start_ns 0 is not before end_ns 0"),
    BAD("slot-zero", "window.slot_ns", "0", "window: slot_ns is 0, must be at least 1"),
    BAD("period-zero", "window.period_ns", "0",
        "window: period_ns is 0, must be 1 to WIRE_MAX_PERIOD_NS (1000000000)"),
    BAD("strings-empty", "strings", "[]", "strings: row 0 must be the empty string"),
    BAD("strings-start-otherwise", "strings", "[\"a\",\"x\"]",
        "strings: row 0 must be the empty string"),
    BAD("string-number", "strings", "[\"\",7]", "strings[1] is not a str"),
    BAD("string-bin", "strings", "[\"\",{\"$bin\":\"61\"}]", "strings[1] is not a str"),
    BAD("string-nul", "strings", "[\"\",\"a\\u0000b\"]", "strings[1] has a NUL byte in it"),
    BAD("string-not-utf8", "strings", "[\"\",{\"$raw\":\"a1ff\"}]", "strings[1] is not UTF-8"),
    BAD("counter-text", "counters", "{\"samples\":\"1\"}",
        "counters[0] is not an unsigned integer"),
    BAD("counter-64-bits", "counters", "{\"samples\":{\"$uint\":\"9223372036854775808\"}}",
        "counters: value 0 is 9223372036854775808, must be below 2^63"),
    BAD("counter-twice", "counters", "{\"$pairs\":[[\"a\",1],[\"b\",1],[\"a\",2]]}",
        "counters: name 2 repeats name 0"),
    /* rows */
    BAD("object-kind-unknown", "objects.kind", "[5]", "objects.kind[0] is 5, must be 0 to 4"),
    BAD("frame-kind-zero", "frames.kind", "[0]", "frames.kind[0] is 0, must be 1 to 5"),
    BAD("build-id-str", "objects.build_id", "[\"00\"]", "objects.build_id[0] is not a bin"),
    BAD("object-path-beyond", "objects.path", "[2]",
        "objects.path[0] is 2, but there are 2 strings"),
    BAD("frame-object-beyond", "frames.object", "[1]",
        "frames.object[0] is 1, but there are 1 objects"),
    BAD("frame-name-beyond", "frames.name", "[4294967295]",
        "frames.name[0] is 4294967295, but there are 2 strings"),
    BAD("frame-file-beyond", "frames.file", "[2]", "frames.file[0] is 2, but there are 2 strings"),
    BAD("frame-line-33-bits", "frames.line", "[4294967296]",
        "frames.line[0] is a larger number than the column holds"),
    BAD("no-stacks", "stacks", "{\"parent\":[],\"frame\":[]}",
        "samples.stack[0] is 1, but there are 0 stacks"),
    BAD("root-with-frame", "stacks.frame", "[1,0]",
        "stacks: row 0, the root, must be parent 0, frame 0"),
    BAD("parent-itself", "stacks.parent", "[0,1]",
        "stacks.parent[1] is 1, must be a row before it"),
    BAD("parent-later", "stacks.parent", "[0,2]", "stacks.parent[1] is 2, must be a row before it"),
    BAD("stack-frame-beyond", "stacks.frame", "[0,1]",
        "stacks.frame[1] is 1, but there are 1 frames"),
    BAD("methods-33-bits", "stacks.methods", "[0,4294967296]",
        "stacks.methods[1] is a larger number than the column holds"),
    BAD("methods-text", "stacks.methods", "[0,\"table\"]",
        "stacks.methods[1] is not an unsigned integer"),
    BAD("process-name-beyond", "processes.name", "[2]",
        "processes.name[0] is 2, but there are 2 strings"),
    BAD("process-start-64-bits", "processes.start_ns", "[{\"$uint\":\"9223372036854775808\"}]",
        "processes.start_ns[0] is a larger number than the column holds"),
    BAD("label-process-beyond", "labels.process", "[1]",
        "labels.process[0] is 1, but there are 1 processes"),
    BAD("label-key-beyond", "labels.key", "[2]", "labels.key[0] is 2, but there are 2 strings"),
    BAD("sample-slot-beyond", "samples.slot", "[3]",
        "samples.slot[0] is 3, but the window's last slot is 2"),
    BAD("sample-process-beyond", "samples.process", "[1]",
        "samples.process[0] is 1, but there are 1 processes"),
    BAD("sample-thread-beyond", "samples.thread", "[2]",
        "samples.thread[0] is 2, but there are 2 strings"),
    BAD("sample-stack-beyond", "samples.stack", "[2]",
        "samples.stack[0] is 2, but there are 2 stacks"),
    BAD("sample-count-zero", "samples.count", "[0]",
        "samples.count[0] is 0, must be 1 to 4294967295"),
    BAD("sample-cpu-negative", "samples.cpu", "[-1]", "samples.cpu[0] is not an unsigned integer"),
    BAD("usage-time-beyond", "usage.time_ns", "[30]",
        "usage.time_ns[0] is 30, not within the window"),
    BAD("usage-figure-64-bits", "usage.threads", "[{\"$uint\":\"9223372036854775808\"}]",
        "usage.threads[0] is a larger number than the column holds"),
    BAD("usage-figure-unknown-as-number", "usage.threads", "[{\"$uint\":\"18446744073709551615\"}]",
        "usage.threads[0] is a larger number than the column holds"),
    BAD("usage-figure-negative", "usage.threads", "[-1]",
        "usage.threads[0] is not an unsigned integer"),
    BAD("usage-time-nil", "usage.time_ns", "[null]", "usage.time_ns[0] is not an unsigned integer"),
    BAD("usage-figure-missing", "usage.threads", NULL, "usage.threads is missing"),
    BAD("usage-is-nil", "usage", "null", "usage is not a map"),
    BAD("usage-cgroup-beyond", "usage.cgroup", "[2]",
        "usage.cgroup[0] is 2, but there are 2 strings"),
    BAD("usage-process-without-usage", "usage", NULL,
        "usage_processes.usage[0] is 0, but there are 0 rows of usage"),
    BAD("usage-label-beyond", "usage_labels.value", "[2]",
        "usage_labels.value[0] is 2, but there are 2 strings"),
    BAD("pod-uid-beyond", "pods.uid", "[2]", "pods.uid[0] is 2, but there are 2 strings"),
    BAD("pod-without-phase", "pods.phase", NULL, "pods.phase is missing"),
    BAD("pod-start-64-bits", "pods.started_ns", "[{\"$uint\":\"9223372036854775808\"}]",
        "pods.started_ns[0] is a larger number than the column holds"),
    BAD("pod-label-of-no-pod", "pods", NULL, "pod_labels.pod[0] is 0, but there are 0 pods"),
    BAD("pod-label-beyond", "pod_labels.key", "[2]",
        "pod_labels.key[0] is 2, but there are 2 strings"),
    BAD("container-kind-unknown", "containers.kind", "[4]",
        "containers.kind[0] is 4, must be 0 to 3"),
    BAD("container-state-unknown", "containers.state", "[5]",
        "containers.state[0] is 5, must be 0 to 4"),
    BAD("container-image-beyond", "containers.image", "[2]",
        "containers.image[0] is 2, but there are 2 strings"),
    BAD("container-restarts-33-bits", "containers.restarts", "[4294967296]",
        "containers.restarts[0] is a larger number than the column holds"),
    /* limits that a small file can pass; test_wire_limits.c has the others */
    BIG("window-too-long", "window.end_ns", "3600000000001",
        "window: 3600000000001 ns are over WIRE_MAX_WINDOW_NS (3600000000000)"),
    BIG("period-too-long", "window.period_ns", "1000000001",
        "window: period_ns is 1000000001, must be 1 to WIRE_MAX_PERIOD_NS (1000000000)"),
    BIG("build-id-too-long", "objects.build_id",
        "[{\"$bin\":\"000102030405060708090a0b0c0d0e0f1011121314\"}]",
        "objects.build_id[0] is longer than WIRE_MAX_BUILD_ID (20 bytes)"),
    BIG("string-too-long", "strings", "[\"\",{\"$text\":[16385,\"x\"]}]",
        "strings[1] is longer than WIRE_MAX_STRING (16384 bytes)"),
    BIG("node-name-too-long", "node.name", "{\"$text\":[16385,\"x\"]}",
        "node.name is longer than WIRE_MAX_STRING (16384 bytes)"),
    BIG("stack-too-deep", "stacks",
        "{\"parent\":{\"$chain\":1026},\"frame\":{\"$repeat\":[1026,0]}}",
        "stacks: row 1025 is deeper than WIRE_MAX_DEPTH (1024)"),
};
const size_t bad_batch_count = ARRAY_LEN(bad_batches);

void make_body(const char *path, const char *value, struct buf *out)
{
    json_t *json = json_loads(good, 0, NULL);
    assert(json);
    if (path)
        json_put(json, path, value);
    json_to_msgpack(json, out);
    json_decref(json);
}

void wrap_body(const struct buf *body, struct buf *out)
{
    uint8_t header[WIRE_HEADER_SIZE] = {'P', 'F', 'L', 'M', WIRE_VERSION, WIRE_ZSTD};
    for (unsigned i = 0; i < 4; i++)
        header[8 + i] = (uint8_t)(body->len >> (8 * i));
    assert(buf_append(out, header, sizeof(header)) == 0);
    assert(buf_reserve(out, ZSTD_compressBound(body->len)) == 0);
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
    size_t n =
        ZSTD_compress2(ctx, out->data + out->len, out->cap - out->len, body->data, body->len);
    assert(!ZSTD_isError(n));
    out->len += n;
    ZSTD_freeCCtx(ctx);
}
