//! Processes and directories that cannot outlive this process, however it ends.
//!
//! A static is never dropped and `kill -9` runs no code of ours, but the kernel always closes our pipes:
//! a small shell at the other end of each pipe then ends the process, or removes the directory.

use std::fs::{self, DirBuilder, File};
use std::io::{self, PipeWriter, Read, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Runs `"$@"` with its output in the file `$0` until it ends by itself or standard input closes.
/// Closing it kills the process itself first; then whatever that process started is asked to end.
const SUPERVISE: &str = r#"
exec 3<&0 </dev/null 2>>"$0"
"$@" >>"$0" 3<&- &
child=$!
{ read -r _ <&3; kill -KILL "$child"; } >/dev/null 2>&1 &
wait "$child"
code=$?
trap "" TERM
kill -TERM 0
wait
exit "$code"
"#;

/// Removes the directory `$0` once nobody holds the other end of standard input any more.
const SWEEP: &str =
    r#"trap "" HUP INT TERM; while read -r _; do :; done; PATH="$PATH:/usr/bin:/bin" rm -rf -- "$0""#;

const OWNER: &str = ".owner";
const LOG_TAIL: u64 = 4096;

/// A child process that is killed (`SIGKILL`) when this value is dropped or when this process ends.
#[derive(Debug)]
pub struct Process {
    supervisor: Child,
    log: PathBuf,
}

impl Process {
    /// A command line for [`Process::spawn`]: `program` with its output appended to `log`. Add arguments,
    /// environment and working directory to it; its standard streams are not the caller's to set.
    #[must_use]
    pub fn command(program: &Path, log: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISE]).arg(log).arg(program);
        command
    }

    /// Starts what [`Process::command`] prepared. `scratch` is not removed while the process runs, and has to
    /// be dropped after it.
    ///
    /// # Errors
    /// No process could be made. A program that does not exist shows as exit code 127 instead.
    pub fn spawn(mut command: Command, log: &Path, scratch: &ScratchDir) -> io::Result<Self> {
        // A group of its own: Ctrl-C reaches this process first, and the pipe takes the rest down in order.
        command.stdin(Stdio::piped()).stdout(scratch.pipe()?).stderr(Stdio::null()).process_group(0);
        Ok(Self { supervisor: command.spawn()?, log: log.to_path_buf() })
    }

    /// How the process ended, or `None` while it runs.
    ///
    /// # Errors
    /// The operating system refused to say.
    pub fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.supervisor.try_wait()
    }

    /// The last 4 KiB of what the process wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("{}: {error}", self.log.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // `wait` closes the pipe first; it returns after the process itself is gone.
        let _ = self.supervisor.wait();
    }
}

/// A private directory that is removed when this value is dropped or when this process ends, in both cases
/// after every [`Process`] that was started with it.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
    held: Option<PipeWriter>,
    sweeper: Child,
    _owner: File,
}

impl ScratchDir {
    /// Makes a new directory (mode 0700) below `base`, and removes those there whose owner is dead.
    ///
    /// # Errors
    /// `base` cannot be made or written, or no process could be started.
    pub fn create(base: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(base)?;
        let guard = File::create(base.join(".lock"))?;
        guard.lock()?;
        sweep(base)?;
        let path = base.join(random_hex(6));
        DirBuilder::new().mode(0o700).create(&path)?;
        let owner = File::create(path.join(OWNER))?;
        owner.lock()?;
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SWEEP]).arg(&path).stdin(reader).stdout(Stdio::null()).process_group(0);
        Ok(Self { sweeper: command.spawn()?, path, held: Some(writer), _owner: owner })
    }

    /// Where it is: absolute if `base` was.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn pipe(&self) -> io::Result<Stdio> {
        self.held.as_ref().map_or_else(|| Ok(Stdio::null()), |pipe| pipe.try_clone().map(Stdio::from))
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        self.held = None;
        let _ = self.sweeper.wait();
    }
}

fn sweep(base: &Path) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let path = entry?.path();
        if path.is_dir() && File::open(path.join(OWNER)).map_or(true, |owner| owner.try_lock().is_ok()) {
            // Its own sweeper may be at it too; what stays is tried again next time.
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let start = file.metadata()?.len().saturating_sub(LOG_TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `bytes` random bytes in hexadecimal.
pub(super) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).expect("the operating system has random numbers");
    hex(&random)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
