//! Vercel's jobs that are not ours, its lost answers, and its words for no.

use serde_json::json as object;

use super::*;
use crate::services::error::{Effect, Fault};
use crate::services::testing::{SECRET, Say, Vendor, json, secret, text};

/// Long on the tests' fast clock, so that a busy machine does not end it.
const PATIENCE: Duration = Duration::from_hours(10);

fn vercel(vendor: &Vendor) -> Vercel {
    let config = Config {
        api: vendor.url.clone(),
        token: secret(),
        team: Some("team_1".into()),
        project: "prj_8Kq2Zt".into(),
    };
    Vercel::new(&config, vendor.clock.clone()).unwrap()
}

fn project(kind: &str, to: &str, status: &str, requested: DateTime<Utc>) -> Say {
    json(
        200,
        &object!({"id": "prj_8Kq2Zt", "name": "logos-vision-crm", "autoAssignCustomDomains": false, "surprise": {},
        "lastAliasRequest": {"fromDeploymentId": "dpl_9NewAbc", "toDeploymentId": to, "jobStatus": status,
            "requestedAt": requested.timestamp_millis(), "type": kind},
        "targets": {"production": {"id": "dpl_9NewAbc", "url": "x.vercel.app", "alias": ["app.logosvision.com"], "createdAt": 1_759_501_800_000_u64},
            "preview": null}}),
    )
}

#[tokio::test]
async fn a_rollback_counts_only_by_our_own_job() {
    let vendor = Vendor::start(|seen, n| {
        assert_eq!(seen.param("teamId").as_deref(), Some("team_1"));
        let long_ago = seen.at - chrono::TimeDelta::hours(30);
        match n {
            0 => {
                assert_eq!(
                    (seen.method.as_str(), seen.path.as_str()),
                    ("POST", "/v1/projects/prj_8Kq2Zt/rollback/dpl_8OldXyz")
                );
                assert_eq!(seen.json(), object!({}));
                text(201, "")
            }
            // A rollback to the same deployment, but of the drill.
            1 => project("rollback", "dpl_8OldXyz", "succeeded", long_ago),
            2 => project("promote", "dpl_8OldXyz", "succeeded", seen.at),
            3 => project("rollback", "dpl_other", "succeeded", seen.at),
            4 => json(200, &object!({"id": "prj_8Kq2Zt", "lastAliasRequest": null})),
            5 => project("rollback", "dpl_8OldXyz", "in-progress", seen.at),
            6 => project("rollback", "dpl_8OldXyz", "some-new-word", seen.at),
            _ => project("rollback", "dpl_8OldXyz", "succeeded", seen.at),
        }
    })
    .await;
    let job = vercel(&vendor).roll_back("dpl_8OldXyz", "gonogo run 7", PATIENCE).await.unwrap().value;
    assert_eq!(job.job_status, JobStatus::Succeeded);
    assert_eq!(vendor.seen().len(), 8);
}

#[tokio::test]
async fn a_lost_answer_is_followed_by_looking_not_by_asking_again() {
    let vendor = Vendor::start(|seen, n| match n {
        0 => text(504, "<html>gateway</html>"),
        _ => project("rollback", "dpl_8OldXyz", "succeeded", seen.at),
    })
    .await;
    vercel(&vendor).roll_back("dpl_8OldXyz", "x", PATIENCE).await.unwrap();
    assert_eq!(vendor.seen().iter().filter(|seen| seen.method == "POST").count(), 1);

    let vendor = Vendor::start(|_, n| match n {
        0 => text(504, "<html>gateway</html>"),
        _ => json(200, &object!({"id": "prj_8Kq2Zt"})),
    })
    .await;
    let error = vercel(&vendor).roll_back("dpl_8OldXyz", "x", Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Broken { status: 504, .. }), "{error}");
    assert_eq!(error.effect(), Effect::Unknown);
}

#[tokio::test]
async fn a_failed_job_names_the_domains_that_stayed() {
    let vendor = Vendor::start(|seen, n| match n {
        0 => text(201, ""),
        1 => project("rollback", "dpl_8OldXyz", "failed", seen.at),
        _ => json(200, &object!({"aliases": [{"alias": {"alias": "app.logosvision.com", "deploymentId": "dpl_9NewAbc"}, "id": "1", "status": "failed"}], "pagination": {}})),
    })
    .await;
    let client = vercel(&vendor);
    let error = client.roll_back("dpl_8OldXyz", "x", PATIENCE).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Refused { code: Some(code), .. } if code == "failed"), "{error}");
    let stuck = client.stuck_aliases(JobKind::Rollback).await.unwrap().value;
    assert_eq!(stuck[0].domain, "app.logosvision.com");
}

#[tokio::test]
async fn a_conflict_is_told_and_not_repeated() {
    let vendor = Vendor::script(vec![json(
        409,
        &object!({"error": {"code": "conflict", "message": "an alias job is running", "extra": 1}}),
    )])
    .await;
    let error = vercel(&vendor).promote("dpl_1", PATIENCE).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Conflict(_)), "{error}");
    assert_eq!((error.effect(), vendor.seen().len()), (Effect::Nothing, 1));
}

#[tokio::test]
async fn deployments_are_listed_over_pages_and_candidates_are_older() {
    let deployment = |id: &str, created: u64| {
        object!({"uid": id, "name": "logos-vision-crm", "created": created, "createdAt": created,
        "state": "READY", "readyState": "READY", "target": "production", "aliasAssigned": true, "isRollbackCandidate": true,
        "meta": {"githubCommitSha": "0b1c2d3e"}})
    };
    let vendor = Vendor::start(move |seen, _| {
        if seen.path.starts_with("/v9/projects") {
            return project("promote", "dpl_9NewAbc", "succeeded", seen.at);
        }
        assert_eq!(seen.param("rollbackCandidate").as_deref(), Some("true"));
        match seen.param("until") {
            None => json(200, &object!({"pagination": {"count": 2, "next": 1_759_400_000_000_u64},
                "deployments": [deployment("dpl_newer", 1_759_601_800_000), deployment("dpl_8OldXyz", 1_759_400_000_000)]})),
            Some(until) => {
                assert_eq!(until, "1759400000000");
                json(200, &object!({"pagination": {"count": 1, "next": null}, "deployments": [deployment("dpl_7", 1_759_300_000_000)]}))
            }
        }
    })
    .await;
    let list = vercel(&vendor).rollback_candidates().await.unwrap().value;
    assert_eq!(list.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["dpl_8OldXyz", "dpl_7"]);
    assert_eq!(list[0].commit(), Some("0b1c2d3e"));
}

#[tokio::test]
async fn a_build_is_waited_for_and_its_failure_told() {
    let state = |state: &str| {
        json(
            200,
            &object!({"id": "dpl_1", "readyState": state, "errorMessage": "npm run build exited with 1", "aliasAssigned": null}),
        )
    };
    let vendor =
        Vendor::script(vec![state("QUEUED"), state("BUILDING"), state("INVENTED"), state("READY")]).await;
    let ready = vercel(&vendor).await_ready("dpl_1", PATIENCE).await.unwrap().value;
    assert_eq!(ready.ready_state, ReadyState::Ready);
    let vendor = Vendor::script(vec![state("BUILDING"), state("ERROR")]).await;
    let error = vercel(&vendor).await_ready("dpl_1", PATIENCE).await.unwrap_err();
    assert!(error.to_string().contains("npm run build exited with 1"), "{error}");
}

#[tokio::test]
async fn a_redeployment_is_asked_for_once() {
    let vendor = Vendor::script(vec![Say::Reset]).await;
    let from: Deployment = serde_json::from_value(object!({"uid": "dpl_8", "name": "crm"})).unwrap();
    let error = vercel(&vendor).redeploy(&from).await.unwrap_err();
    assert_eq!((error.effect(), vendor.seen().len()), (Effect::Unknown, 1));
    assert_eq!(vendor.seen()[0].json()["deploymentId"], "dpl_8");
}

#[tokio::test]
async fn throttled_waits_for_the_reset_in_the_body() {
    let vendor = Vendor::start(|seen, n| {
        if n > 0 {
            return project("promote", "x", "succeeded", seen.at);
        }
        json(429, &object!({"error": {"code": "rate_limited", "message": "Too many requests - try again in 42 seconds",
            "limit": {"total": 100, "remaining": 0, "reset": seen.at.timestamp() + 42}}}))
    })
    .await;
    let answer = vercel(&vendor).project().await.unwrap();
    assert_eq!(answer.value.production().unwrap().alias, ["app.logosvision.com"]);
    let seen = vendor.seen();
    assert!(seen[1].at - seen[0].at >= chrono::TimeDelta::seconds(40), "{:?}", seen[1].at - seen[0].at);
}

#[tokio::test]
async fn a_bad_token_is_told_apart_from_a_missing_team() {
    let bad = object!({"error": {"code": "forbidden", "message": format!("Not authorized {SECRET}"), "invalidToken": true}});
    let vendor = Vendor::script(vec![json(403, &bad)]).await;
    let client = vercel(&vendor);
    let error = client.project().await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Unauthenticated(_)), "{error}");
    assert!(!format!("{error} {error:?} {client:?}").contains(SECRET));
    let vendor = Vendor::script(vec![json(
        404,
        &object!({"error": {"code": "not_found", "message": "Project not found"}}),
    )])
    .await;
    assert!(vercel(&vendor).project().await.unwrap_err().to_string().contains("the team is set"));
}
