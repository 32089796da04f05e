//! What stands beside the journal, between two handles as between two processes.

use chrono::TimeDelta;

use super::*;
use crate::clock::Pace;
use crate::run::live::{Conflict, Conflicts, HistoryLive, KEPT, More, Presence, Reading};
use crate::run::{JobId, Live, Progress, Sample, WorkerId};
use crate::store::beside::path_of;

fn sample(at: i64, value: f64) -> Sample {
    let at = chrono::DateTime::from_timestamp(1_790_000_000 + at, 0).unwrap();
    Sample { metric: "error_rate".into(), at, reading: Reading::Value { value, n: 40, bad: Some(1) } }
}

fn progress(job: u64, done: u64) -> Progress {
    Progress {
        job: JobId(job),
        at: chrono::Utc::now(),
        step: Some(0),
        doing: "scanning table".into(),
        done,
        total: Some(100),
        unit: "blocks".into(),
        source: "pg_stat_progress_create_index".into(),
        rate: Some(12.5),
        left: Some((1, 3)),
        more: More::None,
    }
}

async fn until(store: &Store, holds: impl FnMut(&Arc<Live>) -> bool) -> Arc<Live> {
    let mut live = store.live();
    let seen = tokio::time::timeout(DEADLINE, live.wait_for(holds)).await.expect("it is seen").unwrap();
    Arc::clone(&seen)
}

#[tokio::test]
async fn progress_and_samples_reach_the_other_handle_the_latest_first() {
    let (_dir, path) = journal(0).await;
    let (one, two) = (open(&path).await, open(&path).await);
    for done in [10, 20, 30] {
        one.progress(progress(1, done));
    }
    one.sample(sample(1, 0.1));
    one.sample(sample(2, 0.2));
    assert_eq!(one.live().borrow().progress[&JobId(1)].done, 30, "one's own is there at once");
    let live = until(&two, |live| live.progress.contains_key(&JobId(1)) && !live.series.is_empty()).await;
    assert_eq!(live.progress[&JobId(1)].done, 30);
    let values: Vec<_> = live.series[&"error_rate".into()].iter().cloned().collect();
    assert_eq!(values, [sample(1, 0.1), sample(2, 0.2)]);
    two.progress(progress(1, 40));
    until(&one, |live| live.progress[&JobId(1)].done == 40).await;
}

#[tokio::test]
async fn what_waits_for_a_person_and_the_history_reach_the_other_handle_the_latest_wins() {
    let (_dir, path) = journal(0).await;
    let (one, two) = (open(&path).await, open(&path).await);
    let at = |second: i64| chrono::DateTime::from_timestamp(1_790_000_000 + second, 0).unwrap();
    let list = |second, total| Conflicts {
        at: at(second),
        total,
        first: vec![Conflict { profile: "p-1".into(), ..Conflict::default() }],
        trouble: None,
    };
    one.conflicts(list(1, 3));
    one.history(HistoryLive { at: at(1), done: 30, total: 900, ..HistoryLive::default() });
    let live = until(&two, |live| live.conflicts.is_some() && live.history.is_some()).await;
    assert_eq!((live.conflicts.as_ref().unwrap().total, live.history.as_ref().unwrap().done), (3, 30));
    two.conflicts(list(2, 2));
    let live = until(&one, |live| live.conflicts.as_ref().is_some_and(|list| list.total == 2)).await;
    assert_eq!(live.history.as_ref().unwrap().done, 30, "the other word stays");
}

#[tokio::test]
async fn who_comes_late_gets_the_newest_samples_and_no_more_than_are_kept() {
    let (_dir, path) = journal(0).await;
    let one = open(&path).await;
    let many = i64::try_from(KEPT).unwrap() + 50;
    for at in 0..many {
        one.sample(sample(at, 0.5));
    }
    let reader = open(&path).await;
    let live = until(&reader, |live| {
        live.series
            .get(&"error_rate".into())
            .is_some_and(|series| series.back() == Some(&sample(many - 1, 0.5)))
    })
    .await;
    let series = &live.series[&"error_rate".into()];
    assert_eq!((series.len(), series.front()), (KEPT, Some(&sample(50, 0.5))));
}

#[tokio::test]
async fn a_lease_is_held_by_one_cockpit_and_can_be_given_back() {
    let (_dir, path) = journal(0).await;
    let (one, two) = (open(&path).await, open(&path).await);
    assert!(one.beside().lease(WorkerId::Import, "a").await.unwrap());
    assert!(!two.beside().lease(WorkerId::Import, "b").await.unwrap());
    assert!(two.beside().lease(WorkerId::Migrate, "b").await.unwrap(), "another worker is another lease");
    assert!(one.beside().lease(WorkerId::Import, "a").await.unwrap(), "its own is there for the asking");
    let both = [WorkerId::Import, WorkerId::Migrate].into();
    let had = one.beside().renew(&both, "a").await.unwrap();
    assert_eq!(had, [WorkerId::Import].into(), "what another has is not renewed, and said not to be");
    one.beside().leave("a").await.unwrap();
    assert!(one.beside().renew(&both, "a").await.unwrap().is_empty(), "what was given back is gone");
    assert!(two.beside().lease(WorkerId::Import, "b").await.unwrap());
    assert!(!one.beside().lease(WorkerId::Import, "a").await.unwrap());
}

#[tokio::test]
async fn a_lease_that_ran_out_is_free() {
    let (_dir, path) = journal(0).await;
    let store = open(&path).await;
    assert!(store.beside().lease(WorkerId::Import, "dead").await.unwrap());
    let taken = async {
        while !store.beside().lease(WorkerId::Import, "b").await.unwrap() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let began = std::time::Instant::now();
    tokio::time::timeout(DEADLINE, taken).await.expect("it runs out");
    assert!(
        began.elapsed() + Duration::from_millis(100) >= super::super::beside::LEASE,
        "not before its time"
    );
}

#[tokio::test]
async fn who_falls_silent_is_gone_without_anybody_writing() {
    let (_dir, path) = journal(0).await;
    let store = open(&path).await;
    let bo = Presence { cockpit: "b".into(), name: "bo".into(), role: Role::Dba };
    let almost = chrono::Utc::now() - TimeDelta::seconds(9);
    let mut other =
        crate::store::connect(&path_of(&path), sqlx::sqlite::SqliteSynchronous::Off).await.unwrap();
    sqlx::query("insert into presence (cockpit, seen, body) values ('b', ?1, ?2)")
        .bind(almost.timestamp_micros())
        .bind(sqlx::types::Json(&bo))
        .execute(&mut other)
        .await
        .unwrap();
    until(&store, |live| live.present == [bo.clone()]).await;
    until(&store, |live| live.present.is_empty()).await;
}

#[tokio::test]
async fn who_is_here_is_seen_and_who_left_is_not() {
    let (_dir, path) = journal(0).await;
    let (one, two) = (open(&path).await, open(&path).await);
    let lea = Presence { cockpit: "a".into(), name: "lea".into(), role: Role::Lead };
    one.beside().present(&lea).await.unwrap();
    let live = until(&two, |live| !live.present.is_empty()).await;
    assert_eq!(live.present, [lea]);
    one.beside().leave("a").await.unwrap();
    until(&two, |live| live.present.is_empty()).await;
}

#[tokio::test]
async fn a_rehearsal_has_one_time_in_every_process() {
    let (_dir, path) = journal(0).await;
    let start = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let clock = Clock::paced(start, 240.0);
    let one = Store::open(&path, clock.clone()).await.unwrap();
    let pace = clock.pace().unwrap();
    one.set_pace(pace).await.unwrap();
    let joined = Clock::paced(start, 1.0);
    let two = Store::open(&path, joined.clone()).await.unwrap();
    assert_eq!(two.beside().pace().await.unwrap(), Some(pace));
    assert_eq!(joined.pace(), Some(pace), "it is followed from the first");
    assert!(clock.jump_to(start + TimeDelta::weeks(3)));
    let jumped: Pace = clock.pace().unwrap();
    one.set_pace(jumped).await.unwrap();
    let followed = tokio::time::timeout(DEADLINE, joined.sleep_until(start + TimeDelta::weeks(2))).await;
    followed.expect("the jump wakes who sleeps in the other process");
    assert_eq!(joined.pace(), Some(jumped));
    assert_eq!(
        Store::open(&path, Clock::wall()).await.unwrap().clock().pace(),
        None,
        "the wall's clock follows nobody"
    );
}

#[tokio::test]
async fn a_broken_file_is_set_aside_and_no_fact_is_lost() {
    let (dir, path) = journal(3).await;
    // As a power cut may leave it: pages of noise, and no log to mend them from. The log goes when its last reader has.
    let log = path_of(&path).with_extension("sqlite-wal");
    let closed = async {
        while log.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, closed).await.expect("the first handle closes");
    std::fs::write(path_of(&path), vec![0xa5; 8192]).unwrap();
    let store = open(&path).await;
    assert_eq!(store.now().seq, 4);
    assert!(store.beside().lease(WorkerId::Import, "a").await.unwrap());
    let aside = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(aside.into_iter().any(|name| name.to_string_lossy().contains("broken-")));
}
