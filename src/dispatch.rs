//! The spine of the data plane: admit, resolve, grant, run, account.
//!
//! After this module nobody sees a tenant's name, only grants.

mod complete;
mod meters;
mod unattended;

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use self::meters::TenantCounts;
use self::meters::{Meters, Place};
use crate::deploy::{Images, PLACES_MAX, from_store};
use crate::error::{Code, Error};
use crate::host::{Failure, Grants, Head, LogBuffer, Meter, Request, ResponseBody};
use crate::id::{FunctionName, InvocationId, TenantId};
use crate::kind::Kind;
use crate::outbound::Client;
use crate::sandbox::{Finished, Image, Invocation, Outcome};
use crate::secret::{Plain, Token};
use crate::store::{Deployment, LogLine, Scope, Store};

/// Reads the request's body, at most so many bytes of it.
pub type ReadBody = Box<dyn FnOnce(u64) -> BoxFuture<'static, Result<Bytes, Error>> + Send>;

pub use complete::{Completed, Cost, Exception, Failed};
pub use unattended::Unattended;

/// One request to a function.
pub struct Call {
    /// The invocation's id, made when the request arrived.
    pub id: InvocationId,
    /// Whose function.
    pub tenant: TenantId,
    /// Which function.
    pub function: FunctionName,
    /// The HTTP method; [`Dispatch::complete`] puts its own in the place.
    pub method: String,
    /// Path and query after the function's name, starting with `/`.
    pub target: String,
    /// `name: value` lines, each ended by CR LF, names in lower case.
    pub fields: Vec<u8>,
    /// The client's address.
    pub peer: IpAddr,
    /// Whether the client's connection is encrypted.
    pub secure: bool,
    /// Who calls.
    pub caller: Caller,
    /// Asked for only when the function exists and the invocation is admitted.
    pub body: ReadBody,
}

/// Who calls a function.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The server itself, or somebody whose rights were checked.
    Trusted,
    /// Somebody, with what they showed in place of a key.
    Anybody(Option<Plain>),
}

/// A function's answer.
#[derive(Debug)]
pub struct Answer {
    /// 200 to 599.
    pub status: u16,
    /// As in [`Call::fields`].
    pub fields: Vec<u8>,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// All of it.
    Whole(Bytes),
    /// As the function writes it. Dropping it ends the invocation.
    Streamed(BodyStream),
}

/// A body that is still being written; an error means that it broke off.
#[derive(Debug)]
pub struct BodyStream {
    body: ResponseBody,
    /// Cancels the invocation when the client goes away; disarmed at the end of the body.
    hang_up: Option<DropGuard>,
}

impl Stream for BodyStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(Pin::new(&mut self.body).poll_next(context));
        if next.is_none()
            && let Some(hang_up) = self.hang_up.take()
        {
            hang_up.disarm();
        }
        Poll::Ready(next)
    }
}

/// What may run at once.
#[derive(Debug, Clone, Copy)]
pub struct Concurrency {
    /// Invocations in total.
    pub total: usize,
    /// Invocations of one tenant.
    pub per_tenant: usize,
}

/// Runs invocations. Cheap to clone.
#[derive(Clone)]
pub struct Dispatch {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<Store>,
    images: Images,
    client: Arc<Client>,
    concurrency: Concurrency,
    total: Arc<Semaphore>,
    meters: Meters,
    tasks: TaskTracker,
    draining: AtomicBool,
    started: AtomicU64,
    failed: AtomicU64,
}

/// Counts since the start, for the status page.
#[derive(Debug, Clone, Copy, serde::Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// Invocations that were admitted.
    pub started: u64,
    /// Those that ended in an error.
    pub failed: u64,
    /// Those that run now.
    pub running: usize,
}

impl Dispatch {
    /// Runs functions of `store`, with subrequests through `client`.
    pub fn new(
        store: Arc<Store>,
        images: Images,
        client: Arc<Client>,
        concurrency: Concurrency,
    ) -> Self {
        let meters = Meters::new(store.tenants(), concurrency.per_tenant);
        Self {
            shared: Arc::new(Shared {
                store,
                images,
                client,
                concurrency,
                total: Arc::new(Semaphore::new(concurrency.total)),
                meters,
                tasks: TaskTracker::new(),
                draining: AtomicBool::new(false),
                started: AtomicU64::new(0),
                failed: AtomicU64::new(0),
            }),
        }
    }

    /// Runs one invocation and answers as soon as the function does; what the function does
    /// after its answer goes on in the background, within its limits.
    ///
    /// # Errors
    /// `shutting_down`, `function_not_found`, `unauthorized` and `forbidden` for a function that
    /// requires a key, `server_busy`, `tenant_busy`, `rate_limited`, those of the body, and every
    /// code that an [`Outcome`] has.
    /// # Cancel safety
    /// Dropping the future ends the invocation.
    pub async fn invoke(&self, call: Call) -> Result<Answer, Error> {
        let begun = self.begin(call, Kind::Request).await?;
        self.run(begun).await
    }

    /// Everything up to where the sandbox is made.
    async fn begin(&self, call: Call, kind: Kind) -> Result<Begun, Error> {
        let shared = &self.shared;
        if shared.draining.load(Ordering::Relaxed) {
            return Err(Error::new(Code::ShuttingDown, "send the request again"));
        }
        let deployment = shared.resolve(&call, kind)?;
        shared.authorise(&deployment, &call.caller)?;
        let permits = shared.admit(&call.tenant)?;
        let limits = deployment.limits_in_force();
        let content = (call.body)(limits.request_body_bytes).await?;
        if kind != Kind::Request {
            complete::check_content(&content)?;
        }
        let (image, cold) = shared.images.get(&deployment).await?;
        shared.started.fetch_add(1, Ordering::Relaxed);
        let (responder, head) = oneshot::channel();
        let log = LogBuffer::new(limits.log_bytes);
        let invocation = Invocation {
            request: Request {
                method: kind.method().map_or(call.method, str::to_owned),
                target: call.target,
                fields: call.fields,
                peer: call.peer.to_string(),
                secure: call.secure,
            },
            content,
            grants: Grants {
                kv: Some(shared.store.namespace(&call.tenant)),
                network: Some((
                    Arc::clone(&shared.client),
                    shared.client.grant(&call.tenant),
                )),
                files: None,
                meter: Some(permits.meter()),
            },
            limits,
            deadline: Instant::now() + Duration::from_millis(limits.wall_ms),
            responder,
            log: log.clone(),
        };
        let account = Account {
            shared: Arc::clone(shared),
            deployment,
            id: call.id,
            log,
            _permits: permits,
        };
        Ok(Begun {
            image,
            cold,
            invocation,
            account,
            head,
        })
    }

    /// Polls the invocation here until it answers, so that a quick one costs no task; what is
    /// left of a longer one becomes a task.
    async fn run(&self, begun: Begun) -> Result<Answer, Error> {
        let Begun {
            image,
            invocation,
            mut account,
            mut head,
            ..
        } = begun;
        let places = self.shared.images.places();
        let id = account.deployment.id;
        let mut running = Box::pin(async move {
            let finished = image.invoke(invocation).await;
            account.close(&finished).await;
            finished
        });
        let finished = tokio::select! {
            biased;
            finished = &mut running => finished,
            Ok(head) = &mut head => {
                let gone = CancellationToken::new();
                let answer = answer(head, Some(gone.clone().drop_guard()));
                self.shared.tasks.spawn(async move {
                    tokio::select! {
                        _finished = running => {}
                        () = gone.cancelled() => {}
                    }
                });
                return Ok(answer);
            }
        };
        match head.try_recv() {
            Ok(head) => Ok(answer(head, None)),
            Err(_none) => {
                let translate = |place: &str| places.translate_place(id, place);
                Err(unanswered(finished.outcome, translate))
            }
        }
    }

    /// From now on, new invocations are refused.
    pub fn start_draining(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// Whether new invocations are refused.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Waits until every invocation has ended.
    pub async fn drained(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// What a tenant has used since the start.
    pub fn tenant_counts(&self, tenant: &TenantId) -> TenantCounts {
        self.shared.meters.counts(tenant)
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        let shared = &self.shared;
        Counts {
            started: shared.started.load(Ordering::Relaxed),
            failed: shared.failed.load(Ordering::Relaxed),
            running: shared.concurrency.total - shared.total.available_permits(),
        }
    }
}

impl Shared {
    /// The active deployment, if it is of this kind. Whoever sends a request learns nothing about
    /// functions that serve none; the other kinds are called by those who may list them.
    fn resolve(&self, call: &Call, kind: Kind) -> Result<Arc<Deployment>, Error> {
        let functions = self.store.functions();
        let active = functions
            .active(&call.tenant, &call.function)
            .map_err(from_store)?;
        match active {
            Some(active) if active.kind == kind => Ok(active),
            Some(active) if kind != Kind::Request => {
                let (function, found) = (&call.function, active.kind);
                let detail = format!("{function} is of the kind {found}, not {kind}");
                Err(Error::new(Code::KindMismatch, detail))
            }
            _ => {
                let detail = format!("Function not found: {}:{}", call.tenant, call.function);
                Err(Error::new(Code::FunctionNotFound, detail))
            }
        }
    }

    /// Refuses whoever has no key that a function requires; before anything is counted, so that
    /// they cannot use up what the tenant may have.
    fn authorise(&self, deployment: &Deployment, caller: &Caller) -> Result<(), Error> {
        let Caller::Anybody(shown) = caller else {
            return Ok(());
        };
        if !deployment.requires_key {
            return Ok(());
        }
        let Some(shown) = shown else {
            let detail = "this function requires a key: send it as authorization: Bearer KEY, \
                          or as x-api-key: KEY";
            return Err(Error::new(Code::Unauthorized, detail));
        };
        let token = shown.reveal().parse::<Token>().ok();
        let key = token.and_then(|token| self.store.keys().verify(&token).ok());
        let (tenant, function) = (&deployment.tenant, &deployment.function);
        if key.is_some_and(|key| key.allows(Scope::Invoke, tenant, Some(function))) {
            return Ok(());
        }
        let detail = "the key is not valid for this function";
        Err(Error::new(Code::Forbidden, detail))
    }

    fn admit(&self, tenant: &TenantId) -> Result<Permits, Error> {
        let own = self.meters.admit(tenant)?;
        let total = Arc::clone(&self.total);
        let total = total.try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => {
                let max = self.concurrency.total;
                let detail = format!("{max} of {max} invocations are running");
                Error::new(Code::ServerBusy, detail)
            }
            TryAcquireError::Closed => Error::internal(error),
        })?;
        Ok(Permits { own, _total: total })
    }
}

/// An invocation that is admitted and has all it needs.
struct Begun {
    image: Image,
    /// No other invocation has had this image since it came into memory.
    cold: bool,
    invocation: Invocation,
    account: Account,
    head: oneshot::Receiver<Head>,
}

/// What lets an invocation run, given back when it is dropped.
struct Permits {
    own: Place,
    _total: OwnedSemaphorePermit,
}

impl Permits {
    fn meter(&self) -> Arc<dyn Meter> {
        self.own.meter()
    }
}

fn answer(head: Head, hang_up: Option<DropGuard>) -> Answer {
    let body = match head.body {
        Ok(whole) => {
            // Everything is here: what goes on afterwards is not the client's.
            if let Some(hang_up) = hang_up {
                hang_up.disarm();
            }
            AnswerBody::Whole(whole)
        }
        Err(body) => AnswerBody::Streamed(BodyStream { body, hang_up }),
    };
    Answer {
        status: head.status,
        fields: head.fields,
        body,
    }
}

/// What the caller is told when the function gave no answer.
fn unanswered(outcome: Outcome, translate: impl Fn(&str) -> Option<String>) -> Error {
    let Some(code) = outcome.code() else {
        return Error::new(Code::FunctionThrew, "the function ended without a response");
    };
    match outcome {
        Outcome::Threw(failure) if matches!(code, Code::BodyInvalid | Code::ResultInvalid) => {
            Error::new(code, failure.message)
        }
        Outcome::Threw(failure) => Error::new(code, describe(&failure, translate)),
        Outcome::Crashed(cause) => Error {
            code,
            detail: "the sandbox was thrown away; see the function's log".into(),
            source: Some(cause.into()),
        },
        _ => Error::new(code, "see the function's limits"),
    }
}

/// The exception's kind and place. Its message may hold what the caller must not see, so it goes
/// to the log only.
fn describe(failure: &Failure, translate: impl Fn(&str) -> Option<String>) -> String {
    let name: String = failure
        .name
        .chars()
        // A code in brackets may follow.
        .take_while(|&c| c != ' ')
        .filter(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
        .take(64)
        .collect();
    // What is thrown need not be an error.
    let name = if name.is_empty() { "value" } else { &name };
    match failure.place() {
        Some(place) => {
            let place = translate(place).unwrap_or_else(|| place.to_owned());
            format!("uncaught {name} at {place}")
        }
        None => format!("uncaught {name}"),
    }
}

/// What has to be written down about an invocation, however it ends: also when it is dropped.
struct Account {
    shared: Arc<Shared>,
    deployment: Arc<Deployment>,
    id: InvocationId,
    log: LogBuffer,
    _permits: Permits,
}

impl Account {
    async fn close(&mut self, finished: &Finished) {
        if let Some(code) = finished.outcome.code() {
            self.shared.failed.fetch_add(1, Ordering::Relaxed);
            self.log.push_final(&end_line(code, &finished.outcome));
        }
        if let Outcome::Crashed(cause) = &finished.outcome {
            // No function can ask for this: whoever runs the server has to know.
            tracing::error!(
                invocation = %self.id,
                tenant = %self.deployment.tenant,
                function = %self.deployment.function,
                cause,
                "a sandbox crashed"
            );
        }
        let (places, id) = (self.shared.images.places(), self.deployment.id);
        let unread = self
            .log
            .peek(|entries| places.unread(id, entries.iter().map(|entry| entry.message.as_str())));
        places.read(id, unread).await;
        tracing::debug!(
            invocation = %self.id,
            tenant = %self.deployment.tenant,
            function = %self.deployment.function,
            fuel = finished.fuel,
            memory_bytes = finished.usage.memory_bytes,
            host_calls = finished.usage.host_calls,
            outcome = finished.outcome.code().map_or("completed", Code::as_str),
            "invocation ended"
        );
    }
}

impl Account {
    /// What was logged and is not taken yet, in terms of what the author wrote.
    fn take_lines(&self) -> Vec<LogLine> {
        let entries = self.log.take();
        let invocation = self.id.to_string();
        let places = self.shared.images.places();
        let id = self.deployment.id;
        let mut left = PLACES_MAX;
        entries
            .into_iter()
            .map(|entry| LogLine {
                timestamp_ms: entry.timestamp_ms,
                level: entry.level,
                message: places
                    .translate(id, &entry.message, &mut left)
                    .unwrap_or(entry.message),
                invocation: invocation.clone(),
                version: self.deployment.version,
            })
            .collect()
    }

    fn keep(&self, lines: Vec<LogLine>) {
        if !lines.is_empty() {
            let (tenant, function) = (&self.deployment.tenant, &self.deployment.function);
            self.shared.store.logs().append(tenant, function, lines);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.keep(self.take_lines());
    }
}

fn end_line(code: Code, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Threw(failure) => {
            let text = if failure.name.is_empty() {
                format!("Uncaught {}", failure.message)
            } else {
                format!("Uncaught {}: {}", failure.name, failure.message)
            };
            if failure.stack.is_empty() {
                text
            } else {
                format!("{text}\n{}", failure.stack)
            }
        }
        Outcome::Crashed(cause) => format!("{code}: {cause}"),
        _ => format!("{code}: {}", code.title()),
    }
}
