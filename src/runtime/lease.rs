//! Leader election on a `coordination.k8s.io/v1` Lease, by the rules of client-go's `leaderelection`.
//!
//! # Guarantees
//! - The handle stops saying "leader" [`Timing::renew_deadline`] after the last renewal *was sent*, and another
//!   process takes over no sooner than [`Timing::lease_duration`] after it *saw* that renewal. The difference is
//!   what a write already on its way has to arrive in.
//! - Expiry is measured on each process's own monotonic clock; the times in the record are for people.
//! - Nothing waits for the API server longer than [`Timing::call_timeout`] at a time.
//! - A candidate takes a Lease that was given up as soon as it sees that, and one that expires at once. It is told by a
//!   watch; without one (not permitted, dead) it looks every 2 to 4.4 s.
//!
//! # Assumptions
//! Monotonic clocks run at about the same pace everywhere and go on while a process is stopped (SIGSTOP).

mod leadership;
mod lease_watch;
mod record;
#[cfg(test)]
mod tests;

pub use leadership::Leadership;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Api, ObjectMeta, PostParams};
use lease_watch::LeaseWatch;
use record::{Decision, Record, decide};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::runtime::ambient::between;

/// How fast leadership is renewed, lost and taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long after its last observed renewal a silent leader is replaced; whole seconds, at least one.
    pub lease_duration: Duration,
    /// How long a leader may go without a renewal; shorter than `lease_duration`.
    pub renew_deadline: Duration,
    /// Pause between two attempts, of a leader or a candidate (which waits up to 2.2 times as long).
    pub retry_period: Duration,
    /// Longest wait for one answer of the API server.
    pub call_timeout: Duration,
}

impl Default for Timing {
    /// 15 s, 10 s and 2 s as in client-go; 4 s a call, so that one that hangs leaves room for another.
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
            call_timeout: Duration::from_secs(4),
        }
    }
}

/// Why an attempt on the Lease failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or could not be reached.
    #[error("Lease {lease}: {}", reason(source))]
    Api {
        /// Namespace and name of the Lease.
        lease: String,
        /// What kube says.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("Lease {lease}: no answer from the API server within {after:?}")]
    Timeout {
        /// Namespace and name of the Lease.
        lease: String,
        /// How long was waited.
        after: Duration,
    },
}

fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("{} (needs get, create, update and watch on leases.coordination.k8s.io)", status.message)
        }
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Makes an identity that no other process has: `host` and 64 random bits.
///
/// A restarted container keeps its host name, so the name alone would let it pass for its predecessor.
pub fn unique_identity(host: &str) -> String {
    format!("{host}_{:016x}", rand::random::<u64>())
}

/// A candidate for one Lease.
pub struct Elector {
    api: Api<Lease>,
    namespace: String,
    name: String,
    identity: String,
    timing: Timing,
    leadership: Leadership,
    seen: Option<Seen>,
}

/// The record as last read and the local time it was first read like that.
struct Seen {
    spec: LeaseSpec,
    since: Instant,
    version: Option<String>,
}

/// How one attempt ended.
enum Attempt {
    /// The Lease is ours; counts from when the attempt began.
    Held,
    /// Another process holds it.
    Refused,
}

/// What was free may be taken by somebody else at the same moment: candidates try at slightly different times.
const HEAD_START: Duration = Duration::from_millis(100);

impl Elector {
    /// A candidate called `identity` ([`unique_identity`]) for the Lease `namespace`/`name`, which is created
    /// when missing.
    pub fn new(client: kube::Client, namespace: &str, name: &str, identity: impl Into<String>) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.into(),
            timing: Timing::default(),
            leadership: Leadership::pending(),
            seen: None,
        }
    }

    /// Replaces the default timing.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// What begins when this candidate leads.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Waits, however long it takes, until this process leads; `None` if `shutdown` comes first.
    ///
    /// Failures are logged and tried again.
    pub async fn acquire(mut self, shutdown: &CancellationToken) -> Option<LeaseGuard> {
        tracing::info!(lease = self.name, identity = self.identity, "waiting for leadership");
        let (mut leading, mut lease_watch) = (None, LeaseWatch::new(self.api.clone(), &self.name));
        while !shutdown.is_cancelled() {
            let began = Instant::now();
            match self.attempt(began).await {
                Ok(Attempt::Held) => return Some(self.lead(began)),
                Ok(Attempt::Refused) => self.tell_who_leads(&mut leading),
                Err(error) => tracing::warn!("{error}"),
            }
            shutdown.run_until_cancelled(self.pause(&mut lease_watch, began)).await;
        }
        None
    }

    /// Between two attempts, of which the last one began then: a while, but no longer than until the Lease is free.
    async fn pause(&mut self, lease_watch: &mut LeaseWatch, began: Instant) {
        let look_again = Instant::now() + self.timing.retry_period.mul_f64(between(1.0..2.2));
        // What was free already when the last attempt began is no reason to hurry; what became free since then is.
        let mut free =
            self.record().map(|record| record.free_at(&self.identity)).filter(|free| *free > began);
        while free.is_none_or(|free| free > Instant::now()) {
            let version = self.seen.as_ref().and_then(|seen| seen.version.clone());
            let until = free.map_or(look_again, |free| free.min(look_again));
            match timeout_at(until, lease_watch.next(version)).await {
                Ok(lease) => free = Some(self.free_at(&lease)),
                Err(_) if until == look_again => return,
                Err(_) => {}
            }
        }
        sleep(HEAD_START.mul_f64(between(0.0..1.0))).await;
    }

    fn free_at(&mut self, lease: &Lease) -> Instant {
        let record = self.observe(lease);
        record.map_or_else(Instant::now, |record| record.free_at(&self.identity))
    }

    /// Once for each leader: two installations of which one does nothing must not be a riddle.
    fn tell_who_leads(&self, known_holder: &mut Option<String>) {
        let holder = self.seen.as_ref().and_then(|seen| seen.spec.holder_identity.clone());
        if *known_holder != holder {
            *known_holder = holder;
            let lease = format!("{}/{}", self.namespace, self.name);
            tracing::info!(
                lease,
                holder = known_holder.as_deref(),
                "another process leads, this one stands by"
            );
        }
    }

    fn lead(self, since: Instant) -> LeaseGuard {
        tracing::info!(lease = self.name, identity = self.identity, "leading");
        let leadership = self.leadership();
        leadership.begin(since + self.timing.renew_deadline);
        let stop = CancellationToken::new();
        let renewal = tokio::spawn(self.renew(leadership.clone(), stop.clone()));
        LeaseGuard { leadership, renewal, stop: stop.drop_guard() }
    }

    /// Renews until told to stop, late, or replaced; the leadership has ended when this returns.
    async fn renew(mut self, leadership: Leadership, stop: CancellationToken) -> Self {
        let _ended = leadership.end_on_drop();
        loop {
            let next = leadership.deadline().min(Instant::now() + self.timing.retry_period);
            tokio::select! {
                biased;
                () = stop.cancelled() => return self,
                () = sleep_until(next) => {}
            }
            if !leadership.is_leader() {
                tracing::error!(lease = self.name, "leadership lost: not renewed in time");
                return self;
            }
            let began = Instant::now();
            match timeout_at(leadership.deadline(), self.attempt(began)).await {
                Ok(Ok(Attempt::Held)) => leadership.extend(began + self.timing.renew_deadline),
                Ok(Ok(Attempt::Refused)) => {
                    tracing::error!(lease = self.name, "leadership lost: another process took the Lease");
                    return self;
                }
                Ok(Err(error)) => tracing::warn!("leadership not renewed: {error}"),
                Err(_) => {}
            }
        }
    }

    /// What has happened until `began`, at which it begins, decides.
    async fn attempt(&mut self, began: Instant) -> Result<Attempt, Error> {
        let found = self.call(self.api.get_opt(&self.name)).await?;
        let record = found.as_ref().and_then(|lease| self.observe(lease));
        let lease = match decide(record.as_ref(), began, &self.identity) {
            Decision::Wait => return Ok(Attempt::Refused),
            Decision::Renew => record::renewed(found.unwrap_or_default(), self.timing.lease_duration),
            Decision::Acquire => record::acquired(
                found.unwrap_or_else(|| self.missing()),
                &self.identity,
                self.timing.lease_duration,
            ),
        };
        let written = self.write(&lease).await?;
        self.note(&written, began);
        Ok(Attempt::Held)
    }

    /// Dates what was read: a record counts as fresh from the first time it was seen with this content.
    fn observe(&mut self, lease: &Lease) -> Option<Record> {
        let since = match &self.seen {
            Some(seen) if Some(&seen.spec) == lease.spec.as_ref() => seen.since,
            _ => Instant::now(),
        };
        self.note(lease, since);
        self.record()
    }

    fn note(&mut self, lease: &Lease, since: Instant) {
        let version = lease.metadata.resource_version.clone();
        self.seen = lease.spec.clone().map(|spec| Seen { spec, since, version });
    }

    fn record(&self) -> Option<Record> {
        let Seen { spec, since, .. } = self.seen.as_ref()?;
        Some(Record::new(spec, *since, self.timing.lease_duration))
    }

    fn missing(&self) -> Lease {
        let (name, namespace) = (Some(self.name.clone()), Some(self.namespace.clone()));
        Lease { metadata: ObjectMeta { name, namespace, ..ObjectMeta::default() }, spec: None }
    }

    /// Creates, or replaces exactly the version that was read.
    async fn write(&self, lease: &Lease) -> Result<Lease, Error> {
        let params = PostParams::default();
        if lease.metadata.resource_version.is_none() {
            return self.call(self.api.create(&params, lease)).await;
        }
        self.call(self.api.replace(&self.name, &params, lease)).await
    }

    /// Gives the Lease up if it is still ours, so that the next leader need not wait for its expiry.
    async fn release(&self) -> Result<(), Error> {
        let Some(found) = self.call(self.api.get_opt(&self.name)).await? else {
            return Ok(());
        };
        let ours = found.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.identity);
        if ours {
            self.write(&record::released(found)).await?;
            tracing::info!(lease = self.name, "leadership released");
        }
        Ok(())
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
        let lease = || format!("{}/{}", self.namespace, self.name);
        let after = self.timing.call_timeout;
        match timeout(after, call).await {
            Ok(answer) => answer.map_err(|source| Error::Api { lease: lease(), source: Box::new(source) }),
            Err(_) => Err(Error::Timeout { lease: lease(), after }),
        }
    }
}

/// A leadership that is being renewed in the background.
///
/// Dropping it ends the leadership (after a renewal under way) and leaves the Lease to expire.
pub struct LeaseGuard {
    leadership: Leadership,
    renewal: JoinHandle<Elector>,
    stop: DropGuard,
}

impl LeaseGuard {
    /// The handle to ask before each write.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Gives the Lease up. Call when everything that writes has stopped; renewal goes on until then.
    ///
    /// Does nothing to a Lease that another process holds by now.
    pub async fn release(self) -> Result<(), Error> {
        drop(self.stop);
        match self.renewal.await {
            Ok(elector) => elector.release().await,
            Err(_) => Ok(()),
        }
    }
}
