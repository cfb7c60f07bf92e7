//! Tables in Markdown, and the same figures as JSON.

use super::samples::{Cell, FRESH, Sample};

/// A table in Markdown: the first column is text, the others are figures.
pub(super) struct Table {
    text: String,
}

impl Table {
    pub(super) fn new(heads: &[String]) -> Self {
        let rule = "---:|".repeat(heads.len().saturating_sub(1));
        let text = format!("| {} |\n|---|{rule}\n", heads.join(" | "));
        Self { text }
    }

    pub(super) fn row(&mut self, cells: &[String]) {
        self.text += &format!("| {} |\n", cells.join(" | "));
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A figure as people read it: three digits that count, and commas between thousands.
pub(super) fn shown(number: f64) -> String {
    let digits = match number.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    grouped(&format!("{number:.digits$}"))
}

/// A figure without what is behind the point.
fn whole(number: f64) -> String {
    grouped(&format!("{number:.0}"))
}

fn grouped(text: &str) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 && grouped != "-" {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// The tables of a run, one for each case, peers in the order of their names in `peers`.
pub(super) fn tables(
    samples: &[Sample],
    peers: &[&str],
    cases: &[&str],
    connections: &[u32],
) -> String {
    let mut text = String::new();
    let told = typical(connections);
    for case in cases {
        let mut heads = vec![format!("`/{case}`"), "leaks".to_owned()];
        let columns = connections.iter().map(|count| format!("c={count}"));
        heads.extend(columns);
        heads.extend(["CPU µs", "faults", "MiB"].map(str::to_owned));
        let mut table = Table::new(&heads);
        for peer in peers {
            let of = |count| {
                Cell::of(samples, |sample| {
                    sample.peer == *peer && sample.case == *case && sample.connections == count
                })
            };
            if let Some(row) = row(samples, peer, connections, told, of) {
                table.row(&row);
            }
        }
        text += &table.finish();
        text.push('\n');
    }
    text + &format!(
        "c=N: requests/s at N connections, p50 / p99 in ms; CPU µs and page faults of the server \
         for each request at c={told}; MiB resident before the first request, and at most.\n"
    )
}

fn row<'a>(
    samples: &'a [Sample],
    peer: &str,
    connections: &[u32],
    told: u32,
    of: impl Fn(u32) -> Option<Cell<'a>>,
) -> Option<Vec<String>> {
    let all = Cell::of(samples, |sample| sample.peer == peer)?;
    let leaks = if all.state() == FRESH {
        "no"
    } else {
        "**yes**"
    };
    let mut row = vec![peer.to_owned(), leaks.to_owned()];
    row.extend(connections.iter().map(|count| match of(*count) {
        Some(cell) => load(&cell),
        None => "–".to_owned(),
    }));
    let cell = of(told)?;
    row.push(shown(cell.median(|sample| sample.cpu_us)));
    row.push(shown(cell.median(|sample| sample.faults)));
    let [idle, most] = [
        all.median(|sample| sample.idle_mib),
        all.most(|sample| sample.resident_mib),
    ];
    row.push(format!("{} → {}", whole(idle), whole(most)));
    Some(row)
}

/// One cell; `none` when nothing was answered in time, and a star says that there were errors.
fn load(cell: &Cell<'_>) -> String {
    if cell.median(|sample| sample.per_second) <= 0.0 {
        return "none".to_owned();
    }
    let per_second = whole(cell.median(|sample| sample.per_second));
    let millis = |figure| shown(cell.median(figure) / 1000.0);
    let star = if cell.most(|sample| sample.errors) > 0.0 {
        "\\*"
    } else {
        ""
    };
    let (p50, p99) = (millis(|s| s.p50_us), millis(|s| s.p99_us));
    format!("**{per_second}**{star} {p50} / {p99}")
}

/// The concurrency that cost is told for: 16, or the last.
fn typical(connections: &[u32]) -> u32 {
    let is_16 = connections.contains(&16).then_some(16);
    is_16.or_else(|| connections.last().copied()).unwrap_or(0)
}

/// The medians as JSON.
pub(super) fn json(samples: &[Sample]) -> String {
    let mut keys: Vec<(&str, &str, u32)> = Vec::new();
    for sample in samples {
        let key = (
            sample.peer.as_str(),
            sample.case.as_str(),
            sample.connections,
        );
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let rows = keys.iter().filter_map(|(peer, case, connections)| {
        let cell = Cell::of(samples, |sample| {
            sample.peer == *peer && sample.case == *case && sample.connections == *connections
        })?;
        let members = [
            ("requests_per_second", cell.median(|s| s.per_second)),
            ("p50_us", cell.median(|s| s.p50_us)),
            ("p99_us", cell.median(|s| s.p99_us)),
            ("cpu_us", cell.median(|s| s.cpu_us)),
            ("minor_faults", cell.median(|s| s.faults)),
            ("errors", cell.most(|s| s.errors)),
            ("idle_mib", cell.median(|s| s.idle_mib)),
            ("resident_mib", cell.most(|s| s.resident_mib)),
        ];
        let leaks = cell.state() != FRESH;
        Some(format!(
            "{{\"peer\":\"{peer}\",\"case\":\"{case}\",\"connections\":{connections},\
             \"rounds\":{},\"leaks\":{leaks},{}}}",
            cell.rounds(),
            members_of(&members)
        ))
    });
    listed(rows)
}

/// Members of an object; what is not a number is null.
pub(super) fn members_of(members: &[(&str, f64)]) -> String {
    let members = members.iter().map(|(name, number)| {
        if number.is_finite() {
            format!("\"{name}\":{number:.3}")
        } else {
            format!("\"{name}\":null")
        }
    });
    members.collect::<Vec<_>>().join(",")
}

/// Objects as a list, one a line.
pub(super) fn listed(objects: impl Iterator<Item = String>) -> String {
    let objects: Vec<String> = objects.collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}
