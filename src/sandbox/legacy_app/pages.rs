//! The club's pages: plain HTML of the kind that was there before the gateway.
//!
//! Each greets a member whose signature holds, and shows a panel with what arrived about the visitor; programs find it by the ids `member-id`,
//! `member-unit-id` and `signature`. Whatever a request brought is escaped.

use maud::{DOCTYPE, Markup, html};

use super::Visitor;

/// The week's classes: day, time, name, room.
const CLASSES: [(&str, &str, &str, &str); 6] = [
    ("Monday", "07:00", "Early lanes", "Pool"),
    ("Monday", "18:30", "Spinning", "Studio 2"),
    ("Tuesday", "09:15", "Yoga for backs", "Studio 1"),
    ("Wednesday", "17:00", "Family swim", "Pool"),
    ("Thursday", "19:00", "Climbing basics", "Hall"),
    ("Saturday", "10:00", "Rowing", "Boat house"),
];

pub(super) fn home(visitor: &Visitor) -> Markup {
    layout(
        visitor,
        "Welcome",
        &html! {
            p { "The pool is open until ten tonight. " a href="/classes" { "See this week's classes" } "." }
        },
    )
}

pub(super) fn classes(visitor: &Visitor, week: u8) -> Markup {
    layout(
        visitor,
        &format!("Classes, week {week}"),
        &html! {
            nav aria-label="Weeks" {
                @if week > 1 { a href={ "/classes?week=" (week - 1) } rel="prev" { "Week " (week - 1) } }
                @if week < 52 { a href={ "/classes?week=" (week + 1) } rel="next" { "Week " (week + 1) } }
            }
            table {
                thead { tr {
                    th scope="col" { "Day" } th scope="col" { "Time" } th scope="col" { "Class" }
                    th scope="col" { "Room" } th scope="col" { "Booking" }
                } }
                tbody {
                    @for (day, time, name, room) in CLASSES {
                        tr {
                            td { (day) } td { (time) } th scope="row" { (name) } td { (room) }
                            td { a href={ "/book?class=" (name.replace(' ', "+")) } {
                                "Book" span.hidden { " " (name) ", " (day) }
                            } }
                        }
                    }
                }
            }
        },
    )
}

pub(super) fn booking(visitor: &Visitor, class: Option<&str>) -> Markup {
    layout(
        visitor,
        "Book a class",
        &html! {
            form method="post" action="/book" {
                label for="class" { "Class" }
                input #class name="class" required value=(class.unwrap_or("Early lanes"));
                label for="people" { "How many people" }
                input #people name="people" type="number" min="1" max="9" value="1" required;
                label for="note" { "Note" }
                textarea #note name="note" rows="3" {}
                button type="submit" { "Book" }
            }
        },
    )
}

pub(super) fn booked(visitor: &Visitor, arrived: &[(String, String)]) -> Markup {
    layout(
        visitor,
        "Thank you",
        &html! {
            p { "This is what arrived. Nothing was booked: the club does not exist." }
            dl #booking {
                @for (name, value) in arrived {
                    dt { (name) }
                    dd data-name=(name) { (value) }
                }
            }
            p { a href="/classes" { "Back to the classes" } }
        },
    )
}

pub(super) fn not_found(visitor: &Visitor) -> Markup {
    layout(visitor, "Not found", &html! { p { "There is no such page. " a href="/" { "Start again" } "." } })
}

fn layout(visitor: &Visitor, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Seven Lakes Club" }
                link rel="stylesheet" href="/assets/style.css";
            }
            body {
                header {
                    a.club href="/" { "Seven Lakes Club" }
                    nav aria-label="Main" {
                        a href="/classes" { "Classes" }
                        a href="/book" { "Book" }
                        a href="/_gateway/logout" { "Sign out" }
                    }
                }
                main {
                    @match visitor.proven_id() {
                        Some(id) => p.greeting { "Hello, member " strong { (id) } "." },
                        None => p.greeting { "Hello, visitor." },
                    }
                    h1 { (title) }
                    (content)
                }
                (panel(visitor))
            }
        }
    }
}

fn panel(visitor: &Visitor) -> Markup {
    let shown = |value: &Option<String>| value.clone().unwrap_or_default();
    html! {
        aside aria-labelledby="arrived" {
            h2 #arrived { "What this app was told about you" }
            dl {
                dt { "Member" } dd #member-id { (shown(&visitor.member_id)) }
                dt { "Unit" } dd #member-unit-id { (shown(&visitor.member_unit_id)) }
                dt { "Provider" } dd #provider { (shown(&visitor.provider)) }
                @for (name, value) in &visitor.further {
                    dt { (name) } dd { (value) }
                }
                dt { "Signature" } dd #signature { (visitor.signature) }
            }
            p {
                "The gateway sent these ids in fields of the request: one for you, one for your household. The signature "
                "shows that they come from the gateway and belong to this very request. Names are sent only where the "
                "configuration asks for them."
            }
        }
    }
}
