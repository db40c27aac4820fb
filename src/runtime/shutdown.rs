//! One signal feeds everything that has to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A signal handler could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {name}: {source}")]
pub struct Error {
    name: &'static str,
    source: std::io::Error,
}

/// Returns a token that is cancelled by the first SIGTERM or SIGINT.
///
/// A second signal ends the process at once with status 128 + its number (143 or 130), so that a person
/// never has to wait for a drain that hangs. Must be called inside a tokio runtime.
pub fn on_signals() -> Result<CancellationToken, Error> {
    let mut signals = Signals {
        terminate: listen("SIGTERM", SignalKind::terminate())?,
        interrupt: listen("SIGINT", SignalKind::interrupt())?,
    };
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let first = signals.next().await;
        tracing::info!(signal = first.as_raw_value(), "stopping; a second signal aborts");
        stop.cancel();
        let second = signals.next().await;
        tracing::error!(signal = second.as_raw_value(), "second signal: aborting");
        std::process::exit(128 + second.as_raw_value());
    });
    Ok(token)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        }
    }
}

fn listen(name: &'static str, kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(|source| Error { name, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Lines};
    use std::process::{Child, ChildStdout, Command, Stdio};

    const CHILD: &str = "ZITADEL_OPERATOR_SHUTDOWN_CHILD";

    /// The process under test: says when it listens and when it was told to stop, then hangs in its drain.
    #[tokio::test]
    async fn child_process() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let token = on_signals().unwrap();
        println!("\nlistening");
        token.cancelled().await;
        println!("\nstopping");
        std::future::pending::<()>().await;
    }

    struct Process {
        child: Child,
        lines: Lines<BufReader<ChildStdout>>,
    }

    impl Process {
        fn start() -> Self {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "runtime::shutdown::tests::child_process", "--nocapture"])
                .env(CHILD, "1")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            Self { child, lines }
        }

        fn await_line(&mut self, wanted: &str) {
            assert!(self.lines.any(|line| line.unwrap() == wanted), "never printed {wanted}");
        }

        fn signal(&self, name: &str) {
            let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
            assert!(status.success());
        }
    }

    impl Drop for Process {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn stops_then_aborts(first: &str, second: &str) -> Option<i32> {
        let mut process = Process::start();
        process.await_line("listening");
        process.signal(first);
        process.await_line("stopping");
        assert_eq!(process.child.try_wait().unwrap(), None, "the first signal must leave time to drain");
        process.signal(second);
        process.child.wait().unwrap().code()
    }

    #[test]
    fn a_second_sigterm_aborts() {
        assert_eq!(stops_then_aborts("-TERM", "-TERM"), Some(143));
    }

    #[test]
    fn an_impatient_ctrl_c_aborts() {
        assert_eq!(stops_then_aborts("-TERM", "-INT"), Some(130));
    }
}
