//! The documents are true where a machine can tell: what they list is what there is, and what they link to is there.

use std::fs;
use std::path::{Path, PathBuf};

use gonogo::plan::checklist::read::read;
use gonogo::plan::{Config, Role};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn documents() -> Vec<PathBuf> {
    let mut found: Vec<_> = ["", "docs"]
        .iter()
        .flat_map(|place| fs::read_dir(root().join(place)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    found.sort_unstable();
    assert!(found.len() >= 8, "{found:?}");
    found
}

/// The words in backquotes of the first column of a table's rows.
fn first_column(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

#[test]
fn what_a_document_links_to_is_there() {
    let mut broken = Vec::new();
    for path in documents() {
        for (at, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = link.split('#').next().unwrap();
                let there =
                    file.is_empty() || file.contains("://") || path.parent().unwrap().join(file).exists();
                if !there {
                    broken.push(format!("{}:{}: {link}", path.display(), at + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn the_list_of_events_is_whole() {
    let source = text("src/run/event.rs");
    let body = source.split("pub enum Event {").nth(1).unwrap().split("\n}\n").next().unwrap();
    let variants: Vec<String> = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| kebab(line.split([' ', ',', '{']).next().unwrap()))
        .collect();
    assert!(variants.len() > 20, "{variants:?}");
    let document = text("docs/events.md");
    let listed: Vec<&str> = first_column(document.split("## The events").nth(1).unwrap()).collect();
    let missing: Vec<_> = variants.iter().filter(|name| !listed.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "docs/events.md does not list {missing:?}");
    let listed_in_vain: Vec<_> =
        listed.iter().filter(|name| **name != "event" && !variants.iter().any(|own| own == *name)).collect();
    assert!(listed_in_vain.is_empty(), "docs/events.md lists {listed_in_vain:?}, which there is not");
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Each row of the tables of actions and checks, as an item of a checklist.
#[test]
fn every_action_and_check_of_the_document_is_one() {
    let needed = [
        ("announce", "message=success"),
        ("rollout", "share=10"),
        ("drill", "rung=1"),
        ("metric", "name=error_rate"),
        ("flag", "share=10"),
        ("sql", "query=\"select true\""),
        ("command", ""),
    ];
    let document = text("docs/checklist.md");
    for (key, heading) in [("action", "### Actions"), ("check", "### Checks")] {
        let table = document.split(heading).nth(1).unwrap().split("\n#").next().unwrap();
        let rows: Vec<&str> = first_column(table).filter(|word| !word.ends_with('=')).collect();
        assert!(rows.len() >= 8, "{heading}: {rows:?}");
        for word in rows {
            let more = needed.iter().find(|(name, _)| *name == word).map_or("", |(_, more)| more);
            let item = format!(
                "# T\n\n## Phase 1: A\n\n- [ ] it {{{key}={word} {more}}}\n\n  ```bash\n  true\n  ```\n"
            );
            read(&item, "it.md").unwrap_or_else(|problems| panic!("{key}={word}: {problems:?}"));
        }
    }
}

#[test]
fn every_role_of_the_documents_is_one() {
    let document = text("docs/checklist.md");
    for role in Role::PEOPLE {
        assert!(document.contains(&format!("`{}`", role.word())), "docs/checklist.md does not name {role}");
    }
}

#[test]
fn the_checklist_of_the_readme_reads_as_it_says() {
    let readme = text("README.md");
    let example = readme.split("```markdown").nth(1).unwrap().split("```").next().unwrap();
    let list = read(example, "README.md").unwrap_or_else(|problems| panic!("{problems:?}"));
    let phase = &list.phases[0];
    assert_eq!((phase.items().count(), phase.gates().next().unwrap().people), (4, 2));
    assert_eq!(Config::default().cross_check(&list, "README.md"), []);
}

#[test]
fn the_scenarios_of_the_readme_are_those_that_ship() {
    let readme = text("README.md");
    let table = readme.split("| scenario |").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut listed: Vec<&str> = first_column(table).collect();
    let mut there: Vec<String> = fs::read_dir(root().join("src/rehearsal/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    listed.sort_unstable();
    there.sort_unstable();
    assert_eq!(listed, there);
}

#[test]
fn every_table_of_the_configuration_is_explained() {
    let document = text("docs/configuration.md");
    let default = text("src/plan/config/default.toml");
    let tables = default.lines().filter_map(|line| {
        let line = line.trim_start_matches("# ");
        let name = line.strip_prefix('[')?.trim_start_matches('[').split([']', '.']).next()?;
        name.chars().all(|c| c.is_ascii_lowercase()).then(|| name.to_owned())
    });
    let mut seen = 0;
    for table in tables {
        seen += 1;
        assert!(document.contains(&format!("[{table}")), "docs/configuration.md does not explain [{table}]");
    }
    assert!(seen > 8, "only {seen} tables were found: this test has gone blind");
}
