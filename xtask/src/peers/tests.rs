use std::io::Cursor;

use super::catalogue::port_of;
use super::cores::ratio;
use super::http;
use super::plan::{Plan, Section};
use super::process::{Stat, listed, resident, tree};
use super::samples::{Cell, Sample, geometric_mean, median, percentile};
use super::suite::fuel_of;
use super::table::{json, shown, tables};
use super::wrk::Figures;

fn sample(peer: &str, connections: u32, per_second: f64) -> Sample {
    Sample {
        peer: peer.to_owned(),
        case: "hello".to_owned(),
        connections,
        per_second,
        p50_us: 412.0,
        p99_us: 1_100.0,
        cpu_us: 31.5,
        faults: 0.25,
        errors: 0.0,
        resident_mib: 58.0,
        idle_mib: 44.0,
        state: "1,1,1".to_owned(),
    }
}

#[test]
fn a_command_line_is_a_plan_or_makes_no_sense() {
    let plan = Plan::of(&[]).unwrap();
    assert_eq!(plan.section, Section::Load);
    assert_eq!(plan.concurrency, [1, 16, 64, 256]);
    let plan = Plan::of(&[
        "--only",
        "node,deno",
        "--case",
        "json",
        "--concurrency",
        "1,8",
    ]);
    let plan = plan.unwrap();
    assert!(plan.wants("node") && plan.wants("deno") && !plan.wants("ampoule"));
    assert!(plan.wants_case("json") && !plan.wants_case("cpu"));
    assert_eq!(plan.concurrency, [1, 8]);
    let plan = Plan::of(&["suite", "--case", "splay", "--only", "quickjs"]).unwrap();
    assert_eq!(plan.section, Section::Suite);
    for wrong in [
        &["--rounds", "0"][..],
        &["--seconds"],
        &["--concurrency", "1,,2"],
        &["--only", "nobody"],
        &["--case", "splay"],
        &["suite", "--case", "hello"],
        &["sweet"],
    ] {
        assert_eq!(Plan::of(wrong), None, "{wrong:?}");
    }
}

#[test]
fn what_wrk_prints_is_read() {
    let text = "\
Running 3s test @ http://127.0.0.1:4000/invoke/hello
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.09ms  371.06us   8.19ms   89.95%
    Req/Sec    14.71k   640.64    15.80k    73.33%
  Latency Distribution
     50%  980.00us
     75%    1.14ms
     90%    1.39ms
     99%    1.02s
  43914 requests in 3.00s, 13.23MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 17
Requests/sec:  14636.31
Transfer/sec:      4.41MB
";
    let figures = Figures::of(text).unwrap();
    assert_eq!(figures.requests, 43_914);
    assert_eq!(figures.errors, 20);
    assert!((figures.per_second - 14_636.31).abs() < 1e-9);
    assert!((figures.p50_us - 980.0).abs() < 1e-9);
    assert!((figures.p99_us - 1.02e6).abs() < 1e-3);
    let calm = text.replace(
        "  Socket errors: connect 0, read 1, write 0, timeout 2\n",
        "",
    );
    let calm = calm.replace("  Non-2xx or 3xx responses: 17\n", "");
    assert_eq!(Figures::of(&calm).unwrap().errors, 0);
    assert_eq!(Figures::of("unable to connect"), None);
}

#[test]
fn a_process_is_read_whatever_its_name_is() {
    let text = "77 (a) b (c) S 5 77 77 0 -1 4194304 100 20 3 4 50 6 7 8 20 0 1 0 9 10 11";
    let stat = Stat::of(text).unwrap();
    let expected = Stat {
        process: 77,
        parent: 5,
        minor_faults: 120,
        ticks: 71,
    };
    assert_eq!(stat, expected);
    assert_eq!(Stat::of("77 (a) S 5"), None);
}

#[test]
fn a_tree_has_all_that_descend_from_its_top_and_nobody_else() {
    let stat = |process, parent| Stat {
        process,
        parent,
        minor_faults: 0,
        ticks: 0,
    };
    let all = [stat(4, 3), stat(1, 0), stat(2, 1), stat(3, 2), stat(5, 1)];
    let found = tree(&all, 2).iter().map(|s| s.process).collect::<Vec<_>>();
    assert_eq!(found, [2, 3, 4]);
    assert_eq!(tree(&all, 9), []);
}

#[test]
fn other_figures_of_proc_are_read() {
    assert_eq!(
        resident("Rss:     2000 kB\nPss:                1536 kB\nPss_Anon: 2 kB\n"),
        Some(1536)
    );
    assert_eq!(resident("Rss: 3 kB\n"), None);
    assert_eq!(listed("\t0-2,5\n"), Some(vec![0, 1, 2, 5]));
    assert_eq!(listed("none"), None);
}

#[test]
fn the_port_is_found_in_the_line_that_names_it() {
    assert_eq!(port_of("listening on http://127.0.0.1:4321"), Some(4321));
    let workerd = "{\"event\":\"listen\",\"socket\":\"http\",\"port\":37655}";
    assert_eq!(port_of(workerd), Some(37655));
    assert_eq!(port_of("see http://127.0.0.1:1/"), None);
}

#[test]
fn answers_are_read_by_length_and_by_chunks() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
                HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n\
                3\r\nhel\r\n2;x=1\r\nlo\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n-";
    let mut from = Cursor::new(text);
    let answer = http::read(&mut from).unwrap();
    assert_eq!(
        (answer.status, answer.text().unwrap().as_str()),
        (200, "hello")
    );
    let answer = http::read(&mut from).unwrap();
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (404, &b"hello"[..])
    );
    assert!(answer.text().is_err());
    assert!(http::read(&mut from).is_err());
}

#[test]
fn figures_in_the_middle_are_found() {
    assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    assert!(median(Vec::new()).is_nan());
    let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
    assert!((percentile(hundred.clone(), 50) - 50.0).abs() < 1e-9);
    assert!((percentile(hundred, 99) - 99.0).abs() < 1e-9);
    assert!((percentile(vec![7.0], 99) - 7.0).abs() < 1e-9);
    assert!((geometric_mean(&[2.0, 8.0]) - 4.0).abs() < 1e-9);
}

#[test]
fn samples_outlive_a_file() {
    let sample = sample("node", 16, 12_345.5);
    assert_eq!(Sample::of_line(&sample.to_line()), Some(sample));
    assert_eq!(Sample::of_line("node\thello"), None);
}

#[test]
fn numbers_have_three_digits_that_count() {
    for (number, text) in [
        (0.0, "0"),
        (0.412, "0.41"),
        (9.996, "10.0"),
        (31.54, "31.5"),
        (99.96, "100"),
        (1234.0, "1,234"),
        (1_234_567.0, "1,234,567"),
        (-1234.0, "-1,234"),
    ] {
        assert_eq!(shown(number), text);
    }
}

#[test]
fn a_table_has_medians_and_says_who_leaks() {
    let mut samples = vec![
        sample("ampoule", 16, 30_000.0),
        sample("ampoule", 16, 36_000.0),
        sample("ampoule", 16, 34_000.0),
        sample("node", 16, 60_000.0),
    ];
    samples[3].state = "1,2,3".to_owned();
    samples[3].errors = 1.0;
    let text = tables(&samples, &["ampoule", "node", "deno"], &["hello"], &[16]);
    let lines: Vec<&str> = text.lines().take(5).collect();
    assert_eq!(
        lines,
        [
            "| `/hello` | leaks | c=16 | CPU µs | faults | MiB |",
            "|---|---:|---:|---:|---:|---:|",
            "| ampoule | no | **34,000** 0.41 / 1.10 | 31.5 | 0.25 | 44 → 58 |",
            "| node | **yes** | **60,000**\\* 0.41 / 1.10 | 31.5 | 0.25 | 44 → 58 |",
            "",
        ]
    );
    assert_eq!(
        json(&samples[..3]),
        "[\n{\"peer\":\"ampoule\",\"case\":\"hello\",\"connections\":16,\"rounds\":3,\
         \"leaks\":false,\"requests_per_second\":34000.000,\"p50_us\":412.000,\
         \"p99_us\":1100.000,\"cpu_us\":31.500,\"minor_faults\":0.250,\"errors\":0.000,\
         \"idle_mib\":44.000,\"resident_mib\":58.000}\n]\n"
    );
    let cell = Cell::of(&samples, |sample| sample.peer == "node").unwrap();
    assert_eq!(cell.state(), "1,2,3");
}

#[test]
fn what_a_core_gives_is_compared_within_rounds() {
    let samples = [
        sample("one core", 16, 10.0),
        sample("two cores", 16, 19.0),
        sample("one core", 16, 5.0),
        sample("two cores", 16, 9.0),
        sample("one core", 16, 10.0),
        sample("two cores", 16, 17.0),
    ];
    assert!((ratio(&samples, "hello", 16) - 1.8).abs() < 1e-9);
}

#[test]
fn fuel_is_found_in_a_record() {
    let record = "{\"duration_ms\":1.482,\"cost\":{\"fuel\": 182004,\"memory_bytes\":1}}";
    assert_eq!(fuel_of(record), Some(182_004.0));
    assert_eq!(fuel_of("{}"), None);
}
