//! What LaTeX's commands for single characters stand for (LaTeX 2e: an unofficial reference manual, chapter 23).

/// The character of `\name`, if it is one of these.
pub(super) fn symbol(name: &str) -> Option<&'static str> {
    Some(match name {
        "ss" => "ß",
        "ae" => "æ",
        "AE" => "Æ",
        "oe" => "œ",
        "OE" => "Œ",
        "o" => "ø",
        "O" => "Ø",
        "aa" => "å",
        "AA" => "Å",
        "l" => "ł",
        "L" => "Ł",
        "i" => "ı",
        "j" => "ȷ",
        "dots" | "ldots" | "textellipsis" => "…",
        "S" => "§",
        "P" => "¶",
        "copyright" => "©",
        "pounds" => "£",
        "euro" | "texteuro" => "€",
        "LaTeX" | "LaTeXe" => "LaTeX",
        "TeX" => "TeX",
        "textbackslash" => "\\",
        "textasciitilde" => "~",
        "textasciicircum" => "^",
        "textendash" => "–",
        "textemdash" => "—",
        "textdegree" | "degree" => "°",
        "textbar" => "|",
        "textless" => "<",
        "textgreater" => ">",
        "quad" | "qquad" | "space" | "," | ";" | ":" | " " | "\n" | "\t" | "newline" | "\\" | "linebreak" => {
            " "
        }
        "&" => "&",
        "%" => "%",
        "$" => "$",
        "#" => "#",
        "_" => "_",
        "{" => "{",
        "}" => "}",
        "-" | "/" | "!" | "@" => "",
        _ => return None,
    })
}

/// The combining character of an accent command.
pub(super) fn accent(name: &str) -> Option<char> {
    Some(match name {
        "`" => '\u{300}',
        "'" => '\u{301}',
        "^" => '\u{302}',
        "~" => '\u{303}',
        "=" => '\u{304}',
        "u" => '\u{306}',
        "." => '\u{307}',
        "\"" => '\u{308}',
        "r" => '\u{30a}',
        "H" => '\u{30b}',
        "v" => '\u{30c}',
        "c" => '\u{327}',
        "k" => '\u{328}',
        "d" => '\u{323}',
        "b" => '\u{331}',
        _ => return None,
    })
}

/// How many arguments in braces a command has that say nothing to a reader. Those that follow are read as text.
pub(super) fn silent_arguments(name: &str) -> Option<usize> {
    Some(match name {
        "label" | "includegraphics" | "input" | "include" | "bibliography" | "bibliographystyle"
        | "usepackage" | "RequirePackage" | "documentclass" | "pagestyle" | "thispagestyle" | "vspace"
        | "hspace" | "color" | "hypersetup" | "index" | "glossary" | "nocite" | "pagenumbering"
        | "textcolor" | "colorbox" | "href" | "raisebox" | "parbox" | "scalebox" | "phantom" | "hphantom"
        | "vphantom" | "cline" | "cmidrule" | "lstset" | "tikzset" | "geometry" | "theoremstyle"
        | "hypertarget" | "hyperlink" | "usetheme" | "usecolortheme" | "graphicspath" | "selectlanguage"
        | "foreignlanguage" | "input@path" | "addbibresource" | "makebox" | "pgfplotsset"
        | "usetikzlibrary" | "captionsetup" | "sisetup" | "lstinputlisting" | "includepdf" => 1,
        "setlength"
        | "addtolength"
        | "setcounter"
        | "addtocounter"
        | "newcommand"
        | "renewcommand"
        | "providecommand"
        | "newtheorem"
        | "DeclareMathOperator"
        | "fontsize"
        | "rule"
        | "multicolumn"
        | "multirow"
        | "resizebox"
        | "numberwithin"
        | "newcolumntype"
        | "DeclareRobustCommand"
        | "titleformat" => 2,
        "newenvironment" | "renewenvironment" | "definecolor" | "addcontentsline" | "lstdefinelanguage" => 3,
        _ => return None,
    })
}
