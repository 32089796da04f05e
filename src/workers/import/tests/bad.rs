//! Bad data: set aside one by one, with reasons; too much of it stops the import before anything is written.

use super::*;

#[tokio::test]
async fn bad_profiles_are_set_aside_with_their_reasons() {
    let mut rig = Rig::new("bad-data", 0.001, 600, 1_600, "page_size = 400\nquarantine_share = 0.05\n").await;
    let totals = rig.done(JobKind::Import).await;
    // One profile in 97 is bad in one of eight ways; the seventh way makes twins of two good ones.
    let twins = (0..1_600).filter(|index| index % 97 == 96 && index / 97 % 8 == 6).count() as u64;
    assert_eq!(totals.quarantined, 1_600 / 97 - twins, "{totals:?}");
    assert_eq!(sum(&totals), 1_600);
    let shared =
        "SELECT count(*) FROM gonogo.import_conflicts WHERE reason = 'several profiles have this address'";
    assert_eq!(rig.number(shared).await.unsigned_abs(), 2 * twins);
    for reason in [
        "relationship_score: not within 0 to 100",
        "canonical_email: longer than 255",
        "a NUL character",
        "total_interactions: not within",
        "communication_frequency: not one of",
        "it cannot be read",
    ] {
        assert!(
            totals.reasons.iter().any(|(said, _)| said.contains(reason)),
            "{reason}: {:?}",
            totals.reasons
        );
    }
    // Each under its own head, once.
    let said = |reasons: &[(String, u64)]| reasons.iter().map(|(_, n)| n).sum::<u64>();
    assert_eq!((said(&totals.reasons), said(&totals.doubts)), (totals.quarantined, totals.conflicts));
    assert!(
        totals.doubts.contains(&("several profiles have this address".to_owned(), 2 * twins)),
        "{totals:?}"
    );
    let raw = "SELECT count(*) FROM gonogo.import_rejects WHERE raw LIKE '%\"id\"%' AND detail <> ''";
    assert_eq!(rig.number(raw).await.unsigned_abs(), totals.quarantined, "the record as it came");
    reconciled(&mut rig.database, &rig.kit.pulse().unwrap()).await.unwrap();
    rig.leave().await;
}

#[tokio::test]
async fn too_many_refusals_stop_it_and_it_asks_and_goes_on_with_a_reason() {
    let mut rig =
        Rig::new("bad-data", 0.001, 600, 1_600, "page_size = 400\nquarantine_share = 0.002\n").await;
    rig.ask(JobKind::Import).await;
    let question = rig.question().await;
    assert!(
        question.what.contains("more than is allowed") && question.what.contains("no contact is written"),
        "{question:?}"
    );
    let synced = "SELECT count(*) FROM contacts WHERE pulse_last_synced_at IS NOT NULL";
    assert_eq!(rig.number(synced).await, 0);
    assert!(rig.number("SELECT count(*) FROM gonogo.import_rejects").await > 0, "a person can look at them");

    // A cockpit that dies meanwhile asks the same again, once.
    rig.kill();
    rig.man();
    let dev = Actor::person("dev", Role::Devops);
    loop {
        let question = rig.question().await;
        let id = *rig.store.now().jobs.keys().next_back().unwrap();
        let reason = format!("known at Pulse: {}", question.what.len());
        rig.store.submit(&dev, Command::GoOn { job: id, reason }).await.unwrap();
        // Each answer allows twice as much as was asked about, so that it is asked a few times at most.
        let mut state = rig.store.state();
        let news = |state: &Arc<State>| {
            state.jobs[&id].is_over() || state.jobs[&id].question().is_some_and(|now| *now != question)
        };
        if tokio::time::timeout(Duration::from_mins(1), state.wait_for(news)).await.unwrap().unwrap().jobs
            [&id]
            .is_over()
        {
            break;
        }
    }
    let totals = rig.totals().await;
    assert_eq!(sum(&totals), 1_600, "{totals:?}");
    assert!(totals.quarantined > 3 && totals.imported > 300);
    let asked = |record: &Arc<crate::run::Record>| matches!(record.event, crate::run::Event::JobAsked { .. });
    let times = rig.store.now().tail.iter().filter(|record| asked(record)).count();
    assert!((1..=3).contains(&times), "asked {times} times");
    rig.leave().await;
}

#[tokio::test]
async fn asked_and_cancelled_it_keeps_its_place_and_writes_nothing() {
    let mut rig =
        Rig::new("bad-data", 0.001, 600, 1_600, "page_size = 400\nquarantine_share = 0.002\n").await;
    rig.ask(JobKind::Import).await;
    rig.question().await;
    let id = *rig.store.now().jobs.keys().next_back().unwrap();
    rig.store.submit(&Actor::person("dev", Role::Devops), Command::Cancel(id)).await.unwrap();
    assert!(matches!(rig.outcome().await, Outcome::Cancelled { .. }));
    assert_eq!(rig.number("SELECT count(*) FROM contacts WHERE pulse_last_synced_at IS NOT NULL").await, 0);
    assert!(rig.number("SELECT max(pages) FROM gonogo.import_state").await > 0);
    rig.leave().await;
}

#[tokio::test]
async fn what_nobody_foresaw_is_found_by_halving_and_costs_nobody_else() {
    let mut rig = Rig::new("smooth", 0.001, 300, 500, "page_size = 100\n").await;
    let id = rig.profiles().await[123]["id"].as_str().unwrap().to_owned();
    let rule =
        format!("ALTER TABLE contacts ADD CONSTRAINT nobody_foresaw CHECK (pulse_profile_id <> '{id}')");
    sqlx::raw_sql(AssertSqlSafe(rule)).execute(&mut rig.database).await.unwrap();
    let totals = rig.done(JobKind::Import).await;
    assert_eq!((totals.quarantined, sum(&totals)), (1, 500), "{totals:?}");
    let said = "SELECT count(*) FROM gonogo.import_rejects WHERE pulse_id = '{id}' AND reason LIKE '%nobody_foresaw' AND sqlstate = '23514'";
    assert_eq!(rig.number(&said.replace("{id}", &id)).await, 1);
    // Not mended, it is refused again and stays; mended, it is brought by another look at it alone.
    let again = rig.done(JobKind::Retry).await;
    assert_eq!((again.fetched, again.quarantined, sum(&again)), (1, 1, 1), "{again:?}");
    assert_eq!(rig.number(&said.replace("{id}", &id)).await, 1);
    sqlx::raw_sql("ALTER TABLE contacts DROP CONSTRAINT nobody_foresaw")
        .execute(&mut rig.database)
        .await
        .unwrap();
    let served = rig.world.read(|state| state.pulse_pages);
    let again = rig.done(JobKind::Retry).await;
    assert_eq!((again.fetched, again.quarantined, again.imported + again.updated), (1, 0, 1), "{again:?}");
    assert_eq!(rig.world.read(|state| state.pulse_pages), served, "Pulse was not asked");
    assert_eq!(rig.number("SELECT count(*) FROM gonogo.import_rejects").await, 0);
    let stamps = rig.stamps().await;
    let whole = rig.done(JobKind::Import).await;
    assert_eq!(
        (whole.imported, whole.updated, whole.quarantined),
        (0, 0, 0),
        "it is what Pulse says: {whole:?}"
    );
    assert_eq!(rig.stamps().await, stamps);
    rig.leave().await;
}

#[tokio::test]
async fn a_new_profile_that_somebody_maps_first_is_set_aside_whole() {
    let mut rig = Rig::new("smooth", 0.001, 300, 500, "page_size = 100\n").await;
    let here: Vec<String> = sqlx::query_scalar("SELECT lower(email) FROM contacts WHERE email IS NOT NULL")
        .fetch_all(&mut rig.database)
        .await
        .unwrap();
    let profiles = rig.profiles().await;
    let new = profiles
        .iter()
        .find(|one| !here.contains(&one["canonical_email"].as_str().unwrap_or_default().to_lowercase()));
    let id = new.unwrap()["id"].as_str().unwrap().to_owned();
    let claims = format!(
        "CREATE FUNCTION claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO public.entity_mappings (entity_type, logos_id, pulse_id) VALUES ('contact', NEW.id, NEW.pulse_profile_id);
           RETURN NULL;
         END $$;
         CREATE TRIGGER claim AFTER INSERT ON contacts FOR EACH ROW WHEN (NEW.pulse_profile_id = '{id}') EXECUTE FUNCTION claim()"
    );
    sqlx::raw_sql(AssertSqlSafe(claims)).execute(&mut rig.database).await.unwrap();
    let totals = rig.done(JobKind::Import).await;
    assert_eq!((totals.quarantined, sum(&totals)), (1, 500), "{totals:?}");
    let said = format!(
        "SELECT count(*) FROM gonogo.import_rejects WHERE pulse_id = '{id}' AND reason LIKE '%entity_mappings%' AND sqlstate = '23505'"
    );
    assert_eq!(rig.number(&said).await, 1);
    let half = format!("SELECT count(*) FROM contacts WHERE pulse_profile_id = '{id}'");
    assert_eq!(rig.number(&half).await, 0, "no contact without its mapping");
    rig.leave().await;
}

#[tokio::test]
async fn without_the_migrations_it_says_so() {
    let mut rig = Rig::new("smooth", 0.001, 10, 10, "").await;
    sqlx::raw_sql("DROP TABLE entity_mappings").execute(&mut rig.database).await.unwrap();
    rig.ask(JobKind::Import).await;
    let failure = rig.failure().await;
    assert!(failure.what.contains("entity_mappings") && failure.next.contains("migrations"), "{failure}");
    let password = rig.scratch.url("crm");
    let secret = password.expose_secret().split([':', '@']).nth(2).unwrap();
    assert!(!format!("{:?}", rig.store.now()).contains(secret));
    rig.leave().await;
}
