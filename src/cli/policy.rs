//! `ampoule policy`: what functions may connect to.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use serde_json::{Value, json};

use super::client::{Client, ServerArgs};
use super::deploy::read_text;
use super::output::{self, Style, Terminal, printable};
use super::problem::{CliError, EXIT_FAILED, Subject};
use crate::id::TenantId;
use crate::limits::POLICY_BYTES_MAX;
use crate::policies::{Policy, Preset};

/// Says what functions may connect to.
#[derive(Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  ampoule policy show                                    # the global policy
  ampoule policy preset public-only                      # nobody reaches private addresses
  ampoule policy set policy.json --tenant acme           # acme's own, asked after the global one
  ampoule policy test http://169.254.169.254/ --tenant acme

A policy is a list of rules and a default:
  {\"rules\": [{\"action\": \"allow\", \"target\": \"*.example.com\", \"ports\": [443]}], \"default\": \"deny\"}

The global rules are asked first, then those of the function's tenant; the first that matches
decides. Changes are in force at once. More in docs/network-policies.md."
)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

/// What to do with a policy.
#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Show a policy
    Show(ShowArgs),
    /// Replace a policy by one of a file
    Set(SetArgs),
    /// Replace a policy by one that has a name: allow-all or public-only
    Preset(PresetArgs),
    /// Remove a policy
    Remove(RemoveArgs),
    /// Ask what would be decided about a connection; nothing is connected to
    Test(TestArgs),
}

/// Whose policy, and where.
#[derive(Args)]
pub(super) struct ScopeArgs {
    /// The policy of this tenant, instead of the global one
    #[arg(long, short, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Shows a policy.
#[derive(Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Replaces a policy.
#[derive(Args)]
pub(super) struct SetArgs {
    /// File with the policy as JSON; - for stdin
    file: PathBuf,
    /// Replace only the policy with this tag, as `show` tells it
    #[arg(long, value_name = "TAG")]
    if_match: Option<String>,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Replaces a policy by a preset.
#[derive(Args)]
pub(super) struct PresetArgs {
    /// allow-all or public-only
    #[arg(value_parser = Preset::from_str)]
    preset: Preset,
    /// Print the preset as JSON, and change nothing
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Removes a policy.
#[derive(Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Asks what would be decided.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule policy test https://api.example.com/v1
  ampoule policy test wss://feed.example.com --tenant acme
  ampoule policy test https://api.example.com --address 10.0.0.7

Exits with 0 if the connection would be made, and with 1 if not.")]
pub(super) struct TestArgs {
    /// URL with the scheme http, https, ws or wss
    #[arg(value_name = "URL")]
    to: String,
    /// Take the name to resolve to this address
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    #[command(flatten)]
    scope: ScopeArgs,
}

impl PolicyArgs {
    /// Whether to report in JSON.
    pub(super) fn json(&self) -> bool {
        match &self.command {
            PolicyCommand::Show(args) => args.scope.json,
            PolicyCommand::Set(args) => args.scope.json,
            PolicyCommand::Preset(args) => args.scope.json,
            PolicyCommand::Remove(args) => args.scope.json,
            PolicyCommand::Test(args) => args.scope.json,
        }
    }
}

impl ScopeArgs {
    fn path(&self, rest: &str) -> String {
        match &self.tenant {
            Some(tenant) => format!("tenants/{tenant}/network-policy{rest}"),
            None => format!("network-policy{rest}"),
        }
    }

    fn name(&self) -> String {
        match &self.tenant {
            Some(tenant) => format!("the network policy of tenant {tenant}"),
            None => "the global network policy".to_owned(),
        }
    }

    fn flag(&self) -> String {
        let tenant = self.tenant.as_ref();
        tenant.map_or_else(String::new, |tenant| format!(" --tenant {tenant}"))
    }

    fn subject(&self) -> Subject {
        Subject {
            function: None,
            tenant_flag: self.flag(),
        }
    }
}

/// Carries out `ampoule policy`, and answers what the process should exit with.
///
/// # Errors
/// Usage, that no answer came, or what the server said.
pub(super) async fn run(args: &PolicyArgs, terminal: &mut Terminal) -> Result<u8, CliError> {
    match &args.command {
        PolicyCommand::Show(args) => show(args, terminal).await.map(|()| 0),
        PolicyCommand::Set(args) => set(args, terminal).await.map(|()| 0),
        PolicyCommand::Preset(args) => preset(args, terminal).await.map(|()| 0),
        PolicyCommand::Remove(args) => remove(args, terminal).await.map(|()| 0),
        PolicyCommand::Test(args) => test(args, terminal).await,
    }
}

async fn show(args: &ShowArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let scope = &args.scope;
    let client = Client::new(&scope.server)?;
    let request = client.control(Method::GET, &scope.path(""));
    let (answer, tag) = client.json_with_tag(request, &scope.subject()).await?;
    if scope.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let mut rows = vec![row([
        "RULE",
        "PRIORITY",
        "ACTION",
        "TARGET",
        "PORTS",
        "PROTOCOLS",
        "DESCRIPTION",
    ])];
    let rules = answer["rules"].as_array().map_or(&[][..], Vec::as_slice);
    for index in asked_in_order(rules) {
        let rule = &rules[index];
        let text = |name: &str| cell(&rule[name]);
        rows.push(vec![
            index.to_string(),
            text("priority"),
            text("action"),
            text("target"),
            all_unless(&rule["ports"]),
            all_unless(&rule["protocols"]),
            text("description"),
        ]);
    }
    if rows.len() > 1 {
        terminal.out.line(&output::table(&rows))?;
    }
    let default = cell(&answer["default"]);
    let text = format!("{}: {default} what no rule matches", scope.name());
    terminal.out.line(&text)?;
    if let Some(tag) = tag {
        let note = format!("tag {}", printable(&tag));
        let note = terminal.err.paint(Style::Dim, &note);
        terminal.err.line(&note)?;
    }
    Ok(())
}

/// The places of rules in the order in which they are asked.
fn asked_in_order(rules: &[Value]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rules.len()).collect();
    order.sort_by_key(|index| rules[*index]["priority"].as_u64().unwrap_or(0));
    order
}

async fn set(args: &SetArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let json = read_policy(&args.file)?;
    // Said here already, before anything is sent.
    Policy::parse(json.as_bytes())
        .map_err(|error| CliError::usage(format!("{}: {error}", args.file.display())))?;
    put(&args.scope, json, args.if_match.as_deref(), terminal).await
}

fn read_policy(file: &Path) -> Result<String, CliError> {
    let bytes_max = u64::try_from(POLICY_BYTES_MAX).unwrap_or(u64::MAX);
    let refuse = |why: String| CliError::usage(format!("cannot read {}: {why}", file.display()));
    if file != Path::new("-") {
        return read_text(file, bytes_max).map_err(|error| refuse(error.to_string()));
    }
    let mut text = String::new();
    let mut stdin = std::io::stdin().lock().take(bytes_max + 1);
    let read = stdin.read_to_string(&mut text);
    read.map_err(|error| refuse(error.to_string()))?;
    Ok(text)
}

async fn preset(args: &PresetArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let policy = args.preset.policy();
    let document = serde_json::to_string_pretty(policy.document())
        .map_err(|error| CliError::usage(error.to_string()))?;
    if args.print {
        return Ok(terminal.out.line(&document)?);
    }
    put(&args.scope, document, None, terminal).await
}

async fn put(
    scope: &ScopeArgs,
    json: String,
    if_match: Option<&str>,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let client = Client::new(&scope.server)?;
    let mut request = client
        .control(Method::PUT, &scope.path(""))
        .header(CONTENT_TYPE, "application/json")
        .body(json);
    if let Some(tag) = if_match {
        request = request.header(IF_MATCH, tag);
    }
    let answer = client.json(request, &scope.subject()).await?;
    if scope.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let rules = answer["rules"].as_array().map_or(0, Vec::len);
    let default = cell(&answer["default"]);
    let text = format!(
        "{} has {rules} rules now and the default {default}",
        scope.name()
    );
    Ok(terminal.out.line(&text)?)
}

async fn remove(args: &RemoveArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let scope = &args.scope;
    let client = Client::new(&scope.server)?;
    let request = client.control(Method::DELETE, &scope.path(""));
    client.json(request, &scope.subject()).await?;
    let text = if scope.json {
        json!({ "removed": true, "tenant": scope.tenant }).to_string()
    } else {
        format!("removed {}", scope.name())
    };
    Ok(terminal.out.line(&text)?)
}

async fn test(args: &TestArgs, terminal: &mut Terminal) -> Result<u8, CliError> {
    let scope = &args.scope;
    let client = Client::new(&scope.server)?;
    let mut question = json!({ "url": args.to });
    if let Some(address) = args.address {
        question["address"] = json!(address);
    }
    let request = client
        .control(Method::POST, &scope.path("/test"))
        .header(CONTENT_TYPE, "application/json")
        .body(question.to_string());
    let answer = client.json(request, &scope.subject()).await?;
    let allowed = answer["allowed"].as_bool().unwrap_or(false);
    let exit = if allowed { 0 } else { EXIT_FAILED };
    if scope.json {
        terminal.out.line(&answer.to_string())?;
        return Ok(exit);
    }
    let verdict = if allowed { "allowed" } else { "denied" };
    let text = format!("{verdict}: {}", cell(&answer["reason"]));
    terminal.out.line(&text)?;
    let mut rows = vec![row(["ADDRESS", "DECISION", "BY", "RULE"])];
    let addresses = answer["addresses"].as_array();
    for address in addresses.map_or(&[][..], Vec::as_slice) {
        let allowed = address["allowed"].as_bool().unwrap_or(false);
        rows.push(vec![
            cell(&address["address"]),
            if allowed { "allowed" } else { "denied" }.to_owned(),
            cell(&address["policy"]),
            rule_text(address),
        ]);
    }
    if rows.len() > 1 {
        terminal.out.line(&output::table(&rows))?;
    }
    Ok(exit)
}

/// The rule that decides, in short.
fn rule_text(decision: &Value) -> String {
    let Some(index) = decision["rule_index"].as_u64() else {
        return String::new();
    };
    let rule = &decision["rule"];
    let (action, target) = (cell(&rule["action"]), cell(&rule["target"]));
    format!("rules[{index}]: {action} {target}")
}

/// A value as it stands in a table: strings without quotes, nothing for null.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text).into_owned(),
        other => printable(&other.to_string()).into_owned(),
    }
}

fn all_unless(list: &Value) -> String {
    let Some(items) = list.as_array() else {
        return "all".to_owned();
    };
    items.iter().map(cell).collect::<Vec<_>>().join(", ")
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests;
