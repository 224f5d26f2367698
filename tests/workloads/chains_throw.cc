// chains_throw.cc: throws exceptions through a few functions, for two seconds.
#include <ctime>
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
    auto end = std::clock() + 2 * CLOCKS_PER_SEC; // of the CPU: also on a busy machine
    while (std::clock() < end)
        catch_at_top();
    return 0;
}
