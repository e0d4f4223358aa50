//! Questions that nobody asks: what a fuzzer and people with a grudge write.

/// Strings that break programs.
pub fn strings() -> Vec<String> {
    let repeated =
        ["(", ")", "((a", "\"", "\" \"", "\"a b\" ", "a\0", "日", "🍎", "\u{301}", "é", "_a", "the "];
    let repeated = repeated.map(|piece| piece.repeat(100_000 / piece.len()));
    let short = [
        "",
        " ",
        "\0",
        "\"",
        "\"\"",
        "“",
        "„a”",
        "»",
        "the of and",
        "🍎",
        "👩‍👩‍👧‍👦",
        "a\0b",
        "AND",
        "NOT engine",
        "a OR",
        "body:engine",
        "*",
        "?",
        "~",
        "^2",
        "[1 TO 2]",
        "{a TO b}",
        "\\",
        "-",
        "+",
        "&&",
        "||",
        "!",
        "engine~2",
        "\u{feff}",
        "\u{202e}abc",
        "\u{fffd}",
        "İ",
        "ß",
        "ﷺ",
        "Ⅷ",
        "①",
        "''",
        "l'",
        "__",
        "\r\n\t",
    ];
    short.map(str::to_owned).into_iter().chain(repeated).collect()
}

/// `n` random strings, the same ones every time.
pub fn random(n: usize) -> Vec<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |n: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as u32 % n
    };
    const PIECES: [&str; 14] =
        ["\"", "(", ")", " ", "engine", "parse_http", "梅雨", "日", "\0", "été", "'", ":", "-", "\u{301}"];
    let mut one = || {
        let mut query = String::new();
        for _ in 0..next(60) {
            match next(4) {
                0 => query.extend(char::from_u32(next(0x11_0000))),
                1 => query.extend(char::from_u32(next(0x250))),
                _ => query.push_str(PIECES[next(PIECES.len() as u32) as usize]),
            }
        }
        query
    };
    (0..n).map(|_| one()).collect()
}
