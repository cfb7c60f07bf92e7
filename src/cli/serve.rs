//! `ampoule serve`: from the command line to a running server, and what ends it.
//!
//! Shared with `dev`: binding the address and listening for signals.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::problem::EXIT_USAGE;
use super::{LogFormat, ServeArgs};
use crate::app::App;
use crate::config::{Config, RawConfig};
use crate::server::{self, HttpSettings};
use crate::telemetry;

impl ServeArgs {
    fn raw_config(self) -> RawConfig {
        RawConfig {
            listen: self.address(),
            api_listen: self.api_listen,
            data: self.data(),
            cache: self.cache,
            key: self.key,
            master_key: self.master_key,
            trust_proxy: self.trust_proxy,
            max_concurrent: self.max_concurrent,
            max_concurrent_per_tenant: self.max_concurrent_per_tenant,
            store_cache_mib: self.store_cache_mib,
            network_policy: self.network_policy,
            workspaces: self.workspaces.config(),
        }
    }
}

/// Runs the server until SIGTERM or SIGINT, then finishes what is in progress; a second signal
/// ends it at once. Answers what the process should exit with: 0 after a signal, 2 when it
/// cannot be configured like this, else 1.
pub async fn serve(args: ServeArgs) -> ExitCode {
    let format = match args.log_format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    // Whoever embeds this has a log of their own then.
    let _ = telemetry::init(format, "info");
    let observe = args.observe.observe();
    for name in args.workspaces.unused() {
        tracing::info!(name, "is set and not used: see docs/workspaces.md");
    }
    let config = Config::new(args.raw_config());
    let mut config = match config {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    config.observe = match observe {
        Ok(observe) => observe,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    ended(run(&config).await)
}

/// Tells on stderr why a server ended, unless it was told to.
pub(super) fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let listener = listen(config.listen).await?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    let mut listeners = server::Listeners::from(listener);
    let mut addresses = vec![address];
    if let Some(api) = config.api_listen {
        let api = listen(api).await?;
        addresses.push(api.local_addr().context("the listener has no address")?);
        listeners.api = Some(api);
    }
    let app = App::open(config, addresses.clone()).await?;
    let settings = HttpSettings {
        key: config.key.clone(),
        trust_proxy: config.trust_proxy,
        ..HttpSettings::default()
    };
    say_ready(address, addresses.get(1).copied())?;
    let stop = CancellationToken::new();
    let served = server::run(listeners, app, settings, stop.clone().cancelled_owned());
    tokio::select! {
        served = served => served,
        () = signals.stop_then_end(&stop) => Err(anyhow!("ended at once, by a second signal")),
    }
}

/// What is said on stdout: whoever started the server may wait for it.
fn say_ready(address: SocketAddr, api: Option<SocketAddr>) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let api = api.map(|api| format!("control plane on http://{api}\n"));
    write!(
        out,
        "listening on http://{address}\n{}",
        api.unwrap_or_default()
    )
    .and_then(|()| out.flush())
    .context("cannot write to stdout")
}

/// Binds `address`.
///
/// # Errors
/// With what to do about it.
pub(super) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            let any = SocketAddr::new(address.ip(), 0);
            anyhow!(
                "{address} is in use: stop what listens there, or listen elsewhere, \
                 for example on any free port with --listen {any}"
            )
        } else {
            anyhow!("cannot listen on {address}: {error}")
        }
    })
}

/// SIGTERM and SIGINT, which no longer end the process once this exists.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Cancels `stop` at the first one, and waits for the second. Both are taken here, because two
    /// that nobody took in between count as one.
    pub(super) async fn stop_then_end(&mut self, stop: &CancellationToken) {
        self.next().await;
        stop.cancel();
        self.next().await;
    }
}

#[cfg(test)]
mod tests;
