//! A function called as the server calls it: admitted, given its grants, run, accounted for and
//! recorded. What this takes beyond a bare sandbox is what all of that costs an invocation.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ampoule::clock;
use ampoule::deploy::{Deploy, Images, Settings, Upload, UploadKind};
use ampoule::dispatch::{AnswerBody, Call, Caller, Concurrency, Dispatch, Observers};
use ampoule::id::{FunctionName, InvocationId, TenantId};
use ampoule::metrics::Metrics;
use ampoule::outbound::{Client, OutboundConfig, OwnAddresses};
use ampoule::sandbox::Engine;
use ampoule::secret::MasterKey;
use ampoule::store::{Expected, Store};
use ampoule::trace::Context as Trace;
use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use tempfile::TempDir;

use super::Once;
use super::cases::Case;
use super::sandbox::micros;

/// The parts of a server behind its HTTP, with one function.
pub(crate) struct Served {
    dispatch: Dispatch,
    tenant: TenantId,
    function: FunctionName,
    case: Case,
    /// Where records go.
    _data: TempDir,
}

impl Served {
    /// Deploys a case.
    pub(crate) async fn new(engine: &Engine, case: &Case) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let store = Arc::new(Store::open(&data.path().join("ampoule.redb"))?);
        let program = "ampoule".into();
        let master = Arc::new(MasterKey::new(&[0; 32]));
        let images = Images::new(
            Arc::clone(&store),
            engine.clone(),
            master,
            data.path(),
            program,
        );
        let tenant = TenantId::default_tenant();
        let function: FunctionName = "served".parse()?;
        let upload = Upload {
            tenant: tenant.clone(),
            function: function.clone(),
            kind: UploadKind::Source {
                filename: "index.js".to_owned(),
            },
            bytes: Bytes::from(case.source.clone()),
            settings: Settings::default(),
            expected: Expected::default(),
        };
        let deploy = Deploy::new(Arc::clone(&store), images.clone());
        Box::pin(deploy.deploy(upload)).await?;
        let client = Client::new(OutboundConfig {
            policy: Arc::new(OwnAddresses::new(Vec::new())),
            resolver: None,
            user_agent: "Ampoule".to_owned(),
            connect_timeout: Duration::from_secs(10),
        })?;
        let concurrency = Concurrency {
            total: 512,
            per_tenant: 128,
        };
        let observers = Observers {
            metrics: Arc::new(Metrics::new(&store.commit_durations(), 0)),
            tracer: None,
        };
        Ok(Self {
            dispatch: Dispatch::new(store, images, Arc::new(client), concurrency, observers),
            tenant,
            function,
            case: case.clone(),
            _data: data,
        })
    }

    /// Calls it once, and checks its answer. The time is that between a request that was read and
    /// an answer that can be sent; the record is on its way to the writer by then.
    pub(crate) async fn run(&self) -> Result<Once> {
        let content = self.case.content.clone();
        let begun = clock::monotonic();
        let id = InvocationId::new(clock::now_ms());
        let call = Call {
            id,
            tenant: self.tenant.clone(),
            function: self.function.clone(),
            version: None,
            chosen: Arc::default(),
            method: self.case.method.to_owned(),
            target: "/".to_owned(),
            fields: self.case.fields.as_bytes().to_vec(),
            recorded_as: None,
            trace: Trace::new(id),
            peer: IpAddr::from([127, 0, 0, 1]),
            secure: false,
            caller: Caller::Trusted,
            body: Box::new(|_bytes_max| Box::pin(async move { Ok(content) })),
        };
        let answer = Box::pin(self.dispatch.invoke(call)).await?;
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
