//! Secrets of tests, searched for wherever something is written: logs, panics, requests, metrics.
//!
//! # Guarantees
//! A part of [`SHORTEST`] bytes of a secret is found wherever it stands in what is looked at: as it is, in base64
//! (within a longer text too), hexadecimal, percent-encoded, escaped as JSON or Rust does, or as a list of numbers.
//! A report names the secret and the place, and shows neither. Secrets shorter than that cannot be told from other
//! text, and are not searched for.

mod forms;
mod log;
mod sieve;
mod traffic;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

pub use forms::SHORTEST;
pub use log::{Lookout, install, log_panics};

use forms::{Window, windows};
use sieve::Sieve;

/// Looks at what is written, and keeps what it found. Cheap to clone; clones are the same watch.
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    sieve: Sieve,
    /// Whether a secret of nobody who is there to hear of it ends the process.
    last_resort: bool,
    looks: AtomicUsize,
    finds: AtomicUsize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    windows: HashMap<Window, usize>,
    secrets: HashSet<Box<[u8]>>,
    canaries: Vec<(usize, String)>,
    found: BTreeSet<(usize, String)>,
    open: HashSet<usize>,
    owners: usize,
}

/// The secrets of one test in a [`Watch`].
#[derive(Clone)]
pub struct Canaries {
    watch: Watch,
    owner: usize,
}

static SHARED: LazyLock<Watch> = LazyLock::new(|| Watch::sized(22, true));

impl Default for Watch {
    /// One of its own, for the few secrets of one test.
    fn default() -> Self {
        Self::sized(14, false)
    }
}

impl Watch {
    /// The one of this process. It ends the process, and says why, where it finds a secret of a test that is over.
    pub fn shared() -> Self {
        SHARED.clone()
    }

    fn sized(bits: u32, last_resort: bool) -> Self {
        let (looks, finds) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Inner { sieve: Sieve::new(bits), last_resort, looks, finds, known: Mutex::default() }))
    }

    /// A test begins.
    pub fn begin(&self) -> Canaries {
        let mut known = self.known();
        known.owners += 1;
        let owner = known.owners;
        known.open.insert(owner);
        Canaries { watch: self.clone(), owner }
    }

    /// For tests that do not say when they end: a find ends the process.
    pub fn unattended(&self) -> Canaries {
        let canaries = self.begin();
        canaries.end();
        canaries
    }

    /// Looks at a text that may hold no secret.
    pub fn inspect(&self, place: fmt::Arguments<'_>, text: &[u8]) {
        self.0.looks.fetch_add(1, Ordering::Relaxed);
        self.search(place, text);
        for bytes in forms::lists_of_numbers(text).chain(forms::runs_of_hex(text)) {
            self.search(place, &bytes);
        }
    }

    /// How many texts it has looked at.
    pub fn looks(&self) -> usize {
        self.0.looks.load(Ordering::Relaxed)
    }

    fn search(&self, place: fmt::Arguments<'_>, text: &[u8]) {
        for window in text.windows(SHORTEST).filter_map(|window| window.first_chunk()) {
            if self.0.sieve.may_hold(window) {
                self.report(place, window);
            }
        }
    }

    fn report(&self, place: fmt::Arguments<'_>, window: &Window) {
        let mut known = self.known();
        let Some((owner, name)) = known.windows.get(window).map(|canary| known.canaries[*canary].clone())
        else {
            return;
        };
        let found = format!("{name} in {place}");
        if self.0.last_resort && !known.open.contains(&owner) {
            // What the macros print is kept back for a test that ends.
            let _ = writeln!(std::io::stderr(), "a secret was written: {found}");
            std::process::exit(101);
        }
        if known.found.insert((owner, found)) {
            self.0.finds.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Canaries {
    /// The watch that knows them.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// From now on this may be written nowhere. Of a key file it is the key that is secret, of certificates nothing.
    pub fn mark(&self, name: &str, secret: &[u8]) {
        let mut known = self.watch.known();
        if !known.secrets.insert(secret.into()) {
            return;
        }
        let canary = known.canaries.len();
        known.canaries.push((self.owner, name.to_owned()));
        for window in windows(secret) {
            known.windows.entry(window).or_insert(canary);
            self.watch.0.sieve.insert(&window);
        }
    }

    /// Whether any secret of the watch was found: the cheap question.
    pub fn any_found(&self) -> bool {
        self.watch.0.finds.load(Ordering::Relaxed) > 0
    }

    /// Which of them were found, and where.
    pub fn found(&self) -> Vec<String> {
        let known = self.watch.known();
        known.found.iter().filter(|(owner, _)| *owner == self.owner).map(|(_, found)| found.clone()).collect()
    }

    /// What was found so far, which then does not fail the test: it was let out on purpose.
    pub fn take(&self) -> Vec<String> {
        let found = self.found();
        self.watch.known().found.retain(|(owner, _)| *owner != self.owner);
        found
    }

    /// The test is over.
    ///
    /// # Panics
    /// Where one was found.
    pub fn end(&self) {
        let found = self.found();
        self.watch.known().open.remove(&self.owner);
        match found.is_empty() {
            true => {}
            false if std::thread::panicking() => eprintln!("secrets were written: {found:#?}"),
            false => panic!("secrets were written: {found:#?}"),
        }
    }
}

impl fmt::Debug for Canaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Canaries({})", self.owner)
    }
}
