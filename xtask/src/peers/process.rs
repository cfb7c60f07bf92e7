//! Servers as processes: started, looked at in `/proc`, and ended by their id.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use super::catalogue::port_of;
use crate::ci::now;
use crate::shell::{Outcome, answer, at, run};

/// How long a server may take until it listens, and to end.
const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(10);

/// A server that listens. It ends when this is dropped, or when this program does.
pub(super) struct Server {
    child: Child,
    /// Without a path.
    pub(super) url: String,
}

impl Server {
    /// Starts a server and waits until it says where it listens.
    ///
    /// # Errors
    /// When it ends before, or takes too long.
    pub(super) fn start(command: &Command, log: &Path) -> Outcome<Self> {
        let mut command = bound(command);
        let file = File::create(log).map_err(at(log))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file);
        let child = command.spawn();
        let mut child = child.map_err(|error| format!("cannot run setpriv: {error}"))?;
        let output = child.stdout.take().expect("it was asked for");
        let mut server = Self {
            child,
            url: String::new(),
        };
        let (sender, ports) = sync_channel(1);
        thread::spawn(move || {
            // Read to the end: the server must never wait for somebody to read its output.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(port) = port_of(&line) {
                    let _ = sender.try_send(port);
                }
            }
        });
        let port = ports.recv_timeout(START).map_err(|error| {
            let what = match error {
                RecvTimeoutError::Timeout => "did not say where it listens",
                RecvTimeoutError::Disconnected => "ended before it listened",
            };
            format!("the server {what}, see {}", log.display())
        })?;
        server.url = format!("http://127.0.0.1:{port}");
        Ok(server)
    }

    /// What it and all that it started have used so far.
    pub(super) fn usage(&self) -> Usage {
        usage_of(self.child.id())
    }

    /// Asks the server to end, and kills it when it does not.
    pub(super) fn end(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        let is_over = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        if is_over(&mut self.child) {
            return;
        }
        let process = self.child.id().to_string();
        let asked = run(Command::new("kill").args(["-TERM", process.as_str()]));
        let deadline = now() + END;
        while asked.is_ok() && now() < deadline {
            if is_over(&mut self.child) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The same command, killed by the kernel when this program is gone, whatever ended it.
pub(super) fn bound(command: &Command) -> Command {
    through(&["setpriv", "--pdeathsig", "KILL", "--"], command)
}

/// The same command, on these processors alone.
pub(super) fn pinned(command: &Command, processors: &str) -> Command {
    through(&["taskset", "--cpu-list", processors], command)
}

/// The same command, run by another that becomes it.
fn through(words: &[&str], command: &Command) -> Command {
    let mut through = Command::new(words[0]);
    through.args(&words[1..]);
    through.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        through.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => through.env(name, value),
            None => through.env_remove(name),
        };
    }
    through
}

/// What a tree of processes has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Time of processors, of user and system together, in the clock's ticks.
    pub(super) ticks: u64,
    pub(super) minor_faults: u64,
    pub(super) resident_kib: u64,
}

/// One process, as `/proc/…/stat` has it. What its children used is there once it has waited for
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) process: u32,
    pub(super) parent: u32,
    pub(super) minor_faults: u64,
    pub(super) ticks: u64,
}

impl Stat {
    pub(super) fn of(text: &str) -> Option<Self> {
        // The name is in parentheses and may hold anything, so the last one ends it.
        let (head, rest) = text.rsplit_once(')')?;
        let process = head.split_once('(')?.0.trim().parse().ok()?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // `rest` begins with the third field of proc(5).
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            process,
            parent: u32::try_from(number(4)?).ok()?,
            minor_faults: number(10)? + number(11)?,
            ticks: number(14)? + number(15)? + number(16)? + number(17)?,
        })
    }
}

/// A process and all that descend from it.
pub(super) fn tree(all: &[Stat], top: u32) -> Vec<Stat> {
    let mut found: Vec<Stat> = all.iter().copied().filter(|s| s.process == top).collect();
    let mut at = 0;
    while let Some(parent) = found.get(at).map(|stat| stat.process) {
        found.extend(all.iter().filter(|stat| stat.parent == parent));
        at += 1;
    }
    found
}

fn usage_of(process: u32) -> Usage {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = entries.filter_map(|entry| {
        let is_process = entry.file_name().to_str()?.parse::<u32>().is_ok();
        let text = is_process.then(|| fs::read_to_string(entry.path().join("stat")))?;
        Stat::of(&text.ok()?)
    });
    let all: Vec<Stat> = stats.collect();
    let mut usage = Usage::default();
    for stat in tree(&all, process) {
        usage.ticks += stat.ticks;
        usage.minor_faults += stat.minor_faults;
        let sums = fs::read_to_string(format!("/proc/{}/smaps_rollup", stat.process));
        usage.resident_kib += sums.ok().and_then(|text| resident(&text)).unwrap_or(0);
    }
    usage
}

/// The resident memory that a `/proc/…/smaps_rollup` tells. A page that is mapped several times, or
/// by several processes, counts once in all.
pub(super) fn resident(sums: &str) -> Option<u64> {
    let line = sums.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The clock's ticks in a second.
pub(super) fn ticks_per_second() -> Outcome<f64> {
    let text = answer(Command::new("getconf").arg("CLK_TCK"))?;
    let ticks = text.trim().parse();
    ticks.map_err(|_| format!("getconf CLK_TCK answered {text}"))
}

/// The processors that this program may run on.
pub(super) fn processors() -> Outcome<Vec<u32>> {
    let path = Path::new("/proc/self/status");
    let status = fs::read_to_string(path).map_err(at(path))?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.and_then(listed)
        .ok_or_else(|| "/proc/self/status names no processors".to_owned())
}

/// Reads `0-2,5`.
pub(super) fn listed(list: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        all.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(all)
}
