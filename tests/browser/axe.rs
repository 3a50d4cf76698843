//! What axe-core has to say about a page: the rules of WCAG 2.2 A and AA that a program can check, and its best practices.
//!
//! `scripts/test` installs it at the version and with the digest that `package-lock.json` pins; no test asks the network.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::chromium::Browser;

static SOURCE: LazyLock<String> = LazyLock::new(|| {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.tools/npm/node_modules/axe-core/axe.min.js");
    fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/test, which installs it", file.display()))
});

/// Text whose background it cannot make out is a complaint as well: nobody would know whether it can be read. Where that
/// is only since a table is scrolled out of sight, it is looked at on the wide screen.
const ASK: &str = r#"
    const answer = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run(document, { runOnly: { type: 'tag', values: tags } }).then(
        found => {
            const isScrolledAway = node => node.any.some(check => check.data?.messageKey === 'elmPartiallyObscured');
            const unclear = found.incomplete
                .filter(rule => rule.id === 'color-contrast')
                .map(rule => ({ ...rule, nodes: rule.nodes.filter(node => !isScrolledAway(node)) }))
                .filter(rule => rule.nodes.length);
            answer({
                complaints: [...found.violations, ...unclear].map(rule => ({
                    rule: rule.id, help: rule.help, nodes: rule.nodes.map(node => node.html + ': ' + node.failureSummary),
                })),
                passes: found.passes.length,
            });
        },
        error => answer({ complaints: [String(error)], passes: 0 }));
"#;

impl Browser {
    /// What axe-core finds wrong with the page that is shown.
    ///
    /// The page's own policy allows no foreign script; what the driver runs is not bound by it.
    pub(crate) async fn complaints_of_axe(&self) -> Vec<Value> {
        if self.evaluate("return typeof axe").await != json!("object") {
            self.evaluate(&SOURCE).await;
        }
        let found = self.evaluate_later(ASK).await;
        assert!(
            found["passes"].as_u64().is_some_and(|passes| passes > 10),
            "axe has looked at nothing: {found}"
        );
        found["complaints"].as_array().expect("a list of complaints").clone()
    }
}
