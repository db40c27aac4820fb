//! The decision: from what is known of a resource to the one next step. Pure, total, free of IO.

use crate::api::{DeletionPolicy, ManagementPolicy};

/// How a kind's objects get their identity in ZITADEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The server assigns the id when it creates the object: needs the create protocol.
    Assigned,
    /// The client chooses the id: creating twice is harmless.
    Chosen,
    /// A setting of something that exists: there is always exactly one.
    Setting,
}

/// What the resource points at in ZITADEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing yet.
    None,
    /// An id a person asks to import.
    Requested,
    /// An object found by its name.
    Found,
    /// The object it owns, by the proof in its status.
    Bound,
}

/// What the last authoritative look at the target showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Not looked yet.
    Unknown,
    /// The connection reaches another instance than the resource was written to.
    OtherInstance,
    /// It is there, but in another organization.
    Foreign,
    /// Confirmed not to be there.
    Absent,
    /// As specified.
    InSync,
    /// Different from the spec.
    Differs,
}

/// What is known of a create whose outcome is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// There is none.
    No,
    /// The intent was written just now; nothing was sent.
    Begun,
    /// An earlier attempt may or may not have reached ZITADEL.
    Unresolved,
}

/// Everything the decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How the kind's objects get their identity.
    pub identity: Identity,
    /// May the operator write to ZITADEL?
    pub management: ManagementPolicy,
    /// The effective deletion policy.
    pub deletion: DeletionPolicy,
    /// The `paused` annotation is set.
    pub paused: bool,
    /// The resource is being deleted.
    pub deleting: bool,
    /// Our finalizer is on the resource.
    pub finalizer: bool,
    /// A create whose outcome is not recorded.
    pub pending: Pending,
    /// What the resource points at.
    pub target: Target,
    /// The bond to the target is recorded in the status.
    pub recorded: bool,
    /// Another resource holds the claim on the target.
    pub taken: bool,
    /// The last look.
    pub observed: Observed,
    /// ZITADEL said that the wanted name is in use.
    pub name_in_use: bool,
    /// A search by name found nothing to point at.
    pub searched: bool,
    /// The resource may take over an object by its name.
    pub adopt_by_name: bool,
}

/// The next thing to do. After every step but the last three the facts are gathered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the target in ZITADEL.
    Look,
    /// Look for an object by the wanted name.
    FindByName,
    /// Add the finalizer.
    Protect,
    /// Add the finalizer and the intent to create, in one patch.
    BeginCreate,
    /// Create the object in ZITADEL.
    Create,
    /// Find out what became of a create that was begun.
    Recover,
    /// Take ownership of the object that was looked at.
    Adopt,
    /// Record the bond in the status before anything else is written.
    Record,
    /// Bring the object to the spec.
    Update,
    /// Remove the object.
    Remove,
    /// Take the finalizer off.
    Release,
    /// Stop here, for this reason.
    Hold(Hold),
    /// ZITADEL matches the spec, or there is nothing to do.
    Done,
}

/// Why a resource stops short of its spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A person paused it.
    Paused,
    /// Another resource owns the target.
    Taken,
    /// The wanted name belongs to another object.
    NameInUse,
    /// The object to import is not there, or not in this organization.
    NothingToImport,
    /// The owned object turned up in another organization.
    Foreign,
    /// The connection reaches another instance.
    InstanceChanged,
    /// Under `Observe`: the object differs.
    Drift,
    /// Under `Observe`: there is no object.
    NothingToObserve,
}

/// Chooses the next step.
///
/// Guarantees, each enumerated in the test: nothing is written to ZITADEL while paused, under `Observe`, before the finalizer is on,
/// on a target that another resource holds, or on another instance; an object is removed only when owned and
/// not retained; a create begins only after confirmed absence or without any target.
pub fn plan(facts: &Facts) -> Step {
    match (facts.deleting, facts.paused) {
        (true, _) if !facts.finalizer => Step::Done,
        (_, true) => Step::Hold(Hold::Paused),
        (true, false) => plan_deletion(facts),
        (false, false) if facts.management == ManagementPolicy::Observe => plan_observation(facts),
        (false, false) => plan_management(facts),
    }
}

fn plan_deletion(facts: &Facts) -> Step {
    let keep = facts.deletion == DeletionPolicy::Retain || facts.management == ManagementPolicy::Observe;
    if keep || facts.taken {
        return Step::Release;
    }
    match (facts.target, facts.observed) {
        (Target::Bound, Observed::Unknown) => Step::Look,
        (_, Observed::OtherInstance) => Step::Hold(Hold::InstanceChanged),
        (Target::Bound, Observed::InSync | Observed::Differs) => Step::Remove,
        _ if facts.pending != Pending::No => Step::Recover,
        _ => Step::Release,
    }
}

fn plan_observation(facts: &Facts) -> Step {
    if facts.finalizer {
        return Step::Release;
    }
    match (facts.target, facts.observed) {
        (Target::None, _) if facts.searched => Step::Hold(Hold::NothingToObserve),
        (Target::None, _) => Step::FindByName,
        (_, Observed::Unknown) => Step::Look,
        (_, Observed::OtherInstance) => Step::Hold(Hold::InstanceChanged),
        (_, Observed::Foreign) => Step::Hold(Hold::NothingToImport),
        (_, Observed::Absent) => Step::Hold(Hold::NothingToObserve),
        (_, Observed::Differs) => Step::Hold(Hold::Drift),
        (_, Observed::InSync) => Step::Done,
    }
}

fn plan_management(facts: &Facts) -> Step {
    match facts.target {
        _ if facts.observed == Observed::OtherInstance => Step::Hold(Hold::InstanceChanged),
        Target::Bound => plan_bound(facts),
        _ if facts.pending != Pending::No => plan_creation(facts),
        Target::Requested => plan_import(facts),
        Target::Found => plan_adoption(facts),
        Target::None if !facts.name_in_use => plan_creation(facts),
        Target::None if facts.searched => Step::Hold(Hold::NameInUse),
        Target::None => Step::FindByName,
    }
}

fn plan_bound(facts: &Facts) -> Step {
    match facts.observed {
        _ if facts.taken => Step::Hold(Hold::Taken),
        Observed::Unknown => Step::Look,
        Observed::OtherInstance => Step::Hold(Hold::InstanceChanged),
        Observed::Foreign => Step::Hold(Hold::Foreign),
        Observed::Absent if facts.name_in_use => Step::Hold(Hold::NameInUse),
        Observed::Absent => plan_creation(facts),
        _ if !facts.finalizer => Step::Protect,
        Observed::Differs if !facts.recorded => Step::Record,
        Observed::Differs => Step::Update,
        Observed::InSync => Step::Done,
    }
}

fn plan_import(facts: &Facts) -> Step {
    match facts.observed {
        _ if facts.taken => Step::Hold(Hold::Taken),
        Observed::Unknown => Step::Look,
        Observed::OtherInstance => Step::Hold(Hold::InstanceChanged),
        Observed::Foreign | Observed::Absent => Step::Hold(Hold::NothingToImport),
        Observed::InSync | Observed::Differs => adopt(facts),
    }
}

fn plan_adoption(facts: &Facts) -> Step {
    match facts.observed {
        _ if facts.taken || !facts.adopt_by_name => Step::Hold(Hold::NameInUse),
        Observed::Unknown => Step::Look,
        Observed::OtherInstance => Step::Hold(Hold::InstanceChanged),
        Observed::Foreign | Observed::Absent => Step::Hold(Hold::NameInUse),
        Observed::InSync | Observed::Differs => adopt(facts),
    }
}

/// The finalizer goes on before ownership is taken, so that a deletion in between is seen.
fn adopt(facts: &Facts) -> Step {
    if facts.finalizer {
        Step::Adopt
    } else {
        Step::Protect
    }
}

fn plan_creation(facts: &Facts) -> Step {
    match (facts.identity, facts.pending) {
        (_, Pending::Unresolved) => Step::Recover,
        (Identity::Assigned, Pending::No) => Step::BeginCreate,
        _ if !facts.finalizer => Step::Protect,
        _ => Step::Create,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole input product.
    fn every_case() -> impl Iterator<Item = Facts> {
        let identities = [Identity::Assigned, Identity::Chosen, Identity::Setting];
        let pendings = [Pending::No, Pending::Begun, Pending::Unresolved];
        let targets = [Target::None, Target::Requested, Target::Found, Target::Bound];
        let looks = [
            Observed::Unknown,
            Observed::OtherInstance,
            Observed::Foreign,
            Observed::Absent,
            Observed::InSync,
            Observed::Differs,
        ];
        let total = 3 * 3 * 4 * 6 * (1 << 10);
        (0..total).map(move |mut n: usize| {
            let mut pick = |of: usize| {
                let chosen = n % of;
                n /= of;
                chosen
            };
            Facts {
                identity: identities[pick(3)],
                pending: pendings[pick(3)],
                target: targets[pick(4)],
                observed: looks[pick(6)],
                management: [ManagementPolicy::Manage, ManagementPolicy::Observe][pick(2)],
                deletion: [DeletionPolicy::Delete, DeletionPolicy::Retain][pick(2)],
                paused: pick(2) == 1,
                deleting: pick(2) == 1,
                finalizer: pick(2) == 1,
                recorded: pick(2) == 1,
                taken: pick(2) == 1,
                name_in_use: pick(2) == 1,
                searched: pick(2) == 1,
                adopt_by_name: pick(2) == 1,
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
        always(
            "paused",
            |f, _| f.paused && f.finalizer,
            |f| plan(f) == Step::Hold(Hold::Paused),
        );
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
    fn only_an_owned_object_that_is_there_is_removed_and_only_on_deletion_without_retain() {
        always(
            "remove",
            |_, step| step == Step::Remove,
            |f| f.deleting && f.deletion == DeletionPolicy::Delete && f.target == Target::Bound && present(f),
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
                    && (f.target != Target::Bound
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
                    && !matches!(
                        step,
                        Step::Protect | Step::BeginCreate | Step::Adopt | Step::Record
                    )
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
                    && (f.observed == Observed::Absent && f.target == Target::Bound
                        || f.target == Target::None && !f.name_in_use
                        || f.target != Target::Bound && f.pending == Pending::Begun)
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
            |f, _| f.pending == Pending::Unresolved && f.management == ManagementPolicy::Manage,
            |f| {
                !matches!(
                    plan(f),
                    Step::BeginCreate | Step::Create | Step::Adopt | Step::FindByName
                )
            },
        );
    }

    #[test]
    fn adoption_needs_a_request_or_the_policy_and_the_finalizer() {
        always(
            "adopt",
            |_, step| step == Step::Adopt,
            |f| {
                f.finalizer
                    && present(f)
                    && (f.target == Target::Requested || f.target == Target::Found && f.adopt_by_name)
            },
        );
    }

    #[test]
    fn another_instance_stops_everything_but_retain_and_release_of_what_is_not_owned() {
        always(
            "other instance",
            |f, _| f.observed == Observed::OtherInstance && !f.deleting && !f.paused && !f.finalizer,
            |f| matches!(plan(f), Step::Hold(_) | Step::FindByName),
        );
    }

    #[test]
    fn nothing_is_updated_before_the_bond_is_recorded() {
        always(
            "update",
            |_, step| step == Step::Update,
            |f| f.recorded && f.observed == Observed::Differs,
        );
    }
}
