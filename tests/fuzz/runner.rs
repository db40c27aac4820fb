//! Draws inputs from seeds, one after the other, until the time is over.

use std::env;
use std::fmt::Debug;
use std::str::FromStr;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Inputs of one seed.
const BATCH: u32 = 16;
/// How long a target runs where nobody says: all of them together stay within CI's patience.
const SECONDS: f64 = 0.5;
const FIRST_SEED: u64 = 1;
/// No input takes as long, on whatever machine.
const SLOWEST: Duration = Duration::from_secs(20);

/// The processors that no target has; more targets at once would each check fewer inputs.
static FREE: (Mutex<Option<usize>>, Condvar) = (Mutex::new(None), Condvar::new());

/// A processor, until it is dropped.
struct Slot;

impl Slot {
    fn wait() -> Self {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        let free = FREE.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = FREE.1.wait_while(free, |free| *free == Some(0));
        let mut free = taken.unwrap_or_else(PoisonError::into_inner);
        *free = Some(free.unwrap_or(all) - 1);
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut free = FREE.0.lock().unwrap_or_else(PoisonError::into_inner);
        *free = free.map(|free| free + 1);
        FREE.1.notify_one();
    }
}

/// Checks inputs of `FUZZ_SECONDS`, from the seed `SEED` on; with `SEED` alone that seed's only.
///
/// A failure shrinks, and says with which seed it comes back.
pub fn run<S>(target: &str, strategy: &S, check: impl Fn(S::Value))
where
    S: Strategy,
    S::Value: Debug,
{
    let (seed, seconds) = (variable::<u64>("SEED"), variable::<f64>("FUZZ_SECONDS"));
    let _turn = Slot::wait();
    let replays = seed.is_some() && seconds.is_none();
    let end = Instant::now() + Duration::from_secs_f64(seconds.unwrap_or(SECONDS));
    let first = seed.unwrap_or(FIRST_SEED);
    let mut next = first;
    loop {
        let outcome = runner(next).run(strategy, |input| {
            let began = Instant::now();
            check(input);
            assert!(began.elapsed() < SLOWEST, "it took {:?}", began.elapsed());
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!("{failure}\nto replay: SEED={next} cargo test --test fuzz {target}");
        }
        next += 1;
        if replays || Instant::now() >= end {
            break;
        }
    }
    println!("{target}: {} inputs, SEED={first} to {}", (next - first) * u64::from(BATCH), next - 1);
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: BATCH,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}
