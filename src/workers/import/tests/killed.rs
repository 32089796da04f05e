//! The history of interactions in a process of its own that is killed with signal 9: while it has read what it has not written, and
//! while its transaction stands open. The other process is this very test program, asked for the one ignored test below.

use std::path::Path;
use std::process::{Child, Command as Process, Stdio};

use super::*;

const DIR: &str = "GONOGO_TEST_HISTORY";
const SETTINGS: &str = "GONOGO_TEST_SETTINGS";
const PACE: &str = "GONOGO_TEST_PACE";

struct Other(Child);

impl Other {
    fn start(rig: &Rig) -> Self {
        let url = rig.scratch.url("crm");
        let child = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "workers::import::tests::killed::the_other_process", "--ignored"])
            .env(DIR, rig.dir.path())
            .env(SETTINGS, &rig.settings)
            .env(PACE, serde_json::to_string(&rig.kit.clock().pace()).unwrap())
            .env("GONOGO_TEST_PULSE", rig.world.credentials().pulse)
            .env("GONOGO_TEST_DATABASE", url.expose_secret())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn kill(mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it was still at work");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Over already, where it was killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "the other process of the test in this file, which starts it"]
async fn the_other_process() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let given = |name| std::env::var(name).unwrap();
    let clock = Clock::from_pace(serde_json::from_str(&given(PACE)).unwrap());
    let config: Config = toml::from_str(&given(SETTINGS)).unwrap();
    let kit = Kit::new(config, Path::new(&dir), Secrets::of([]), clock.clone());
    let store = Store::open(&Path::new(&dir).join("run.sqlite"), clock).await.unwrap();
    let history = Post::Standing(Arc::new(HistoryStanding::new(kit)));
    let _crew = Crew::start(&store, &"there".into(), [history]);
    std::future::pending::<()>().await;
}

impl Rig {
    async fn written(&mut self) -> u64 {
        let made = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('gonogo.interaction_reads')";
        if self.number(made).await == 0 {
            return 0;
        }
        self.number("SELECT count(*) FROM gonogo.interaction_reads").await.unsigned_abs()
    }

    /// Waits until that holds, looking again and again at what changes outside of this process.
    async fn watch(&mut self, what: &str, mut so: impl AsyncFnMut(&mut Self) -> bool) {
        let watched = async {
            while !so(self).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), watched).await.expect(what);
    }
}

#[tokio::test]
async fn killed_with_signal_9_the_history_has_no_interaction_twice_and_none_missing() {
    // A window takes one batch and a part of the next, which then waits for a new one: long enough to be seen.
    let mut rig = Rig::new("smooth", 30.0, 80, 120, "interactions_per_minute = 20\n").await;
    rig.done(JobKind::Import).await;
    rig.remember().await;
    let imported = rig.kit.clock().now();
    let profiles = rig.profiles().await;

    // In the middle of a batch: more is read than stands in the database.
    let other = Other::start(&rig);
    rig.watch("it has read what it has not written", async |rig| {
        let read = rig.store.live().borrow().history.as_ref().map_or(0, |history| history.done);
        let written = rig.written().await;
        written >= 15 && read > written
    })
    .await;
    other.kill();
    let first = rig.written().await;

    // In the middle of its transaction: it waits for a contact that another holds.
    let mut holder = rig.scratch.connect("crm").await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT FROM contacts FOR UPDATE").execute(&mut holder).await.unwrap();
    let other = Other::start(&rig);
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gonogo import' AND wait_event_type = 'Lock'";
    rig.watch("its transaction waits", async |rig| rig.number(waits).await > 0).await;
    other.kill();
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    rig.watch("what it left behind is gone", async |rig| rig.number(waits).await == 0).await;
    assert_eq!(rig.written().await, first, "a transaction that was cut left nothing");

    let other = Other::start(&rig);
    let state = rig.state(|state| state.history.is_some()).await;
    drop(other);
    let told = state.history.clone().unwrap();
    assert!(told.failed == 0 && told.contacts > 30, "{told:?}");
    let all = "SELECT count(*) FROM pulse_contact_interactions";
    let each = "SELECT count(DISTINCT pulse_interaction_id) FROM pulse_contact_interactions";
    assert_eq!(rig.number(all).await, rig.number(each).await);
    assert_eq!(rig.number(all).await.unsigned_abs(), told.interactions);
    let mut missing = Vec::new();
    for (profile, one) in rig.interactions(&profiles).await {
        let at: chrono::DateTime<chrono::Utc> = one["interaction_date"].as_str().unwrap().parse().unwrap();
        if at > imported {
            continue; // it happened since
        }
        let id = one["id"].as_str().unwrap();
        let there = format!(
            "SELECT count(*) FROM pulse_contact_interactions i JOIN contacts c ON c.id = i.contact_id \
             WHERE c.pulse_profile_id = '{profile}' AND i.pulse_interaction_id = '{id}'"
        );
        if rig.number(&there).await != 1 {
            missing.push(id.to_owned());
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    // What Pulse counts is neither lowered nor added to by being read twice.
    let totals = "SELECT count(*) FROM contacts c JOIN before b USING (id) WHERE c.total_interactions <> greatest( \
                  b.total_interactions, (SELECT count(*) FROM pulse_contact_interactions i WHERE i.contact_id = c.id))";
    assert_eq!(rig.number(totals).await, 0);
    rig.leave().await;
}
