//! The statements that a cockpit asks, over a small table whose answers are known.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::hogql::{Datum, Refused, Table, parse, run};

/// event, seconds ago, person, session, load time.
struct Small(Vec<(&'static str, i64, &'static str, &'static str, Option<f64>)>);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

impl Table for Small {
    fn column(&self, row: usize, name: &str) -> Option<Datum> {
        let (event, ago, person, session, load) = self.0.get(row)?;
        let text = |text: &str| Datum::Text(text.to_owned());
        Some(match name {
            "event" => text(event),
            "timestamp" => Datum::Time(now() - TimeDelta::seconds(*ago)),
            "person_id" | "distinct_id" => text(person),
            "properties.$session_id" => text(session),
            "properties.load_time_ms" => load.map_or(Datum::Null, Datum::Number),
            "properties.$feature/contacts_redesign" => Datum::Bool(*person == "a"),
            _ => Datum::from_json(name.strip_prefix("properties.").map(|_| &Value::Null)?),
        })
    }

    fn weight(&self) -> f64 {
        1.0
    }

    fn rows(&self) -> usize {
        self.0.len()
    }
}

fn table() -> Small {
    Small(vec![
        ("$pageview", 10, "a", "s1", None),
        ("$pageview", 70, "b", "s2", None),
        ("$pageview", 80, "b", "s3", None),
        ("$exception", 15, "a", "s1", None),
        ("page_performance", 20, "a", "s1", Some(100.0)),
        ("page_performance", 30, "b", "s2", Some(300.0)),
        ("$pageview", 9_000, "c", "s9", None),
    ])
}

fn ask(statement: &str) -> Result<Vec<Vec<Value>>, Refused> {
    let values = json!({"event": "$pageview", "names": ["$pageview", "$exception"]});
    let select = parse(statement, &values)?;
    assert!(select.since(now())? <= now());
    Ok(run(&select, &table(), now())?.rows)
}

fn rows(statement: &str) -> Value {
    json!(ask(statement).unwrap_or_else(|why| panic!("{why:?}")))
}

#[test]
fn the_statements_of_the_deployment_are_answered() {
    let hour = "timestamp >= now() - INTERVAL 60 MINUTE";
    assert_eq!(
        rows(&format!(
            "SELECT count() AS n, uniq(distinct_id) AS users FROM events WHERE event = {{event}} AND {hour}"
        )),
        json!([[3, 2]])
    );
    assert_eq!(
        rows(&format!(
            "SELECT toStartOfMinute(timestamp) AS minute, count() AS views, uniq(person_id) AS people FROM events \
             WHERE event = '$pageview' AND {hour} GROUP BY minute ORDER BY minute -- the newest last"
        )),
        json!([["2026-09-21T14:12:00Z", 2, 1], ["2026-09-21T14:13:00Z", 1, 1]])
    );
    assert_eq!(
        rows(&format!(
            "SELECT uniqIf(properties.$session_id, event = '$exception') AS bad, uniq(properties.$session_id) AS all_sessions, \
             bad / nullIf(all_sessions, 0) AS rate, uniqIf(person_id, event = '$exception') AS affected_users \
             FROM events WHERE event IN {{names}} AND {hour}"
        )),
        json!([[1, 3, 1.0 / 3.0, 1]])
    );
    assert_eq!(
        rows(&format!(
            "SELECT quantile(0.95)(toFloat(properties.load_time_ms)) AS p95, count() AS n FROM events \
             WHERE event = 'page_performance' AND properties.load_time_ms IS NOT NULL AND {hour}"
        )),
        json!([[290, 2]])
    );
    assert_eq!(
        rows(&format!(
            "SELECT toString(properties.`$feature/contacts_redesign`) AS variant, uniq(person_id) AS people, \
             countIf(event = '$pageview') / people AS views_per_user, quantileIf(0.5)(toFloat(properties.load_time_ms), \
             event = 'page_performance') AS load, max(timestamp) AS last FROM events WHERE {hour} \
             AND properties.`$feature/contacts_redesign` IS NOT NULL GROUP BY variant ORDER BY variant DESC LIMIT 1"
        )),
        json!([["true", 1, 1, 100, "2026-09-21T14:13:10Z"]])
    );
}

#[test]
fn nothing_counted_is_zero_and_a_quantile_over_nothing_is_null() {
    assert_eq!(
        rows(
            "SELECT count() AS n, countIf(event = 'x'), quantile(0.95)(toFloat(properties.load_time_ms)) AS p, 1 / n AS r, \
             max(timestamp) FROM events WHERE event = 'none' AND timestamp >= now() - toIntervalMinute(5)"
        ),
        json!([[0, 0, null, null, "1970-01-01T00:00:00Z"]])
    );
}

#[test]
fn conditions_combine_as_in_sql() {
    let count = |condition: &str| {
        rows(&format!(
            "SELECT count() FROM events WHERE timestamp > now() - INTERVAL 1 HOUR AND ({condition})"
        ))[0][0]
            .clone()
    };
    assert_eq!(count("event = '$pageview' OR event = '$exception' AND person_id = 'b'"), 3);
    assert_eq!(count("NOT event = '$pageview'"), 3);
    assert_eq!(count("event NOT IN ('$pageview', '$exception')"), 2);
    assert_eq!(count("event LIKE '$%'"), 4);
    assert_eq!(count("properties.load_time_ms BETWEEN 50 AND 150"), 1);
    assert_eq!(count("properties.nothing = 'x'"), 0);
    assert_eq!(count("properties.`$feature/contacts_redesign` = true"), 3);
    assert_eq!(count("timestamp < '2026-09-21 14:12:00'"), 0);
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    let why = |statement: &str| match ask(statement) {
        Err(Refused::Invalid(why)) => why,
        other => panic!("{other:?}"),
    };
    let bound = "WHERE timestamp >= now() - INTERVAL 1 HOUR";
    assert!(why(&format!("SELECT proprties.x FROM events {bound}")).contains("proprties.x"));
    assert!(why(&format!("SELECT topK(3)(event) FROM events {bound}")).contains("topK"));
    assert!(why("SELECT count() FROM session").contains("session"));
    assert!(why(&format!("SELECT count( FROM events {bound}")).contains("line 1, column 15"));
    assert!(why(&format!("SELECT count()\nFROM events {bound} AND event = {{nobody}}")).contains("nobody"));
    assert!(why(&format!("SELECT count() FROM events {bound} AND event = 'open")).contains("quote"));
    assert!(why(&format!("SELECT a AS b, b AS a FROM events {bound}")).contains("Cyclic"));
    assert_eq!(ask("SELECT count() FROM events WHERE event = 'x'"), Err(Refused::Unbounded));
}
