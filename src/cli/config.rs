//! `ampoule.toml`, and `ampoule config show`: what flags and the environment leave open.
//!
//! A setting comes from the first of these that has it: a flag, the environment, the file
//! `ampoule.toml` nearest upwards from the working directory, the user's own, the default.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Subcommand, ValueEnum};
use reqwest::Url;
use serde_json::json;

use super::output::{self, Terminal, printable};
use super::problem::CliError;
use super::{Cli, LogFormat, parse_count, parse_listen};
use crate::id::TenantId;
use crate::policies::Preset;

mod file;

/// Names the one file to read, or none if it is empty.
const FILE_ENV: &str = "AMPOULE_CONFIG";

/// Shows settings.
#[derive(Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  ampoule config show
  ampoule config show --json

Settings come from flags, then from the environment, then from ampoule.toml: the one in the working
directory or the nearest above it, then $XDG_CONFIG_HOME/ampoule/ampoule.toml. AMPOULE_CONFIG names
another file, and an empty one stands for none. A file has two sections:

  [server]
  listen = \"0.0.0.0:4000\"
  data = \"/var/lib/ampoule\"

  [client]
  url = \"https://functions.example.com\"
  tenant = \"acme\""
)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

/// What to do with settings.
#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Say what every setting is, and where it comes from
    Show(ShowArgs),
}

/// Shows where settings come from.
#[derive(Args)]
pub(super) struct ShowArgs {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

impl ConfigArgs {
    /// Whether to report in JSON.
    pub(super) fn json(&self) -> bool {
        let ConfigCommand::Show(args) = &self.command;
        args.json
    }
}

/// What the value of a setting has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Address,
    Count,
    Flag,
    Format,
    Path,
    Port,
    Preset,
    Secret,
    Tenant,
    Text,
}

/// A setting that a file may hold.
#[derive(Debug)]
struct Key {
    section: &'static str,
    /// Its name there, and the id of its flag.
    name: &'static str,
    kind: Kind,
    env: Option<&'static str>,
    /// What it is when nothing says so; empty for nothing.
    default: &'static str,
}

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    env: Option<&'static str>,
    default: &'static str,
) -> Key {
    Key {
        section,
        name,
        kind,
        env,
        default,
    }
}

const SERVER: &str = "server";
const CLIENT: &str = "client";

/// Every setting that a file may hold.
const KEYS: &[Key] = &[
    key(SERVER, "listen", Kind::Address, None, "127.0.0.1:4000"),
    key(SERVER, "port", Kind::Port, Some("PORT"), "4000"),
    key(
        SERVER,
        "api_listen",
        Kind::Address,
        Some("AMPOULE_API_LISTEN"),
        "",
    ),
    key(SERVER, "data", Kind::Path, Some("AMPOULE_DATA"), "./data"),
    key(SERVER, "cache", Kind::Path, None, ""),
    key(SERVER, "key", Kind::Secret, Some("AMPOULE_KEY"), ""),
    key(
        SERVER,
        "master_key",
        Kind::Secret,
        Some("AMPOULE_MASTER_KEY"),
        "",
    ),
    key(SERVER, "trust_proxy", Kind::Flag, None, "false"),
    key(SERVER, "max_concurrent", Kind::Count, None, "512"),
    key(
        SERVER,
        "max_concurrent_per_tenant",
        Kind::Count,
        None,
        "128",
    ),
    key(SERVER, "store_cache_mib", Kind::Count, None, "4"),
    key(
        SERVER,
        "network_policy",
        Kind::Preset,
        Some("AMPOULE_NETWORK_POLICY"),
        "allow-all",
    ),
    key(SERVER, "log_format", Kind::Format, None, "text"),
    key(
        CLIENT,
        "url",
        Kind::Text,
        Some("AMPOULE_URL"),
        "http://127.0.0.1:4000",
    ),
    key(CLIENT, "key", Kind::Secret, Some("AMPOULE_KEY"), ""),
    key(CLIENT, "tenant", Kind::Tenant, None, "default"),
];

impl Key {
    fn find(section: &str, name: &str) -> Option<&'static Self> {
        let mut keys = KEYS.iter();
        keys.find(|key| key.section == section && key.name == name)
    }

    /// A value of a file as the flag would take it, or what is wrong with it.
    fn read(&self, value: &toml::Value, folder: &Path) -> Result<String, String> {
        use toml::Value::{Boolean, Integer, String as Text};
        let text = match (self.kind, value) {
            (Kind::Flag, Boolean(flag)) => return Ok(flag.to_string()),
            (Kind::Flag, _) => return Err("is true or false".to_owned()),
            (Kind::Count | Kind::Port, Integer(number)) => number.to_string(),
            (Kind::Count | Kind::Port, _) => return Err("is a whole number".to_owned()),
            (_, Text(text)) => text.clone(),
            _ => return Err("is a string".to_owned()),
        };
        match self.kind {
            Kind::Address => parse_listen(&text).map(drop)?,
            Kind::Count => parse_count(&text).map(drop)?,
            Kind::Port => u16::from_str(&text)
                .map(drop)
                .map_err(|_| "is a number from 0 to 65535".to_owned())?,
            Kind::Preset => Preset::from_str(&text).map(drop)?,
            Kind::Tenant => TenantId::from_str(&text)
                .map(drop)
                .map_err(|error| error.to_string())?,
            Kind::Format => LogFormat::from_str(&text, false)
                .map(drop)
                .map_err(|_| "is text or json".to_owned())?,
            // What a file names is meant from where the file is.
            Kind::Path => return Ok(folder.join(&text).to_string_lossy().into_owned()),
            Kind::Flag | Kind::Secret | Kind::Text => {}
        }
        Ok(text)
    }
}

/// A setting as a file has it.
#[derive(Debug, Clone)]
struct Setting {
    key: &'static Key,
    text: String,
    file: Arc<Path>,
    line: usize,
    /// The file was found from the working directory: whoever wrote what is there wrote it.
    is_found: bool,
}

/// The settings of all files that are read; of two, the first holds.
#[derive(Debug, Default)]
pub(super) struct Files {
    settings: Vec<Setting>,
    read: Vec<Arc<Path>>,
}

impl Files {
    /// Reads the files that there are, by the environment and the working directory.
    ///
    /// # Errors
    /// That a file cannot be read or holds something that is not understood, with its place.
    pub(super) fn load() -> Result<Self, String> {
        let env = |name: &str| std::env::var_os(name);
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        file::load(&env, &here)
    }

    fn get(&self, section: &str, name: &str) -> Option<&Setting> {
        let is_it = |one: &&Setting| one.key.section == section && one.key.name == name;
        self.settings.iter().find(is_it)
    }

    /// Makes what the files say the defaults of the flags.
    pub(super) fn inject(&self, command: clap::Command) -> clap::Command {
        command.mut_subcommands(|sub| match sub.get_name() {
            "serve" => self.inject_section(sub, SERVER),
            // It looks at both sides, and speaks as a client.
            "doctor" => self.inject_section(self.inject_section(sub, SERVER), CLIENT),
            // It is for trying things out, and shares no setting with a server.
            "dev" => sub,
            _ => self.inject_section(sub, CLIENT),
        })
    }

    fn inject_section(&self, mut command: clap::Command, section: &str) -> clap::Command {
        let found: Vec<(String, String)> = command
            .get_arguments()
            .filter_map(|arg| {
                let setting = self.get(section, arg.get_id().as_str())?;
                let is_it = match setting.key.env {
                    Some(env) => arg.get_env().is_some_and(|of_arg| of_arg == env),
                    None if section == SERVER => true,
                    // Other flags may have the same name; this one has this default.
                    None => arg.get_default_values() == [setting.key.default],
                };
                is_it.then(|| (setting.key.name.to_owned(), setting.text.clone()))
            })
            .collect();
        for (id, text) in found {
            // Defaults live as long as the program; there are few, and they are read once.
            let text: &'static str = text.leak();
            command = command.mut_arg(id, |arg| arg.default_value(text));
        }
        command.mut_subcommands(|sub| self.inject_section(sub, section))
    }

    /// Reads a command line, with these files behind it.
    ///
    /// # Errors
    /// What clap has to say, `--help` among it; or that a file wants a key for itself.
    pub(super) fn parse<I>(&self, arguments: I) -> Result<super::Command, clap::Error>
    where
        I: IntoIterator<Item: Into<OsString> + Clone>,
    {
        use clap::{CommandFactory as _, FromArgMatches as _};
        let matches = self
            .inject(Cli::command())
            .try_get_matches_from(arguments)?;
        let cli = Cli::from_arg_matches(&matches);
        let mut cli = cli.map_err(|error| error.format(&mut Cli::command()))?;
        if let (super::Command::Serve(args), Some((_, of_serve))) =
            (&mut cli.command, matches.subcommand())
        {
            // A port that is said now counts for more than an address of a file.
            let is_said = |id| {
                let source = of_serve.value_source(id);
                matches!(
                    source,
                    Some(ValueSource::CommandLine | ValueSource::EnvVariable)
                )
            };
            if is_said("port") && !is_said("listen") {
                args.listen = None;
            }
        }
        self.check_key(&matches)?;
        Ok(cli.command)
    }

    /// A file of the working directory does not decide where a key of the user's goes.
    fn check_key(&self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let mut innermost = matches;
        while let Some((_, below)) = innermost.subcommand() {
            innermost = below;
        }
        let text = |id: &str| innermost.try_get_one::<String>(id).ok().flatten();
        let is_default = |id: &str| innermost.value_source(id) == Some(ValueSource::DefaultValue);
        let (Some(url), Some(key)) = (text("url"), text("key")) else {
            return Ok(());
        };
        let Some(of_url) = self.get(CLIENT, "url").filter(|_| is_default("url")) else {
            return Ok(());
        };
        let of_key = self.get(CLIENT, "key").filter(|_| is_default("key"));
        let is_theirs = of_key.is_some_and(|of_key| of_key.file == of_url.file);
        if !of_url.is_found || is_theirs || key.is_empty() || is_loopback(url) {
            return Ok(());
        }
        let file = of_url.file.display();
        let text = format!(
            "{file}:{} says that the server is {url}, and your key is not from that file: a file of \
             the working directory does not decide where keys go. If you trust it, set \
             {FILE_ENV}={file}, or give the address with --url or AMPOULE_URL\n",
            of_url.line
        );
        Err(clap::Error::raw(
            clap::error::ErrorKind::ValueValidation,
            text,
        ))
    }
}

fn is_loopback(url: &str) -> bool {
    let with_scheme = match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    };
    let Ok(url) = Url::parse(&with_scheme) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Where a setting comes from, and what it is.
struct Shown {
    key: &'static Key,
    value: String,
    from: String,
}

fn shown(files: &Files, env: &dyn Fn(&str) -> Option<OsString>) -> Vec<Shown> {
    let of = |key: &'static Key| {
        let of_env = key.env.and_then(|name| Some((name, env(name)?)));
        if let Some((name, value)) = of_env {
            let value = value.to_string_lossy().into_owned();
            return Shown {
                key,
                value,
                from: name.to_owned(),
            };
        }
        match files.get(key.section, key.name) {
            Some(setting) => Shown {
                key,
                value: setting.text.clone(),
                from: format!("{}:{}", setting.file.display(), setting.line),
            },
            None => Shown {
                key,
                value: key.default.to_owned(),
                from: "default".to_owned(),
            },
        }
    };
    KEYS.iter().map(of).collect()
}

/// Carries out `ampoule config`.
///
/// # Errors
/// Usage, when a file cannot be understood.
pub(super) fn run(args: &ConfigArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let files = Files::load().map_err(CliError::usage)?;
    show(args, &files, &|name| std::env::var_os(name), terminal)
}

fn show(
    args: &ConfigArgs,
    files: &Files,
    env: &dyn Fn(&str) -> Option<OsString>,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let settings = shown(files, env);
    if args.json() {
        let settings: Vec<_> = settings.iter().map(as_json).collect();
        let read: Vec<_> = files
            .read
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let report = json!({ "files": read, "settings": settings });
        return Ok(terminal.out.line(&report.to_string())?);
    }
    let mut rows = vec![["SETTING", "VALUE", "FROM"].map(str::to_owned).to_vec()];
    for one in &settings {
        let value = match (one.key.kind, one.value.is_empty()) {
            (_, true) => "none",
            (Kind::Secret, false) => "set, not shown",
            (_, false) => &one.value,
        };
        rows.push(vec![
            format!("{}.{}", one.key.section, one.key.name),
            printable(value).into_owned(),
            printable(&one.from).into_owned(),
        ]);
    }
    terminal.out.line(&output::table(&rows))?;
    Ok(())
}

fn as_json(one: &Shown) -> serde_json::Value {
    let is_set = !one.value.is_empty();
    let is_secret = one.key.kind == Kind::Secret;
    json!({
        "section": one.key.section,
        "name": one.key.name,
        "value": Some(&one.value).filter(|_| is_set && !is_secret),
        "is_set": is_set,
        "is_secret": is_secret,
        "from": one.from,
    })
}

#[cfg(test)]
mod tests;
