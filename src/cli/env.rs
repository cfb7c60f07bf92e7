//! `ampoule env`: which environment variables a function has, and changing them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, FunctionArgs, ServerArgs, Version, function_path, json_body};
use super::deploy::DEPLOY_TIMEOUT;
use super::output::{Terminal, printable};
use super::problem::CliError;
use super::settings::{parse_env, read_env_file, secrets_of};

/// Lists or changes the environment of a function.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule env list shop
  ampoule env set shop CURRENCY=EUR TAX=19
  ampoule env set shop --env-file .env --replace
  STRIPE_KEY=sk_live_1 ampoule env set shop --secret STRIPE_KEY
  ampoule env unset shop TAX

A version never changes, so an edit makes a new one with the same files. It answers from then on if
the one that was edited did; `ampoule rollback` leads back. Values are not shown: they may be
secret.")]
pub struct EnvArgs {
    #[command(subcommand)]
    command: EnvCommand,
}

/// What to do with an environment.
#[derive(Subcommand)]
enum EnvCommand {
    /// List the names of the variables
    List(ListArgs),
    /// Set variables, and leave the others as they are
    Set(SetArgs),
    /// Take variables away
    Unset(UnsetArgs),
}

/// Which environment.
#[derive(Args)]
struct OfVersion {
    #[command(flatten)]
    function: FunctionArgs,
    /// The version [default: the active one, or the newest while none is active]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "NUMBER")]
    version: Option<u64>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    of: OfVersion,
}

#[derive(Args)]
struct SetArgs {
    #[command(flatten)]
    of: OfVersion,
    /// Variables
    #[arg(value_name = "NAME=VALUE", value_parser = parse_env)]
    variables: Vec<(String, String)>,
    /// File with variables; those of the command line win
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Secret, kept sealed: its value is taken from the environment variable of that name; may be
    /// given many times
    #[arg(long, value_name = "NAME")]
    secret: Vec<String>,
    /// Take away every variable that is not given; secrets stay, unless one is given
    #[arg(long)]
    replace: bool,
}

#[derive(Args)]
struct UnsetArgs {
    #[command(flatten)]
    of: OfVersion,
    /// Names of variables
    #[arg(required = true, value_name = "VARIABLE")]
    names: Vec<String>,
}

impl EnvArgs {
    /// Whether errors are to be JSON.
    pub(super) fn json(&self) -> bool {
        match &self.command {
            EnvCommand::List(args) => args.of.json,
            EnvCommand::Set(args) => args.of.json,
            EnvCommand::Unset(args) => args.of.json,
        }
    }
}

/// Carries out `ampoule env`.
///
/// # Errors
/// Usage, that no answer came, or what the server said.
pub(super) async fn run(args: &EnvArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    match &args.command {
        EnvCommand::List(args) => list(&args.of, terminal).await,
        EnvCommand::Set(args) => set(args, terminal).await,
        EnvCommand::Unset(args) => {
            let names = args.names.iter().map(|name| (name.clone(), Value::Null));
            let changes: Map<String, Value> = names.collect();
            let body = json!({ "env": changes, "secrets": changes });
            edit(&args.of, Method::PATCH, body, terminal).await
        }
    }
}

async fn list(of: &OfVersion, terminal: &mut Terminal) -> Result<(), CliError> {
    let answer = of.send(Method::GET, None).await?.1;
    if of.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let names = |sort: &str| answer[sort].as_array().map_or(&[][..], Vec::as_slice);
    let (env, secrets) = (names("env"), names("secrets"));
    if env.is_empty() && secrets.is_empty() {
        let text = format!("version {} has no environment variables", answer["version"]);
        return Ok(terminal.err.line(&text)?);
    }
    for (sort, mark) in [(env, ""), (secrets, " (secret)")] {
        for name in sort {
            let name = printable(name.as_str().unwrap_or_default());
            terminal.out.line(&format!("{name}{mark}"))?;
        }
    }
    Ok(())
}

async fn set(args: &SetArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let mut variables = BTreeMap::new();
    if let Some(path) = &args.env_file {
        variables.extend(read_env_file(path)?);
    }
    variables.extend(args.variables.iter().cloned());
    let secrets = secrets_of(&args.secret)?;
    if variables.is_empty() && secrets.is_empty() && !args.replace {
        return Err(CliError::usage(
            "give variables, as NAME=VALUE, or --secret NAME",
        ));
    }
    let method = if args.replace {
        Method::PUT
    } else {
        Method::PATCH
    };
    let mut body = json!({ "env": variables });
    if !secrets.is_empty() {
        body["secrets"] = Value::Object(secrets);
    }
    edit(&args.of, method, body, terminal).await
}

async fn edit(
    of: &OfVersion,
    method: Method,
    body: Value,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let (client, answer) = of.send(method, Some(body)).await?;
    if of.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let version: Version = client.typed(&answer)?;
    let FunctionArgs { function, tenant } = &of.function;
    let (number, flag) = (version.version, tenant.flag());
    let text = if version.active {
        format!("{function} version {number} is active, with this environment")
    } else {
        format!(
            "{function} version {number} is stored with this environment, not active\n  next  \
             ampoule activate {function} {number}{flag}"
        )
    };
    Ok(terminal.out.line(&text)?)
}

impl OfVersion {
    async fn send(&self, method: Method, body: Option<Value>) -> Result<(Client, Value), CliError> {
        let client = Client::new(&self.server)?;
        let FunctionArgs { function, tenant } = &self.function;
        let path = format!("{}/env", function_path(tenant, function));
        let mut request = client.control(method, &path).timeout(DEPLOY_TIMEOUT);
        if let Some(version) = self.version {
            request = request.query(&[("version", version.to_string())]);
        }
        if let Some(body) = body {
            request = json_body(request, &body);
        }
        let answer = client.json(request, &tenant.subject_of(function)).await?;
        Ok((client, answer))
    }
}

#[cfg(test)]
mod tests;
