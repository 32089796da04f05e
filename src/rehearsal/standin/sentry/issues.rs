//! Issues: errors grouped, among a backlog of old ones as every grown project has it.
//!
//! It guarantees that the issue of a release is there only when that release's people ran into it, and that the list takes
//! more than one page.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ask::{Ask, Params};
use super::rows::{CHECK_ISSUE, Dataset, Issue, NEW_ISSUE, OLD_ISSUE, Row, rows};
use super::search::Search;
use super::{PROJECT, PROJECT_ID, page, refusal};
use crate::rehearsal::standin::site::{Site, stamp};

/// Issues that nobody ever resolved.
const BACKLOG: u32 = 130;

struct Seen {
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    count: u64,
    users: usize,
}

fn json(issue: &Issue, first_release: &str, seen: &Seen) -> Value {
    let (kind, value) = issue.title.split_once(": ").unwrap_or((issue.title, ""));
    let recent = seen.first > seen.last - TimeDelta::days(1);
    let count = seen.count.to_string();
    json!({"id": issue.id, "shortId": issue.short, "title": issue.title, "culprit": issue.culprit,
        "permalink": format!("https://logos.sentry.io/issues/{}/", issue.id),
        "level": if issue.id == CHECK_ISSUE.id { "info" } else { "error" }, "status": "unresolved",
        "substatus": if recent { "new" } else { "ongoing" }, "statusDetails": {}, "platform": "javascript", "priority": "high",
        "project": {"id": PROJECT_ID.to_string(), "name": PROJECT, "slug": PROJECT, "platform": "javascript-react"},
        "type": "error", "issueType": "error", "issueCategory": "error", "isUnhandled": true,
        "metadata": {"type": kind, "value": value, "filename": "ContactCard.tsx", "function": "ContactCard"},
        "count": count, "userCount": seen.users, "firstSeen": stamp(seen.first), "lastSeen": stamp(seen.last), "filtered": null,
        "lifetime": {"count": count, "userCount": seen.users, "firstSeen": stamp(seen.first), "lastSeen": stamp(seen.last)},
        "firstRelease": {"version": first_release}, "assignedTo": null, "annotations": [], "hasSeen": false,
        "isBookmarked": false, "isSubscribed": false, "seerFixabilityScore": 0.4})
}

fn seen(rows: &[Row], issue: &'static Issue) -> Option<(Seen, String)> {
    let of: Vec<&Row> = rows.iter().filter(|row| row.issue == Some(issue)).collect();
    let first = of.iter().min_by_key(|row| row.at)?;
    let users: std::collections::BTreeSet<_> = of.iter().map(|row| row.column("user").to_string()).collect();
    let last = of.iter().map(|row| row.at).max().unwrap_or(first.at);
    let count = of.iter().map(|row| u64::from(row.weight)).sum();
    let release = first.column("release").as_str().unwrap_or_default().to_owned();
    Some((Seen { first: first.at, last, count, users: users.len() }, release))
}

fn backlog(number: u32, now: DateTime<Utc>) -> Value {
    let days = i64::from(number % 60) + 20;
    let seen = Seen {
        first: now - TimeDelta::days(days * 4),
        last: now - TimeDelta::days(days),
        count: u64::from(number) + 1,
        users: 1,
    };
    let mut one = json(&OLD_ISSUE, "logos-vision-crm@1.8.0", &seen);
    one["id"] = (6_300_000_000_u64 + u64::from(number)).to_string().into();
    one["shortId"] = format!("CRM-WEB-{}", number + 8).into();
    one["title"] = format!("Error: an old trouble, number {number}").into();
    one
}

pub(super) async fn list(State(site): State<Site>, params: Params) -> Response {
    let ask = match Ask::read(params, site.now()) {
        Ok(ask) => ask,
        Err(refused) => return refused,
    };
    let search = match Search::parse(ask.one("query").unwrap_or("is:unresolved")) {
        Ok(search) => search,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &format!("Error parsing search query: {why}")),
    };
    let now = ask.now;
    // The new issue is as old as the fault that makes it; going back further would only thin the sample.
    let found = site.world.read(|state| {
        let spikes =
            state.faults.iter().filter(|span| span.fault.kind() == "error-spike").map(|span| span.from);
        let from = spikes.min().unwrap_or(now).min(now - TimeDelta::hours(6));
        rows(state, Dataset::Errors, from, now, now)
    });
    let old = |seen: Seen| Seen {
        first: now - TimeDelta::days(300),
        count: seen.count + 412,
        users: seen.users + 97,
        ..seen
    };
    let new = seen(&found, &NEW_ISSUE).map(|(seen, release)| json(&NEW_ISSUE, &release, &seen));
    let check = seen(&found, &CHECK_ISSUE).map(|(seen, release)| json(&CHECK_ISSUE, &release, &seen));
    let ever =
        seen(&found, &OLD_ISSUE).map(|(seen, _)| json(&OLD_ISSUE, "logos-vision-crm@1.8.0", &old(seen)));
    let mut list: Vec<Value> = new
        .into_iter()
        .chain(check)
        .chain(ever)
        .chain((0..BACKLOG).map(|number| backlog(number, now)))
        .collect();
    list.retain(|one| {
        one["lastSeen"].as_str().and_then(super::ask::moment).is_some_and(|last| last >= ask.from)
            || ask.one("statsPeriod").is_none()
    });
    list.retain(|one| {
        search.matches(|column| match column {
            // Each of these lists holds what is neither resolved nor ignored; the rest of `is:` is the substatus.
            "is" => match search.value(&["is"]) {
                Some("unresolved") => "unresolved".into(),
                _ => one["substatus"].clone(),
            },
            "first-release" | "firstRelease" | "release" => one["firstRelease"]["version"].clone(),
            "timesSeen" => one["count"].clone(),
            "gonogo.check" => {
                if one["id"] == CHECK_ISSUE.id {
                    "yes".into()
                } else {
                    Value::Null
                }
            }
            other => one[other].clone(),
        })
    });
    match ask.one("sort").unwrap_or("date") {
        "new" => list.sort_by_key(|one| std::cmp::Reverse(one["firstSeen"].to_string())),
        "freq" => list.sort_by_key(|one| {
            std::cmp::Reverse(one["count"].as_str().and_then(|count| count.parse::<u64>().ok()))
        }),
        "user" => list.sort_by_key(|one| std::cmp::Reverse(one["userCount"].as_u64())),
        _ => list.sort_by_key(|one| std::cmp::Reverse(one["lastSeen"].to_string())),
    }
    let hits = HeaderValue::from(list.len());
    let mut answer =
        page(&site, "/api/0/organizations/logos/issues/", &list, ask.one("cursor"), ask.limit("limit"));
    answer.headers_mut().insert("x-hits", hits);
    answer.headers_mut().insert("x-max-hits", HeaderValue::from(1_000));
    answer
}
