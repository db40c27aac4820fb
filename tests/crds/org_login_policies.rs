//! Which `OrgLoginPolicy`s the API server takes.

use serde_json::{Value, json};

use crate::cluster::{fresh_name, shared};
use crate::kinds::{minimal, with};

const KIND: &str = "OrgLoginPolicy";
const LIFETIMES: [&str; 5] = [
    "passwordCheckLifetime",
    "externalLoginCheckLifetime",
    "mfaInitSkipLifetime",
    "secondFactorCheckLifetime",
    "multiFactorCheckLifetime",
];

fn of(field: &str, value: &Value) -> Value {
    with(KIND, &json!({ field: value }))
}

#[tokio::test]
async fn every_field_may_be_left_out_and_stays_left_out() {
    let cluster = shared().await;
    let stored = cluster.try_create(KIND, &fresh_name(), &minimal(KIND)).await.unwrap();
    let mut names: Vec<&String> = stored["spec"].as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["connectionRef", "managementPolicy"]);
}

#[tokio::test]
async fn lifetimes_are_durations_as_go_writes_them_up_to_ten_years_and_may_be_zero() {
    let cluster = shared().await;
    for field in LIFETIMES {
        let right = ["0s", "500ms", "1.5h", "1h30m", "720h", "87600h"].map(|text| of(field, &json!(text)));
        cluster.accepts(KIND, right).await;
        let wrong =
            ["", "0", "10", "-1s", "1d", "PT1H", "1h 30m", "87601h", "999999999h999999999h", "864000"];
        let wrong = wrong.map(|text| of(field, &json!(text)));
        cluster.refuses(KIND, wrong, &format!("spec.{field}")).await;
        cluster.refuses(KIND, [of(field, &json!(3600))], &format!("spec.{field}")).await;
    }
}

#[tokio::test]
async fn factors_are_sets_of_known_names_and_may_be_empty() {
    let cluster = shared().await;
    let all = json!(["Otp", "U2F", "OtpEmail", "OtpSms", "RecoveryCodes"]);
    let right = [of("secondFactors", &json!([])), of("secondFactors", &all), of("multiFactors", &json!([]))];
    cluster.accepts(KIND, right).await;
    cluster.accepts(KIND, [of("multiFactors", &json!(["U2FWithVerification"]))]).await;
    let wrong = [json!(["OTP"]), json!(["SECOND_FACTOR_TYPE_OTP"]), json!([""])];
    cluster.refuses(KIND, wrong.map(|names| of("secondFactors", &names)), "Unsupported value").await;
    cluster.refuses(KIND, [of("secondFactors", &json!(["Otp", "Otp"]))], "name each once").await;
    cluster.refuses(KIND, [of("multiFactors", &json!(["Otp"]))], "Unsupported value").await;
}

#[tokio::test]
async fn other_fields_take_values_of_their_type() {
    let cluster = shared().await;
    let address = |length| of("defaultRedirectUri", &json!("x".repeat(length)));
    cluster.accepts(KIND, [0, 2048].map(address)).await;
    cluster.refuses(KIND, [address(2049)], "spec.defaultRedirectUri").await;
    cluster.accepts(KIND, ["Allowed", "NotAllowed"].map(|value| of("passwordlessType", &json!(value)))).await;
    cluster.refuses(KIND, [of("passwordlessType", &json!("ALLOWED"))], "Unsupported value").await;
    cluster.refuses(KIND, [of("forceMfa", &json!("true"))], "spec.forceMfa").await;
}
