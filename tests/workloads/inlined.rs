// inlined.rs: burns CPU in functions that are inlined into each other, for tests/e2e/debug_files.sh.
extern "C" {
    fn clock() -> i64; // CPU time in microseconds, so that a busy machine changes nothing
}

mod work {
    pub trait Mix {
        fn step(&mut self, x: u64) -> u64;
    }
    pub struct Shift<T>(pub T);
    impl Mix for Shift<u64> {
        #[inline(always)]
        fn step(&mut self, x: u64) -> u64 {
            for _ in 0..64 {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
            }
            self.0.wrapping_add(x)
        }
    }
    #[inline(always)]
    pub fn repeat<M: Mix>(mixer: &mut M, times: u64) -> u64 {
        let mut sum = 0;
        for i in 0..times {
            sum ^= mixer.step(i);
        }
        sum
    }
}

#[inline(never)]
fn burn(seconds: f64) -> u64 {
    let mut mixer = work::Shift(88172645463325252u64);
    let mut sum = 0u64;
    while (unsafe { clock() } as f64) < seconds * 1e6 {
        sum = sum.wrapping_add(work::repeat(&mut mixer, 20000));
    }
    sum
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1.0);
    println!("{}", burn(seconds));
}
