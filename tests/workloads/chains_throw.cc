// chains_throw.cc: throws exceptions through a few functions, for two seconds.
#include <chrono>
#include <stdexcept>

#define LINK __attribute__((noinline, noclone))

static volatile int caught;

LINK static void throw_at_bottom(int depth)
{
    if (depth == 0)
        throw std::runtime_error("bottom");
    throw_at_bottom(depth - 1);
    caught = caught + 0;
}

LINK static void catch_at_top()
{
    try {
        throw_at_bottom(20);
    } catch (const std::exception &) {
        caught = caught + 1;
    }
}

int main()
{
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (std::chrono::steady_clock::now() < end)
        catch_at_top();
    return 0;
}
