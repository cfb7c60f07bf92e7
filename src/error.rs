//! The stable error codes and the one error type that reaches callers.
//!
//! A code never changes meaning and is never reused; the list is append only. Which HTTP status
//! a code answers with is decided in `http/problem.rs` alone.

use std::fmt;

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The one who sent the request.
    Caller,
    /// The author of the function.
    Function,
    /// The operator of this server.
    Platform,
}

impl Origin {
    /// The word used in problem bodies and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Function => "function",
            Self::Platform => "platform",
        }
    }
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $origin:ident, $title:literal;)*) => {
        /// A stable error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the title documents each code; docs/errors has a page each")]
        pub enum Code { $($variant,)* }

        impl Code {
            /// Every code, in the order they were added.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as callers see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// The fixed sentence that goes with the code.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// Who has to act.
            pub fn origin(self) -> Origin {
                match self { $(Code::$variant => Origin::$origin,)* }
            }
        }
    };
}

codes! {
    BadRequest         = "bad_request",          Caller,   "The request is not well formed";
    Unauthorized       = "unauthorized",         Caller,   "A valid key is needed";
    ForeignOrigin      = "foreign_origin",       Caller,   "The control plane refuses requests from other origins";
    NotFound           = "not_found",            Caller,   "There is nothing at this path";
    MethodNotAllowed   = "method_not_allowed",   Caller,   "This path does not answer this method";
    InvalidName        = "invalid_name",         Caller,   "The name is not allowed";
    FunctionNotFound   = "function_not_found",   Caller,   "There is no such function";
    VersionNotFound    = "version_not_found",    Caller,   "There is no such version";
    VersionActive      = "version_active",       Caller,   "The active version cannot be deleted";
    BodyTooLarge       = "body_too_large",       Caller,   "The request body is too large";
    BodyIncomplete     = "body_incomplete",      Caller,   "The request body did not arrive whole";
    RequestTimeout     = "request_timeout",      Caller,   "The request took too long to arrive";
    FieldsTooLarge     = "fields_too_large",     Caller,   "The request target or header section is too large";
    BodyInvalid        = "body_invalid",         Caller,   "The request body is not what its content type says";
    TenantBusy         = "tenant_busy",          Caller,   "Too many invocations of this tenant at once";
    ArchiveInvalid     = "archive_invalid",      Caller,   "The archive cannot be accepted";
    ArchiveTooLarge    = "archive_too_large",    Caller,   "The upload or what it unpacks to is too large";
    SettingsInvalid    = "settings_invalid",     Caller,   "The deployment's settings are not valid";
    EntryNotFound      = "entry_not_found",      Caller,   "The deployment has no entry file";
    SyntaxError        = "syntax_error",         Caller,   "The source does not compile";
    ModuleNotFound     = "module_not_found",     Caller,   "A module cannot be found";
    LoadThrew          = "load_threw",           Caller,   "The module threw while it was loaded";
    LoadExceeded       = "load_exceeded",        Caller,   "Loading the module exceeded a limit";
    HandlerMissing     = "handler_missing",      Caller,   "The module does not export a function";
    FunctionThrew      = "function_threw",       Function, "The function threw an exception";
    CpuExceeded        = "cpu_exceeded",         Function, "The function used up its CPU limit";
    WallExceeded       = "wall_exceeded",        Function, "The function took longer than its time limit";
    MemoryExceeded     = "memory_exceeded",      Function, "The function used up its memory limit";
    StackExceeded      = "stack_exceeded",       Function, "The function recursed too deeply";
    ResponseTooLarge   = "response_too_large",   Function, "The response exceeded its size limit";
    ResponseInvalid    = "response_invalid",     Function, "The response has a status or header that HTTP does not allow";
    SubrequestsExceeded = "subrequests_exceeded", Function, "The function made more subrequests than its limit";
    LogExceeded        = "log_exceeded",         Function, "The function logged more than its limit";
    OperationsExceeded = "operations_exceeded",  Function, "The function has too many host calls in progress";
    GuestCrashed       = "guest_crashed",        Function, "The sandbox crashed";
    ServerBusy         = "server_busy",          Platform, "Too many invocations at once";
    ShuttingDown       = "shutting_down",        Platform, "The server is shutting down";
    StorageUnavailable = "storage_unavailable",  Platform, "The store cannot be reached";
    StorageBusy        = "storage_busy",         Platform, "Too many writes are waiting";
    Internal           = "internal",             Platform, "The server failed";
    SocketsExceeded    = "sockets_exceeded",     Function, "The function has too many WebSockets open";
    MessageTooLarge    = "message_too_large",    Function, "A WebSocket message is too large";
    KindMismatch       = "kind_mismatch",        Caller,   "The function is of another kind";
    ResultInvalid      = "result_invalid",       Function, "The function's result cannot be answered as JSON";
    ScheduleInvalid    = "schedule_invalid",     Caller,   "The schedule is not valid";
    ScheduleNotFound   = "schedule_not_found",   Caller,   "There is no such schedule";
    ScheduleBusy       = "schedule_busy",        Caller,   "An earlier run of the schedule is not over";
    SchedulesExceeded  = "schedules_exceeded",   Caller,   "There are as many schedules as there may be";
    Forbidden          = "forbidden",            Caller,   "The key does not allow this";
    TenantNotFound     = "tenant_not_found",     Caller,   "There is no such tenant";
    TenantExists       = "tenant_exists",        Caller,   "There is a tenant of this name already";
    KeyNotFound        = "key_not_found",        Caller,   "There is no such key";
    QuotaExceeded      = "quota_exceeded",       Caller,   "A quota of the tenant is used up";
    RateLimited        = "rate_limited",         Caller,   "The tenant's rate is used up for the moment";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as it leaves the inside: `detail` may be shown, `source` goes to the log only.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// What happened this time, fit for the caller's eyes.
    pub detail: String,
    /// The cause, for the operator's log.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error whose cause is fully told by its detail.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            source: None,
        }
    }

    /// Something that should not have happened; the cause is only logged.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            code: Code::Internal,
            detail: "see the server's log".into(),
            source: Some(source.into()),
        }
    }
}

/// The source of an error that ends by itself, after so many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it may be tried again after {0} ms")]
pub struct RetryAfter(pub u64);
