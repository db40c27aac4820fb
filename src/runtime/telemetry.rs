//! Logs: where they go, what they look like, what is logged as of now, and that a panic is one of them.

mod json;

use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer as _, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, fmt, reload};

/// How a log line looks.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line, event fields at its top level.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter does not parse.
    #[error(
        "log filter {filter:?} is not valid: {source}; write a level (info) or a list like info,kube=warn"
    )]
    Filter {
        /// The filter as given.
        filter: String,
        /// What the parser stopped at.
        source: ParseError,
    },
    /// The process has a logger already.
    #[error("logging is already set up: {0}")]
    Installed(#[from] TryInitError),
    /// The logger is gone.
    #[error("the log filter cannot be changed: {0}")]
    Gone(#[from] reload::Error),
}

/// Sends logs to stderr and panics (message and location, nothing else) to the logs.
///
/// `filter` is a `tracing` directive list such as `info` or `info,zitadel_operator=debug`, and chooses of what
/// [`may_be_logged`]; errors are logged unless it says `off`. Call once a process; a bad filter changes nothing.
pub fn init(format: LogFormat, filter: &str) -> Result<Filter, Error> {
    let ansi = std::io::stderr().is_terminal();
    let (subscriber, filter) = subscriber(format, filter, ansi, std::io::stderr)?;
    subscriber.try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(filter)
}

/// What is logged as of now; clones share it.
#[derive(Clone, Debug)]
pub struct Filter {
    layer: reload::Handle<EnvFilter, Registry>,
    text: Arc<Mutex<String>>,
}

impl Filter {
    /// As it was given.
    pub fn text(&self) -> String {
        self.text.lock().clone()
    }

    /// From now on logs what this filter chooses of [`may_be_logged`]; spans under way included.
    ///
    /// # Errors
    /// The filter does not parse; nothing changed.
    pub fn change(&self, filter: &str) -> Result<(), Error> {
        self.layer.reload(parse(filter)?)?;
        filter.clone_into(&mut self.text.lock());
        Ok(())
    }
}

/// Whether any filter may let this through: an answer that kube cannot parse, and logs in full, could be a Secret.
///
/// No directive of a filter can promise that: one that names a span lets through whatever happens in the span.
pub fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with("kube_client::client") || *metadata.level() == Level::ERROR
}

fn parse(filter: &str) -> Result<EnvFilter, Error> {
    EnvFilter::builder()
        .parse(format!("error,{filter}"))
        .map_err(|source| Error::Filter { filter: filter.to_owned(), source })
}

pub(super) fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    ansi: bool,
    writer: W,
) -> Result<(Box<dyn Subscriber + Send + Sync>, Filter), Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (chosen, layer) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer().with_ansi(ansi).with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.fmt_fields(JsonFields::new()).event_format(json::Flat).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(chosen).with(filter_fn(may_be_logged)).with(lines);
    Ok((Box::new(subscriber), Filter { layer, text: Arc::new(Mutex::new(filter.to_owned())) }))
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("not a string");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(location, "panic: {message}");
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use serde_json::Value;
    use std::io::Write;
    use std::process::Command;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, run: impl FnOnce(&Filter)) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let (subscriber, changes) = subscriber(format, filter, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || run(&changes));
        String::from_utf8(captured.0.lock().clone()).unwrap()
    }

    fn speak(_: &Filter) {
        tracing::info!(kind = "Project", "created");
        tracing::debug!("details");
    }

    #[test]
    fn text_is_one_plain_line_an_event() {
        let text = logged(LogFormat::Text, "info", speak);
        assert!(text.contains("INFO") && text.ends_with("created kind=\"Project\"\n"), "{text:?}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn json_has_the_fields_at_the_top() {
        let text = logged(LogFormat::Json, "debug", speak);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["kind"], &lines[0]["message"]), (&"Project".into(), &"created".into()));
        assert_eq!(lines[1]["level"], "DEBUG");
    }

    #[test]
    fn an_answer_kube_cannot_parse_is_never_logged() {
        let leak = |_: &Filter| {
            let _reconcile = tracing::info_span!("reconcile", kind = "Secret").entered();
            tracing::warn!(target: "kube_client::client", "canary");
            tracing::debug!(target: "kube_client::client", "canary");
            tracing::info!("heard");
        };
        for filter in ["trace", "kube_client::client=trace", "[reconcile]=trace", "[{kind=Secret}]=trace"] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let text = logged(format, &format!("info,{filter}"), leak);
                assert!(text.contains("heard") && !text.contains("canary"), "{filter}: {text}");
            }
        }
    }

    /// What a controller logs while it is at a resource.
    fn reconcile(_: &Filter) {
        let span = tracing::error_span!(
            "reconcile",
            kind = "Project",
            namespace = "a",
            name = "web",
            generation = 3
        );
        span.in_scope(|| tracing::error!(reason = "Unavailable", generation = 4, "not reconciled"));
        tracing::error!("elsewhere");
    }

    #[test]
    fn a_line_of_json_names_the_resource_at_its_top_whatever_is_filtered() {
        for filter in ["info", "warn", "", "zitadel_operator=error", "kube=debug"] {
            let text = logged(LogFormat::Json, filter, reconcile);
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let named = |line: &Value| ["kind", "namespace", "name"].map(|field| line[field].clone());
            assert_eq!(named(&lines[0]), ["Project", "a", "web"], "{text}");
            assert_eq!(
                (&lines[0]["generation"], &lines[0]["message"]),
                (&4.into(), &"not reconciled".into())
            );
            assert_eq!(named(&lines[1]), [Value::Null, Value::Null, Value::Null]);
        }
    }

    #[test]
    fn a_line_of_text_names_the_resource() {
        let text = logged(LogFormat::Text, "warn", reconcile);
        let line = text.lines().next().unwrap();
        assert!(
            line.contains(r#"reconcile{kind="Project" namespace="a" name="web" generation=3}"#),
            "{line}"
        );
    }

    #[test]
    fn a_changed_filter_counts_at_once_and_a_bad_one_changes_nothing() {
        let text = logged(LogFormat::Text, "info", |filter| {
            speak(filter);
            filter.change("debug").unwrap();
            speak(filter);
            assert!(matches!(filter.change("zitadel_operator=loud"), Err(Error::Filter { .. })));
            speak(filter);
            assert_eq!(filter.text(), "debug");
            filter.change("off").unwrap();
            speak(filter);
        });
        assert_eq!(text.matches("created").count(), 3, "{text}");
        assert_eq!(text.matches("details").count(), 2, "{text}");
    }

    #[test]
    fn no_filter_set_later_logs_an_answer_that_kube_cannot_parse() {
        let text = logged(LogFormat::Json, "info", |filter| {
            filter.change("trace").unwrap();
            tracing::warn!(target: "kube_client::client", "canary");
            tracing::trace!("heard");
        });
        assert!(text.contains("heard") && !text.contains("canary"), "{text}");
    }

    #[test]
    fn errors_are_logged_under_an_empty_filter() {
        let text = logged(LogFormat::Text, "", |_| tracing::error!("broken"));
        assert!(text.contains("broken"), "{text:?}");
    }

    #[test]
    fn a_bad_filter_is_quoted_with_an_example() {
        let error = parse("zitadel_operator=loud").unwrap_err().to_string();
        assert!(error.contains("\"zitadel_operator=loud\"") && error.contains("info,kube=warn"), "{error}");
    }

    const CHILD: &str = "ZITADEL_OPERATOR_TELEMETRY_CHILD";

    /// The process that the next test looks at from outside: hook and logger are the whole process's.
    #[test]
    fn child_process() {
        if std::env::var_os(CHILD).is_some() {
            init(LogFormat::Json, "info").unwrap();
            let _ = std::panic::catch_unwind(|| panic!("lost {}", 42));
            assert!(matches!(init(LogFormat::Json, "info"), Err(Error::Installed(_))));
        }
    }

    #[test]
    fn a_panic_is_one_log_line_on_stderr_with_message_and_place() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "runtime::telemetry::tests::child_process", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let line: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"ERROR".into(), &"panic: lost 42".into()));
        assert!(line["location"].as_str().unwrap().contains("telemetry.rs:"), "{line}");
    }
}
