use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use support::zitadel::{DATABASE, driver_error, lookup_failed};

use crate::zitadel::refusal::{Asked, classify};
use crate::zitadel::tests::{Error, Reply, TestResult, recorded, recordings};

const ASKED: Asked<'_> = Asked {
    permission: "project.write",
    organization: Some("123"),
    answered: false,
    secret: "s3cret",
    confidential: None,
};

/// Every refusal in the recordings: status, gRPC code, error id or what stands in its place, variant.
const RECORDED: [(u16, i64, &str, &str); 43] = [
    (400, 3, "", "Invalid"),
    (400, 9, "COMMAND-2M0fs", "Unchanged"),
    (400, 9, "COMMAND-5M0cs", "Unchanged"),
    (400, 9, "COMMAND-5M9bs", "Unchanged"),
    (400, 9, "COMMAND-QXPGs", "OrganizationNotFound"),
    (400, 9, "COMMAND-mki55", "Unchanged"),
    (400, 9, "EVENT-Dbs2g", "Unchanged"),
    (400, 9, "EVENT-bfnrh", "Unchanged"),
    (400, 9, "META-9mm2d", "Invalid"),
    (400, 9, "META-9mw2d", "Invalid"),
    (400, 9, "ORG-3M9ds", "Unchanged"),
    (400, 9, "ORG-4VSdf", "Unchanged"),
    (401, 16, "", "Unauthorized"),
    (401, 16, "AUTH-7fs1e", "Unauthorized"),
    (401, 16, "AUTH-toLo1", "Unauthorized"),
    (403, 7, "AUTH-5mWD2", "PermissionDenied"),
    (403, 7, "AUTH-Bs7Ds", "OrganizationNotFound"),
    (404, 5, "", "UnknownEndpoint"),
    (404, 5, "AUTHZ-cdgFk", "PermissionDenied"),
    (404, 5, "COMMA-aps2n", "NotFound"),
    (404, 5, "COMMAND-112M9", "NotFound"),
    (404, 5, "COMMAND-3M9sd", "NotFound"),
    (404, 5, "COMMAND-m9vMf", "NotFound"),
    (404, 5, "MANAG-SFf2a", "NotFound"),
    (404, 5, "META-2npds", "NotFound"),
    (404, 5, "META-mcnw3", "NotFound"),
    (404, 5, "ORG-2N9sd", "NotFound"),
    (404, 5, "ORG-Dvsh3", "NotFound"),
    (404, 5, "QUERY-1kIjX", "UnknownEndpoint"),
    (404, 5, "QUERY-Rph32", "NotFound"),
    (404, 5, "QUERY-fk2fs", "NotFound"),
    (404, 5, "QUERY-iTTGJ", "NotFound"),
    (404, 5, "QUERY-leq5Q", "NotFound"),
    (405, 12, "", "UnknownEndpoint"),
    (409, 6, "ORG-1M8ds", "AlreadyExists"),
    (409, 6, "ORG-laho2n", "AlreadyExists"),
    (409, 6, "V3-DKcYh", "AlreadyExists"),
    (429, 8, "", "TooLarge"),
    (500, 13, "", "Unavailable"),
    (500, 2, "InvalidArgument", "Invalid"),
    (500, 2, "Unauthenticated", "Unauthorized"),
    (500, 2, "Unimplemented", "Unsupported"),
    (501, 12, "", "Unsupported"),
];

fn variant(error: &Error) -> String {
    format!("{error:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}

fn response(reply: Reply) -> Result<Response<Bytes>, Box<dyn std::error::Error>> {
    Ok(reply.result?)
}

/// The error id of a recorded body, that of the instance it did not find, or the name of the status within.
fn named(body: &Value) -> &str {
    let text = body["message"].as_str().unwrap_or_default();
    let after = |mark| text.split_once(mark).and_then(|(_, rest)| rest.split(' ').next());
    let own = body["details"][0]["id"].as_str();
    own.or(after(": ID=")).or(after("rpc error: code = ")).unwrap_or_default()
}

#[test]
fn every_recorded_refusal_has_the_expected_class() -> TestResult {
    let mut met = BTreeSet::new();
    for step in recordings()? {
        let status = u16::try_from(step["status"].as_u64().ok_or("no status")?)?;
        if status < 400 {
            continue;
        }
        let (body, id) = (&step["response"], named(&step["response"]));
        let row =
            RECORDED.iter().find(|row| (row.0, Some(row.1), row.2) == (status, body["code"].as_i64(), id));
        let (.., expected) = row.ok_or(format!("no row for {status} {body}"))?;
        for answered in [false, true] {
            let error = classify(&response(Reply::json(status, body))?, Asked { answered, ..ASKED });
            // The gateway's own 404, of a path that it does not know.
            let expected = if answered && (status, id) == (404, "") { "Unavailable" } else { *expected };
            assert_eq!(variant(&error), expected, "{status} {body}");
            assert!(!error.is_outage(), "{status} {body}");
        }
        met.insert((status, body["code"].as_i64(), id.to_owned()));
    }
    assert_eq!(met.len(), RECORDED.len(), "rows without a recording");
    Ok(())
}

#[test]
fn every_recorded_refusal_of_a_policy_has_the_expected_class() -> TestResult {
    let mut met = BTreeSet::new();
    for step in [recorded("next-v3")?, recorded("next-v4-2026-03")?].concat() {
        let path = step["path"].as_str().unwrap_or_default();
        let status = u16::try_from(step["status"].as_u64().ok_or("no status")?)?;
        let kinds = [
            "management/v1/policies/login",
            "admin/v1/policies/login",
            "v1/policies/lockout",
            "policies/password/lockout",
        ];
        if status >= 400 && kinds.iter().any(|kind| path.contains(kind)) {
            let body = &step["response"];
            let error = classify(&response(Reply::json(status, body))?, ASKED);
            met.insert(format!("{} {}", named(body), variant(&error)));
        }
    }
    let expected = [
        " Invalid",
        " UnknownEndpoint",
        "AUTH-5mWD2 PermissionDenied",
        "AUTH-Bs7Ds OrganizationNotFound",
        "AUTHZ-cdgFk PermissionDenied",
        "INSTANCE-0psjF Unchanged",
        "INSTANCE-2B0ps AlreadyExists",
        "INSTANCE-3M9od NotFound",
        "InvalidArgument Invalid",
        "ORG-0JFSr Unchanged",
        "ORG-0olDf AlreadyExists",
        "ORG-ADfs1 NotFound",
        "ORG-D4zuz NotFound",
        "Org-2B0ps AlreadyExists",
        "Org-3M9df NotFound",
        "Org-3M9od AlreadyExists",
        "Org-3M9od NotFound",
        "Org-5M9vdd Unchanged",
        "Org-Dgfb2 AlreadyExists",
        "Org-GHB37 NotFound",
        "Org-M0sif NotFound",
    ];
    assert_eq!(met.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    Ok(())
}

#[test]
fn answers_that_no_recording_holds() -> TestResult {
    let gateway = |status, body| Reply::raw(status, &[("content-type", "text/html")], body);
    let connect = r#"{"code":"failed_precondition","message":"m"}"#;
    let slug = r#"{"code":5,"message":"m","details":[{"@type":"x"},{"slug":"project.not_found"}]}"#;
    let conflict = r#"{"code":2,"message":"integrity violation (SQLSTATE 23505)"}"#;
    let cases = [
        (gateway(502, "<html>bad gateway"), "Unavailable"),
        (gateway(503, ""), "Unavailable"),
        (gateway(501, "no"), "Unavailable"),
        (gateway(429, "slow down"), "RateLimited"),
        (gateway(404, "404 page not found"), "UnknownEndpoint"),
        (gateway(405, ""), "UnknownEndpoint"),
        (gateway(401, "login"), "Unauthorized"),
        (gateway(403, "blocked"), "Malformed"),
        (gateway(409, ""), "Malformed"),
        (gateway(413, ""), "TooLarge"),
        (gateway(302, ""), "Malformed"),
        (gateway(400, "[1,"), "Malformed"),
        (gateway(500, conflict), "Unavailable"),
        (gateway(400, connect), "Invalid"),
        (gateway(404, slug), "NotFound"),
        (Reply::error(404, 5, "AUTHZ-other"), "PermissionDenied"),
        (Reply::error(404, 5, "QUERY-1kIjX"), "UnknownEndpoint"),
        (Reply::error(404, 5, ""), "UnknownEndpoint"),
        (Reply::error(404, 12, "X-1"), "UnknownEndpoint"),
        (Reply::error(409, 10, "X-2"), "Unavailable"),
        (Reply::error(400, 3, "ORG-3M9ds"), "Invalid"),
        (Reply::error(400, 3, "COMMAND-Vigh1"), "Invalid"),
        (Reply::error(400, 9, "COMMA-wG9p1"), "Invalid"),
        (Reply::error(404, 5, "ORG-1MRds"), "NotFound"),
        (Reply::error(429, 8, "LIMITS-molsj"), "RateLimited"),
        (Reply::error(429, 8, "QUOTA-vjAy8"), "RateLimited"),
        (Reply::error(503, 14, "X-3"), "Unavailable"),
        (Reply::error(500, 9, "COMMAND-QXPGs"), "Unavailable"),
        (Reply::error(503, 13, "AUTH-Bs7Ds"), "Unavailable"),
        (Reply::error(500, 9, "COMMAND-2M0fs"), "Unavailable"),
        (Reply::error(504, 4, "X-4"), "Unavailable"),
    ];
    for (reply, expected) in cases {
        let response = response(reply)?;
        assert_eq!(variant(&classify(&response, ASKED)), expected, "{response:?}");
    }
    Ok(())
}

#[test]
fn an_absence_is_believed_with_an_id_only() -> TestResult {
    for (detail, expected) in [
        (r#"{"id":"","slug":"project.not_found"}"#, "project.not_found"),
        (r#"{"id":7,"slug":"project.not_found"}"#, "project.not_found"),
        (r#"{"id":"\u0000"}"#, ""),
    ] {
        let body = format!(r#"{{"code":5,"message":"m","details":[{detail}]}}"#);
        let error = classify(&response(Reply::raw(404, &[], &body))?, ASKED);
        let id = if let Error::NotFound { id, .. } = &error { id } else { "" };
        assert_eq!(id, expected, "{error:?}");
        assert_eq!(variant(&error), if expected.is_empty() { "UnknownEndpoint" } else { "NotFound" });
    }
    Ok(())
}

#[test]
fn the_error_within_another_counts() -> TestResult {
    let wrapped =
        |text: &str| json!({"code": 2, "message": text, "details": [{"@type": "x", "message": "m"}]});
    let under = |name: &str| wrapped(&format!("rpc error: code = {name} desc = text ()"));
    let identified = |name: &str, id: &str| {
        let mut body = wrapped(&format!("rpc error: code = {name} desc = text ({id})"));
        body["details"][0]["id"] = json!(id);
        body
    };
    let mut internal = under("InvalidArgument");
    internal["code"] = json!(13);
    for (body, expected) in [
        (under("InvalidArgument"), "Invalid"),
        (under("FailedPrecondition"), "Invalid"),
        (under("Unauthenticated"), "Unauthorized"),
        (under("PermissionDenied"), "PermissionDenied"),
        (under("AlreadyExists"), "AlreadyExists"),
        (under("Unimplemented"), "Unsupported"),
        (under("DeadlineExceeded"), "Unavailable"),
        (under("Unavailable"), "Unavailable"),
        (under("Internal"), "Unavailable"),
        (under("Unknown"), "Unavailable"),
        (under("Code(17)"), "Unavailable"),
        // An absence is never wrapped.
        (under("NotFound"), "Unavailable"),
        (identified("NotFound", "QUERY-fk2fs"), "Unavailable"),
        (identified("PermissionDenied", "AUTH-Bs7Ds"), "PermissionDenied"),
        (identified("FailedPrecondition", "COMMAND-QXPGs"), "Invalid"),
        (
            wrapped("rpc error: code = Unknown desc = rpc error: code = InvalidArgument desc = text ()"),
            "Invalid",
        ),
        (wrapped("while asking: rpc error: code = InvalidArgument desc = text"), "Unavailable"),
        (wrapped("method X not implemented"), "Unavailable"),
        (internal, "Unavailable"),
    ] {
        let error = classify(&response(Reply::json(500, &body))?, ASKED);
        assert_eq!(variant(&error), expected, "{body}");
    }
    let error = classify(&response(Reply::json(500, &under("InvalidArgument")))?, ASKED);
    assert_eq!(error, Error::invalid("text"));
    Ok(())
}

#[test]
fn an_instance_that_answered_before_and_is_not_found_now_is_in_an_outage() -> TestResult {
    let lookup =
        |id: &str| format!("unable to set instance using origin x (ExternalDomain is y): ID={id} Message=m");
    let json = |text: &str| Reply::json(404, &json!({"code": 5, "message": text}));
    for (reply, at_first, later, whole) in [
        (json(&lookup_failed("zitadel.example")), "Unavailable", "Unavailable", true),
        (Reply::raw(404, &[], &lookup_failed("zitadel.example")), "Unavailable", "Unavailable", true),
        (json(&lookup("QUERY-other")), "Unavailable", "Unavailable", true),
        (Reply::error(404, 5, "QUERY-d3fas"), "Unavailable", "Unavailable", true),
        (Reply::raw(404, &[], "404 page not found"), "UnknownEndpoint", "Unavailable", true),
        (json("unable to set instance using origin x"), "UnknownEndpoint", "Unavailable", false),
        (json("Not Found"), "UnknownEndpoint", "Unavailable", false),
        (json(&lookup("QUERY-1kIjX")), "UnknownEndpoint", "UnknownEndpoint", false),
        (Reply::raw(404, &[], &lookup("QUERY-1kIjX")), "UnknownEndpoint", "UnknownEndpoint", false),
        (json(&lookup("QUERY-IuGh1")), "UnknownEndpoint", "UnknownEndpoint", false),
        (Reply::error(404, 5, "QUERY-fk2fs"), "NotFound", "NotFound", false),
        (Reply::raw(405, &[], ""), "UnknownEndpoint", "UnknownEndpoint", false),
    ] {
        let answer = response(reply)?;
        let [first, second] = [false, true].map(|answered| classify(&answer, Asked { answered, ..ASKED }));
        assert_eq!((variant(&first).as_str(), variant(&second).as_str()), (at_first, later), "{answer:?}");
        assert_eq!(second.is_outage(), whole, "{answer:?}");
    }
    Ok(())
}

#[test]
fn nothing_of_the_inside_of_a_server_is_quoted() -> TestResult {
    let inside = driver_error();
    let body = |code: i64, id: &str| {
        let detail = json!({"id": id, "message": inside});
        json!({"code": code, "message": format!("{inside} ({id})"), "details": [detail]})
    };
    let bare = |code: i64| json!({"code": code, "message": inside});
    let wrapped = json!({"code": 2, "message": format!("rpc error: code = Internal desc = {inside}")});
    for (status, body) in [
        (404, json!({"code": 5, "message": lookup_failed("zitadel.example")})),
        (404, bare(5)),
        (500, wrapped),
        (503, bare(14)),
        (409, bare(6)),
        (401, bare(16)),
        (403, bare(7)),
        (501, bare(12)),
        (400, bare(3)),
        (400, body(9, "COMMAND-x1")),
        (404, body(5, "QUERY-x1")),
        (500, body(13, "QUERY-x1")),
    ] {
        for answered in [false, true] {
            let error = classify(&response(Reply::json(status, &body))?, Asked { answered, ..ASKED });
            for (what, name) in DATABASE {
                assert!(!format!("{error} {error:?}").contains(name), "{what} in {error}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_denial_names_permission_and_organization() -> TestResult {
    let error = classify(&response(Reply::error(403, 7, "AUTH-5mWD2"))?, ASKED);
    let expected = Error::PermissionDenied {
        permission: "project.write",
        organization: Some("123".to_owned()),
        id: Some("AUTH-5mWD2".to_owned()),
        message: "text".to_owned(),
    };
    assert_eq!(error, expected);
    assert!(
        error.to_string().starts_with("the permission project.write in organization 123 is missing"),
        "{error}"
    );
    Ok(())
}

#[test]
fn retry_after_is_seconds_or_a_date_by_the_servers_clock() -> TestResult {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let cases = [
        (vec![("retry-after", "7")], Some(7)),
        (vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), date], Some(30)),
        (vec![("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT"), date], Some(0)),
        (vec![("retry-after", "soon")], None),
        (vec![("retry-after", "-1")], None),
        (vec![], None),
    ];
    for (headers, seconds) in cases {
        let error = classify(&response(Reply::raw(429, &headers, "slow down"))?, ASKED);
        let retry_after = seconds.map(Duration::from_secs);
        assert_eq!(error, Error::RateLimited { retry_after, id: None }, "{headers:?}");
    }
    let sized = response(Reply::raw(429, &[("retry-after", "7")], r#"{"code":8,"message":"m"}"#))?;
    assert_eq!(variant(&classify(&sized, ASKED)), "RateLimited");
    Ok(())
}

/// A server that repeats what is wrong must not publish a value of a Secret.
#[test]
fn of_a_confidential_body_no_value_is_quoted() -> TestResult {
    let sent = br#"{"metadata": [{"key": "billing", "value": "Y3VzXzQy"}, {"key": "k", "value": "eA=="}]}"#;
    let text = r#"billing: cus_42 ("Y3VzXzQy") is not valid, k: x"#;
    let body = json!({"code": 3, "message": text});
    let asked = Asked { confidential: Some(sent), ..ASKED };
    let Error::Invalid { message, .. } = classify(&response(Reply::json(400, &body))?, asked) else {
        return Err("another class".into());
    };
    assert_eq!(message, r#"billing: *** ("***") is not valid, k: x"#);
    Ok(())
}

#[test]
fn quoted_texts_are_short_printable_and_without_the_token() -> TestResult {
    let text = format!("s3\u{0}cret é\n{}", "ü".repeat(400));
    let body = json!({"code": 3, "message": text});
    let error = classify(&response(Reply::json(400, &body))?, ASKED);
    let Error::Invalid { id: None, message } = error else {
        return Err(format!("{error:?}").into());
    };
    assert_eq!(message.chars().count(), 300);
    assert!(message.starts_with("*** éüü") && message.ends_with("ü…"), "{message}");
    Ok(())
}
