//! `OrgLoginPolicy`: an organization's own login policy, with its factors as sets.

use crate::api::OrgLoginPolicy;
use crate::kinds::policy::owners_policy;

owners_policy! {
    OrgLoginPolicy at "/management/v1/policies/login", exists "Org-Dgfb2";
    "secondFactors" at "/second_factors/{type}", exists "Org-2B0ps", unknown "Org-SFeea";
    "multiFactors" at "/multi_factors/{type}", exists "Org-3M9od", unknown "Org-WSfrg";
}
