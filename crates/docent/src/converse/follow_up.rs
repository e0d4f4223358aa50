//! A question that follows another, made whole enough to be searched for.
//!
//! "And how often does it need a new one?" names nothing that a search could find. Where a question points back (pronouns, "and …", hardly
//! a content word of its own), the content words of the question before it are searched for along with it; where it points to a person,
//! the names of the answer as well. The model is asked the question as it was said: it has read what came before.

use crate::found::said_content;

/// Words that point back at something named before.
const POINTING: [&str; 21] = [
    "it", "its", "they", "them", "their", "theirs", "he", "him", "his", "she", "her", "hers", "those",
    "these", "ones", "former", "latter", "itself", "same", "else", "instead",
];
/// Those of them that point at a person.
const PERSONAL: [&str; 6] = ["he", "him", "his", "she", "her", "hers"];
/// Words that point back where hardly anything else is said.
const POINTING_IN_SHORT: [&str; 8] = ["this", "that", "there", "then", "one", "more", "other", "another"];
/// How a question begins that goes on with the one before.
const GOES_ON: [&str; 8] = ["and ", "what about", "how about", "but ", "or ", "also ", "why", "und "];
/// The same where no spaces stand between words.
const GOES_ON_IDEOGRAPHIC: [&str; 8] = ["それ", "その", "では", "じゃあ", "那", "它", "他", "她"];
/// With fewer content words than this a question says too little to be found by.
const FEW_WORDS: usize = 2;
/// With fewer than this, a weak pointer counts.
const SOME_WORDS: usize = 4;
/// Names of an answer that are searched for, at most.
const MOST_NAMES: usize = 3;

/// `question` made whole enough to be searched for, where it points back at what was `said` before: questions, each with its answer, the
/// first one first. For conversations that somebody else keeps.
pub fn standing_alone(said: &[(String, String)], question: &str) -> String {
    let mut before: Option<(String, &str)> = None;
    let whole = |before: &Option<(String, &str)>, question: &str| {
        let found = before.as_ref().and_then(|(before, answer)| standalone(question, before, answer));
        found.unwrap_or_else(|| question.to_owned())
    };
    for (asked, answer) in said {
        before = Some((whole(&before, asked), answer.as_str()));
    }
    whole(&before, question)
}

/// What to search for instead of `question`, which follows `before` (as that was searched for) and its answer; `None` where it stands
/// for itself.
pub(super) fn standalone(question: &str, before: &str, answer: &str) -> Option<String> {
    let lower = question.trim().to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let content = said_content(question);
    let points = words.iter().any(|word| POINTING.contains(word))
        || content.len() < SOME_WORDS && words.iter().any(|word| POINTING_IN_SHORT.contains(word));
    let goes_on = GOES_ON.iter().any(|beginning| lower.starts_with(beginning))
        || GOES_ON_IDEOGRAPHIC.iter().any(|beginning| lower.starts_with(beginning));
    let says_little = question.is_ascii() && content.len() < FEW_WORDS;
    if !(points || goes_on || says_little) {
        return None;
    }
    let mut added: Vec<&str> = Vec::new();
    let is_personal = words.iter().any(|word| PERSONAL.contains(word));
    let names = if is_personal { names(answer) } else { Vec::new() };
    for word in names.into_iter().chain(said_content(before)) {
        let is_said = |known: &&str| known.to_lowercase() == word.to_lowercase();
        if !added.iter().any(is_said) && !content.iter().any(is_said) {
            added.push(word);
        }
    }
    (!added.is_empty()).then(|| format!("{} ({})", question.trim(), added.join(" ")))
}

/// Capitalised words inside the sentences of an answer.
fn names(answer: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let mut starts = true;
    for said in answer.split_whitespace() {
        let word = said.trim_matches(|c: char| !c.is_alphanumeric());
        let is_name =
            !starts && word.chars().next().is_some_and(char::is_uppercase) && word.chars().count() > 1;
        if is_name && !names.contains(&word) && names.len() < MOST_NAMES {
            names.push(word);
        }
        starts = said.ends_with(['.', '!', '?', ':']);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "How often does the magnesium anode have to be replaced?";

    #[test]
    fn a_question_that_points_back_is_searched_with_what_it_points_at() {
        let asked = |question| standalone(question, BEFORE, "Every two years.");
        assert_eq!(
            asked("And what does it cost?").as_deref(),
            Some("And what does it cost? (magnesium anode replaced)")
        );
        assert_eq!(asked("Why?").as_deref(), Some("Why? (magnesium anode replaced)"));
        assert_eq!(asked("Who does that?").as_deref(), Some("Who does that? (magnesium anode replaced)"));
    }

    #[test]
    fn a_question_that_stands_for_itself_is_searched_as_it_is() {
        assert_eq!(standalone("Which pressure is normal for the boiler?", BEFORE, ""), None);
        assert_eq!(standalone("What is the rent of the flat in Harbour Street?", BEFORE, ""), None);
    }

    #[test]
    fn a_person_is_searched_by_the_names_of_the_answer() {
        let asked = standalone(
            "What is her telephone number?",
            "Who keeps the key?",
            "The key is with Ada Lovelace.",
        );
        assert_eq!(asked.as_deref(), Some("What is her telephone number? (Ada Lovelace keeps key)"));
    }

    #[test]
    fn a_question_may_point_back_at_one_that_points_back_itself() {
        let said = |question: &str, answer: &str| (question.to_owned(), answer.to_owned());
        let conversation =
            [said(BEFORE, "Every two years."), said("And what does it cost?", "About 40 euros.")];
        assert_eq!(
            standing_alone(&conversation, "Who does that?"),
            "Who does that? (cost magnesium anode replaced)"
        );
        assert_eq!(standing_alone(&[], "Who does that?"), "Who does that?");
    }

    #[test]
    fn what_is_said_again_is_not_searched_twice() {
        let asked = standalone("How big is it, the anode?", "How old is the anode?", "");
        assert!(asked.is_none_or(|asked| asked.matches("anode").count() == 1));
    }
}
