// mix.rs: hashing, trees, formatting, threads and recursion, for the corpus: runs until it is killed.
use std::collections::{BTreeMap, HashMap};

#[inline(never)]
fn depth(n: u32, words: &mut Vec<String>) -> usize {
    if n == 0 {
        words.sort_by(|a, b| b.chars().rev().cmp(a.chars().rev()));
        return words.len();
    }
    words.push(format!("{:x}-{}", n.wrapping_mul(2654435761), n));
    depth(n - 1, words) + words.last().map_or(0, |w| w.len())
}

fn work(seed: u32) -> usize {
    let mut sum = 0;
    for round in 0.. {
        let mut words = Vec::new();
        sum += depth(100 + round % 200, &mut words);
        let mut count: HashMap<String, usize> = HashMap::new();
        for w in &words {
            *count.entry(w.to_uppercase()).or_default() += seed as usize;
        }
        let tree: BTreeMap<_, _> = count.into_iter().collect();
        sum += tree.values().sum::<usize>();
        if sum == 1 {
            break;
        }
    }
    sum
}

fn main() {
    let threads: Vec<_> = (1..3).map(|i| std::thread::spawn(move || work(i))).collect();
    for t in threads {
        println!("{}", t.join().unwrap());
    }
}
