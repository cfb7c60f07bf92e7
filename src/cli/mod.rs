//! The command line: every command's arguments, and the commands that talk to a server.
//!
//! [`parse`] reads the arguments and the environment. `serve` and `dev` are run by the server's
//! own code; all other commands are carried out by [`run`], over HTTP only, so they work the same
//! against any server. Results go to stdout, everything else to stderr; with `--json` both are
//! JSON, one document a line.

mod audit;
mod bindings;
mod call;
mod client;
mod completions;
mod config;
mod deploy;
mod dev;
mod doctor;
mod download;
mod env;
mod invocations;
mod invoke;
mod keys;
mod logs;
mod observe;
mod output;
pub mod pack;
mod packages;
mod policy;
mod problem;
mod progress;
mod schedules;
mod serve;
mod serve_workspaces;
mod settings;
mod tail;
mod tenants;
mod versions;
mod workspaces;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use self::audit::AuditArgs;
pub use self::bindings::BindingsArgs;
pub use self::call::CallArgs;
pub use self::client::{FunctionArgs, ServerArgs, TenantArgs};
pub use self::completions::CompletionsArgs;
pub use self::config::ConfigArgs;
pub use self::deploy::DeployArgs;
pub use self::dev::dev;
pub use self::doctor::DoctorArgs;
pub use self::download::DownloadArgs;
pub use self::env::EnvArgs;
pub use self::invocations::{InvocationsArgs, RetentionArgs};
pub use self::invoke::{InvokeArgs, RequestArgs, TestArgs};
pub use self::keys::KeysArgs;
pub use self::logs::LogsArgs;
pub use self::observe::ObserveArgs;
pub use self::policy::PolicyArgs;
pub use self::problem::CliError;
pub use self::schedules::SchedulesArgs;
pub use self::serve::serve;
pub use self::serve_workspaces::WorkspaceServeArgs;
pub use self::settings::SettingsArgs;
pub use self::tenants::TenantsArgs;
pub use self::versions::{
    ActivateArgs, DeleteArgs, ListArgs, RollbackArgs, SplitArgs, VersionsArgs,
};
pub use self::workspaces::WorkspacesArgs;
use crate::id::FunctionName;
use crate::limits::STORE_CACHE_MIB;
use crate::policies::Preset;

/// The port that is listened on when nothing says otherwise.
const DEFAULT_PORT: u16 = 4000;

#[derive(Parser)]
#[command(
    name = "ampoule",
    version,
    about = "Runs JavaScript functions, each request in a fresh WebAssembly sandbox",
    after_help = "\
Examples:
  ampoule dev hello.js                  # serve a file or folder, reload it on change
  ampoule serve                         # the server, on http://127.0.0.1:4000
  ampoule deploy ./shop --name shop
  ampoule invoke shop/items
  ampoule logs shop -f

A function is a file that exports a handler, or a folder with one and its packages:
  module.exports = (req, res) => res.json({ hello: 'world' });

All commands but `serve` and `dev` talk to a running server: the one at AMPOULE_URL
(default http://127.0.0.1:4000), with the key AMPOULE_KEY if it asks for one. Settings may also
stand in ampoule.toml, see `ampoule config`. `ampoule doctor` looks for what is wrong.
`ampoule COMMAND --help` has examples of each.",
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A command with its arguments.
#[derive(Subcommand)]
pub enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Serve one file or folder and reload it on change
    Dev(DevArgs),
    /// Upload a file or a folder as a new version of a function
    Deploy(DeployArgs),
    /// Send one request to a function
    Invoke(InvokeArgs),
    /// Call an event function with an event
    Call(CallArgs),
    /// Show a function's log
    Logs(LogsArgs),
    /// Show a function's invocations: how they ended, what they cost, and their logs
    Invocations(InvocationsArgs),
    /// Show or set how long a function's invocations and logs are kept
    Retention(RetentionArgs),
    /// List the versions of a function
    Versions(VersionsArgs),
    /// Make a version the one that answers; also the way back to an older one
    Activate(ActivateArgs),
    /// Make the version active that was so before
    Rollback(RollbackArgs),
    /// Let another version answer a part of the requests
    Split(SplitArgs),
    /// Send one request to a version, active or not
    Test(TestArgs),
    /// Download the files of a version
    Download(DownloadArgs),
    /// List or change the environment of a function
    Env(EnvArgs),
    /// Delete a function, or one of its versions
    Delete(DeleteArgs),
    /// List the functions of a tenant
    List(ListArgs),
    /// Run functions at certain times, without a request
    Schedules(SchedulesArgs),
    /// Say what functions may connect to
    Policy(PolicyArgs),
    /// Manage the functions of the platform that event functions may call
    Bindings(BindingsArgs),
    /// Make, show, run and delete workspaces: functions that are run by name
    Workspaces(WorkspacesArgs),
    /// Look after tenants, their quotas and what they use
    Tenants(TenantsArgs),
    /// Look after API keys: who may do what
    Keys(KeysArgs),
    /// Show who changed what
    Audit(AuditArgs),
    /// Look for what would keep Ampoule from working well
    Doctor(DoctorArgs),
    /// Say where settings come from
    Config(ConfigArgs),
    /// Print what makes a shell complete commands and options
    Completions(CompletionsArgs),
    /// Transforms TypeScript for a server, which starts this itself
    #[command(hide = true)]
    Transform,
}

/// Runs the server.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule serve
  PORT=8080 ampoule serve --data /var/lib/ampoule
  AMPOULE_KEY=… ampoule serve --listen 0.0.0.0:4000
  ampoule serve --listen 0.0.0.0:4000 --api-listen 127.0.0.1:4001

Without a key, functions can be managed only from this machine, and the server refuses to listen
on any other address than a loopback one. With a key, every command that manages functions needs
it; invoking them never does.

Once it listens it says so on stdout, in one line: listening on http://127.0.0.1:4000
With --api-listen there is a second one: control plane on http://127.0.0.1:4001
On SIGTERM or Ctrl-C it finishes what is in progress, for at most 30 seconds; a second signal ends
it at once. Its own log is on stderr, and RUST_LOG says how much of it: warn, info, debug.")]
pub struct ServeArgs {
    /// Address to listen on, such as 0.0.0.0:4000 [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_listen)]
    pub listen: Option<SocketAddr>,
    /// Address for the control plane alone, which --listen does not answer then
    #[arg(
        long,
        env = "AMPOULE_API_LISTEN",
        hide_env_values = true,
        value_name = "ADDRESS:PORT",
        value_parser = parse_listen
    )]
    pub api_listen: Option<SocketAddr>,
    /// Port on 127.0.0.1, unless --listen is given
    #[arg(long, env = "PORT", hide_env_values = true, value_name = "PORT")]
    pub port: Option<u16>,
    /// Folder for everything that the server keeps, made if there is none [default: ./data]
    #[arg(
        long,
        env = "AMPOULE_DATA",
        hide_env_values = true,
        value_name = "FOLDER"
    )]
    pub data: Option<PathBuf>,
    /// A secret of your choice, which deploying and managing functions then needs
    #[arg(long, env = "AMPOULE_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// What secrets are sealed under: 64 digits of 0-9 and a-f [default: master.key in --data]
    #[arg(
        long,
        env = "AMPOULE_MASTER_KEY",
        hide_env_values = true,
        value_name = "DIGITS"
    )]
    pub master_key: Option<String>,
    /// Take clients' addresses from x-forwarded-for: only behind a proxy that sets it
    #[arg(long)]
    pub trust_proxy: bool,
    /// Folder for compiled code, which can be made again [default: cache in --data]
    #[arg(long, value_name = "FOLDER")]
    pub cache: Option<PathBuf>,
    /// Requests that functions may work on at once; one more is answered with 503
    #[arg(long, default_value_t = 512, value_parser = parse_count, value_name = "NUMBER")]
    pub max_concurrent: usize,
    /// The same for the functions of one tenant; one more is answered with 429
    #[arg(long, default_value_t = 128, value_parser = parse_count, value_name = "NUMBER")]
    pub max_concurrent_per_tenant: usize,
    /// Memory for pages of the data file, in MiB: more is worth it if functions read much of a large kv
    #[arg(long, default_value_t = STORE_CACHE_MIB, value_parser = parse_count, value_name = "MIB")]
    pub store_cache_mib: usize,
    /// What functions may connect to until a global policy is stored: allow-all or public-only
    #[arg(
        long,
        env = "AMPOULE_NETWORK_POLICY",
        hide_env_values = true,
        default_value = "allow-all",
        value_parser = Preset::from_str,
        value_name = "PRESET"
    )]
    pub network_policy: Preset,
    /// How the server's own log is written to stderr: text or json
    #[arg(
        long,
        value_enum,
        default_value_t = LogFormat::Text,
        hide_possible_values = true,
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
    /// What is kept and told of what happens.
    #[command(flatten)]
    pub observe: ObserveArgs,
    #[command(flatten)]
    pub(super) workspaces: WorkspaceServeArgs,
}

impl ServeArgs {
    /// The data folder: as given, under either name, or the usual one.
    pub fn data(&self) -> PathBuf {
        let given = self.data.as_ref();
        let given = given.or(self
            .workspaces
            .functions_storage_filesystem_dirpath
            .as_ref());
        given.map_or_else(|| PathBuf::from("./data"), Clone::clone)
    }

    /// The address to listen on: `--listen`, else the port on 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| {
            let port = self.port.unwrap_or(DEFAULT_PORT);
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
        })
    }
}

/// How the server writes its own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON document a line.
    Json,
}

/// Serves one file or folder while it is being written.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ampoule dev hello.js
  ampoule dev ./shop --env CURRENCY=EUR --listen 127.0.0.1:0    # 0: any free port
  ampoule dev ./shop --env-file .env --route /items/:id --limit wall_ms=5000
  ampoule dev greet.js --kind event    # called with events instead of requests

The function is loaded again whenever a file changes, and its log is written to the terminal.
What does not load is told, and the version before it goes on answering. Nothing is kept: kv is
empty at every start. What the engine was compiled to is kept in $XDG_CACHE_HOME/ampoule, or
~/.cache/ampoule. Limits and packages are as for `ampoule deploy`. Ctrl-C ends it.")]
pub struct DevArgs {
    /// A file of JavaScript, TypeScript or JSX, or a folder
    pub path: PathBuf,
    /// Address to listen on; port 0 picks a free one
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:4000",
        value_parser = parse_listen
    )]
    pub listen: SocketAddr,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Name of the function [default: the name of the folder or file]
    #[arg(long, short, value_parser = parse_name)]
    pub name: Option<String>,
}

impl DevArgs {
    /// The function's name: `--name`, else the one that the path yields.
    ///
    /// # Errors
    /// Usage, when the path is missing or its name is not allowed; the text says to give one.
    pub fn function_name(&self) -> Result<FunctionName, CliError> {
        match &self.name {
            Some(name) => name
                .parse()
                .map_err(|error| CliError::usage(format!("{error}"))),
            None => function_name(&self.path),
        }
    }
}

/// Reads the command line, the environment and `ampoule.toml`. Ends the process for `--help`,
/// `--version` and for what cannot be understood, with 0 and 2.
pub fn parse() -> Command {
    let mut arguments = std::env::args_os();
    // The server's own: what a user has in a file is none of its business.
    let is_own = arguments.nth(1).is_some_and(|first| first == "transform");
    let files = match is_own {
        true => Ok(config::Files::default()),
        false => config::Files::load(),
    };
    let parsed = files
        .map_err(|error| Cli::command().error(ErrorKind::ValueValidation, error))
        .and_then(|files| files.parse(std::env::args_os()));
    match parsed {
        Ok(command) => without_empty_key(command),
        Err(error) => error.exit(),
    }
}

/// Carries out a client command and answers what the process should exit with.
///
/// # Errors
/// [`CliError`], which [`CliError::report`] tells the user. Usage for `serve` and `dev`, which
/// are not client commands.
/// # Cancel safety
/// Dropping it drops the request in progress; the server may still carry that out.
pub async fn run(command: Command) -> Result<ExitCode, CliError> {
    let mut terminal = output::Terminal::of_process();
    let number = run_on(&command, &mut terminal).await?;
    Ok(ExitCode::from(number))
}

/// The name that a function at `path` gets when none is given.
///
/// # Errors
/// Usage, when the path is missing or its name is not allowed; the text says to give one.
pub fn function_name(path: &Path) -> Result<FunctionName, CliError> {
    deploy::name_of(path)
}

async fn run_on(command: &Command, terminal: &mut output::Terminal) -> Result<u8, CliError> {
    let (json, ended) = match command {
        Command::Serve(_) | Command::Dev(_) | Command::Transform => {
            return Err(CliError::usage(
                "serve, dev and transform do not talk to a server",
            ));
        }
        Command::Deploy(args) => (args.json, deploy::run(args, terminal).await.map(|()| 0)),
        Command::Invoke(args) => (args.request.json, invoke::run(args, terminal).await),
        Command::Test(args) => (args.request.json, invoke::test(args, terminal).await),
        Command::Download(args) => (args.json, download::run(args, terminal).await.map(|()| 0)),
        Command::Env(args) => (args.json(), env::run(args, terminal).await.map(|()| 0)),
        Command::Rollback(args) => (
            args.json,
            versions::roll_back(args, terminal).await.map(|()| 0),
        ),
        Command::Split(args) => (args.json, versions::split(args, terminal).await.map(|()| 0)),
        Command::Invocations(args) => {
            let ended = invocations::invocations(args, terminal).await;
            (args.json, ended.map(|()| 0))
        }
        Command::Retention(args) => {
            let ended = invocations::retention(args, terminal).await;
            (args.json, ended.map(|()| 0))
        }
        Command::Call(args) => (args.json, call::run(args, terminal).await.map(|()| 0)),
        Command::Bindings(args) => (
            args.action.json(),
            bindings::run(args, terminal).await.map(|()| 0),
        ),
        Command::Logs(args) => (args.json, logs::run(args, terminal).await.map(|()| 0)),
        Command::Versions(args) => (
            args.json,
            versions::versions(args, terminal).await.map(|()| 0),
        ),
        Command::Activate(args) => (
            args.json,
            versions::activate(args, terminal).await.map(|()| 0),
        ),
        Command::Delete(args) => (
            args.json,
            versions::delete(args, terminal).await.map(|()| 0),
        ),
        Command::List(args) => (args.json, versions::list(args, terminal).await.map(|()| 0)),
        Command::Schedules(args) => (
            args.json(),
            schedules::run(args, terminal).await.map(|()| 0),
        ),
        Command::Policy(args) => (args.json(), policy::run(args, terminal).await),
        Command::Workspaces(args) => (
            args.json(),
            workspaces::run(args, terminal).await.map(|()| 0),
        ),
        Command::Tenants(args) => (args.json(), tenants::run(args, terminal).await.map(|()| 0)),
        Command::Keys(args) => (args.json(), keys::run(args, terminal).await.map(|()| 0)),
        Command::Audit(args) => (args.json, audit::run(args, terminal).await.map(|()| 0)),
        Command::Doctor(args) => (args.json, doctor::run(args, terminal).await),
        Command::Config(args) => (args.json(), config::run(args, terminal).map(|()| 0)),
        Command::Completions(args) => (false, completions::run(args, terminal).map(|()| 0)),
    };
    ended.map_err(|error| error.with_json(json))
}

/// An empty `AMPOULE_KEY` is how a shell unsets it for one command: it means no key.
fn without_empty_key(mut command: Command) -> Command {
    if let Command::Serve(args) = &mut command {
        args.key = args.key.take().filter(|key| !key.is_empty());
    }
    command
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write it as ADDRESS:PORT, for example 127.0.0.1:4000 or [::1]:4000".to_owned()
    })
}

fn parse_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "give a whole number above 0".to_owned())
}

fn parse_name(text: &str) -> Result<String, String> {
    let name: FunctionName = text.parse().map_err(|error| format!("{error}"))?;
    Ok(name.into())
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
