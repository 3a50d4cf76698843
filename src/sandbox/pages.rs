//! What all pages of a simulated vendor have around them.
//!
//! They work without script, by keyboard, on a telephone, and say in plain words that they are not the vendor's.

use maud::{DOCTYPE, Markup, html};

/// What `GET /sandbox/style.css` says.
pub(super) const STYLE: &str = include_str!("style.css");

/// A page of a simulation of `vendor`.
pub(super) fn layout(vendor: &str, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (vendor) " sandbox" }
                link rel="stylesheet" href="/sandbox/style.css";
            }
            body {
                header {
                    p { strong { "Sandbox." } " This is a simulation, not " (vendor) ". Type no real password here." }
                }
                main { (content) }
            }
        }
    }
}
