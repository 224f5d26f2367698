/* Cart.java: burns CPU in com.acme.CART.price(), called by total(): `java com.acme.CART SECONDS`. The
 * test puts a name in the place of CART, so that each JVM has methods of its own. */
package com.acme;

import java.util.List;

public class CART {
    private static volatile long sink;

    static long price(long v) {
        for (int i = 0; i < 200_000; i++) v = v * 6364136223846793005L + 1442695040888963407L;
        return v;
    }

    static long total(List<Long> items) {
        long sum = 0;
        for (long item : items) sum += price(item);
        return sum;
    }

    public static void main(String[] arguments) {
        long end = System.nanoTime() + (long) (Double.parseDouble(arguments[0]) * 1e9);
        while (System.nanoTime() < end) sink = total(List.of(1L, 2L, 3L));
    }
}
