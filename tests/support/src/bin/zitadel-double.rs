//! Runs the ZITADEL double until interrupted: `zitadel-double [--port N] [--line v3|v4|v4-2026-03] [--lag SECONDS]`.

use std::process::ExitCode;
use std::time::Duration;

use zitadel_operator_support::zitadel::{Behaviour, Double, ServerLine};

const USAGE: &str = "usage: zitadel-double [--port N] [--line v3|v4|v4-2026-03] [--lag SECONDS]";

struct Options {
    port: u16,
    line: ServerLine,
    lag: Duration,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { port: 8080, line: ServerLine::V4, lag: Duration::ZERO };
    while let Some(flag) = arguments.next() {
        let value = arguments.next()?;
        match flag.as_str() {
            "--port" => options.port = value.parse().ok()?,
            "--line" if value == "v3" => options.line = ServerLine::V3,
            "--line" if value == "v4" => options.line = ServerLine::V4,
            "--line" if value == "v4-2026-03" => options.line = ServerLine::V4Newer,
            "--lag" => options.lag = Duration::try_from_secs_f64(value.parse().ok()?).ok()?,
            _ => return None,
        }
    }
    Some(options)
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(Options { port, line, lag }) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let double =
        match Double::builder().behaviour(Behaviour::from(line).lagging(lag)).port(port).start().await {
            Ok(double) => double,
            Err(error) => {
                eprintln!("cannot listen on port {port}: {error}");
                return ExitCode::FAILURE;
            }
        };
    println!("ZITADEL_URL={}", double.url());
    println!("ZITADEL_TOKEN={}", double.admin_token());
    match tokio::signal::ctrl_c().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
