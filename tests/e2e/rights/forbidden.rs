//! What an operator asked for without having the right to it.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use http::{Response, StatusCode};
use kube::client::Body;
use regex::Regex;

use crate::way;

/// As the authorizer says it; in a log the quotes may be escaped. Other refusals with 403, such as those of a
/// namespace that is being deleted, read otherwise.
static WORDING: LazyLock<Regex> = LazyLock::new(|| {
    let refused = r#"cannot (?<verb>\w+) (?:resource|path) \\*"(?<what>[^"\\]+)\\*""#;
    let place = r#"(?: in API group \\*"[^"]*")?(?: in the namespace \\*"(?<where>[^"\\]+))?"#;
    Regex::new(&format!("{refused}{place}")).expect("a pattern")
});

/// Sees the refusals of one world's operators. Cheap to clone; clones are the same.
#[derive(Clone, Default)]
pub struct Forbidden(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    kept_back: Vec<String>,
    expected: Vec<String>,
    found: BTreeSet<String>,
}

impl Forbidden {
    /// The same client; its refusals are kept.
    pub fn watching(&self, client: kube::Client) -> kube::Client {
        let forbidden = self.clone();
        way::with(client, move |client, request| {
            let forbidden = forbidden.clone();
            async move {
                let answer = client.send(request).await?;
                if answer.status() != StatusCode::FORBIDDEN {
                    return Ok(answer);
                }
                let (parts, body) = answer.into_parts();
                let body = body.collect_bytes().await?;
                forbidden.read(&String::from_utf8_lossy(&body));
                Ok(Response::from_parts(parts, Body::from(body.to_vec())))
            }
        })
    }

    /// Keeps what is refused in this text, as `verb resource namespace`; the last is `-` for the whole cluster.
    pub fn read(&self, text: &str) {
        let named = WORDING.captures_iter(text).map(|refusal| {
            let place = refusal.name("where").map_or("-", |place| place.as_str());
            format!("{} {} {place}", &refusal["verb"], &refusal["what"])
        });
        self.seen().found.extend(named);
    }

    /// This refusal is what the test is about; `*` stands for any word.
    pub fn expect(&self, refusal: &str) {
        self.seen().expected.push(refusal.to_owned());
    }

    /// Installations of this world from now on lack this right, given as `verb resource`.
    pub fn withhold(&self, right: &str) {
        self.seen().kept_back.push(right.to_owned());
    }

    /// What was withheld.
    pub fn kept_back(&self) -> Vec<String> {
        self.seen().kept_back.clone()
    }

    /// The refusals that nobody expects.
    pub fn unexpected(&self) -> Vec<String> {
        let seen = self.seen();
        let expected = |refusal: &String| seen.expected.iter().any(|pattern| matches(pattern, refusal));
        seen.found.iter().filter(|refusal| !expected(refusal)).cloned().collect()
    }

    /// The test is over.
    ///
    /// # Panics
    /// Something was refused unexpectedly.
    pub fn end(&self) {
        let refused = self.unexpected();
        match refused.is_empty() {
            true => {}
            false if std::thread::panicking() => eprintln!("the operator has no right to {refused:#?}"),
            false => panic!("the operator has no right to {refused:#?}"),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn matches(pattern: &str, refusal: &str) -> bool {
    let words = pattern.split(' ').zip(refusal.split(' '));
    pattern.split(' ').count() == refusal.split(' ').count()
        && words.into_iter().all(|(expected, word)| expected == "*" || expected == word)
}
