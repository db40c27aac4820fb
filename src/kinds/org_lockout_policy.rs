//! `OrgLockoutPolicy`: an organization's own lockout policy.

use crate::api::OrgLockoutPolicy;
use crate::kinds::policy::owners_policy;

owners_policy! { OrgLockoutPolicy at "/management/v1/policies/lockout", exists "ORG-0olDf"; }
