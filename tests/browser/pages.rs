//! The gateway's own pages: what the browser says about them, and how they look.
//!
//! Each page is left as a picture in `browser-pages` of cargo's folder for tests, for whoever wants to look.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::chromium::Browser;
use crate::site::Site;
use crate::tour::Tour;

/// What axe-core does not look at: how a page stands on a telephone, and whether its style came along.
const INSPECT: &str = r#"
    return {
        lang: document.documentElement.lang,
        title: document.title.trim() !== '',
        headings: document.querySelectorAll('h1').length,
        tooWide: document.documentElement.scrollWidth > innerWidth,
        styled: document.styleSheets.length === 1 && document.styleSheets[0].cssRules.length > 0,
        pictures: [...document.images].every(picture => picture.naturalWidth > 0),
    };
"#;

const SMALL_AND_LARGE: [(&str, u32); 4] = [("light", 320), ("light", 1280), ("dark", 320), ("dark", 1280)];

#[tokio::test]
async fn every_page_of_the_gateways_own_is_sound_in_light_and_dark_narrow_and_wide_and_in_every_language() {
    let tour = Tour::start().await;

    tour.visits(async |browser, name, language| {
        let looks = if language == "en" { &SMALL_AND_LARGE[..] } else { &SMALL_AND_LARGE[..1] };
        assert_is_sound(browser, name, language, looks).await;
    })
    .await;
}

/// Which pages the documentation shows.
const SHOWN: [&str; 9] = [
    "chooser-remembers",
    "sign-out",
    "sign-in-denied",
    "lapsed",
    "loop",
    "denied-by-rule",
    "other-members-only",
    "upstream-down",
    "form-kept",
];

#[tokio::test]
#[ignore = "writes docs/screenshots, for scripts/screenshots"]
async fn the_pictures_of_the_documentation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots");
    fs::create_dir_all(&folder).expect("a folder for pictures");
    let tour = Tour::start().await;

    tour.visits(async |browser, name, language| {
        let is_shown = SHOWN.contains(&name) && language == "en";
        for (scheme, width) in [("light", 1280), ("dark", 320)] {
            if is_shown || (name == "chooser-remembers" && width == 320) {
                // As high as the page is.
                shows(browser, scheme, width, 400).await;
                let height = browser.evaluate("return document.documentElement.scrollHeight").await;
                let height = height.as_u64().and_then(|height| u32::try_from(height).ok());
                shows(browser, scheme, width, height.expect("a page has a height")).await;
                let tag = if language == "en" { String::new() } else { format!("-{language}") };
                let file = format!("{name}{tag}-{scheme}-{width}.png");
                fs::write(folder.join(file), browser.screenshot().await).expect("the picture is written");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn so_is_every_page_of_the_sandbox() {
    let (site, browser) = (Site::start(), Browser::open().await);

    browser.visit(&site.at("/")).await;
    browser.sees_daxkos_form().await;
    assert_is_sound(&browser, "sandbox-form", "en", &SMALL_AND_LARGE).await;
    browser.types("#password", "not the password").await;
    browser.logs_in_at_daxko().await;
    browser.sees("[role=alert]").await;
    assert_is_sound(&browser, "sandbox-form-refused", "en", &SMALL_AND_LARGE).await;
    browser.click("li:nth-of-type(2) a").await;
    browser.sees("li:nth-of-type(2) a[aria-current]").await;
    assert_is_sound(&browser, "sandbox-form-somebody-else", "en", &SMALL_AND_LARGE).await;
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
        assert_is_sound(&browser, name, "en", &SMALL_AND_LARGE).await;
    }
    browser.visit(&site.at("/book")).await;
    browser.types("#note", "by the lake").await;
    browser.click("main form button").await;
    browser.sees("#booking").await;
    assert_is_sound(&browser, "app-booked", "en", &SMALL_AND_LARGE).await;
}

#[tokio::test]
async fn so_is_every_page_of_the_simulation_of_xoxoday() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);
    let is_sound = async |name: &str| assert_is_sound(&browser, name, "en", &SMALL_AND_LARGE).await;

    browser.visit(&site.at("/")).await;
    browser.chooses("rewards").await;
    browser.sees_xoxodays_form().await;
    is_sound("xoxoday-form").await;
    browser.types("#password", "not the password").await;
    browser.click("form[action='/chef/login'] button").await;
    browser.sees("[role=alert]").await;
    is_sound("xoxoday-form-refused").await;
    browser.click("li:nth-of-type(2) a").await;
    browser.sees("li:nth-of-type(2) a[aria-current]").await;
    is_sound("xoxoday-form-somebody-else").await;

    browser.click("a[href^='/chef/signup?']").await;
    browser.sees("form[action='/chef/signup']").await;
    is_sound("xoxoday-sign-up").await;
    let answers = [("name", "Rosa"), ("email", "rosa.alvarez@example.org"), ("country_code", "+1")];
    for (field, answer) in answers.into_iter().chain([("phone", "5550100"), ("password", "rosa-swims")]) {
        browser.types(&format!("#{field}"), answer).await;
    }
    browser.click("form[action='/chef/signup'] button").await;
    browser.sees("[role=alert]").await;
    is_sound("xoxoday-sign-up-refused").await;
    browser.types("#email", ".uk").await;
    browser.types("#password", "rosa-swims").await;
    browser.click("form[action='/chef/signup'] button").await;
    browser.sees("#code").await;
    is_sound("xoxoday-code").await;
    browser.types("#otp", "no code").await;
    browser.click("form[action='/chef/signup/verify'] button").await;
    browser.sees("[role=alert]").await;
    is_sound("xoxoday-code-refused").await;

    browser.visit(&site.at("/")).await;
    browser.chooses("rewards").await;
    browser.logs_in_at_xoxoday().await;
    is_sound("xoxoday-consent").await;
    browser.visit(&format!("{}/chef/v1/oauth/authorize?client_id=nobody", site.xoxoday().base_url())).await;
    browser.sees("#rule").await;
    is_sound("xoxoday-refusal").await;
}

#[tokio::test]
async fn so_is_every_page_of_the_simulation_of_partners_v1() {
    let site = Site::edited(&[("name = \"ymca\"", "name = \"ymca\"\napi = \"partners-v1\"")]);
    let browser = Browser::open().await;
    let is_sound = async |name: &str| assert_is_sound(&browser, name, "en", &SMALL_AND_LARGE).await;

    browser.visit(&site.at("/classes?week=2")).await;
    browser.chooses("ymca").await;
    browser.sees("form[action='/partners/authorize'] #username").await;
    is_sound("partners-form").await;
    browser.types("#password", "not the password").await;
    browser.click("form[action='/partners/authorize'] button").await;
    browser.sees("[role=alert]").await;
    is_sound("partners-form-refused").await;
    browser.click("li:nth-of-type(1) a").await;
    browser.sees("li:nth-of-type(1) a[aria-current]").await;
    browser.click("form[action='/partners/authorize'] button").await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;

    let daxko = site.sandbox().vendors.daxko.base_url();
    for (name, path, seen) in [
        ("partners-forgot-password", "/partners/forgot_password", "h1"),
        ("partners-refusal", "/partners/authorize?client_id=nobody", "#rule"),
        ("daxko-refusal", "/online/auth?client_id=nobody", "#rule"),
    ] {
        browser.visit(&format!("{daxko}{path}")).await;
        browser.sees(seen).await;
        is_sound(name).await;
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

/// Has the browser show pages in this scheme and size.
async fn shows(browser: &Browser, scheme: &str, width: u32, height: u32) {
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.devtools("Emulation.setEmulatedMedia", features).await;
    let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == 320 });
    browser.devtools("Emulation.setDeviceMetricsOverride", screen).await;
}

async fn assert_is_sound(browser: &Browser, name: &str, language: &str, looks: &[(&str, u32)]) {
    let complaints: Vec<Value> =
        browser.console().await.into_iter().filter(|entry| !is_expected(entry)).collect();
    assert!(complaints.is_empty(), "{name}: {complaints:?}");
    for &(scheme, width) in looks {
        shows(browser, scheme, width, 800).await;
        let expected = json!({
            "lang": language, "title": true, "headings": 1, "tooWide": false, "styled": true, "pictures": true,
        });
        let look = format!("{name}, {language}, {scheme}, {width} pixels wide");
        assert_eq!(browser.evaluate(INSPECT).await, expected, "{look}");
        assert_eq!(browser.complaints_of_axe().await, Vec::<Value>::new(), "{look}");
        keep(&format!("{name}-{language}-{scheme}-{width}.png"), &browser.screenshot().await);
    }
}

/// The console repeats the status of a page that is an error page; that is no complaint. Nor is the word with which the
/// tour has a page stay.
fn is_expected(entry: &Value) -> bool {
    let says = |text: &str| entry["message"].as_str().is_some_and(|message| message.contains(text));
    (entry["source"] == "network" && says("the server responded with a status of"))
        || says("Uncaught Error: stay")
}

fn keep(name: &str, picture: &[u8]) {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser-pages");
    fs::create_dir_all(&folder).expect("a folder for pictures");
    fs::write(folder.join(name), picture).expect("the picture is written");
}
