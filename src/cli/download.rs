//! `ampoule download`: the files of a version, as they were uploaded.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::client::{self, Client, FunctionArgs, ServerArgs, function_path};
use super::deploy::DEPLOY_TIMEOUT;
use super::output::{self, Terminal};
use super::problem::CliError;

/// Downloads the files of a version.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule download hello                       # the active version, to hello-VERSION.tar.gz
  ampoule download hello --version 2 -o old.tar.gz

The files are in a tar.gz, as they were uploaded; the environment is not among them. No file is
written over.")]
pub struct DownloadArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// The version [default: the active one]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "NUMBER")]
    version: Option<u64>,
    /// File to write, which must not exist [default: NAME-VERSION.tar.gz]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print what was written as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Carries out `ampoule download`.
///
/// # Errors
/// Usage for a file that cannot be written, that no answer came or broke off, or what the server
/// said.
pub(super) async fn run(args: &DownloadArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let FunctionArgs { function, tenant } = &args.function;
    let subject = tenant.subject_of(function);
    let own = function_path(tenant, function);
    let version = match args.version {
        Some(version) => version,
        None => {
            let request = client.control(Method::GET, &own);
            let answer = client.json(request, &subject).await?;
            answer["active_version"].as_u64().ok_or_else(|| {
                CliError::usage(format!(
                    "no version of {function} is active: give --version"
                ))
            })?
        }
    };
    let request = client
        .control(Method::GET, &format!("{own}/versions/{version}/files"))
        .timeout(DEPLOY_TIMEOUT);
    let mut response = client.send(request).await?;
    let broken_off = |error| CliError::broken_off(&error, &subject);
    let read = client::problem_or_bytes(&mut response).await;
    let first = match read.map_err(broken_off)? {
        Ok((problem, _)) => return Err(CliError::problem(problem, &subject)),
        Err(first) => first,
    };
    if !response.status().is_success() {
        return Err(client.foreign(format!("it answered {}", response.status())));
    }
    let default = PathBuf::from(format!("{function}-{version}.tar.gz"));
    let path = args.output.clone().unwrap_or(default);
    let cannot = |error| CliError::usage(format!("cannot write {}: {error}", path.display()));
    let mut file = create(&path).map_err(cannot)?;
    file.write_all(&first).map_err(cannot)?;
    let mut bytes = u64::try_from(first.len()).unwrap_or(0);
    while let Some(chunk) = response.chunk().await.map_err(|error| {
        // Half an archive is of no use to anybody.
        let _ = std::fs::remove_file(&path);
        broken_off(error)
    })? {
        file.write_all(&chunk).map_err(cannot)?;
        bytes += u64::try_from(chunk.len()).unwrap_or(0);
    }
    let text = if args.json {
        json!({ "function": function, "version": version, "file": path, "bytes": bytes })
            .to_string()
    } else {
        let size = output::size(bytes);
        format!(
            "{function} version {version} is in {}, {size}",
            path.display()
        )
    };
    Ok(terminal.out.line(&text)?)
}

fn create(path: &PathBuf) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests;
