//! Invocations that nobody waits for an answer of: those of schedules. They run to their end, and
//! what is told of them is how that was.

use std::sync::Arc;

use futures_util::future::join;

use super::background::read_away;
use super::{Begun, Call, Dispatch, Extras};
use crate::error::{Code, Error};
use crate::kind::Kind;
use crate::store::Deployment;

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unattended {
    /// The status of the answer; `None` without one, and for functions that answer results.
    pub status: Option<u16>,
    /// Why the invocation failed, if it did: also after it had answered.
    pub code: Option<Code>,
}

impl Dispatch {
    /// Runs one invocation of a version to its end, what it does after its answer included. One
    /// that is of no request function gets `call.body` alone.
    ///
    /// # Errors
    /// What keeps it from running: `shutting_down`, `server_busy`, `tenant_busy`, those of the
    /// body.
    /// # Cancel safety
    /// Dropping the future ends the invocation.
    pub async fn run_unattended(
        &self,
        version: Arc<Deployment>,
        call: Call,
    ) -> Result<Unattended, Error> {
        let kind = version.kind;
        let extras = Extras {
            deployment: Some(version),
            ..Extras::default()
        };
        match kind {
            Kind::Request => self.serve(call, extras).await,
            Kind::Event | Kind::Workspace => {
                let completed = self.complete_with(kind, call, extras).await?;
                let code = completed.result.err().map(|failed| failed.error.code);
                Ok(Unattended { status: None, code })
            }
        }
    }

    async fn serve(&self, call: Call, extras: Extras) -> Result<Unattended, Error> {
        let Begun {
            image,
            invocation,
            mut account,
            head,
            ..
        } = self.begin_with(Kind::Request, call, extras).await?;
        let running = async move {
            let finished = image.invoke(invocation).await;
            account.close(&finished).await;
            finished
        };
        let (finished, status) = join(running, read_away(head)).await;
        let code = finished.outcome.code();
        Ok(Unattended {
            status,
            code: code.or_else(|| status.is_none().then_some(Code::FunctionThrew)),
        })
    }
}
