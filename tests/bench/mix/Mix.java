// Mix.java: collections, strings, streams and recursion, for the corpus: runs until it is killed.
import java.util.*;
import java.util.stream.*;

public class Mix {
    static int depth(int n, List<String> words) {
        if (n == 0) {
            words.sort(Comparator.comparing(w -> new StringBuilder(w).reverse().toString()));
            return words.size();
        }
        words.add(Integer.toHexString(n * 0x9e3779b9) + "-" + n);
        return depth(n - 1, words) + words.get(words.size() - 1).length();
    }

    static void work(int seed) {
        long sum = 0;
        for (int round = 0; sum != 1; round++) {
            List<String> words = new ArrayList<>();
            sum += depth(50 + round % 100, words);
            Map<Integer, List<String>> groups =
                words.stream().collect(Collectors.groupingBy(String::length));
            sum += groups.values().stream().mapToInt(List::size).sum() + seed;
        }
        System.out.println(sum);
    }

    public static void main(String[] args) {
        for (int i = 1; i < 3; i++) {
            int seed = i;
            new Thread(() -> work(seed), "mix-" + i).start();
        }
    }
}
