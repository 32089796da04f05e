//! Pages and the version that is live.
//!
//! Guarantees that a page counts as loaded only with its status and as a page, and that the version is read from where it cannot
//! be a guess: a marker file, a meta element, or the names of the built assets.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::csp::Csp;
use super::{Probe, cached, is_page};
use crate::services::error::{Effect, Fault};
use crate::services::request::Reply;
use crate::services::{Answer, Outcome, ServiceError, lenient};

/// A page as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// How long it took, in wall time.
    pub latency: Duration,
    /// The text between `<title>` and its end.
    pub title: Option<String>,
    /// How large it is.
    pub bytes: usize,
    /// Its content-security policies, from header and meta elements.
    pub csp: Csp,
    /// The scripts and styles it names, whose names change with every build.
    pub assets: Vec<String>,
    /// The cache that answered, if one says so.
    pub cached: Option<String>,
    /// Where it came from.
    pub url: Url,
}

impl Page {
    /// The hosts among `targets` that the page's policy keeps its scripts from reaching.
    pub fn forbidden<'a>(&self, targets: &'a [Url]) -> Vec<&'a Url> {
        targets.iter().filter(|target| !self.csp.allows("connect-src", &self.url, target)).collect()
    }
}

/// What tells which version is live.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marker {
    /// The version.
    pub version: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// The built assets of the index page, where no version is given.
    pub assets: Vec<String>,
}

impl Probe {
    /// Loads a page. A status that is no success, or a body that is no page, is an error.
    pub async fn page(&self, path: &str) -> Outcome<Page> {
        let asked = format!("load {path}");
        let reply = self.ask(path, &asked).await?;
        let fault = match reply.status {
            200..=299 if is_page(&reply.body) => return Ok(self.read_page(reply, path)),
            200..=299 => Fault::Unreadable {
                status: reply.status,
                detail: format!("that is no HTML page: {}", self.0.redactor().excerpt(&reply.body, 120)),
            },
            _ => return Err(self.0.refusal(&reply)),
        };
        Err(ServiceError::new("application", asked, fault, Effect::Nothing, reply.receipt)
            .advise("open it in a browser, and look at the routes of the deployment"))
    }

    /// The text of whatever a path answers with, page or data. A status that is no success is an error.
    pub async fn body(&self, path: &str) -> Outcome<String> {
        let reply = self.ask(path, &format!("load {path}")).await?;
        if (200..300).contains(&reply.status) {
            return Ok(Answer { value: reply.text(), receipt: reply.receipt });
        }
        Err(self.0.refusal(&reply))
    }

    /// Which version is live: `/version.json` first, then the index page itself.
    pub async fn marker(&self) -> Outcome<Marker> {
        let reply = self.ask("/version.json", "read the version marker").await?;
        if (200..300).contains(&reply.status)
            && !is_page(&reply.body)
            && let Some(body) = reply.value()
        {
            let text = |keys: [&str; 2]| keys.iter().find_map(|key| body.get(*key).and_then(lenient::text));
            let version = text(["version", "release"]).or_else(|| body.as_str().map(str::to_owned));
            let commit = text(["commit", "sha"]);
            if version.is_some() || commit.is_some() {
                let value = Marker { version, commit, assets: Vec::new() };
                return Ok(Answer { value, receipt: reply.receipt });
            }
        }
        let reply = self.ask("/", "read the version from the index page").await?;
        if !(200..300).contains(&reply.status) {
            return Err(self.0.refusal(&reply));
        }
        let html = reply.text();
        let metas = elements(&html, "meta");
        let meta = |wanted: &str| {
            let named =
                |meta: &&str| attribute(meta, "name").is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            attribute(metas.iter().copied().find(|meta| named(meta))?, "content")
        };
        let value = Marker { version: meta("version"), commit: meta("commit"), assets: assets(&html) };
        if value == Marker::default() {
            return Err(self.0.unreadable(
                &reply,
                "neither /version.json, nor a meta element, nor assets tell the version",
            ));
        }
        Ok(Answer { value, receipt: reply.receipt })
    }

    fn read_page(&self, reply: Reply, path: &str) -> Answer<Page> {
        let html = reply.text();
        let mut policies: Vec<String> = reply
            .headers
            .get_all("content-security-policy")
            .iter()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect();
        for meta in elements(&html, "meta") {
            let equiv = attribute(meta, "http-equiv").unwrap_or_default();
            if equiv.eq_ignore_ascii_case("content-security-policy") {
                policies.extend(attribute(meta, "content"));
            }
        }
        let title = html.split_once("<title>").and_then(|(_, rest)| Some(rest.split_once("</title>")?.0));
        let value = Page {
            status: reply.status,
            latency: reply.receipt.took,
            title: title.map(|title| self.0.redactor().excerpt(title.as_bytes(), 120)),
            bytes: reply.body.len(),
            csp: Csp::parse(policies.iter().map(String::as_str)),
            assets: assets(&html),
            cached: cached(&reply),
            url: self.0.base().join(path).unwrap_or_else(|_| self.0.base().clone()),
        };
        Answer { value, receipt: reply.receipt }
    }
}

/// The insides of all elements of a name, without their angle brackets. Enough for a head that a bundler wrote.
fn elements<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let open = format!("<{name}");
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(&open) {
        let inside = &rest[at + open.len()..];
        let end = inside.find('>').unwrap_or(inside.len());
        if inside.starts_with(|c: char| c.is_whitespace()) {
            found.push(&inside[..end]);
        }
        rest = &inside[end..];
    }
    found
}

fn attribute(element: &str, name: &str) -> Option<String> {
    let mut rest = element;
    loop {
        let at = rest.find(name)?;
        let before = rest[..at].chars().next_back();
        let after = rest[at + name.len()..].trim_start();
        if before.is_none_or(char::is_whitespace)
            && let Some(value) = after.strip_prefix('=')
        {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''));
            return match quote {
                Some(quote) => value[1..].split_once(quote).map(|(value, _)| value.to_owned()),
                None => value.split_whitespace().next().map(str::to_owned),
            };
        }
        rest = &rest[at + name.len()..];
    }
}

fn assets(html: &str) -> Vec<String> {
    let scripts = elements(html, "script").into_iter().filter_map(|script| attribute(script, "src"));
    let links = elements(html, "link").into_iter().filter_map(|link| attribute(link, "href"));
    let built = |name: &String| {
        std::path::Path::new(name).extension().is_some_and(|end| end == "js" || end == "mjs" || end == "css")
    };
    scripts.chain(links).filter(built).collect()
}

impl Marker {
    /// Whether this is the version that was to go live; none when the marker does not say.
    pub fn is_version(&self, version: &str) -> Option<bool> {
        self.version.as_deref().map(|live| live == version)
    }

    /// The marker as evidence.
    pub fn evidence(&self) -> Value {
        serde_json::json!({"version": self.version, "commit": self.commit, "assets": self.assets})
    }
}
