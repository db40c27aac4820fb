//! `InstanceLoginPolicy`: the login policy of the instance, with its factors as sets.

use crate::api::InstanceLoginPolicy;
use crate::kinds::policy::instance_policy;

instance_policy! {
    InstanceLoginPolicy at "/policies/login";
    "secondFactors" at "/second_factors/{type}", exists "INSTANCE-2B0ps";
    "multiFactors" at "/multi_factors/{type}", exists "INSTANCE-3M9od";
}
