//! Words as the support score compares them: lower case, plural and possessive endings off, ideographs in pairs.

/// The comparable words of `text`, in order, repeats included.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut ideograph: Option<char> = None;
    for c in text.chars() {
        if is_ideograph(c) {
            flush(&mut word, &mut found);
            if let Some(before) = ideograph {
                found.push([before, c].iter().collect());
            }
            ideograph = Some(c);
            continue;
        }
        ideograph = None;
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        } else if !matches!(c, '\'' | '’') || word.is_empty() {
            flush(&mut word, &mut found);
        }
    }
    flush(&mut word, &mut found);
    found
}

/// Whether a sentence holds enough to be supported or not: "Yes." and a lone list number do not.
pub(crate) fn says_something(sentence: &str) -> bool {
    let words = words(sentence);
    words.iter().any(|word| word.chars().any(char::is_numeric))
        || words.iter().any(|word| word.chars().count() > 3 || !word.is_ascii())
}

/// Whether the word is a number, which a source must hold literally.
pub(super) fn is_number(word: &str) -> bool {
    word.chars().all(char::is_numeric)
}

fn flush(word: &mut String, found: &mut Vec<String>) {
    if !word.is_empty() {
        found.push(stem(std::mem::take(word)));
    }
}

/// A light stem, enough to let "seconds" meet "second" and "restarting" meet "restart". Recall matters more
/// than linguistics here: both sides go through the same function.
fn stem(word: String) -> String {
    if !word.is_ascii() || word.len() < 4 || word.bytes().any(|b| b.is_ascii_digit()) {
        return word;
    }
    for (ending, keep) in [("ies", 3), ("ing", 4), ("ed", 4), ("es", 4), ("s", 3), ("e", 4)] {
        if let Some(stem) =
            word.strip_suffix(ending).filter(|stem| stem.len() >= keep && !stem.ends_with('s'))
        {
            return stem.to_owned();
        }
    }
    word
}

/// Scripts written without spaces, compared by pairs of characters.
pub(super) fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_meet() {
        assert_eq!(words("Seconds, restarting!"), words("second restart"));
    }

    #[test]
    fn ideographs_come_in_pairs() {
        assert_eq!(words("富士山"), ["富士", "士山"]);
    }

    #[test]
    fn a_bare_yes_says_nothing() {
        assert!(!says_something("Yes."));
        assert!(says_something("24"));
    }
}
