use super::*;
use crate::engine::decision::error::RequeuePolicy;

const GRACE: Duration = Duration::from_secs(300);

/// A status under test: conditions and observed generation, with a clock that only moves when told.
struct Subject {
    conditions: Vec<Condition>,
    observed: Option<i64>,
    now: Timestamp,
}

impl Subject {
    fn new() -> Self {
        Self { conditions: Vec::new(), observed: None, now: Timestamp::UNIX_EPOCH }
    }

    fn after(mut self, seconds: u64) -> Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn gets(mut self, severity: Severity, reason: Reason, generation: i64, deleting: bool) -> Self {
        let update = ConditionUpdate {
            reason,
            severity,
            requeue: RequeuePolicy::Resync,
            message: reason.as_str().into(),
        };
        let outcome =
            ConditionInput { update: &update, generation, deleting, outage_grace: GRACE, now: self.now };
        (self.conditions, self.observed) = conditions(&self.conditions, self.observed, &outcome);
        self
    }

    fn ready(self) -> Self {
        self.gets(Severity::Fine, Reason::Available, 1, false)
    }

    fn fails(self, generation: i64) -> Self {
        self.gets(Severity::Transient, Reason::Unavailable, generation, false)
    }

    /// `Type=Status/Reason` of every condition, and the generation `Ready` speaks of.
    fn shows(&self, expected: &[&str], observed: Option<i64>) {
        let shown: Vec<String> =
            self.conditions.iter().map(|c| format!("{}={}/{}", c.type_, c.status, c.reason)).collect();
        assert_eq!(
            (shown.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), self.observed),
            (expected, observed)
        );
    }

    fn since(&self, kind: ConditionType) -> Timestamp {
        kind.find(&self.conditions).unwrap().last_transition_time.0
    }
}

#[test]
fn a_success_is_ready_and_synced_and_nothing_else() {
    Subject::new().ready().shows(&["Ready=True/Available", "Synced=True/Available"], Some(1));
}

#[test]
fn a_short_outage_shows_in_synced_only() {
    let subject = Subject::new().ready().after(60).fails(1).after(299).fails(1);
    subject.shows(&["Ready=True/Available", "Synced=False/Unavailable"], Some(1));
}

#[test]
fn an_outage_that_lasts_shows_in_ready() {
    let subject = Subject::new().ready().after(60).fails(1).after(300).fails(1);
    subject.shows(
        &["Ready=False/Unavailable", "Synced=False/Unavailable", "Reconciling=True/Unavailable"],
        Some(1),
    );
}

#[test]
fn an_outage_shows_at_once_for_a_generation_that_never_was_ready() {
    let subject = Subject::new().ready().fails(2);
    subject.shows(
        &["Ready=False/Unavailable", "Synced=False/Unavailable", "Reconciling=True/Unavailable"],
        Some(2),
    );
}

#[test]
fn what_a_person_must_fix_is_stalled() {
    let subject = Subject::new().ready().gets(Severity::Stalled, Reason::Conflict, 1, false);
    subject.shows(&["Ready=False/Conflict", "Synced=False/Conflict", "Stalled=True/Conflict"], Some(1));
}

#[test]
fn a_pause_keeps_ready_and_its_generation() {
    let subject = Subject::new().ready().gets(Severity::Paused, Reason::Paused, 2, false);
    subject.shows(&["Ready=True/Available", "Synced=False/Paused"], Some(1));
}

#[test]
fn a_delayed_deletion_is_deleting_whatever_delays_it() {
    let subject = Subject::new().ready().gets(Severity::Transient, Reason::Unavailable, 1, true);
    subject.shows(
        &["Ready=False/Deleting", "Synced=False/Unavailable", "Reconciling=True/Unavailable"],
        Some(1),
    );
}

#[test]
fn observed_drift_is_a_successful_look_at_something_to_fix() {
    let subject = Subject::new().gets(Severity::Stalled, Reason::DriftDetected, 1, false);
    subject.shows(
        &["Ready=False/DriftDetected", "Synced=True/DriftDetected", "Stalled=True/DriftDetected"],
        Some(1),
    );
}

#[test]
fn the_transition_time_moves_with_the_status_only() {
    let first = Subject::new().gets(Severity::Stalled, Reason::Conflict, 1, false);
    let then = first.now;
    let later = first.after(10).gets(Severity::Stalled, Reason::PermissionDenied, 1, false);
    assert_eq!(later.since(ConditionType::Ready), then);
    let flipped = later.after(10).ready();
    assert_eq!(flipped.since(ConditionType::Ready), flipped.now);
}

#[test]
fn nothing_changes_when_nothing_changed() {
    let before = Subject::new().ready();
    let conditions = before.conditions.clone();
    assert_eq!(before.after(1000).ready().conditions, conditions);
}

#[test]
fn long_messages_are_cut_on_a_character() {
    assert_eq!(cut(&"é".repeat(2000), MESSAGE_LIMIT).chars().count(), MESSAGE_LIMIT);
    assert_eq!(cut("short", MESSAGE_LIMIT), "short");
}

#[test]
fn a_clock_that_is_set_back_makes_no_outage_a_long_one() {
    let mut subject = Subject::new().after(7200).ready().after(60).fails(1);
    subject.now -= Duration::from_secs(3600);
    subject.fails(1).shows(&["Ready=True/Available", "Synced=False/Unavailable"], Some(1));
}

#[test]
fn it_is_known_when_an_outage_will_show() {
    let shows = |subject: &Subject, generation| {
        shows_in(&subject.conditions, Some(generation), GRACE, subject.now).map(|left| left.as_secs())
    };
    let subject = Subject::new().ready().after(60);
    assert_eq!((shows(&subject, 1), shows(&subject, 2)), (Some(301), None));
    let subject = subject.fails(1).after(100);
    assert_eq!(shows(&subject, 1), Some(201));
    let subject = subject.after(200).fails(1);
    assert_eq!(shows(&subject, 1), None);
}
