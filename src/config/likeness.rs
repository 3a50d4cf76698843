//! What an operator may have meant: the word of a list that another one is, or nearly is.

/// From here on one word is nearly another: two steps for five letters.
const LIKENESS: f64 = 0.6;

/// The word of a list that another is, or nearly is; of several the one that is most like it.
pub(super) fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let folded = |word: &str| word.to_ascii_lowercase().replace('-', "_");
    let word = folded(word);
    let scored = words.filter_map(|known| {
        let other = folded(known);
        may_be_alike(&word, &other).then(|| (likeness(&word, &other), known))
    });
    let (likeness, known) = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (likeness >= LIKENESS).then_some(known)
}

fn likeness(left: &str, right: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(left, right)
}

/// Whether it is worth while to count the steps from one word to another, which takes the product of their lengths. A step
/// takes away one letter that the other word has not, or puts one in the place of another and takes away two; where two letters
/// change places, none. And as many letters as one word is longer take a step each.
fn may_be_alike(left: &str, right: &str) -> bool {
    let lengths = [left, right].map(|word| word.chars().count());
    let (longest, surplus) = (lengths[0].max(lengths[1]), lengths[0].abs_diff(lengths[1]));
    let may_be = |steps: usize| steps * 5 <= longest * 2;
    may_be(surplus) && may_be((letters_of_one(left, right) + surplus) / 2)
}

/// How many letters only one of two words has. Letters that share a place hide some, and never add one.
fn letters_of_one(left: &str, right: &str) -> usize {
    let place = |letter: char| letter as usize % 64;
    let mut more = [0_isize; 64];
    left.chars().for_each(|letter| more[place(letter)] += 1);
    right.chars().for_each(|letter| more[place(letter)] -= 1);
    more.iter().map(|more| more.unsigned_abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "access allow api cert certificates client client_id client_secret environment first_byte first_name \
                         forwarded grant handover head_bytes id idle idle_timeout keys kind last_name limits listen max_age \
                         member_id member_unit_id methods name path provider providers public_url recheck redirect site \
                         store token_url trusted_proxies ttl upstream upstreams userinfo_url ä keyß ¡¢£¤¥ €uro";

    #[test]
    fn no_word_is_passed_over_that_is_alike() {
        let known: Vec<Vec<char>> = WORDS.split_whitespace().map(|word| word.chars().collect()).collect();
        let mut words = known.clone();
        for word in &known {
            for at in 1..word.len() {
                let mut written = word.clone();
                written.swap(at - 1, at);
                words.push(written.clone());
                written.remove(at);
                words.push(written.clone());
                written.insert(0, 'x');
                words.push(written);
            }
        }
        let words: Vec<String> = words.into_iter().map(String::from_iter).collect();
        for left in WORDS.split_whitespace() {
            for right in &words {
                assert!(
                    likeness(left, right) < LIKENESS || may_be_alike(left, right),
                    "{left} and {right} are alike"
                );
            }
        }
    }

    #[test]
    fn the_word_that_is_most_like_another_is_meant() {
        for (word, meant) in [
            ("member-Id", Some("member_id")),
            ("upstraem", Some("upstream")),
            ("keesp", Some("keys")),
            ("banana", None),
        ] {
            assert_eq!(nearest(word, WORDS.split_whitespace()), meant, "{word}");
        }
    }
}
