//! What was learned, for as long as it may be believed.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Texts with the time at which each was learned; as few as are kept.
#[derive(Default)]
pub(crate) struct Remembered(pub(crate) HashMap<String, (String, Instant)>);

impl Remembered {
    pub(crate) fn recent(&self, key: &str, freshness: Duration) -> Option<String> {
        let (text, at) = self.0.get(key)?;
        (at.elapsed() < freshness).then(|| text.clone())
    }

    /// Where there is no room what was learned before goes: it is asked for again.
    pub(crate) fn learn(&mut self, key: String, text: String, (freshness, most): (Duration, usize)) {
        if self.0.len() >= most {
            self.0.retain(|_, (_, at)| at.elapsed() < freshness);
        }
        if self.0.len() >= most {
            self.0.clear();
        }
        self.0.insert(key, (text, Instant::now()));
    }
}
