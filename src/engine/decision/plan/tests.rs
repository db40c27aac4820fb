//! The whole input product of the decision, and what must hold over it.

use super::*;

/// The whole input product.
fn every_case() -> impl Iterator<Item = Facts> {
    let identities = [Identity::Assigned, Identity::Keyed];
    let pendings = [Pending::No, Pending::Begun, Pending::Unresolved];
    let targets = [ExternalRef::None, ExternalRef::Requested, ExternalRef::Found, ExternalRef::Owned];
    let looks = [
        Observed::Unknown,
        Observed::OtherInstance,
        Observed::Foreign,
        Observed::Absent,
        Observed::Unlisted,
        Observed::InSync,
        Observed::Differs,
    ];
    let names = [Name::Free, Name::Suspect, Name::InUse];
    let total = 2 * 3 * 4 * 7 * 3 * (1 << 12);
    (0..total).map(move |mut n: usize| {
        let mut pick = |of: usize| {
            let chosen = n % of;
            n /= of;
            chosen
        };
        Facts {
            identity: identities[pick(2)],
            pending: pendings[pick(3)],
            external: targets[pick(4)],
            observed: looks[pick(7)],
            management: [ManagementPolicy::Manage, ManagementPolicy::Observe][pick(2)],
            deletion: [DeletionPolicy::Delete, DeletionPolicy::Retain][pick(2)],
            paused: pick(2) == 1,
            deleting: pick(2) == 1,
            finalizer: pick(2) == 1,
            recorded: pick(2) == 1,
            taken: pick(2) == 1,
            name: names[pick(3)],
            searched: pick(2) == 1,
            adopt_by_name: pick(2) == 1,
            keys_taken: pick(2) == 1,
            recreate: pick(2) == 1,
            in_use: pick(2) == 1,
        }
    })
}

/// Asserts a rule over the whole product and that it speaks of something.
fn always(rule: &str, when: impl Fn(&Facts, Step) -> bool, then: impl Fn(&Facts) -> bool) {
    let mut cases = 0;
    for facts in every_case() {
        let step = plan(&facts);
        if when(&facts, step) {
            cases += 1;
            assert!(then(&facts), "{rule}: {step:?} for {facts:?}");
        }
    }
    assert!(cases > 0, "{rule}: never applies");
}

fn writes_zitadel(step: Step) -> bool {
    matches!(step, Step::Create | Step::Recover | Step::Update | Step::Remove)
}

fn present(facts: &Facts) -> bool {
    matches!(facts.observed, Observed::InSync | Observed::Differs)
}

#[test]
fn writes_to_zitadel_need_a_managed_unpaused_protected_resource_on_its_own_instance() {
    always(
        "write",
        |_, step| writes_zitadel(step),
        |f| {
            f.management == ManagementPolicy::Manage
                && !f.paused
                && f.observed != Observed::OtherInstance
                && (f.finalizer || f.pending == Pending::Unresolved)
        },
    );
}

#[test]
fn a_paused_resource_does_nothing_unless_it_was_never_protected() {
    always("paused", |f, _| f.paused && f.finalizer, |f| plan(f) == Step::BlockReason(BlockReason::Paused));
}

#[test]
fn what_another_resource_holds_is_never_written_adopted_or_removed() {
    always(
        "taken",
        |_, step| matches!(step, Step::Update | Step::Remove | Step::Adopt | Step::Record),
        |f| !f.taken,
    );
}

#[test]
fn only_an_owned_object_that_may_be_there_is_removed_and_only_on_deletion_without_retain() {
    always(
        "remove",
        |_, step| step == Step::Remove,
        |f| {
            f.deleting
                && f.deletion == DeletionPolicy::Delete
                && f.external == ExternalRef::Owned
                && (present(f) || f.observed == Observed::Unlisted)
                && !f.in_use
        },
    );
}

#[test]
fn the_finalizer_stays_while_an_owned_object_may_be_there() {
    always(
        "release on deletion",
        |f, step| {
            step == Step::Release
                && f.deleting
                && f.deletion == DeletionPolicy::Delete
                && f.management == ManagementPolicy::Manage
                && !f.taken
        },
        |f| {
            f.pending == Pending::No
                && (f.external != ExternalRef::Owned
                    || matches!(f.observed, Observed::Absent | Observed::Foreign))
        },
    );
}

#[test]
fn retain_always_releases_without_a_look() {
    always(
        "retain",
        |f, _| f.deleting && f.finalizer && !f.paused && f.deletion == DeletionPolicy::Retain,
        |f| plan(f) == Step::Release,
    );
}

#[test]
fn an_observer_writes_nothing_and_takes_no_ownership() {
    always(
        "observe",
        |f, _| f.management == ManagementPolicy::Observe,
        |f| {
            let step = plan(f);
            !writes_zitadel(step)
                && !matches!(step, Step::Protect | Step::BeginCreate | Step::Adopt | Step::Record)
        },
    );
}

#[test]
fn a_create_begins_only_without_a_target_or_after_confirmed_absence() {
    always(
        "create",
        |_, step| matches!(step, Step::BeginCreate | Step::Create),
        |f| {
            !f.deleting
                && (f.observed.is_absent() && f.external == ExternalRef::Owned
                    || f.external == ExternalRef::None && f.name != Name::InUse
                    || f.external != ExternalRef::Owned && f.pending == Pending::Begun)
        },
    );
    always(
        "an assigned id needs the recorded intent first",
        |f, step| step == Step::Create && f.identity == Identity::Assigned,
        |f| f.pending == Pending::Begun && f.finalizer,
    );
}

#[test]
fn an_unresolved_create_is_settled_before_anything_else_is_created_or_adopted() {
    always(
        "unresolved",
        |f, _| {
            f.pending == Pending::Unresolved
                && f.identity == Identity::Assigned
                && f.management == ManagementPolicy::Manage
        },
        |f| !matches!(plan(f), Step::BeginCreate | Step::Create | Step::Adopt | Step::FindByName),
    );
}

#[test]
fn adoption_needs_a_request_or_the_policy_and_the_finalizer() {
    always(
        "adopt",
        |_, step| step == Step::Adopt,
        |f| {
            let asked =
                f.external == ExternalRef::Requested || f.external == ExternalRef::Found && f.adopt_by_name;
            let named = f.identity == Identity::Keyed && f.external != ExternalRef::Owned;
            f.finalizer && (present(f) && asked || named && (present(f) || f.observed.is_absent()))
        },
    );
}

#[test]
fn a_key_is_recorded_as_owned_before_it_is_first_written() {
    always(
        "keyed",
        |f, step| f.identity == Identity::Keyed && writes_zitadel(step),
        |f| f.deleting || f.recorded && f.external == ExternalRef::Owned,
    );
}

#[test]
fn what_may_not_be_made_again_by_itself_stays_gone() {
    always(
        "gone",
        |f, step| f.external == ExternalRef::Owned && f.pending == Pending::No && step == Step::BeginCreate,
        |f| f.recreate,
    );
}

#[test]
fn a_setting_with_parts_of_others_is_never_done() {
    always(
        "parts",
        |f, step| step == Step::Done && f.keys_taken,
        |f| f.deleting || f.management == ManagementPolicy::Observe,
    );
}

#[test]
fn another_instance_stops_everything_but_retain_and_release_of_what_is_not_owned() {
    always(
        "other instance",
        |f, _| f.observed == Observed::OtherInstance && !f.deleting && !f.paused && !f.finalizer,
        |f| matches!(plan(f), Step::BlockReason(_) | Step::FindByName),
    );
}

#[test]
fn nothing_is_updated_before_the_bond_is_recorded() {
    always("update", |_, step| step == Step::Update, |f| f.recorded && f.observed == Observed::Differs);
}
