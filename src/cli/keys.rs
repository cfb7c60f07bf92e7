//! `ampoule keys …`: who may use the server, and for what.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, ServerArgs};
use super::output::{self, Terminal, printable};
use super::problem::{CliError, Subject};
use crate::clock;
use crate::id::{FunctionName, KeyId, TenantId};

/// Most keys that one request asks for.
const PAGE_LEN: usize = 1000;

/// Looks after API keys.
#[derive(Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  ampoule keys create ci --tenant acme --scope deploy --expires 90d
  ampoule keys create shop --tenant acme --scope invoke --function shop
  ampoule keys list --tenant acme
  ampoule keys revoke 01JD4W2Q6ZK8T3V5X7Y9B1C0DE

Scopes: admin (all, keys included), deploy (read and invoke, too), read, invoke. Without --tenant a
key is for all tenants. A key is shown once, when it is made; it is used like the server's own, as
AMPOULE_KEY."
)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make a key and show it, once
    Create(CreateArgs),
    /// List keys
    List(ListArgs),
    /// Revoke a key: from then on it is refused
    Revoke(RevokeArgs),
}

/// What all commands about keys take.
#[derive(Args)]
struct CommonArgs {
    /// The tenant that the keys are for [default: the whole server]
    #[arg(long, short, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
struct CreateArgs {
    /// What to call it
    name: String,
    /// What it is good for: admin, deploy, read or invoke; may be given many times
    #[arg(long, short, required = true, value_parser = ["admin", "deploy", "read", "invoke"])]
    scope: Vec<String>,
    /// The only function that it invokes
    #[arg(long, value_name = "NAME")]
    function: Option<FunctionName>,
    /// How long it is good, such as 12h or 90d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires: Option<u64>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
struct RevokeArgs {
    /// Id of the key: the part of it between amp_ and the second _
    #[arg(value_name = "ID")]
    key: KeyId,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    name: String,
    tenant: Option<String>,
    scopes: Vec<String>,
    function: Option<String>,
    created_ms: u64,
    expires_ms: Option<u64>,
    last_used_ms: Option<u64>,
}

impl KeysArgs {
    fn common(&self) -> &CommonArgs {
        match &self.command {
            KeysCommand::Create(args) => &args.common,
            KeysCommand::List(args) => &args.common,
            KeysCommand::Revoke(args) => &args.common,
        }
    }

    /// Whether results and errors are to be JSON.
    pub(super) fn json(&self) -> bool {
        self.common().json
    }
}

impl CommonArgs {
    fn path(&self) -> String {
        match &self.tenant {
            Some(tenant) => format!("tenants/{tenant}/keys"),
            None => "keys".to_owned(),
        }
    }
}

/// Carries out `ampoule keys …`.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn run(args: &KeysArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.common().server)?;
    match &args.command {
        KeysCommand::Create(args) => create(&client, args, terminal).await,
        KeysCommand::List(args) => list(&client, &args.common, terminal).await,
        KeysCommand::Revoke(args) => revoke(&client, args, terminal).await,
    }
}

/// What advice about keys and tenants is given on: no function.
pub(super) fn nobody() -> Subject {
    Subject {
        function: None,
        tenant_flag: String::new(),
    }
}

async fn create(
    client: &Client,
    args: &CreateArgs,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let expires_ms = args.expires.map(|ms| clock::now_ms().saturating_add(ms));
    let body = json!({
        "name": args.name, "scopes": args.scope, "function": args.function,
        "expires_ms": expires_ms,
    });
    let request = client.control(Method::POST, &args.common.path());
    let request = request.body(body.to_string());
    let answer = client.json(request, &nobody()).await?;
    if args.common.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    // The key alone is on stdout, for a script to keep.
    let token = answer["token"].as_str().unwrap_or_default();
    let id = answer["id"].as_str().unwrap_or_default();
    terminal.out.line(&printable(token))?;
    let note = format!(
        "this is the key, and it cannot be shown again\n  id      {}\n  use     AMPOULE_KEY=… ampoule list\n  revoke  ampoule keys revoke {}",
        printable(id),
        printable(id)
    );
    Ok(terminal.err.line(&note)?)
}

async fn list(client: &Client, args: &CommonArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let mut keys = Vec::new();
    let mut cursor = None::<String>;
    loop {
        let mut path = format!("{}?limit={PAGE_LEN}", args.path());
        if let Some(cursor) = &cursor {
            path.push_str(&format!("&cursor={cursor}"));
        }
        let answer = client.json(client.page(&path), &nobody()).await?;
        let page = answer["keys"].as_array().cloned().unwrap_or_default();
        keys.extend(page);
        match answer["cursor"].as_str() {
            Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
            _ => break,
        }
    }
    if args.json {
        return Ok(terminal.out.line(&json!({ "keys": keys }).to_string())?);
    }
    if keys.is_empty() {
        let next = "there are no keys\n  next  ampoule keys create NAME --scope deploy";
        return Ok(terminal.err.line(next)?);
    }
    let now_ms = clock::now_ms();
    let header = ["ID", "NAME", "TENANT", "SCOPES", "MADE", "USED", "EXPIRES"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for key in keys {
        rows.push(row(&client.typed(&key)?, now_ms));
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

fn row(key: &Key, now_ms: u64) -> Vec<String> {
    let scopes = key.scopes.join(",");
    let scopes = match &key.function {
        Some(function) => format!("{scopes} {function}"),
        None => scopes,
    };
    let used = key.last_used_ms.map(|used_ms| output::ago(used_ms, now_ms));
    let expires = match key.expires_ms {
        None => "never".to_owned(),
        Some(ms) if ms <= now_ms => "expired".to_owned(),
        Some(ms) => format!("in {}", span(ms - now_ms)),
    };
    let texts = [
        key.id.clone(),
        key.name.clone(),
        key.tenant.clone().unwrap_or_else(|| "all".to_owned()),
        scopes,
        output::ago(key.created_ms, now_ms),
        used.unwrap_or_else(|| "never".to_owned()),
        expires,
    ];
    texts.map(|text| printable(&text).into_owned()).to_vec()
}

async fn revoke(
    client: &Client,
    args: &RevokeArgs,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let path = format!("{}/{}", args.common.path(), args.key);
    let request = client.control(Method::DELETE, &path);
    client.json(request, &nobody()).await?;
    let text = if args.common.json {
        json!({ "revoked": true, "id": args.key }).to_string()
    } else {
        format!("revoked {}", args.key)
    };
    Ok(terminal.out.line(&text)?)
}

fn span(ms: u64) -> String {
    let minutes = ms / 60_000;
    match minutes {
        0..=119 => format!("{minutes} minutes"),
        120..=2_879 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

/// Reads a time such as `90d` as milliseconds.
fn parse_time(text: &str) -> Result<u64, String> {
    let units = [
        ('s', 1000),
        ('m', 60_000),
        ('h', 3_600_000),
        ('d', 86_400_000),
    ];
    let found = units.iter().find_map(|(unit, ms)| {
        let count: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        count.checked_mul(*ms).filter(|ms| *ms > 0)
    });
    found.ok_or_else(|| "write it as a number and s, m, h or d, for example 90d".to_owned())
}

/// The whole answer of a list with one more member than a table shows.
pub(super) fn members<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
