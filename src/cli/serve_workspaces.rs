//! The settings of workspaces on the command line of `serve`, most of all their environment
//! variables, whose names and formats are those of the service that this surface follows.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::WorkspaceConfig;

/// What stands for each unit of a size, in bytes.
const UNITS: [(&str, u32); 5] = [("kb", 10), ("mb", 20), ("gb", 30), ("tb", 40), ("pb", 50)];

/// How workspaces are run; see `docs/workspaces.md`.
#[derive(Args, Debug)]
#[command(next_help_heading = "Workspaces")]
pub struct WorkspaceServeArgs {
    /// Longest that a function of a workspace may run, in milliseconds [default: 20000]
    #[arg(
        long,
        env = "FUNCTIONS_RUN_TIMEOUT",
        hide_env_values = true,
        value_name = "MS"
    )]
    functions_run_timeout: Option<u64>,
    /// Memory that it may use, in MB [default: 100MB]
    #[arg(
        long = "functions-memory",
        env = "NODE_WORKER_MAX_OLD_GENERATION_SIZE_MB",
        hide_env_values = true,
        value_parser = parse_megabytes,
        value_name = "MB"
    )]
    memory: Option<u64>,
    /// Largest request body of workspaces, such as 512kb or 2mb [default: 1mb]
    #[arg(
        long,
        env = "REQUEST_MAX_SIZE",
        hide_env_values = true,
        value_parser = parse_size,
        value_name = "SIZE"
    )]
    request_max_size: Option<u64>,
    /// Workspaces whose caches are kept in memory [default: 500]
    #[arg(
        long = "functions-kept",
        env = "FUNCTIONS_WORKERS_MAX_LRU",
        hide_env_values = true,
        value_name = "NUMBER"
    )]
    kept: Option<usize>,
    /// Seconds after which the cache of an unused workspace is dropped [default: 3600]
    #[arg(
        long = "functions-idle",
        env = "INACTIVE_NODE_WORKER_DELETION_TIMEOUT",
        hide_env_values = true,
        value_name = "SECONDS"
    )]
    idle: Option<u64>,
    /// Built-in modules that workspaces may load, separated by commas
    /// [default: http, https, url, util, zlib, dns, stream, buffer, crypto]
    #[arg(
        long,
        env = "NODE_BUILTIN_MODULES",
        hide_env_values = true,
        value_name = "NAMES"
    )]
    node_builtin_modules: Option<String>,
    /// Make the code of workspaces again from their definitions at the start: yes or no
    #[arg(
        long,
        env = "UPDATE_SCRIPTS_ON_STARTUP",
        hide_env_values = true,
        value_parser = parse_switch,
        action = clap::ArgAction::Set,
        value_name = "YES"
    )]
    update_scripts_on_startup: Option<bool>,
    /// The data folder under the name that the service of workspaces gives it; --data wins
    #[arg(
        long,
        env = "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH",
        hide = true,
        hide_env_values = true
    )]
    pub(super) functions_storage_filesystem_dirpath: Option<PathBuf>,
    /// Read and kept for when there is an engine for Python; functions in Python are refused
    #[arg(
        long,
        env = "PYTHON_FUNCTIONS_RUN_TIMEOUT",
        hide = true,
        hide_env_values = true
    )]
    python_functions_run_timeout: Option<u64>,
    /// Read and not used: Python would run in a sandbox of this server
    #[arg(long, env = "PYTHON_API_URL", hide = true, hide_env_values = true)]
    python_api_url: Option<String>,
    /// Read and not used: packages are uploaded, not installed
    #[arg(long, env = "NPM_CONFIG_REGISTRY", hide = true, hide_env_values = true)]
    npm_config_registry: Option<String>,
}

impl WorkspaceServeArgs {
    /// The settings, with the defaults of what is not given.
    pub(super) fn config(&self) -> WorkspaceConfig {
        let default = WorkspaceConfig::default();
        WorkspaceConfig {
            run_timeout_ms: self.functions_run_timeout.unwrap_or(default.run_timeout_ms),
            python_timeout_ms: self
                .python_functions_run_timeout
                .unwrap_or(default.python_timeout_ms),
            memory_bytes: self.memory.unwrap_or(default.memory_bytes),
            request_bytes_max: self.request_max_size.unwrap_or(default.request_bytes_max),
            kept_max: self.kept.unwrap_or(default.kept_max),
            idle: self.idle.map_or(default.idle, Duration::from_secs),
            builtins: match &self.node_builtin_modules {
                Some(names) => builtins(names),
                None => default.builtins,
            },
            regenerate: self.update_scripts_on_startup.unwrap_or(default.regenerate),
        }
    }

    /// Which settings are there that have no effect, by name: their values may be secret.
    pub(super) fn unused(&self) -> Vec<&'static str> {
        let given = [
            ("PYTHON_API_URL", self.python_api_url.is_some()),
            ("NPM_CONFIG_REGISTRY", self.npm_config_registry.is_some()),
        ];
        let unused = given.into_iter().filter(|(_, is_given)| *is_given);
        unused.map(|(name, _)| name).collect()
    }
}

fn builtins(names: &str) -> Vec<String> {
    let names = names.split(',').map(str::trim);
    let names = names.map(|name| name.strip_prefix("node:").unwrap_or(name));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A size as `bodyParser` reads it: a number of bytes, or one with a unit of 1024 and its powers.
fn parse_size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let unit = UNITS
        .iter()
        .find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((lower.strip_suffix('b').unwrap_or(&lower), 0));
    let number: Option<f64> = number.trim().parse().ok();
    let bytes = number.map(|number| number * (1_u64 << shift) as f64);
    match bytes {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in range, and a part of a byte counts for nothing"
        )]
        Some(bytes) if (0.0..9e15).contains(&bytes) => Ok(bytes as u64),
        _ => Err("write it like 1mb, 512kb or 100000".to_owned()),
    }
}

/// A number of megabytes, with the unit or without.
fn parse_megabytes(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.strip_suffix("mb").unwrap_or(&lower).trim().parse();
    let bytes = number
        .ok()
        .and_then(|number: u64| number.checked_mul(1 << 20));
    bytes.ok_or_else(|| "write it like 100 or 100MB".to_owned())
}

/// `yes` and `true` switch on; everything else that is known does not.
fn parse_switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Ok(true),
        "" | "no" | "false" | "0" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_body_parser_reads_them() {
        for (text, bytes) in [
            ("1mb", 1 << 20),
            ("2MB", 2 << 20),
            ("512kb", 512 << 10),
            ("1.5 kb", 1536),
            ("100000", 100_000),
            ("100b", 100),
            ("1gb", 1 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "mb", "-1mb", "1 xb", "nan", "inf", "1e300tb"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_has_its_unit_or_not() {
        assert_eq!(parse_megabytes("100MB"), Ok(100 << 20));
        assert_eq!(parse_megabytes("64"), Ok(64 << 20));
        assert!(parse_megabytes("lots").is_err());
        assert!(parse_megabytes("99999999999999999").is_err());
    }

    #[test]
    fn switches_and_lists() {
        assert_eq!(parse_switch("yes"), Ok(true));
        assert_eq!(parse_switch("TRUE"), Ok(true));
        assert_eq!(parse_switch("no"), Ok(false));
        assert!(parse_switch("maybe").is_err());
        assert_eq!(builtins("node:url, util,,fs "), ["url", "util", "fs"]);
        assert!(builtins("").is_empty());
    }
}
