//! `ampoule audit`: who changed what.

use clap::Args;
use serde_json::Value;

use super::client::{Client, ServerArgs};
use super::keys::{members, nobody};
use super::output::{self, Terminal, printable};
use super::problem::CliError;
use crate::clock;
use crate::id::TenantId;

/// Shows the audit log, newest first.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule audit
  ampoule audit --tenant acme --limit 10
  ampoule audit --json | jq -r '.entries[] | select(.status >= 400).target'")]
pub struct AuditArgs {
    /// Only what names this tenant
    #[arg(long, short, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Most entries to show
    #[arg(long, default_value_t = 100, value_name = "NUMBER",
        value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Go on with what is older: the cursor of an answer before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<u64>,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Carries out `ampoule audit`.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn run(args: &AuditArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let mut path = match &args.tenant {
        Some(tenant) => format!("tenants/{tenant}/audit?limit={}", args.limit),
        None => format!("audit?limit={}", args.limit),
    };
    if let Some(cursor) = args.cursor {
        path.push_str(&format!("&cursor={cursor}"));
    }
    let answer = client.json(client.page(&path), &nobody()).await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let entries = members(&answer, "entries");
    if entries.is_empty() {
        return Ok(terminal.err.line("nothing was changed so far")?);
    }
    let now_ms = clock::now_ms();
    let header = ["WHEN", "WHO", "STATUS", "WHAT"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(|entry| row(entry, now_ms)));
    terminal.out.line(&output::table(&rows))?;
    if let Some(cursor) = answer["cursor"].as_str() {
        let text = format!("there is more: add --cursor {}", printable(cursor));
        terminal.err.line(&text)?;
    }
    Ok(())
}

fn row(entry: &Value, now_ms: u64) -> Vec<String> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let who = match text("actor_name") {
        "" => text("actor").to_owned(),
        name => format!("{} ({name})", text("actor")),
    };
    let status = match (entry["status"].as_u64(), text("code")) {
        (None, _) => "?".to_owned(),
        (Some(status), "") => status.to_string(),
        (Some(status), code) => format!("{status} {code}"),
    };
    let method = text("action").split(' ').next().unwrap_or_default();
    let when = output::ago(entry["timestamp_ms"].as_u64().unwrap_or_default(), now_ms);
    let cells = [when, who, status, format!("{method} {}", text("target"))];
    cells.map(|cell| printable(&cell).into_owned()).to_vec()
}

#[cfg(test)]
mod tests;
