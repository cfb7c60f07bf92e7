//! Which parts of a text are places, and where the maps of a deployment come from.

use std::fs;

use tempfile::TempDir;

use super::*;

/// [`MAP`] in base 64.
const BASE64: &str = "\
    eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbInNyYy9hLnRzIl0sIm5hbWVzIjpb\
    XSwibWFwcGluZ3MiOiJBQUlNIn0=";
/// Column 1 of line 1 is line 5, column 7 of `src/a.ts`.
const MAP: &str = r#"{"version":3,"sources":["src/a.ts"],"names":[],"mappings":"AAIM"}"#;

struct Folder {
    _data: TempDir,
    places: Places,
    id: DeploymentId,
}

fn folder(files: &[(&str, &str)], maps: &[(&str, &str)]) -> Folder {
    let data = tempfile::tempdir().unwrap();
    let id = DeploymentId::new(0);
    for (kind, entries) in [("files", files), ("maps", maps)] {
        for (path, text) in entries {
            let path = data.path().join(kind).join(id.to_string()).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    let places = Places::new(data.path().join("files"), data.path().join("maps"));
    Folder {
        _data: data,
        places,
        id,
    }
}

async fn translated(folder: &Folder, text: &str) -> String {
    let unread = folder.places.unread(folder.id, [text]);
    folder.places.read(folder.id, unread).await;
    let mut left = PLACES_MAX;
    let translated = folder.places.translate(folder.id, text, &mut left);
    translated.unwrap_or_else(|| text.to_owned())
}

#[test]
fn places_are_found_in_stacks_and_in_json() {
    let found = |text: &str| -> Vec<String> {
        let found = places(text);
        found
            .map(|f| format!("{}|{}|{}|{}", f.file, f.line, f.column, &text[f.range]))
            .collect()
    };
    assert_eq!(
        found("at f (/app/a b.js:1:2)\n    at /app/x/y.ts:30:4\n"),
        ["a b.js|1|2|/app/a b.js:1:2", "x/y.ts|30|4|/app/x/y.ts:30:4"]
    );
    assert_eq!(
        found(r#"{"s":"at /app/a.js:1:2\n at"}"#),
        ["a.js|1|2|/app/a.js:1:2"]
    );
    assert_eq!(
        found("/app/src/app/a.js:1:2"),
        ["src/app/a.js|1|2|/app/src/app/a.js:1:2"]
    );
    assert_eq!(
        found("in /app/x, at (/app/a.js:1:2)"),
        ["a.js|1|2|/app/a.js:1:2"]
    );
    assert_eq!(found("file:///app/é.js:1:2"), ["é.js|1|2|/app/é.js:1:2"]);
    assert_eq!(found("/app/a:b.js:1:2:3"), ["a:b.js|1|2|/app/a:b.js:1:2"]);
    for none in [
        "/app/",
        "/app/a.js",
        "/app/a.js:1",
        "/app/a.js:x:1",
        "/app/a\n.js:1:2",
        "/app/a:99999999999:1",
        "app/a.js:1:2",
        "",
    ] {
        assert_eq!(found(none), [""; 0], "{none}");
    }
    assert_eq!(found(&"/app/".repeat(1000)), [""; 0]);
}

#[tokio::test]
async fn our_maps_come_first_and_then_those_that_files_name() {
    let inline = format!("1\n//# sourceMappingURL=data:application/json;base64,{BASE64}");
    let folder = folder(
        &[
            ("ours.ts", "1\n//# sourceMappingURL=wrong.map"),
            ("dist/o.js", "1\n//# sourceMappingURL=../maps/o%20o.map\n"),
            ("maps/o o.map", MAP),
            ("inline.js", &inline),
            ("plain.js", "1"),
            ("outside.js", "//# sourceMappingURL=../../x.map"),
            ("remote.js", "//# sourceMappingURL=http://127.0.0.1/x.map"),
        ],
        &[(
            "ours.ts",
            r#"{"version":3,"sources":["/ours.ts"],"names":[],"mappings":"AAAA"}"#,
        )],
    );
    for (text, expected) in [
        ("at f (/app/ours.ts:1:9)", "at f (/app/ours.ts:1:1)"),
        ("at f (/app/dist/o.js:1:9)", "at f (/app/maps/src/a.ts:5:7)"),
        (
            "x /app/inline.js:1:1 /app/inline.js:1:2 y",
            "x /app/src/a.ts:5:7 /app/src/a.ts:5:7 y",
        ),
        (
            "/app/plain.js:1:1 /app/inline.js:1:1",
            "/app/plain.js:1:1 /app/src/a.ts:5:7",
        ),
        ("/app/outside.js:1:1", "/app/outside.js:1:1"),
        ("/app/remote.js:1:1", "/app/remote.js:1:1"),
        ("/app/none.js:1:1", "/app/none.js:1:1"),
        ("/app/../x/inline.js:1:1", "/app/../x/inline.js:1:1"),
        ("/app/inline.js:2:1", "/app/inline.js:2:1"),
    ] {
        assert_eq!(translated(&folder, text).await, expected);
    }
    let place = folder.places.translate_place(folder.id, "inline.js:1:3");
    assert_eq!(place.as_deref(), Some("src/a.ts:5:7"));
    assert_eq!(
        folder
            .places
            .translate_place(folder.id, "inline.js:1:3 and more"),
        None
    );
    folder.places.forget(&folder.id);
    assert_eq!(
        folder.places.translate_place(folder.id, "inline.js:1:3"),
        None
    );
}

#[tokio::test]
async fn one_invocation_asks_for_few_maps() {
    let folder = folder(&[], &[]);
    let texts: Vec<String> = (0..1000).map(|i| format!("/app/{i}.js:1:1\n")).collect();
    let all = texts.concat();
    let unread = folder.places.unread(folder.id, [all.as_str()]);
    folder.places.read(folder.id, unread).await;
    let count = folder.places.shared.cache.lock().unwrap().maps.len();
    assert_eq!(count, FILES_MAX);
}
