use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use zitadel_operator_support::control_plane::{Binary, ControlPlane, ScratchDir};

use super::{BIN, eventually, is_gone, processes_of, succeeds};

fn dir_of(control_plane: &ControlPlane) -> PathBuf {
    control_plane.kubeconfig_path().parent().expect("it is in a directory").to_path_buf()
}

/// Another process that has a control plane, and where that keeps its files.
struct Other {
    process: Child,
    dir: PathBuf,
}

impl Other {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("it can be run");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let kubeconfig = lines.find_map(|line| line.strip_prefix("export KUBECONFIG=").map(PathBuf::from));
        let dir = kubeconfig.expect("it starts").parent().expect("it is in a directory").to_path_buf();
        // Read on, or it could not write.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, dir }
    }

    fn signal(&self, name: &str) {
        succeeds(Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]));
    }
}

#[tokio::test]
async fn dropping_one_of_two_removes_it_at_once_and_leaves_the_other() {
    let started = Instant::now();
    let first = ControlPlane::start().await.expect("it starts");
    println!("ready after {:?}", started.elapsed());
    let second = ControlPlane::start().await.expect("it starts");
    let (gone, stays) = (dir_of(&first), dir_of(&second));
    for binary in [Binary::Etcd, Binary::ApiServer, Binary::ControllerManager] {
        let name = format!("/{} ", binary.file_name());
        assert!(
            processes_of(&gone).iter().any(|line| line.contains(&name)),
            "{name} is found by its directory"
        );
    }

    drop(first);
    assert!(is_gone(&gone));
    succeeds(second.kubectl().args(["get", "namespaces"]));
    drop(second);
    assert!(is_gone(&stays));
}

#[test]
fn nothing_is_left_after_a_panic() {
    let (tell, reported) = std::sync::mpsc::channel();
    let panicking = std::thread::spawn(move || {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
            let control_plane = ControlPlane::start().await.expect("it starts");
            tell.send(dir_of(&control_plane)).expect("it is awaited");
            panic!("as a failing test does");
        });
    });
    let dir = reported.recv().expect("it starts");
    assert!(panicking.join().is_err());
    assert!(is_gone(&dir));
}

#[test]
fn nothing_is_left_after_kill_9() {
    let mut other = Other::start(Command::new(BIN).arg("run"));
    assert!(!processes_of(&other.dir).is_empty());
    other.signal("KILL");
    assert_eq!(other.process.wait().expect("it ends").signal(), Some(9));
    eventually("all is gone", || is_gone(&other.dir));
}

#[test]
fn nothing_is_left_after_ctrl_c() {
    let mut other = Other::start(Command::new(BIN).arg("run"));
    other.signal("INT");
    other.process.wait().expect("it ends");
    eventually("all is gone", || is_gone(&other.dir));
}

#[tokio::test]
#[ignore = "the next test runs it, in a process of its own"]
async fn a_process_with_the_shared_one() {
    let control_plane = ControlPlane::shared().await;
    println!("\nexport KUBECONFIG={}", control_plane.kubeconfig_path().display());
}

#[test]
fn the_shared_one_ends_with_its_process() {
    let mut tests = Command::new(std::env::current_exe().expect("this file"));
    tests.args(["--exact", "--ignored", "--nocapture", "the_end::a_process_with_the_shared_one"]);
    let mut other = Other::start(&mut tests);
    assert!(other.process.wait().expect("it ends").success());
    eventually("all is gone", || is_gone(&other.dir));
}

#[test]
fn directories_of_the_dead_are_removed_and_those_of_the_living_are_not() {
    let base = ScratchDir::create(&std::env::temp_dir().join("zitadel-operator-sweep")).expect("a directory");
    let alive = ScratchDir::create(base.path()).expect("a directory");
    let dead = base.path().join("dead");
    fs::create_dir_all(dead.join("etcd")).expect("it is made");
    fs::write(dead.join(".owner"), "").expect("it is made");
    let next = ScratchDir::create(base.path()).expect("a directory");
    assert!(!dead.exists());
    assert!(alive.path().exists() && next.path().exists());
}
