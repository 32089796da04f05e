//! The reader against runbooks of differing styles (`tests/checklists/*.md`), bad input, and arbitrary text.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::read::read;
use super::{Checklist, ItemKind, Phase, PhaseKind};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/checklists"))
}

#[test]
fn real_life_styles_are_understood_as_recorded() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    let mut count = 0;
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let checklist = read(&std::fs::read_to_string(&path).unwrap(), &format!("{name}.md"));
        let json = serde_json::to_string_pretty(&checklist.unwrap()).unwrap();
        settings.bind(|| insta::assert_snapshot!(name.as_str(), json));
        count += 1;
    }
    assert!(count >= 6, "only {count} files were read");
}

fn ok(markdown: &str) -> Checklist {
    read(markdown, "a.md").unwrap()
}

fn problems(markdown: &str) -> Vec<String> {
    read(markdown, "a.md").unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn windows_files_with_a_mark_read_alike() {
    let unix = "# T\n\n## One\n\n- [ ] a\n  - [x] b\n\n```sql\nselect 1\n```\n";
    let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    assert_eq!(ok(unix), ok(&windows));
    assert_eq!(ok(unix).phases[0].sections[0].items[0].items[0].commands[0].text, "select 1");
}

#[test]
fn a_block_belongs_to_the_item_above_it() {
    let of = |markdown| {
        let list = ok(markdown);
        list.phases
            .iter()
            .flat_map(Phase::items)
            .map(|item| (item.text.clone(), item.commands.len()))
            .collect::<Vec<_>>()
    };
    let rows = |rows: &[(&str, usize)]| {
        rows.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect::<Vec<_>>()
    };
    assert_eq!(of("- [ ] a\n  ```sh\n  x\n  ```\n- [ ] b\n"), rows(&[("a", 1), ("b", 0)]));
    assert_eq!(
        of("- [ ] a\n```sh\nx\n```\n- [ ] b\n\n```sh\ny\n```\n\n```sql\nz\n```\n"),
        rows(&[("a", 1), ("b", 2)])
    );
    assert_eq!(
        of("1. [ ] a\n   - [ ] b\n\n   ```sh\n   y\n   ```\n2. [ ] c\n"),
        rows(&[("a", 0), ("b", 1), ("c", 0)])
    );
    assert_eq!(of("- [ ] a\n\nSome other story.\n\n```sh\nx\n```\n"), rows(&[("a", 0)]));
    assert_eq!(of("- [ ] a\n\nRun:\n\n```sh\nx\n```\n"), rows(&[("a", 1)]));
}

#[test]
fn nesting_survives_a_block_between() {
    let list = ok("- [ ] a\n  - [ ] b\n```sh\nx\n```\n  - [ ] c\n- [ ] d\n\t- [ ] e\n");
    let items = &list.phases[0].sections[0].items;
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(items[1].items[0].text, "e");
}

#[test]
fn ids_do_not_change_with_edits_elsewhere() {
    let ids = |markdown: &str| {
        ok(markdown).phases.iter().flat_map(Phase::items).map(|i| i.id.to_string()).collect::<Vec<_>>()
    };
    let before = ids("# T\n## Phase 1: A\n- [ ] one\n- [ ] two {#two}\n## Phase 2: B\n- [ ] one\n");
    assert_eq!(before, ["phase-1/one", "two", "phase-2/one"]);
    let after = ids(
        "# T\nprose\n## Phase 1: A\n- [ ] zero\n- [ ] one\n- [ ] two, in other words {#two}\n## Phase 2: B\n- [ ] one\n",
    );
    assert!(before.iter().all(|id| after.contains(id)), "{after:?}");
}

#[test]
fn bad_input_is_said_with_line_and_nearest_word() {
    assert_eq!(
        problems("  \n"),
        ["a.md: the checklist is empty; write items as \"- [ ] what to do\" under headings"]
    );
    assert_eq!(
        problems("# Title\n\nSome prose.\n"),
        ["a.md: there is no task list in it: nothing to tick; write items as \"- [ ] what to do\""]
    );
    for (line, said) in [
        ("- [ ] a {onwer=qa}", "a.md:3: unknown attribute \"onwer\"; did you mean \"owner\"?"),
        ("- [ ] a {owner=qaa}", "a.md:3: owner=\"qaa\" is no role; did you mean \"qa\"?"),
        ("- [ ] a {action=migrat}", "a.md:3: unknown action \"migrat\"; did you mean \"migrate\"?"),
        ("- [ ] a {check=htp path=/}", "a.md:3: unknown check \"htp\"; did you mean \"http\"?"),
        ("- [ ] a {due=soon}", "a.md:3: due=\"soon\" is no duration; write due=15m, due=2h or due=1w"),
        ("- [ ] a {action=rollout}", "a.md:3: action=rollout needs share; write action=rollout share=10"),
        (
            "- [ ] a {action=rollout share=200}",
            "a.md:3: share=\"200\" is no number that fits; write share=10",
        ),
        (
            "- [ ] a {owner=qa",
            "a.md:3: attributes begin with { and never end; close them with } and every quoted value with \"",
        ),
        (
            "- [ ] a {path=/x}",
            "a.md:3: attribute \"path\" has nothing to say on a plain item; take path=/x away, or move it to where it belongs",
        ),
        (
            "- [ ] a {#x}\n- [ ] b {#x}",
            "a.md:4: the id \"x\" is taken; give each item, gate and phase an id of its own",
        ),
    ] {
        assert_eq!(problems(&format!("# T\n\n{line}\n")), [said]);
    }
}

#[test]
fn a_checkpoint_and_its_place_to_sign_are_one_gate() {
    let list = ok(
        "# T\n- [ ] a\n\n**Checkpoint:** all done\nSigned off by (DBA): ____ Time: ____\n\n## Final sign-off\n\n- [ ] Deployment Lead: ____\n- [ ] CTO: ______ Date: ____\n",
    );
    let gates = list
        .phases
        .iter()
        .flat_map(Phase::gates)
        .map(|gate| (gate.title.clone(), gate.roles.len(), gate.people))
        .collect::<Vec<_>>();
    assert_eq!(gates, [("Checkpoint: all done".to_owned(), 1, 1), ("Final sign-off".to_owned(), 2, 1)]);
}

#[test]
fn a_sign_off_of_several_teams_is_a_gate_each() {
    let list = ok(
        "# T\n- [ ] a\n## Sign-off\n### QA\n- [ ] Signed off by: ____\n### Operations\n- [ ] Signed off by: ____\n",
    );
    let gates = list.phases.iter().flat_map(Phase::gates).map(|gate| gate.title.as_str()).collect::<Vec<_>>();
    assert_eq!(gates, ["Sign-off: QA", "Sign-off: Operations"]);
}

#[test]
fn a_metric_becomes_the_items_value() {
    let list = ok("- [ ] reading {check=metric name=error_rate due=15m}\n");
    let item = &list.phases[0].sections[0].items[0];
    assert_eq!(item.kind, ItemKind::Value { expect: None });
    assert_eq!(list.phases[0].kind, PhaseKind::Numbered(1));
}

fn all_ids(list: &Checklist) -> Vec<String> {
    let mut ids = Vec::new();
    for phase in &list.phases {
        ids.push(phase.id.to_string());
        ids.extend(phase.items().map(|item| item.id.to_string()));
        ids.extend(phase.gates().map(|gate| gate.id.to_string()));
    }
    ids
}

/// What the drawing found once: the reader takes a byte order mark off, and what counts beside it must as well.
#[test]
fn an_item_behind_a_mark_and_an_empty_line_is_kept() {
    for text in ["\u{feff}\n2. [x] a", "\u{feff}\t\n2. [x] a", "\u{feff}2. [x] a"] {
        assert_eq!(ok(text).phases.iter().map(|phase| phase.items().count()).sum::<usize>(), 1, "{text:?}");
    }
}

fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "#{1,4} (Phase [0-9]{1,3}: )?[a-c ]{0,4}( \\([0-9]{1,2}-?[0-9]{0,2} min\\))?",
        " {0,6}([-*+]|[0-9]\\.) \\[[ x]\\] [a-c]{1,2}( ____)?( \\{#[ab]\\})?",
        "(\\*\\*)?Checkpoint( 1)?:(\\*\\*)? [a-c]{0,2}",
        "Signed off by: ____",
        "```(sh)?",
        "\\| a \\| ____ \\|",
        ".{0,12}",
        Just(String::new()),
    ];
    proptest::collection::vec(line, 0..24).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = read(&text, "a.md");
    }

    #[test]
    fn every_item_is_kept_and_every_id_is_unique(text in lines()) {
        if let Ok(list) = read(&text, "a.md") {
            let ids = all_ids(&list);
            prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{:?}", ids);
            let read: usize = list.phases.iter().map(|phase| phase.items().count()).sum();
            let there = super::outline::outline(&super::read::cleaned(&text)).iter().filter(|placed| matches!(&placed.piece, super::outline::Piece::Item { tick: Some(_), raw, .. } if super::gates::line(raw.trim()).is_none())).count();
            prop_assert_eq!(read, there);
        }
    }
}
