//! Colour: shades of the operator's colour that can be read, on light paper and on dark.
//!
//! Promises a contrast of at least 4.5:1 (WCAG 2.2 §1.4.3) between a shade and the paper, and between a shade and the text
//! that stands on it, whatever the operator's colour is. Pure.

/// What the pages are written on, in both schemes, and what stands on a button; `pages.css` has the same.
const LIGHT: Scheme =
    Scheme { paper: Colour([0xff, 0xff, 0xff]), on_key: Colour([0xff, 0xff, 0xff]), towards: 0x00 };
const DARK: Scheme =
    Scheme { paper: Colour([0x14, 0x18, 0x1f]), on_key: Colour([0x0d, 0x14, 0x20]), towards: 0xff };
/// What a text has to have at least.
const LEAST_CONTRAST: f64 = 4.5;

/// A colour of the sRGB space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

struct Scheme {
    paper: Colour,
    on_key: Colour,
    /// Where a shade moves until it can be read: black or white.
    towards: u8,
}

impl Colour {
    /// A colour as `#rrggbb`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// The style of the pages in this colour: the properties on which `pages.css` draws, for both schemes.
    #[must_use]
    pub fn style(self) -> String {
        let (light, dark) = (self.readable(&LIGHT), self.readable(&DARK));
        format!(
            ":root {{ --key: {light}; }}\n@media (prefers-color-scheme: dark) {{ :root {{ --key: {dark}; }} }}\n"
        )
    }

    /// The nearest shade that can be read in a scheme, on the paper and below text.
    fn readable(self, scheme: &Scheme) -> Self {
        let shade = |step: u16| {
            Self(self.0.map(|channel| {
                let (from, to) = (u32::from(channel), u32::from(scheme.towards));
                let mixed = (from * (255 - u32::from(step)) + to * u32::from(step)) / 255;
                u8::try_from(mixed).expect("between two channels")
            }))
        };
        let can_be_read = |shade: &Self| {
            shade.contrast(scheme.paper) >= LEAST_CONTRAST && shade.contrast(scheme.on_key) >= LEAST_CONTRAST
        };
        // The last step is black or white itself, which can always be read.
        (0..=255).map(shade).find(can_be_read).unwrap_or(shade(255))
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_colour_is_six_hexadecimal_digits() {
        assert_eq!(Colour::parse("#0B5cad").unwrap().to_string(), "#0b5cad");
        for text in ["", "#", "0b5cad", "#0b5ca", "#0b5cad0", "#0b5cag", "#+b5cad", "red", "#é5cad"] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_contrast_is_that_of_wcag() {
        let colour = |text| Colour::parse(text).unwrap();
        assert!((colour("#000000").contrast(colour("#ffffff")) - 21.0).abs() < 1e-9);
        assert!((colour("#777777").contrast(colour("#ffffff")) - 4.478).abs() < 1e-3);
    }

    #[test]
    fn a_colour_that_can_be_read_stays_as_it_is() {
        assert_eq!(Colour::parse("#0b5cad").unwrap().readable(&LIGHT).to_string(), "#0b5cad");
        assert_eq!(Colour::parse("#8cc2ff").unwrap().readable(&DARK).to_string(), "#8cc2ff");
    }

    #[test]
    fn the_style_sheet_has_the_same_paper_and_the_same_text_on_a_button() {
        let css = crate::gateway::pages::STYLE.replace("#fff;", "#ffffff;");
        for scheme in [LIGHT, DARK] {
            for property in [format!("--paper: {};", scheme.paper), format!("--on-key: {};", scheme.on_key)] {
                assert!(css.contains(&property), "{property}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_colour_can_be_read_in_light_and_dark_on_paper_and_on_a_button(channels: [u8; 3]) {
            for scheme in [LIGHT, DARK] {
                let shade = Colour(channels).readable(&scheme);
                prop_assert!(shade.contrast(scheme.paper) >= LEAST_CONTRAST, "{shade}");
                prop_assert!(shade.contrast(scheme.on_key) >= LEAST_CONTRAST, "{shade}");
            }
        }
    }
}
