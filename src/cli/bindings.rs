//! `ampoule bindings`: what a tenant's event functions may call of the platform.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, ServerArgs, TenantArgs};
use super::invoke::read_body;
use super::output::{self, Terminal, printable};
use super::problem::CliError;
use crate::clock;
use crate::id::FunctionName;

/// Manages the functions of the platform that event functions may call.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule bindings set db_query https://platform.example/db --parameters '[{\"type\": \"string\"}]'
  ampoule bindings set log https://platform.example/log --header \"authorization: Bearer $TOKEN\"
  ampoule bindings list
  ampoule bindings delete log --yes

In an event function, `await db_query('SELECT 1')` then sends {\"binding\", \"tenant\", \"function\",
\"invocation\", \"arguments\": [\"SELECT 1\"]} to the URL, and resolves to the `result` of its answer.
A binding comes before a global of the same name, such as fetch. Changes take effect with the
next invocation.")]
pub struct BindingsArgs {
    #[command(subcommand)]
    pub(super) action: Action,
}

/// What to do with bindings.
#[derive(Subcommand)]
pub(super) enum Action {
    /// List the bindings of a tenant
    List(ListArgs),
    /// Write a binding, in the place of the one of the same name
    Set(Box<SetArgs>),
    /// Show a binding as JSON, without the values of its headers
    Show(ShowArgs),
    /// Delete a binding
    Delete(DeleteArgs),
}

impl Action {
    /// Whether the command prints JSON.
    pub(super) fn json(&self) -> bool {
        match self {
            Self::List(args) => args.json,
            Self::Set(args) => args.json,
            Self::Show(_) => true,
            Self::Delete(args) => args.json,
        }
    }
}

/// Lists bindings.
#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    tenant: TenantArgs,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Writes a binding.
#[derive(Args)]
pub(super) struct SetArgs {
    /// What functions call it: an identifier of JavaScript
    name: String,
    /// Where calls are sent: an absolute http or https URL
    #[arg(value_name = "ADDRESS")]
    target: String,
    #[command(flatten)]
    tenant: TenantArgs,
    /// Method of the request: POST, PUT or PATCH [default: POST]
    #[arg(long, short = 'X')]
    method: Option<String>,
    /// Header sent along, kept secret by the server; may be given many times
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// JSON Schema of the arguments, a list with one for each: the text itself or @FILE
    #[arg(long, value_name = "JSON")]
    parameters: Option<String>,
    /// How long a call may take, in milliseconds [default: 5000]
    #[arg(long, value_name = "NUMBER")]
    timeout_ms: Option<u64>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Only this event function has it; may be given many times [default: all of the tenant's]
    #[arg(long = "function", value_name = "FUNCTION")]
    functions: Vec<FunctionName>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Shows a binding.
#[derive(Args)]
pub(super) struct ShowArgs {
    /// Name of the binding
    name: String,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Deletes a binding.
#[derive(Args)]
pub(super) struct DeleteArgs {
    /// Name of the binding
    name: String,
    #[command(flatten)]
    tenant: TenantArgs,
    /// Do delete it
    #[arg(long, short)]
    yes: bool,
    /// Print what was deleted as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// A binding as the control plane describes it; what is not read here is left out.
#[derive(Deserialize)]
struct Binding {
    name: String,
    url: String,
    method: String,
    timeout_ms: u64,
    functions: Option<Vec<String>>,
    updated_ms: u64,
}

/// Carries out `ampoule bindings`.
///
/// # Errors
/// Usage, that no answer came, or what the server said.
pub(super) async fn run(args: &BindingsArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    match &args.action {
        Action::List(args) => list(args, terminal).await,
        Action::Set(args) => set(args, terminal).await,
        Action::Show(args) => show(args, terminal).await,
        Action::Delete(args) => delete(args, terminal).await,
    }
}

async fn list(args: &ListArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let path = format!("tenants/{}/bindings", args.tenant.tenant);
    let request = client.control(Method::GET, &path);
    let answer = client.json(request, &args.tenant.subject()).await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let bindings: Vec<Binding> = client.typed(&answer["bindings"])?;
    if bindings.is_empty() {
        let (tenant, flag) = (&args.tenant.tenant, args.tenant.flag());
        let text = format!(
            "tenant {tenant} has no bindings\n  next  ampoule bindings set NAME ADDRESS{flag}"
        );
        return Ok(terminal.err.line(&text)?);
    }
    let now_ms = clock::now_ms();
    let titles = [
        "NAME",
        "METHOD",
        "ADDRESS",
        "TIMEOUT",
        "FUNCTIONS",
        "CHANGED",
    ];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for binding in bindings {
        let functions = binding
            .functions
            .map_or("all".to_owned(), |all| all.join(", "));
        rows.push(vec![
            printable(&binding.name).into_owned(),
            printable(&binding.method).into_owned(),
            printable(&binding.url).into_owned(),
            format!("{} ms", binding.timeout_ms),
            printable(&functions).into_owned(),
            output::ago(binding.updated_ms, now_ms),
        ]);
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

async fn set(args: &SetArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let request = client
        .control(Method::PUT, &path(&args.tenant, &args.name))
        .header(CONTENT_TYPE, "application/json")
        .body(definition(args)?.to_string());
    let answer = client.json(request, &args.tenant.subject()).await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let (name, url) = (&args.name, printable(&args.target));
    let text = format!("{name} leads to {url}, from the next invocation on");
    Ok(terminal.out.line(&text)?)
}

/// What is sent: only what was given, so that the server's defaults are its own.
fn definition(args: &SetArgs) -> Result<Value, CliError> {
    let mut definition = json!({ "url": args.target });
    if let Some(method) = &args.method {
        definition["method"] = json!(method.to_ascii_uppercase());
    }
    if !args.headers.is_empty() {
        let headers: BTreeMap<_, _> = args.headers.iter().cloned().collect();
        definition["headers"] = json!(headers);
    }
    if let Some(parameters) = &args.parameters {
        let schema = serde_json::from_slice(&read_body(parameters)?);
        let schema: Value = schema
            .map_err(|error| CliError::usage(format!("--parameters is not JSON: {error}")))?;
        definition["parameters"] = schema;
    }
    if let Some(timeout_ms) = args.timeout_ms {
        definition["timeout_ms"] = json!(timeout_ms);
    }
    if let Some(description) = &args.description {
        definition["description"] = json!(description);
    }
    if !args.functions.is_empty() {
        definition["functions"] = json!(args.functions);
    }
    Ok(definition)
}

async fn show(args: &ShowArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let request = client.control(Method::GET, &path(&args.tenant, &args.name));
    let answer = client.json(request, &args.tenant.subject()).await?;
    Ok(terminal.out.line(&answer.to_string())?)
}

async fn delete(args: &DeleteArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let name = &args.name;
    if !args.yes {
        let text = format!("this would delete the binding {name} for good: add --yes to do it");
        return Err(CliError::usage(text));
    }
    let client = Client::new(&args.server)?;
    let request = client.control(Method::DELETE, &path(&args.tenant, name));
    client.json(request, &args.tenant.subject()).await?;
    let text = if args.json {
        json!({ "deleted": true, "tenant": args.tenant.tenant, "binding": name }).to_string()
    } else {
        format!("deleted the binding {name}")
    };
    Ok(terminal.out.line(&text)?)
}

/// The path of a binding; a name that is none is for the server to refuse.
fn path(tenant: &TenantArgs, name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            if matches!(c, '/' | '?' | '#' | '%') {
                '-'
            } else {
                c
            }
        })
        .collect();
    format!("tenants/{}/bindings/{name}", tenant.tenant)
}

/// Reads `NAME: VALUE`.
fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'NAME: VALUE'")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests;
