//! Answers to every call: bent recordings under any status.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tokio::time::Instant;
use zitadel_operator::zitadel::Error;

use crate::calls::{CALLS, Call};
use crate::foreign::{Bent, bent, sent, text};
use crate::recordings;
use crate::server::{DEADLINE, Server, assert_discreet, client, on_paused_time, response};

/// Each answer is the same, so that no list goes on.
const MOST_REQUESTS: usize = 310;

/// Calls and recorded answers to them.
static FITTING: LazyLock<Vec<(usize, Value)>> = LazyLock::new(|| {
    let bodies: Vec<Value> = recordings::all()
        .into_iter()
        .filter(|answer| answer.status < 300)
        .map(|answer| answer.body)
        .collect();
    let pairs = (0..CALLS.len()).flat_map(|call| bodies.iter().map(move |body| (call, body.clone())));
    pairs
        .filter(|(call, body)| ask(CALLS[*call].1, 200, &[], body.to_string().into_bytes()).is_ok())
        .collect()
});

#[derive(Debug)]
pub struct Input {
    call: usize,
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bent,
}

/// Recorded successes to the calls they fit.
pub fn successes() -> impl Strategy<Value = Input> {
    let found: std::collections::BTreeSet<usize> = FITTING.iter().map(|(call, _)| *call).collect();
    assert!(found.len() >= CALLS.len() - 1, "no recording fits some calls: {found:?}");
    select(FITTING.clone()).prop_flat_map(|(call, body)| {
        let body = sent(vec![body]);
        (Just(call), headers(), body).prop_map(|(call, headers, body)| Input {
            call,
            status: 200,
            headers,
            body,
        })
    })
}

/// Recorded refusals, and any JSON, under any status.
pub fn refusals() -> impl Strategy<Value = Input> {
    let recorded = recordings::all().into_iter().filter(|answer| answer.status >= 400);
    let slug = json!({"code": "not_found", "message": "m", "details": [{"@type": "x"}, {"id": "", "slug": "project.not_found"}]});
    let bodies: Vec<(u16, Value)> =
        recorded.map(|answer| (answer.status, answer.body)).chain([(404, slug)]).collect();
    let body = select(bodies).prop_flat_map(|(status, body)| (Just(status), sent(vec![body])));
    let status = prop_oneof![3 => Just(None), 1 => (200..1000_u16).prop_map(Some)];
    (0..CALLS.len(), status, headers(), body).prop_map(|(call, other, headers, (status, body))| Input {
        call,
        status: other.unwrap_or(status),
        headers,
        body,
    })
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let names = ["date", "retry-after", "content-type", "location", "grpc-status-details-bin"];
    let date = prop_oneof![Just("Sat, 21 Nov 2026 10:00:00 GMT".to_owned()), text()];
    prop::collection::vec((select(names.to_vec()), date), 0..3)
}

fn ask(call: Call, status: u16, headers: &[(&'static str, String)], body: Vec<u8>) -> Result<String, Error> {
    let headers = headers.to_vec();
    let server = Server::new(move |_| response(status, &headers, body.clone()));
    let outcome = on_paused_time(async {
        let client = client(server.clone() as Arc<_>);
        let began = Instant::now();
        let outcome = call(&client).await;
        assert!(began.elapsed() <= DEADLINE * 3, "{:?}", began.elapsed());
        outcome
    });
    assert!(server.seen().len() <= MOST_REQUESTS, "{} requests", server.seen().len());
    outcome
}

/// No panic, bounded, discreet; a success is of 2xx only, and absence is believed of a refusal with an id only.
pub fn check(Input { call, status, headers, body }: Input) {
    let outcome = ask(CALLS[call].1, status, &headers, body.0);
    let Err(error) = outcome else {
        return assert!((200..300).contains(&status), "{status} is a success");
    };
    assert_discreet(&error);
    match error {
        Error::OrganizationNotFound { ref id, .. } if id == "removed" => assert_eq!(status, 200),
        Error::NotFound { ref id, .. } | Error::OrganizationNotFound { ref id, .. } => {
            assert!((400..500).contains(&status) && !id.is_empty(), "{status}: {error}");
        }
        Error::Unchanged { .. }
        | Error::AlreadyExists { .. }
        | Error::Unsupported { .. }
        | Error::Invalid { .. } => {
            assert!(status >= 400, "{status}: {error}");
        }
        Error::Malformed { .. } | Error::HeaderLost { .. } => {}
        error => assert!(!(200..400).contains(&status) || error == Error::TooLarge, "{status}: {error}"),
    }
}

/// JSON that no recording resembles, as any answer.
pub fn strangers() -> impl Strategy<Value = Input> {
    let statuses = select(vec![200_u16, 204, 302, 400, 401, 403, 404, 409, 412, 429, 500, 501, 503]);
    let documents = vec![json!({}), json!([]), json!({"details": {}, "result": [{}]}), json!("text")];
    (0..CALLS.len(), statuses, headers(), bent(documents)).prop_map(|(call, status, headers, body)| Input {
        call,
        status,
        headers,
        body: Bent(body.to_string().into_bytes()),
    })
}
