//! The times in headers: `Date` and `Retry-After`.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use zitadel_operator::zitadel::Error;

use crate::foreign::text;
use crate::server::{ID, Server, assert_discreet, client, on_paused_time, response};

/// ZITADEL makes nobody wait longer.
const LONGEST: Duration = Duration::from_secs(600);

/// Headers, and what they say where they are right.
#[derive(Debug)]
pub struct Times {
    date: String,
    server_time: Option<Timestamp>,
    retry_after: String,
    wait: Option<Duration>,
}

/// A date of HTTP, from 1970 to 9999.
fn date(second: i64) -> (String, Timestamp) {
    let time = Timestamp::from_second(second).unwrap();
    (time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(), time)
}

pub fn times() -> impl Strategy<Value = Times> {
    let second = || 0..253_000_000_000_i64;
    let right = (second(), prop_oneof![second().prop_map(Err), any::<u64>().prop_map(Ok)]).prop_map(
        |(now, after)| {
            let (now, server_time) = date(now);
            let (retry_after, wait) = match after {
                Ok(seconds) => (seconds.to_string(), Duration::from_secs(seconds)),
                Err(then) => {
                    let (text, then) = date(then);
                    (text, then.duration_since(server_time).max(SignedDuration::ZERO).unsigned_abs())
                }
            };
            Times { date: now, server_time: Some(server_time), retry_after, wait: Some(wait) }
        },
    );
    let like =
        || prop_oneof![text(), (any::<i64>(), text()).prop_map(|(n, unit)| format!("{n}{unit}")), nearly()];
    let wrong = (like(), like()).prop_map(|(date, retry_after)| Times {
        date,
        server_time: None,
        retry_after,
        wait: None,
    });
    prop_oneof![right, wrong]
}

/// A date with a part that is out of place.
fn nearly() -> impl Strategy<Value = String> {
    let number = || prop_oneof![(-1..100_i32).prop_map(|n| n.to_string()), text()];
    (number(), number(), number(), number())
        .prop_map(|(day, year, hour, zone)| format!("Sun, {day} Nov {year} {hour}:00:00 {zone}"))
}

/// What is right is understood; a wait is ten minutes at most, whatever a header says.
pub fn check(times: Times) {
    let headers = [("date", times.date.clone()), ("retry-after", times.retry_after.clone())];
    let limited = Server::new({
        let headers = headers.clone();
        move |_| response(429, &headers, Vec::new())
    });
    on_paused_time(async {
        let client = client(limited.clone() as Arc<_>);
        let error = client.me().await.unwrap_err();
        assert_discreet(&error);
        let Error::RateLimited { retry_after, .. } = error else {
            panic!("{error}");
        };
        if times.wait.is_some() {
            assert_eq!(retry_after, times.wait);
        }
        assert!(client.budget().delay() <= LONGEST, "{:?}", client.budget().delay());
        assert!(retry_after.is_none_or(|wait| wait.min(LONGEST) <= client.budget().delay()));
    });
    let body = format!(r#"{{"org": {{"id": "{ID}", "state": "ORG_STATE_ACTIVE"}}}}"#);
    let fine = Server::new(move |_| response(200, &headers, body.clone().into_bytes()));
    let answer = on_paused_time(async { client(fine as Arc<_>).organization(ID).await }).unwrap();
    if times.server_time.is_some() {
        assert_eq!(answer.server_time, times.server_time);
    }
}
