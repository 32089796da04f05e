//! The traps of the wire: hanging, broken, throttled, redirected, oversized, and secrets thrown back.

use chrono::TimeDelta;
use serde_json::{Value, json as object};

use super::super::dialect::usual_words;
use super::super::error::Effect;
use super::super::limits::LimitHeaders;
use super::super::retry::Backoff;
use super::super::testing::{SECRET, Say, Vendor, json, secret, text};
use super::*;

static PLAIN: Dialect = Dialect {
    service: "Plain",
    throttled: &[420],
    transient: &[507],
    limits: LimitHeaders::Standard,
    ids: &["x-request-id"],
    words: usual_words,
};

fn http(vendor: &Vendor, options: Options) -> Http {
    Http::new(&PLAIN, vendor.url.clone(), &Auth::bearer(&secret()), vendor.clock.clone(), options).unwrap()
}

fn hasty() -> Options {
    Options { timeout: Duration::from_millis(150), ..Options::default() }
}

async fn get(http: &Http) -> Outcome<Value> {
    http.json(Request::get("thing", "read the thing")).await
}

async fn post(http: &Http) -> Outcome<Value> {
    http.json(Request::post("thing", "make the thing").json(&object!({"a": 1}))).await
}

fn shows_no_secret(shown: &str) {
    assert!(!shown.contains(SECRET), "{shown}");
}

#[tokio::test]
async fn an_answer_comes_with_its_receipt() {
    let vendor = Vendor::script(vec![json(200, &object!({"n": 1})).with("x-request-id", "req-7")]).await;
    let answer = get(&http(&vendor, Options::default())).await.unwrap();
    assert_eq!(answer.value, object!({"n": 1}));
    assert_eq!(answer.receipt.request_id.as_deref(), Some("req-7"));
    assert_eq!((answer.receipt.status, answer.receipt.attempts), (Some(200), 1));
    assert_eq!(vendor.seen()[0].header("authorization"), format!("Bearer {SECRET}"));
}

#[tokio::test]
async fn a_gateways_html_is_retried_for_reads_and_not_for_writes() {
    let page = || text(502, "<html><body><h1>502 Bad Gateway</h1></body></html>");
    let vendor = Vendor::script(vec![page(), page(), json(200, &object!({}))]).await;
    assert_eq!(get(&http(&vendor, Options::default())).await.unwrap().receipt.attempts, 3);

    let vendor = Vendor::script(vec![page()]).await;
    let error = post(&http(&vendor, Options::default())).await.unwrap_err();
    assert_eq!(vendor.seen().len(), 1);
    assert_eq!(error.effect(), Effect::Unknown);
    assert!(
        matches!(error.fault(), Fault::Broken { status: 502, detail, .. } if detail.contains("Bad Gateway"))
    );
}

#[tokio::test]
async fn a_write_that_hangs_may_have_taken_effect() {
    let vendor = Vendor::script(vec![Say::Hang]).await;
    let error = post(&http(&vendor, hasty())).await.unwrap_err();
    assert_eq!(error.fault(), &Fault::TimedOut(Duration::from_millis(150)));
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(vendor.seen().len(), 1, "never sent twice");
    assert!(error.to_string().contains("look at the state there before asking again"), "{error}");
}

#[tokio::test]
async fn a_read_that_hangs_or_breaks_off_is_read_again() {
    let vendor = Vendor::script(vec![Say::Hang, Say::Reset, json(200, &object!({"n": 2}))]).await;
    let answer = get(&http(&vendor, hasty())).await.unwrap();
    assert_eq!((answer.value, answer.receipt.attempts), (object!({"n": 2}), 3));
}

#[tokio::test]
async fn a_write_whose_answer_breaks_off_is_unknown() {
    let vendor = Vendor::script(vec![Say::Reset]).await;
    let error = post(&http(&vendor, Options::default())).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Cut(_)), "{error}");
    assert_eq!((error.effect(), vendor.seen().len()), (Effect::Unknown, 1));
}

#[tokio::test]
async fn nobody_listening_means_nothing_was_changed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let clock = Clock::paced(Utc::now(), 2000.0);
    let http = Http::new(&PLAIN, base, &Auth::bearer(&secret()), clock, Options::default()).unwrap();
    let error = post(&http).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Unreachable(_)), "{error}");
    assert_eq!(
        (error.effect(), error.receipt().attempts),
        (Effect::Nothing, 4),
        "tried again: surely nothing was sent"
    );
    assert!(error.is_transient());
}

#[tokio::test]
async fn throttled_waits_as_long_as_the_server_names() {
    for names in [|_: i64| ("retry-after", 20), |now: i64| ("x-ratelimit-reset", now + 21)] {
        let vendor = Vendor::start(move |seen, before| {
            if before > 0 {
                return json(200, &object!({}));
            }
            let (name, value) = names(seen.at.timestamp());
            json(429, &object!({"message": "slow down"}))
                .with("x-ratelimit-limit", 60)
                .with("x-ratelimit-remaining", 0)
                .with(name, value)
        })
        .await;
        post(&http(&vendor, Options::default())).await.unwrap();
        let seen = vendor.seen();
        let waited = seen[1].at - seen[0].at;
        assert!(waited >= TimeDelta::seconds(20), "{:?}: {waited:?}", names(0));
    }
}

#[tokio::test]
async fn a_wait_too_long_is_handed_to_the_caller() {
    let vendor = Vendor::script(vec![text(429, "later").with("retry-after", 3600)]).await;
    let error = get(&http(&vendor, Options::default())).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    assert_eq!(vendor.seen().len(), 1);
}

#[tokio::test]
async fn an_empty_budget_is_obeyed_and_shown() {
    let reset = "2026-10-03T14:31:00Z".parse::<DateTime<Utc>>().unwrap();
    let spent = json(200, &object!({}))
        .with("x-ratelimit-limit", 60)
        .with("x-ratelimit-remaining", 0)
        .with("x-ratelimit-reset", reset.timestamp());
    let vendor = Vendor::script(vec![spent, json(200, &object!({}))]).await;
    let http = http(&vendor, Options { budget: Budget::Obey(TimeDelta::minutes(1)), ..Options::default() });
    get(&http).await.unwrap();
    // The vendor's `Date` is of another year, and says nothing of this window.
    let spent = RateBudget { limit: 60, remaining: 0, reset: Some(reset), sure: None };
    assert_eq!(*http.budget().borrow(), Some(spent));
    get(&http).await.unwrap();
    assert!(vendor.seen()[1].at >= reset + TimeDelta::seconds(1), "the second that it names is over");
}

/// A vendor that counts in windows of a minute, opened by the first request, by a clock of its own; and what it saw: the
/// beginning of each window and how many it took, and how many it refused.
struct Counting {
    most: u64,
    skew: TimeDelta,
    tells: bool,
    seen: std::sync::Mutex<Windows>,
}

/// Each window with its beginning and how many it took; and how many were refused in all.
#[derive(Clone, Default)]
struct Windows {
    taken: Vec<(DateTime<Utc>, u64)>,
    refused: u64,
}

impl Counting {
    fn answer(&self, ours: DateTime<Utc>) -> Say {
        let now = ours + self.skew;
        let mut seen = self.seen.lock().unwrap();
        let Windows { taken: windows, refused } = &mut *seen;
        if windows.last().is_none_or(|(start, _)| now >= *start + TimeDelta::minutes(1)) {
            windows.push((now, 0));
        }
        let (start, taken) = windows.last_mut().unwrap();
        let allowed = *taken < self.most;
        *taken += u64::from(allowed);
        *refused += u64::from(!allowed);
        let said = json(if allowed { 200 } else { 429 }, &object!({}))
            .with("x-ratelimit-limit", self.most)
            .with("x-ratelimit-remaining", self.most - *taken)
            .with("x-ratelimit-reset", (*start + TimeDelta::minutes(1)).timestamp());
        if self.tells { said.with("date", now.format("%a, %d %b %Y %H:%M:%S GMT")) } else { said }
    }
}

#[tokio::test]
async fn every_window_is_used_whole_and_none_is_overdrawn_whatever_the_clocks_show() {
    let run = async |skew: i64, tells: bool| {
        // A thirtieth of a second before the second's end, so that rounding down costs nearly all of it.
        let clock = Clock::paced("2026-10-03T14:30:00.965Z".parse().unwrap(), 60.0);
        let counting = Arc::new(Counting {
            most: 20,
            skew: TimeDelta::milliseconds(skew),
            tells,
            seen: std::sync::Mutex::default(),
        });
        let (counts, time) = (Arc::clone(&counting), clock.clone());
        let vendor = Vendor::start(move |_, _| counts.answer(time.now())).await;
        let options = Options { budget: Budget::Obey(TimeDelta::minutes(1)), ..Options::default() };
        let http = Http::new(&PLAIN, vendor.url.clone(), &Auth::bearer(&secret()), clock, options).unwrap();
        for _ in 0..81 {
            get(&http).await.unwrap();
        }
        let Windows { taken: windows, refused } = counting.seen.lock().unwrap().clone();
        let taken: Vec<u64> = windows.iter().map(|(_, taken)| *taken).collect();
        assert_eq!((refused, taken), (0, vec![20, 20, 20, 20, 1]), "skew {skew} ms, Date: {tells}");
        // The best of four: a busy machine may be late, and never early.
        let minutes = windows.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(minutes.min() < Some(TimeDelta::milliseconds(61_200)), "{windows:?}");
    };
    // Ours ahead, ours behind, and a vendor that does not say what time it is.
    tokio::join!(run(-7_400, true), run(90_300, true), run(-7_400, false), run(0, false));
}

#[tokio::test]
async fn a_request_without_an_answer_counts_as_one_of_the_window() {
    let left = json(200, &object!({}))
        .with("x-ratelimit-limit", 60)
        .with("x-ratelimit-remaining", 1)
        .with("x-ratelimit-reset", 1_791_037_800);
    let vendor = Vendor::script(vec![left, Say::Reset]).await;
    let options = Options { backoff: Backoff::once(), ..Options::default() };
    let http = http(&vendor, options);
    get(&http).await.unwrap();
    get(&http).await.unwrap_err();
    assert_eq!(http.budget().borrow().map(|budget| budget.remaining), Some(0));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let vendor = Vendor::script(vec![text(302, "").with("location", "https://elsewhere.example/")]).await;
    let error = get(&http(&vendor, Options::default())).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Moved(to) if to.contains("elsewhere.example")), "{error}");
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_dropped() {
    let vendor = Vendor::script(vec![text(200, &"x".repeat(5000))]).await;
    let error = get(&http(&vendor, Options { largest: 1000, ..Options::default() })).await.unwrap_err();
    assert_eq!(error.fault(), &Fault::TooLarge(1000));
}

#[tokio::test]
async fn a_good_status_over_nonsense_is_unreadable_and_was_accepted() {
    let vendor = Vendor::script(vec![text(200, "<!doctype html><title>Sign in</title>")]).await;
    let error = post(&http(&vendor, Options::default())).await.unwrap_err();
    assert!(
        matches!(error.fault(), Fault::Unreadable { status: 200, detail } if detail.contains("Sign in")),
        "{error}"
    );
    assert_eq!(error.effect(), Effect::Accepted);
}

#[tokio::test]
async fn no_text_ever_shows_the_token() {
    let echo = format!("{{\"detail\": \"bad token {SECRET}\", \"code\": \"{SECRET}\"}}");
    for status in [200, 302, 400, 401, 402, 403, 404, 409, 418, 429, 500, 507] {
        let body = if status == 200 { format!("not json {SECRET}") } else { echo.clone() };
        let said = text(status, &body).with("x-request-id", SECRET).with("location", format!("/{SECRET}"));
        let vendor = Vendor::script(vec![said]).await;
        let http = http(&vendor, Options { backoff: Backoff::once(), ..Options::default() });
        let asked = Request::get(format!("hooks/{SECRET}"), "read the thing").query("api_key", SECRET);
        let error = http.json::<Value>(asked).await.unwrap_err();
        shows_no_secret(&format!("{error} {error:?} {:?} {http:?} {:?}", error.receipt(), http.redactor()));
        shows_no_secret(&serde_json::to_string(error.receipt()).unwrap());
    }
}

#[tokio::test]
async fn a_client_of_a_tls_host_is_made_and_may_be_used_from_any_task() {
    // Nobody speaks TLS there: what matters is that the attempt gets as far as the handshake.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let server = std::thread::spawn(move || {
        use std::io::Read;
        let mut hello = [0];
        listener.accept().unwrap().0.read_exact(&mut hello).unwrap();
        hello[0]
    });
    let options = Options { backoff: Backoff::once(), ..Options::default() };
    let http = Http::new(&PLAIN, base, &Auth::bearer(&secret()), Clock::wall(), options).unwrap();
    let error = tokio::spawn(async move { get(&http).await }).await.unwrap().unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(server.join().unwrap(), 0x16, "the first byte of a TLS handshake");
}

#[test]
fn a_base_url_with_a_password_is_refused_without_showing_it() {
    let base = Url::parse(&format!("https://me:{SECRET}@example.com/")).unwrap();
    let error = Http::new(&PLAIN, base, &Auth::None, Clock::wall(), Options::default()).unwrap_err();
    assert!(matches!(error.fault(), Fault::Setup(_)));
    shows_no_secret(&format!("{error} {error:?}"));
}
