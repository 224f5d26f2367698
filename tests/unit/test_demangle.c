/* test_demangle.c: linker names become the names their authors wrote, and no name takes long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "symbol/demangle.h"

static void check_readable(const char *const rows[][2], size_t count)
{
    _cleanup_free_ char *readable = malloc(DEMANGLE_OUT_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!demangle_name(rows[i][0], readable))
            fail_msg("%s", rows[i][0]);
        assert_string_equal(readable, rows[i][1]);
    }
}

static void names_of_cxx_and_rust_are_made_readable(void **state)
{
    static const char *const rows[][2] = {
        {"_Z1fi", "f(int)"},
        {"_ZN2ns1A1fEi", "ns::A::f(int)"},
        {"_ZN2ns1AC1Ev", "ns::A::A()"},
        {"_ZN2ns1AD0Ev", "ns::A::~A()"},
        /* without the return type that a template function's name begins with */
        {"_ZN2ns1A1gIiEET_S2_", "ns::A::g<int>(int)"},
        {"_Z1gIJidEEvDpT_", "g<int, double>(int, double)"},
        {"_ZN4llvm10checkedAddIiEENSt9enable_ifIXsr3std9is_signedIT_EE5valueENS_8OptionalIS2_"
         "EEE4typeE"
         "S2_S2_",
         "llvm::checkedAdd<int>(int, int)"},
        {"_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const"},
        {"_Z1fi.isra.0", "f(int) [clone .isra.0]"},
        {"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt"},
        {"_ZN63_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..clone..Clone$GT$"
         "5clone17h0123456789abcdef"
         "E",
         "<alloc::vec::Vec<T> as core::clone::Clone>::clone"},
        {"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
        {"_RINvNtC3std3mem8align_ofjdE", "std::mem::align_of::<usize, f64>"},
        {"_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y",
         "utf8_idents::\u10e1\u10d0\u10ed\u10db\u10d4\u10da\u10d0\u10d3_\u10d2\u10d4\u10db\u10e0"
         "\u10d8\u10d4\u10da\u10d8_\u10e1\u10d0\u10d3\u10d8\u10da\u10d8"},
        /* what a guard might take for wild stands in a crate's hash here */
        {"_RNvNtCsDGn3l9_7mycrate3foo3bar", "mycrate::foo::bar"},
        {"_RINvCsu4_1a1fTNtB2_1bNtB2_1bNtB2_1bNtB2_1bNtB2_1bNtB2_1bNtB2_1bNtB2_1bNtB2_1bNtB2_"
         "1bNtB2_1bEE",
         "a::f::<(a::b, a::b, a::b, a::b, a::b, a::b, a::b, a::b, a::b, a::b, a::b)>"},
    };
    check_readable(rows, ARRAY_LEN(rows));
}

/* Of libgphobos 12. */
static void names_of_d_are_made_readable(void **state)
{
    static const char *const rows[][2] = {
        {"_D4core5cpuid8cpuidX86FNbNiNeZv", "core.cpuid.cpuidX86()"},
        {"_D3std3uni7isJamoLFNaNbNiNfwZb", "std.uni.isJamoL(dchar)"},
        {"_D4core8internal2gc4impl6manualQp8ManualGC7disableMFZv",
         "core.internal.gc.impl.manual.gc.ManualGC.disable()"},
        {"_D3std6digest__T13WrapperDigestTSQBfQBe3sha__T3SHAVki1024Vki256ZQsZQBz3putMFNbNeMAxhXv",
         "std.digest.WrapperDigest!(std.digest.sha.SHA!(1024u, 256u).SHA).WrapperDigest.put(scope "
         "const(ubyte)[]...)"},
        {"_Dmain", "D main"},
    };
    check_readable(rows, ARRAY_LEN(rows));
}

static void names_of_swift_are_made_readable(void **state)
{
    static const char *const rows[][2] = {
        {"$s4main3FooV3baryyF", "main.Foo.bar"},
        {"_$s4main3FooVACycfC", "main.Foo.init"},
        {"$S4main3FooCfD", "main.Foo.deinit"},
        {"$s4main3FooV5countSivg", "main.Foo.count.getter"},
        {"$s4main3FooV4makeACyFZ", "main.Foo.make"},
        {"$s4main3Foo33_0123456789ABCDEF0123456789ABCDEFLLV3baryyF", "main.Foo.bar"},
        {"$s4main3fooyyFyycfU_", "closure #1 in main.foo"},
        {"$s4main3fooyyFyycfU10_", "closure #12 in main.foo"},
        {"$ss5print_9separator10terminatoryypd_S2StF", "Swift.print"},
        {"$sSS7cStringSSSPys4Int8VG_tcfC", "Swift.String.init"},
        {"$sSa15reserveCapacityyySiF", "Swift.Array.reserveCapacity"},
        {"$s10Foundation4DataV5countSivg", "Foundation.Data.count.getter"},
    };
    check_readable(rows, ARRAY_LEN(rows));
}

/* Of OCaml 4.13's standard library; 5.x as its release notes have them. */
static void names_of_ocaml_are_made_readable(void **state)
{
    static const char *const rows[][2] = {
        {"camlStdlib__Lexing__lex_refill_126", "Stdlib.Lexing.lex_refill"},
        {"camlStdlib__String__get_int16_be_455", "Stdlib.String.get_int16_be"},
        {"camlCamlinternalFormat__bprint_padty_506", "CamlinternalFormat.bprint_padty"},
        {"camlStdlib__$5e_147", "Stdlib.^"},
        {"camlStdlib__Parsing__entry", "Stdlib.Parsing.entry"},
        {"camlStdlib__Format__fun_2413", "Stdlib.Format.fun_2413"},
        {"camlStdlib__List.map_123", "Stdlib.List.map"},
        {"camlDune__exe__Main__go_12", "Dune.exe.Main.go"},
    };
    check_readable(rows, ARRAY_LEN(rows));
}

/* Of GHC 9.0's packages. */
static void names_of_haskell_are_made_readable(void **state)
{
    static const char *const rows[][2] = {
        {"base_GHCziBase_map_info", "base:GHC.Base.map"},
        {"ghczmprim_GHCziClasses_divIntzh_info", "ghc-prim:GHC.Classes.divInt#"},
        {"containerszm0zi6zi7_DataziMap_zdwgo_info", "containers-0.6.7:Data.Map.$wgo"},
        {"attoparseczm0zi14zi4zmASUOPk5RpsVDRcb75ybcSE_DataziAttoparsecziText_parseTest_info",
         "attoparsec-0.14.4:Data.Attoparsec.Text.parseTest"},
        {"DataziOwn_go_entry", "Data.Own.go"},
        {"ghczmprim_GHCziTuple_Z2T_con_info", "ghc-prim:GHC.Tuple.(,)"},
    };
    check_readable(rows, ARRAY_LEN(rows));
}

static void other_names_are_left(void **state)
{
    static const char *const names[] = {
        "",
        "main",
        "_start",
        "__libc_start_main",
        "_Z",
        "_Zz",
        "_R",
        "_RX",
        "_ZN",
        "runtime.main",
        "_",
        "_Z1",
        "Z1fi",
        /* Zig's are readable, and Go's and Java's */
        "std.fs.File.read",
        "github.com/acme/shop.(*Cart).Total",
        "com.acme.Cart.total",
        /* C's that begin or end as those of others do */
        "_Dfoo",
        "_D",
        "$s",
        "$sX",
        "$s4main",
        "$x",
        "caml_alloc_small",
        "camlFoo",
        "camlFoo__bar",
        "camlFoo__12",
        "caml",
        "camlStdlib__List__code_begin",
        "video_Frame_resize_info",
        "Resize_zoom_info",
        "_info",
        "GHCziBase_info",
        "base_GHCziBase_map_closure",
        /* a local function, a thunk, a name with a word of another */
        "$s4main3fooyyF3barL_yyF",
        "$sSayxGSTsST12makeIterator0B0QzyFTW",
        "$s4main3fooyyF0B0U_",
    };
    _cleanup_free_ char *readable = malloc(DEMANGLE_OUT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_false(demangle_name(names[i], readable));
        assert_string_equal(readable, "");
    }
}

/* "S_", "S0_" ... "S9_", "SA_" ...: the n-th substitution. */
static void substitution(char *to, int n)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (n == 0)
        sprintf(to, "S_");
    else if (n <= 36)
        sprintf(to, "S%c_", digits[n - 1]);
    else
        sprintf(to, "S%c%c_", digits[(n - 1) / 36], digits[(n - 1) % 36]);
}

/* pair<int, int>, pair<that, that>, pair<that, that> ...: each twice as long as the one before. */
static int doubling_types(char *to, int pair, int depth)
{
    char last[8], of[8];
    int n = pair + 1;
    substitution(of, pair);
    to += sprintf(to, "St4pairIiiE");
    for (int i = 0; i < depth; i++, n++) {
        substitution(last, n);
        to += sprintf(to, "%sI%s%sE", of, last, last);
    }
    return n;
}

/* Each of these keeps c++filt busy for longer than anybody waits; the test's time limit is what
 * they would run into. */
static void no_name_takes_long(void **state)
{
    char names[10][DEMANGLE_IN_MAX] = {"_RINvC1a1bDGzzzzzzzz_C1c1dEL_EC1e",
                                       "_RNvC1a1bIC1cDGzzzzzzzz_C1c1dEL_E",
                                       "_RNvMC1aFGzzzzzzzz_EuC1b1c"};
    char last[8];
    strcpy(names[3], "_Z1f");
    doubling_types(names[3] + 4, 0, 60);
    /* walked for its packs where nothing of it is printed, since return types are not */
    for (int pair = 0; pair < 2; pair++) {
        strcpy(names[4 + pair], "_Z1fIiEPFv");
        substitution(last, doubling_types(names[4 + pair] + 10, pair, 60));
        sprintf(names[4 + pair] + strlen(names[4 + pair]), "EDp%s", last);
    }
    strcpy(names[6], "_ZN1Acv");
    for (int i = 0; i < 60; i++)
        strcat(names[6], "T_I");
    strcat(names[6], "i");
    strcpy(names[7], "_RC1a");
    memset(names[7] + 5, 'T', 1000);
    strcpy(names[8], "_D1aFi");
    for (int i = 0; i < 60; i++)
        strcat(names[8], "HQbQc");
    strcpy(names[9], "_D1a__T1b");
    for (int i = 0; i < 60; i++)
        strcat(names[9], "S111__T1b");
    _cleanup_free_ char *readable = malloc(DEMANGLE_OUT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_false(demangle_name(names[i], readable));
}

static void no_name_goes_deep_or_past_its_end(void **state)
{
    static const char *const parts[] = {"P", "N", "I",  "F",     "T_I", "Z",   "St4pairI", "cv",
                                        "X", "D", "Dp", "K",     "1a",  "B_",  "RT",       "_",
                                        "0", "9", "A_", "__T1a", "H",   "S1a", "Qb"};
    static const char *const heads[] = {"_Z1f",       "_Z",   "_R",   "_RC1a",   "_ZN",
                                        "_RINvC1a1b", "_D1a", "$s1a", "camlA__", "AziA_"};
    _cleanup_free_ char *readable = malloc(DEMANGLE_OUT_MAX);
    for (size_t h = 0; h < ARRAY_LEN(heads); h++) {
        for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
            _cleanup_free_ char *name = calloc(1, 3 * DEMANGLE_IN_MAX);
            size_t len = (size_t)sprintf(name, "%s", heads[h]);
            while (len < DEMANGLE_IN_MAX - 8)
                len += (size_t)sprintf(name + len, "%s", parts[p]);
            demangle_name(name, readable);
            while (len <= DEMANGLE_IN_MAX)
                len += (size_t)sprintf(name + len, "%s", parts[p]);
            assert_false(demangle_name(name, readable));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_cxx_and_rust_are_made_readable),
        cmocka_unit_test(names_of_d_are_made_readable),
        cmocka_unit_test(names_of_swift_are_made_readable),
        cmocka_unit_test(names_of_ocaml_are_made_readable),
        cmocka_unit_test(names_of_haskell_are_made_readable),
        cmocka_unit_test(other_names_are_left),
        cmocka_unit_test(no_name_takes_long),
        cmocka_unit_test(no_name_goes_deep_or_past_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
