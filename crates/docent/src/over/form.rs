//! Questions that the best passages cannot answer: their form tells.

/// What a question about all documents wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The documents themselves: "which files mention …", "how many documents …".
    Which,
    /// What they say, held against each other: "compare …".
    Compare,
    /// What they say at all: "summarise this folder".
    Summary,
    /// Something of each of them: "what does every report say about …".
    Each,
}

/// What holds text, as people call it.
const DOCUMENTS: [&str; 22] = [
    "document",
    "documents",
    "file",
    "files",
    "folder",
    "folders",
    "text",
    "texts",
    "paper",
    "papers",
    "report",
    "reports",
    "letter",
    "letters",
    "contract",
    "contracts",
    "note",
    "notes",
    "minutes",
    "page",
    "pages",
    "recipe",
];
const SUMMARY: [&str; 6] =
    ["summarise ", "summarize ", "sum up ", "give me a summary", "give a summary", "give me an overview"];
const LISTING: [&str; 6] = ["which", "in which", "list", "list all", "how many", "in how many"];
const ARTICLES: [&str; 8] = ["the", "my", "our", "all", "of", "these", "this", "different"];

impl Form {
    /// The form of a question, if it is one of these. "How many tomatoes …" is none: one passage tells that.
    pub fn of(question: &str) -> Option<Self> {
        let lower = question.trim().to_lowercase();
        if SUMMARY.iter().any(|beginning| lower.starts_with(beginning)) {
            return Some(Form::Summary);
        }
        if lower.starts_with("compare ") {
            return Some(Form::Compare);
        }
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        if asks_what_about(&words) {
            return Some(Form::Summary);
        }
        if LISTING.iter().any(|beginning| names_documents_after(&words, beginning)) {
            return Some(Form::Which);
        }
        let of_each =
            words.windows(2).any(|pair| matches!(pair[0], "every" | "each") && DOCUMENTS.contains(&pair[1]));
        let of_all = [
            "all documents",
            "all files",
            "all the documents",
            "all the files",
            "all of the documents",
            "all my documents",
            "all my files",
        ];
        (of_each || of_all.iter().any(|all| lower.contains(all))).then_some(Form::Each)
    }
}

/// Words between the documents of a question and what they are to hold.
const FRAMING: [&str; 24] = [
    "mention",
    "mentions",
    "say",
    "says",
    "talk",
    "talks",
    "speak",
    "speaks",
    "contain",
    "contains",
    "discuss",
    "discusses",
    "deal",
    "deals",
    "with",
    "about",
    "are",
    "is",
    "that",
    "which",
    "of",
    "something",
    "anything",
    "name",
];

impl Form {
    /// What the documents of a listing question are to hold: "Mr Ruiz" of "Which documents mention Mr Ruiz?". Otherwise the question.
    pub(super) fn topic(question: &str) -> &str {
        if Self::of(question) != Some(Self::Which) {
            return question;
        }
        let mut is_named = false;
        let mut is_frame = |said: &str| {
            let word = said.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
            let was_named = is_named;
            is_named |= DOCUMENTS.contains(&word.as_str());
            !was_named || FRAMING.contains(&word.as_str())
        };
        let framing: usize =
            question.split_inclusive(' ').take_while(|said| is_frame(said)).map(str::len).sum();
        let topic = question[framing..].trim_matches(|c: char| c.is_whitespace() || c == '?');
        if topic.is_empty() { question } else { topic }
    }
}

/// "which of my documents …", "list all files …"
fn names_documents_after(words: &[&str], beginning: &str) -> bool {
    let beginning: Vec<&str> = beginning.split(' ').collect();
    let Some(rest) = words.strip_prefix(beginning.as_slice()) else { return false };
    rest.iter().find(|word| !ARTICLES.contains(word)).is_some_and(|word| DOCUMENTS.contains(word))
}

/// "what is this folder about?", "what are these documents about?"
fn asks_what_about(words: &[&str]) -> bool {
    let [first, second, .., last] = words else { return false };
    *first == "what"
        && matches!(*second, "is" | "are")
        && *last == "about"
        && words.len() <= 6
        && words.iter().any(|word| DOCUMENTS.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_question_is_searched_for_what_the_documents_are_to_hold() {
        assert_eq!(Form::topic("Which documents mention Mr Ruiz?"), "Mr Ruiz");
        assert_eq!(Form::topic("How many of my files are about money?"), "money");
        assert_eq!(Form::topic("What is the notice period?"), "What is the notice period?");
    }

    #[test]
    fn questions_about_documents_are_told_from_questions_about_what_they_say() {
        for (question, form) in [
            ("Which documents mention the boiler?", Some(Form::Which)),
            ("Which of my files are about money?", Some(Form::Which)),
            ("How many documents mention Mr Ruiz?", Some(Form::Which)),
            ("Compare the two leases.", Some(Form::Compare)),
            ("Summarise this folder", Some(Form::Summary)),
            ("What is this folder about?", Some(Form::Summary)),
            ("What does each report say about costs?", Some(Form::Each)),
            ("How many tomatoes had we harvested by mid-September?", None),
            ("Which breaker is the garage freezer on?", None),
            ("What is the notice period?", None),
            ("May I distribute only a part of a work?", None),
        ] {
            assert_eq!(Form::of(question), form, "{question}");
        }
    }
}
