// symbols.rs: Rust names of many kinds, for tests/e2e/symbols.sh to name.
use std::collections::HashMap;
use std::fmt::Display;

struct Wrapper<T>(T);

trait Describe {
    fn describe(&self) -> String;
}

impl<T: Display> Describe for Wrapper<T> {
    #[inline(never)]
    fn describe(&self) -> String {
        format!("<{}>", self.0)
    }
}

mod inner {
    #[inline(never)]
    pub fn generic<T: Clone, const N: usize>(x: T) -> [T; N] {
        std::array::from_fn(|_| x.clone())
    }
}

#[inline(never)]
fn apply(f: &dyn Fn(u32) -> u32, x: u32) -> u32 {
    f(x)
}

fn main() {
    let mut map: HashMap<String, u32> = HashMap::new();
    for arg in std::env::args() {
        *map.entry(arg).or_default() += 1;
    }
    let offset = map.len() as u32;
    let sum = apply(&|x| x + offset, 4) + inner::generic::<u8, 3>(1).len() as u32;
    println!("{} {}", Wrapper(sum).describe(), Wrapper("text").describe());
}
