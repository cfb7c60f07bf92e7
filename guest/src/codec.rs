//! The compressed formats of `node:zlib`, a piece at a time: deflate, zlib, gzip and Brotli.
//!
//! Knows nothing of JavaScript. One [`Codec`] is one stream in one direction; a call to
//! [`Codec::step`] reads and writes no more than the slices it is given.

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderDestroyInstance, BrotliEncoderOperation, BrotliEncoderParameter,
    BrotliEncoderStateStruct,
};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use zlib_rs::{
    Deflate, DeflateConfig, DeflateError, DeflateFlush, Inflate, InflateError, InflateFlush,
    Status, Strategy,
};

/// What ends every stream, as zlib numbers it (`Z_FINISH`); Brotli has its own.
const FINISH: i32 = 4;
const BROTLI_FINISH: i32 = 2;
const Z_NEED_DICT: i32 = 2;
const Z_STREAM_ERROR: i32 = -2;
const Z_DATA_ERROR: i32 = -3;
const Z_BUF_ERROR: i32 = -5;
/// How a gzip member begins.
const GZIP_MAGIC: u8 = 0x1f;

/// Direction and format, numbered as in Node (`zlib.constants.DEFLATE` …).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Deflate,
    Inflate,
    Gzip,
    Gunzip,
    DeflateRaw,
    InflateRaw,
    /// gzip or zlib, whichever the first byte says.
    Unzip,
}

impl Mode {
    /// The mode of this number; none for those of Brotli.
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Deflate,
            2 => Self::Inflate,
            3 => Self::Gzip,
            4 => Self::Gunzip,
            5 => Self::DeflateRaw,
            6 => Self::InflateRaw,
            7 => Self::Unzip,
            _ => return None,
        })
    }

    fn compresses(self) -> bool {
        matches!(self, Self::Deflate | Self::Gzip | Self::DeflateRaw)
    }
}

/// What a stream of deflate, zlib or gzip is made with.
#[derive(Clone)]
pub struct Settings {
    pub mode: Mode,
    /// -1 to 9.
    pub level: i32,
    /// 8 to 15; 0 as well when inflating: as the header says.
    pub window_bits: i32,
    /// 1 to 9.
    pub mem_level: i32,
    /// 0 to 4.
    pub strategy: i32,
    pub dictionary: Option<Vec<u8>>,
}

/// Why a stream cannot go on, in Node's words.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Node's `errno`.
    pub number: i32,
    /// Node's `code`.
    pub code: String,
    pub message: String,
}

impl Failure {
    fn zlib(number: i32, message: &str) -> Self {
        let code = match number {
            Z_NEED_DICT => "Z_NEED_DICT",
            Z_STREAM_ERROR => "Z_STREAM_ERROR",
            Z_DATA_ERROR => "Z_DATA_ERROR",
            Z_BUF_ERROR => "Z_BUF_ERROR",
            _ => "Z_MEM_ERROR",
        };
        Self {
            number,
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    fn unexpected_end() -> Self {
        Self::zlib(Z_BUF_ERROR, "unexpected end of file")
    }
}

/// How far one step came.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub struct Step {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// Bytes written to the output.
    pub produced: usize,
    /// Whether the stream has come to its end.
    pub ended: bool,
}

/// One stream in one direction.
pub struct Codec(Kind);

enum Kind {
    Deflating(Box<Deflating>),
    Inflating(Box<Inflating>),
    BrotliEncoding(Box<BrotliEncoding>),
    BrotliDecoding(Box<BrotliDecoding>),
}

impl Codec {
    /// A stream of deflate, zlib or gzip; none if a setting is out of its range.
    pub fn zlib(settings: Settings) -> Option<Self> {
        let least = if settings.mode.compresses() { 8 } else { 0 };
        let window_is_fit = (8..=15).contains(&settings.window_bits)
            || (settings.window_bits == 0 && least == 0 && settings.mode != Mode::InflateRaw);
        let is_fit = window_is_fit
            && (-1..=9).contains(&settings.level)
            && (1..=9).contains(&settings.mem_level)
            && Strategy::try_from(settings.strategy).is_ok();
        if !is_fit {
            return None;
        }
        Some(Self(if settings.mode.compresses() {
            Kind::Deflating(Box::new(Deflating::new(settings)?))
        } else {
            Kind::Inflating(Box::new(Inflating::new(settings)?))
        }))
    }

    /// A Brotli encoder with these parameters, by number; none if one of them is unknown.
    pub fn brotli_encoder(parameters: Vec<(u32, u32)>) -> Option<Self> {
        let encoding = BrotliEncoding::new(parameters)?;
        Some(Self(Kind::BrotliEncoding(Box::new(encoding))))
    }

    /// A Brotli decoder; `large_window` takes windows of up to 30 bits.
    pub fn brotli_decoder(large_window: bool) -> Self {
        Self(Kind::BrotliDecoding(Box::new(BrotliDecoding::new(
            large_window,
        ))))
    }

    /// Begins anew, with the same settings.
    pub fn reset(&mut self) {
        match &mut self.0 {
            Kind::Deflating(it) => {
                if let Some(fresh) = Deflating::new(it.settings.clone()) {
                    **it = fresh;
                }
            }
            Kind::Inflating(it) => {
                if let Some(fresh) = Inflating::new(it.settings.clone()) {
                    **it = fresh;
                }
            }
            Kind::BrotliEncoding(it) => {
                if let Some(fresh) = BrotliEncoding::new(it.parameters.clone()) {
                    **it = fresh;
                }
            }
            Kind::BrotliDecoding(it) => **it = BrotliDecoding::new(it.large_window),
        }
    }

    /// Another level for what comes now. False if that cannot be done.
    pub fn set_level(&mut self, level: i32) -> bool {
        match &mut self.0 {
            Kind::Deflating(it) if (-1..=9).contains(&level) => {
                // The library takes the default strategy along with a new level.
                if it.settings.strategy != 0 {
                    return false;
                }
                it.settings.level = level;
                it.inner.set_level(level).is_ok()
            }
            _ => false,
        }
    }

    /// Goes on as far as input and output allow. `flush` is numbered as in Node, for Brotli as
    /// its operations are.
    pub fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> (Step, Option<Failure>) {
        match &mut self.0 {
            Kind::Deflating(it) => it.step(flush, input, output),
            Kind::Inflating(it) => it.step(flush, input, output),
            Kind::BrotliEncoding(it) => it.step(flush, input, output),
            Kind::BrotliDecoding(it) => it.step(flush, input, output),
        }
    }
}

struct Deflating {
    inner: Deflate,
    settings: Settings,
}

impl Deflating {
    fn new(settings: Settings) -> Option<Self> {
        let bits = settings.window_bits;
        let window_bits = match settings.mode {
            // Neither can be written with the smallest window.
            Mode::Gzip => bits.max(9) + 16,
            Mode::DeflateRaw => -bits.max(9),
            _ => bits,
        };
        let mut inner = Deflate::new_with_config(DeflateConfig {
            level: settings.level,
            window_bits,
            mem_level: settings.mem_level,
            strategy: Strategy::try_from(settings.strategy).ok()?,
            ..DeflateConfig::default()
        });
        if let Some(dictionary) = &settings.dictionary
            && settings.mode != Mode::Gzip
        {
            inner.set_dictionary(dictionary).ok()?;
        }
        Some(Self { inner, settings })
    }

    fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> (Step, Option<Failure>) {
        let Ok(how) = DeflateFlush::try_from(flush) else {
            return (
                Step::default(),
                Some(Failure::zlib(Z_STREAM_ERROR, "stream error")),
            );
        };
        let (before_in, before_out) = (self.inner.total_in(), self.inner.total_out());
        let result = self.inner.compress(input, output, how);
        let step = Step {
            consumed: (self.inner.total_in() - before_in) as usize,
            produced: (self.inner.total_out() - before_out) as usize,
            ended: result == Ok(Status::StreamEnd),
        };
        let failure = match result {
            Ok(Status::StreamEnd) => None,
            Ok(_) if flush == FINISH && step.produced < output.len() => {
                Some(Failure::unexpected_end())
            }
            Ok(_) => None,
            Err(error) => {
                let number = match error {
                    DeflateError::StreamError => Z_STREAM_ERROR,
                    DeflateError::DataError => Z_DATA_ERROR,
                    DeflateError::MemError => -4,
                };
                let message = self.inner.error_message().unwrap_or("Zlib error");
                Some(Failure::zlib(number, message))
            }
        };
        (step, failure)
    }
}

struct Inflating {
    inner: Inflate,
    settings: Settings,
    /// Whether what comes is gzip, whose members follow each other; known after the first byte.
    is_gzip: Option<bool>,
}

impl Inflating {
    fn new(settings: Settings) -> Option<Self> {
        let bits = u8::try_from(settings.window_bits).ok()?;
        let mut inner = match settings.mode {
            Mode::Gunzip => Inflate::new(true, bits + 16),
            Mode::Unzip => Inflate::new(true, bits + 32),
            Mode::InflateRaw => Inflate::new(false, bits),
            _ => Inflate::new(true, bits),
        };
        if let Some(dictionary) = &settings.dictionary
            && settings.mode == Mode::InflateRaw
        {
            inner.set_dictionary(dictionary).ok()?;
        }
        let is_gzip = match settings.mode {
            Mode::Gunzip => Some(true),
            Mode::Unzip => None,
            _ => Some(false),
        };
        Some(Self {
            inner,
            settings,
            is_gzip,
        })
    }

    fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> (Step, Option<Failure>) {
        let how = match flush {
            // Inflating knows fewer kinds; the others mean "go on".
            1 | 3 => InflateFlush::SyncFlush,
            _ => match InflateFlush::try_from(flush) {
                Ok(how) => how,
                Err(()) => {
                    let failure = Failure::zlib(Z_STREAM_ERROR, "stream error");
                    return (Step::default(), Some(failure));
                }
            },
        };
        if let (None, Some(first)) = (self.is_gzip, input.first()) {
            self.is_gzip = Some(*first == GZIP_MAGIC);
        }
        let mut step = Step::default();
        let mut result = self.advance(how, input, output, &mut step);
        if let Err(InflateError::NeedDict { .. }) = result {
            result = match self.give_dictionary() {
                Ok(()) => self.advance(how, input, output, &mut step),
                Err(failure) => return (step, Some(failure)),
            };
        }
        while let Ok(Status::StreamEnd) = result {
            let goes_on = self.is_gzip == Some(true)
                && input.get(step.consumed).is_some_and(|&byte| byte != 0);
            if !goes_on {
                break;
            }
            // Another member, or rubbish, which then fails as a header.
            self.inner = Inflate::new(true, 15 + 16);
            result = self.advance(how, input, output, &mut step);
        }
        step.ended = result == Ok(Status::StreamEnd);
        let failure = match result {
            Ok(Status::StreamEnd) => None,
            Ok(_) if flush == FINISH && step.produced < output.len() => {
                Some(Failure::unexpected_end())
            }
            Ok(_) => None,
            Err(error) => Some(self.failure(error)),
        };
        (step, failure)
    }

    fn advance(
        &mut self,
        how: InflateFlush,
        input: &[u8],
        output: &mut [u8],
        step: &mut Step,
    ) -> Result<Status, InflateError> {
        let (before_in, before_out) = (self.inner.total_in(), self.inner.total_out());
        let (input, output) = (&input[step.consumed..], &mut output[step.produced..]);
        let result = self.inner.decompress(input, output, how);
        step.consumed += (self.inner.total_in() - before_in) as usize;
        step.produced += (self.inner.total_out() - before_out) as usize;
        result
    }

    fn give_dictionary(&mut self) -> Result<(), Failure> {
        let Some(dictionary) = &self.settings.dictionary else {
            return Err(Failure::zlib(Z_NEED_DICT, "Missing dictionary"));
        };
        match self.inner.set_dictionary(dictionary) {
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::zlib(Z_NEED_DICT, "Bad dictionary")),
        }
    }

    fn failure(&self, error: InflateError) -> Failure {
        let number = match error {
            InflateError::NeedDict { .. } => Z_NEED_DICT,
            InflateError::StreamError => Z_STREAM_ERROR,
            InflateError::DataError => Z_DATA_ERROR,
            InflateError::MemError => -4,
        };
        Failure::zlib(number, self.inner.error_message().unwrap_or("Zlib error"))
    }
}

struct BrotliEncoding {
    inner: BrotliEncoderStateStruct<StandardAlloc>,
    parameters: Vec<(u32, u32)>,
}

impl Drop for BrotliEncoding {
    fn drop(&mut self) {
        BrotliEncoderDestroyInstance(&mut self.inner);
    }
}

impl BrotliEncoding {
    fn new(parameters: Vec<(u32, u32)>) -> Option<Self> {
        use BrotliEncoderParameter as Parameter;
        let mut inner = BrotliEncoderStateStruct::new(StandardAlloc::default());
        for &(number, value) in &parameters {
            let parameter = match number {
                0 => Parameter::BROTLI_PARAM_MODE,
                1 => Parameter::BROTLI_PARAM_QUALITY,
                2 => Parameter::BROTLI_PARAM_LGWIN,
                3 => Parameter::BROTLI_PARAM_LGBLOCK,
                4 => Parameter::BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING,
                5 => Parameter::BROTLI_PARAM_SIZE_HINT,
                6 => Parameter::BROTLI_PARAM_LARGE_WINDOW,
                // Fine tuning of distance codes, which this encoder chooses by itself.
                7 | 8 => continue,
                _ => return None,
            };
            if !inner.set_parameter(parameter, value) {
                return None;
            }
        }
        Some(Self { inner, parameters })
    }

    fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> (Step, Option<Failure>) {
        let operation = match flush {
            0 => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
            1 => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
            2 => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
            _ => BrotliEncoderOperation::BROTLI_OPERATION_EMIT_METADATA,
        };
        let (mut left, mut space) = (input.len(), output.len());
        let (mut consumed, mut produced) = (0, 0);
        let is_ok = self.inner.compress_stream(
            operation,
            &mut left,
            input,
            &mut consumed,
            &mut space,
            output,
            &mut produced,
            &mut None,
            &mut |_, _, _, _| {},
        );
        let failure = (!is_ok).then(|| Failure {
            number: -1,
            code: "ERR_BROTLI_COMPRESSION_FAILED".to_owned(),
            message: "Compression failed".to_owned(),
        });
        let ended = self.inner.is_finished();
        (
            Step {
                consumed,
                produced,
                ended,
            },
            failure,
        )
    }
}

struct BrotliDecoding {
    inner: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    large_window: bool,
    is_finished: bool,
}

impl BrotliDecoding {
    fn new(large_window: bool) -> Self {
        let alloc = StandardAlloc::default;
        let mut inner = BrotliState::new(alloc(), alloc(), alloc());
        inner.large_window = large_window;
        Self {
            inner,
            large_window,
            is_finished: false,
        }
    }

    fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> (Step, Option<Failure>) {
        if self.is_finished {
            let step = Step {
                ended: true,
                ..Step::default()
            };
            return (step, None);
        }
        let (mut left, mut space) = (input.len(), output.len());
        let (mut consumed, mut produced) = (0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut consumed,
            input,
            &mut space,
            &mut produced,
            output,
            &mut 0,
            &mut self.inner,
        );
        let failure = match result {
            BrotliResult::ResultSuccess => {
                self.is_finished = true;
                None
            }
            BrotliResult::NeedsMoreInput if flush == BROTLI_FINISH => {
                Some(Failure::unexpected_end())
            }
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => None,
            BrotliResult::ResultFailure => Some(self.failure()),
        };
        let ended = self.is_finished;
        (
            Step {
                consumed,
                produced,
                ended,
            },
            failure,
        )
    }

    fn failure(&self) -> Failure {
        let error = self.inner.error_code;
        let name = format!("{error:?}");
        let name = name.strip_prefix("BROTLI_DECODER").unwrap_or(&name);
        Failure {
            number: error as i32,
            code: format!("ERR_{name}"),
            message: "Decompression failed".to_owned(),
        }
    }
}

/// The CRC-32 of `bytes`, after that of what came before them.
pub fn crc32(earlier: u32, bytes: &[u8]) -> u32 {
    zlib_rs::crc32::crc32(earlier, bytes)
}
