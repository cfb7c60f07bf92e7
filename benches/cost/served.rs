//! A function called as the server calls it: admitted, given its grants, run, accounted for and
//! recorded. What this takes beyond a bare sandbox is what all of that costs an invocation.

use ampoule::clock;
use ampoule::deploy::Settings;
use ampoule::dispatch::{AnswerBody, Dispatch};
use ampoule::sandbox::Engine;
use anyhow::{Result, bail, ensure};
use tempfile::TempDir;

use super::Once;
use super::bars::micros;
use super::cases::Case;
use super::platform::{Name, Parts, call, upload};

/// The parts of a server behind its HTTP, with one function.
pub(crate) struct Served {
    dispatch: Dispatch,
    name: Name,
    case: Case,
    /// Where records go.
    _data: TempDir,
}

impl Served {
    /// Deploys a case.
    pub(crate) async fn new(engine: &Engine, case: &Case) -> Result<Self> {
        let parts = Parts::new(engine)?;
        let name = Name::new("served")?;
        let source = case.source.clone();
        upload(
            &parts.deploy,
            &name,
            "index.js",
            source,
            Settings::default(),
        )
        .await?;
        let (dispatch, data) = parts.dispatch()?;
        Ok(Self {
            dispatch,
            name,
            case: case.clone(),
            _data: data,
        })
    }

    /// Calls it once, and checks its answer. The time is that between a request that was read and
    /// an answer that can be sent; the record is on its way to the writer by then.
    pub(crate) async fn run(&self) -> Result<Once> {
        let begun = clock::monotonic();
        let answer = call(&self.dispatch, &self.name, &self.case.ask).await?;
        drop(answer.record);
        let micros = micros(begun);
        let AnswerBody::Whole(body) = answer.body else {
            bail!("the answer is a stream");
        };
        ensure!(answer.status == 200, "the status is {}", answer.status);
        ensure!(body == self.case.answer, "the answer is {body:?}");
        Ok(Once {
            micros,
            fuel: 0,
            host_calls: 0,
        })
    }
}
