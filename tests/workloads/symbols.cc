// symbols.cc: C++ names of many kinds, for tests/e2e/symbols.sh to name.
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace outer
{
namespace
{
__attribute__((noinline)) int hidden(int x)
{
    return x + 1;
}
} // namespace

template <typename T> struct Box {
    T value;
    explicit Box(T v) : value(v)
    {
    }
    virtual ~Box()
    {
    }
    __attribute__((noinline)) T get() const
    {
        return value;
    }
    __attribute__((noinline)) Box operator+(const Box &other) const
    {
        return Box(value + other.value);
    }
    operator int() const
    {
        return 3;
    }
};

template <typename T> struct Derived : Box<T> {
    using Box<T>::Box;
    ~Derived() override
    {
        this->value = T();
    }
};

template <typename... Args> __attribute__((noinline)) int count(Args &&...args)
{
    return (int)sizeof...(args) + hidden(1);
}

template <typename T> __attribute__((noinline)) auto twice(T x) -> decltype(x + x)
{
    return x + x;
}
} // namespace outer

template struct outer::Box<int>;
template struct outer::Box<std::string>;
template struct outer::Derived<std::vector<int>>;

extern "C" __attribute__((noinline)) int plain_c(int x)
{
    return x * 2;
}

int main(int argc, char **argv)
{
    std::map<std::string, std::vector<std::function<int(int)>>> table;
    for (int i = 0; i < argc; i++)
        table[argv[i]].push_back([i](int x) { return x + i; });
    int sum = outer::count(1, 2.0, "three") + outer::twice(argc) + plain_c(argc);
    sum += (int)outer::twice(std::string(argv[0])).size();
    for (auto &entry : table)
        for (auto &function : entry.second)
            sum += function(1);
    return sum == 0;
}
