//! The one place of `plan` that opens files: gonogo.toml and the checklist it names.

use std::path::{Path, PathBuf};

use super::checklist::read::read;
use super::config::staging::shared;
use super::{Checklist, Config, Plan, Problem};

/// The file that is looked for in the current directory.
pub const CONFIG_FILE: &str = "gonogo.toml";

/// A plan and the files it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// gonogo.toml, or the defaults.
    pub config: Config,
    /// The plan.
    pub plan: Plan,
    /// The checklist's file.
    pub checklist: PathBuf,
    /// The directory that the paths of the configuration begin at.
    pub root: PathBuf,
    /// Where the ways out are drilled before the day, if the configuration names it.
    pub staging: Option<Staged>,
}

/// The gonogo.toml of staging.
#[derive(Debug, Clone)]
pub struct Staged {
    /// What it says.
    pub config: Config,
    /// The directory that its paths begin at.
    pub root: PathBuf,
}

impl Loaded {
    /// A path of the configuration, from where its file lies.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

/// Loads the plan. A named checklist goes before the one of gonogo.toml; gonogo.toml need not exist where a checklist is
/// named and no configuration is.
///
/// # Errors
/// Every problem of both files.
pub fn load(config: Option<&Path>, checklist: Option<&Path>) -> Result<Loaded, Vec<Problem>> {
    let default = Path::new(CONFIG_FILE);
    let file = config.or_else(|| default.exists().then_some(default));
    if file.is_none() && checklist.is_none() {
        let problem =
            Problem::at(CONFIG_FILE, 0, "there is none in this directory, and no checklist is named");
        return Err(vec![problem.instead("run `gonogo init`, or name a checklist with --checklist FILE.md")]);
    }
    let (config, mut problems) = match file.map(Config::load) {
        None => (Config::default(), Vec::new()),
        Some(Ok(config)) => (config, Vec::new()),
        Some(Err(problems)) => (Config::default(), problems),
    };
    let directory = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
    let root = file.or(checklist).map(directory).unwrap_or_default();
    if !problems.is_empty() && checklist.is_none() {
        return Err(problems);
    }
    let checklist_path = checklist.map_or_else(|| root.join(&config.deployment.checklist), Path::to_owned);
    let shown = checklist_path.display().to_string();
    match load_checklist(&checklist_path) {
        Ok(checklist) if problems.is_empty() => {
            problems = config.cross_check(&checklist, &shown);
            if problems.is_empty() {
                let plan = config.plan(checklist);
                let staging = staged(&config, &root)?;
                return Ok(Loaded { config, plan, checklist: checklist_path, root, staging });
            }
        }
        Ok(_) => {}
        Err(more) => problems.extend(more),
    }
    Err(problems)
}

/// The staging that a configuration names; a problem where it is production after all.
fn staged(config: &Config, root: &Path) -> Result<Option<Staged>, Vec<Problem>> {
    let Some(named) = &config.staging.config else { return Ok(None) };
    let file = root.join(named);
    let staging = Config::load(&file)?;
    let problems: Vec<Problem> = shared(config, &staging)
        .into_iter()
        .map(|what| {
            let problem =
                format!("{what} is that of production: a drill on staging would switch the real thing");
            Problem::at(&file.display().to_string(), 0, problem).instead("name what staging has of its own")
        })
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let root = file.parent().map(Path::to_owned).unwrap_or_default();
    Ok(Some(Staged { config: staging, root }))
}

impl Config {
    /// Reads a gonogo.toml from disk.
    ///
    /// # Errors
    /// What is wrong, where, and what would be right.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let shown = path.display().to_string();
        Self::parse(&text(path).map_err(|problem| vec![problem])?, &shown)
    }
}

/// Reads a checklist from disk.
///
/// # Errors
/// Every problem found.
pub fn load_checklist(path: &Path) -> Result<Checklist, Vec<Problem>> {
    read(&text(path).map_err(|problem| vec![problem])?, &path.display().to_string())
}

fn text(path: &Path) -> Result<String, Problem> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        let problem = Problem::at(&shown, 0, format!("it cannot be read: {error}"));
        problem.instead("name a file that exists and that you may read")
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = String::from_utf8_lossy(&error.as_bytes()[..valid]).matches('\n').count() + 1;
        Problem::at(&shown, line, "it is not UTF-8 text").instead("save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: Result<Loaded, Vec<Problem>>) -> String {
        result.unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_checklist_alone_is_a_plan() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.md");
        std::fs::write(&file, "# Release\n- [ ] a\n").unwrap();
        let loaded = load(None, Some(&file)).unwrap();
        assert_eq!(loaded.plan.name, "Release");
        assert_eq!(loaded.plan.metrics.len(), 5);
        assert_eq!(loaded.root, dir.path());
    }

    #[test]
    fn the_configuration_names_the_checklist_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gonogo.toml");
        std::fs::write(&file, "[deployment]\nname = \"N\"\nchecklist = \"b.md\"\n").unwrap();
        std::fs::write(dir.path().join("b.md"), "- [ ] a\n").unwrap();
        assert_eq!(load(Some(&file), None).unwrap().plan.name, "N");
    }

    #[test]
    fn staging_has_a_file_of_its_own_and_nothing_of_production() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let services = |app: &str, flag: &str| {
            format!(
                "[app]\nurl = \"https://{app}/\"\n[services.posthog]\nproject_id = 1\nflag = \"{flag}\"\n\
                 [services.vercel]\nproject = \"{app}\"\n"
            )
        };
        std::fs::create_dir(dir.path().join("staging")).unwrap();
        write("checklist.md", "- [ ] a\n");
        let production = services("app.example.org", "redesign");
        write("gonogo.toml", &format!("{production}[staging]\nconfig = \"staging/gonogo.toml\"\n"));
        let file = dir.path().join("gonogo.toml");
        assert!(said(load(Some(&file), None)).contains("staging/gonogo.toml: it cannot be read"));
        write("staging/gonogo.toml", &production);
        let all = said(load(Some(&file), None));
        for shared in
            ["[app] url is that of production", "the flag of [services.posthog] is", "the project of"]
        {
            assert!(all.contains(shared), "{all}");
        }
        write("staging/gonogo.toml", &services("staging.example.org", "redesign"));
        assert!(
            said(load(Some(&file), None)).contains("the flag of [services.posthog] is that of production")
        );
        write("staging/gonogo.toml", &services("staging.example.org", "redesign-staging"));
        let staging = load(Some(&file), None).unwrap().staging.unwrap();
        assert_eq!(staging.root, dir.path().join("staging"));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.md");
        assert!(said(load(None, Some(&file))).contains("a.md: it cannot be read"));
        std::fs::write(&file, b"- [ ] a\n\xff\xfe").unwrap();
        assert!(said(load(None, Some(&file))).contains("a.md:2: it is not UTF-8 text"));
        std::fs::write(&file, "- [ ] a {check=metric name=nothing}").unwrap();
        assert!(said(load(None, Some(&file))).contains("a.md:1: no gauge \"nothing\" is known"));
    }
}
