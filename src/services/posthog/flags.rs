//! Flags as the editor sees them: found by key, switched, and given to a share of users.
//!
//! Guarantees that whole filters are sent and the answer compared, that somebody else's change is not overwritten unseen, and that
//! switching off waits for no lock. What the client sees is in `evaluate`.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{PostHog, lenient};
use crate::services::error::{Effect, Fault};
use crate::services::request::{Reply, Request, segment};
use crate::services::{Answer, Outcome, ServiceError};

/// Pages of a hundred that a search is followed for.
const MAX_PAGES: usize = 50;

/// The state of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Evaluated as its filters say.
    On,
    /// Off for everybody.
    Off,
}

/// One of the conditions, any of which lets a user in.
#[derive(Debug, Clone, PartialEq)]
pub struct FlagGroup {
    /// What the editor called it.
    pub description: Option<String>,
    /// The share of matching users, in percent; none means all.
    pub share: Option<f64>,
    /// How many properties a user must match.
    pub conditions: usize,
    /// Properties of somebody whom the conditions let in, where they can be made up.
    pub somebody: Option<Map<String, Value>>,
}

/// A flag as read, with all that is needed to write it back.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// Its number.
    pub id: String,
    /// Its key.
    pub key: String,
    /// On or off.
    pub switch: Switch,
    /// Its version; none on servers that keep none.
    pub version: Option<u64>,
    /// The conditions in order.
    pub groups: Vec<FlagGroup>,
    raw: Value,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    next: Option<String>,
    results: Vec<Value>,
}

impl Flag {
    fn read(raw: Value) -> Option<Self> {
        let groups = raw.get("filters").and_then(|filters| filters.get("groups")).and_then(Value::as_array);
        let groups = groups.into_iter().flatten().map(|group| FlagGroup {
            description: group.get("description").and_then(Value::as_str).map(str::to_owned),
            share: group.get("rollout_percentage").and_then(lenient::number),
            conditions: group.get("properties").and_then(Value::as_array).map_or(0, Vec::len),
            somebody: somebody(
                group.get("properties").and_then(Value::as_array).map_or(&[][..], Vec::as_slice),
            ),
        });
        Some(Self {
            id: raw.get("id").and_then(lenient::text)?,
            key: raw.get("key")?.as_str()?.to_owned(),
            switch: if raw.get("active")?.as_bool()? { Switch::On } else { Switch::Off },
            version: raw.get("version").and_then(lenient::count),
            groups: groups.collect(),
            raw,
        })
    }

    /// A flag as a test has it.
    #[cfg(test)]
    pub(super) fn read_for_tests(raw: Value) -> Self {
        Self::read(raw).expect("a whole flag")
    }

    fn has_shares(&self, shares: &HashMap<usize, f64>) -> bool {
        shares.iter().all(|(&at, &share)| {
            self.groups.get(at).and_then(|group| group.share).is_some_and(|now| (now - share).abs() < 1e-9)
        })
    }
}

/// Makes up a person who meets conditions of the kinds `exact` and `icontains`; none where there are others.
fn somebody(conditions: &[Value]) -> Option<Map<String, Value>> {
    conditions
        .iter()
        .map(|condition| {
            let text = |key: &str| condition.get(key).and_then(Value::as_str);
            if !matches!(text("type"), None | Some("person")) {
                return None;
            }
            let value = condition.get("value")?;
            let value = value.as_array().map_or(Some(value), |list| list.first())?.as_str()?;
            let value = match text("operator").unwrap_or("exact") {
                "icontains" if value.starts_with('@') => format!("gonogo-probe{value}"),
                "exact" | "icontains" => value.to_owned(),
                _ => return None,
            };
            Some((text("key")?.to_owned(), Value::from(value)))
        })
        .collect()
}

impl PostHog {
    /// The flag with exactly this key.
    pub async fn find_flag(&self, key: &str) -> Outcome<Flag> {
        let asked = format!("find the flag {key}");
        let first = vec![("search".to_owned(), key.to_owned()), ("limit".to_owned(), "100".to_owned())];
        let mut query = Some(first);
        let mut last = None;
        for _ in 0..MAX_PAGES {
            let Some(pairs) = query.take() else { break };
            let mut request =
                Request::get(self.path("feature_flags/"), asked.clone()).needs("feature_flag:read");
            for (name, value) in &pairs {
                request = request.query(name, value);
            }
            let reply = self.api.send(request).await?;
            let page: Answer<Page> = self.api.read(&reply)?;
            let found =
                page.value.results.into_iter().filter(|flag| flag.get("deleted") != Some(&json!(true)));
            if let Some(flag) = found.filter_map(Flag::read).find(|flag| flag.key == key) {
                return Ok(Answer { value: flag, receipt: page.receipt });
            }
            // Behind a proxy the host in `next` may be wrong: only its query is followed.
            query = page.value.next.and_then(|next| {
                let url = url::Url::parse(&next).ok()?;
                Some(url.query_pairs().into_owned().collect())
            });
            last = Some(reply);
        }
        let missing =
            Fault::NotFound(format!("there is no flag with the key {key} in project {}", self.project));
        let error = match &last {
            Some(reply) => self.api.fail(reply, missing),
            None => ServiceError::new(
                "PostHog",
                asked,
                missing,
                Effect::Nothing,
                crate::services::Receipt::default(),
            ),
        };
        Err(error.advise("check the key, letter by letter: - and _ differ"))
    }

    /// A flag by its number.
    pub async fn flag(&self, id: &str) -> Outcome<Flag> {
        let request = Request::get(self.flag_path(id), "read the flag").needs("feature_flag:read");
        let reply = self.api.send(request).await?;
        self.flag_of(&reply)
    }

    /// Switches a flag, whatever version it has: in an emergency the last word wins.
    pub async fn switch(&self, id: &str, to: Switch) -> Outcome<Flag> {
        let word = if to == Switch::On { "on" } else { "off" };
        let request =
            Request::patch(self.flag_path(id), format!("switch the flag {word}")).needs("feature_flag:write");
        let reply = self.api.send(request.json(&json!({"active": to == Switch::On}))).await?;
        let flag = self.flag_of(&reply)?;
        if flag.value.switch == to {
            return Ok(flag);
        }
        Err(self.api.fail(
            &reply,
            Fault::NotProven(format!("PostHog accepted the change, but the flag is not {word}")),
        ))
    }

    /// Gives shares (in percent) to the flag's groups, by their place. `flag` must be as last read; if somebody changed it
    /// since, nothing is done and the answer is a conflict.
    pub async fn set_shares(&self, flag: &Flag, shares: &HashMap<usize, f64>) -> Outcome<Flag> {
        let setup = |problem: String| ServiceError::setup("PostHog", "set the flag's share", problem);
        if let Some((at, share)) = shares.iter().find(|(_, share)| !(0.0..=100.0).contains(*share)) {
            return Err(setup(format!("a share lies between 0 and 100, not {share} (group {at})")));
        }
        let mut filters = flag.raw.get("filters").cloned().unwrap_or_default();
        for (&at, &share) in shares {
            let group = filters
                .get_mut("groups")
                .and_then(|groups| groups.get_mut(at))
                .and_then(Value::as_object_mut);
            let Some(group) = group else {
                return Err(setup(format!(
                    "the flag {} has {} groups, and none at {at}",
                    flag.key,
                    flag.groups.len()
                ))
                .advise("open the flag in PostHog and add the condition first"));
            };
            let number = lenient::count(&json!(share)).filter(|whole| (*whole as f64 - share).abs() < 1e-9);
            group.insert("rollout_percentage".to_owned(), number.map_or(json!(share), |whole| json!(whole)));
        }
        let mut body = json!({"filters": filters, "original_flag": flag.raw});
        if let Some(version) = flag.version {
            body["version"] = json!(version);
        }
        // Sent once: repeating it after a lost answer would meet its own new version as a conflict.
        let request =
            Request::patch(self.flag_path(&flag.id), "set the flag's share").needs("feature_flag:write");
        let reply = match self.api.send(request.only_once().json(&body)).await {
            Ok(reply) => reply,
            Err(error) if error.effect() == Effect::Unknown => {
                return match self.flag(&flag.id).await {
                    Ok(now) if now.value.has_shares(shares) => Ok(now),
                    _ => Err(error),
                };
            }
            Err(error) => return Err(error),
        };
        let changed = self.flag_of(&reply)?;
        if changed.value.has_shares(shares) && changed.value.groups.len() == flag.groups.len() {
            return Ok(changed);
        }
        let problem = "PostHog accepted the change, but the flag's groups are not what was sent";
        Err(self
            .api
            .fail(&reply, Fault::NotProven(problem.to_owned()))
            .advise("open the flag in PostHog and compare"))
    }

    fn flag_of(&self, reply: &Reply) -> Outcome<Flag> {
        let raw: Answer<Value> = self.api.read(reply)?;
        match Flag::read(raw.value) {
            Some(value) => Ok(Answer { value, receipt: raw.receipt }),
            None => Err(self.api.unreadable(reply, "the flag lacks id, key or active")),
        }
    }

    fn flag_path(&self, id: &str) -> String {
        self.path(&format!("feature_flags/{}/", segment(id)))
    }
}
