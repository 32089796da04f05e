//! The three migrations of the deployment through the engine.

use gonogo::run::StepOutcome;
use gonogo::workers::migrate::{BackupGate, Ended, Options, Target, backup, down, loss, status, up, verify};

use gonogo::workers::migrate::inverse::{Cost, back_plan};

use crate::ground::{Ground, Recorder, brisk, shipped};

const FINGERPRINT: &str = "SELECT count(*) || ' ' || sum(hashtextextended(c::text, 0)) || ' ' || sum(total_lifetime_giving) FROM contacts c";

#[tokio::test]
async fn up_is_proven_and_down_returns_every_value() {
    let ground = Ground::with_contacts(800).await;
    let (db, set) = (ground.db().await, shipped());
    let before = ground.text(FINGERPRINT).await;

    let refused = up(&db, &set, None, &Options::default(), &Recorder::default()).await.unwrap_err();
    assert!(refused.what.contains("no proven backup of public.contacts"), "{refused}");

    let recorder = Recorder::default();
    let report = backup(&db, &set, &Target::Schema, &brisk(), &recorder).await.unwrap();
    assert_eq!(report.ended, Ended::Complete);
    assert!(recorder.line().chars().all(|c| c == 'd') && recorder.line().len() >= 4, "{}", recorder.line());

    let recorder = Recorder::default();
    let options = Options { backup: BackupGate::Required, ..brisk() };
    let report = up(&db, &set, None, &options, &recorder).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((report.applied, report.ended), (vec![1, 2, 3], Ended::Complete));
    assert!(!recorder.line().contains(['F', 'n', '.']), "{}", recorder.line());
    assert!(report.worst_wait_ms.is_some(), "the canary sang");
    let plan = recorder.plan.lock().unwrap().clone();
    assert!(plan.len() > 60, "{} steps", plan.len());
    let donor =
        plan.iter().position(|step| step.name.contains("create index idx_contacts_donor_stage")).unwrap();
    assert!(
        matches!(recorder.outcome(u32::try_from(donor).unwrap()), StepOutcome::Skipped { why } if why.contains("same definition"))
    );

    let standing = status(&db, &set).await.unwrap();
    assert!(standing.iter().all(|one| one.unchanged == Some(true) && one.reversible), "{standing:?}");
    let answers = verify(&db, &set).await.unwrap();
    assert!(answers.len() > 60 && answers.iter().all(|(_, answer)| answer.ok), "{answers:?}");
    let again = up(&db, &set, None, &options, &Recorder::default()).await.unwrap();
    assert_eq!((again.done, again.skipped), (0, 0), "nothing is left to do");

    ground.sql("UPDATE contacts SET is_vip = true, pulse_last_synced_at = now() WHERE id IN (SELECT id FROM contacts LIMIT 70)").await;
    let lost = loss(&db, &set, None).await.unwrap();
    assert!(
        lost.iter().any(|(what, rows)| what.contains("15 new columns of public.contacts") && *rows == 70),
        "{lost:?}"
    );

    for plan in back_plan(&db, &set, None).await.unwrap() {
        let differences = plan.differences.clone().unwrap();
        assert!(differences.is_empty(), "{}: {differences:#?}", plan.title);
        let way = plan.recorded.unwrap();
        assert!(plan.gaps.is_empty() && way.undos.len() >= 2, "{}: {way:#?}", plan.title);
        if plan.number == 1 {
            let lost = way.undos.iter().find(|undo| undo.about.ends_with("is_vip")).unwrap();
            assert_eq!(lost.cost, Cost::Lossy { rows: Some(70) });
        }
    }

    let recorder = Recorder::default();
    let report =
        down(&db, &set, None, &brisk(), &recorder).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.applied, Vec::<u64>::new());
    assert_eq!(report.remarks, Vec::<String>::new(), "the catalogue is as it was");
    assert!(!recorder.line().contains(['F', 'n', '.']), "{}", recorder.line());
    let first = recorder.plan.lock().unwrap()[0].name.clone();
    assert!(first.starts_with("003 down"), "newest first: {first}");
    assert_eq!(ground.text(FINGERPRINT).await, before);
    assert_eq!(ground.text("SELECT string_agg(number || what, ' ' ORDER BY id) FROM gonogo.history WHERE what = 'forgotten'").await, "3forgotten 2forgotten 1forgotten");

    let report = up(&db, &set, Some(2), &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(report.applied, [1, 2]);
    let report = down(&db, &set, Some(1), &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(report.applied, [1]);
}

#[tokio::test]
async fn every_interruption_of_001_ends_where_an_uninterrupted_run_ends() {
    let ground = Ground::with_contacts(60).await;
    let (db, set) = (ground.db().await, shipped());
    let before = ground.text(FINGERPRINT).await;
    // Up, killed at the begin of each step in turn, always going on from there.
    let mut step = 0;
    let options = brisk();
    loop {
        let recorder = Recorder::hanging_at(step);
        tokio::select! {
            done = up(&db, &set, Some(1), &options, &recorder) => {
                assert_eq!(done.unwrap_or_else(|failure| panic!("step {step}: {failure}")).applied, [1]);
                break;
            }
            () = recorder.hangs() => {}
        }
        assert_eq!(
            recorder.line().matches('d').count(),
            0,
            "step {step}: only new work is done: {}",
            recorder.line()
        );
        // One more step is taken, then the next kill.
        let one = Recorder::hanging_at(step + 1);
        tokio::select! {
            _ = up(&db, &set, Some(1), &options, &one) => {}
            () = one.hangs() => {}
        }
        step += 1;
    }
    assert!(step > 20, "{step}");
    assert!(verify(&db, &set).await.unwrap().iter().all(|(_, answer)| answer.ok));
    let report = down(&db, &set, None, &brisk(), &Recorder::default())
        .await
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.applied.is_empty());
    assert_eq!(report.remarks, Vec::<String>::new(), "the catalogue is as it was, whatever was interrupted");
    assert_eq!(ground.text(FINGERPRINT).await, before);
}

#[tokio::test]
async fn one_backup_lets_every_phase_of_the_plan_begin() {
    let ground = Ground::with_contacts(40).await;
    let (db, set) = (ground.db().await, shipped());
    backup(&db, &set, &Target::Schema, &brisk(), &Recorder::default()).await.unwrap();
    let gated = Options { backup: BackupGate::Required, ..brisk() };
    // The columns of 001 are in no backup that was taken before it, and need not be.
    for to in 1..=3 {
        let report = up(&db, &set, Some(to), &gated, &Recorder::default()).await;
        let report = report.unwrap_or_else(|failure| panic!("{to}: {failure}"));
        assert_eq!(report.applied, (1..=to).collect::<Vec<_>>());
    }
}
