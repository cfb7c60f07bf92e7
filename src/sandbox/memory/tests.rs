//! What the pool gives out again is as new, whichever way it is made so.

use std::sync::mpsc;

use wasmtime::{Config, Engine, Instance, Module, Store};

use super::super::{memory_file, snapshot};
use super::*;

/// A page of the machine.
const PAGE: usize = 4 << 10;
/// What every sandbox leaves behind; no image holds it.
const SECRET: u8 = 0x5a;
/// How far a sandbox grows its memory, in WebAssembly pages.
const GROWN: usize = 100;

/// Data from `address` on, with pages of zeros among it, at the end of a memory.
fn sample(address: usize, bytes: usize) -> Vec<u8> {
    let mut memory = vec![0; (address + bytes).next_multiple_of(WASM_PAGE)];
    for (at, byte) in memory.iter_mut().enumerate().skip(address).take(bytes) {
        let is_hole = (at / PAGE) % 7 < 3;
        *byte = u8::try_from(at % 83).unwrap() * u8::from(!is_hole);
    }
    memory
}

/// Sandboxes of one image.
struct Image {
    engine: Engine,
    module: Module,
    contents: Arc<Contents>,
    memory: Vec<u8>,
}

fn engine() -> Engine {
    Engine::new(Config::new().with_host_memory(Arc::new(Memories))).unwrap()
}

impl Image {
    fn new(engine: &Engine, pool: &Arc<Pool>, memory: Vec<u8>) -> Self {
        let file = memory_file::holding("sample", &memory).unwrap();
        Self {
            engine: engine.clone(),
            module: Module::new(engine, snapshot::blank(memory.len())).unwrap(),
            contents: Arc::new(Contents::new(pool, file, memory.len()).unwrap()),
            memory,
        }
    }

    fn sandbox(&self) -> Result<Guest, String> {
        let mut store = Store::new(&self.engine, ());
        let make = || Instance::new(&mut store, &self.module, &[]);
        let (instance, memory) = beginning_with(&self.contents, make);
        let instance = instance.map_err(|error| format!("{error:#}"))?;
        Ok(Guest {
            linear: instance.get_memory(&mut store, "memory").unwrap(),
            store,
            memory: memory.unwrap(),
        })
    }
}

struct Guest {
    store: Store<()>,
    linear: wasmtime::Memory,
    memory: Arc<Memory>,
}

impl Guest {
    /// Looks at every byte it got, then leaves secrets, on other pages each time.
    fn live(&mut self, image: &Image, round: usize) {
        let bytes = self.look(image, round);
        // All pages; then more separate ones than one scan of the kernel answers; then fewer; then the
        // same again, and a single one more.
        let (skip, step) = [(0, 1), (0, 2), (1, 3), (0, 40), (0, 40), (7, 500)][round % 6];
        for page in bytes.chunks_mut(PAGE).skip(skip).step_by(step) {
            page.fill(SECRET);
        }
    }

    /// Looks at every byte it got.
    fn look(&mut self, image: &Image, round: usize) -> &mut [u8] {
        self.memory.enter();
        let bytes = self.linear.data_mut(&mut self.store);
        assert!(bytes == image.memory, "round {round}");
        bytes
    }

    fn renew(&self) -> bool {
        self.memory.renew(self.memory.has_changed())
    }

    fn grow(&mut self, image: &Image) {
        self.memory.enter();
        self.linear.grow(&mut self.store, GROWN as u64).unwrap();
        let grown = &mut self.linear.data_mut(&mut self.store)[image.memory.len()..];
        assert_eq!(grown.len(), GROWN * WASM_PAGE);
        assert!(grown.iter().all(|byte| *byte == 0));
        grown.fill(SECRET);
    }
}

fn samples(pool: &Arc<Pool>) -> [Image; 3] {
    let engine = engine();
    let all = [
        sample(1 << 20, 900_000),
        sample((1 << 20) + 16, 6_000_001),
        sample(0, 10),
    ];
    all.map(|memory| Image::new(&engine, pool, memory))
}

fn ways() -> impl Iterator<Item = bool> {
    [false, true]
        .into_iter()
        .filter(|is_scanned| !is_scanned || is_scan_available())
}

#[test]
fn the_next_sandbox_finds_nothing_of_the_one_before() {
    for is_scanned in ways() {
        // With a single region, every sandbox gets that of the one before.
        let pool = Arc::new(Pool::new(1, is_scanned).unwrap());
        let images = samples(&pool);
        let keepers: Vec<_> = images.iter().map(|image| keeper(&image.contents)).collect();
        for keeper in &keepers {
            pool.add_keeper(Arc::downgrade(keeper));
        }
        for round in 0..40 {
            // Several of the same image in a row, and then another one.
            let image = &images[(round / 5) % 3];
            let mut guest = image.sandbox().unwrap();
            guest.live(image, round);
            guest.grow(image);
        }
    }
}

/// Gives back what contents have to spare.
#[derive(Debug)]
struct Spares(Arc<Contents>);

impl Keeper for Spares {
    fn make_room(&self) -> bool {
        self.0.make_room()
    }

    fn rest(&self) {
        while self.0.make_room() {}
    }
}

fn keeper(contents: &Arc<Contents>) -> Arc<dyn Keeper> {
    Arc::new(Spares(Arc::clone(contents)))
}

#[test]
fn a_guest_that_is_used_again_finds_nothing_of_before() {
    for is_scanned in ways() {
        let pool = Arc::new(Pool::new(3, is_scanned).unwrap());
        for image in samples(&pool) {
            let mut guest = image.sandbox().unwrap();
            for round in 0..60 {
                guest.live(&image, round);
                assert!(guest.renew(), "round {round}");
            }
        }
    }
}

#[test]
fn what_is_written_on_another_thread_is_found() {
    for is_scanned in ways() {
        let pool = Arc::new(Pool::new(1, is_scanned).unwrap());
        let image = Image::new(&engine(), &pool, sample(1 << 20, 900_000));
        let guest = Mutex::new(image.sandbox().unwrap());
        let (ask, asked) = mpsc::channel();
        let (answer, answered) = mpsc::channel();
        std::thread::scope(|scope| {
            let (image, guest) = (&image, &guest);
            scope.spawn(move || {
                for round in asked {
                    // A page that nobody wrote to before.
                    let mut guest = lock(guest);
                    guest.look(image, round)[round * PAGE..][..PAGE].fill(SECRET);
                    drop(guest);
                    answer.send(()).unwrap();
                }
            });
            // All faults are the other thread's: after a few rounds this one has none any more.
            for round in 0..60 {
                ask.send(round).unwrap();
                answered.recv().unwrap();
                assert!(lock(guest).renew(), "round {round}");
            }
            drop(ask);
        });
    }
}

#[test]
fn the_kernel_is_not_asked_while_the_same_pages_are_written() {
    let pool = Arc::new(Pool::new(1, true).unwrap());
    let image = &Image::new(&engine(), &pool, sample(0, 900_000));
    let mut guest = image.sandbox().unwrap();
    let mut unchanged = 0;
    for round in 0..20 {
        // As a new one it may come from another thread.
        if round % 2 == 1 {
            std::thread::scope(|scope| scope.spawn(|| guest.renew()).join()).unwrap();
            assert!(!guest.memory.is_from_here());
        }
        guest.memory.begin();
        guest.live(image, 3);
        unchanged += u32::from(guest.memory.watch.is_unchanged());
        assert!(guest.renew());
    }
    // The first use has faults, and something else on this thread may have a few.
    assert!((1..20).contains(&unchanged), "{unchanged} of 20");
}

#[test]
fn a_memory_that_has_grown_is_not_used_again() {
    let pool = Arc::new(Pool::new(1, is_scan_available()).unwrap());
    let image = &Image::new(&engine(), &pool, sample(0, 900_000));
    let mut guest = image.sandbox().unwrap();
    guest.grow(image);
    assert!(!guest.renew());
    drop(guest);
    image.sandbox().unwrap().live(image, 0);
}

#[test]
fn there_are_as_many_sandboxes_as_were_asked_for() {
    let pool = Arc::new(Pool::new(2, is_scan_available()).unwrap());
    let [first, second, _] = samples(&pool);
    let keeper = keeper(&first.contents);
    pool.add_keeper(Arc::downgrade(&keeper));
    let both = [first.sandbox().unwrap(), first.sandbox().unwrap()];
    for image in [&first, &second] {
        let refused = image.sandbox().map(drop).unwrap_err();
        assert!(refused.contains("all sandboxes are in use"), "{refused}");
    }
    drop(both);
    // What the first image has to spare goes to the second.
    let mut both = [second.sandbox().unwrap(), second.sandbox().unwrap()];
    for guest in &mut both {
        guest.live(&second, 0);
    }
    assert!(first.sandbox().is_err());
}

#[test]
fn a_page_is_found_wherever_it_is() {
    if !is_scan_available() {
        return;
    }
    let pool = Arc::new(Pool::new(1, true).unwrap());
    let image = &Image::new(&engine(), &pool, sample(0, 900_000));
    let mut guest = image.sandbox().unwrap();
    for round in 0..6 {
        guest.live(image, round);
        let start = guest.linear.data_ptr(&guest.store).cast();
        let bytes = guest.linear.data_size(&guest.store);
        #[expect(unsafe_code, reason = "memory of this test's own")]
        // SAFETY: it changes no contents. Where there is a swap area, the pages go there.
        unsafe { rustix::mm::madvise(start, bytes, rustix::mm::Advice::LinuxPageOut) }.unwrap();
        assert!(guest.renew(), "round {round}");
    }
}
