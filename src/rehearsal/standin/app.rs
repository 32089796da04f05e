//! The application as browsers and probes see it: a single-page app behind a host that serves one build at a time.
//!
//! It guarantees that what it says of itself (version, commit, asset names) is the build that production serves now. Any path
//! that it does not know is answered with its index page, as such applications do; there is no way to control it.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::site::{Site, hex, html};
use crate::rehearsal::faults::Fault;
use crate::rehearsal::state::Deployment;

pub(super) fn router(site: Site) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/version.json", get(version))
        .fallback(page)
        .layer(from_fn_with_state(site.clone(), edge))
        .with_state(site)
}

/// The host's edge: headers on everything, and its own page when the application is down.
async fn edge(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut answer = match site.fault() {
        Some(Fault::AppDown | Fault::Outage { .. }) => {
            html(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable")
        }
        Some(Fault::RateLimit { .. }) => html(StatusCode::TOO_MANY_REQUESTS, "429 Too Many Requests"),
        _ => next.run(request).await,
    };
    let id = format!("iad1::rehearsal-{}", site.now().timestamp_millis());
    let headers = answer.headers_mut();
    headers.insert("x-vercel-cache", HeaderValue::from_static("MISS"));
    headers.insert("server", HeaderValue::from_static("Vercel"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-vercel-id", id);
    }
    if let Some(policy) = policy(&site) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

/// Lets the browser talk to both monitoring services, by the names they have in this rehearsal and by their real ones.
fn policy(site: &Site) -> Option<HeaderValue> {
    let monitors = site.peers.join(" ");
    let text = format!(
        "default-src 'self'; script-src 'self' https://us-assets.i.posthog.com; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; connect-src 'self' {monitors} https://*.ingest.us.sentry.io \
         https://us.i.posthog.com https://us-assets.i.posthog.com https://*.supabase.co"
    );
    HeaderValue::from_str(&text).ok()
}

fn live(site: &Site) -> Option<Deployment> {
    let now = site.now();
    site.world.read(|state| state.vercel.production(now).cloned())
}

async fn health(State(site): State<Site>) -> Response {
    let Some(live) = live(&site) else { return StatusCode::NOT_FOUND.into_response() };
    let body = json!({"status": "ok", "version": live.version, "commit": &live.commit[..8], "checks": {"database": "ok"},
        "uptime_s": (site.now() - live.ended).num_seconds()});
    no_store(axum::Json(body).into_response())
}

async fn version(State(site): State<Site>) -> Response {
    let Some(live) = live(&site) else { return StatusCode::NOT_FOUND.into_response() };
    no_store(
        axum::Json(json!({"version": live.version, "commit": live.commit, "deployment": live.id}))
            .into_response(),
    )
}

fn no_store(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The name of the build's script: another content, another hash.
fn asset(live: &Deployment) -> String {
    let hash = Sha256::digest(live.commit.as_bytes());
    format!("/assets/index-{}.js", hex(&hash[..4]))
}

async fn page(State(site): State<Site>, request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return html(StatusCode::METHOD_NOT_ALLOWED, "405 Method Not Allowed");
    }
    let Some(live) = live(&site) else { return html(StatusCode::NOT_FOUND, "404 Not Found") };
    let asset = asset(&live);
    if request.uri().path() == asset {
        let script = format!(
            "export const version=\"{}\";console.log(\"Logos Vision CRM \"+version);\n",
            live.version
        );
        return ([(header::CONTENT_TYPE, "text/javascript")], script).into_response();
    }
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Logos Vision CRM</title>\
         <meta name=\"version\" content=\"{}\"><script type=\"module\" src=\"{asset}\"></script></head>\n\
         <body><div id=\"root\"></div></body>\n</html>\n",
        live.version
    ))
    .into_response()
}
