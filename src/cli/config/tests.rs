//! Files: found, read, refused; and what counts for more.

use std::fs;

use super::super::Command;
use super::super::fake;
use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(here: &Path, env: &[(&str, &Path)]) -> Result<Files, String> {
    let env = |name: &str| {
        let found = env.iter().find(|(one, _)| *one == name);
        found.map(|(_, value)| value.as_os_str().to_owned())
    };
    file::load(&env, here)
}

fn refused(text: &str) -> String {
    let found = file::parse(text, Path::new("/etc/ampoule.toml"));
    found.map(|_| ()).unwrap_err()
}

fn serve(files: &Files, arguments: &[&str]) -> super::super::ServeArgs {
    let whole = ["ampoule", "serve"].iter().chain(arguments);
    match files.parse(whole) {
        Ok(Command::Serve(args)) => args,
        Ok(_) => panic!("not serve"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn flags_count_for_more_than_files_and_files_for_more_than_defaults() {
    let place = folder(&[(
        "ampoule.toml",
        "[server]\nlisten = \"127.0.0.1:5000\"\nmax_concurrent = 7\ntrust_proxy = true\n\
         data = \"kept\"\nlog_format = \"json\"\nnetwork_policy = \"public-only\"\n",
    )]);
    let files = load(place.path(), &[]).unwrap();
    let args = serve(&files, &[]);
    assert_eq!(args.address(), "127.0.0.1:5000".parse().unwrap());
    assert_eq!(
        (args.max_concurrent, args.max_concurrent_per_tenant),
        (7, 128)
    );
    assert!(args.trust_proxy);
    assert_eq!(args.log_format, LogFormat::Json);
    assert_eq!(args.network_policy, Preset::PublicOnly);
    assert_eq!(args.data(), place.path().join("kept"));
    let flags = [
        "--max-concurrent",
        "9",
        "--listen",
        "127.0.0.1:1",
        "--log-format",
        "text",
    ];
    let args = serve(&files, &flags);
    assert_eq!((args.max_concurrent, args.address().port()), (9, 1));
    assert_eq!(args.log_format, LogFormat::Text);
    // A port that is said counts for more than an address of a file.
    assert_eq!(serve(&files, &["--port", "6000"]).address().port(), 6000);
    let without = serve(&Files::default(), &["--port", "4000"]);
    assert_eq!((without.max_concurrent, without.trust_proxy), (512, false));
}

#[test]
fn the_nearest_file_holds_and_then_the_users_own() {
    let place = folder(&[
        ("ampoule.toml", "[client]\ntenant = \"far\"\n"),
        ("a/ampoule.toml", "[client]\ntenant = \"near\"\n"),
        ("a/b/c/file", ""),
        (
            "home/.config/ampoule/ampoule.toml",
            "[client]\ntenant = \"own\"\nurl = \"http://own\"\n",
        ),
        (
            "xdg/ampoule/ampoule.toml",
            "[client]\nurl = \"http://xdg\"\n",
        ),
    ]);
    let at = |path: &str| place.path().join(path);
    let tenant = |files: &Files| files.get(CLIENT, "tenant").map(|one| one.text.clone());
    let url = |files: &Files| files.get(CLIENT, "url").map(|one| one.text.clone());
    let home = at("home");
    let files = load(&at("a/b/c"), &[("HOME", &home)]).unwrap();
    assert_eq!(tenant(&files).as_deref(), Some("near"));
    assert_eq!(url(&files).as_deref(), Some("http://own"));
    assert_eq!(files.read.len(), 2);
    let xdg = at("xdg");
    let files = load(&at("a"), &[("HOME", &home), ("XDG_CONFIG_HOME", &xdg)]).unwrap();
    assert_eq!(url(&files).as_deref(), Some("http://xdg"));
    let named = at("ampoule.toml");
    let files = load(&at("a"), &[("HOME", &home), (FILE_ENV, &named)]).unwrap();
    assert_eq!(
        (tenant(&files).as_deref(), url(&files)),
        (Some("far"), None)
    );
    let files = load(&at("a"), &[(FILE_ENV, Path::new(""))]).unwrap();
    assert!(files.settings.is_empty());
    let missing = at("missing.toml");
    let error = load(&at("a"), &[(FILE_ENV, &missing)]).unwrap_err();
    assert!(error.contains("missing.toml"), "{error}");
}

#[test]
fn what_is_not_understood_is_refused_with_file_and_line() {
    for (text, place, why) in [
        (
            "[server]\n\nlisen = \"x\"\n",
            ":3:",
            "no \"lisen\" in [server]: listen, port",
        ),
        ("[sever]\n", ":1:", "no section [sever]"),
        ("listen = \"x\"\n", ":1:", ""),
        (
            "[server]\nlisten = \"4000\"\n",
            ":2:",
            "server.listen: write it as ADDRESS:PORT",
        ),
        ("[server]\nmax_concurrent = 0\n", ":2:", "above 0"),
        (
            "[server]\nmax_concurrent = \"8\"\n",
            ":2:",
            "is a whole number",
        ),
        ("[server]\ntrust_proxy = \"yes\"\n", ":2:", "true or false"),
        ("[server]\nport = 70000\n", ":2:", "65535"),
        (
            "[server]\nnetwork_policy = \"none\"\n",
            ":2:",
            "public-only",
        ),
        ("[server]\nlog_format = \"xml\"\n", ":2:", "text or json"),
        (
            "[client]\ntenant = \"a b\"\n",
            ":2:",
            "client.tenant: a tenant name",
        ),
        ("[client]\nurl = 1\n", ":2:", "is a string"),
        (
            "[client]\nlisten = \"127.0.0.1:1\"\n",
            ":2:",
            "in [client]: url, key, tenant",
        ),
        ("[client]\nurl = \"a\"\nurl = \"b\"\n", ":3:", ""),
        ("[client\n", ":1:", ""),
    ] {
        let told = refused(text);
        let place = format!("/etc/ampoule.toml{place}");
        assert!(
            told.starts_with(&place) && told.contains(why),
            "{text}: {told}"
        );
    }
}

#[test]
fn a_file_of_the_working_directory_does_not_get_a_key_of_the_users() {
    let place = folder(&[("ampoule.toml", "[client]\nurl = \"https://evil.test\"\n")]);
    let files = load(place.path(), &[]).unwrap();
    let error = files
        .parse(["ampoule", "list", "--key", "k"])
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("ampoule.toml:2") && error.contains("AMPOULE_CONFIG="),
        "{error}"
    );
    assert!(!error.contains("\"k\""), "{error}");
    let error = files
        .parse(["ampoule", "policy", "show", "--key", "k"])
        .err();
    assert!(error.is_some(), "commands below others are checked, too");
    // Without a key, with the address said, or when the file is named, it may.
    assert!(files.parse(["ampoule", "list", "--key", ""]).is_ok());
    let said = [
        "ampoule",
        "list",
        "--key",
        "k",
        "--url",
        "https://evil.test",
    ];
    assert!(files.parse(said).is_ok());
    let file = place.path().join("ampoule.toml");
    let named = load(place.path(), &[(FILE_ENV, &file)]).unwrap();
    assert!(named.parse(["ampoule", "list", "--key", "k"]).is_ok());
    let both = "[client]\nurl = \"https://own.test\"\nkey = \"k\"\n";
    let own = folder(&[("ampoule.toml", both)]);
    assert!(
        load(own.path(), &[])
            .unwrap()
            .parse(["ampoule", "list"])
            .is_ok()
    );
    let here = folder(&[("ampoule.toml", "[client]\nurl = \"http://localhost:1\"\n")]);
    let files = load(here.path(), &[]).unwrap();
    assert!(files.parse(["ampoule", "list", "--key", "k"]).is_ok());
}

#[test]
fn every_setting_is_a_flag_of_a_command() {
    use clap::CommandFactory as _;
    let cli = Cli::command();
    for key in KEYS {
        let command = if key.section == SERVER {
            "serve"
        } else {
            "list"
        };
        let command = cli.find_subcommand(command).unwrap();
        let arg = command.get_arguments().find(|arg| arg.get_id() == key.name);
        let arg = arg.unwrap_or_else(|| panic!("{}.{}", key.section, key.name));
        assert_eq!(
            arg.get_env().and_then(|env| env.to_str()),
            key.env,
            "{}",
            key.name
        );
        let defaults = arg.get_default_values();
        if let Some(default) = defaults.first() {
            assert_eq!(default.to_str(), Some(key.default), "{}", key.name);
        }
    }
}

#[test]
fn settings_are_shown_with_where_they_come_from_and_without_secrets() {
    let text = "[server]\nkey = \"hush-1\"\n[client]\ntenant = \"acme\"\n";
    let place = folder(&[("ampoule.toml", text)]);
    let files = load(place.path(), &[]).unwrap();
    let env = |name: &str| (name == "AMPOULE_URL").then(|| OsString::from("http://set"));
    let shown_with = |json: bool| {
        let args = ConfigArgs {
            command: ConfigCommand::Show(ShowArgs { json }),
        };
        let screen = fake::Screen::default();
        let ended = show(&args, &files, &env, &mut screen.terminal());
        screen.ran(ended.map(|()| 0)).out
    };
    let table = shown_with(false);
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(
        line("client.url").contains("http://set") && line("client.url").contains("AMPOULE_URL")
    );
    assert!(line("client.tenant").contains("ampoule.toml:4"), "{table}");
    assert!(line("server.key").contains("not shown"), "{table}");
    assert!(
        line("server.max_concurrent ").ends_with("default"),
        "{table}"
    );
    assert!(line("client.key").contains("none"), "{table}");
    let report: serde_json::Value = serde_json::from_str(&shown_with(true)).unwrap();
    assert_eq!(report["settings"].as_array().unwrap().len(), KEYS.len());
    let text = table + &report.to_string();
    assert!(!text.contains("hush-1"), "{text}");
}
