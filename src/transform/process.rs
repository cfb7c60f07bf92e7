//! The process in which sources are transformed: starting it, and being it.
//!
//! It reads one JSON document a line from stdin (a [`Request`], then [`Work`]), writes one
//! [`Answer`] a line to stdout, and ends at the end of its input. It gets no environment, opens
//! nothing, and bounds its own processor time and memory before it reads a byte.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::{Body, BodyJob, Fault, Job, Transformed, body, typescript};

/// The command of the `ampoule` binary that becomes this process.
pub const COMMAND: &str = "transform";
/// Processor time for all files of a deployment, in seconds. A megabyte takes about 0.1.
const CPU_SECONDS_MAX: u64 = 20;
/// Address space, in bytes: the stack is part of it, and a tree takes some 30 times its source.
const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// Stack, in bytes. A level of nesting takes up to some kilobytes of it.
const STACK_BYTES: usize = 256 << 20;
/// Most bytes of one answer: code and map may be larger than the source.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What the process is told first.
#[derive(Serialize, Deserialize)]
struct Request {
    /// All paths of the deployment, which aliases may lead to.
    files: BTreeSet<String>,
}

/// What it is told after that, once for each file or body.
#[derive(Serialize, Deserialize)]
enum Work<'a> {
    Transform(Cow<'a, Job>),
    Check(Cow<'a, BodyJob>),
}

/// What became of one piece of work.
#[derive(Serialize, Deserialize)]
enum Answer {
    Done(Transformed),
    Checked(Body),
    Failed(Fault),
}

/// Transforms files in a process of its own, each answered in its turn. Blocks, for at most the
/// processor time that the process may use.
///
/// `program`: the `ampoule` binary. `files`: paths that aliases may lead to; may be empty when
/// there are none.
///
/// # Errors
/// When the process cannot be started. What it does not survive is a [`Fault`] of the file that
/// it died of, and the files after that are transformed by another one.
pub fn run(
    program: &Path,
    jobs: &[Job],
    files: &BTreeSet<String>,
) -> io::Result<Vec<Result<Transformed, Fault>>> {
    let work: Vec<Work<'_>> = jobs
        .iter()
        .map(|job| Work::Transform(Cow::Borrowed(job)))
        .collect();
    let answers = run_all(program, &work, files)?;
    let transformed = answers.into_iter().map(|answer| match answer {
        Answer::Done(transformed) => Ok(transformed),
        Answer::Checked(_) => Err(Fault::of_file(NOT_TRIED)),
        Answer::Failed(fault) => Err(fault),
    });
    Ok(transformed.collect())
}

/// Looks at bodies of functions in a process of its own, like [`run`].
///
/// # Errors
/// As [`run`].
pub fn check(program: &Path, jobs: &[BodyJob]) -> io::Result<Vec<Result<Body, Fault>>> {
    let work: Vec<Work<'_>> = jobs
        .iter()
        .map(|job| Work::Check(Cow::Borrowed(job)))
        .collect();
    let answers = run_all(program, &work, &BTreeSet::new())?;
    let checked = answers.into_iter().map(|answer| match answer {
        Answer::Checked(body) => Ok(body),
        Answer::Done(_) => Err(Fault::of_file(NOT_TRIED)),
        Answer::Failed(fault) => Err(fault),
    });
    Ok(checked.collect())
}

/// The fault of files that come after one that the process did not survive.
const NOT_TRIED: &str = "was not transformed, because an earlier file could not be";

fn run_all(program: &Path, work: &[Work<'_>], files: &BTreeSet<String>) -> io::Result<Vec<Answer>> {
    let mut answers = Vec::with_capacity(work.len());
    while answers.len() < work.len() {
        let before = answers.len();
        run_once(program, &work[before..], files, &mut answers)?;
        if answers.len() < work.len() {
            answers.push(Answer::Failed(Fault::of_file(
                "takes too much time or memory to transform, or is nested too deeply",
            )));
            // A deployment of nothing but such files must not take the time of all of them.
            let left = work.len() - answers.len();
            answers.extend((0..left).map(|_| Answer::Failed(Fault::of_file(NOT_TRIED))));
        }
    }
    Ok(answers)
}

fn run_once(
    program: &Path,
    work: &[Work<'_>],
    files: &BTreeSet<String>,
    answers: &mut Vec<Answer>,
) -> io::Result<()> {
    let child = Command::new(program)
        .arg(COMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut child = Reaped(child);
    let (Some(mut stdin), Some(stdout)) = (child.0.stdin.take(), child.0.stdout.take()) else {
        return Err(io::Error::other("the process has no pipes"));
    };
    let mut stdout = BufReader::new(stdout);
    let request = Request {
        files: files.clone(),
    };
    let mut document = line(&request)?;
    for one in work {
        document.extend(line(one)?);
        // A process that died takes no more; what it said until then counts.
        if stdin
            .write_all(&document)
            .and_then(|()| stdin.flush())
            .is_err()
        {
            return Ok(());
        }
        document.clear();
        match read_line::<Answer>(&mut stdout) {
            Ok(Some(answer)) => answers.push(answer),
            Ok(None) | Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// A process that does not outlive its owner.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn line(document: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    Ok(line)
}

/// The next line; `None` at the end.
fn read_line<T: for<'de> Deserialize<'de>>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Is the process: transforms what comes on stdin until there is no more.
pub fn serve() -> ExitCode {
    if bound_itself().is_err() {
        return ExitCode::FAILURE;
    }
    // What cannot be said to the parent need not be said: it sees that the answer is missing.
    std::panic::set_hook(Box::new(|_| {}));
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(|| {
        let (stdin, stdout) = (io::stdin().lock(), io::stdout().lock());
        answer_all(stdin, stdout)
    });
    match thread.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn bound_itself() -> io::Result<()> {
    for (resource, bound) in [
        (Resource::Cpu, CPU_SECONDS_MAX),
        (Resource::As, MEMORY_BYTES_MAX),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(bound),
            maximum: Some(bound),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

fn answer_all(mut from: impl BufRead, mut to: impl Write) -> io::Result<()> {
    let Some(request) = read_line::<Request>(&mut from)? else {
        return Ok(());
    };
    while let Some(work) = read_line::<Work<'_>>(&mut from)? {
        to.write_all(&line(&answer(&work, &request.files))?)?;
        to.flush()?;
    }
    Ok(())
}

fn answer(work: &Work<'_>, files: &BTreeSet<String>) -> Answer {
    let answered = std::panic::catch_unwind(AssertUnwindSafe(|| match work {
        Work::Transform(job) => typescript::transform(job, files).map(Answer::Done),
        Work::Check(job) => body::check(job).map(Answer::Checked),
    }));
    match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(fault)) => Answer::Failed(fault),
        Err(_panic) => Answer::Failed(Fault::of_file(
            "holds something that the transformer cannot work with",
        )),
    }
}
