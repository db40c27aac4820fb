//! The decision: from what is known of a resource to the one next step. Pure, total, free of IO.

use crate::api::{DeletionPolicy, ManagementPolicy};

/// How a kind's objects get their identity in ZITADEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The answer to the create holds the id: needs the create protocol.
    Assigned,
    /// The spec says the key under the parent, so that it is owned before it is written. A policy has the one key "".
    Keyed,
}

/// What the resource points at in ZITADEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalRef {
    /// Nothing yet.
    None,
    /// An id a person asks to import.
    Requested,
    /// An object found by its name.
    Found,
    /// The object it owns, by the proof in its status.
    Owned,
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
    /// A list does not show it, which may be late: a create or a removal finds out.
    Unlisted,
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

/// What is known of the name that the object is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Nothing speaks against it.
    Free,
    /// It was in use when last tried: a search is cheaper than another attempt.
    Suspect,
    /// ZITADEL said now that it is in use.
    InUse,
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
    pub external: ExternalRef,
    /// Ownership of the target is recorded in the status.
    pub recorded: bool,
    /// Another resource holds the claim on the target.
    pub taken: bool,
    /// Other resources hold the claims on some of the target's parts.
    pub keys_taken: bool,
    /// The last look.
    pub observed: Observed,
    /// What is known of the wanted name.
    pub name: Name,
    /// A search by name found nothing to point at.
    pub searched: bool,
    /// The resource may take over an object by its name.
    pub adopt_by_name: bool,
    /// What somebody removed in ZITADEL may be made again.
    pub recreate: bool,
    /// Other resources live in the object.
    pub in_use: bool,
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
    /// Record the intent to create in the status.
    BeginCreate,
    /// Create the object in ZITADEL.
    Create,
    /// Find out what became of a create that was begun.
    Recover,
    /// Take ownership of the object that was looked at.
    Adopt,
    /// Record ownership in the status before anything else is written.
    Record,
    /// Bring the object to the spec.
    Update,
    /// Remove the object.
    Remove,
    /// Take the finalizer off.
    Release,
    /// Stop here, for this reason.
    BlockReason(BlockReason),
    /// ZITADEL matches the spec, or there is nothing to do.
    Done,
}

/// Why a resource stops short of its spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// A person paused it.
    Paused,
    /// Another resource owns the target.
    Taken,
    /// Other resources own some of its parts; the rest is as specified.
    KeysTaken,
    /// Somebody removed the object in ZITADEL, and only a person may have it made again.
    Gone,
    /// Other resources live in the object that is to be removed.
    InUse,
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
        (_, true) => Step::BlockReason(BlockReason::Paused),
        (true, false) => plan_deletion(facts),
        (false, false) if facts.management == ManagementPolicy::Observe => plan_observation(facts),
        (false, false) => plan_management(facts),
    }
}

impl Observed {
    /// Is it not there, as far as is known?
    pub fn is_absent(self) -> bool {
        matches!(self, Self::Absent | Self::Unlisted)
    }
}

fn plan_deletion(facts: &Facts) -> Step {
    let keep = facts.deletion == DeletionPolicy::Retain || facts.management == ManagementPolicy::Observe;
    if keep || facts.taken {
        return Step::Release;
    }
    match (facts.external, facts.observed) {
        (ExternalRef::Owned, Observed::Unknown) => Step::Look,
        (_, Observed::OtherInstance) => Step::BlockReason(BlockReason::InstanceChanged),
        (ExternalRef::Owned, Observed::InSync | Observed::Differs | Observed::Unlisted) if facts.in_use => {
            Step::BlockReason(BlockReason::InUse)
        }
        (ExternalRef::Owned, Observed::InSync | Observed::Differs | Observed::Unlisted) => Step::Remove,
        _ if facts.pending != Pending::No => Step::Recover,
        _ => Step::Release,
    }
}

fn plan_observation(facts: &Facts) -> Step {
    if facts.finalizer {
        return Step::Release;
    }
    match (facts.external, facts.observed) {
        (ExternalRef::None, _) if facts.identity == Identity::Assigned && facts.searched => {
            Step::BlockReason(BlockReason::NothingToObserve)
        }
        (ExternalRef::None, _) if facts.identity == Identity::Assigned => Step::FindByName,
        (_, Observed::Unknown) => Step::Look,
        (_, Observed::OtherInstance) => Step::BlockReason(BlockReason::InstanceChanged),
        (_, Observed::Foreign) => Step::BlockReason(BlockReason::NothingToImport),
        (_, Observed::Absent | Observed::Unlisted) => Step::BlockReason(BlockReason::NothingToObserve),
        (_, Observed::Differs) => Step::BlockReason(BlockReason::Drift),
        (_, Observed::InSync) => Step::Done,
    }
}

fn plan_management(facts: &Facts) -> Step {
    match facts.external {
        _ if facts.observed == Observed::OtherInstance => Step::BlockReason(BlockReason::InstanceChanged),
        ExternalRef::Owned => plan_bound(facts),
        _ if facts.identity == Identity::Keyed => plan_keyed(facts),
        _ if facts.pending != Pending::No => plan_creation(facts),
        ExternalRef::Requested => plan_import(facts),
        ExternalRef::Found => plan_adoption(facts),
        ExternalRef::None => plan_without_target(facts),
    }
}

/// Whatever a key leads to is taken as it is, then made as specified.
fn plan_keyed(facts: &Facts) -> Step {
    match facts.observed {
        _ if facts.taken => Step::BlockReason(BlockReason::Taken),
        Observed::Unknown => Step::Look,
        Observed::OtherInstance => Step::BlockReason(BlockReason::InstanceChanged),
        Observed::Foreign => Step::BlockReason(BlockReason::Foreign),
        Observed::Absent | Observed::Unlisted | Observed::InSync | Observed::Differs => adopt(facts),
    }
}

fn plan_without_target(facts: &Facts) -> Step {
    match (facts.name, facts.searched) {
        (Name::Free, _) | (Name::Suspect, true) => plan_creation(facts),
        (Name::Suspect | Name::InUse, false) => Step::FindByName,
        (Name::InUse, true) => Step::BlockReason(BlockReason::NameInUse),
    }
}

fn plan_bound(facts: &Facts) -> Step {
    match facts.observed {
        _ if facts.taken => Step::BlockReason(BlockReason::Taken),
        Observed::Unknown => Step::Look,
        Observed::OtherInstance => Step::BlockReason(BlockReason::InstanceChanged),
        Observed::Foreign => Step::BlockReason(BlockReason::Foreign),
        seen if seen.is_absent() && facts.name == Name::InUse => Step::BlockReason(BlockReason::NameInUse),
        seen if seen.is_absent() && !facts.recreate && facts.pending == Pending::No => {
            Step::BlockReason(BlockReason::Gone)
        }
        seen if seen.is_absent() && may_be_in_use(facts) => Step::FindByName,
        Observed::Absent | Observed::Unlisted => plan_creation(facts),
        _ if !facts.finalizer => Step::Protect,
        Observed::Differs if !facts.recorded => Step::Record,
        Observed::Differs => Step::Update,
        Observed::InSync if facts.keys_taken => Step::BlockReason(BlockReason::KeysTaken),
        Observed::InSync => Step::Done,
    }
}

/// A search costs one call; another attempt costs one as well, and two writes of the intent.
fn may_be_in_use(facts: &Facts) -> bool {
    let begins = facts.identity == Identity::Assigned && facts.pending == Pending::No;
    begins && facts.name == Name::Suspect && !facts.searched
}

fn plan_import(facts: &Facts) -> Step {
    match facts.observed {
        _ if facts.taken => Step::BlockReason(BlockReason::Taken),
        Observed::Unknown => Step::Look,
        Observed::OtherInstance => Step::BlockReason(BlockReason::InstanceChanged),
        Observed::Foreign | Observed::Absent | Observed::Unlisted => {
            Step::BlockReason(BlockReason::NothingToImport)
        }
        Observed::InSync | Observed::Differs => adopt(facts),
    }
}

fn plan_adoption(facts: &Facts) -> Step {
    match facts.observed {
        _ if facts.taken || !facts.adopt_by_name => Step::BlockReason(BlockReason::NameInUse),
        Observed::Unknown => Step::Look,
        Observed::OtherInstance => Step::BlockReason(BlockReason::InstanceChanged),
        Observed::Foreign | Observed::Absent | Observed::Unlisted => {
            Step::BlockReason(BlockReason::NameInUse)
        }
        Observed::InSync | Observed::Differs => adopt(facts),
    }
}

/// The finalizer goes on before ownership is taken, so that a deletion in between is seen.
fn adopt(facts: &Facts) -> Step {
    if facts.finalizer { Step::Adopt } else { Step::Protect }
}

fn plan_creation(facts: &Facts) -> Step {
    match (facts.identity, facts.pending) {
        _ if !facts.finalizer => Step::Protect,
        (Identity::Assigned, Pending::Unresolved) => Step::Recover,
        (Identity::Assigned, Pending::No) => Step::BeginCreate,
        (Identity::Keyed, _) if !facts.recorded => Step::Record,
        _ => Step::Create,
    }
}

#[cfg(test)]
mod tests;
