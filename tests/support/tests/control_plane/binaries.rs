use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zitadel_operator_support::control_plane::{Binary, ScratchDir};

use super::{BIN, assert_says, eventually, fails, output, processes_of, succeeds};

/// Stands in for Go. It logs each build, which fails while `fail` exists, and ends once `go-on` does.
const FAKE_GO: &str = r#"#!/bin/sh
here=$(dirname "$0")
case $1 in
env) cat "$here/version" ;;
list) printf 'go: downloading a\nfmt\n' ;;
build)
    while [ "$1" != -o ]; do shift; done
    mkdir -p "$2"
    printf half >"$2/server"
    echo build >>"$here/builds"
    if [ -e "$here/fail" ]; then echo 'no such package' >&2; exit 3; fi
    until [ -e "$here/go-on" ]; do sleep 0.05; done
    for name in server kube-apiserver kube-controller-manager kubectl helm; do echo whole >"$2/$name"; done ;;
esac
"#;

struct FakeGo {
    scratch: ScratchDir,
}

impl FakeGo {
    fn new(version: &str) -> Self {
        let base = std::env::temp_dir().join("zitadel-operator-fake-go");
        let fake = Self { scratch: ScratchDir::create(&base).expect("a directory") };
        fake.script("go", FAKE_GO);
        fs::write(fake.at("version"), format!("{version}\nlinux\namd64\n")).expect("it is made");
        fake
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).expect("it is made");
        fs::set_permissions(self.at(name), Permissions::from_mode(0o755)).expect("it is made");
    }

    fn touch(&self, name: &str) {
        fs::write(self.at(name), "").expect("it is made");
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.at("builds")).map_or(0, |text| text.lines().count())
    }

    /// `control-plane build` with this Go and a cache of its own.
    fn build(&self) -> Command {
        let mut command = Command::new(BIN);
        let path = format!("{}:/usr/bin:/bin", self.scratch.path().display());
        command.arg("build").env_clear().env("PATH", path).env("XDG_CACHE_HOME", self.at("cache"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn build_without_go(&self) -> Command {
        let mut command = self.build();
        command.env("PATH", self.at("empty"));
        command
    }

    /// What the cache holds besides locks: finished builds, and directories of builds under way.
    fn cached(&self) -> Vec<PathBuf> {
        let cache = self.at("cache/zitadel-operator/control-plane");
        let list = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let all = list(&cache).chain(list(&cache.join("building")));
        all.filter(|path| path.is_dir() && !path.ends_with("building")).collect()
    }
}

#[test]
fn two_processes_build_once() {
    let go = FakeGo::new("go1.26.0");
    let first = go.build().spawn().expect("it runs");
    eventually("the first builds", || go.builds() == 1);
    let mut second = go.build().spawn().expect("it runs");
    let mut notice = [0; 42];
    second.stderr.as_mut().expect("piped").read_exact(&mut notice).expect("it says something");
    assert_says(&String::from_utf8_lossy(&notice), "another process is building");

    go.touch("go-on");
    let outputs = [first, second].map(|child| child.wait_with_output().expect("it ends"));
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    assert_eq!(outputs[0].stdout, outputs[1].stdout);
    assert_eq!(go.builds(), 1);

    let dir = PathBuf::from(String::from_utf8_lossy(&outputs[0].stdout).trim());
    assert_eq!(go.cached(), [dir.as_path()]);
    for binary in Binary::ALL {
        assert_eq!(fs::read_to_string(dir.join(binary.file_name())).expect("it is there"), "whole\n");
    }
}

#[test]
fn a_finished_build_serves_without_go_and_a_damaged_one_is_built_again() {
    let go = FakeGo::new("go1.26.0");
    go.touch("go-on");
    let dir = PathBuf::from(succeeds(&mut go.build()).trim());
    assert_eq!(succeeds(&mut go.build_without_go()).trim(), dir.display().to_string());
    fs::remove_file(dir.join("kubectl")).expect("it was there");
    assert_says(&fails(&mut go.build_without_go()), "no control plane binaries");
    succeeds(&mut go.build());
    assert!(dir.join("kubectl").exists());
    assert_eq!(go.builds(), 2);
}

#[test]
fn a_failed_build_says_why_and_leaves_nothing() {
    let go = FakeGo::new("go1.26.0");
    go.touch("fail");
    let why = fails(&mut go.build());
    assert_says(&why, "go build (exit status: 3) failed");
    assert_says(&why, "no such package");
    assert!(go.cached().is_empty(), "{:?}", go.cached());

    fs::remove_file(go.at("fail")).expect("it was there");
    go.touch("go-on");
    succeeds(&mut go.build());
}

#[test]
fn a_killed_build_ends_and_leaves_nothing() {
    let go = FakeGo::new("go1.26.0");
    let mut killed = go.build().spawn().expect("it runs");
    eventually("it builds", || go.builds() == 1);
    assert!(processes_of(go.scratch.path()).iter().any(|line| line.contains("/go build")));
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");
    let builds = || processes_of(go.scratch.path()).iter().any(|line| line.contains("/go build"));
    eventually("all is gone", || go.cached().is_empty() && !builds());

    go.touch("go-on");
    succeeds(&mut go.build());
    assert_eq!(go.builds(), 2);
}

#[test]
fn without_go_or_with_an_old_one_the_error_says_what_to_install() {
    let go = FakeGo::new("go1.25.9");
    assert_says(&fails(&mut go.build()), "go1.25.9 is too old: install Go 1.26");
    let none = fails(&mut go.build_without_go());
    assert_says(&none, "KUBEBUILDER_ASSETS is not set");
    assert_says(&none, "install Go 1.26 or newer, or set KUBEBUILDER_ASSETS");
    assert_eq!(go.builds(), 0);
}

#[test]
fn assets_without_a_needed_binary_are_named_and_passed_over() {
    let go = FakeGo::new("go1.26.0");
    go.touch("go-on");
    let assets = go.at("assets");
    fs::create_dir(&assets).expect("it is made");
    Binary::ENVTEST.iter().for_each(|binary| go.touch(&format!("assets/{}", binary.file_name())));
    let lacks = format!("KUBEBUILDER_ASSETS={} lacks kube-controller-manager, helm", assets.display());
    let alone = fails(go.build_without_go().env("KUBEBUILDER_ASSETS", &assets));
    assert_says(&alone, &format!("no control plane binaries: {lacks}"));
    let built = output(go.build().env("KUBEBUILDER_ASSETS", &assets));
    assert!(built.status.success());
    assert_says(&String::from_utf8_lossy(&built.stderr), &lacks);

    Binary::ALL.iter().for_each(|binary| go.touch(&format!("assets/{}", binary.file_name())));
    let taken = succeeds(go.build_without_go().env("KUBEBUILDER_ASSETS", &assets));
    assert_eq!(taken.trim(), assets.display().to_string());
    assert_eq!(go.builds(), 1);
}

#[test]
fn a_component_that_ends_is_named_with_its_log() {
    let go = FakeGo::new("go1.26.0");
    for binary in Binary::ALL {
        go.script(binary.file_name(), "#!/bin/sh\necho no luck today\nexit 7\n");
    }
    let why = fails(Command::new(BIN).arg("run").env("KUBEBUILDER_ASSETS", go.scratch.path()));
    assert_says(&why, "etcd ended (exit status: 7)");
    assert_says(&why, "no luck today");
}

#[test]
fn a_taken_port_is_tried_again_twice() {
    let go = FakeGo::new("go1.26.0");
    let taken =
        "#!/bin/sh\necho try >>\"$(dirname \"$0\")/builds\"\necho bind: address already in use\nexit 1\n";
    go.script("etcd", taken);
    for binary in &Binary::ALL[1..] {
        go.script(binary.file_name(), "#!/bin/sh\nexec sleep 600\n");
    }
    let why = fails(Command::new(BIN).arg("run").env("KUBEBUILDER_ASSETS", go.scratch.path()));
    assert_says(&why, "address already in use");
    assert_eq!(go.builds(), 3);
}
