//! Single values as people write them.

use super::UNNAMED;

pub(super) fn parse_collection(text: &str) -> Result<String, String> {
    if text == UNNAMED || docent::Settings::check_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a collection's name has letters, digits, '-', '_' and '.', at most 64, and no '.' first; \
             the one without a name is '.'"
            .to_owned())
    }
}

pub(super) fn parse_pattern(text: &str) -> Result<String, String> {
    docent::check_pattern(text).map(|()| text.to_owned())
}

/// `deu+eng`: names of tesseract's models. Some are files in a folder: `script/Latin`.
pub(super) fn parse_languages(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '-'))
    };
    match text.split('+').all(is_name) {
        true => Ok(text.to_owned()),
        false => Err("expected languages as tesseract names them, such as eng or deu+eng".to_owned()),
    }
}

pub(super) fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=1e6).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds".to_owned()),
    }
}

/// `64MB`, `1.5G`, `800k`, `12345`: units of 1024.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let number_len = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(number_len);
    let factor = match unit.trim() {
        "" | "b" => 1.0,
        "k" | "kb" => 1024.0,
        "m" | "mb" => 1024.0 * 1024.0,
        "g" | "gb" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err("expected a size such as 64MB, 800k or 1.5G".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "expected a size such as 64MB, 800k or 1.5G".to_owned())?;
    Ok((number * factor) as u64)
}

pub(super) fn parse_positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected a number of at least 1".to_owned())
}

pub(super) fn parse_probability(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

pub(super) fn parse_penalty(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.5..=2.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0.5 to 2".to_owned()),
    }
}

pub(super) fn parse_temperature(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=5.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse_size("64MB"), Ok(64 << 20));
        assert_eq!(parse_size("1.5g"), Ok(3 << 29));
        assert_eq!(parse_size("12"), Ok(12));
        assert!(parse_size("lots").is_err());
    }
}
