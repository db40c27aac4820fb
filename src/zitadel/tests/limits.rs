use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, timeout};

use crate::zitadel::tests::{AggregateLocks, Limiter, Rate};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn limiter(requests_per_second: u32, burst: u32) -> Limiter {
    Limiter::new(Rate { requests_per_second, burst })
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
    let (limiter, start) = (limiter(10, 3), Instant::now());
    for _ in 0..3 {
        assert_eq!(limiter.delay(), Duration::ZERO);
        limiter.ready().await;
    }
    assert_eq!((start.elapsed(), limiter.delay()), (Duration::ZERO, ms(100)));
    join_all((0..5).map(|_| limiter.ready())).await;
    assert!((ms(500)..ms(510)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_count_in_the_delay_and_a_dropped_one_takes_nothing() {
    let (limiter, start) = (limiter(1, 1), Instant::now());
    limiter.ready().await;
    assert!(timeout(ms(10), limiter.ready()).await.is_err());
    assert_eq!(limiter.delay(), ms(990));
    let queue = join_all((0..2).map(|_| limiter.ready()));
    assert!(timeout(ms(1), queue).await.is_err());
    limiter.ready().await;
    assert!((ms(1000)..ms(1010)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everybody_and_is_at_most_ten_minutes() {
    let (limiter, start) = (limiter(10, 3), Instant::now());
    limiter.pause_for(ms(2000));
    limiter.pause_for(ms(1));
    assert!((ms(2000)..=ms(2200)).contains(&limiter.delay()), "{:?}", limiter.delay());
    limiter.ready().await;
    assert!(start.elapsed() >= ms(2000));
    limiter.pause_for(Duration::MAX);
    assert_eq!(limiter.delay(), Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn one_aggregate_is_serial_others_are_not_and_no_entry_stays() {
    let locks = Arc::new(AggregateLocks::default());
    let start = Instant::now();
    let hold = |key: &'static str| {
        let locks = locks.clone();
        async move {
            let _guard = locks.lock(key).await;
            tokio::time::sleep(ms(100)).await;
        }
    };
    join_all(["a", "a", "b", "a", "b"].map(hold)).await;
    assert!((ms(300)..ms(310)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(locks.is_empty());

    let held = locks.lock("a").await;
    assert!(timeout(ms(10), locks.lock("a")).await.is_err());
    assert_eq!(locks.len(), 1);
    drop(held);
    assert!(locks.is_empty());
}
