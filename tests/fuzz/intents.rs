//! The intent of a create, in an annotation that a tenant may write.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use zitadel_operator::api::annotation::CREATE_PENDING;
use zitadel_operator::engine::pending::PendingCreate;

use crate::foreign::{Bent, sent, text};

const UID: &str = "0b7c1f5e-5a0f-4a8e-9b7e-3f1d6c2a9e01";

pub fn annotations() -> impl Strategy<Value = Bent> {
    sent(vec![json!({
        "uid": UID, "name": "web", "after": "2026-11-21T10:00:00Z", "organization": "1", "instance": "2",
    })])
}

/// Only an intent of this resource is one, and it is written as it was read.
pub fn are_its_own(Bent(bytes): Bent) {
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(PendingCreate::of(None, UID), None);
    for uid in [UID, ""] {
        if let Some(intent) = PendingCreate::of(Some(&text), uid) {
            assert_eq!(intent.uid, uid);
            come_back(intent);
        }
    }
}

pub fn intents() -> impl Strategy<Value = PendingCreate> {
    let after = (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(), 0..1_000_000_000)
        .prop_filter_map("after the end of time", |(second, nanosecond)| {
            Timestamp::new(second, nanosecond).ok()
        });
    let replaces = proptest::option::of(text());
    (text(), text(), after, text(), text(), replaces).prop_map(
        |(uid, name, after, organization, instance, replaces)| PendingCreate {
            uid,
            name,
            after,
            organization,
            instance,
            replaces,
        },
    )
}

/// What is written is read again.
pub fn come_back(intent: PendingCreate) {
    let (name, written) = intent.annotation();
    assert_eq!(name, CREATE_PENDING);
    assert_eq!(PendingCreate::of(written.as_deref(), &intent.uid).as_ref(), Some(&intent));
    let foreign = format!("{}x", intent.uid);
    assert_eq!(PendingCreate::of(written.as_deref(), &foreign), None);
    assert!(intent.can_be(Some(intent.after)) && intent.can_be(Some(Timestamp::MAX)) && !intent.can_be(None));
    assert!(intent.after == Timestamp::MIN || !intent.can_be(Some(Timestamp::MIN)));
}
