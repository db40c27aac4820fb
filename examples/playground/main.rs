//! A Kubernetes API server, a ZITADEL, the operator and the examples beside this directory, to play with.
//!
//! `cargo run --example playground` runs until Ctrl-C and leaves nothing behind; `-- --once` ends when every
//! example has reached its expected state, and fails with the reasons if that takes too long.

mod cluster;
mod examples;
mod removal;
mod table;
mod welcome;
mod zitadel;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use support::control_plane::ControlPlane;
use support::zitadel::Double;
use tokio_util::sync::CancellationToken;
use zitadel_operator::operator::{self, Options};
use zitadel_operator::runtime::{shutdown, telemetry};

use cluster::{Cluster, OPERATOR_NAMESPACE};
use table::Table;
use welcome::welcome;
use zitadel::{Prepared, Zitadel};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Runs a control plane, a ZITADEL double, the operator and the examples.
#[derive(Debug, Parser)]
#[command(name = "playground")]
struct Arguments {
    /// End as soon as every example has reached its expected state.
    #[arg(long)]
    once: bool,
    /// How long --once waits, in seconds.
    #[arg(long, default_value_t = 120)]
    deadline: u64,
    /// Use this ZITADEL instead of the double; what is made there is removed at the end.
    #[arg(long, requires = "token_file")]
    zitadel_url: Option<String>,
    /// A file with a personal access token of an IAM_OWNER of that ZITADEL.
    #[arg(long, requires = "zitadel_url")]
    token_file: Option<PathBuf>,
    /// What the operator logs, as in `info,zitadel_operator=debug`.
    #[arg(long, default_value = "warn,kube=error")]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match play(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("playground: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn with_causes(error: &dyn Error) -> String {
    let cause = error.source().map(with_causes);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

async fn play(arguments: Arguments) -> Result<()> {
    telemetry::init(telemetry::LogFormat::Text, &arguments.log)?;
    eprintln!("Starting etcd, kube-apiserver and kube-controller-manager");
    let control_plane = ControlPlane::start().await?;
    // Only now: before, Ctrl-C ends a build or a start at once. From here on things are taken away in order.
    let stop = shutdown::on_signals()?;
    let cluster = Cluster::connect(&control_plane).await?;
    let (zitadel, double) = open_zitadel(&arguments).await?;
    let prepared = zitadel.prepare().await?;
    let played = session(&arguments, &cluster, &zitadel, &prepared, &stop).await;
    if double.is_none() {
        zitadel.clean_up(&prepared, &cluster.resources().await?).await?;
    }
    played
}

/// Runs the operator while the examples are followed.
async fn session(
    arguments: &Arguments,
    cluster: &Cluster<'_>,
    zitadel: &Zitadel,
    prepared: &Prepared,
    stop: &CancellationToken,
) -> Result<()> {
    cluster.install()?;
    let started = Instant::now();
    let ending = CancellationToken::new();
    let running = operator::run(cluster.client.clone(), Options::new(OPERATOR_NAMESPACE), ending.clone());
    let operator = tokio::spawn(running);
    let followed = async {
        for (file, manifest) in examples::filled_in(zitadel, prepared)? {
            cluster.apply(&manifest).map_err(|error| format!("examples/{file}: {error}"))?;
        }
        if !arguments.once {
            println!("{}", welcome(cluster, zitadel, prepared));
        }
        follow(arguments, cluster, started, stop).await
    };
    let followed = followed.await;
    ending.cancel();
    operator.await??;
    followed
}

/// Shows the resources until a signal, or until all are as expected.
async fn follow(
    arguments: &Arguments,
    cluster: &Cluster<'_>,
    started: Instant,
    stop: &CancellationToken,
) -> Result<()> {
    let mut shown = String::new();
    loop {
        let table = Table::of(&cluster.resources().await?);
        if table.to_string() != shown {
            shown = table.to_string();
            print!("\n{shown}");
        }
        if arguments.once && table.unexpected().is_empty() {
            println!(
                "\nEvery example is in its expected state after {:.1} s.",
                started.elapsed().as_secs_f32()
            );
            return Ok(());
        }
        if arguments.once && started.elapsed() > Duration::from_secs(arguments.deadline) {
            return Err(format!(
                "not as expected in {} s:\n{}",
                arguments.deadline,
                table.unexpected().join("\n")
            )
            .into());
        }
        tokio::select! {
            () = stop.cancelled() => return interrupted(arguments),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn interrupted(arguments: &Arguments) -> Result<()> {
    match arguments.once {
        true => Err("interrupted before every example was in its expected state".into()),
        false => Ok(()),
    }
}

async fn open_zitadel(arguments: &Arguments) -> Result<(Zitadel, Option<Double>)> {
    match (&arguments.zitadel_url, &arguments.token_file) {
        (Some(url), Some(file)) => {
            let token =
                std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let shown = format!("$(cat {})", file.display());
            Ok((Zitadel::new(url, token.trim(), shown)?, None))
        }
        _ => {
            let double = Double::start().await;
            let token = double.admin_token();
            Ok((Zitadel::new(&double.url(), &token, token.clone())?, Some(double)))
        }
    }
}
