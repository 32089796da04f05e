//! gonogo.toml: the commented default says the truth, and what is wrong is said well.

use super::super::checklist::read::read;
use super::*;

fn problems(text: &str) -> Vec<String> {
    Config::parse(text, "gonogo.toml").unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_commented_default_file_is_exactly_the_defaults() {
    assert_eq!(Config::parse(DEFAULT, "gonogo.toml").unwrap(), Config::default());
    assert_eq!(Config::parse("", "gonogo.toml").unwrap(), Config::default());
}

#[test]
fn every_commented_line_of_it_is_right_too() {
    let is_toml = |line: &str| {
        line.starts_with('[')
            || line.split_once(" = ").is_some_and(|(key, _)| !key.is_empty() && !key.contains(' '))
    };
    let text: Vec<&str> = DEFAULT
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|line| is_toml(line)).unwrap_or(line))
        .collect();
    let config = Config::parse(&text.join("\n"), "gonogo.toml").unwrap();
    let services = &config.services;
    assert!(services.pulse.is_some() && services.sentry.is_some() && services.pagerduty.is_some());
    let checklist = || read("- [ ] a", "a.md").unwrap();
    let (said, default) = (config.plan(checklist()), Config::default().plan(checklist()));
    assert_eq!(said.metrics, default.metrics);
    assert_eq!(said.ladder, default.ladder);
    assert_eq!(said.rollout[0], default.rollout[0]);
    assert_eq!(said.operators.len(), 1);
    assert_eq!(config.message("success"), Config::default().message("success"));
    assert_eq!(said.day.unwrap().to_string(), "2026-09-21");
}

#[test]
fn what_is_wrong_is_said_with_place_and_nearest_word() {
    for (text, said) in [
        ("[deploymnt]\n", "gonogo.toml:1:2: unknown key \"deploymnt\"; did you mean \"deployment\"?"),
        ("[store]\npth = \"x\"\n", "gonogo.toml:2:1: unknown key \"pth\"; did you mean \"path\"?"),
        (
            "[import]\npage_size = \"many\"\n",
            "gonogo.toml:2:13: invalid type: string \"many\"; it should be a whole number, 0 or more",
        ),
        (
            "[import]\nsync_every = \"soon\"\n",
            "gonogo.toml:2:14: \"soon\" is no duration; write \"90s\", \"15m\", \"2h\" or \"1w\"",
        ),
        (
            "[deployment]\ntimezone = \"America/NewYork\"\n",
            "gonogo.toml:2:12: \"America/NewYork\" is no IANA time zone; did you mean \"America/New_York\"?",
        ),
        ("[import]\npage_size = 5000\n", "gonogo.toml:2:1: page_size 5000 is out of bounds; write 1 to 1000"),
        (
            "[metrics.error_rate]\nalert = 0.1\n",
            "gonogo.toml:2:1: error_rate: alert 0.1 is on the good side of target 0.5; the alert must be worse than the target",
        ),
        (
            "[metrics.error_rat]\nalert = 0.1\n",
            "gonogo.toml:1:10: the gauge \"error_rat\" is new and lacks source, unit, better, target; write them, or did you mean \"error_rate\"?",
        ),
        (
            "[messages.x]\nchannel = \"general\"\ntext = \"{versoin}\"\n",
            "gonogo.toml:3:1: unknown placeholder {versoin}; did you mean \"version\"?",
        ),
        (
            "[[operators]]\nname = \"a\"\nroles = [\"boss\"]\n",
            "gonogo.toml:3:9: \"boss\" is no role; the roles are lead, devops, dba, qa, support, product-owner, cto and observer",
        ),
        (
            "[[rollout]]\nshare = 50\nwho = \"a\"\nlasts = \"1w\"\n[[rollout]]\nshare = 10\nwho = \"b\"\nlasts = \"1w\"\n",
            "gonogo.toml:5:1: share 10 does not rise from 50 towards 100; write the stages in rising order, at most 100",
        ),
    ] {
        assert_eq!(problems(text)[0], said);
    }
    assert!(problems("[store\n")[0].starts_with("gonogo.toml:1:"));
    assert!(problems("[services.sentry]\norg = \"a\"\n")[0].contains("missing field \"project\""));
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_nothing_twice() {
    let text = "[store]\npth = \"x\"\n[import]\npage_size = \"many\"\nattempts = 0\nsync_every = 15\n\n[monitoring]\nevery = 1\n\n\
                [app]\nurl = \"app.example.com\"\n\n[[operators]]\nname = \"a\"\nroles = [\"boss\"]\n\n[services.sentry]\norg = 5\n";
    assert_eq!(
        problems(text),
        [
            "gonogo.toml:2:1: unknown key \"pth\"; did you mean \"path\"?",
            "gonogo.toml:4:13: invalid type: string \"many\"; it should be a whole number, 0 or more",
            "gonogo.toml:6:14: invalid type: integer \"15\"; it should be a string",
            "gonogo.toml:8:2: unknown key \"monitoring\"; it can be deployment, store, app, database, secrets, import, services, staging, metrics, ladder, rollout, operators, messages",
            "gonogo.toml:12:7: no whole address: \"app.example.com\"; write it with its scheme, as in \"https://app.example.com/\"",
            "gonogo.toml:16:9: \"boss\" is no role; the roles are lead, devops, dba, qa, support, product-owner, cto and observer",
            "gonogo.toml:19:7: invalid type: integer \"5\"; it should be a string",
        ]
    );
    assert_eq!(
        problems("[app]\nurl = \"x\n"),
        ["gonogo.toml:2:9: the text is not closed; end it with a quotation mark on the same line"]
    );
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    for (line, key) in [
        ("[database]\nurl_env = \"postgres://app:hunter2@db/app\"", "database.url_env"),
        ("[services.slack]\ntoken_env = \"xoxb-hunter2-hunter2\"", "services.slack.token_env"),
        ("[services.posthog]\nproject_id = 1\nkey_env = \"phx_hunter2hunter2\"", "services.posthog.key_env"),
        ("[import]\npage_size = \"xoxb-hunter2-hunter2\"", "import.page_size"),
        ("[services.pulse]\nurl = \"https://me:hunter2@pulse.example.com\"", "services.pulse.url"),
    ] {
        let said = problems(line).join("\n");
        assert!(said.contains(key) && said.contains("environment variable"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn what_the_checklist_asks_for_must_be_known() {
    let list = read(
        "- [ ] a {check=metric name=eror_rate}\n- [ ] b {action=announce message=succes}\n- [ ] c {action=drill rung=7}\n- [ ] d {check=metric name=uptime}",
        "a.md",
    )
    .unwrap();
    let said: Vec<String> =
        Config::default().cross_check(&list, "a.md").iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "a.md:1: no gauge \"eror_rate\" is known; did you mean \"error_rate\"?",
            "a.md:2: no message \"succes\" is known; did you mean \"success\"?",
            "a.md:3: the ladder has no rung 7; it has rungs 1 to 3",
        ]
    );
}
