//! `gonogo migrate`, as a process that can be killed.

use std::process::{Output, Stdio};

use secrecy::ExposeSecret as _;
use tokio::process::Command;

use crate::ground::{Ground, run};

const UP: &str = "CREATE INDEX CONCURRENTLY i ON contacts (city);\nCREATE TABLE extra (id int);\n";
const DOWN: &str = "DROP TABLE IF EXISTS extra;\nDROP INDEX CONCURRENTLY IF EXISTS i;\n";

fn gonogo(ground: &Ground, dir: &std::path::Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
    command.arg("migrate").arg("--dir").arg(dir).args(args).current_dir(dir);
    command.env("DATABASE_URL", ground.scratch.url("crm").expose_secret()).env("USER", "dana");
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn killed_with_9_in_a_build_it_goes_on_and_goes_back_when_confirmed() {
    let ground = Ground::with_contacts(30).await;
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("1_city.up.sql"), UP).unwrap();
    std::fs::write(files.path().join("1_city.down.sql"), DOWN).unwrap();
    let call = async |args: &[&str]| gonogo(&ground, files.path(), args).output().await.unwrap();

    let plan = call(&["plan"]).await;
    assert!(
        said(&plan)
            .contains("1_city.up.sql:1 create index i on contacts  [SHARE UPDATE EXCLUSIVE on contacts]"),
        "{}",
        said(&plan)
    );
    let refused = call(&["up"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("no proven backup of public.contacts"), "{}", said(&refused));
    let backup = call(&["backup"]).await;
    assert_eq!(backup.status.code(), Some(0), "{}", said(&backup));

    let mut writer = ground.session().await;
    run(&mut writer, "BEGIN; UPDATE contacts SET notes = notes").await;
    let mut child = gonogo(&ground, files.path(), &["up"]).stdout(Stdio::null()).spawn().unwrap();
    ground
        .until("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('i') AND NOT indisvalid)")
        .await;
    child.kill().await.unwrap();
    run(&mut writer, "COMMIT").await;

    let up = call(&["--json", "up"]).await;
    assert_eq!(up.status.code(), Some(0), "{}", said(&up));
    let last = said(&up).lines().last().unwrap().to_owned();
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!((last["complete"].as_bool(), last["applied"][0].as_u64()), (Some(true), Some(1)));
    assert_eq!(ground.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").await, "true");
    ground.sql("INSERT INTO extra VALUES (1), (2)").await;
    let status = call(&["status"]).await;
    assert!(said(&status).contains("verified") && said(&status).contains("by dana"), "{}", said(&status));

    let plan = call(&["--json", "down", "--plan"]).await;
    assert_eq!(plan.status.code(), Some(0), "{}", said(&plan));
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let back = &plan["back"][0];
    assert_eq!(
        (back["runs"].as_str(), back["plan"]["gaps"].as_array().map(Vec::len)),
        (Some("1_city.down.sql"), Some(0))
    );
    let undo = &back["plan"]["recorded"]["undos"];
    assert!(undo.to_string().contains("DROP INDEX CONCURRENTLY public.i"), "{undo:#}");
    assert!(undo.to_string().contains(r#""cost":{"is":"lossy","rows":2}"#), "{undo:#}");
    let words = said(&call(&["down", "--plan"]).await);
    assert!(
        words.contains("down file and record agree")
            && words.contains("no rollback yet: not rehearsed")
            && words.contains("(lossy, 2 rows)"),
        "{words}"
    );

    let shelf = files.path().join("shelf");
    let shelf = shelf.to_str().unwrap();
    let file = call(&["--backup-dir", shelf, "backup"]).await;
    assert_eq!(file.status.code(), Some(0), "{}", said(&file));
    assert!(said(&file).contains("NOT encrypted"), "{}", said(&file));
    let json = call(&["--backup-dir", shelf, "--json", "backup"]).await;
    let last: serde_json::Value = serde_json::from_str(said(&json).lines().last().unwrap()).unwrap();
    assert_eq!(
        (last["complete"].as_bool(), last["tables"][0]["medium"].as_str()),
        (Some(true), Some("file")),
        "{last:#}"
    );
    let listed = call(&["--backup-dir", shelf, "--json", "restore", "list"]).await;
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let ours = listed["backups"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["medium"] == "file" && one["table"] == "public.contacts");
    let name = ours.unwrap()["backup"].as_str().unwrap().to_owned();
    let proven = call(&["restore", "verify", &name]).await;
    assert!(said(&proven).contains("public.contacts: 30 rows restored"), "{}", said(&proven));
    let back = call(&["restore", "back", &name, "--table", "contacts"]).await;
    assert_eq!(back.status.code(), Some(1));
    assert!(
        said(&back).contains("0 rows overwritten") && said(&back).contains("--confirm crm"),
        "{}",
        said(&back)
    );

    let down = call(&["down"]).await;
    assert_eq!(down.status.code(), Some(1));
    assert!(
        said(&down).contains("1 extra: 2 rows") && said(&down).contains("--confirm crm"),
        "{}",
        said(&down)
    );
    assert_eq!(ground.text("SELECT count(*) FROM extra").await, "2");
    let down = call(&["down", "--confirm", "crm"]).await;
    assert_eq!(down.status.code(), Some(0), "{}", said(&down));
    assert_eq!(
        ground.text("SELECT concat(to_regclass('extra'), to_regclass('i'))").await,
        "null".replace("null", "")
    );
}
