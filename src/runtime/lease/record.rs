use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// What a candidate knows of the Lease: who holds it, for how long, and since when it has looked like that here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Who holds it; empty when it was released.
    holder: String,
    /// How long the holder keeps it after its last renewal.
    duration: Duration,
    /// Local time at which this content was first seen.
    since: Instant,
}

impl Record {
    pub(super) fn new(spec: &LeaseSpec, since: Instant, default: Duration) -> Self {
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            holder: spec.holder_identity.clone().unwrap_or_default(),
            duration: seconds.map_or(default, Duration::from_secs),
            since,
        }
    }

    /// From when on `me` may write it.
    pub(super) fn free_at(&self, me: &str) -> Instant {
        match self.holder.as_str() {
            holder if holder.is_empty() || holder == me => self.since,
            _ => self.since + self.duration,
        }
    }
}

/// What to do about the Lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is free, released or expired: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// Another process holds it.
    Wait,
}

/// Decides what `me` does about `record` (`None`: there is no Lease, or it is blank) at local time `now`.
pub(super) fn decide(record: Option<&Record>, now: Instant, me: &str) -> Decision {
    match record {
        None => Decision::Acquire,
        Some(record) if record.holder.is_empty() => Decision::Acquire,
        Some(record) if record.holder == me => Decision::Renew,
        Some(record) if now >= record.free_at(me) => Decision::Acquire,
        Some(_) => Decision::Wait,
    }
}

/// `lease` taken by `me`, counted as one more transition unless it is new.
pub(super) fn acquired(lease: Lease, me: &str, duration: Duration) -> Lease {
    let transitions =
        lease.spec.as_ref().map_or(0, |spec| spec.lease_transitions.unwrap_or(0).saturating_add(1));
    let taken = LeaseSpec {
        holder_identity: Some(me.to_owned()),
        acquire_time: Some(now()),
        lease_transitions: Some(transitions),
        ..lease.spec.unwrap_or_default()
    };
    renewed(Lease { spec: Some(taken), ..lease }, duration)
}

/// `lease` renewed by its holder.
pub(super) fn renewed(lease: Lease, duration: Duration) -> Lease {
    let spec = LeaseSpec {
        lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)),
        renew_time: Some(now()),
        ..lease.spec.unwrap_or_default()
    };
    Lease { spec: Some(spec), ..lease }
}

/// `lease` held by nobody; 1 s is the shortest duration the API server accepts.
pub(super) fn released(lease: Lease) -> Lease {
    let free = LeaseSpec { holder_identity: Some(String::new()), ..lease.spec.unwrap_or_default() };
    renewed(Lease { spec: Some(free), ..lease }, Duration::from_secs(1))
}

fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Acquire, Renew, Wait};

    const DURATION: Duration = Duration::from_secs(15);

    #[test]
    fn only_a_lease_that_is_free_ours_or_silent_for_its_whole_duration_is_written() {
        let table = [
            ("", 0, Acquire),
            ("", 60, Acquire),
            ("me", 0, Renew),
            ("me", 60, Renew),
            ("other", 0, Wait),
            ("other", 14, Wait),
            ("other", 15, Acquire),
            ("other", 60, Acquire),
        ];
        let since = Instant::now();
        for (holder, age, expected) in table {
            let record = Record { holder: holder.to_owned(), duration: DURATION, since };
            let now = since + Duration::from_secs(age);
            assert_eq!(decide(Some(&record), now, "me"), expected, "{holder:?} silent for {age} s");
        }
        assert_eq!(decide(None, since, "me"), Acquire);
    }

    #[test]
    fn a_record_read_a_moment_after_the_decision_began_is_fresh() {
        let now = Instant::now();
        let record = Record { holder: "other".to_owned(), duration: DURATION, since: now + DURATION };
        assert_eq!(decide(Some(&record), now, "me"), Wait);
    }

    #[test]
    fn the_holder_sets_how_long_it_keeps_the_lease() {
        let table = [(Some(30), 30), (Some(1), 1), (None, 15), (Some(-1), 15)];
        for (lease_duration_seconds, expected) in table {
            let spec = LeaseSpec { lease_duration_seconds, ..LeaseSpec::default() };
            let record = Record::new(&spec, Instant::now(), DURATION);
            assert_eq!(record.duration, Duration::from_secs(expected), "{lease_duration_seconds:?}");
        }
    }

    #[test]
    fn a_change_of_hands_counts_and_a_renewal_does_not() {
        let spec = |lease: &Lease| lease.spec.clone().unwrap();
        let first = acquired(Lease::default(), "a", DURATION);
        assert_eq!(
            (spec(&first).lease_transitions, spec(&first).lease_duration_seconds),
            (Some(0), Some(15))
        );
        let kept = renewed(first.clone(), DURATION);
        assert_eq!(spec(&kept).acquire_time, spec(&first).acquire_time);
        let free = spec(&released(kept.clone()));
        assert_eq!((free.holder_identity.as_deref(), free.lease_duration_seconds), (Some(""), Some(1)));
        let second = spec(&acquired(kept, "b", DURATION));
        assert_eq!((second.holder_identity.as_deref(), second.lease_transitions), (Some("b"), Some(1)));
    }
}
