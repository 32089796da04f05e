//! There, used, back, and there again: every value that was before is as it was, and what the import brought is put back from
//! what was set aside.

use gonogo::workers::migrate::restore::{asides, put_back};
use gonogo::workers::migrate::{down, up};

use crate::ground::{Ground, Recorder, brisk, shipped};

/// What the import writes: merged contacts, new contacts, their mappings; then interactions; then people's own changes.
const IMPORT: &str = "
  UPDATE contacts SET name = name || ' of Pulse', phone = '+1 555 0100', notes = concat_ws(E'\n--- Pulse ---\n', notes, 'met at the gala'),
    updated_at = now(), pulse_profile_id = 'p-' || id, relationship_score = 60, relationship_trend = 'rising', total_interactions = 7,
    last_interaction_date = '2026-09-01T10:00:00.123456Z', preferred_channel = 'email', pulse_tags = ARRAY['donor', 'gala'],
    is_favorite = true, pulse_last_synced_at = now(), pulse_sync_status = 'synced'
  WHERE id IN (SELECT id FROM contacts ORDER BY id LIMIT 120);
  INSERT INTO contacts (name, email, total_interactions, pulse_profile_id, relationship_score, pulse_last_synced_at, pulse_sync_status)
  SELECT 'Only Pulse ' || n, 'only' || n || '@pulse.example', 1, 'q-' || n, n % 100, now(), 'synced' FROM generate_series(1, 40) n;
  INSERT INTO entity_mappings (entity_type, logos_id, pulse_id, sync_status, data_hash, last_synced_at)
  SELECT 'contact', id, pulse_profile_id, 'synced', md5(name), now() FROM contacts WHERE pulse_profile_id IS NOT NULL;
  INSERT INTO pulse_contact_interactions (contact_id, pulse_interaction_id, interaction_type, interaction_date, subject)
  SELECT id, 'i-' || id || '-' || n, 'meeting', ('2026-09-0' || n || 'T09:00:00Z')::timestamptz, 'coffee' FROM contacts, generate_series(1, 3) n
  WHERE pulse_profile_id IS NOT NULL;
  UPDATE pulse_contact_interactions SET is_archived = true WHERE pulse_interaction_id LIKE '%-2';
  UPDATE contacts SET is_vip = true WHERE id IN (SELECT id FROM contacts WHERE pulse_profile_id IS NULL ORDER BY id LIMIT 9);";

const WAS: &str = "SELECT count(*) || ' ' || sum(hashtextextended(c::text, 0)) FROM contacts c";
const DONORS: &str = "SELECT sum(total_lifetime_giving) || ' ' || count(last_gift_date) || ' ' || string_agg(DISTINCT donor_stage, ',') FROM contacts";
const INTERACTIONS: &str =
    "SELECT count(*) || ' ' || sum(hashtextextended(i::text, 0)) FROM pulse_contact_interactions i";
const MAPPINGS: &str = "SELECT count(*) || ' ' || sum(hashtextextended(m::text, 0)) FROM entity_mappings m";
/// All but the journal's own times.
const JOURNAL: &str = "SELECT count(*) || ' ' || sum(hashtextextended(ROW(contact_id, action, before, written, edited)::text, 0))
                       FROM gonogo_backup.contact_sync_journal";

#[tokio::test]
async fn up_import_down_is_the_start_and_up_again_is_the_import() {
    let ground = Ground::with_contacts(400).await;
    let (db, set) = (ground.db().await, shipped());
    let go = async |way: &str| {
        let recorder = Recorder::default();
        let options = brisk();
        let went = if way == "up" {
            up(&db, &set, None, &options, &recorder).await
        } else {
            down(&db, &set, None, &options, &recorder).await
        };
        went.unwrap_or_else(|failure| panic!("{way}: {failure}"))
    };
    let (was, donors) = (ground.text(WAS).await, ground.text(DONORS).await);
    assert!(put_back(&db).await.unwrap_err().what.contains("no rollback has set anything aside"));
    go("up").await;
    ground.sql(IMPORT).await;
    let used = [ground.text(WAS).await, ground.text(INTERACTIONS).await, ground.text(MAPPINGS).await];
    let journal = ground.text(JOURNAL).await;
    assert_eq!(ground.text(DONORS).await, donors, "the import touches no donor field");

    go("down").await;
    assert_eq!(ground.text(WAS).await, was);
    assert_eq!(ground.text(DONORS).await, donors);
    let aside = asides(&db).await.unwrap();
    let rows: Vec<_> = aside.iter().map(|one| (one.migration.as_str(), one.rows)).collect();
    assert_eq!(rows, [("001", 169), ("002", 480), ("003", 160)]);
    let early = put_back(&db).await.unwrap_err();
    assert!(early.what.contains("001 is not applied"), "{early}");

    go("up").await;
    let said = put_back(&db).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(
        said[0].contains("169 rows written") && said[1].contains("480 rows") && said[2].contains("160 rows"),
        "{said:?}"
    );
    let again = [ground.text(WAS).await, ground.text(INTERACTIONS).await, ground.text(MAPPINGS).await];
    assert_eq!(again, used, "every contact, interaction and mapping is as the import left it");
    assert_eq!(ground.text(JOURNAL).await, journal, "and the next rollback knows what was before");

    // Somebody goes on working; a second time nothing is written over.
    ground.sql("UPDATE contacts SET is_vip = false, name = 'Mine' WHERE id = (SELECT id FROM contacts WHERE pulse_profile_id LIKE 'p-%' ORDER BY id LIMIT 1)").await;
    let now = ground.text(WAS).await;
    let said = put_back(&db).await.unwrap();
    assert!(said.iter().all(|line| line.contains(": 0 rows written")), "{said:?}");
    assert_eq!(ground.text(WAS).await, now);

    // And back once more, from what the journal of the second round says.
    go("down").await;
    assert_eq!(ground.text(DONORS).await, donors);
    assert_eq!(ground.text("SELECT count(*) FROM contacts").await, "400");
    assert_eq!(
        ground
            .text("SELECT count(*) FROM contacts WHERE name LIKE '% of Pulse' OR phone = '+1 555 0100'")
            .await,
        "0"
    );
    assert_eq!(
        ground.text("SELECT count(*) FROM contacts WHERE name = 'Mine'").await,
        "1",
        "a person's word stands"
    );
}
