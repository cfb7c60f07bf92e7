//! `ampoule list`, `versions`, `activate` and `delete`: what is deployed, and which of it answers.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{
    Client, FunctionArgs, ServerArgs, TenantArgs, Version, function_path, json_body,
};
use super::output::{self, Terminal, printable};
use super::problem::CliError;
use crate::clock;

/// Lists the functions of a tenant.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule list
  ampoule list --tenant acme --json | jq -r '.functions[].name'")]
pub struct ListArgs {
    #[command(flatten)]
    tenant: TenantArgs,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Lists the versions of a function, newest first.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule versions hello
  ampoule versions hello --json | jq '.versions[] | select(.active).version'")]
pub struct VersionsArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Makes a version the one that answers.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule activate hello 3

Requests in progress finish with the version that they began with. Going back to an older version
is activating it.")]
pub struct ActivateArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Number of the version, as `ampoule versions` shows it
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    version: u64,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Makes the version active that was so before.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule rollback hello

Each roll back goes one activation further back, as long as the versions are kept. To go to a
certain version, activate it. A split ends.")]
pub struct RollbackArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Lets another version answer a part of the requests.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule split hello 4 10    # version 4 answers 10 of 100 requests, the active one the others
  ampoule split hello --end

Which version answered is in the header x-ampoule-version. Activating a version, or rolling back,
ends the split.")]
pub struct SplitArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Number of the version, another than the active one
    #[arg(required_unless_present = "end", value_parser = clap::value_parser!(u64).range(1..))]
    version: Option<u64>,
    /// How many of 100 requests it answers
    #[arg(required_unless_present = "end", value_parser = clap::value_parser!(u64).range(1..100))]
    weight: Option<u64>,
    /// Let the active version answer all requests again
    #[arg(long, conflicts_with_all = ["version", "weight"])]
    end: bool,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Deletes a function, or one of its versions.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule delete hello --version 2 --yes
  ampoule delete hello --yes              # the function with all its versions

What is deleted cannot be brought back, so nothing happens without --yes. With a function goes its
log; what its tenant keeps in kv stays.")]
pub struct DeleteArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Delete this version only; it must not be the active one
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    version: Option<u64>,
    /// Do delete it
    #[arg(long, short)]
    yes: bool,
    /// Print what was deleted as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Carries out `ampoule list`.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn list(args: &ListArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let path = format!("tenants/{}/functions", args.tenant.tenant);
    let subject = args.tenant.subject();
    let answer = client.pages(&path, "functions", &subject).await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let functions = items(&answer, "functions");
    if functions.is_empty() {
        let (tenant, flag) = (&args.tenant.tenant, args.tenant.flag());
        let text = format!("tenant {tenant} has no functions\n  next  ampoule deploy PATH{flag}");
        return Ok(terminal.err.line(&text)?);
    }
    let now_ms = clock::now_ms();
    let mut rows = vec![row([
        "NAME",
        "ACTIVE",
        "DEPLOYED",
        "EVALUATION",
        "FILES",
        "SIZE",
    ])];
    for function in functions {
        let name = printable(function["name"].as_str().unwrap_or_default()).into_owned();
        let Some(active) = function["active_version"].as_u64() else {
            rows.push(vec![name, "none".to_owned()]);
            continue;
        };
        let version: Version = client.typed(function)?;
        let mut cells = vec![name, active.to_string()];
        cells.extend(cells_of(&version, now_ms));
        rows.push(cells);
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

/// Carries out `ampoule versions`.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn versions(args: &VersionsArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let FunctionArgs { function, tenant } = &args.function;
    let path = format!("{}/versions", function_path(tenant, function));
    let subject = tenant.subject_of(function);
    let answer = client.pages(&path, "versions", &subject).await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let now_ms = clock::now_ms();
    let titles = [
        "VERSION",
        "STATE",
        "DEPLOYED",
        "EVALUATION",
        "FILES",
        "SIZE",
        "ENTRY",
        "DEPLOYMENT",
    ];
    let mut rows = vec![row(titles)];
    for item in items(&answer, "versions") {
        let version: Version = client.typed(item)?;
        let state = if version.active { "active" } else { "" };
        let mut cells = vec![version.version.to_string(), state.to_owned()];
        cells.extend(cells_of(&version, now_ms));
        cells.push(printable(&version.entry).into_owned());
        cells.push(printable(&version.deployment).into_owned());
        rows.push(cells);
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

/// Carries out `ampoule activate`.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn activate(args: &ActivateArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let FunctionArgs { function, tenant } = &args.function;
    let number = args.version;
    let path = format!(
        "{}/versions/{number}/activate",
        function_path(tenant, function)
    );
    let request = client.control(Method::POST, &path);
    let answer = client.json(request, &tenant.subject_of(function)).await?;
    let text = if args.json {
        answer.to_string()
    } else {
        format!("{function} version {number} is active")
    };
    Ok(terminal.out.line(&text)?)
}

/// Carries out `ampoule rollback`.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn roll_back(
    args: &RollbackArgs,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let FunctionArgs { function, tenant } = &args.function;
    let path = format!("{}/rollback", function_path(tenant, function));
    let request = client.control(Method::POST, &path);
    let answer = client.json(request, &tenant.subject_of(function)).await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let version: Version = client.typed(&answer)?;
    let text = format!("{function} is back at version {}", version.version);
    Ok(terminal.out.line(&text)?)
}

/// Carries out `ampoule split`.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn split(args: &SplitArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let FunctionArgs { function, tenant } = &args.function;
    let path = format!("{}/split", function_path(tenant, function));
    let (request, text) = match (args.version, args.weight) {
        (Some(version), Some(weight)) => {
            let body = json!({ "version": version, "weight_percent": weight });
            let request = json_body(client.control(Method::PUT, &path), &body);
            let text = format!("{function} version {version} answers {weight} of 100 requests");
            (request, text)
        }
        _ => {
            let request = client.control(Method::DELETE, &path);
            let text = format!("the active version of {function} answers all requests");
            (request, text)
        }
    };
    let answer = client.json(request, &tenant.subject_of(function)).await?;
    let text = if args.json { answer.to_string() } else { text };
    Ok(terminal.out.line(&text)?)
}

/// Carries out `ampoule delete`.
///
/// # Errors
/// Usage without `--yes`, that no answer came, or what the server said.
pub(super) async fn delete(args: &DeleteArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let FunctionArgs { function, tenant } = &args.function;
    let what = match args.version {
        Some(number) => format!("version {number} of {function}"),
        None => format!("{function} with all its versions"),
    };
    if !args.yes {
        let text = format!("this would delete {what} for good: add --yes to do it");
        return Err(CliError::usage(text));
    }
    let client = Client::new(&args.server)?;
    let mut path = function_path(tenant, function);
    if let Some(number) = args.version {
        path.push_str(&format!("/versions/{number}"));
    }
    let request = client.control(Method::DELETE, &path);
    client.json(request, &tenant.subject_of(function)).await?;
    let text = if args.json {
        let (tenant, version) = (&tenant.tenant, args.version);
        json!({ "deleted": true, "tenant": tenant, "function": function, "version": version })
            .to_string()
    } else {
        format!("deleted {what}")
    };
    Ok(terminal.out.line(&text)?)
}

/// The columns that both tables share: age, evaluation, files and size.
fn cells_of(version: &Version, now_ms: u64) -> [String; 4] {
    [
        output::ago(version.created_ms, now_ms),
        printable(&version.evaluation.replace('_', " ")).into_owned(),
        version.files.to_string(),
        output::size(version.source_bytes),
    ]
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn items<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}
