//! The `ampoule` command: reads the command line, runs it, and answers with an exit code.

use std::process::ExitCode;

use ampoule::cli::{self, Command};
use ampoule::{heap, server, transform};

fn main() -> ExitCode {
    let command = cli::parse();
    if matches!(command, Command::Transform) {
        return transform::process::serve();
    }
    heap::give_large_blocks_back();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_park(server::about_to_sleep)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(command));
    // Whatever still runs by then has been waited for long enough.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

async fn run(command: Command) -> ExitCode {
    match command {
        Command::Serve(args) => Box::pin(cli::serve(args)).await,
        Command::Dev(args) => Box::pin(cli::dev(args)).await,
        client => match Box::pin(cli::run(client)).await {
            Ok(code) => code,
            Err(error) => error.report(),
        },
    }
}
