//! `ampoule workspaces`: functions that are written as bodies and run by name.
//!
//! The tenant is that of the key: this surface has no tenants in its paths.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use super::client::{Client, ServerArgs};
use super::invoke::read_body;
use super::output::{self, Style, Terminal, printable};
use super::pack;
use super::problem::{CliError, Subject};
use crate::id::FunctionName;

/// What a part of a path may hold as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Looks after workspaces.
#[derive(Args)]
#[command(after_help = "\
Examples:
  echo '{\"functions\":{\"hello\":{\"code\":\"return 1\"}}}' | ampoule workspaces put test -
  ampoule workspaces run test hello --parameter name=world
  ampoule workspaces put test more.json --merge
  ampoule workspaces packages test ./project
  ampoule workspaces show test --json > test.json

A workspace is a set of functions that call each other by name and share the object `cache`.
docs/workspaces.md has the whole of it.")]
pub struct WorkspacesArgs {
    #[command(subcommand)]
    command: WorkspacesCommand,
}

#[derive(Subcommand)]
enum WorkspacesCommand {
    /// Make a definition that of a workspace, or merge one into it
    Put(PutArgs),
    /// Show the functions of a workspace
    Show(ShowArgs),
    /// Run a function of a workspace
    Run(RunArgs),
    /// Show, upload or remove the packages of a workspace
    Packages(PackagesArgs),
    /// Delete a workspace with its packages, versions and log
    Delete(DeleteArgs),
}

#[derive(Args)]
struct WorkspaceArgs {
    /// Name of the workspace
    #[arg(value_name = "WORKSPACE")]
    workspace: FunctionName,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
struct PutArgs {
    #[command(flatten)]
    of: WorkspaceArgs,
    /// A file with the definition as JSON; - for stdin
    #[arg(value_name = "FILE")]
    file: String,
    /// Merge it into the definition that there is (RFC 7396): null removes a function
    #[arg(long)]
    merge: bool,
}

#[derive(Args)]
struct ShowArgs {
    #[command(flatten)]
    of: WorkspaceArgs,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    of: WorkspaceArgs,
    /// Name of the function
    #[arg(value_name = "FUNCTION")]
    function: String,
    /// Parameters as one JSON object: the text itself, @FILE or @- for stdin
    #[arg(long, short, value_name = "JSON")]
    data: Option<String>,
    /// One parameter; JSON, or else text; may be given many times
    #[arg(long = "parameter", short, value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameters: Vec<(String, Value)>,
}

#[derive(Args)]
struct PackagesArgs {
    #[command(flatten)]
    of: WorkspaceArgs,
    /// A folder with node_modules, whose packages are to be those of the workspace
    #[arg(value_name = "FOLDER", conflicts_with = "remove")]
    folder: Option<PathBuf>,
    /// Remove all packages
    #[arg(long)]
    remove: bool,
}

#[derive(Args)]
struct DeleteArgs {
    #[command(flatten)]
    of: WorkspaceArgs,
    /// Do delete it
    #[arg(long, short)]
    yes: bool,
}

impl WorkspacesArgs {
    /// Whether errors are to be JSON.
    pub(super) fn json(&self) -> bool {
        match &self.command {
            WorkspacesCommand::Put(args) => args.of.json,
            WorkspacesCommand::Show(args) => args.of.json,
            WorkspacesCommand::Run(args) => args.of.json,
            WorkspacesCommand::Packages(args) => args.of.json,
            WorkspacesCommand::Delete(args) => args.of.json,
        }
    }
}

impl WorkspaceArgs {
    fn path(&self) -> String {
        format!("/v2/functions/{}", self.workspace)
    }

    fn subject(&self) -> Subject {
        Subject {
            function: Some(self.workspace.to_string()),
            ..Subject::default()
        }
    }
}

fn parse_parameter(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
    Ok((name.to_owned(), value))
}

/// Carries out `ampoule workspaces …`.
///
/// # Errors
/// Usage, that no answer came, or what the server said.
pub(super) async fn run(args: &WorkspacesArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    match &args.command {
        WorkspacesCommand::Put(args) => put(args, terminal).await,
        WorkspacesCommand::Show(args) => show(args, terminal).await,
        WorkspacesCommand::Run(args) => run_function(args, terminal).await,
        WorkspacesCommand::Packages(args) => packages(args, terminal).await,
        WorkspacesCommand::Delete(args) => delete(args, terminal).await,
    }
}

async fn put(args: &PutArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let definition = read_body(&format!("@{}", args.file))?;
    if serde_json::from_slice::<Map<String, Value>>(&definition).is_err() {
        let file = &args.file;
        let text = format!("{file} is not a JSON object such as {{\"functions\":{{}}}}");
        return Err(CliError::usage(text));
    }
    let client = Client::new(&args.of.server)?;
    let method = if args.merge {
        Method::PATCH
    } else {
        Method::PUT
    };
    let request = client
        .at(method, &args.of.path())
        .header(CONTENT_TYPE, "application/json")
        .body(definition);
    let answer = client.json(request, &args.of.subject()).await?;
    if args.of.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let workspace = &args.of.workspace;
    let names = names(&answer);
    let count = names.len();
    let functions = if count == 1 { "function" } else { "functions" };
    terminal
        .out
        .line(&format!("workspace {workspace} has {count} {functions}"))?;
    if let Some(first) = names.first() {
        let next = format!("  next  ampoule workspaces run {workspace} {first}");
        terminal.err.line(&next)?;
    }
    Ok(())
}

async fn show(args: &ShowArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.of.server)?;
    let request = client.at(Method::GET, &args.of.path());
    let answer = client.json(request, &args.of.subject()).await?;
    if args.of.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let mut rows = vec![
        ["FUNCTION", "PARAMETERS", "LINES"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (name, function) in answer["functions"].as_object().into_iter().flatten() {
        let parameters = function["parameters"].as_object();
        let parameters: Vec<String> = parameters.into_iter().flatten().map(parameter).collect();
        let lines = function["code"]
            .as_str()
            .unwrap_or_default()
            .lines()
            .count();
        let parameters = parameters.join(", ");
        rows.push(vec![
            printable(name).into_owned(),
            printable(&parameters).into_owned(),
            lines.to_string(),
        ]);
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

/// `name: string = "x"`
fn parameter((name, schema): (&String, &Value)) -> String {
    let mut text = name.clone();
    match &schema["type"] {
        Value::String(kind) => text.push_str(&format!(": {kind}")),
        Value::Null => {}
        several => text.push_str(&format!(": {several}")),
    }
    if let Some(default) = schema.get("default") {
        text.push_str(&format!(" = {default}"));
    }
    text
}

async fn run_function(args: &RunArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let mut parameters = match &args.data {
        None => Map::new(),
        Some(data) => serde_json::from_slice(&read_body(data)?)
            .map_err(|error| CliError::usage(format!("--data is not one JSON object: {error}")))?,
    };
    parameters.extend(args.parameters.iter().cloned());
    let client = Client::new(&args.of.server)?;
    let function = utf8_percent_encode(&args.function, PLAIN);
    let path = format!("{}/run/{function}", args.of.path());
    let request = client
        .at(Method::POST, &path)
        .header(CONTENT_TYPE, "application/json")
        .body(json!({ "parameters": parameters }).to_string());
    let answer = client.json(request, &args.of.subject()).await?;
    if args.of.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    for line in answer["logs"].as_array().into_iter().flatten() {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let level = terminal.err.paint(Style::Dim, &printable(&text("level")));
        let message = text("message");
        terminal
            .err
            .line(&format!("{level} {}", printable(&message)))?;
    }
    // JSON escapes what would drive a terminal, but for marks that turn the direction of writing.
    let result = serde_json::to_string_pretty(&answer["result"]).unwrap_or_default();
    Ok(terminal.out.line(&printable(&result))?)
}

async fn packages(args: &PackagesArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.of.server)?;
    let path = format!("{}/packages", args.of.path());
    let request = match &args.folder {
        Some(folder) => {
            let packed = pack_packages(folder)?;
            client
                .at(Method::PUT, &path)
                .header(CONTENT_TYPE, packed.content_type)
                .body(packed.bytes)
        }
        None if args.remove => client.at(Method::DELETE, &path),
        None => client.at(Method::GET, &path),
    };
    let answer = client.json(request, &args.of.subject()).await?;
    if args.of.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let listed = answer["packages"].as_array().map_or(&[][..], Vec::as_slice);
    if listed.is_empty() {
        let workspace = &args.of.workspace;
        let text = format!("workspace {workspace} has no packages");
        return Ok(terminal.out.line(&text)?);
    }
    let mut rows = vec![["PACKAGE", "VERSION"].map(str::to_owned).to_vec()];
    for package in listed {
        let text = |name: &str| printable(package[name].as_str().unwrap_or_default()).into_owned();
        rows.push(vec![text("path"), text("version")]);
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

fn pack_packages(folder: &Path) -> Result<pack::Packed, CliError> {
    if !folder.join("node_modules").is_dir() {
        let text = format!(
            "{} has no node_modules: run `npm ci --omit=dev` in it first",
            folder.display()
        );
        return Err(CliError::usage(text));
    }
    pack::pack(folder).map_err(|error| CliError::usage(error.to_string()))
}

async fn delete(args: &DeleteArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let workspace = &args.of.workspace;
    if !args.yes {
        let text = format!(
            "this would delete the workspace {workspace} with its packages, versions and log for \
             good: add --yes to do it"
        );
        return Err(CliError::usage(text));
    }
    let client = Client::new(&args.of.server)?;
    let request = client.at(Method::DELETE, &args.of.path());
    client.json(request, &args.of.subject()).await?;
    let text = if args.of.json {
        json!({ "deleted": true, "workspace": workspace }).to_string()
    } else {
        format!("deleted workspace {workspace}")
    };
    Ok(terminal.out.line(&text)?)
}

fn names(definition: &Value) -> Vec<String> {
    let functions = definition["functions"].as_object();
    let names = functions.into_iter().flatten().map(|(name, _)| name);
    names.map(|name| printable(name).into_owned()).collect()
}

#[cfg(test)]
mod tests;
