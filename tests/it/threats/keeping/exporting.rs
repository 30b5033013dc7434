//! Exports: complete, for the person's eyes, and harmless in a spreadsheet.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use debrief::flows::export::{NOT_FOR, as_csv, harmless};
use debrief::store::dossier::Table;
use serde_json::{Value, json};

use super::audit;
use crate::cli::beside as debrief;
use crate::world::{LEO, MAYA, TOM, World, acme};

#[tokio::test]
async fn s13_an_export_holds_everything_and_only_its_owner_can_read_it() {
    let world = World::new(&[acme()]).await;
    world.answered(MAYA, "Birk", "No", "=HYPERLINK(\"http://evil.example\")").await;
    world.answered(TOM, "Corvo", "No", "Tom's own words").await;
    world.command(LEO, "/debrief history @maya").await;
    let arguments = ["export", "--person", "Maya@own.example", "--to", "for-maya"];
    let (code, said) = debrief(&world, &arguments).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(NOT_FOR), "{said}");
    let folder = world.path("for-maya");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut all = String::new();
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        all.push_str(&std::fs::read_to_string(&path).unwrap());
    }
    assert!(all.contains("maya@own.example") && all.contains("Acme demo"), "{all}");
    assert!(all.contains("Birk") && all.contains("Leo Marsh"), "{all}");
    assert!(!all.contains("Corvo") && !all.contains("Tom's own words"), "{all}");
    assert!(!all.contains(&world.playground.calendar_url("maya.ics")), "a link is a key");
    let json: Value =
        serde_json::from_slice(&std::fs::read(folder.join("export.json")).unwrap()).unwrap();
    assert_eq!(json["notice"], NOT_FOR);
    assert_eq!(json["answers"][1]["body"], "=HYPERLINK(\"http://evil.example\")");
    assert_eq!(json["audit"].as_array().unwrap().len(), 3, "{}", json["audit"]);
    let answers = std::fs::read_to_string(folder.join("answers.csv")).unwrap();
    assert!(answers.contains("\"'=HYPERLINK(\"\"http://evil.example\"\")\""), "{answers}");
    assert!(audit(&world).last().unwrap().contains(" export "));
    // Nothing is overwritten, and nobody of no address is exported.
    let (code, said) = debrief(&world, &arguments).await;
    assert!(said.contains("it must be new"), "{said}");
    assert_eq!(code, Some(1));
    let (code, _) = debrief(&world, &["export", "--person", "nobody@own.example"]).await;
    assert_eq!(code, Some(1));
}

const NASTY: [(&str, &str); 12] = [
    ("=1+1", "'=1+1"),
    ("+49 30 1234", "'+49 30 1234"),
    ("-2+3", "'-2+3"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("\t=1+1", "'\t=1+1"),
    ("\r=1+1", "'\r=1+1"),
    ("\0=1+1", "'\0=1+1"),
    ("fine = fine", "fine = fine"),
    ("“quoted”, and more", "“quoted”, and more"),
    ("two\nlines", "two\nlines"),
    ("'=1", "'=1"),
    ("", ""),
];

fn table() -> Table {
    let rows = NASTY.iter().map(|(text, _)| vec![json!(1), json!(text), Value::Null]).collect();
    Table { name: "nasty", columns: vec!["id".into(), "body".into(), "none".into()], rows }
}

#[test]
fn s13_no_cell_is_a_formula() {
    for (text, safe) in NASTY {
        assert_eq!(harmless(text), safe);
    }
    let csv = as_csv(&table()).unwrap();
    let text = String::from_utf8(csv.clone()).unwrap();
    assert!(text.starts_with("\"id\",\"body\",\"none\"\r\n1,\"'=1+1\",\"\"\r\n"), "{text}");
    let mut reader = csv::Reader::from_reader(csv.as_slice());
    let cells: Vec<String> = reader.records().map(|record| record.unwrap()[1].to_owned()).collect();
    let expected: Vec<&str> = NASTY.iter().map(|(_, safe)| *safe).collect();
    assert_eq!(cells, expected);
}

#[test]
fn s13_a_spreadsheet_finds_no_formula() {
    let office = ["soffice", "libreoffice"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok());
    let Some(office) = office else {
        eprintln!("skipped: no LibreOffice here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nasty.csv"), as_csv(&table()).unwrap()).unwrap();
    let done = Command::new(office)
        .args(["--headless", "--convert-to", "fods", "nasty.csv"])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .output()
        .unwrap();
    assert!(done.status.success());
    let sheet = std::fs::read_to_string(folder.path().join("nasty.fods")).unwrap();
    assert!(!sheet.contains("table:formula"), "{sheet}");
}
