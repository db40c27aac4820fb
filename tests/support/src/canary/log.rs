//! Logs and panics.

use std::cell::Cell;
use std::fmt::{self, Debug, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::Watch;

/// Looks at each event and span, whatever its level and target.
pub struct Lookout(Watch);

impl Lookout {
    /// It tells this watch.
    pub fn new(watch: Watch) -> Self {
        Self(watch)
    }

    fn inspect(&self, place: fmt::Arguments<'_>, record: impl FnOnce(&mut Text)) {
        thread_local!(static SPARE: Cell<String> = const { Cell::new(String::new()) });
        let mut text = Text(SPARE.take());
        record(&mut text);
        self.0.inspect(place, text.0.as_bytes());
        text.0.clear();
        SPARE.set(text.0);
    }
}

impl<S: Subscriber> Layer<S> for Lookout {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.inspect(format_args!("the log (span {})", span.metadata().name()), |text| span.record(text));
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.inspect(format_args!("the log (a span)"), |text| values.record(text));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        self.inspect(format_args!("the log ({level} {target})"), |text| event.record(text));
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{value:?}");
    }

    fn record_str(&mut self, _: &Field, value: &str) {
        self.0.push_str(value);
        self.0.push('\n');
    }
}

/// Shows [`Watch::shared`] whatever this process logs at any level and `may_be_logged`, and the messages of panics.
/// With `RUST_LOG` set, that part of the log is printed too. Later calls change nothing.
///
/// # Panics
/// Where the process has a logger already: it would go unwatched.
pub fn install(may_be_logged: fn(&Metadata<'_>) -> bool) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let printed = std::env::var_os("RUST_LOG").map(|_| {
            tracing_subscriber::fmt::layer().with_test_writer().with_filter(EnvFilter::from_default_env())
        });
        let subscriber = tracing_subscriber::registry()
            .with(Lookout::new(Watch::shared()))
            .with(printed)
            .with(filter_fn(may_be_logged));
        subscriber.try_init().expect("the only logger");
        log_panics();
    });
}

/// Panics are logged too from now on, as the operator's own process does. Later calls change nothing.
pub fn log_panics() {
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            tracing::error!(target: "panic", "{}", info.payload_as_str().unwrap_or_default());
            before(info);
        }));
    });
}
