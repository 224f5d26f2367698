/* test_short_name.c: names as they stand in binaries, and what a box of a flamegraph shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "symbol/short_name.h"

struct row {
    const char *full, *shown;
};

static void check(enum name_of kind, const struct row *rows, size_t count)
{
    static char shown[SHORT_NAME_MAX];
    for (size_t i = 0; i < count; i++) {
        const char *is = short_name(rows[i].full, kind, shown) ? shown : rows[i].full;
        if (strcmp(is, rows[i].shown) != 0)
            fail_msg("%s is shown as %s, not %s", rows[i].full, is, rows[i].shown);
    }
}

static void names_of_cxx_lose_arguments_and_parameters(void **state)
{
    static const struct row rows[] = {
        {"std::vector<int, std::allocator<int> >::push_back(int const&)",
         "std::vector<…>::push_back"},
        {"main::{lambda()#1}::operator()() const", "main::{lambda#1}::operator()"},
        {"main::{lambda(int, char)#2}::_FUN(int, char)", "main::{lambda#2}::_FUN"},
        {"ns::(anonymous namespace)::f(int)", "ns::(anon)::f"},
        {"(anonymous namespace)::g()", "(anon)::g"},
        {"llvm::operator<<(llvm::raw_ostream&, llvm::AANoReturn const&)", "llvm::operator<<"},
        {"llvm::operator<< <llvm::BasicBlock, llvm::Loop>(llvm::raw_ostream&, "
         "llvm::LoopBase<llvm::BasicBlock, llvm::Loop> const&)",
         "llvm::operator<< <…>"},
        {"A::operator<(A const&) const", "A::operator<"},
        {"std::operator< <int>(int)", "std::operator< <…>"},
        {"A::operator->() const", "A::operator->"},
        {"A::operator()(int) const", "A::operator()"},
        {"A::operator bool() const", "A::operator bool"},
        {"A::operator std::vector<int, std::allocator<int> >() const",
         "A::operator std::vector<…>"},
        {"A::operator B*<int>()", "A::operator B*<…>"},
        {"operator new[](unsigned long)", "operator new[]"},
        {"operator delete(void*, unsigned long)", "operator delete"},
        {"operator\"\" _kg(char const*)", "operator\"\" _kg"},
        {"polly::Scop::getNameStr[abi:cxx11]() const", "polly::Scop::getNameStr"},
        {"std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> "
         ">::_M_append(char const*, unsigned long)",
         "std::basic_string<…>::_M_append"},
        {"std::__1::vector<int>::clear()", "std::vector<…>::clear"},
        {"foo(int) [clone .cold]", "foo [cold]"},
        {"foo(int) [clone .isra.0] [clone .cold]", "foo [cold]"},
        {"foo(int) [clone .constprop.0]", "foo"},
        {"f<(E)3, &g, (1)<<(2), ((3)>(2))>(int)", "f<…>"},
        {"f<&A::operator<, int>(int)", "f<…>"},
        {"std::foo(int)@plt", "std::foo@plt"},
        {"virtual thunk to A::f(int)", "virtual thunk to A::f"},
        {"void f<int>(int)", "void f<…>"},
        {"main()::<lambda(int)>", "main::<lambda>"},
        {"foo()::{unnamed type#1}::operator()() const", "foo::{unnamed type#1}::operator()"},
        {"std::function<void (int)>::operator()(int) const", "std::function<…>::operator()"},
        {"A<B>::~A()", "A<…>::~A"},
    };
    check(NAME_OF_CODE, rows, ARRAY_LEN(rows));
}

static void of_rusts_types_the_last_name_stays(void **state)
{
    static const struct row rows[] = {
        {"<alloc::vec::Vec<T> as core::iter::Extend<T>>::extend", "<Vec<…> as Extend<…>>::extend"},
        {"<alloc::vec::Vec<u8>>::push", "alloc::vec::Vec<…>::push"},
        {"alloc::vec::Vec<T>::push", "alloc::vec::Vec<…>::push"},
        {"core::ptr::drop_in_place::<alloc::string::String>", "core::ptr::drop_in_place<…>"},
        {"core::ptr::drop_in_place<alloc::string::String>", "core::ptr::drop_in_place<…>"},
        {"<&mut I as core::iter::traits::iterator::Iterator>::next", "<&mut I as Iterator>::next"},
        {"<[T] as alloc::borrow::ToOwned>::to_owned", "<[T] as ToOwned>::to_owned"},
        {"<core::iter::adapters::map::Map<I, F> as "
         "core::iter::traits::iterator::Iterator>::fold::<(), core::x::{closure#0}>",
         "<Map<…> as Iterator>::fold<…>"},
        {"<<T as a::B>::C as d::E>::f", "<C as E>::f"},
        {"<mycrate::S as core::ops::function::FnOnce<()>>::call_once::{shim:vtable#0}",
         "<S as FnOnce<…>>::call_once::{shim:vtable#0}"},
        {"<dyn core::fmt::Debug + core::marker::Send as a::B>::x", "<dyn Debug + Send as B>::x"},
        {"<fn(a::A) -> b::B as c::C>::f", "<fn(A) -> B as C>::f"},
        {"<(a::A, b::B) as c::C>::f", "<(A, B) as C>::f"},
        {"std::thread::local::LocalKey<T>::with::{{closure}}",
         "std::thread::local::LocalKey<…>::with::{{closure}}"},
    };
    check(NAME_OF_CODE, rows, ARRAY_LEN(rows));
}

static void names_of_go_lose_the_path_of_their_package(void **state)
{
    static const struct row rows[] = {
        {"github.com/acme/shop/cart.(*Cart).Total", "cart.(*Cart).Total"},
        {"github.com/acme/shop/cart.Sum[...]", "cart.Sum[...]"},
        {"github.com/acme/shop/cart.Sum[go.shape.[]github.com/x/y.T]",
         "cart.Sum[go.shape.[]github.com/x/y.T]"},
        {"github.com/acme/shop/cart.(*Cart).Total.func1", "cart.(*Cart).Total.func1"},
        {"net/http.(*conn).serve", "http.(*conn).serve"},
        {"gopkg.in/yaml%2ev3.Unmarshal", "yaml.v3.Unmarshal"},
    };
    check(NAME_OF_CODE, rows, ARRAY_LEN(rows));
}

static void names_of_d_lose_arguments_and_parameters(void **state)
{
    static const struct row rows[] = {
        {"std.digest.WrapperDigest!(std.digest.sha.SHA!(1024u, 256u).SHA).WrapperDigest.put(scope "
         "const(ubyte)[]...)",
         "std.digest.WrapperDigest!(…).WrapperDigest.put"},
        {"core.cpuid.cpuidX86()", "core.cpuid.cpuidX86"},
    };
    check(NAME_OF_CODE, rows, ARRAY_LEN(rows));
}

static void clones_of_c_functions_say_only_that_they_are_cold(void **state)
{
    static const struct row rows[] = {
        {"foo.part.0", "foo"},
        {"foo.cold", "foo [cold]"},
        {"foo.isra.0.cold", "foo [cold]"},
        {"foo.constprop.3", "foo"},
    };
    check(NAME_OF_CODE, rows, ARRAY_LEN(rows));
}

static void methods_of_java_lose_their_package(void **state)
{
    static const struct row jit[] = {
        {"com.acme.Cart.total(java.util.List)", "Cart.total"},
        {"java.util.ArrayList.<init>(int)", "ArrayList.<init>"},
        {"com.acme.Main$$Lambda/0x00007f1234.run()", "Main$$Lambda/0x00007f1234.run"},
        {"jdk.internal.misc.Unsafe.park(boolean, long)", "Unsafe.park"},
        {"Cart.total()", "Cart.total"},
        {"com.acme.cart.total(int)", "com.acme.cart.total"},
        /* no methods, or of others' */
        {"Interpreter", "Interpreter"},
        {"I2C/C2I adapters(0xbb)", "I2C/C2I adapters(0xbb)"},
        {"(anonymous)", "(anonymous)"},
        {"instance void [A] Ns.C::M(int32)[Tier1]", "instance void [A] Ns.C::M(int32)[Tier1]"},
    };
    static const struct row inlined[] = {
        {"com.acme.Cart.total(java.util.List)", "Cart.total"},
        {"sync.Mutex.Unlock", "sync.Mutex.Unlock"},
        {"github.com/acme/shop/cart.(*Cart).Total", "cart.(*Cart).Total"},
        {"std::vector<int>::size() const", "std::vector<…>::size"},
    };
    check(NAME_OF_JIT, jit, ARRAY_LEN(jit));
    check(NAME_OF_INLINED, inlined, ARRAY_LEN(inlined));
}

static void other_names_stay(void **state)
{
    static const struct row rows[] = {
        {"puts@plt", "puts@plt"},
        {"(*f(int))(char)", "(*f(int))(char)"},
        {"mycrate::main::{closure#0}", "mycrate::main::{closure#0}"},
        {"runtime.mallocgc", "runtime.mallocgc"},
        {"main.main", "main.main"},
        {"Stdlib.List.map", "Stdlib.List.map"},
        {"base:GHC.Base.map", "base:GHC.Base.map"},
        {"closure #1 in main.foo", "closure #1 in main.foo"},
        {"main.Foo.bar", "main.Foo.bar"},
        {"std.fs.File.read", "std.fs.File.read"},
        {"[truncated]", "[truncated]"},
        {"__libc_start_main", "__libc_start_main"},
        {"f(", "f("},
        {"f<int(", "f<int("},
        {"a>b", "a>b"},
        {".plt", ".plt"},
        {"do_syscall_64", "do_syscall_64"},
        {"", ""},
        {"<", "<"},
        {">", ">"},
        {"operator", "operator"},
        {"operator<", "operator<"},
        {"foo()bar", "foo()bar"},
        {"f(int) at x.c", "f(int) at x.c"},
        {"A<B", "A<B"},
        {"A>::f()", "A>::f()"},
        {"{lambda(", "{lambda("},
        {"((", "(("},
        {"[clone .cold]", "[clone .cold]"},
        {"<a as ", "<a as "},
        {"std::__exception_ptr::exception_ptr::operator void "
         "(std::__exception_ptr::exception_ptr::*)()() const",
         "std::__exception_ptr::exception_ptr::operator void "
         "(std::__exception_ptr::exception_ptr::*)()() const"},
    };
    check(NAME_OF_CODE, rows, ARRAY_LEN(rows));
}

static void a_name_too_long_or_nested_too_deep_stays(void **state)
{
    static const char *const parts[] = {"a<",      "a(",        "<",       "{lambda(",
                                        "<<T as ", "operator<", "[clone ", "a::"};
    static char shown[SHORT_NAME_MAX];
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        _cleanup_free_ char *name = calloc(1, 2 * SHORT_NAME_MAX);
        size_t len = 0;
        while (len < SHORT_NAME_MAX - 16)
            len += (size_t)sprintf(name + len, "%s", parts[p]);
        assert_false(short_name(name, NAME_OF_CODE, shown));
        strcat(name, "()()()()()()()()()()");
        assert_false(short_name(name, NAME_OF_CODE, shown));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_cxx_lose_arguments_and_parameters),
        cmocka_unit_test(of_rusts_types_the_last_name_stays),
        cmocka_unit_test(names_of_go_lose_the_path_of_their_package),
        cmocka_unit_test(names_of_d_lose_arguments_and_parameters),
        cmocka_unit_test(clones_of_c_functions_say_only_that_they_are_cold),
        cmocka_unit_test(methods_of_java_lose_their_package),
        cmocka_unit_test(other_names_stay),
        cmocka_unit_test(a_name_too_long_or_nested_too_deep_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
