//! What a person decides: whose contact a profile is, and whether the deployment goes on with mock data.

use super::*;
use crate::plan::Check;
use crate::rehearsal::faults::{Fault, Vendor};
use crate::run::upkeep::Settle;
use crate::workers::verify::VerifyWorker;

impl Rig {
    /// Gives two contacts the address of a profile that nobody here has, so that the import cannot place it.
    async fn doubt(&mut self, nth: usize) -> (String, Vec<String>) {
        let profile = self.profiles().await[nth].clone();
        let email = profile["canonical_email"].as_str().unwrap().to_owned();
        let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
            "UPDATE contacts SET email = $1 WHERE id IN (SELECT id FROM contacts WHERE email IS NOT NULL ORDER BY id OFFSET $2 LIMIT 2) \
             RETURNING id",
        )
        .bind(&email)
        .bind(i64::try_from(nth).unwrap() * 3)
        .fetch_all(&mut self.database)
        .await
        .unwrap();
        let mut ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        ids.sort_unstable();
        (profile["id"].as_str().unwrap().to_owned(), ids)
    }

    async fn settle(&self, profile: &str, settle: Settle) -> Outcome {
        self.ask(JobKind::Resolve { profile: profile.into(), settle }).await;
        self.outcome().await
    }

    async fn open(&mut self) -> Vec<crate::run::live::Conflict> {
        let (total, list) = conflicts::list(&mut self.database).await.unwrap();
        assert_eq!(total, list.len() as u64);
        list
    }
}

fn well(outcome: Outcome) -> String {
    match outcome {
        Outcome::Succeeded { summary, .. } => summary,
        other => panic!("{other:#?}"),
    }
}

fn badly(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed { failure } => failure.to_string(),
        other => panic!("{other:#?}"),
    }
}

#[tokio::test]
async fn a_person_says_whose_contact_a_profile_is() {
    let mut rig = Rig::new("smooth", 0.001, 300, 60, "").await;
    // Those who share an address by themselves are another test's.
    sqlx::raw_sql(
        "UPDATE contacts c SET email = NULL WHERE EXISTS \
         (SELECT FROM contacts d WHERE lower(btrim(d.email)) = lower(btrim(c.email)) AND d.id <> c.id)",
    )
    .execute(&mut rig.database)
    .await
    .unwrap();
    let (linked, two) = rig.doubt(1).await;
    let (added, _) = rig.doubt(3).await;
    let (kept, kept_ids) = rig.doubt(5).await;
    rig.remember().await;
    let crew = rig.also([Post::Standing(Arc::new(ConflictsStanding::new(rig.kit.clone())))]);
    let totals = rig.done(JobKind::Import).await;
    assert_eq!(totals.conflicts, 3, "{totals:?}");
    let mut live = rig.store.live();
    let told = live.wait_for(|live| live.conflicts.as_ref().is_some_and(|list| list.total == 3));
    tokio::time::timeout(Duration::from_mins(1), told).await.expect("in time").unwrap();
    let list = rig.open().await;
    let one = list.iter().find(|conflict| conflict.profile == linked).unwrap();
    assert_eq!(one.contacts.iter().map(|rival| rival.contact.clone()).collect::<Vec<_>>(), two);
    let email = |fields: &[(String, String)]| fields.iter().position(|(word, _)| word == "email").unwrap();
    let place = email(&one.pulse);
    assert_eq!(
        one.pulse[place].1.to_lowercase(),
        one.contacts[0].values[place],
        "both sides, field by field"
    );

    // To one of the two: by the import's rules, the other as it was, the donor's fields as they were.
    let said = well(rig.settle(&linked, Settle::Link { contact: two[0].clone() }).await);
    assert!(said.contains(&two[0]) && said.contains(&linked), "{said}");
    let own =
        format!("SELECT count(*) FROM contacts WHERE id = '{}' AND pulse_profile_id = '{linked}'", two[0]);
    assert_eq!(rig.number(&own).await, 1);
    let other = format!(
        "SELECT count(*) FROM contacts c JOIN before b USING (id) WHERE c.id = '{}' AND to_jsonb(c) = to_jsonb(b)",
        two[1]
    );
    assert_eq!(rig.number(&other).await, 1);
    assert_eq!(rig.donors().await, {
        let now = "SELECT md5(string_agg(concat_ws('|', id, donor_stage, engagement_score, total_lifetime_giving, last_gift_date), \
                   ',' ORDER BY id)) FROM before";
        sqlx::query_scalar::<_, String>(now).fetch_one(&mut rig.database).await.unwrap()
    });
    assert!(badly(rig.settle(&linked, Settle::Add).await).contains("does not wait for a person any more"));

    // Not to one who is another profile already, nor to nobody.
    let taken = badly(rig.settle(&added, Settle::Link { contact: two[0].clone() }).await);
    assert!(taken.contains(&linked) && taken.contains("one profile"), "{taken}");
    let nobody = Settle::Link { contact: uuid::Uuid::nil().to_string() };
    assert!(badly(rig.settle(&added, nobody).await).contains("not here any more"));
    well(rig.settle(&added, Settle::Add).await);
    let fresh = format!(
        "SELECT count(*) FROM contacts c WHERE pulse_profile_id = '{added}' AND NOT EXISTS (SELECT FROM before b WHERE b.id = c.id)"
    );
    assert_eq!(rig.number(&fresh).await, 1);

    // Left as it is: not asked again, and accounted for all the same.
    well(rig.settle(&kept, Settle::Keep).await);
    assert!(rig.open().await.is_empty());
    reconciled(&mut rig.database, &rig.kit.pulse().unwrap()).await.unwrap();
    let again = rig.done(JobKind::Import).await;
    assert_eq!((again.imported, again.updated, again.conflicts), (0, 0, 1), "{again:?}");
    assert!(rig.open().await.is_empty(), "the decision holds while the profile says what it said");
    for id in kept_ids {
        let same = format!(
            "SELECT count(*) FROM contacts c JOIN before b USING (id) WHERE c.id = '{id}' AND to_jsonb(c) = to_jsonb(b)"
        );
        assert_eq!(rig.number(&same).await, 1);
    }
    let live = rig.store.live();
    let told = live.borrow().conflicts.as_ref().map(|list| list.total);
    assert!(told.is_some());
    drop(crew);
    rig.leave().await;
}

#[tokio::test]
async fn mock_data_stand_apart_and_go_when_the_real_ones_come() {
    let mut rig = Rig::new("smooth", 0.001, 120, 200, "attempts = 1\n").await;
    rig.world.inject(Fault::Outage { vendor: Vendor::Pulse }, None);
    let crew = rig.also([Post::Jobs(Arc::new(VerifyWorker::new(rig.kit.clone())))]);
    rig.ask(JobKind::Verify { check: Check::Pulse }).await;
    assert!(badly(rig.outcome().await).contains("503"));
    drop(crew);
    rig.world.clear("outage");
    let before = rig.stamps().await;
    rig.store.submit(&lead(), Command::Mock { why: "Pulse is down until tonight".into() }).await.unwrap();
    let said = well(rig.outcome().await);
    assert!(said.contains("MOCK") && said.contains("NOT imported"), "{said}");
    assert_eq!(rig.number("SELECT count(*) FROM gonogo_mock.contacts").await, 200);
    assert_eq!(rig.stamps().await, before, "no real row was touched");
    let real = "INSERT INTO gonogo_mock.contacts (name, email, pulse_profile_id) VALUES ('Ada', 'ada@example.org', 'p')";
    let refused = sqlx::raw_sql(real).execute(&mut rig.database).await.unwrap_err().to_string();
    assert!(refused.contains("plainly_mock"), "{refused}");
    assert_eq!(rig.store.now().mocked().unwrap().why, "Pulse is down until tonight");
    // Pulse is back.
    rig.ask(JobKind::Import).await;
    let said = well(rig.outcome().await);
    assert!(said.contains("the mock profiles are gone"), "{said}");
    assert!(rig.store.now().mocked().is_none());
    assert_eq!(rig.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'gonogo_mock'").await, 0);
    assert_eq!(rig.number("SELECT count(*) FROM contacts WHERE email LIKE '%@mock.invalid'").await, 0);
    reconciled(&mut rig.database, &rig.kit.pulse().unwrap()).await.unwrap();
    rig.leave().await;
}
