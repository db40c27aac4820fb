//! The control plane of the tests, for people: `control-plane build` or `control-plane run`.

use std::process::ExitCode;

use zitadel_operator_support::control_plane::{Assets, Binary, ControlPlane, Error};

const USAGE: &str = "usage: control-plane build | run
  build  make the binaries (about 8 minutes, once) and print their directory
  run    start a control plane, print the variables to use it with, and stop it on Ctrl-C";

#[tokio::main]
async fn main() -> ExitCode {
    let done = match std::env::args().skip(1).collect::<Vec<_>>().join(" ").as_str() {
        "build" => Assets::ensure(&Binary::ALL).map(|assets| println!("{}", assets.dir().display())),
        "run" => run().await,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    // Ctrl-C is not caught before this returns: it ends a build or a start at once, and nothing stays behind.
    let control_plane = ControlPlane::start().await?;
    println!("export KUBECONFIG={}", control_plane.kubeconfig_path().display());
    println!("export PATH={}:$PATH", control_plane.bin_dir().display());
    eprintln!("{} is ready; Ctrl-C ends it", control_plane.url());
    let _ = tokio::signal::ctrl_c().await;
    Ok(())
}
