//! What the operator's settings leave of what a connection asks for. Pure.

use std::time::Duration;

use crate::api::connection::{Endpoint, RateLimit};
use crate::engine::decision::config::Config;

/// A burst is at most so many seconds of the highest rate, as in the defaults of `rateLimit`.
const BURST: u32 = 2;

/// The budget a connection gets: at most [`Config::max_requests_per_second`], and a burst of at most twice that.
pub fn clamp_rate(asked: &RateLimit, config: &Config) -> RateLimit {
    let most = |n: u32| i32::try_from(n).unwrap_or(i32::MAX).max(1);
    let rate = config.max_requests_per_second;
    RateLimit {
        requests_per_second: asked.requests_per_second.clamp(1, most(rate)),
        burst: asked.burst.clamp(1, most(rate.saturating_mul(BURST))),
    }
}

/// How often a connection has its resources compared: no sooner than after [`Config::min_resync`].
pub fn resync(endpoint: &Endpoint, config: &Config) -> Duration {
    Duration::from(endpoint.resync_interval).max(config.min_resync)
}

/// What a connection asks for and does not get, as a person reads it; empty where it gets all.
pub fn clamped(endpoint: &Endpoint, config: &Config) -> String {
    let mut message = String::new();
    let (asked, given) = (&endpoint.rate_limit, clamp_rate(&endpoint.rate_limit, config));
    if resync(endpoint, config) > Duration::from(endpoint.resync_interval) {
        message += &format!("; the resyncInterval in force is {:?}, the shortest here", config.min_resync);
    }
    if *asked != given {
        let RateLimit { requests_per_second, burst } = given;
        message +=
            &format!("; the rateLimit in force is {requests_per_second}/s, burst {burst}, the most here");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let min_resync = Duration::from_secs(30);
        Config { max_requests_per_second: 50, min_resync, ..Config::default() }
    }

    fn endpoint(rate: (i32, i32), seconds: u64) -> Endpoint {
        let rate = serde_json::json!({ "requestsPerSecond": rate.0, "burst": rate.1 });
        let interval = format!("{seconds}s");
        let spec = serde_json::json!({ "url": "https://z", "rateLimit": rate, "resyncInterval": interval });
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn no_connection_gets_more_than_the_highest_rate_nor_a_burst_of_more_than_twice_that() {
        for (asked, given) in [
            ((20, 40), (20, 40)),
            ((50, 100), (50, 100)),
            ((1000, 10_000), (50, 100)),
            ((1, 10_000), (1, 100)),
            ((1000, 1), (50, 1)),
            // The definition refuses these; an object may have been stored before it did.
            ((0, 0), (1, 1)),
            ((-5, -5), (1, 1)),
        ] {
            let RateLimit { requests_per_second, burst } =
                clamp_rate(&RateLimit { requests_per_second: asked.0, burst: asked.1 }, &config());
            assert_eq!((requests_per_second, burst), given, "{asked:?}");
        }
        let highest = Config { max_requests_per_second: u32::MAX, ..config() };
        let asked = RateLimit { requests_per_second: 1000, burst: 10_000 };
        assert_eq!(clamp_rate(&asked, &highest), asked);
    }

    #[test]
    fn the_default_budget_is_not_capped_by_the_default_settings() {
        assert_eq!(clamp_rate(&RateLimit::default(), &Config::default()), RateLimit::default());
    }

    #[test]
    fn a_connection_is_told_what_it_asks_for_and_does_not_get() {
        assert_eq!(resync(&endpoint((20, 40), 1), &config()), Duration::from_secs(30));
        assert_eq!(resync(&endpoint((20, 40), 90), &config()), Duration::from_secs(90));
        assert_eq!(clamped(&endpoint((50, 100), 30), &config()), "");
        assert_eq!(
            clamped(&endpoint((51, 10), 29), &config()),
            "; the resyncInterval in force is 30s, the shortest here; the rateLimit in force is 50/s, burst 10, the most here"
        );
    }
}
