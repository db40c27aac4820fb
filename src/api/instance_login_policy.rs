//! The `InstanceLoginPolicy` kind.

use crate::api::org_login_policy::LoginPolicySettings;
use crate::api::policy::instance_policy;

instance_policy! {
    /// What the login policy of an instance should be in ZITADEL.
    "InstanceLoginPolicy", "zinstlogin", InstanceLoginPolicySpec { LoginPolicySettings }, InstanceLoginPolicyStatus,
    "The login policy of a ZITADEL instance, which every organization without its own has: what is set is kept as specified, the rest as it is; left as it is with the deletion of this resource, unless that says what to go back to."
}
