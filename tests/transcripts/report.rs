//! `flux transcript report`: a page that shows everything, needs nothing, and obeys no transcript.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::{recorded, transcript};
use crate::support::{Api, Flux, for_each_wire, say};

fn page(place: &Flux, paths: &[&str]) -> String {
    transcript(place, &[&["report"], paths].concat()).run().code(0).stderr("").out()
}

#[test]
fn the_page_shows_everything_without_its_script() {
    for_each_wire(|api| {
        let (place, path) = recorded(api);
        let page = page(&place, &[&path]);
        for part in [
            "What is it?",
            "alpha &amp; &lt;beta&gt;",
            "request failed: overloaded",
            "The &lt;b&gt;answer&lt;/b&gt;.",
            "result: ok (exit 0)",
            "Again.",
            "<svg",
            "href=\"#run-2\"",
            "id=\"run-2\"",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert_eq!(page.matches("<script>").count(), 1);
        let links = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
        let dead: Vec<&str> = links.filter(|id| !page.contains(&format!("id=\"{id}\""))).collect();
        assert!(dead.is_empty(), "{dead:?}");
    });
}

#[test]
fn nothing_outside_the_page_is_needed_or_allowed() {
    let (place, path) = recorded(Api::Chat);
    let page = page(&place, &[&path]);
    let policy =
        page.split("Content-Security-Policy\" content=\"").nth(1).and_then(|p| p.split('"').next()).expect("a policy");
    let hash = |tag: &str| {
        let text = page.split(&format!("<{tag}>")).nth(1).and_then(|t| t.split(&format!("</{tag}>")).next());
        format!("{tag}-src 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text.expect("a text"))))
    };
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    for rule in [hash("script"), hash("style"), "base-uri 'none'".into(), "form-action 'none'".into()] {
        assert!(policy.contains(&rule), "{rule} is not in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for outside in ["src=\"http", "href=\"http", "@import", "url(", " style=\"", " on"] {
        assert!(!page.split("<script>").next().is_some_and(|html| html.contains(&format!("{outside}=")) || outside != " on" && html.contains(outside)), "{outside}");
    }
}

/// Words that would run if anything of a transcript were obeyed, in every place where a text can stand.
fn hostile() -> (Flux, String) {
    let (place, path) = recorded(Api::Chat);
    let run = "document.documentElement.setAttribute('data-owned','1')";
    let words = format!(
        "</pre></script></style></title></details><script>{run}</script><img src=x onerror=\"{run}\">\
         <svg onload=\"{run}\"><a href=\"javascript:{run}\" autofocus onfocus=\"{run}\">x</a>' onload='{run}' \
         <style>body{{display:none}}</style><iframe srcdoc=\"<script>parent.{run}</script>\"></iframe><base href=//x>\
         <meta http-equiv=refresh content=0;url=//x>"
    );
    let json = serde_json::to_string(&words).expect("JSON");
    let quoted = json.trim_matches('"');
    let text = std::fs::read_to_string(&path).expect("a transcript");
    let places = [
        "Let me see.",
        "no_such_tool",
        "overloaded",
        "busy",
        "What is it?",
        "second",
        "a.txt",
        "alpha",
        "Again.",
        "unknown_tool",
        "custom",
    ];
    let text = places.iter().fold(text, |text, place| text.replace(place, &format!("{place}{quoted}")));
    // The run's own id, times and states as well.
    let text = text.replace("\"status\":\"ok\"", &format!("\"status\":{json}"));
    std::fs::write(&path, text.replace("\"stopReason\":\"stop\"", &format!("\"stopReason\":{json}"))).expect("a file");
    (place, path)
}

#[test]
fn no_text_of_a_transcript_becomes_markup() {
    let (place, path) = hostile();
    let page = page(&place, &[&path, &path]);
    for tag in [
        "<script>document",
        "<img src=x",
        "<svg onload",
        "<iframe",
        "<base",
        "<a href=\"javascript",
        "<style>body{",
        "</title></details>",
    ] {
        assert!(!page.contains(tag), "{tag}");
    }
    assert!(page.contains("&lt;iframe"));
}

/// The browser, if this machine has one.
fn chromium() -> Option<PathBuf> {
    let names = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    names.iter().map(PathBuf::from).find(|path| path.is_file())
}

#[test]
fn a_hostile_transcript_runs_nothing_in_a_browser() {
    let Some(chromium) = chromium() else {
        return say("skipped: a_hostile_transcript_runs_nothing_in_a_browser needs chromium");
    };
    let (place, path) = hostile();
    let dump = |html: &str| {
        let file = place.here("page.html");
        std::fs::write(&file, html).expect("a page");
        dom(&chromium, &file, &place.path("browser"))
    };
    let page = page(&place, &[&path]);
    let shown = dump(&page);
    assert!(shown.contains("<search>"), "the page's own script did not run: {}", &shown[..shown.len().min(2000)]);
    assert!(!shown.contains("data-owned=\"1\""), "a script of the transcript ran");
    // Even if a text became markup, the policy would stop it; and this test would see it without the policy.
    let owned = "<script>document.documentElement.setAttribute('data-owned','1')</script>";
    let marked = page.replace("</main>", &format!("{owned}</main>"));
    assert!(!dump(&marked).contains("data-owned=\"1\""), "the policy does not hold");
    let unguarded = marked.replace("Content-Security-Policy", "X-Nothing");
    assert!(dump(&unguarded).contains("data-owned=\"1\""), "this test sees nothing");
}

#[test]
fn search_leaves_what_holds_the_words_and_opens_it() {
    let Some(chromium) = chromium() else { return say("skipped: search_leaves_what_holds_the_words needs chromium") };
    let (place, path) = recorded(Api::Chat);
    // A person's typing, for which the policy has to go.
    let typed = "<script>const i=document.querySelector('input');i.value='ALPHA &';i.dispatchEvent(new Event('input'))</script>";
    let page = page(&place, &[&path])
        .replace("Content-Security-Policy", "X-Nothing")
        .replace("</body>", &format!("{typed}</body>"));
    let file = place.here("page.html");
    std::fs::write(&file, page).expect("a page");
    let shown = dom(&chromium, &file, &place.path("browser"));
    let articles: Vec<&str> = shown.split("<article ").skip(1).collect();
    let left: Vec<&&str> = articles
        .iter()
        .filter(|article| !article.split('>').next().is_some_and(|tag| tag.contains("hidden")))
        .collect();
    assert!(left.len() == 2 && articles.len() > 8, "{} of {}", left.len(), articles.len());
    assert!(left.iter().all(|article| article.contains("alpha &amp;")), "{left:?}");
    assert!(left[1].contains("<details open"), "{}", left[1]);
    assert!(shown.contains("id=\"run-2\" hidden"), "a run without a hit stays");
}

fn dom(chromium: &Path, file: &Path, profile: &Path) -> String {
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"])
        .args(["--virtual-time-budget=2000"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("chromium");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
