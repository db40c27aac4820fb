//! What the double stores.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

/// Sequence, dates and owner of an object, as its `details` show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Of the aggregate's event that last changed the object.
    pub sequence: u64,
    /// When the object was made.
    pub created: Timestamp,
    /// When the object last changed.
    pub changed: Timestamp,
    /// Id of the organization, or of the instance, that owns it.
    pub owner: String,
}

/// Where one event landed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) sequence: u64,
    pub(super) at: Timestamp,
}

impl Stamp {
    pub(super) fn new(moment: Moment, owner: &str) -> Self {
        Self { sequence: moment.sequence, created: moment.at, changed: moment.at, owner: owner.to_owned() }
    }

    /// Of an object about to be made by its first event.
    pub(super) fn begin(at: Timestamp, owner: &str) -> Self {
        Self::new(Moment { sequence: 0, at }, owner)
    }

    pub(super) fn touch(&mut self, moment: Moment) {
        if self.sequence == 0 {
            self.created = moment.at;
        }
        (self.sequence, self.changed) = (moment.sequence, moment.at);
    }

    pub(super) fn touched(mut self, moment: Moment) -> Self {
        self.touch(moment);
        self
    }
}

/// State of a project or an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// In use.
    Active,
    /// Deactivated.
    Inactive,
    /// Gone; only organizations stay visible as such.
    Removed,
}

impl State {
    /// Enum name with its prefix, none for a removed object.
    pub(super) fn wire(self, prefix: &str) -> Option<String> {
        match self {
            Self::Active => Some(format!("{prefix}_ACTIVE")),
            Self::Inactive => Some(format!("{prefix}_INACTIVE")),
            Self::Removed => None,
        }
    }
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Usually 18 digits.
    pub id: String,
    /// Unique in the instance, whatever the letter case.
    pub name: String,
    /// Removed organizations are kept.
    pub state: State,
    /// Made from the name.
    pub primary_domain: String,
    /// Not moved by metadata, policies or members, though these share the aggregate.
    pub stamp: Stamp,
}

/// The settings of a project that an update replaces as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectSettings {
    /// Unique in its organization, whatever the letter case.
    pub name: String,
    /// Wire field of the same name.
    pub project_role_assertion: bool,
    /// Wire field of the same name.
    pub project_role_check: bool,
    /// Wire field of the same name.
    pub has_project_check: bool,
    /// Wire enum name, `PRIVATE_LABELING_SETTING_UNSPECIFIED` where none was given.
    pub private_labeling_setting: &'static str,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// 18 digits.
    pub id: String,
    /// Id of the owning organization.
    pub organization: String,
    /// What an update replaces.
    pub settings: ProjectSettings,
    /// Never [`State::Removed`].
    pub state: State,
    /// Not moved by roles, though these share the aggregate.
    pub stamp: Stamp,
}

/// A role of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// 1 to 200 characters.
    pub display_name: String,
    /// May be empty.
    pub group: String,
    /// Of the project's aggregate.
    pub stamp: Stamp,
}

/// One metadata value of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Decoded.
    pub value: Vec<u8>,
    /// Of the organization's aggregate.
    pub stamp: Stamp,
}

/// The settings of a domain policy, all replaced by each write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DomainSettings {
    /// User names carry the organization's domain.
    pub user_login_must_be_domain: bool,
    /// Wire field of the same name.
    pub validate_org_domains: bool,
    /// Wire field of the same name.
    pub smtp_sender_address_matches_instance_domain: bool,
}

/// A domain policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainPolicy {
    /// What a write replaces.
    pub settings: DomainSettings,
    /// Of the organization's aggregate, or the instance's for the default.
    pub stamp: Stamp,
}

/// The feature flags set on an organization, where the double implements them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// Flag name as on the wire, and its value as a write takes it.
    pub flags: BTreeMap<String, Value>,
    /// Of the feature aggregate named after the organization.
    pub stamp: Stamp,
}

/// A machine user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// 18 digits.
    pub id: String,
    /// Id of the home organization.
    pub organization: String,
    /// In the login name, which is the client id of its client credentials.
    pub user_name: String,
    /// Display name.
    pub name: String,
    /// Of the user's aggregate.
    pub stamp: Stamp,
}

/// Roles of a user in an organization or the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) roles: Vec<String>,
    pub(super) stamp: Stamp,
}

/// Whether two names are one, as ZITADEL's unique constraints see it.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}
