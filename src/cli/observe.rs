//! What a server keeps and tells of what happens: flags of `serve`, and OpenTelemetry's variables.

use clap::Args;

use crate::config::Observe;
use crate::limits;
use crate::trace::TraceConfig;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// What is kept and told of what happens.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Records and metrics")]
pub struct ObserveArgs {
    /// Keep records of invocations and log lines this many days, unless a function says otherwise
    #[arg(long, default_value_t = limits::RETENTION_MS / DAY_MS, value_name = "DAYS",
        value_parser = clap::value_parser!(u64).range(1..=limits::RETENTION_MS_MAX / DAY_MS))]
    pub keep_days: u64,
    /// Keep this many records of a function, unless it says otherwise
    #[arg(long, default_value_t = limits::INVOCATIONS_KEPT, value_name = "NUMBER",
        value_parser = clap::value_parser!(u64).range(1..=limits::INVOCATIONS_KEPT_MAX))]
    pub keep_invocations: u64,
    /// Name this many tenants in metrics, the first that come; the others are counted together
    #[arg(long, default_value_t = 0, value_name = "NUMBER", value_parser = parse_tenants)]
    pub metrics_tenants: usize,
}

impl ObserveArgs {
    /// With what the environment says about traces.
    ///
    /// # Errors
    /// With what is allowed.
    pub(super) fn observe(&self) -> Result<Observe, String> {
        Ok(Observe {
            traces: TraceConfig::from_variables(|name| std::env::var(name).ok())?,
            metrics_tenants: self.metrics_tenants,
            keep_ms: self.keep_days * DAY_MS,
            keep_count: self.keep_invocations,
        })
    }
}

fn parse_tenants(text: &str) -> Result<usize, String> {
    let max = limits::METRICS_TENANTS_MAX;
    let number = text.parse().ok().filter(|number| *number <= max);
    number.ok_or_else(|| format!("give a number from 0 to {max}"))
}
