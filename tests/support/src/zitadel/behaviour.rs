//! What differs between server versions, and what a test may want to be different.

use std::time::Duration;

use jiff::SignedDuration;

/// A server line of which recordings exist; decides texts and error ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerLine {
    /// Upstream of 2025-05-08.
    V3,
    /// Upstream of 2025-10-02.
    V4,
    /// Upstream of 2026-03-30.
    V4Newer,
}

/// What the organization feature endpoints do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationFeatures {
    /// 501 with code 12, as the v3 line answers.
    Unimplemented,
    /// 500 with code 2, as the v4 lines answer.
    UnimplementedAsUnknown,
    /// They work, as no released server does.
    Implemented,
}

/// Which field of a create request may choose the organization's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnIds {
    /// None: the server always assigns one (v3).
    Ignored,
    /// `orgId` (v4).
    OrgId,
    /// `organizationId`, or else `orgId` (v4.7 and later).
    OrganizationId,
}

/// Every knob of the double. Start from [`Behaviour::v3`], [`Behaviour::v4`] or [`Behaviour::v4_newer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Decides texts and error ids.
    pub line: ServerLine,
    /// An identical project or role update, or the removal of an absent role, is 200 without an event (v4);
    /// else 400 `COMMAND-2M0fs`, `COMMAND-5M0cs`, 404 `COMMAND-m9vMf` (v3).
    pub accepts_unchanged: bool,
    /// What the organization feature endpoints do.
    pub organization_features: OrganizationFeatures,
    /// A bulk set of metadata leaves out what is already so (v4.13).
    pub bulk_skips_unchanged: bool,
    /// What v1 services refuse in a request without an error id, and what is not implemented, is 500 with code 2 around
    /// the gRPC status (v4 of 2026-03).
    pub wraps_statuses: bool,
    /// The permission to create organizations through v2 counts in the instance only (v4 of 2026-03).
    pub creates_organizations_in_instance: bool,
    /// Lists of projects begin with the newest (v4 of 2026-03).
    pub newest_first: bool,
    /// `GET /management/v1/projects/{id}` answers for other organizations too (before v3.4.8 and v4.12.2);
    /// else 404 `MANAG-SFf2a`.
    pub reads_foreign_projects: bool,
    /// A role whose key holds a slash can be changed and removed, its key encoded in the path (v4 of 2026-03); else 404
    /// "Not Found".
    pub role_keys_with_slashes: bool,
    /// `SECOND_FACTOR_TYPE_RECOVERY_CODES` is known (v4 of 2026-03).
    pub recovery_codes: bool,
    /// A removed organization still passes the existence check and reads as 200 without `state` (v4);
    /// else 403 `AUTH-Bs7Ds` and 404 (v3).
    pub removed_organizations_linger: bool,
    /// Which field may choose an organization's id.
    pub own_ids: OwnIds,
    /// List limits of v4.19.5: over 1,000 is 400 `QUERY-4M0fs`, the default is 100 (v2) or 1,000 (v1).
    pub list_limits: bool,
    /// No page of a list holds more than this, whatever was asked for.
    pub page_cap: Option<usize>,
    /// Added to every `totalResult` of a list.
    pub overcount: u64,
    /// How old the projection behind a list is, at least.
    pub lag_least: Duration,
    /// How old the projection behind a list is, at most; each read picks an age in between.
    pub lag_most: Duration,
    /// Reads of single objects come from the lagging projection too.
    pub stale_reads: bool,
    /// How long a write takes between its read of the aggregate and its commit. Two writes to one aggregate
    /// that overlap are a 500 with SQLSTATE 23505 for the later one.
    pub write_duration: Duration,
    /// How far the `Date` of answers is ahead of the clock that dates objects, which is the database's.
    pub date_skew: SignedDuration,
    /// How long a token minted at `/oauth/v2/token` is good; 43,199 s as recorded.
    pub token_lifetime: Duration,
}

impl Behaviour {
    /// The v3 line as recorded.
    pub fn v3() -> Self {
        Self {
            line: ServerLine::V3,
            accepts_unchanged: false,
            organization_features: OrganizationFeatures::Unimplemented,
            removed_organizations_linger: false,
            own_ids: OwnIds::Ignored,
            ..Self::v4()
        }
    }

    /// The v4 line as recorded.
    pub fn v4() -> Self {
        Self {
            line: ServerLine::V4,
            accepts_unchanged: true,
            organization_features: OrganizationFeatures::UnimplementedAsUnknown,
            bulk_skips_unchanged: false,
            wraps_statuses: false,
            creates_organizations_in_instance: false,
            newest_first: false,
            reads_foreign_projects: true,
            role_keys_with_slashes: false,
            recovery_codes: false,
            removed_organizations_linger: true,
            own_ids: OwnIds::OrgId,
            list_limits: false,
            page_cap: None,
            overcount: 0,
            lag_least: Duration::ZERO,
            lag_most: Duration::ZERO,
            stale_reads: false,
            write_duration: Duration::ZERO,
            date_skew: SignedDuration::ZERO,
            token_lifetime: Duration::from_secs(43_199),
        }
    }

    /// The v4 line as recorded half a year later.
    pub fn v4_newer() -> Self {
        Self {
            line: ServerLine::V4Newer,
            wraps_statuses: true,
            creates_organizations_in_instance: true,
            newest_first: true,
            reads_foreign_projects: false,
            role_keys_with_slashes: true,
            recovery_codes: true,
            ..Self::v4()
        }
    }

    /// The same with lists that show only what was committed at least `lag` ago.
    pub fn lagging(self, lag: Duration) -> Self {
        Self { lag_least: lag, lag_most: lag, ..self }
    }

    pub(super) fn version(&self) -> &'static str {
        match self.line {
            ServerLine::V3 => "v3-60ce32ca4",
            ServerLine::V4 => "v4-ee3654fe6",
            ServerLine::V4Newer => "v4-main-20260330",
        }
    }
}

impl From<ServerLine> for Behaviour {
    fn from(line: ServerLine) -> Self {
        match line {
            ServerLine::V3 => Self::v3(),
            ServerLine::V4 => Self::v4(),
            ServerLine::V4Newer => Self::v4_newer(),
        }
    }
}
