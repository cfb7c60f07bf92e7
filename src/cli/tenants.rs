//! `ampoule tenants …`: who there is, what they may use, and what they use.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, ServerArgs};
use super::keys::{members, nobody};
use super::output::{self, Terminal, printable};
use super::problem::CliError;
use crate::clock;
use crate::id::TenantId;

/// Looks after tenants.
#[derive(Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  ampoule tenants create acme --display-name 'Acme Ltd' --functions 20 --kv-bytes 100000000
  ampoule tenants set acme --requests-per-minute 600 --functions none
  ampoule tenants show acme
  ampoule tenants delete acme --yes

A tenant also comes into being when somebody deploys for it with a key for all tenants."
)]
pub struct TenantsArgs {
    #[command(subcommand)]
    command: TenantsCommand,
}

#[derive(Subcommand)]
enum TenantsCommand {
    /// List tenants
    List(ListArgs),
    /// Show a tenant: what it may use, and what it uses
    Show(OneArgs),
    /// Make a tenant
    Create(ChangeArgs),
    /// Change a tenant's name for people or its quotas
    Set(ChangeArgs),
    /// Delete a tenant with all that it has
    Delete(DeleteArgs),
}

#[derive(Args)]
struct ListArgs {
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
struct OneArgs {
    /// Name of the tenant
    #[arg(value_name = "TENANT")]
    tenant: TenantId,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Args)]
struct ChangeArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Its name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Functions that it may have: a number, or none for no bound; likewise those below
    #[arg(long, value_name = "NUMBER", value_parser = parse_quota)]
    functions: Option<Quota>,
    /// Bytes that it may have in kv
    #[arg(long, value_name = "NUMBER", value_parser = parse_quota)]
    kv_bytes: Option<Quota>,
    /// Invocations that may run at once
    #[arg(long, value_name = "NUMBER", value_parser = parse_quota)]
    concurrent: Option<Quota>,
    /// Requests to its functions in a minute
    #[arg(long, value_name = "NUMBER", value_parser = parse_quota)]
    requests_per_minute: Option<Quota>,
    /// Fuel that its functions may use in a minute
    #[arg(long, value_name = "NUMBER", value_parser = parse_quota)]
    fuel_per_minute: Option<Quota>,
    /// Outbound requests of its functions in a minute
    #[arg(long, value_name = "NUMBER", value_parser = parse_quota)]
    subrequests_per_minute: Option<Quota>,
}

#[derive(Args)]
struct DeleteArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Do delete it
    #[arg(long, short)]
    yes: bool,
}

/// A quota as written: a number, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quota(Option<u64>);

impl TenantsArgs {
    fn list(&self) -> &ListArgs {
        match &self.command {
            TenantsCommand::List(args) => args,
            TenantsCommand::Show(args) => &args.list,
            TenantsCommand::Create(args) | TenantsCommand::Set(args) => &args.one.list,
            TenantsCommand::Delete(args) => &args.one.list,
        }
    }

    /// Whether results and errors are to be JSON.
    pub(super) fn json(&self) -> bool {
        self.list().json
    }
}

/// Carries out `ampoule tenants …`.
///
/// # Errors
/// Usage without `--yes`, that no answer came, or what the server said.
pub(super) async fn run(args: &TenantsArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.list().server)?;
    match &args.command {
        TenantsCommand::List(args) => list(&client, args, terminal).await,
        TenantsCommand::Show(args) => show(&client, args, terminal).await,
        TenantsCommand::Create(args) => create(&client, args, terminal).await,
        TenantsCommand::Set(args) => set(&client, args, terminal).await,
        TenantsCommand::Delete(args) => delete(&client, args, terminal).await,
    }
}

async fn list(client: &Client, args: &ListArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let mut tenants: Vec<Value> = Vec::new();
    let mut path = "tenants?limit=1000".to_owned();
    loop {
        let answer = client.json(client.page(&path), &nobody()).await?;
        tenants.extend(members(&answer, "tenants").iter().cloned());
        let Some(cursor) = answer["cursor"].as_str() else {
            break;
        };
        let next = format!("tenants?limit=1000&cursor={cursor}");
        if next == path {
            break;
        }
        path = next;
    }
    if args.json {
        return Ok(terminal
            .out
            .line(&json!({ "tenants": tenants }).to_string())?);
    }
    if tenants.is_empty() {
        let text = "there are no tenants\n  next  ampoule tenants create NAME";
        return Ok(terminal.err.line(text)?);
    }
    let now_ms = clock::now_ms();
    let header = ["TENANT", "NAME", "MADE", "QUOTAS"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for tenant in &tenants {
        let text = |name: &str| tenant[name].as_str().unwrap_or_default().to_owned();
        let made = output::ago(tenant["created_ms"].as_u64().unwrap_or_default(), now_ms);
        let cells = [text("tenant"), text("display_name"), made, quotas(tenant)];
        rows.push(cells.map(|cell| printable(&cell).into_owned()).to_vec());
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

/// The quotas of a tenant on one line.
fn quotas(tenant: &Value) -> String {
    let quotas = tenant["quotas"].as_object().cloned().unwrap_or_default();
    let quotas = quotas.iter().map(|(name, value)| format!("{name}={value}"));
    let line = quotas.collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        "none".to_owned()
    } else {
        line
    }
}

async fn show(client: &Client, args: &OneArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let path = format!("tenants/{}", args.tenant);
    let request = client.control(Method::GET, &path);
    let answer = client.json(request, &nobody()).await?;
    if args.list.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let mut rows = vec![["", "USED", "QUOTA"].map(str::to_owned).to_vec()];
    let lines = [
        ("functions", "functions", "functions"),
        ("bytes in kv", "kv_bytes", "kv_bytes"),
        ("running now", "running", "concurrent"),
        ("invocations", "invocations", ""),
        ("fuel", "fuel", ""),
        ("subrequests", "subrequests", ""),
        ("refused", "refused", ""),
        ("requests a minute", "", "requests_per_minute"),
        ("fuel a minute", "", "fuel_per_minute"),
        ("subrequests a minute", "", "subrequests_per_minute"),
    ];
    for (label, used, quota) in lines {
        let number = |value: &Value| value.as_u64().map(|number| number.to_string());
        let used = number(&answer["usage"][used]).unwrap_or_default();
        let quota = match (quota, number(&answer["quotas"][quota])) {
            ("", _) => String::new(),
            (_, quota) => quota.unwrap_or_else(|| "none".to_owned()),
        };
        rows.push(vec![label.to_owned(), used, quota]);
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

impl ChangeArgs {
    /// The quotas that were given, by their names in the API.
    fn quotas(&self) -> Map<String, Value> {
        let given = [
            ("functions", self.functions),
            ("kv_bytes", self.kv_bytes),
            ("concurrent", self.concurrent),
            ("requests_per_minute", self.requests_per_minute),
            ("fuel_per_minute", self.fuel_per_minute),
            ("subrequests_per_minute", self.subrequests_per_minute),
        ];
        let given = given.into_iter();
        given
            .filter_map(|(name, quota)| Some((name.to_owned(), json!(quota?.0))))
            .collect()
    }
}

async fn create(
    client: &Client,
    args: &ChangeArgs,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let tenant = &args.one.tenant;
    let body = json!({
        "tenant": tenant, "display_name": args.display_name, "quotas": args.quotas(),
    });
    let request = client
        .control(Method::POST, "tenants")
        .body(body.to_string());
    let answer = client.json(request, &nobody()).await?;
    said(args, &answer, &format!("made tenant {tenant}"), terminal)
}

async fn set(client: &Client, args: &ChangeArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let tenant = &args.one.tenant;
    let mut body = json!({ "quotas": args.quotas() });
    if let Some(name) = &args.display_name {
        body["display_name"] = json!(name);
    }
    let path = format!("tenants/{tenant}");
    let request = client.control(Method::PATCH, &path).body(body.to_string());
    let answer = client.json(request, &nobody()).await?;
    let text = format!("tenant {tenant} has the quotas {}", quotas(&answer));
    said(args, &answer, &text, terminal)
}

fn said(
    args: &ChangeArgs,
    answer: &Value,
    text: &str,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    if args.one.list.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    Ok(terminal.out.line(&printable(text))?)
}

async fn delete(
    client: &Client,
    args: &DeleteArgs,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let tenant = &args.one.tenant;
    let what = format!("tenant {tenant} with its functions, kv, logs and keys");
    if !args.yes {
        let text = format!("this would delete {what} for good: add --yes to do it");
        return Err(CliError::usage(text));
    }
    let request = client.control(Method::DELETE, &format!("tenants/{tenant}"));
    client.json(request, &nobody()).await?;
    let text = if args.one.list.json {
        json!({ "deleted": true, "tenant": tenant }).to_string()
    } else {
        format!("deleted {what}")
    };
    Ok(terminal.out.line(&text)?)
}

/// Reads a quota; `_` may group the digits.
fn parse_quota(text: &str) -> Result<Quota, String> {
    if text == "none" {
        return Ok(Quota(None));
    }
    let number = text.replace('_', "").parse();
    number
        .map(|number| Quota(Some(number)))
        .map_err(|_| "give a whole number, or none".to_owned())
}

#[cfg(test)]
mod tests;
