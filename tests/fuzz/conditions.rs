//! Conditions of a status that anybody may have written.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use zitadel_operator::api::Reason;
use zitadel_operator::engine::decision::conditions::{ConditionInput, conditions, ours};
use zitadel_operator::engine::decision::error::{ConditionUpdate, RequeuePolicy, Severity};

use crate::foreign::text;

#[derive(Debug)]
pub struct Input {
    previous: Vec<Condition>,
    observed: Option<i64>,
    update: ConditionUpdate,
    generation: i64,
    deleting: bool,
    now: Timestamp,
}

pub fn inputs() -> impl Strategy<Value = Input> {
    let moment = || {
        let ends = [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH];
        prop_oneof![
            select(ends.to_vec()),
            (0..4_000_000_000_i64).prop_map(|s| Timestamp::from_second(s).unwrap())
        ]
    };
    let generation = || prop_oneof![0..3_i64, any::<i64>()];
    let kind = prop_oneof![8 => select(vec!["Ready", "Synced", "Stalled", "Reconciling"]).prop_map(str::to_owned), 1 => text()];
    let status =
        prop_oneof![8 => select(vec!["True", "False", "Unknown"]).prop_map(str::to_owned), 1 => text()];
    let condition = (kind, status, text(), text(), prop::option::of(generation()), moment()).prop_map(
        |(kind, status, reason, message, observed, since)| {
            serde_json::from_value::<Condition>(json!({
                "type": kind, "status": status, "reason": reason, "message": message,
                "observedGeneration": observed, "lastTransitionTime": since.to_string(),
            }))
            .unwrap()
        },
    );
    let severities =
        vec![Severity::Fine, Severity::Paused, Severity::Stalled, Severity::Waiting, Severity::Transient];
    let update =
        (select(Reason::ALL.to_vec()), select(severities), text()).prop_map(|(reason, severity, message)| {
            ConditionUpdate { reason, severity, requeue: RequeuePolicy::Resync, message }
        });
    (vec(condition, 0..6), prop::option::of(generation()), update, generation(), any::<bool>(), moment())
        .prop_map(|(previous, observed, update, generation, deleting, now)| Input {
            previous,
            observed,
            update,
            generation,
            deleting,
            now,
        })
}

/// Each condition is there once and fits; the same update a second time changes nothing.
pub fn settle(Input { previous, observed, update, generation, deleting, now }: Input) {
    let outage_grace = Duration::from_secs(300);
    let outcome = ConditionInput { update: &update, generation, deleting, outage_grace, now };
    let (first, observed) = conditions(&ours(&previous), observed, &outcome);
    let mut kinds: Vec<&str> = first.iter().map(|condition| condition.type_.as_str()).collect();
    kinds.sort_unstable();
    assert!(kinds.windows(2).all(|pair| pair[0] != pair[1]), "{kinds:?}");
    assert!(
        first
            .iter()
            .all(|condition| condition.message.chars().count() <= 1024 || previous.contains(condition))
    );
    assert_eq!(ours(&first).len(), first.len());
    let second = conditions(&first, observed, &outcome);
    assert_eq!(second, (first, observed));
}
