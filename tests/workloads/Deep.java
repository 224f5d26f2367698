/* Deep.java: a recursion of 40 calls, again and again: `java Deep SECONDS`. */
final class Deep {
    private static volatile long sink;

    static long work(long v) {
        for (int i = 0; i < 200_000; i++) v = v * 6364136223846793005L + 1442695040888963407L;
        return v;
    }

    static long down(int left, long v) {
        long w = left == 0 ? work(v) : down(left - 1, v + left);
        return w ^ left;
    }

    public static void main(String[] arguments) {
        long end = System.nanoTime() + (long) (Double.parseDouble(arguments[0]) * 1e9);
        while (System.nanoTime() < end) sink = down(39, sink);
    }
}
