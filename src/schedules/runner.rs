//! An attempt as a request: what a scheduled function is sent, and what its answer means.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use percent_encoding::percent_decode_str;

use crate::dispatch::{Call, Caller, Dispatch};
use crate::error::{Code, Error};
use crate::id::{FunctionName, InvocationId, ScheduleName, TenantId};
use crate::kind::Kind;
use crate::store::RecordedKind;
use crate::trace::Context;
use crate::workspaces::{self, Ran, Workspaces};

/// One attempt of a run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The owner.
    pub tenant: TenantId,
    /// What is run.
    pub function: FunctionName,
    /// Which of the function's schedules.
    pub name: ScheduleName,
    /// Path and query, starting with `/`.
    pub path: String,
    /// JSON text of the body.
    pub payload: Option<String>,
    /// The tick, Unix time in milliseconds.
    pub due_ms: u64,
    /// 1 and up.
    pub attempt: u32,
    /// The invocation's id.
    pub invocation: InvocationId,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The function answered, and went on to its end.
    Answered {
        /// The HTTP status; `None` for a function that answers a result.
        status: Option<u16>,
    },
    /// There was no answer, or the invocation failed after it.
    Failed {
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// Why.
        code: Code,
    },
    /// The process ended in the middle of it.
    Interrupted,
    /// The server takes in nothing more; nothing ran.
    Refused,
    /// Server or tenant have no room at the moment; nothing ran.
    Busy,
}

/// What carries out attempts.
pub trait Runner: Send + Sync + 'static {
    /// Carries one out, to its end.
    fn run(&self, job: Job) -> BoxFuture<'static, Ended>;
}

/// Carries attempts out as invocations of functions.
#[derive(Clone)]
pub struct Invoker {
    dispatch: Dispatch,
    workspaces: Arc<Workspaces>,
}

impl Invoker {
    /// Runs functions with `dispatch`, and those of workspaces with `workspaces`.
    pub fn new(dispatch: Dispatch, workspaces: Arc<Workspaces>) -> Self {
        Self {
            dispatch,
            workspaces,
        }
    }

    async fn once(&self, job: &Job) -> Result<Ended, Error> {
        if self.dispatch.is_draining() {
            return Ok(Ended::Refused);
        }
        let chosen = (self.dispatch).choose(&job.tenant, &job.function, job.invocation)?;
        let chosen = chosen.ok_or_else(|| {
            let detail = format!("there is no function {} to run", job.function);
            Error::new(Code::FunctionNotFound, detail)
        })?;
        if chosen.kind == Kind::Workspace {
            let Ran { completed, .. } = self.workspaces.run(run(job)?).await?;
            let status = None;
            return Ok(match completed.result {
                Ok(_) => Ended::Answered { status },
                Err(failed) => Ended::Failed {
                    status,
                    code: failed.error.code,
                },
            });
        }
        let ran = self.dispatch.run_unattended(chosen, call(job)).await?;
        let status = ran.status;
        Ok(match ran.code {
            Some(code) => Ended::Failed { status, code },
            None => Ended::Answered { status },
        })
    }
}

impl Runner for Invoker {
    fn run(&self, job: Job) -> BoxFuture<'static, Ended> {
        let this = self.clone();
        async move {
            match this.once(&job).await {
                Ok(ended) => ended,
                Err(error) if is_busy(error.code) => Ended::Busy,
                Err(error) if error.code == Code::ShuttingDown => Ended::Refused,
                Err(error) => Ended::Failed {
                    status: None,
                    code: error.code,
                },
            }
        }
        .boxed()
    }
}

/// Whether nothing ran, and the same may run in a moment.
fn is_busy(code: Code) -> bool {
    matches!(
        code,
        Code::TenantBusy | Code::ServerBusy | Code::RateLimited
    )
}

/// The run of a workspace's function: the path names it, and the payload is what a request to run
/// it has as its body.
fn run(job: &Job) -> Result<workspaces::Run, Error> {
    let payload = job.payload.as_deref().unwrap_or_default();
    let path = job.path.split('?').next().unwrap_or_default();
    let name = path.strip_prefix('/').unwrap_or(path);
    Ok(workspaces::Run {
        id: job.invocation,
        tenant: job.tenant.clone(),
        workspace: job.function.clone(),
        chosen: Arc::default(),
        function: percent_decode_str(name).decode_utf8_lossy().into_owned(),
        parameters: workspaces::parameters(payload.as_bytes())?,
        recorded_as: Some(RecordedKind::Scheduled),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        trace: Context::new(job.invocation),
    })
}

/// The request of an attempt.
fn call(job: &Job) -> Call {
    let body = job.payload.clone().map_or_else(Bytes::new, Bytes::from);
    let mut fields = format!(
        "host: localhost\r\n\
         user-agent: ampoule-scheduler\r\n\
         x-scheduled-execution: true\r\n\
         x-ampoule-schedule: {}\r\n\
         x-ampoule-due-ms: {}\r\n\
         x-ampoule-attempt: {}\r\n\
         content-length: {}\r\n",
        job.name,
        job.due_ms,
        job.attempt,
        body.len(),
    );
    if job.payload.is_some() {
        fields.push_str("content-type: application/json\r\n");
    }
    Call {
        id: job.invocation,
        tenant: job.tenant.clone(),
        function: job.function.clone(),
        version: None,
        chosen: Arc::default(),
        method: "POST".to_owned(),
        target: job.path.clone(),
        fields: fields.into_bytes(),
        recorded_as: Some(RecordedKind::Scheduled),
        trace: Context::new(job.invocation),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        secure: false,
        caller: Caller::Trusted,
        body: Box::new(move |_| async move { Ok(body) }.boxed()),
    }
}
