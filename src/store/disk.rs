//! A disk in memory for tests: it can fail after so many operations and lose its power.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::{Builder, Database, StorageBackend};

use super::{Error, Fault, file, schema};

/// A block that is on the disk whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Debug)]
struct State {
    /// What a read answers.
    visible: Vec<u8>,
    /// What a loss of power leaves for certain.
    durable: Vec<u8>,
    /// Writes since the last sync, in sectors; each of them may or may not survive.
    unsynced: Vec<(usize, Vec<u8>)>,
    syncs: u64,
    /// Operations left before failing begins.
    countdown: Option<u64>,
    /// Whether failing lasts until [`Disk::heal`], or is over after one operation.
    failing_lasts: bool,
    powered: bool,
    rng: StdRng,
}

/// A handle to the disk; clones are the same disk.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            visible: Vec::new(),
            durable: Vec::new(),
            unsynced: Vec::new(),
            syncs: 0,
            countdown: None,
            failing_lasts: false,
            powered: true,
            rng: StdRng::seed_from_u64(seed),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Opens the database on it, making it if the disk is empty.
    pub(super) fn open(&self) -> Result<Database, Error> {
        let unavailable = |error: redb::DatabaseError| Error::from(Fault::from(error));
        let empty = self.state().visible.is_empty();
        let opened = Builder::new().create_with_backend(self.clone());
        let database = opened.map_err(unavailable)?;
        if empty {
            schema::initialise(&database, schema::FORMAT)?;
        }
        file::check_format("disk".as_ref(), &database)?;
        Ok(database)
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Fails the operation after `operations` more, and with `lasting` all that follow.
    pub(super) fn fail_after(&self, operations: u64, lasting: bool) {
        let mut state = self.state();
        state.countdown = Some(operations);
        state.failing_lasts = lasting;
    }

    pub(super) fn heal(&self) {
        self.state().countdown = None;
    }

    /// The power goes: every operation fails, and of what was not synced some survives.
    pub(super) fn crash(&self) {
        let mut state = self.state();
        let State {
            durable,
            unsynced,
            rng,
            ..
        } = &mut *state;
        let survive = rng.random_range(0.0..=1.0);
        for (offset, sector) in unsynced.drain(..) {
            if rng.random_bool(survive) && offset + sector.len() <= durable.len() {
                durable[offset..offset + sector.len()].copy_from_slice(&sector);
            }
        }
        state.powered = false;
    }

    /// The power is back.
    pub(super) fn restore(&self) {
        let mut state = self.state();
        state.visible = state.durable.clone();
        state.powered = true;
        state.countdown = None;
    }

    fn operate(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if !state.powered {
            return Err(io::Error::other("no power"));
        }
        match state.countdown {
            Some(0) => {
                if !state.failing_lasts {
                    state.countdown = None;
                }
                Err(io::Error::other("failing on purpose"))
            }
            Some(left) => {
                state.countdown = Some(left - 1);
                Ok(state)
            }
            None => Ok(state),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.operate()?.visible.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.operate()?;
        let offset = usize::try_from(offset).unwrap();
        let Some(bytes) = state.visible.get(offset..offset + out.len()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        out.copy_from_slice(bytes);
        Ok(())
    }

    // A file system keeps a file's length in its journal, so it is not subject to losses.
    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.operate()?;
        let len = usize::try_from(len).unwrap();
        state.visible.resize(len, 0);
        state.durable.resize(len, 0);
        state
            .unsynced
            .retain(|(offset, sector)| offset + sector.len() <= len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.operate()?;
        let State {
            durable, unsynced, ..
        } = &mut *state;
        for (offset, sector) in unsynced.drain(..) {
            durable[offset..offset + sector.len()].copy_from_slice(&sector);
        }
        state.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.operate()?;
        let offset = usize::try_from(offset).unwrap();
        state.visible[offset..offset + data.len()].copy_from_slice(data);
        for (number, sector) in data.chunks(SECTOR_BYTES).enumerate() {
            let at = offset + number * SECTOR_BYTES;
            state.unsynced.push((at, sector.to_vec()));
        }
        Ok(())
    }
}
