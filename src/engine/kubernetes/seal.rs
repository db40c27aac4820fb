//! The operator's own key, by which it knows again what it wrote into ZITADEL.
//!
//! # Guarantees
//! The key lies in one Secret of the operator's namespace. It is made once, with the first need, never overwritten,
//! and shown nowhere; operators of one namespace share it. Where it may not be read or made nothing fails: nothing is
//! sealed, which is told once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::engine::decision::error::ReconcileError;
use crate::engine::kubernetes::resource::bounded;

/// The Secret with the key.
pub const SECRET: &str = "zitadel-operator-mark-key";

/// Where in the Secret it is.
const ENTRY: &str = "key";

/// Its length, in bytes: that of the digest.
const LENGTH: usize = 32;

/// What may not be read is not asked for again sooner.
const REFUSED: Duration = Duration::from_secs(600);

/// What is said with the key.
pub struct Seal(hmac::Key);

impl Seal {
    fn of(secret: &Secret) -> Option<Self> {
        let bytes = secret.data.as_ref()?.get(ENTRY)?;
        (bytes.0.len() >= LENGTH).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes.0)))
    }

    /// The digest of these words, which no other words have: each is told from the next by its length.
    pub fn digest(&self, words: &[&str]) -> String {
        STANDARD_NO_PAD.encode(hmac::sign(&self.0, &encoded(words)))
    }

    /// Is this the digest of these words?
    pub fn verifies(&self, words: &[&str], digest: &str) -> bool {
        let digest = STANDARD_NO_PAD.decode(digest);
        digest.is_ok_and(|digest| hmac::verify(&self.0, &encoded(words), &digest).is_ok())
    }
}

fn encoded(words: &[&str]) -> Vec<u8> {
    let word = |word: &&str| [&(word.len() as u64).to_be_bytes(), word.as_bytes()].concat();
    words.iter().flat_map(word).collect()
}

/// The way to the key.
pub struct Seals {
    secrets: Api<Secret>,
    namespace: String,
    known: Mutex<Known>,
}

enum Known {
    Nothing,
    Key(Arc<Seal>),
    /// It was refused then, or is no key.
    Refused(Instant),
}

impl Seals {
    /// The key of the operators in this namespace.
    pub fn new(client: kube::Client, namespace: &str) -> Self {
        let secrets = Api::namespaced(client, namespace);
        Self { secrets, namespace: namespace.into(), known: Mutex::new(Known::Nothing) }
    }

    /// The key, made where there is none; `None` where it may not be read or made.
    ///
    /// # Errors
    /// The Kubernetes API does not answer.
    pub async fn get(&self) -> Result<Option<Arc<Seal>>, ReconcileError> {
        let mut known = self.known.lock().await;
        match &*known {
            Known::Key(seal) => return Ok(Some(seal.clone())),
            Known::Refused(at) if at.elapsed() < REFUSED => return Ok(None),
            _ => {}
        }
        let found = self.read_or_create().await.map_err(|error| ReconcileError::Kubernetes(Box::new(error)));
        let refused = match found.as_ref().map(Seal::of) {
            Ok(Some(seal)) => {
                let seal = Arc::new(seal);
                *known = Known::Key(seal.clone());
                return Ok(Some(seal));
            }
            Ok(None) => format!("it has no {ENTRY:?} of {LENGTH} bytes or more"),
            Err(error) => match error.definite_refusal() {
                Some(refusal) => refusal.message.clone(),
                None => return found.map(|_| None),
            },
        };
        if matches!(*known, Known::Nothing) {
            self.warn(&refused);
        }
        *known = Known::Refused(Instant::now());
        Ok(None)
    }

    async fn read_or_create(&self) -> Result<Secret, kube::Error> {
        if let Some(secret) = bounded(self.secrets.get_opt(SECRET)).await? {
            return Ok(secret);
        }
        match bounded(self.secrets.create(&PostParams::default(), &new_secret()?)).await {
            // Another one was faster: its key counts.
            Err(kube::Error::Api(status)) if status.code == 409 => bounded(self.secrets.get(SECRET)).await,
            created => created,
        }
    }

    fn warn(&self, refused: &str) {
        let namespace = &self.namespace;
        tracing::warn!(
            "Secret {namespace}/{SECRET} cannot be used: {refused}. No organization is marked, and none that comes back \
             without its status is known again; all else works. The Role of the operator in {namespace} needs get and create on secrets"
        );
    }
}

/// A Secret with a new key.
fn new_secret() -> Result<Secret, kube::Error> {
    let mut bytes = vec![0; LENGTH];
    rand::fill(&mut bytes).map_err(|error| kube::Error::Service(error.into()))?;
    Ok(Secret {
        metadata: ObjectMeta { name: Some(SECRET.into()), ..Default::default() },
        data: Some(BTreeMap::from([(ENTRY.into(), ByteString(bytes))])),
        ..Default::default()
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// One whose key is this byte over and over.
    pub fn seal(byte: u8) -> Seal {
        let data = BTreeMap::from([(ENTRY.to_owned(), ByteString(vec![byte; LENGTH]))]);
        Seal::of(&Secret { data: Some(data), ..Default::default() }).unwrap()
    }

    #[test]
    fn a_digest_is_that_of_these_words_and_this_key_alone() {
        let (seal, other, words) = (seal(1), seal(2), ["team-a", "acme"]);
        let digest = seal.digest(&words);
        assert!(seal.verifies(&words, &digest));
        assert!(!other.verifies(&words, &digest));
        for words in
            [&["team-a", "acm"][..], &["team-", "aacme"], &["team-aacme"], &["team-a", "acme", ""], &[]]
        {
            assert!(!seal.verifies(words, &digest), "{words:?}");
        }
        for forged in ["", "AAAA", "no base64", &digest[1..], &format!("{digest}A"), &digest.to_lowercase()] {
            assert!(!seal.verifies(&words, forged), "{forged:?}");
        }
    }

    /// HMAC-SHA256 of the length (eight bytes, the largest first) and the bytes of each word.
    #[test]
    fn the_digest_stays_what_it_is_from_version_to_version() {
        assert_eq!(seal(0x0b).digest(&["a", "bc"]), "Ck/lfcd98P+EanUXPbNsaAqSugRCS6tllXpZ30e5I4c");
    }

    /// A Kubernetes API that answers so to one request after the other.
    fn answering(answers: Vec<(u16, serde_json::Value)>) -> (kube::Client, Arc<AtomicUsize>) {
        let asked = Arc::<AtomicUsize>::default();
        let counted = asked.clone();
        let service = tower::service_fn(move |_: Request<Body>| {
            let (code, body) = answers[counted.fetch_add(1, Ordering::Relaxed)].clone();
            let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            async move { Ok::<_, std::convert::Infallible>(answer.unwrap()) }
        });
        (kube::Client::new(service, "default"), asked)
    }

    fn failed(code: u16, reason: &str) -> (u16, serde_json::Value) {
        (
            code,
            json!({ "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no" }),
        )
    }

    #[tokio::test]
    async fn who_makes_the_key_too_late_takes_the_one_that_is_there_and_asks_once() {
        let there = json!({ "metadata": { "name": SECRET }, "data": { ENTRY: ByteString(vec![9; LENGTH]) } });
        let answers = vec![failed(404, "NotFound"), failed(409, "AlreadyExists"), (200, there)];
        let (client, asked) = answering(answers);
        let seals = Seals::new(client, "home");
        for _ in 0..2 {
            let known = seals.get().await.unwrap().unwrap();
            assert!(known.verifies(&["a"], &seal(9).digest(&["a"])));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_asked_for_again_later_and_what_fails_at_once() {
        let refused = || [failed(404, "NotFound"), failed(403, "Forbidden")];
        let answers = [vec![failed(503, "ServiceUnavailable")], refused().into(), refused().into()].concat();
        let (client, asked) = answering(answers);
        let seals = Seals::new(client, "home");
        assert!(seals.get().await.is_err());
        assert!(seals.get().await.unwrap().is_none() && seals.get().await.unwrap().is_none());
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        tokio::time::advance(REFUSED).await;
        assert!(seals.get().await.unwrap().is_none());
        assert_eq!(asked.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn what_is_too_short_is_no_key_and_no_two_keys_are_alike() {
        let short = BTreeMap::from([(ENTRY.to_owned(), ByteString(vec![7; LENGTH - 1]))]);
        assert!(Seal::of(&Secret { data: Some(short), ..Default::default() }).is_none());
        assert!(Seal::of(&Secret::default()).is_none());
        assert_ne!(new_secret().unwrap().data, new_secret().unwrap().data);
    }
}
