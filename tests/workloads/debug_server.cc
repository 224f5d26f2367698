// debug_server.cc: burns CPU in functions of which some are inlined. Stripped, nothing in it tells
// their names: debug_server.sh has the server find them.
#include <cstdio>
#include <cstdlib>
#include <ctime>

extern const char program[] = PROGRAM; // each build another build-id

namespace shop
{
static volatile unsigned long sink;

template <typename Number> class Cart
{
public:
    __attribute__((always_inline)) inline void mix(Number rounds)
    {
        for (Number i = 0; i < rounds; i++)
            sink += sink * 31 + i;
    }

    __attribute__((noinline)) void total()
    {
        mix(200000);
        sink++; // so that the call of mix() is no tail
    }
};
}

int main()
{
    const char *seconds = getenv("BURN_SECONDS");
    time_t end = time(nullptr) + (seconds ? atoi(seconds) : 3);
    shop::Cart<unsigned long> cart;
    while (time(nullptr) < end)
        cart.total();
    return shop::sink == 42;
}
