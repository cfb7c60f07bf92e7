//! Cryptographic primitives: bytes in, bytes out. Formats, paddings of RSA and keys are made in
//! `js/src/node/crypto*.js`; what has to be fast or must not leak through time is here.
//!
//! Nothing here knows JavaScript, so it is tested by itself: `src/crypto.rs` of the guest calls
//! [`call`] with the name of an operation and its arguments as bytes (numbers in decimal). All that
//! a call needs is in its arguments, or in a numbered state that an earlier call began.

mod ciphers;
mod curves;
mod hashing;
mod numbers;
mod passwords;

use std::borrow::Cow;
use std::cell::RefCell;

/// The most bytes that one operation may make at once, where an argument says how many.
const OUTPUT_BYTES_MAX: usize = 64 << 20;

/// Why an operation did not happen. The JavaScript layer turns these into Node's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No such algorithm, curve or operation.
    Unknown,
    /// An argument is missing or makes no sense; nothing that a caller of the layer can cause.
    Argument,
    /// A key, point or number is not one of those that the algorithm has.
    Key,
    /// What was decrypted is not what was encrypted.
    Authentic,
    /// Data of a length that the algorithm does not take.
    Length,
    /// More memory than an operation may have.
    Memory,
    /// Randomness is not to be had now.
    Random,
}

impl Failure {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Argument => "argument",
            Self::Key => "key",
            Self::Authentic => "authentic",
            Self::Length => "length",
            Self::Memory => "memory",
            Self::Random => "random",
        }
    }
}

type Answer = Result<Vec<u8>, Failure>;

/// Where random bytes come from; false when there are none.
pub type Random = fn(&mut [u8]) -> bool;

/// The arguments of one operation.
pub struct Arguments<'a> {
    /// In the order in which they were given.
    pub given: &'a [Cow<'a, [u8]>],
    /// For what makes keys.
    pub random: Random,
}

impl Arguments<'_> {
    fn bytes(&self, index: usize) -> Result<&[u8], Failure> {
        self.given
            .get(index)
            .map(AsRef::as_ref)
            .ok_or(Failure::Argument)
    }

    fn text(&self, index: usize) -> Result<&str, Failure> {
        std::str::from_utf8(self.bytes(index)?).map_err(|_| Failure::Argument)
    }

    fn number(&self, index: usize) -> Result<u32, Failure> {
        self.text(index)?.parse().map_err(|_| Failure::Argument)
    }

    /// How many bytes to make.
    fn output_len(&self, index: usize) -> Result<usize, Failure> {
        match self.number(index)? as usize {
            len if len > OUTPUT_BYTES_MAX => Err(Failure::Memory),
            len => Ok(len),
        }
    }
}

/// Work that goes on over several calls. It is part of a snapshot like everything else.
enum State {
    Hash(hashing::Running),
    Cipher(Box<ciphers::Running>),
}

thread_local! {
    static STATES: RefCell<Vec<Option<State>>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a state; its number as text.
fn keep(state: State) -> Vec<u8> {
    STATES.with_borrow_mut(|states| {
        let index = states.iter().position(Option::is_none);
        let index = index.unwrap_or_else(|| {
            states.push(None);
            states.len() - 1
        });
        states[index] = Some(state);
        index.to_string().into_bytes()
    })
}

fn with_state<T>(
    arguments: &Arguments<'_>,
    work: impl FnOnce(&mut State) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let index = arguments.number(0)? as usize;
    STATES.with_borrow_mut(|states| {
        let state = states.get_mut(index).and_then(Option::as_mut);
        work(state.ok_or(Failure::Argument)?)
    })
}

fn take_state(arguments: &Arguments<'_>) -> Result<State, Failure> {
    let index = arguments.number(0)? as usize;
    STATES.with_borrow_mut(|states| {
        let state = states.get_mut(index).and_then(Option::take);
        state.ok_or(Failure::Argument)
    })
}

/// Carries out an operation.
///
/// # Errors
/// See [`Failure`].
pub fn call(operation: &str, arguments: &Arguments<'_>) -> Answer {
    match operation {
        "hash" => hashing::hash(arguments),
        "hmac" => hashing::hmac(arguments),
        "hashBegin" => hashing::begin(arguments).map(|state| keep(State::Hash(state))),
        "hashUpdate" => with_hash(arguments, |state| {
            state.update(arguments.bytes(1)?);
            Ok(Vec::new())
        }),
        "hashCopy" => {
            let copy = with_state(arguments, |state| match state {
                State::Hash(state) => Ok(state.clone()),
                State::Cipher(_) => Err(Failure::Argument),
            })?;
            Ok(keep(State::Hash(copy)))
        }
        "hashFinish" => match take_state(arguments)? {
            State::Hash(state) => Ok(state.finish()),
            State::Cipher(_) => Err(Failure::Argument),
        },
        "pbkdf2" => passwords::pbkdf2(arguments),
        "scrypt" => passwords::scrypt(arguments),
        "hkdf" => passwords::hkdf(arguments),
        "cipherBegin" => ciphers::begin(arguments).map(|state| keep(State::Cipher(state.into()))),
        "cipherAad" => with_cipher(arguments, |state| {
            state.additional(arguments.bytes(1)?)?;
            Ok(Vec::new())
        }),
        "cipherUpdate" => with_cipher(arguments, |state| state.update(arguments.bytes(1)?)),
        "cipherFinish" => match take_state(arguments)? {
            State::Cipher(state) => state.finish(arguments.bytes(1)?),
            State::Hash(_) => Err(Failure::Argument),
        },
        "keyWrap" => ciphers::key_wrap(arguments),
        "keyUnwrap" => ciphers::key_unwrap(arguments),
        _ => curves::call(operation, arguments)
            .unwrap_or_else(|| numbers::call(operation, arguments)),
    }
}

fn with_hash(
    arguments: &Arguments<'_>,
    work: impl FnOnce(&mut hashing::Running) -> Result<Vec<u8>, Failure>,
) -> Result<Vec<u8>, Failure> {
    with_state(arguments, |state| match state {
        State::Hash(state) => work(state),
        State::Cipher(_) => Err(Failure::Argument),
    })
}

fn with_cipher(
    arguments: &Arguments<'_>,
    work: impl FnOnce(&mut ciphers::Running) -> Result<Vec<u8>, Failure>,
) -> Result<Vec<u8>, Failure> {
    with_state(arguments, |state| match state {
        State::Cipher(state) => work(state),
        State::Hash(_) => Err(Failure::Argument),
    })
}
