//! Invocations that nobody waits for an answer of: those of schedules. They run to their end, and
//! what is told of them is how that was.

use futures_util::future::join;

use super::background::read_away;
use super::{Begun, Call, Dispatch};
use crate::deploy::from_store;
use crate::error::{Code, Error};
use crate::kind::Kind;

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unattended {
    /// The status of the answer; `None` without one, and for functions that answer results.
    pub status: Option<u16>,
    /// Why the invocation failed, if it did: also after it had answered.
    pub code: Option<Code>,
}

impl Dispatch {
    /// Runs one invocation of a function of whatever kind to its end, what it does after its
    /// answer included. A function that is no request function gets `call.body` alone.
    ///
    /// # Errors
    /// What keeps it from running: `shutting_down`, `function_not_found`, `server_busy`,
    /// `tenant_busy`, those of the body.
    /// # Cancel safety
    /// Dropping the future ends the invocation.
    pub async fn run_unattended(&self, call: Call) -> Result<Unattended, Error> {
        let functions = self.shared.store.functions();
        let active = functions.active(&call.tenant, &call.function);
        let kind = active.map_err(from_store)?.map(|active| active.kind);
        match kind.unwrap_or(Kind::Request) {
            Kind::Request => self.serve(call).await,
            kind @ (Kind::Event | Kind::Workspace) => {
                let completed = self.complete(kind, call).await?;
                let code = completed.result.err().map(|failed| failed.error.code);
                Ok(Unattended { status: None, code })
            }
        }
    }

    async fn serve(&self, call: Call) -> Result<Unattended, Error> {
        let Begun {
            image,
            invocation,
            mut account,
            head,
            ..
        } = self.begin(call, Kind::Request).await?;
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
