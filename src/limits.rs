//! Every bound in one place: what a caller, a function and the server may use at most.
//!
//! Constants are hard. [`Limits`] are per function: written with the deployment, filled with
//! [`Limits::of`] its kind, never above [`Limits::MAX`].

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kind::Kind;

/// Longest tenant or function name.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest kv key, in bytes of UTF-8.
pub const KV_KEY_BYTES_MAX: usize = 512;
/// Largest kv value, in bytes as stored.
pub const KV_VALUE_BYTES_MAX: usize = 1 << 20;
/// Most keys that one `list` answers.
pub const KV_LIST_KEYS_MAX: usize = 1000;
/// Furthest expiry of a kv key: one hundred years.
pub const KV_TTL_MS_MAX: u64 = 100 * 365 * 24 * 3600 * 1000;
/// Most kv writes that wait for their commit at once.
pub const KV_QUEUE_LEN: usize = 4096;
/// Memory for pages of the data file unless a server is told otherwise, in MiB.
pub const STORE_CACHE_MIB: usize = 4;
/// Largest archive or source as uploaded.
pub const UPLOAD_BYTES_MAX: usize = 50 << 20;
/// Most bytes that an archive may unpack to.
pub const UNPACKED_BYTES_MAX: u64 = 200 << 20;
/// Most files in a deployment.
pub const FILES_MAX: usize = 20_000;
/// Longest path in a deployment, in bytes.
pub const PATH_BYTES_MAX: usize = 512;
/// Most environment variables in a deployment.
pub const ENV_VARS_MAX: usize = 256;
/// Largest total of environment names and values, in bytes.
pub const ENV_BYTES_MAX: usize = 64 << 10;
/// Largest header section that a request or an answer may have, in bytes.
pub const FIELDS_BYTES_MAX: usize = 64 << 10;
/// Longest request target (path and query), in bytes.
pub const TARGET_BYTES_MAX: usize = 16 << 10;
/// How long a client may take to send a whole request, in milliseconds.
pub const REQUEST_READ_MS: u64 = 30_000;
/// Largest single log line kept, in bytes; the rest is cut.
pub const LOG_LINE_BYTES_MAX: usize = 16 << 10;
/// Most host operations that one invocation may have in progress.
pub const OPERATIONS_MAX: usize = 256;
/// Most bytes that one read of a body answers.
pub const BODY_CHUNK_BYTES_MAX: usize = 64 << 10;
/// Chunks that may wait between a function and its client before `write` waits.
pub const BODY_QUEUE_LEN: usize = 4;
/// Largest network policy as uploaded, in bytes.
pub const POLICY_BYTES_MAX: usize = 256 << 10;
/// Most rules in one network policy.
pub const POLICY_RULES_MAX: usize = 256;
/// Most ports and ranges of ports in one rule.
pub const POLICY_PORTS_MAX: usize = 64;
/// Highest priority number of a rule.
pub const POLICY_PRIORITY_MAX: u32 = 1_000_000;
/// Longest description of a rule, in bytes.
pub const POLICY_DESCRIPTION_BYTES_MAX: usize = 256;
/// Most network policies of tenants kept in memory; when there are more, all are read anew.
pub const POLICIES_CACHED_MAX: usize = 1000;
/// Most WebSocket connections that one invocation may have open.
pub const WEBSOCKETS_MAX: usize = 16;
/// Largest WebSocket message, either way, in bytes.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Most bytes of messages on their way out of one WebSocket.
pub const WEBSOCKET_QUEUE_BYTES_MAX: usize = 2 << 20;
/// Most bytes in the names of the subprotocols that one WebSocket asks for.
pub const WEBSOCKET_PROTOCOLS_BYTES_MAX: usize = 4 << 10;
/// Log lines kept per function; older ones are dropped.
pub const LOG_LINES_KEPT: usize = 10_000;
/// Log lines and records of invocations that wait to be stored.
pub const LOG_QUEUE_LEN: usize = 16_384;
/// Records of invocations kept per function when nothing else is set.
pub const INVOCATIONS_KEPT: u64 = 10_000;
/// Most records of invocations that a function may be set to keep.
pub const INVOCATIONS_KEPT_MAX: u64 = 1_000_000;
/// How long records and log lines are kept when nothing else is set: seven days, in milliseconds.
pub const RETENTION_MS: u64 = 7 * 24 * 3600 * 1000;
/// Longest that they may be set to be kept: ten years, in milliseconds.
pub const RETENTION_MS_MAX: u64 = 10 * 365 * 24 * 3600 * 1000;
/// Most bytes of a request's target that its record keeps; the rest is cut.
pub const RECORD_TARGET_BYTES_MAX: usize = 2 << 10;
/// Most bytes of a request's method and user agent that its record keeps, each.
pub const RECORD_TEXT_BYTES_MAX: usize = 256;
/// Most bytes of an exception's name, message and stack that a record keeps, each.
pub const RECORD_ERROR_BYTES_MAX: usize = 8 << 10;
/// Most records in one answer.
pub const INVOCATIONS_PAGE_MAX: usize = 200;
/// Records that one request for a page looks at; the cursor of its answer goes on from there.
pub const SCAN_RECORDS_MAX: usize = 20_000;
/// Bytes of records and lines that one request for a page looks at.
pub const SCAN_BYTES_MAX: usize = 32 << 20;
/// How long one request for a page looks, in milliseconds.
pub const SCAN_MS_MAX: u64 = 500;
/// Bytes of the lines of one invocation that a search looks at; what is beyond is not found.
pub const SCAN_LINES_BYTES_MAX: usize = 256 << 10;
/// Searches that run at once; the next one waits.
pub const SCANS_MAX: usize = 4;
/// Longest search query, in bytes.
pub const SEARCH_BYTES_MAX: usize = 1024;
/// Most conditions in a search query.
pub const SEARCH_TERMS_MAX: usize = 16;
/// Deepest that parentheses and `NOT` may stand inside of each other in a search query.
pub const SEARCH_DEPTH_MAX: usize = 16;
/// Live tails that may be open at once, of all tenants.
pub const TAILS_MAX: usize = 256;
/// Live tails of one tenant that may be open at once.
pub const TAILS_PER_TENANT_MAX: usize = 32;
/// Longest that one live tail goes on, in milliseconds; its client connects again then.
pub const TAIL_MS_MAX: u64 = 3_600_000;
/// Secret values of one deployment that are looked for in its log.
pub const REDACTED_LITERALS_MAX: usize = 256;
/// Shortest secret value that is looked for: shorter ones would redact ordinary words.
pub const REDACTED_LITERAL_BYTES_MIN: usize = 6;
/// Deployments whose secret values are kept ready to be looked for.
pub const REDACTORS_MAX: usize = 1024;
/// Tenants that metrics may name one by one; the others are counted as `other`.
pub const METRICS_TENANTS_MAX: usize = 1000;
/// Spans that wait to be exported; more are dropped and counted.
pub const SPANS_QUEUE_LEN: usize = 8192;
/// Most spans of subrequests of one invocation.
pub const SPANS_PER_INVOCATION_MAX: usize = 64;
/// Largest memory of a loaded deployment, in bytes, the engine's own included.
pub const SNAPSHOT_BYTES_MAX: usize = 64 << 20;
/// Fuel that loading a deployment may use.
pub const LOAD_FUEL_MAX: u64 = 50_000_000_000;
/// Longest that loading a deployment may take, in milliseconds.
pub const LOAD_WALL_MS_MAX: u64 = 30_000;
/// Most versions that are kept of one function.
pub const VERSIONS_MAX: u64 = 1000;
/// Activations of a function that are remembered, to roll back to.
pub const ACTIVATIONS_KEPT: usize = 100;
/// Most versions with the same files that an upload is compared with, the newest first.
pub const IDENTICAL_VERSIONS_MAX: usize = 100;
/// Longest description of a function, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4 << 10;
/// Largest JSON body of a request to the control plane, in bytes.
pub const JSON_BODY_BYTES_MAX: usize = 1 << 20;
/// Most functions or versions in one answer.
pub const PAGE_MAX: usize = 1000;
/// Most deployments whose images are in memory; the longest unused goes first.
pub const IMAGES_MAX: usize = 2000;
/// Deepest nesting of arrays and objects in an event, in parameters, and in a result.
pub const JSON_DEPTH_MAX: usize = 100;
/// Most bindings of a tenant.
pub const BINDINGS_MAX: usize = 64;
/// Largest definition of a binding as it is sent, in bytes.
pub const BINDING_BODY_BYTES_MAX: u64 = 64 << 10;
/// Longest URL of a binding, in bytes.
pub const BINDING_URL_BYTES_MAX: usize = 2048;
/// Most header fields of a binding.
pub const BINDING_HEADERS_MAX: usize = 32;
/// Largest total of their names and values, in bytes.
pub const BINDING_HEADERS_BYTES_MAX: usize = 16 << 10;
/// Most parameters of a binding.
pub const BINDING_PARAMETERS_MAX: usize = 16;
/// Largest schema of a binding's parameters, in bytes of JSON.
pub const BINDING_SCHEMA_BYTES_MAX: usize = 16 << 10;
/// Longest description of a binding, in bytes.
pub const BINDING_DESCRIPTION_BYTES_MAX: usize = 1000;
/// Most functions that a binding may be kept to.
pub const BINDING_FUNCTIONS_MAX: usize = 100;
/// How long a call of a binding may take unless it says otherwise, in milliseconds.
pub const BINDING_TIMEOUT_MS: u64 = 5_000;
/// Longest that a call of a binding may take, in milliseconds.
pub const BINDING_TIMEOUT_MS_MAX: u64 = 60_000;
/// Largest arguments of one call of a binding, in bytes of JSON.
pub const BINDING_ARGUMENTS_BYTES_MAX: usize = 256 << 10;
/// Largest answer to a call of a binding, in bytes.
pub const BINDING_RESULT_BYTES_MAX: usize = 1 << 20;
/// How long an image stays in memory that nobody asks for, in milliseconds.
pub const IMAGE_IDLE_MS: u64 = 30 * 60 * 1000;
/// Most schedules of one function.
pub const SCHEDULES_PER_FUNCTION_MAX: usize = 100;
/// Most schedules of one tenant.
pub const SCHEDULES_PER_TENANT_MAX: usize = 1000;
/// Most schedules in total.
pub const SCHEDULES_MAX: usize = 10_000;
/// Longest cron pattern, in bytes.
pub const SCHEDULE_CRON_BYTES_MAX: usize = 128;
/// Largest payload of a schedule, in bytes of JSON.
pub const SCHEDULE_PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Longest path of a schedule's requests, in bytes.
pub const SCHEDULE_PATH_BYTES_MAX: usize = 2 << 10;
/// Runs kept in the history of one schedule; older ones are dropped.
pub const SCHEDULE_RUNS_KEPT: usize = 100;
/// Most runs of one schedule that may be in progress or waiting at once.
pub const SCHEDULE_OVERLAP_MAX: usize = 8;
/// How late a tick may be and still count as in time, in milliseconds.
pub const SCHEDULE_ON_TIME_MS: u64 = 60_000;
/// How late a missed tick may be made up for at most, in milliseconds: seven days.
pub const SCHEDULE_LATE_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// How far the clock may go back without anything being decided anew, in milliseconds.
pub const SCHEDULE_CLOCK_BACK_MS: u64 = 3_600_000;
/// Most attempts of one run after the first.
pub const SCHEDULE_RETRIES_MAX: u32 = 10;
/// Longest pause between two attempts, in milliseconds: one day.
pub const SCHEDULE_RETRY_MS_MAX: u64 = 24 * 3_600_000;
/// Missed ticks are counted up to this many.
pub const SCHEDULE_MISSED_COUNT_MAX: usize = 1000;
/// Most times that one preview answers.
pub const SCHEDULE_PREVIEW_MAX: usize = 100;
/// Most functions that have memory of their own because they are called often.
pub const OWN_IMAGES_MAX: usize = 32;
/// Largest difference to the engine snapshot that is copied into each sandbox, in bytes; a
/// function with more has memory of its own from the start.
pub const OVERLAY_BYTES_MAX: usize = 256 << 10;
/// Most tenants on a server.
pub const TENANTS_MAX: usize = 10_000;
/// Longest name of a tenant for people, or of an API key, in bytes.
pub const LABEL_BYTES_MAX: usize = 200;
/// Most API keys on a server.
pub const KEYS_MAX: usize = 10_000;
/// Most API keys of one tenant.
pub const KEYS_PER_TENANT_MAX: usize = 500;
/// How exactly it is kept when a key was last used, in milliseconds.
pub const KEY_USE_GRAIN_MS: u64 = 10 * 60 * 1000;
/// Entries of the audit log kept on a server; older ones are dropped.
pub const AUDIT_ENTRIES_KEPT: u64 = 100_000;
/// Entries of the audit log kept of one tenant.
pub const AUDIT_ENTRIES_PER_TENANT: u64 = 10_000;
/// Longest path that the audit log keeps of a request, in bytes; the rest is cut.
pub const AUDIT_TARGET_BYTES_MAX: usize = 1024;
/// Largest request body of the control plane that is no upload, in bytes.
pub const CONTROL_BODY_BYTES_MAX: usize = 64 << 10;
/// Most things that a list of the control plane answers at once.
pub const LIST_LEN_MAX: usize = 1000;
/// How many a list answers when the caller does not say.
pub const LIST_LEN_DEFAULT: usize = 100;
/// Most functions of a workspace.
pub const WORKSPACE_FUNCTIONS_MAX: usize = 500;
/// Longest name of a function in a workspace, in characters.
pub const WORKSPACE_NAME_CHARS_MAX: usize = 64;
/// Most parameters of a function in a workspace.
pub const WORKSPACE_PARAMETERS_MAX: usize = 100;
/// Largest cache of a workspace as it is kept, in bytes of text.
pub const WORKSPACE_CACHE_BYTES_MAX: usize = 4 << 20;
/// Most bytes of the caches of all workspaces that nobody uses at the moment.
pub const WORKSPACE_CACHES_BYTES_MAX: usize = 256 << 20;
/// Most runs that wait for the cache of one workspace.
pub const WORKSPACE_CACHE_QUEUE_LEN: usize = 128;
/// Most runs that wait for any cache.
pub const WORKSPACE_CACHES_QUEUE_LEN: usize = 1024;
/// Fuel between two yields of a running guest to the other invocations.
pub const FUEL_SLICE: u64 = 500_000;

/// What one invocation of a function may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// CPU: WebAssembly instructions, as wasmtime counts fuel.
    pub fuel: u64,
    /// Wall time from admission to the end, waiting included, in milliseconds.
    pub wall_ms: u64,
    /// Guest memory above the function's own snapshot, in bytes.
    pub memory_bytes: u64,
    /// Request body, in bytes.
    pub request_body_bytes: u64,
    /// Response body, in bytes, over all chunks.
    pub response_body_bytes: u64,
    /// Outbound requests.
    pub subrequests: u32,
    /// Log text, in bytes; what is beyond is dropped and counted.
    pub log_bytes: u64,
}

impl Limits {
    /// What a request function gets when it names no limits.
    pub const DEFAULT: Self = Self {
        fuel: 100_000_000_000,
        wall_ms: 30_000,
        memory_bytes: 256 << 20,
        request_body_bytes: 10 << 20,
        response_body_bytes: 100 << 20,
        subrequests: 50,
        log_bytes: 1 << 20,
    };

    /// The same for an event function. Its CPU is bounded by the wall time, whatever the machine.
    pub const EVENT: Self = Self {
        wall_ms: 5_000,
        memory_bytes: 5 << 20,
        request_body_bytes: 1 << 20,
        response_body_bytes: 1 << 20,
        ..Self::DEFAULT
    };

    /// The same for a workspace.
    pub const WORKSPACE: Self = Self {
        wall_ms: 20_000,
        memory_bytes: 100 << 20,
        request_body_bytes: 1 << 20,
        response_body_bytes: 10 << 20,
        ..Self::DEFAULT
    };

    /// What a deployment of this kind gets when it names no limits.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Request => Self::DEFAULT,
            Kind::Event => Self::EVENT,
            Kind::Workspace => Self::WORKSPACE,
        }
    }

    /// The server's maxima; a deployment asking for more is refused.
    pub const MAX: Self = Self {
        fuel: 1_000_000_000_000,
        wall_ms: 300_000,
        memory_bytes: 512 << 20,
        request_body_bytes: 100 << 20,
        response_body_bytes: 1 << 30,
        subrequests: 1000,
        log_bytes: 16 << 20,
    };
}

/// Limits as a deployment writes them: only those that differ from the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitOverrides {
    /// See [`Limits::fuel`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// See [`Limits::wall_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// See [`Limits::memory_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// See [`Limits::request_body_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body_bytes: Option<u64>,
    /// See [`Limits::response_body_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body_bytes: Option<u64>,
    /// See [`Limits::subrequests`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subrequests: Option<u32>,
    /// See [`Limits::log_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_bytes: Option<u64>,
}

impl LimitOverrides {
    /// Fills in the defaults of the kind, or names the first limit that is zero or above the server's maximum.
    pub fn resolve(&self, kind: Kind) -> Result<Limits, String> {
        let (default, max) = (Limits::of(kind), Limits::MAX);
        Ok(Limits {
            fuel: pick("fuel", self.fuel, default.fuel, max.fuel)?,
            wall_ms: pick("wall_ms", self.wall_ms, default.wall_ms, max.wall_ms)?,
            memory_bytes: pick(
                "memory_bytes",
                self.memory_bytes,
                default.memory_bytes,
                max.memory_bytes,
            )?,
            request_body_bytes: pick(
                "request_body_bytes",
                self.request_body_bytes,
                default.request_body_bytes,
                max.request_body_bytes,
            )?,
            response_body_bytes: pick(
                "response_body_bytes",
                self.response_body_bytes,
                default.response_body_bytes,
                max.response_body_bytes,
            )?,
            subrequests: pick(
                "subrequests",
                self.subrequests,
                default.subrequests,
                max.subrequests,
            )?,
            log_bytes: pick(
                "log_bytes",
                self.log_bytes,
                default.log_bytes,
                max.log_bytes,
            )?,
        })
    }
}

fn pick<T>(name: &str, asked: Option<T>, default: T, max: T) -> Result<T, String>
where
    T: Copy + PartialOrd + std::fmt::Display + From<u8>,
{
    let value = asked.unwrap_or(default);
    if value < T::from(1) || value > max {
        return Err(format!("{name} must be 1 to {max}, not {value}"));
    }
    Ok(value)
}
