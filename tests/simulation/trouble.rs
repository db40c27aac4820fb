//! What goes wrong, as data.

use std::time::Duration;

use jiff::SignedDuration;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use support::zitadel::{Behaviour, Failure, InjectedFault};
use zitadel_operator::runtime::ambient;

use crate::ending::{SOMEBODYS, kinds};
use crate::header::{Loss, repaired};
use crate::line::{Ill, Side};
use crate::world::World;

/// One thing that goes wrong. Where the operator is down, what needs it does nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// F1: the operator ends at the request of this number from now, and another starts some seconds later.
    Crash(Side, usize, u64),
    /// F10: the operator is restarted in peace.
    Restart,
    /// F17: the operator stops for so many seconds, another takes over, and what the first had under way arrives late.
    Stall(u64),
    /// F17: the clock is set by so many seconds.
    Clock(i64),
    /// F3: ZITADEL cannot be reached for so many seconds.
    Outage(u64),
    /// F2, F3, F4: the next answers of ZITADEL, after so many good ones.
    Zitadel(Answer, usize, usize),
    /// F6: lists lag by up to so many seconds, each read by another time. Single objects are read as they are (contract, "Consistency summary").
    Lag(u64),
    /// F5: no page is larger.
    Pages(usize),
    /// F7: writes take so many milliseconds, so that they meet.
    Slow(u64),
    /// F22: for so many seconds ZITADEL does not see which organization is meant; then a person says that it is repaired.
    Header(Loss, u64),
    /// F12, F14, F15: the next requests to Kubernetes, after so many good ones.
    Kubernetes(Ill, usize, usize),
    /// F11, F12: every watch ends; with `true` the past is forgotten as well.
    Watches(bool),
    /// F10, F11: watches show what happened so many seconds late.
    WatchLag(u64),
    /// F15: somebody else writes into the status of every resource, and labels it.
    Meddle,
    /// A tenant forges the intent to create on every resource.
    Forge,
}

/// What comes instead of a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The work is done, and the answer is lost.
    Lost,
    /// The connection breaks before the request arrives.
    Broken,
    /// 503 while the server starts.
    Unavailable,
    /// 500 with nothing to go by.
    Internal,
    /// 429 of the instance's limit, without a time.
    Limited,
    /// 429 of a proxy, with a time.
    RetryAfter,
    /// 401 although the credential is good.
    Unauthorized,
    /// 404 of a permission that is missing.
    Unauthorised,
    /// 403 of a permission that is missing.
    Forbidden,
    /// A proxy's page with status 200.
    Html,
    /// Half an answer.
    Truncated,
    /// More than anybody reads.
    Oversized,
    /// A redirect to another host.
    Redirect,
    /// The work is done, and the answer comes when nobody waits any more.
    Withheld,
    /// An answer that just comes in time.
    Slow,
    /// Two writers met on one aggregate.
    Contended,
    /// The server's database is gone, and so, it says, is the instance.
    Databaseless,
}

impl Answer {
    pub const ALL: [Self; 17] = [
        Self::Lost,
        Self::Broken,
        Self::Unavailable,
        Self::Internal,
        Self::Limited,
        Self::RetryAfter,
        Self::Unauthorized,
        Self::Unauthorised,
        Self::Forbidden,
        Self::Html,
        Self::Truncated,
        Self::Oversized,
        Self::Redirect,
        Self::Withheld,
        Self::Slow,
        Self::Contended,
        Self::Databaseless,
    ];

    fn fault(self) -> InjectedFault {
        match self {
            Self::Lost => InjectedFault::drop_after_commit(),
            Self::Broken => InjectedFault::drop_before(),
            Self::Unavailable => InjectedFault::unavailable(),
            Self::Internal => InjectedFault::failure(&Failure::bare(13, "something broke")),
            Self::Limited => InjectedFault::limited(),
            Self::RetryAfter => InjectedFault::answer(429).header("retry-after", "20"),
            Self::Unauthorized => InjectedFault::failure(&Failure::of("AUTH-7fs1e")),
            Self::Unauthorised => InjectedFault::failure(&Failure::of("AUTHZ-cdgFk")),
            Self::Forbidden => InjectedFault::failure(&Failure::of("AUTH-5mWD2")),
            Self::Html => InjectedFault::html(),
            Self::Truncated => InjectedFault::truncated(),
            Self::Oversized => InjectedFault::oversized(5 * 1024 * 1024),
            Self::Redirect => InjectedFault::redirect("http://elsewhere.example.com/"),
            Self::Withheld => InjectedFault::hold_after_commit(),
            Self::Slow => InjectedFault::delay(Duration::from_secs(12)),
            Self::Contended => {
                InjectedFault::failure(&Failure::bare(2, "ERROR: duplicate key (SQLSTATE 23505)"))
            }
            Self::Databaseless => InjectedFault::database_gone(),
        }
    }
}

impl Trouble {
    /// Lets it go wrong, and returns when it is over, but for what lasts until [`calm`].
    pub async fn run(&self, world: &World) {
        match *self {
            Self::Crash(side, number, down) => {
                let line = world.line();
                line.trap(side, number);
                // Not every trap is reached.
                if tokio::time::timeout(Duration::from_secs(60), line.trapped()).await.is_err() {
                    return line.disarm();
                }
                world.crash().await;
                tokio::time::sleep(Duration::from_secs(down)).await;
                world.start();
            }
            Self::Restart => {
                world.stop().await;
                world.start();
            }
            Self::Stall(seconds) => world.stall(Duration::from_secs(seconds)).await,
            Self::Clock(seconds) => ambient::step_clock(SignedDuration::from_secs(seconds)),
            Self::Outage(seconds) => {
                let outage = world.zitadel.inject(InjectedFault::drop_before());
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                outage.remove();
            }
            Self::Zitadel(answer, skipped, times) => {
                world.zitadel.inject(answer.fault().after(skipped).times(times));
            }
            Self::Header(loss, seconds) => {
                let lost = world.zitadel.inject(loss.fault());
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                lost.remove();
                repaired(world).await;
            }
            Self::Lag(seconds) => {
                let lag = Duration::from_secs(seconds);
                world.zitadel.configure(|behaviour| behaviour.lag_most = lag);
            }
            Self::Pages(cap) => world.zitadel.configure(|behaviour| {
                (behaviour.page_cap, behaviour.overcount) = (Some(cap), 1);
            }),
            Self::Slow(milliseconds) => {
                let write_duration = Duration::from_millis(milliseconds);
                world.zitadel.configure(|behaviour| behaviour.write_duration = write_duration);
            }
            Self::Kubernetes(ill, skipped, times) => world.line().ail(ill, skipped, times),
            Self::Watches(forget) => {
                if forget {
                    world.cluster.compact();
                }
                world.cluster.end_watches();
            }
            Self::WatchLag(seconds) => world.cluster.set_watch_lag(Duration::from_secs(seconds)),
            Self::Meddle => meddle(world).await,
            Self::Forge => forge(world).await,
        }
    }
}

async fn meddle(world: &World) {
    let params = PatchParams::apply("somebody-else").force();
    for kind in kinds() {
        for object in world.api(kind).list(&Default::default()).await.expect("a list") {
            let name = object.metadata.name.unwrap_or_default();
            let condition = json!({
                "type": SOMEBODYS, "status": "True", "reason": "Seen", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            });
            let body = json!({
                "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": kind, "metadata": { "name": name },
                "status": { "conditions": [condition] },
            });
            let label = json!({ "metadata": { "labels": { "audited": "true" } } });
            // It may be gone by now.
            let _ = world.api(kind).patch_status(&name, &params, &Patch::Apply(body)).await;
            let _ = world.api(kind).patch(&name, &PatchParams::default(), &Patch::Merge(label)).await;
        }
    }
}

/// An intent to create what is there and nobody's, as if the operator had begun it long ago.
async fn forge(world: &World) {
    for kind in kinds() {
        for object in world.api(kind).list(&Default::default()).await.expect("a list") {
            let (name, uid) = (object.metadata.name.unwrap_or_default(), object.metadata.uid);
            let intent = json!({
                "uid": uid, "name": if kind == "Organization" { "other" } else { "legacy" },
                "after": "2020-01-01T00:00:00Z", "instance": world.zitadel.instance_identity(),
                "organization": world.acme, "parent": world.acme,
            });
            let annotations = json!({ "zitadel-operator.dev/create-pending": intent.to_string() });
            // A finalizer would stay where the operator needs none: another end, though not of anybody else.
            let patch = json!({ "metadata": { "annotations": annotations } });
            // It may be gone by now.
            let _ = world.api(kind).patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
        }
    }
}

/// Ends all that goes wrong, and lets an operator run.
pub fn calm(world: &World, usual: &Behaviour) {
    world.zitadel.clear_faults();
    world.zitadel.configure(|behaviour| *behaviour = usual.clone());
    world.cluster.set_watch_lag(Duration::ZERO);
    if world.is_running() {
        world.line().heal();
    } else {
        world.start();
    }
}
