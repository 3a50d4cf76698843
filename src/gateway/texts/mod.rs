//! Texts: everything that the gateway's pages say, once for each language.
//!
//! One structure, and a file with one constant for each language: a text that is not translated does not compile. Why a
//! text is shown is none of its business.

mod english;
mod french;
mod spanish;

use super::language::Language;

/// What happened, and what to do about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explanation {
    /// The heading, a sentence.
    pub(super) title: &'static str,
    /// What to do.
    pub(super) advice: &'static str,
    /// The same in detail, where there are several causes to think of.
    pub(super) points: &'static [&'static str],
}

impl Explanation {
    const fn new(title: &'static str, advice: &'static str) -> Self {
        Self { title, advice, points: &[] }
    }
}

/// What the pages say in one language.
#[derive(Debug)]
pub(super) struct Texts {
    // Words that several pages share.
    /// What a page is called that belongs to no site.
    pub(super) sign_in_page: &'static str,
    pub(super) sign_in: &'static str,
    pub(super) sign_in_again: &'static str,
    pub(super) another_way: &'static str,
    pub(super) try_again: &'static str,
    pub(super) front_page: &'static str,
    /// In front of a number, with its colon.
    pub(super) reference_number: &'static str,
    /// In front of the operator's words, with its colon.
    pub(super) contact: &'static str,

    // The chooser.
    pub(super) choose: &'static str,
    pub(super) last_choice: &'static str,

    // Signing out.
    pub(super) sign_out_title: &'static str,
    pub(super) sign_out: &'static str,
    pub(super) stay: &'static str,
    pub(super) signed_out_here: Explanation,

    // What outlives a login.
    pub(super) form_kept: Explanation,
    pub(super) form_not_storable: &'static str,
    pub(super) form_needs_script: &'static str,
    pub(super) form_sent: Explanation,
    pub(super) fragment_kept: &'static str,

    // A login that failed.
    pub(super) nothing_to_tell: Explanation,
    pub(super) stale: Explanation,
    pub(super) malformed: Explanation,
    pub(super) access_denied: Explanation,
    pub(super) no_identity: Explanation,
    pub(super) not_in_directory: Explanation,
    pub(super) ambiguous_in_directory: Explanation,
    pub(super) lapsed: Explanation,
    pub(super) looping: Explanation,
    pub(super) vendor_refuses: Explanation,
    pub(super) vendor_broken: Explanation,
    pub(super) vendor_away: Explanation,

    // A request that is refused.
    pub(super) target_too_long: Explanation,
    pub(super) too_many_cookies: Explanation,
    pub(super) target_not_ascii: Explanation,
    pub(super) ambiguous_path: Explanation,
    pub(super) unknown_expectation: Explanation,
    pub(super) method_not_served: Explanation,
    pub(super) going_in_circles: Explanation,
    pub(super) method_not_allowed: Explanation,
    pub(super) no_such_endpoint: Explanation,
    pub(super) denied: Explanation,
    pub(super) not_admitted: Explanation,
    pub(super) cannot_be_named: Explanation,
    pub(super) membership_unknown: Explanation,
    pub(super) revocations_unknown: Explanation,
    pub(super) untrusted_proxy: Explanation,
    pub(super) unclear_question: Explanation,
    pub(super) own_path_asked_about: Explanation,
    pub(super) foreign_origin: Explanation,
    pub(super) foreign_form: Explanation,
    pub(super) too_many_sign_ins: Explanation,
    pub(super) form_not_kept: Explanation,
    pub(super) no_site_named: Explanation,
    pub(super) unknown_site: Explanation,
    pub(super) unasked_upgrade: Explanation,
    pub(super) upstream_away: Explanation,
    pub(super) upstream_full: Explanation,
    pub(super) upstream_silent: Explanation,
    pub(super) request_broken_off: Explanation,
}

impl Texts {
    /// Those of a language.
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &english::TEXTS,
            Language::Spanish => &spanish::TEXTS,
            Language::French => &french::TEXTS,
        }
    }
}
