//! The languages that have a stemmer.

use tantivy::tokenizer::Language as Snowball;

macro_rules! languages {
    ($($name:ident $two:literal $three:literal,)*) => {
        /// A language whose words are stemmed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Language { $($name,)* }

        impl Language {
            /// The language of an ISO 639-1 or 639-3 code or an English name, in any case; none if it is not stemmed.
            pub(crate) fn from_code(code: &str) -> Option<Self> {
                let code = code.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
                $(if code == $two || code == $three || code.eq_ignore_ascii_case(stringify!($name)) {
                    return Some(Language::$name);
                })*
                None
            }

            /// The stemmer's own name of the language.
            pub(super) fn snowball(self) -> Snowball {
                match self { $(Language::$name => Snowball::$name,)* }
            }
        }
    };
}

languages! {
    Arabic "ar" "ara",
    Danish "da" "dan",
    Dutch "nl" "nld",
    English "en" "eng",
    Finnish "fi" "fin",
    French "fr" "fra",
    German "de" "deu",
    Greek "el" "ell",
    Hungarian "hu" "hun",
    Italian "it" "ita",
    Norwegian "no" "nob",
    Portuguese "pt" "por",
    Romanian "ro" "ron",
    Russian "ru" "rus",
    Spanish "es" "spa",
    Swedish "sv" "swe",
    Tamil "ta" "tam",
    Turkish "tr" "tur",
}

impl Language {
    /// Articles lose their vowel before another and are written with the noun: l'avion, dell'arte.
    pub(super) fn elides(self) -> bool {
        matches!(self, Language::French | Language::Italian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_mean_the_same() {
        for code in ["en", "eng", "EN", "english", "English", "en-GB", "en_US"] {
            assert_eq!(Language::from_code(code), Some(Language::English), "{code}");
        }
        assert_eq!(Language::from_code("jpn"), None);
        assert_eq!(Language::from_code(""), None);
    }
}
