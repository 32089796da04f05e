//! What stands around the import: the history of interactions, and the switches that hold the sync.

use super::*;
use crate::run::upkeep::Upkeep;

fn history(rig: &Rig) -> Crew {
    rig.also([Post::Standing(Arc::new(HistoryStanding::new(rig.kit.clone())))])
}

impl Rig {
    /// The interactions of every profile that has some, by a client that is not gonogo's and has a minute of its own.
    pub(super) async fn interactions(&self, profiles: &[Value]) -> Vec<(String, Value)> {
        let client = reqwest::Client::new();
        let mut all = Vec::new();
        for profile in profiles.iter().filter(|profile| profile["total_interactions"].as_i64() > Some(0)) {
            let id = profile["id"].as_str().unwrap();
            let url =
                format!("{}/api/contacts/{id}/interactions?limit=100&days=90", self.standins.urls.pulse);
            loop {
                let answer =
                    client.get(&url).bearer_auth(self.world.credentials().pulse).send().await.unwrap();
                if answer.status() == 429 {
                    // Another minute of the rehearsal's clock.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
                all.extend(
                    body["interactions"].as_array().unwrap().iter().map(|one| (id.to_owned(), one.clone())),
                );
                break;
            }
        }
        all
    }
}

#[tokio::test]
async fn the_history_goes_by_worth_survives_a_kill_and_counts_nobody_twice() {
    let mut rig = Rig::new("smooth", 240.0, 60, 70, "").await;
    // The engine that migrated keeps a history of its own in the same schema.
    let engine = "CREATE SCHEMA IF NOT EXISTS gonogo; CREATE TABLE gonogo.history (number bigint)";
    sqlx::raw_sql(engine).execute(&mut rig.database).await.unwrap();
    rig.done(JobKind::Import).await;
    rig.remember().await;
    let imported = rig.kit.clock().now();
    let profiles = rig.profiles().await;
    let asked = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('gonogo.interaction_reads')";
    let read = "SELECT count(*) FROM gonogo.interaction_reads";
    let crew = history(&rig);
    while rig.number(asked).await == 0 || rig.number(read).await < 15 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(crew);
    let first: Vec<(String, chrono::DateTime<chrono::Utc>)> =
        sqlx::query_as("SELECT pulse_id, read_at FROM gonogo.interaction_reads")
            .fetch_all(&mut rig.database)
            .await
            .unwrap();
    let crew = history(&rig);
    let state = rig.state(|state| state.history.is_some()).await;
    let told = state.history.clone().unwrap();
    drop(crew);
    assert_eq!(told.failed, 0);
    for (id, at) in first {
        let same = format!(
            "SELECT count(*) FROM gonogo.interaction_reads WHERE pulse_id = '{id}' AND read_at = '{at}'"
        );
        assert_eq!(rig.number(&same).await, 1, "what was read before the kill is not read again");
    }
    let wanted = "SELECT count(*) FROM before WHERE pulse_profile_id IS NOT NULL AND total_interactions > 0";
    assert_eq!(rig.number(wanted).await.unsigned_abs(), told.contacts);
    // The most valuable first: nobody is read after somebody who gave less.
    let order = "SELECT count(*) FROM gonogo.interaction_reads a JOIN gonogo.interaction_reads b ON a.read_at < b.read_at \
                 JOIN before x ON x.pulse_profile_id = a.pulse_id JOIN before y ON y.pulse_profile_id = b.pulse_id \
                 WHERE coalesce(x.total_lifetime_giving, 0) < coalesce(y.total_lifetime_giving, 0)";
    assert_eq!(rig.number(order).await, 0);
    let mut missing = 0;
    for (profile, one) in rig.interactions(&profiles).await {
        let at: chrono::DateTime<chrono::Utc> = one["interaction_date"].as_str().unwrap().parse().unwrap();
        if at > imported {
            continue; // it happened since
        }
        let (id, kind) = (one["id"].as_str().unwrap(), one["interaction_type"].as_str().unwrap());
        let there = format!(
            "SELECT count(*) FROM pulse_contact_interactions i JOIN contacts c ON c.id = i.contact_id \
             WHERE c.pulse_profile_id = '{profile}' AND i.pulse_interaction_id = '{id}' AND i.interaction_type = '{kind}' \
             AND i.interaction_date = '{at}'"
        );
        missing += 1 - rig.number(&there).await;
    }
    assert_eq!(missing, 0);
    // Pulse's own total counts what it hands out as well; it is neither lowered nor added to.
    let totals = "SELECT count(*) FROM contacts c JOIN before b USING (id) WHERE c.total_interactions <> greatest( \
                  b.total_interactions, (SELECT count(*) FROM pulse_contact_interactions i WHERE i.contact_id = c.id))";
    assert_eq!(rig.number(totals).await, 0);
    let donors = "SELECT count(*) FROM contacts c JOIN before b USING (id) \
                  WHERE (c.donor_stage, c.total_lifetime_giving, c.notes) IS DISTINCT FROM (b.donor_stage, b.total_lifetime_giving, b.notes)";
    assert_eq!(rig.number(donors).await, 0);
    rig.leave().await;
}

#[tokio::test]
async fn a_held_history_waits_with_its_reason_and_a_bad_interaction_costs_only_itself() {
    let mut rig = Rig::new("smooth", 240.0, 20, 24, "").await;
    let lead = lead();
    let hold = Command::Hold { what: Upkeep::History, why: "the database is busy".into() };
    rig.store.submit(&lead, hold).await.unwrap();
    rig.done(JobKind::Import).await;
    let rule =
        "ALTER TABLE pulse_contact_interactions ADD CONSTRAINT no_calls CHECK (interaction_type <> 'call')";
    sqlx::raw_sql(rule).execute(&mut rig.database).await.unwrap();
    // Something to show stands there already, or nothing is said before the first import.
    rig.store.history(crate::run::live::HistoryLive { at: rig.kit.clock().now(), ..Default::default() });
    let crew = history(&rig);
    let mut live = rig.store.live();
    let said = live.wait_for(|live| {
        live.history
            .as_ref()
            .and_then(|history| history.waiting.clone())
            .is_some_and(|why| why.contains("the database is busy"))
    });
    tokio::time::timeout(Duration::from_mins(1), said).await.expect("in time").unwrap();
    assert_eq!(rig.number("SELECT count(*) FROM pulse_contact_interactions").await, 0);
    rig.store.submit(&lead, Command::Release(Upkeep::History)).await.unwrap();
    let state = rig.state(|state| state.history.is_some()).await;
    drop(crew);
    let told = state.history.clone().unwrap();
    let refused = "SELECT count(*) FROM gonogo.interaction_reads WHERE problem LIKE '%no_calls%'";
    assert_eq!(rig.number(refused).await.unsigned_abs(), told.failed);
    assert!(told.failed > 0 && told.interactions > 0, "{told:?}");
    let bystanders =
        "SELECT count(*) FROM gonogo.interaction_reads h WHERE problem IS NULL AND interactions > 0";
    assert!(rig.number(bystanders).await > 0, "who has no call is not held up by who has");
    rig.leave().await;
}

#[tokio::test]
async fn the_import_waits_while_others_do_and_goes_on_by_itself() {
    let rig = Rig::new("smooth", 0.001, 50, 10, "").await;
    let limits = brake::Limits::of(&rig.kit.config().import);
    let brake = brake::Brake::watch(rig.scratch.url("crm"), limits);
    let until = async |braked: bool| {
        for _ in 0..1_000 {
            if brake.why().is_some() == braked {
                return brake.why();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never so");
    };
    // Somebody else stops every reader of contacts.
    let mut other = rig.scratch.connect("crm").await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE").execute(&mut other).await.unwrap();
    let why = until(true).await.unwrap();
    assert!(why.contains("a read of contacts takes") && why.contains("200 are allowed"), "{why}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    until(false).await;
    // A client that waits behind the import.
    let mut ours = database::connect(&rig.scratch.url("crm")).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE public.contacts SET notes = notes WHERE id = (SELECT min(id::text)::uuid FROM public.contacts)")
        .execute(&mut ours)
        .await
        .unwrap();
    let mut client = rig.scratch.connect("crm").await.unwrap();
    let waits = tokio::spawn(async move {
        sqlx::raw_sql(
            "UPDATE contacts SET notes = notes WHERE id = (SELECT min(id::text)::uuid FROM contacts)",
        )
        .execute(&mut client)
        .await
        .unwrap();
    });
    let why = until(true).await.unwrap();
    assert!(why.starts_with("a client has waited"), "{why}");
    sqlx::raw_sql("ROLLBACK").execute(&mut ours).await.unwrap();
    waits.await.unwrap();
    until(false).await;
    rig.leave().await;
}

#[tokio::test]
async fn the_kill_switch_of_the_environment_holds_the_sync_until_a_person_lets_it_go() {
    let rig = Rig::new("smooth", 0.001, 100, 150, "sync_every = \"15m\"\n").await;
    let clock = rig.kit.clock().clone();
    rig.done(JobKind::Import).await;
    rig.done(JobKind::Sync).await;
    let file = rig.kit.path(std::path::Path::new(".env.production"));
    std::fs::write(&file, "VITE_EMERGENCY_DISABLE_PULSE_SYNC=true\n").unwrap();
    clock.jump_to(clock.now() + chrono::TimeDelta::minutes(1));
    let state = rig.state(|state| state.held.contains_key(&Upkeep::Sync)).await;
    let hold = &state.held[&Upkeep::Sync];
    assert!(hold.why.contains("VITE_EMERGENCY_DISABLE_PULSE_SYNC") && hold.by == Actor::machine("import"));
    // Let go while the switch is on, it is held again.
    rig.store.submit(&lead(), Command::Release(Upkeep::Sync)).await.unwrap();
    rig.state(|state| state.held.contains_key(&Upkeep::Sync)).await;
    std::fs::write(&file, "VITE_EMERGENCY_DISABLE_PULSE_SYNC=false\n").unwrap();
    clock.jump_to(clock.now() + chrono::TimeDelta::minutes(40));
    assert!(matches!(rig.store.now().sync, Sync::On { passes: 1, .. }), "no round while it is held");
    rig.store.submit(&lead(), Command::Release(Upkeep::Sync)).await.unwrap();
    rig.state(|state| matches!(state.sync, Sync::On { passes: 2, .. })).await;
    rig.leave().await;
}
