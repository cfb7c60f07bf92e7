//! The spine of the data plane: admit, resolve, grant, run, account.
//!
//! After this module nobody sees a tenant's name, only grants.

mod account;
mod background;
mod complete;
mod meters;
mod redactors;
mod unattended;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::account::{Account, Refusal};
pub use self::meters::TenantCounts;
use self::meters::{Meters, Place};
use self::redactors::Redactors;
use crate::binding::Bindings;
use crate::deploy::{Images, from_store};
use crate::error::{Code, Error};
use crate::host::{CacheGrant, Failure, Grants, Head, LogBuffer, Meter, Promised, Request};
use crate::id::{FunctionName, InvocationId, TenantId};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::outbound::Client;
use crate::redact::Redactor;
use crate::sandbox::{Image, Invocation, Outcome};
use crate::secret::{Plain, Token};
use crate::store::{Deployment, RecordedKind, Scope, Store};
use crate::trace::{Carried, Context, Tracer};

/// Reads the request's body, at most so many bytes of it.
pub type ReadBody = Box<dyn FnOnce(u64) -> BoxFuture<'static, Result<Bytes, Error>> + Send>;

pub use background::BodyStream;
use background::{Attended, HangUp};
pub use complete::{Completed, Cost, Exception, Extras, Failed};
pub use unattended::Unattended;

/// One request to a function.
pub struct Call {
    /// The invocation's id, made when the request arrived.
    pub id: InvocationId,
    /// Whose function.
    pub tenant: TenantId,
    /// Which function.
    pub function: FunctionName,
    /// Which version of it, active or not; without one, what the name resolves to.
    pub version: Option<u64>,
    /// Is told the version that was chosen.
    pub chosen: Arc<AtomicU64>,
    /// The HTTP method; [`Dispatch::complete`] puts its own in the place.
    pub method: String,
    /// Path and query after the function's name, starting with `/`.
    pub target: String,
    /// `name: value` lines, each ended by CR LF, names in lower case.
    pub fields: Vec<u8>,
    /// What its record says that it was for; `None` for what the function is for.
    pub recorded_as: Option<RecordedKind>,
    /// The trace that it belongs to.
    pub trace: Context,
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
    /// For whoever passes it on.
    pub record: Record,
}

/// What is written down about an invocation that has answered: when this is dropped, or when it
/// has ended if that is later.
pub struct Record {
    refusal: Refusal,
    _account: Option<Box<Account>>,
}

impl Record {
    /// The answer cannot be passed on, and the caller gets this error instead: so the invocation
    /// has failed. To be said before the answer is dropped.
    pub fn refuse(&self, error: &Error) {
        self.refusal.refuse(error);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").finish_non_exhaustive()
    }
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// All of it.
    Whole(Bytes),
    /// As the function writes it. Dropping it ends the invocation, unless that promised work.
    Streamed(BodyStream),
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
    bindings: Bindings,
    concurrency: Concurrency,
    /// Invocations that run.
    running: AtomicUsize,
    meters: Meters,
    tasks: TaskTracker,
    draining: AtomicBool,
    started: AtomicU64,
    failed: AtomicU64,
    redactors: Redactors,
    observers: Observers,
}

/// Who is told what happens.
#[derive(Debug, Clone)]
pub struct Observers {
    /// Counts it.
    pub metrics: Arc<Metrics>,
    /// Makes spans of it, if there is a collector.
    pub tracer: Option<Arc<Tracer>>,
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
        observers: Observers,
    ) -> Self {
        let meters = Meters::new(store.tenants(), concurrency.per_tenant);
        Self {
            shared: Arc::new(Shared {
                bindings: Bindings::new(
                    Arc::clone(&store),
                    Arc::clone(&client),
                    Arc::clone(images.master()),
                ),
                store,
                images,
                client,
                concurrency,
                running: AtomicUsize::new(0),
                meters,
                tasks: TaskTracker::new(),
                draining: AtomicBool::new(false),
                started: AtomicU64::new(0),
                failed: AtomicU64::new(0),
                redactors: Redactors::default(),
                observers,
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
        let begun = self.begin_with(Kind::Request, call, Extras::default());
        self.run(begun.await?).await
    }

    /// Everything up to where the sandbox is made, with what the caller decides.
    async fn begin_with(&self, kind: Kind, call: Call, extras: Extras) -> Result<Begun, Error> {
        let shared = &self.shared;
        let admitted = shared.admit_call(&call, kind, extras.deployment);
        let (deployment, permits) = admitted.inspect_err(|error| {
            shared.observers.metrics.refused(error.code.as_str());
        })?;
        let meter = permits.meter();
        let share = permits.own.share();
        let limits = extras
            .limits
            .unwrap_or_else(|| deployment.limits_in_force());
        let deadline = extras.deadline;
        let log = LogBuffer::new(limits.log_bytes);
        let recorded_as = call.recorded_as.unwrap_or(RecordedKind::of(kind));
        let mut account = Account::open(
            shared,
            Arc::clone(&deployment),
            permits,
            (&call, recorded_as),
            log.clone(),
        );
        let prepared = shared.prepare(kind, call.id, call.body, limits, &mut account);
        let Prepared {
            content,
            bindings,
            image,
            cold,
        } = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => {
                account.refused(error.code);
                return Err(error);
            }
        };
        shared.started.fetch_add(1, Ordering::Relaxed);
        let (responder, head) = oneshot::channel();
        let invocation = Invocation {
            request: Request {
                method: kind.method().map_or(call.method, str::to_owned),
                target: call.target,
                fields: call.fields,
                peer: text_of(call.peer),
                secure: call.secure,
            },
            content,
            grants: shared.grants(&call.tenant, bindings, extras.cache, meter),
            limits,
            share,
            deadline: deadline
                .unwrap_or_else(|| Instant::now() + Duration::from_millis(limits.wall_ms)),
            responder,
            promised: Promised::default(),
            log,
            meter: account.meter.clone(),
            trace: Carried::new(call.trace, account.recording.clone()),
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
            head,
            ..
        } = begun;
        let places = self.shared.images.places();
        let id = account.deployment.id;
        let promised = invocation.promised.clone();
        let refusal = account.refusal.clone();
        let (invoked, share) = (image.clone(), invocation.share.clone());
        let running = async move {
            let finished = invoked.invoke(invocation).await;
            account.close(&finished).await;
            (finished, account)
        };
        let tasks = self.shared.tasks.clone();
        let mut attended = Attended::new(running.boxed(), head, promised, tasks);
        let (finished, account) = match attended.progress().await {
            Ok(ran) => ran,
            Err(head) => {
                let record = Record {
                    refusal,
                    _account: None,
                };
                return Ok(answer(head, Some(attended.go_on()), record));
            }
        };
        image.catch_up(&share).await;
        let record = Record {
            refusal,
            _account: Some(account),
        };
        match attended.take_head() {
            Some(head) => Ok(answer(head, None, record)),
            None => {
                let translate = |place: &str| places.translate_place(id, place);
                Err(unanswered(finished.outcome, translate))
            }
        }
    }

    /// The version of a function, of whatever kind, that an invocation with this id is for: between
    /// those of a split, the id decides. `None` without an active one, and for a function that is
    /// switched off.
    ///
    /// # Errors
    /// `storage_unavailable`.
    pub fn choose(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        id: InvocationId,
    ) -> Result<Option<Arc<Deployment>>, Error> {
        self.shared.choose(tenant, function, id)
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

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.observers.metrics
    }

    /// Spans that were dropped since the start.
    pub fn spans_dropped(&self) -> u64 {
        let tracer = self.shared.observers.tracer.as_ref();
        tracer.map_or(0, |tracer| tracer.dropped())
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        let shared = &self.shared;
        Counts {
            started: shared.started.load(Ordering::Relaxed),
            failed: shared.failed.load(Ordering::Relaxed),
            running: shared.running.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    /// The deployment that a call is for, and its permits.
    fn admit_call(
        self: &Arc<Self>,
        call: &Call,
        kind: Kind,
        given: Option<Arc<Deployment>>,
    ) -> Result<(Arc<Deployment>, Permits), Error> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Error::new(Code::ShuttingDown, "send the request again"));
        }
        let deployment = match given {
            Some(deployment) => deployment,
            None => self.resolve(call, kind)?,
        };
        self.authorise(&deployment, &call.caller)?;
        call.chosen.store(deployment.version, Ordering::Relaxed);
        let permits = self.admit(&call.tenant)?;
        Ok((deployment, permits))
    }

    /// The deployment that the name resolves to, if it is of this kind. Whoever sends a request
    /// learns nothing about functions that serve none; the other kinds are called by those who may
    /// list them.
    fn resolve(&self, call: &Call, kind: Kind) -> Result<Arc<Deployment>, Error> {
        let functions = self.store.functions();
        if let Some(version) = call.version {
            let found = functions.version(&call.tenant, &call.function, version);
            let found = found.map_err(from_store)?;
            // Who may name a version may know of what kind it is.
            return match found.kind == kind {
                true => Ok(Arc::new(found)),
                false => Err(mismatch(&found, kind)),
            };
        }
        match self.choose(&call.tenant, &call.function, call.id)? {
            Some(chosen) if chosen.kind == kind => Ok(chosen),
            Some(chosen) if kind != Kind::Request => Err(mismatch(&chosen, kind)),
            _ => {
                let detail = format!("Function not found: {}:{}", call.tenant, call.function);
                Err(Error::new(Code::FunctionNotFound, detail))
            }
        }
    }

    /// See [`Dispatch::choose`].
    fn choose(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        id: InvocationId,
    ) -> Result<Option<Arc<Deployment>>, Error> {
        let serving = self.store.functions().serving(tenant, function);
        let serving = serving.map_err(from_store)?;
        Ok(serving
            .filter(|serving| serving.enabled)
            .map(|serving| Arc::clone(serving.choose(id.percent()))))
    }

    /// Has everything brought that an invocation needs besides its permits.
    async fn prepare(
        &self,
        kind: Kind,
        id: InvocationId,
        body: ReadBody,
        limits: Limits,
        account: &mut Account,
    ) -> Result<Prepared, Error> {
        let content = body(limits.request_body_bytes).await?;
        account.has_body(content.len());
        if kind != Kind::Request {
            complete::check_content(&content)?;
        }
        let deployment = Arc::clone(&account.deployment);
        let loading = account.begin_load();
        let loaded = self.images.get(&deployment).await;
        account.end_load(loading, loaded.as_ref().map(|(_, cold)| *cold));
        let (image, cold) = loaded?;
        let bindings = match kind {
            Kind::Event => {
                let (tenant, function) = (&deployment.tenant, &deployment.function);
                let bindings = self.bindings.grant(tenant, function, id);
                Some(bindings.map_err(from_store)?)
            }
            Kind::Request | Kind::Workspace => None,
        };
        Ok(Prepared {
            content,
            bindings,
            image,
            cold,
        })
    }

    /// What a tenant's function may reach.
    fn grants(
        &self,
        tenant: &TenantId,
        bindings: Option<crate::binding::Grant>,
        cache: Option<CacheGrant>,
        meter: Arc<dyn Meter>,
    ) -> Grants {
        Grants {
            kv: Some(self.store.namespace(tenant)),
            network: Some((Arc::clone(&self.client), self.client.grant(tenant))),
            bindings,
            cache,
            files: None,
            meter: Some(meter),
        }
    }

    /// What is taken out of a deployment's log.
    fn redactor(&self, deployment: &Deployment) -> Arc<Redactor> {
        self.redactors.of(deployment, &self.images)
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

    fn admit(self: &Arc<Self>, tenant: &TenantId) -> Result<Permits, Error> {
        let own = self.meters.admit(tenant)?;
        let max = self.concurrency.total;
        let enter = |running| (running < max).then_some(running + 1);
        let entered = self
            .running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, enter);
        if entered.is_err() {
            let detail = format!("{max} of {max} invocations are running");
            return Err(Error::new(Code::ServerBusy, detail));
        }
        Ok(Permits {
            own,
            shared: Arc::clone(self),
        })
    }
}

/// What an invocation needs besides its permits.
struct Prepared {
    content: Bytes,
    /// Functions of the platform, for a kind that has them.
    bindings: Option<crate::binding::Grant>,
    image: Image,
    /// As in [`Begun`].
    cold: bool,
}

/// An invocation that is admitted and has all it needs.
struct Begun {
    image: Image,
    /// No other invocation has had this image since it came into memory.
    cold: bool,
    invocation: Invocation,
    account: Box<Account>,
    head: oneshot::Receiver<Head>,
}

/// An address as functions see it. Most have four numbers, and are put together here: every
/// invocation has one, and formatting it takes ten times as long.
fn text_of(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else {
        return address.to_string();
    };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        text.push_str(itoa::Buffer::new().format(octet));
    }
    text
}

fn mismatch(found: &Deployment, kind: Kind) -> Error {
    let detail = format!(
        "{} is of the kind {}, not {kind}",
        found.function, found.kind
    );
    Error::new(Code::KindMismatch, detail)
}

/// What lets an invocation run, given back when it is dropped.
struct Permits {
    own: Place,
    shared: Arc<Shared>,
}

impl Drop for Permits {
    fn drop(&mut self) {
        self.shared.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Permits {
    fn meter(&self) -> Arc<dyn Meter> {
        self.own.meter()
    }
}

fn answer(head: Head, hang_up: Option<HangUp>, record: Record) -> Answer {
    let body = match head.body {
        Ok(whole) => {
            // Everything is here: what goes on afterwards is not the client's.
            if let Some(hang_up) = hang_up {
                hang_up.disarm();
            }
            AnswerBody::Whole(whole)
        }
        Err(body) => AnswerBody::Streamed(BodyStream::new(body, hang_up)),
    };
    Answer {
        status: head.status,
        fields: head.fields,
        body,
        record,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_shown() {
        for text in ["127.0.0.1", "255.10.0.99", "2001:db8::9"] {
            assert_eq!(text_of(text.parse().unwrap()), text);
        }
    }
}
