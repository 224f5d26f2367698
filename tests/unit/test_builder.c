/* test_builder.c: a window of this very process becomes a batch with the right names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/builder.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "collector_kit.h"
#include "wire/batch.h"

/* Functions to be found by name; long enough to have several addresses. */
static __attribute__((noinline)) int an_outer_function(int x)
{
    for (volatile int i = 0; i < x; i++)
        x += i * x;
    return x;
}

static __attribute__((noinline)) int an_inner_function(int x)
{
    for (volatile int i = 0; i < x; i++)
        x -= i * x;
    return x;
}

#define OUTER(n) ((uintptr_t)an_outer_function + (n))
#define INNER(n) ((uintptr_t)an_inner_function + (n))

struct kit {
    struct collector_kit *collector;
    struct builder *builder;
    int proc;
};

static const struct builder_config config = {
    .node = "a-node", .period_ns = 10 * NS_PER_MS, .symbol_bytes = 16 << 20};

/* As the agent's other thread does, but at once. */
static void open_now(void *ctx, struct object *object, const struct object_place *place)
{
    struct collector_kit *k = ctx;
    object_open(k->objects, object, place, NULL);
}

static int make_kit_of(const struct builder_config *of, void **state)
{
    static struct kit k;
    void *collector;
    struct err err = {0};
    k = (struct kit){.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    assert_int_equal(collector_kit_make(&collector), 0);
    k.collector = collector;
    k.collector->open = open_now;
    start(k.collector, 0, k.proc);
    if (builder_new(of, k.collector->objects, &k.collector->counters, &k.builder, &err) < 0)
        fail_msg("%s", err.text);
    *state = &k;
    return 0;
}

static int make_kit(void **state)
{
    return make_kit_of(&config, state);
}

static int make_exact_kit(void **state)
{
    struct builder_config exact = config;
    exact.exact = true;
    return make_kit_of(&exact, state);
}

static int free_kit(void **state)
{
    struct kit *k = *state;
    void *collector = k->collector;
    builder_free(&k->builder);
    builder_free(&k->builder);
    close(k->proc);
    return collector_kit_free(&collector);
}

/* Builds the newest window, sends it through the wire, and gives what arrived. */
static struct batch *build(struct kit *k)
{
    struct batch batch, *ret = NULL;
    struct err err = {0};
    _cleanup_(buf_free) struct buf bytes = {0};
    collector_flush(k->collector->collector, at(4000));
    assert_int_equal(k->collector->window_count, 1);
    const struct window *w = k->collector->windows[0];
    if (builder_build(k->builder, w, &batch, &err) < 0 || batch_encode(&batch, &bytes, &err) < 0 ||
        batch_decode(bytes.data, bytes.len, &ret, &err) < 0)
        fail_msg("%s", err.text);
    uint64_t count = 0;
    for (uint32_t i = 0; i < ret->sample_count; i++)
        count += ret->samples[i].count;
    assert_int_equal(count, w->sample_count);
    return ret;
}

#define _batch_ _cleanup_(batch_free)

static uint32_t me(void)
{
    return (uint32_t)getpid();
}

static const char *string(const struct batch *b, uint32_t i)
{
    return b->strings[i];
}

/* A stack, root first: names of named frames, else object+address. */
static void write_stack(const struct batch *b, uint32_t stack, struct buf *to)
{
    if (b->stacks[stack].parent != stack && b->stacks[stack].parent)
        write_stack(b, b->stacks[stack].parent, to);
    if (!stack)
        return;
    const struct batch_frame *f = &b->frames[b->stacks[stack].frame];
    buf_puts(to, to->len ? ";" : "");
    if (f->name)
        buf_puts(to, string(b, f->name));
    else
        buf_printf(to, "%s+%lx", string(b, b->objects[f->object].path), (unsigned long)f->address);
}

static const char *stack_text(const struct batch *b, uint32_t stack)
{
    static struct buf text;
    text.len = 0;
    write_stack(b, stack, &text);
    buf_append(&text, "", 1);
    return (const char *)text.data;
}

static const struct batch_frame *frame_named(const struct batch *b, const char *name)
{
    const struct batch_frame *found = NULL;
    for (uint32_t i = 0; i < b->frame_count; i++) {
        if (strcmp(string(b, b->frames[i].name), name) == 0) {
            assert_null(found); /* a function is one frame */
            found = &b->frames[i];
        }
    }
    if (!found)
        fail_msg("no frame is called %s", name);
    return found;
}

/* ---- names */

static void functions_of_this_program_have_their_names(void **state)
{
    struct kit *k = *state;
    TELL_STACK(k->collector, me(), 1, PERF_CONTEXT_USER, INNER(9), OUTER(9));
    _batch_ struct batch *b = build(k);
    assert_string_equal(stack_text(b, b->samples[0].stack), "an_outer_function;an_inner_function");
    const struct batch_frame *f = frame_named(b, "an_inner_function");
    assert_int_equal(f->kind, FRAME_USER);
    const struct batch_object *o = &b->objects[f->object];
    assert_int_equal(o->kind, OBJECT_ELF);
    assert_int_equal(o->flags, 0);
    assert_true(o->build_id_len > 0);
    assert_non_null(strstr(string(b, o->path), "/test_builder"));
    /* Where a function lies in the file does not depend on where the file was mapped. */
    assert_int_equal(frame_named(b, "an_outer_function")->address - f->address,
                     OUTER(0) - INNER(0));
}

static void two_addresses_in_one_function_are_one_frame_and_one_stack(void **state)
{
    struct kit *k = *state;
    TELL_STACK(k->collector, me(), 1, PERF_CONTEXT_USER, INNER(1), OUTER(9));
    TELL_STACK(k->collector, me(), 2, PERF_CONTEXT_USER, INNER(5), OUTER(13));
    TELL_STACK(k->collector, me(), 3, PERF_CONTEXT_USER, INNER(0), OUTER(9));
    _batch_ struct batch *b = build(k);
    assert_int_equal(k->collector->windows[0]->samples.count, 3);
    frame_named(b, "an_inner_function");
    frame_named(b, "an_outer_function");
    assert_int_equal(b->frame_count, 2);
    assert_int_equal(b->stack_count, 3);
    assert_int_equal(b->sample_count, 1);
    assert_int_equal(b->samples[0].count, 3);
}

static void with_exact_addresses_a_function_has_a_frame_for_each(void **state)
{
    struct kit *k = *state;
    TELL_STACK(k->collector, me(), 1, PERF_CONTEXT_USER, INNER(5));
    TELL_STACK(k->collector, me(), 2, PERF_CONTEXT_USER, INNER(1));
    _batch_ struct batch *b = build(k);
    assert_int_equal(b->frame_count, 2);
    assert_int_equal(b->frames[0].name, b->frames[1].name);
    assert_string_equal(string(b, b->frames[0].name), "an_inner_function");
    int64_t apart = (int64_t)(b->frames[0].address - b->frames[1].address);
    assert_int_equal(apart < 0 ? -apart : apart, 4);
    assert_int_equal(b->objects[b->frames[0].object].flags, OBJECT_EXACT);
}

static void a_librarys_function_has_its_name(void **state)
{
    struct kit *k = *state;
    uintptr_t function = (uintptr_t)dlsym(RTLD_DEFAULT, "strfry");
    assert_true(function);
    TELL_STACK(k->collector, me(), 1, PERF_CONTEXT_USER, function + 3);
    _batch_ struct batch *b = build(k);
    const struct batch_frame *f = frame_named(b, "strfry");
    assert_non_null(strstr(string(b, b->objects[f->object].path), "/libc"));
    assert_counter(k->collector, unsymbolized_no_symbol, 0);
}

/* Some place of the vdso belongs to one of its functions. */
static void the_vdsos_functions_have_their_names(void **state)
{
    struct kit *k = *state;
    uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
    if (!vdso)
        skip();
    for (uintptr_t at_byte = 16; at_byte < 4096; at_byte += 16)
        TELL_STACK(k->collector, me(), 1, PERF_CONTEXT_USER, vdso + at_byte);
    _batch_ struct batch *b = build(k);
    size_t named = 0;
    for (uint32_t i = 0; i < b->frame_count; i++) {
        const struct batch_frame *f = &b->frames[i];
        assert_string_equal(string(b, b->objects[f->object].path), "[vdso]");
        assert_int_equal(b->objects[f->object].kind, OBJECT_VDSO);
        named += strstr(string(b, f->name), "gettime") || strstr(string(b, f->name), "vdso") ||
                 strstr(string(b, f->name), "kernel");
    }
    assert_true(named > 0);
}

/* The address and name of some function of the kernel's core; 0 where they are hidden. */
static uint64_t find_kernel_function(char name[128])
{
    _cleanup_fclose_ FILE *f = fopen("/proc/kallsyms", "re");
    char line[256], type;
    unsigned long address;
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx %c %127s", &address, &type, name) == 3 &&
            strcmp(name, "schedule") == 0 && !strchr(line, '['))
            return address;
    }
    return 0;
}

static void the_kernels_functions_have_their_names_and_hide_where_they_lie(void **state)
{
    struct kit *k = *state;
    char name[128];
    uint64_t function = find_kernel_function(name);
    if (!function)
        skip(); /* needs CAP_SYSLOG */
    TELL_STACK(k->collector, me(), 1, PERF_CONTEXT_KERNEL, function + 1, PERF_CONTEXT_USER,
               INNER(1));
    _batch_ struct batch *b = build(k);
    char expect[256];
    snprintf(expect, sizeof(expect), "an_inner_function;%s", name);
    assert_string_equal(stack_text(b, b->samples[0].stack), expect);
    const struct batch_frame *f = frame_named(b, name);
    assert_int_equal(f->kind, FRAME_KERNEL);
    assert_int_equal(b->objects[f->object].kind, OBJECT_KERNEL);
    assert_string_equal(string(b, b->objects[f->object].path), "[kernel]");
    assert_true(f->address < 1ull << 32); /* from _stext */
}

/* ---- what has no name, and why */

static void tell_map(struct kit *k, uint64_t start, const char *path, uint64_t inode, dev_t dev)
{
    tell(k->collector, &(struct record){.kind = RECORD_MMAP,
                                        .pid = 77,
                                        .mmap = {.start = start,
                                                 .len = 0x100000,
                                                 .file_offset = 0,
                                                 .inode = inode,
                                                 .major = major(dev),
                                                 .minor = minor(dev),
                                                 .prot = PROT_EXEC,
                                                 .path = path}});
}

static void frames_without_names_are_counted_by_reason(void **state)
{
    struct kit *k = *state;
    struct stat st;
    char exe[4096] = "", expect[4200];
    assert_int_equal(stat("/etc/passwd", &st), 0);
    tell_map(k, 0x1000000, "/nowhere/lib.so", 5, 0);
    tell_map(k, 0x2000000, "/etc/passwd", st.st_ino, st.st_dev);
    tell_map(k, 0x3000000, "//anon", 0, 0);
    assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    assert_int_equal(stat(exe, &st), 0);
    tell_map(k, 0x4000000, exe, st.st_ino, st.st_dev);
    TELL_STACK(k->collector, 77, 1, PERF_CONTEXT_USER, 0x1000010);
    TELL_STACK(k->collector, 77, 2, PERF_CONTEXT_USER, 0x2000020);
    TELL_STACK(k->collector, 77, 3, PERF_CONTEXT_USER, 0x3000030);
    TELL_STACK(k->collector, 77, 4, PERF_CONTEXT_USER, 0x4000000); /* its ELF header */
    TELL_STACK(k->collector, 77, 5, PERF_CONTEXT_KERNEL, 0xffff800000000010);
    TELL_STACK(k->collector, 77, 6, PERF_CONTEXT_USER, 0x5000000); /* nowhere: a marker */
    _batch_ struct batch *b = build(k);
    assert_counter(k->collector, unsymbolized_no_file, 1);
    assert_counter(k->collector, unsymbolized_no_elf, 1);
    assert_counter(k->collector, unsymbolized_jit, 1);
    assert_counter(k->collector, unsymbolized_no_symbol, 1);
    assert_counter(k->collector, unsymbolized_kernel, 1);
    assert_string_equal(stack_text(b, b->samples[0].stack), "/nowhere/lib.so+10");
    assert_string_equal(stack_text(b, b->samples[1].stack), "/etc/passwd+20");
    assert_string_equal(stack_text(b, b->samples[2].stack), "[anon]+3000030");
    snprintf(expect, sizeof(expect), "%s+0", exe);
    assert_string_equal(stack_text(b, b->samples[3].stack), expect);
    assert_string_equal(stack_text(b, b->samples[5].stack), "[unknown]");
    for (uint32_t i = 0; i < b->object_count; i++) {
        const char *path = string(b, b->objects[i].path);
        bool by_offset = b->objects[i].flags & OBJECT_FILE_OFFSETS;
        assert_int_equal(by_offset,
                         !strcmp(path, "/nowhere/lib.so") || !strcmp(path, "/etc/passwd"));
    }
}

/* ---- the rest of a batch */

static void a_batch_says_whose_it_is_and_of_when(void **state)
{
    struct kit *k = *state;
    struct utsname u;
    assert_int_equal(uname(&u), 0);
    TELL_STACK(k->collector, me(), 1, PERF_CONTEXT_USER, INNER(1));
    _batch_ struct batch *b = build(k);
    assert_string_equal(b->node, "a-node");
    assert_string_equal(b->kernel, u.release);
    assert_string_equal(b->arch, u.machine);
    assert_int_equal(strlen(b->boot_id), 36);
    assert_int_equal(b->cpus, sysconf(_SC_NPROCESSORS_ONLN));
    assert_int_equal(b->start_ns, WALL);
    assert_int_equal(b->end_ns, WALL + 4 * SEC);
    assert_int_equal(b->period_ns, 10 * NS_PER_MS);
    assert_int_equal(b->slot_ns, 10 * SEC);
}

static const char *label(const struct batch *b, uint32_t process, const char *key)
{
    for (uint32_t i = 0; i < b->label_count; i++) {
        if (b->labels[i].process == process && strcmp(string(b, b->labels[i].key), key) == 0)
            return string(b, b->labels[i].value);
    }
    return "";
}

#define POD "12345678-1234-1234-1234-123456789abc"
#define CID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void a_process_has_its_words_and_the_labels_of_its_cgroup(void **state)
{
    struct kit *k = *state;
    tell_program(k->collector, 77, "program");
    struct record r = {.kind = RECORD_CGROUP,
                       .cgroup = {1ull << 60, "/kubepods/besteffort/pod" POD "/" CID}};
    tell(k->collector, &r);
    r = (struct record){.kind = RECORD_SAMPLE,
                        .time = at(1),
                        .pid = 77,
                        .tid = 77,
                        .cpu = 3,
                        .sample = {.ip = K(1), .has_cgroup = true, .cgroup = 1ull << 60}};
    tell(k->collector, &r);
    tell_sample(k->collector, UINT32_MAX, 2); /* of no process that is known */
    _batch_ struct batch *b = build(k);
    assert_int_equal(b->process_count, 2);
    const struct batch_process *p = &b->processes[0];
    assert_int_equal(p->pid, 77);
    assert_string_equal(string(b, p->name), "program");
    assert_string_equal(string(b, p->exe), "/bin/program");
    assert_string_equal(string(b, p->cgroup), "/kubepods/besteffort/pod" POD "/" CID);
    assert_int_equal(p->start_ns, WALL);
    assert_string_equal(label(b, 0, "pod_uid"), POD);
    assert_string_equal(label(b, 0, "container_id"), CID);
    assert_string_equal(label(b, 1, "pod_uid"), "");
    assert_string_equal(string(b, b->processes[1].name), "[unknown]");
    assert_int_equal(b->processes[1].start_ns, 0);
    assert_int_equal(b->samples[0].cpu, 3);
    assert_string_equal(string(b, b->samples[0].thread), "program");
}

static void all_processes_of_a_cgroup_have_its_labels(void **state)
{
    struct kit *k = *state;
    static const char *const paths[] = {"/kubepods/besteffort/pod" POD "/" CID, "/docker/" CID};
    for (uint32_t i = 0; i < ARRAY_LEN(paths); i++)
        tell(k->collector,
             &(struct record){.kind = RECORD_CGROUP, .cgroup = {(1ull << 60) + i, paths[i]}});
    for (uint32_t i = 0; i < 6; i++) {
        struct record r = {
            .kind = RECORD_SAMPLE,
            .time = at(1 + i),
            .pid = 77 + i,
            .tid = 77 + i,
            .sample = {.ip = K(1), .has_cgroup = true, .cgroup = (1ull << 60) + i % 2}};
        tell_program(k->collector, 77 + i, "program");
        tell(k->collector, &r);
    }
    _batch_ struct batch *b = build(k);
    assert_int_equal(b->process_count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_string_equal(label(b, i, "pod_uid"), i % 2 ? "" : POD);
        assert_string_equal(label(b, i, "container_id"), CID);
        assert_string_equal(label(b, i, "runtime"), i % 2 ? "docker" : "");
    }
    for (uint32_t i = 1; i < b->label_count; i++)
        assert_true(b->labels[i].process >= b->labels[i - 1].process);
    assert_int_equal(b->label_count, 3 * 2 + 3 * 2);
}

static void a_marker_stands_at_the_end_of_a_stack_that_has_one(void **state)
{
    struct kit *k = *state;
    tell_program(k->collector, 77, "program");
    TELL_STACK(k->collector, 77, 1, PERF_CONTEXT_USER, CODE, 0x10); /* its caller is no code */
    _batch_ struct batch *b = build(k);
    assert_string_equal(stack_text(b, b->samples[0].stack),
                        "[caller is no code];/bin/program+1000");
    assert_int_equal(frame_named(b, "[caller is no code]")->kind, FRAME_MARKER);
}

static void a_stack_says_how_its_callers_were_found(void **state)
{
    struct kit *k = *state;
    tell_program(k->collector, 77, "program");
    TELL_STACK(k->collector, 77, 1, PERF_CONTEXT_USER, CODE, CODE + 0x20);
    TELL_STACK(k->collector, 77, 2, PERF_CONTEXT_KERNEL, K(1));
    _batch_ struct batch *b = build(k);
    const struct batch_stack *user = &b->stacks[b->samples[0].stack];
    assert_int_equal(user->methods, 1u << WIRE_METHOD_chain);
    assert_int_equal(b->stacks[user->parent].methods, 0);
    assert_int_equal(b->stacks[b->samples[1].stack].methods, 0);
}

static void a_builder_starts_each_batch_anew(void **state)
{
    struct kit *k = *state;
    struct batch first, second;
    TELL_STACK(k->collector, me(), 1, PERF_CONTEXT_USER, INNER(1), OUTER(1));
    collector_flush(k->collector->collector, at(10));
    tell_program(k->collector, 77, "program");
    tell_sample(k->collector, 77, 20);
    collector_flush(k->collector->collector, at(30));
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(builder_build(k->builder, k->collector->windows[0], &first, NULL), 0);
        assert_int_equal(first.sample_count, 1);
        assert_int_equal(first.frame_count, 2);
        uint32_t strings = first.string_count;
        assert_int_equal(builder_build(k->builder, k->collector->windows[1], &second, NULL), 0);
        assert_int_equal(second.process_count, 1);
        assert_string_equal(second.strings[second.processes[0].name], "program");
        assert_int_equal(builder_build(k->builder, k->collector->windows[0], &first, NULL), 0);
        assert_int_equal(first.string_count, strings);
    }
    assert_true(builder_bytes(k->builder) > 0);
}

static void an_empty_window_is_a_batch_too(void **state)
{
    struct kit *k = *state;
    _batch_ struct batch *b = build(k);
    assert_int_equal(b->sample_count, 0);
    assert_int_equal(b->stack_count, 1);
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, make_kit, free_kit)

int main(void)
{
    assert_true(an_outer_function(0) == an_inner_function(0));
    const struct CMUnitTest tests[] = {
        WITH_KIT(functions_of_this_program_have_their_names),
        WITH_KIT(two_addresses_in_one_function_are_one_frame_and_one_stack),
        cmocka_unit_test_setup_teardown(with_exact_addresses_a_function_has_a_frame_for_each,
                                        make_exact_kit, free_kit),
        WITH_KIT(a_librarys_function_has_its_name),
        WITH_KIT(the_vdsos_functions_have_their_names),
        WITH_KIT(the_kernels_functions_have_their_names_and_hide_where_they_lie),
        WITH_KIT(frames_without_names_are_counted_by_reason),
        WITH_KIT(a_batch_says_whose_it_is_and_of_when),
        WITH_KIT(a_process_has_its_words_and_the_labels_of_its_cgroup),
        WITH_KIT(all_processes_of_a_cgroup_have_its_labels),
        WITH_KIT(a_marker_stands_at_the_end_of_a_stack_that_has_one),
        WITH_KIT(a_stack_says_how_its_callers_were_found),
        WITH_KIT(a_builder_starts_each_batch_anew),
        WITH_KIT(an_empty_window_is_a_batch_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
