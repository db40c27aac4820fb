//! The control plane starts, does what a cluster does, survives faults on request, and leaves nothing behind.

mod binaries;
mod cluster;
mod the_end;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const BIN: &str = env!("CARGO_BIN_EXE_control-plane");

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns what it said about it.
#[track_caller]
fn fails(command: &mut Command) -> String {
    let output = output(command);
    assert!(!output.status.success(), "{command:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_says(text: &str, part: &str) {
    assert!(text.contains(part), "no {part:?} in: {text}");
}

/// The command lines that name this directory: every component's do.
fn processes_of(dir: &Path) -> Vec<String> {
    let all = succeeds(Command::new("ps").args(["-A", "-ww", "-o", "args="]));
    all.lines().filter(|line| line.contains(&dir.display().to_string())).map(str::to_owned).collect()
}

fn is_gone(dir: &Path) -> bool {
    !dir.exists() && processes_of(dir).is_empty()
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
