//! What the operator decides about workspaces.

use std::time::Duration;

use crate::limits::Limits;

/// The modules that the code of workspaces may load, unless the operator says otherwise.
const BUILTINS: [&str; 9] = [
    "http", "https", "url", "util", "zlib", "dns", "stream", "buffer", "crypto",
];
/// Most workspaces that can be asked to be kept in memory.
const KEPT_MAX: usize = 100_000;
/// Longest that an idle cache can be asked to be kept.
const IDLE_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Bounds and rules of workspaces; the default is what their surface promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceConfig {
    /// Longest that one run may take, waiting for the cache included, in milliseconds.
    pub run_timeout_ms: u64,
    /// The same for Python, for when there is an engine for it.
    pub python_timeout_ms: u64,
    /// Memory that one run may use, in bytes.
    pub memory_bytes: u64,
    /// Largest request body, in bytes.
    pub request_bytes_max: u64,
    /// Most workspaces whose caches are kept; the longest unused goes first.
    pub kept_max: usize,
    /// How long the cache of a workspace outlives its last use.
    pub idle: Duration,
    /// Builtin modules that the code of workspaces may load.
    pub builtins: Vec<String>,
    /// Whether what was generated is made again from the definitions when the server starts.
    pub regenerate: bool,
}

impl Default for WorkspaceConfig {
    fn default() -> Self {
        Self {
            run_timeout_ms: Limits::WORKSPACE.wall_ms,
            python_timeout_ms: 20_000,
            memory_bytes: Limits::WORKSPACE.memory_bytes,
            request_bytes_max: Limits::WORKSPACE.request_body_bytes,
            kept_max: 500,
            idle: Duration::from_secs(3600),
            builtins: BUILTINS.map(str::to_owned).to_vec(),
            regenerate: false,
        }
    }
}

impl WorkspaceConfig {
    /// Names the first setting that is out of its range, if one is, and its range.
    pub(super) fn fault(&self) -> Option<String> {
        let max = Limits::MAX;
        let ranges = [
            ("FUNCTIONS_RUN_TIMEOUT", self.run_timeout_ms, max.wall_ms),
            (
                "PYTHON_FUNCTIONS_RUN_TIMEOUT",
                self.python_timeout_ms,
                max.wall_ms,
            ),
            (
                "NODE_WORKER_MAX_OLD_GENERATION_SIZE_MB",
                self.memory_bytes >> 20,
                max.memory_bytes >> 20,
            ),
            (
                "REQUEST_MAX_SIZE",
                self.request_bytes_max,
                max.request_body_bytes,
            ),
            (
                "FUNCTIONS_WORKERS_MAX_LRU",
                self.kept_max as u64,
                KEPT_MAX as u64,
            ),
        ];
        let outside = ranges
            .into_iter()
            .find(|(_, value, max)| !(1..=*max).contains(value));
        if let Some((name, value, max)) = outside {
            return Some(format!("{name} must be 1 to {max}, not {value}"));
        }
        (self.idle > IDLE_MAX).then(|| {
            let max = IDLE_MAX.as_secs();
            format!("INACTIVE_NODE_WORKER_DELETION_TIMEOUT must be at most {max}")
        })
    }
}
