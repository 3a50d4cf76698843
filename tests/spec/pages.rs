//! Pages: in the language of whoever reads them, with the operator's name, colour and words, and nothing that can run.

use http::Method;
use member_gateway::gateway::failure::{Cause, Failure, Reference};
use member_gateway::login::return_to::ReturnTo;
use member_gateway::member::ProviderName;
use member_gateway::secret::Secret;
use member_gateway::session::seal::{KeyRing, Purpose};

use crate::harness::{
    Browser, Ended, Folder, Gateway, NAVIGATION, NOW, Options, Page, SITE, free_address, member_gateway,
};

const BRANDED: Options = Options {
    site: r##"pages = { name = "Lakes & <Rivers>", logo = "tests/data/logo.svg", colour = "#ffcc00", help = { en = "Ring <the bell>.", es = "Toque el timbre." }, contact = "desk@lakes.example" }"##,
    more: "[[site.rule]]\npath = \"/pool/**\"\naccess = \"deny\"\nremedy = { en = \"The pool <b>opens</b> in May.\", fr = \"La piscine ouvre en mai.\" }",
    ..Options::USUAL
};
const TEMPLATES: Options = Options {
    site: r##"pages = { name = "Lakes & <Rivers>", contact = "the <front> desk", templates = "tests/data/templates" }"##,
    ..Options::USUAL
};

async fn read(browser: &mut Browser, path: &str, language: &str) -> Page {
    let fields = [&NAVIGATION[..], &[("accept-language", language)]].concat();
    browser.request(Method::GET, path, &fields, "").await
}

#[tokio::test]
async fn a_page_speaks_the_language_that_the_browser_asks_for() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    for (asked, tag, title, button) in [
        ("", "en", "Would you like to sign out?", "Stay signed in"),
        ("es-MX, en;q=0.8", "es", "¿Desea cerrar la sesión?", "Seguir con la sesión abierta"),
        ("de, fr-CH;q=0.9, *;q=0.1", "fr", "Souhaitez-vous vous déconnecter\u{a0}?", "Rester connecté"),
        ("de", "en", "Would you like to sign out?", "Stay signed in"),
        ("es;q=zero", "en", "Would you like to sign out?", "Stay signed in"),
    ] {
        let page = read(&mut browser, "/_gateway/logout", asked).await;
        assert_eq!((page.field("content-language"), page.field("vary")), (tag, "accept-language"), "{asked}");
        for text in [&*format!("<html lang=\"{tag}\">"), title, button] {
            assert!(page.body.contains(text), "{asked}: {text} in {}", page.body);
        }
    }
}

#[tokio::test]
async fn every_page_can_be_read_in_every_language() {
    let gateway = Gateway::with_sandbox();
    let mut member = gateway.signed_in().await;

    for path in [
        "/_gateway/error",
        "/_gateway/logout",
        "/_gateway/form",
        "/_gateway/x",
        "/denied/x",
        "/staff/x",
        "https://unknown.localhost/",
    ] {
        let mut seen = Vec::new();
        for language in ["en", "es", "fr"] {
            let page = read(&mut member, path, language).await;
            assert_eq!(page.field("content-language"), language, "{path}");
            let text = page.body.split("<main>").nth(1).unwrap();
            assert!(!seen.contains(&text.to_owned()), "{path} in {language} is not translated");
            seen.push(text.to_owned());
        }
    }
}

#[tokio::test]
async fn programs_are_told_in_english() {
    let gateway = Gateway::with_sandbox();

    let page = gateway.browser().fetch(Method::GET, "/denied/x", &[("accept-language", "es")]).await;

    assert!(page.body.contains("This page is not open to anybody."), "{}", page.body);
    assert_eq!((page.field("content-language"), page.field("vary")), ("", ""));
}

#[tokio::test]
async fn the_operators_name_logo_and_colour_are_on_every_page() {
    let gateway = Gateway::with(&BRANDED);

    for path in ["/_gateway/logout", "/_gateway/error", "/_gateway/x", "/denied/x"] {
        let page = gateway.browser().go(path).await;
        let logo = "<img class=\"logo\" src=\"data:image/svg+xml;base64,";
        for text in [
            logo,
            "alt=\"Lakes &amp; &lt;Rivers&gt;\"",
            "--key: #ffcc00",
            "· Lakes &amp; &lt;Rivers&gt;</title>",
        ] {
            assert!(page.body.contains(text), "{path}: {text} in {}", page.body);
        }
        assert!(!page.body.contains("<Rivers>") && !page.body.contains("<b>"), "{path}");
        assert!(page.field("content-security-policy").contains(" img-src data:;"), "{path}");
    }
}

#[tokio::test]
async fn a_page_allows_its_own_style_and_nothing_else() {
    for options in [Options::USUAL, BRANDED, TEMPLATES] {
        let gateway = Gateway::with(&options);
        for path in ["/_gateway/logout", "/_gateway/error", "/denied/x"] {
            let page = gateway.browser().go(path).await;
            let style = page.body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
            let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
            let policy = page.field("content-security-policy");
            assert!(policy.contains(&format!("style-src 'sha256-{digest}';")), "{path}: {policy}");
            assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{path}: {policy}");
        }
    }
}

#[tokio::test]
async fn a_page_that_tells_of_trouble_says_whom_to_ask() {
    let gateway = Gateway::with(&BRANDED);
    let mut browser = gateway.browser();

    for path in ["/_gateway/error", "/denied/x", "/_gateway/x"] {
        let english = browser.go(path).await;
        let contact =
            "<p class=\"contact\">Contact: <a href=\"mailto:desk@lakes.example\">desk@lakes.example</a></p>";
        assert!(english.body.contains(contact), "{path}: {}", english.body);
        assert!(
            english.body.contains("<p class=\"help\">Ring &lt;the bell&gt;.</p>"),
            "{path}: {}",
            english.body
        );
        let spanish = read(&mut browser, path, "es").await;
        assert!(spanish.body.contains("<p class=\"help\">Toque el timbre.</p>"), "{path}: {}", spanish.body);
        let french = read(&mut browser, path, "fr").await;
        let help = "<p class=\"help\" lang=\"en\">Ring &lt;the bell&gt;.</p>";
        assert!(french.body.contains(help), "{path}: {}", french.body);
    }
    let page = browser.go("/_gateway/logout").await;
    assert!(!page.body.contains("desk@"), "nobody needs help here: {}", page.body);
}

/// The address of the error page that tells of this, sealed with the key of the tests.
fn error_page(cause: Cause) -> String {
    let ring = KeyRing::new([&Secret::new(*b"session-key-of-the-tests-0123456")]).unwrap();
    let (return_to, provider) = (ReturnTo::new("/classes"), ProviderName::new("ymca").ok());
    let failure = Failure { cause, return_to, provider, reference: Reference::new() };
    format!("/_gateway/error?ref={}", failure.sealed(&ring.bind(Purpose::Failure, SITE), NOW))
}

#[tokio::test]
async fn every_cause_of_a_failed_sign_in_has_its_status_and_its_own_words_in_every_language() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let mut titles = Vec::new();
    for (cause, status) in [
        (Cause::Stale, 400),
        (Cause::Malformed, 400),
        (Cause::Loop, 400),
        (Cause::Denied, 403),
        (Cause::NotInDirectory, 403),
        (Cause::AmbiguousInDirectory, 403),
        (Cause::Lapsed, 403),
        (Cause::NoIdentity, 502),
        (Cause::VendorRefuses, 502),
        (Cause::VendorBroken, 502),
        (Cause::VendorAway, 503),
    ] {
        for language in ["en", "es", "fr"] {
            let page = read(&mut browser, &error_page(cause), language).await;
            assert_eq!(page.status, status, "{cause:?}");
            let title = page.body.split("<h1>").nth(1).unwrap().split('<').next().unwrap().to_owned();
            assert!(!titles.contains(&title), "{cause:?} in {language}: {title}");
            titles.push(title);
        }
    }
}

#[tokio::test]
async fn a_member_who_has_lapsed_reads_whom_to_call_before_anything_else() {
    let gateway = Gateway::with(&BRANDED);

    let page = gateway.browser().go(&error_page(Cause::Lapsed)).await;

    let place = |text: &str| page.body.find(text).unwrap_or_else(|| panic!("{text} in {}", page.body));
    assert!(place("Ring &lt;the bell&gt;.") < place("mailto:desk@lakes.example"));
    assert!(place("mailto:desk@lakes.example") < place("class=\"button quiet\""));
    assert!(!page.body.contains("class=\"button\""), "signing in again makes nobody active: {}", page.body);
}

#[tokio::test]
async fn whom_a_rule_turns_away_reads_what_the_operator_says_about_it() {
    let gateway = Gateway::with(&BRANDED);
    let mut browser = gateway.browser();

    let page = browser.go("/pool/lanes").await;
    assert_eq!(page.status, 403);
    assert!(page.body.contains("The pool &lt;b&gt;opens&lt;/b&gt; in May."), "{}", page.body);
    assert!(!page.body.contains("Ring") && page.body.contains("desk@lakes.example"), "{}", page.body);
    assert!(read(&mut browser, "/pool/lanes", "fr").await.body.contains("La piscine ouvre en mai."));
    assert!(
        browser.go("/denied/x").await.body.contains("Ring &lt;the bell&gt;."),
        "else it is the site's help"
    );
}

#[tokio::test]
async fn a_member_whom_a_rule_does_not_name_reads_it_too() {
    let more = "[[site.rule]]\npath = \"/board/**\"\naccess = \"member\"\nallow = { member_id = [\"1\"] }\nremedy = \"Ask the chair.\"";
    let gateway = Gateway::with(&Options { more, ..Options::USUAL });

    let page = gateway.signed_in().await.go("/board/minutes").await;

    assert_eq!(page.status, 403);
    assert!(page.body.contains("<p class=\"help\">Ask the chair.</p>"), "{}", page.body);
}

#[tokio::test]
async fn when_the_app_is_away_the_button_asks_for_the_same_address_again() {
    let nobody = free_address();
    let gateway = Gateway::with(&Options { upstream: Some(nobody), ..Options::USUAL });
    let mut browser = gateway.browser();

    let page = browser.go("/public/a?b=%22%3E&c").await;
    assert_eq!(page.status, 502);
    assert!(page.body.contains("href=\"/public/a?b=%22%3E&amp;c\">Try again</a>"), "{}", page.body);
    let posted = browser.request(Method::POST, "/public/a", &NAVIGATION, "x=1").await;
    assert!(posted.status == 502 && !posted.body.contains("Try again"), "{}", posted.body);
}

#[tokio::test]
async fn an_address_that_would_lead_to_another_site_is_no_address_to_try_again() {
    let nobody = free_address();
    let everything_is_public = "[[site.rule]]\npath = \"/**\"\naccess = \"public\"";
    let gateway =
        Gateway::with(&Options { upstream: Some(nobody), more: everything_is_public, ..Options::USUAL });

    for target in ["//evil.test/x", "/\\evil.test/x", "/.//evil.test/x"] {
        let answer = gateway.raw(format!(
            "GET {target} HTTP/1.1\r\nHost: members.localhost\r\nSec-Fetch-Mode: navigate\r\nConnection: close\r\n\r\n"
        ));
        assert!(!answer.contains("evil.test"), "{target}: {answer}");
    }
}

#[tokio::test]
async fn what_a_browser_sends_stands_in_no_page_as_html() {
    for options in [Options::USUAL, TEMPLATES] {
        let gateway = Gateway::with(&options);
        let mut browser = gateway.browser();
        for place in [
            "/%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
            "/'onfocus=alert(1)'",
            "/%3C/style%3E%3Cscript%3E",
            "javascript:alert(1)",
            "/{{7*7}}{%25raw%25}",
        ] {
            for path in [
                "/_gateway/logout?return_to=",
                "/_gateway/login?provider=%3Cb%3E&return_to=",
                "/_gateway/error?ref=",
            ] {
                let page = browser.go(&format!("{path}{place}")).await;
                for word in ["<script", "<b>", "\"javascript:", "/49", "\"onfocus"] {
                    assert!(!page.body.contains(word), "{path}{place}: {word} in {}", page.body);
                }
            }
        }
    }
}

#[tokio::test]
async fn templates_take_the_place_of_the_gateways_own_pages() {
    let gateway = Gateway::with(&TEMPLATES);
    let mut browser = gateway.browser();

    let page = read(&mut browser, "/_gateway/logout?return_to=/a%3Fb%26c", "fr").await;
    for text in [
        "<html lang=\"fr\">",
        "Georgia, serif",
        "| Lakes &amp; &lt;Rivers&gt;</title>",
        "<form method=\"post\" action=\"&#x2f;_gateway&#x2f;logout\">",
        "value=\"&#x2f;a?b&amp;c\"",
        "<a href=\"&#x2f;a?b&amp;c\">Rester connecté</a>",
    ] {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
    assert!(page.field("content-security-policy").contains(" img-src data: 'self';"));
    for path in ["/denied/x", "/_gateway/error"] {
        let page = browser.go(path).await;
        assert!(
            page.body.contains("<p class=\"own\">"),
            "error.html stands in for the others: {}",
            page.body
        );
        assert!(page.body.contains("Contact: the &lt;front&gt; desk"), "{}", page.body);
    }
    let member = gateway.signed_in().await.go("/_gateway/form").await;
    assert!(member.body.contains("id=\"form\"") && member.body.contains("Georgia"), "{}", member.body);
    assert!(member.field("content-security-policy").contains("script-src 'sha256-"));
}

/// What `check` says to a folder of templates with this file.
fn check_template(name: &str, text: &str) -> Ended {
    let configuration = "[[provider]]\nname = \"a\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n[[site]]\n\
        public_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"a\"]\npages = { templates = \"own\" }\n";
    let folder = Folder::with(configuration);
    std::fs::create_dir(folder.path().join("own")).unwrap();
    member_gateway(&folder.and(&format!("own/{name}"), text), &["check"], "")
}

#[test]
fn a_mistake_in_a_template_is_one_of_the_configuration_with_its_file_and_line() {
    for (name, text, told) in [
        ("error.html", "<p>\n{{ advise }}</p>", "own/error.html:2: undefined value"),
        ("error.html", "{{ advice }}{{ help.text }}", "own/error.html:1: undefined value"),
        (
            "error.html",
            "{{ advice }}{{ button.path if button }}",
            "own/error.html: this page has to show `reference`",
        ),
        ("chooser.html", "{% for choice in choices %}", "own/chooser.html:1: syntax error"),
        ("chooser.html", "<p>Choose!</p>", "own/chooser.html: this page has to show `choice.path`"),
        ("sign-out.html", "{{ action }}", "own/sign-out.html: this page has to show `return_to`"),
        ("page.html", "<style>{{ style }}</style>", "own/page.html: this frame has to hold `{{ content }}`"),
        ("page.html", "{{ content }}", "has to hold `<style>{{ style }}</style>`"),
        ("page.html", "{{ content|safe }}", "own/page.html:1: unknown filter"),
        ("page.html", "{% include \"../gateway.toml\" %}", "own/page.html:1: "),
        (
            "page.html",
            "{% for a in range(9999) %}{% for b in range(9999) %}.{% endfor %}{% endfor %}",
            "own/page.html:1: engine ran out of fuel",
        ),
        ("style.css", "</STYLE><script>", "own/style.css: `</style` would end the style sheet"),
        ("choser.html", "", "own/choser.html is no template of any page"),
    ] {
        let ended = check_template(name, text);
        assert_eq!(ended.status, 2, "{name}: {text}");
        assert!(ended.errors.contains(told), "{name}: {text}: no {told:?} in {}", ended.errors);
        assert!(ended.errors.contains("--> gateway.toml:9:"), "{}", ended.errors);
    }
    assert!(check_template("choser.html", "").errors.contains("did you mean `chooser.html`?"));
    assert_eq!(check_template(".hidden", "").errors, "", "what is hidden is nobody's template");
}

#[test]
fn a_mistake_in_the_branding_is_told_with_what_was_expected() {
    let site = "[[provider]]\nname = \"a\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\nlogo = \"none.png\"\n[[site]]\n\
        public_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"a\"]\n[site.pages]\nname = \" \"\n\
        logo = \"gateway.toml\"\ncolour = \"blue\"\nhelp = { en = \"\" }\ncontact = \"\"\ntemplates = \"nowhere\"\n\
        [[site.rule]]\npath = \"/a\"\naccess = \"public\"\nremedy = \"x\"\n";
    let errors = member_gateway(&Folder::with(site), &["check"], "").errors;

    for told in [
        "the file none.png cannot be read",
        "this name is empty",
        "gateway.toml: this file is no picture of a kind that browsers show everywhere",
        "an SVG, PNG, WebP or JPEG file of at most 64 KiB",
        "this is no colour",
        "six hexadecimal digits: \"#0b5cad\"",
        "this text is empty",
        "the folder nowhere cannot be read",
        "this rule turns nobody away",
        "8 problems",
    ] {
        assert!(errors.contains(told), "{told} in {errors}");
    }
    let wrong = site.replace("help = { en = \"\" }", "help = { es = \"Ayuda\", de = \"Hilfe\" }");
    let errors = member_gateway(&Folder::with(&wrong), &["check"], "").errors;
    assert!(errors.contains("`de`") && errors.contains("`en`"), "{errors}");
}
