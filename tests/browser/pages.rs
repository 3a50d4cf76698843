//! The gateway's own pages: what the browser says about them, and how they look.
//!
//! Each page is left as a picture in `browser-pages` of cargo's folder for tests, for whoever wants to look.

use std::fs;
use std::path::Path;

use member_gateway::sandbox::daxko::{Endpoint, Fault};
use serde_json::{Value, json};

use crate::chromium::{Browser, free_port};
use crate::site::Site;

/// What every page owes to those who do not see it, and to those who see it on a telephone. The contrast is that of WCAG
/// 2.2 §1.4.3, for each text against what is painted behind it; what is clicked is as high as §2.5.8 asks, except in the
/// middle of a sentence.
const INSPECT: &str = r#"
    const channels = text => text.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b]
        .map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = element => {
        for (let e = element; e; e = e.parentElement) {
            const painted = channels(getComputedStyle(e).backgroundColor);
            if (painted[3] !== 0) return painted;
        }
        return [255, 255, 255];
    };
    const contrast = element => {
        const [a, b] = [channels(getComputedStyle(element).color), behind(element)].map(luminance);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    };
    const hasText = e => [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim());
    const texts = [...document.body.querySelectorAll('*')].filter(hasText);
    return {
        lang: document.documentElement.lang,
        title: document.title.trim() !== '',
        headings: document.querySelectorAll('h1').length,
        mains: document.querySelectorAll('main').length,
        faint: texts.filter(e => contrast(e) < 4.5).map(e => e.textContent),
        small: [...document.querySelectorAll('a, button')]
            .filter(e => !hasText(e.parentElement) && e.getBoundingClientRect().height < 24).map(e => e.textContent),
        tooWide: document.documentElement.scrollWidth > innerWidth,
        styled: document.styleSheets.length === 1 && document.styleSheets[0].cssRules.length > 0,
    };
"#;

#[tokio::test]
async fn every_page_of_the_gateways_own_is_sound_in_light_and_dark_narrow_and_wide() {
    let (port, nobody) = (free_port(), free_port());
    let more = format!(
        r#"
        [[provider]]
        name = "lakes"
        kind = "daxko"
        title = "Lakeside Boat Club"
        environment = "sandbox"

        [[site]]
        public_url = "http://two.localhost:{port}"
        upstream = "sandbox"
        providers = ["ymca", "lakes"]

        [[site]]
        public_url = "http://down.localhost:{port}"
        upstream = ["http://127.0.0.1:{nobody}"]
        providers = ["ymca"]
        [[site.rule]]
        path = "/**"
        access = "public"
        "#
    );
    let site = Site::with(port, &format!("http://localhost:{port}"), &more);
    let browser = Browser::open().await;
    browser.signs_in(&site, "/classes?week=2").await;

    for (name, url) in [
        ("sign-out", site.at("/_gateway/logout")),
        ("error-unknown", site.at("/_gateway/error")),
        ("not-found", site.at("/_gateway/nothing-of-that-name")),
        ("denied-by-rule", site.at("/staff/rota")),
        ("other-members-only", site.at("/board/minutes")),
        ("no-such-site", format!("http://127.0.0.1:{port}/")),
        ("upstream-down", format!("http://down.localhost:{port}/")),
        ("chooser", format!("http://two.localhost:{port}/")),
    ] {
        browser.console().await;
        browser.visit(&url).await;
        assert_is_sound(&browser, name).await;
    }
    for (name, endpoint, fault) in [
        ("sign-in-denied", Endpoint::LogIn, Fault::ErrorRedirect("access_denied".into())),
        ("sign-in-away", Endpoint::MemberToken, Fault::Status(503)),
        ("sign-in-broken", Endpoint::MembersMe, Fault::Html),
    ] {
        site.faults().next(endpoint, fault);
        browser.visit(&site.at("/_gateway/login")).await;
        browser.sees_daxkos_form().await;
        browser.console().await;
        browser.logs_in_at_daxko().await;
        browser.sees(".reference").await;
        assert_is_sound(&browser, name).await;
    }
}

#[tokio::test]
async fn so_is_every_page_of_the_sandbox() {
    let (site, browser) = (Site::start(), Browser::open().await);

    browser.visit(&site.at("/")).await;
    browser.sees_daxkos_form().await;
    assert_is_sound(&browser, "sandbox-form").await;
    browser.types("#password", "not the password").await;
    browser.logs_in_at_daxko().await;
    browser.sees("[role=alert]").await;
    assert_is_sound(&browser, "sandbox-form-refused").await;
    browser.click("li:nth-of-type(2) a").await;
    browser.sees("li:nth-of-type(2) a[aria-current]").await;
    assert_is_sound(&browser, "sandbox-form-somebody-else").await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/")).await;
    assert_eq!(browser.text("#member-id").await, "400007995-01");

    for (name, path) in [
        ("app-front-page", "/"),
        ("app-classes", "/classes?week=2"),
        ("app-book", "/book?class=Rowing"),
        ("app-not-found", "/nothing-of-that-name"),
    ] {
        browser.visit(&site.at(path)).await;
        assert_is_sound(&browser, name).await;
    }
}

#[tokio::test]
async fn whoever_is_turned_away_from_one_page_is_led_to_the_front_page() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/classes?week=2").await;

    for path in ["/staff/rota", "/board/minutes", "/_gateway/nothing-of-that-name"] {
        browser.visit(&site.at(path)).await;
        browser.click("main a.button").await;
        browser.arrives_at(&site.at("/")).await;
        browser.is_known_to_the_app().await;
    }
}

async fn assert_is_sound(browser: &Browser, name: &str) {
    let complaints: Vec<Value> =
        browser.console().await.into_iter().filter(|entry| !is_own_status(entry)).collect();
    assert!(complaints.is_empty(), "{name}: {complaints:?}");
    for scheme in ["light", "dark"] {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", features).await;
        for width in [320, 1280] {
            let screen =
                json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == 320 });
            browser.devtools("Emulation.setDeviceMetricsOverride", screen).await;
            let expected = json!({
                "lang": "en", "title": true, "headings": 1, "mains": 1, "faint": [], "small": [], "tooWide": false,
                "styled": true,
            });
            assert_eq!(browser.evaluate(INSPECT).await, expected, "{name}, {scheme}, {width} pixels wide");
            keep(&format!("{name}-{scheme}-{width}.png"), &browser.screenshot().await);
        }
    }
}

/// The console repeats the status of a page that is an error page; that is no complaint.
fn is_own_status(entry: &Value) -> bool {
    entry["source"] == "network"
        && entry["message"]
            .as_str()
            .is_some_and(|text| text.contains("the server responded with a status of"))
}

fn keep(name: &str, picture: &[u8]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser-pages");
    fs::create_dir_all(&folder).expect("a folder for pictures");
    fs::write(folder.join(name), picture).expect("the picture is written");
}
