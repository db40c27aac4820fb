//! Builds the binaries with Go, from the versions that `go.mod` and `go.sum` pin.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::Error;
use super::assets::Binary;
use super::process::{Process, ScratchDir};
use super::recipe::Recipe;

const DOWNLOAD_ATTEMPTS: u32 = 4;
pub(super) const ENVIRONMENT: [(&str, &str); 4] = [
    ("CGO_ENABLED", "0"),
    ("GOTOOLCHAIN", "local"),
    ("GOWORK", "off"),
    ("GOFLAGS", "-mod=readonly -modcacherw -buildvcs=false"),
];

/// The Go on `PATH`.
#[derive(Debug)]
pub(super) struct Go {
    version: String,
    platform: String,
}

impl Go {
    /// `None` when there is no `go`.
    pub(super) fn detect() -> Result<Option<Self>, Error> {
        let mut command = Command::new("go");
        let output = match native(&mut command).args(["env", "GOVERSION", "GOOS", "GOARCH"]).output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io("run", Path::new("go")))?,
        };
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        match stdout.split_whitespace().collect::<Vec<_>>()[..] {
            [version, os, arch] => {
                Ok(Some(Self { version: version.into(), platform: format!("{os}-{arch}") }))
            }
            _ => Err(Error::Build("go env".to_owned(), stderr)),
        }
    }

    /// Names a build: the same key, the same binaries.
    pub(super) fn key(&self, recipe: &Recipe) -> String {
        format!("{}-{}-{}", recipe.key(), self.version, self.platform)
    }

    /// Accepts 1.26 and newer.
    pub(super) fn check(&self) -> Result<(), Error> {
        let mut numbers =
            self.version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
        let found = (numbers.next(), numbers.next());
        if found < (Some(1), Some(26)) { Err(Error::OldGo(self.version.clone())) } else { Ok(()) }
    }
}

/// Builds all binaries in a directory below `base` and hands it to `keep`, which has to move it away: whatever
/// is left is removed, also when the build fails or this process is killed.
pub(super) fn build(
    recipe: &Recipe,
    go: &Go,
    base: &Path,
    keep: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), Error> {
    let scratch = ScratchDir::create(base).map_err(Error::io("make a directory in", base))?;
    let mut progress = Progress::saying(&format!(
        "building {} with {}: about {}, longer on a busy machine, once; needs {} for that time (or set \
         KUBEBUILDER_ASSETS to a directory that has them)",
        recipe.what, go.version, recipe.takes, recipe.needs
    ));
    for (name, text) in [("go.mod", recipe.go_mod), ("go.sum", recipe.go_sum)] {
        fs::write(scratch.path().join(name), text).map_err(Error::io("write", scratch.path()))?;
    }
    let packages = download(recipe, &scratch, &mut progress)?;
    let out = scratch.path().join("out");
    let mut args = recipe.build_flags();
    args.extend(["-v".to_owned(), "-o".to_owned(), format!("{}/", out.display())]);
    run_go(recipe, &scratch, "build", &args, &mut progress, |log| {
        format!("compiling and linking, {} of {packages} packages", log.lines().count())
    })?;
    let renamed = |(from, to): &(&str, &str)| fs::rename(out.join(from), out.join(to));
    let is_there = |binary: &Binary| out.join(binary.file_name()).metadata().map(drop);
    recipe
        .renamed
        .iter()
        .try_for_each(renamed)
        .and_then(|()| recipe.binaries.iter().try_for_each(is_there))
        .and_then(|()| keep(&out))
        .map_err(Error::io("keep", &out))?;
    progress.say("built");
    Ok(())
}

/// Downloads what the build needs, and counts its packages.
fn download(recipe: &Recipe, scratch: &ScratchDir, progress: &mut Progress) -> Result<usize, Error> {
    let modules = |log: &str| log.lines().filter(|line| line.starts_with("go: ")).count();
    let mut attempt = 1;
    loop {
        let status = |log: &str| format!("downloading, {} modules", modules(log));
        let args = [recipe.tags(), vec!["-deps".to_owned()]].concat();
        match run_go(recipe, scratch, "list", &args, progress, status) {
            Ok(log) => return Ok(log.lines().count() - modules(&log)),
            Err(error) if attempt == DOWNLOAD_ATTEMPTS => return Err(error),
            Err(_) => progress.say(&format!("download failed, attempt {attempt} of {DOWNLOAD_ATTEMPTS}")),
        }
        thread::sleep(Duration::from_secs(attempt.into()));
        attempt += 1;
    }
}

/// Runs `go VERB ARGS` on the pinned packages and returns what it printed.
fn run_go(
    recipe: &Recipe,
    scratch: &ScratchDir,
    verb: &str,
    args: &[String],
    progress: &mut Progress,
    status: impl Fn(&str) -> String,
) -> Result<String, Error> {
    let log = scratch.path().join(format!("{verb}.log"));
    fs::write(&log, "").map_err(Error::io("write", &log))?;
    let printed =
        || fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let mut command = Process::command(Path::new("go"), &log);
    native(&mut command).arg(verb).args(args).args(recipe.packages).current_dir(scratch.path());
    for name in ["GOCACHE", "GOMODCACHE"] {
        command.env(name, override_of(name).unwrap_or_else(|| scratch.path().join(name)));
    }
    let mut go = Process::spawn(command, &log, scratch).map_err(Error::io("run", Path::new("go")))?;
    loop {
        match go.exited().map_err(Error::io("wait for", Path::new("go")))? {
            Some(status) if status.success() => return Ok(printed()),
            Some(status) => return Err(Error::Build(format!("go {verb} ({status})"), go.log_tail())),
            None => progress.tick(|| status(&printed())),
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Go itself, not one that a `go.mod` around us asks for, and for this machine.
fn native(command: &mut Command) -> &mut Command {
    command.envs(ENVIRONMENT).env_remove("GOOS").env_remove("GOARCH").current_dir(env::temp_dir())
}

/// `ZITADEL_OPERATOR_GOCACHE` and `ZITADEL_OPERATOR_GOMODCACHE` name caches to use and keep.
fn override_of(name: &str) -> Option<PathBuf> {
    env::var_os(format!("ZITADEL_OPERATOR_{name}")).map(PathBuf::from)
}

/// Says something every 10 seconds, with the time that has passed.
pub(super) struct Progress {
    started: Instant,
    said: Instant,
}

impl Progress {
    pub(super) fn saying(text: &str) -> Self {
        say(text);
        Self { started: Instant::now(), said: Instant::now() }
    }

    pub(super) fn tick(&mut self, status: impl FnOnce() -> String) {
        if self.said.elapsed() >= Duration::from_secs(10) {
            self.say(&status());
        }
    }

    fn say(&mut self, text: &str) {
        self.said = Instant::now();
        let seconds = self.started.elapsed().as_secs();
        say(&format!("{text} ({}m{:02}s)", seconds / 60, seconds % 60));
    }
}

/// Writes to standard error itself: the test harness swallows what `eprintln!` prints.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "control plane: {text}");
}
