//! Interface `kv`: the tenant's namespace.

use bytes::Bytes;
use wasmtime::bail;

use super::State;
use super::bindings::ampoule::host::kv;
use super::operations::{Outcome, Work};
use crate::clock;
use crate::limits::{KV_LIST_KEYS_MAX, KV_TTL_MS_MAX};
use crate::store::{self, Namespace};

impl kv::Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, kv::Error>> {
        self.count_host_call();
        self.usage.kv_operations += 1;
        Ok(match &self.grants.kv {
            Some(namespace) => {
                let value = namespace.get(&key).map_err(error);
                value.map(|value| value.map(|bytes| bytes.to_vec()))
            }
            None => Err(kv::Error::Unavailable),
        })
    }

    fn begin(&mut self, command: kv::Command) -> wasmtime::Result<u32> {
        self.count_host_call();
        self.usage.kv_operations += 1;
        let work = match self.grants.kv.clone() {
            Some(namespace) => work(namespace, command),
            None => Box::pin(async { Outcome::Kv(Err(kv::Error::Unavailable)) }),
        };
        self.operations.begin(work)
    }

    fn finish(&mut self, operation: u32) -> wasmtime::Result<Result<kv::Reply, kv::Error>> {
        match self.operations.take(operation)? {
            Outcome::Kv(result) => Ok(result),
            _ => bail!("operation {operation} is not a kv command"),
        }
    }
}

/// What only reads answers at once; writes when they are durable.
fn work(namespace: Namespace, command: kv::Command) -> Work {
    Box::pin(async move { Outcome::Kv(run(&namespace, command).await) })
}

async fn run(namespace: &Namespace, command: kv::Command) -> Result<kv::Reply, kv::Error> {
    let reply = match command {
        kv::Command::Has(key) => kv::Reply::Flag(namespace.has(&key).map_err(error)?),
        kv::Command::Put(put) => {
            let expiry = expiry(put.ttl)?;
            let written = namespace
                .set(&put.key, Bytes::from(put.value), expiry)
                .await;
            written.map_err(error)?;
            kv::Reply::Flag(true)
        }
        kv::Command::Delete(key) => kv::Reply::Flag(namespace.delete(&key).await.map_err(error)?),
        kv::Command::Listing(listing) => list(namespace, &listing)?,
        kv::Command::Increment(increment) => {
            let sum = namespace
                .increment(&increment.key, increment.by, None)
                .await;
            kv::Reply::Number(sum.map_err(error)?)
        }
        kv::Command::Swap(swap) => {
            let expiry = expiry(swap.ttl)?;
            let (expected, value) = (swap.expected.map(Bytes::from), swap.value.map(Bytes::from));
            let written = namespace
                .compare_and_set(&swap.key, expected, value, expiry)
                .await;
            kv::Reply::Flag(written.map_err(error)?)
        }
        kv::Command::Clear => {
            #[expect(clippy::cast_precision_loss, reason = "a count of keys is below 2^53")]
            let cleared = namespace.clear().await.map_err(error)? as f64;
            kv::Reply::Number(cleared)
        }
    };
    Ok(reply)
}

fn list(namespace: &Namespace, listing: &kv::Listing) -> Result<kv::Reply, kv::Error> {
    let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
    if limit == 0 || limit > KV_LIST_KEYS_MAX {
        let detail = format!("limit must be 1 to {KV_LIST_KEYS_MAX}");
        return Err(kv::Error::Invalid(detail));
    }
    let page = namespace
        .list(&listing.prefix, listing.after.as_deref(), limit)
        .map_err(error)?;
    Ok(kv::Reply::Page(kv::Page {
        keys: page.keys,
        next: page.next,
    }))
}

fn expiry(ttl_ms: u64) -> Result<Option<u64>, kv::Error> {
    match ttl_ms {
        0 => Ok(None),
        // Guest-controlled: bounded before it is added to anything.
        ttl if ttl > KV_TTL_MS_MAX => Err(kv::Error::Invalid(
            "the time to live must be at most 100 years".into(),
        )),
        ttl => Ok(Some(clock::now_ms() + ttl)),
    }
}

fn error(error: store::Error) -> kv::Error {
    match error {
        store::Error::NotANumber => kv::Error::NotANumber,
        store::Error::Busy => kv::Error::Busy,
        store::Error::KeyLength { .. }
        | store::Error::ValueTooLarge { .. }
        | store::Error::ExpiryTooFar
        | store::Error::NotFinite => kv::Error::Invalid(error.to_string()),
        store::Error::QuotaExceeded { .. } => kv::Error::Quota(error.to_string()),
        other => {
            tracing::error!(error = %other, "kv");
            kv::Error::Unavailable
        }
    }
}
