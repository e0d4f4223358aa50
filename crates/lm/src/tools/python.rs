//! Calls written as Python: the part of the language that calls with literal arguments need.
//!
//! ```text
//! calls    = [ "[" ] call { "," call } [ "]" ]
//! call     = name { "." name } "(" [ argument { "," argument } [ "," ] ] ")"
//! argument = name "=" value
//! value    = string { string } | number | True | False | None | list | tuple | dict
//! ```
//! JSON's `true`, `false` and `null` are read as well, since models mix them up. Depth is bounded, so no text overflows the stack.

use serde_json::{Map, Number, Value};

use super::{ToolCall, ToolCallError};

/// Lists and dicts may nest so deep.
const MAX_DEPTH: usize = 64;

/// Reads a call or a list of calls.
pub(super) fn calls(text: &str) -> Result<Vec<ToolCall>, ToolCallError> {
    let mut reader = Reader { text, at: 0 };
    reader.calls().map_err(|what| ToolCallError { text: text.to_owned(), at: reader.at, what })
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

type Read<T> = Result<T, &'static str>;

impl Reader<'_> {
    fn calls(&mut self) -> Read<Vec<ToolCall>> {
        let in_list = self.take('[');
        let mut calls = Vec::new();
        self.items(if in_list { Some(']') } else { None }, |reader| {
            calls.push(reader.call()?);
            Ok(())
        })?;
        self.skip_blanks();
        if self.at < self.text.len() { Err("nothing may follow") } else { Ok(calls) }
    }

    fn call(&mut self) -> Read<ToolCall> {
        let mut name = self.name()?;
        while self.take('.') {
            name.push('.');
            name.push_str(&self.name()?);
        }
        if !self.take('(') {
            return Err("`(` expected");
        }
        let mut arguments = Map::new();
        self.items(Some(')'), |reader| {
            let name = reader.name().map_err(|_| "an argument needs a name")?;
            if !reader.take('=') {
                return Err("`=` expected: arguments are given by name");
            }
            let value = reader.value(0)?;
            if arguments.insert(name, value).is_some() {
                return Err("an argument is given twice");
            }
            Ok(())
        })?;
        Ok(ToolCall { name, arguments })
    }

    /// Items apart by commas up to `close` (taken too), or to the end of the text.
    fn items(&mut self, close: Option<char>, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        loop {
            self.skip_blanks();
            if self.is_closed(close) {
                return Ok(());
            }
            item(self)?;
            self.skip_blanks();
            if !self.take(',') {
                return if self.is_closed(close) {
                    Ok(())
                } else {
                    Err("`,` or the end of the list expected")
                };
            }
        }
    }

    fn is_closed(&mut self, close: Option<char>) -> bool {
        close.map_or(self.at == self.text.len(), |close| self.take(close))
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        if depth > MAX_DEPTH {
            return Err("nested too deep");
        }
        self.skip_blanks();
        match self.peek() {
            Some('\'' | '"') => self.strings(),
            Some('[') => self.list(']', depth),
            Some('(') => self.list(')', depth),
            Some('{') => self.dict(depth),
            Some('0'..='9' | '-' | '+' | '.') => self.number(),
            _ => match self.name()?.as_str() {
                "True" | "true" => Ok(Value::Bool(true)),
                "False" | "false" => Ok(Value::Bool(false)),
                "None" | "null" => Ok(Value::Null),
                _ => Err("only literal values are allowed"),
            },
        }
    }

    fn list(&mut self, close: char, depth: usize) -> Read<Value> {
        self.next();
        let mut values = Vec::new();
        self.items(Some(close), |reader| {
            values.push(reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::Array(values))
    }

    fn dict(&mut self, depth: usize) -> Read<Value> {
        self.next();
        let mut fields = Map::new();
        self.items(Some('}'), |reader| {
            let name = match reader.value(depth + 1)? {
                Value::String(name) => name,
                Value::Number(number) => number.to_string(),
                _ => return Err("a key is a string"),
            };
            if !reader.take(':') {
                return Err("`:` expected");
            }
            fields.insert(name, reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::Object(fields))
    }

    fn number(&mut self) -> Read<Value> {
        let start = self.at;
        while let Some(c) = self.peek() {
            let after_exponent = self.text[start..self.at].ends_with(['e', 'E']);
            let is_sign = matches!(c, '+' | '-') && (self.at == start || after_exponent);
            if !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '_') || is_sign) {
                break;
            }
            self.next();
        }
        let digits = self.text[start..self.at].replace('_', "");
        let digits = digits.strip_prefix('+').unwrap_or(&digits);
        if let Ok(whole) = digits.parse::<i64>() {
            return Ok(whole.into());
        }
        let number = digits.parse::<f64>().ok().and_then(Number::from_f64);
        number.map(Value::Number).ok_or("not a number")
    }

    /// One string, or several side by side, which Python joins.
    fn strings(&mut self) -> Read<Value> {
        let mut text = String::new();
        while matches!(self.peek(), Some('\'' | '"')) {
            self.string(&mut text)?;
            self.skip_blanks();
        }
        Ok(Value::String(text))
    }

    fn string(&mut self, out: &mut String) -> Read<()> {
        let quote = if self.text[self.at..].starts_with("'''") {
            "'''"
        } else if self.text[self.at..].starts_with("\"\"\"") {
            "\"\"\""
        } else {
            &self.text[self.at..=self.at]
        };
        self.at += quote.len();
        loop {
            if self.text[self.at..].starts_with(quote) {
                self.at += quote.len();
                return Ok(());
            }
            match self.next().ok_or("the string does not end")? {
                '\\' => self.escape(out)?,
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Read<()> {
        let c = match self.next().ok_or("the string does not end")? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '0' => '\0',
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '\n' => return Ok(()),
            c @ ('\\' | '\'' | '"') => c,
            c => {
                out.push('\\'); // Python keeps an escape that it does not know
                c
            }
        };
        out.push(c);
        Ok(())
    }

    fn code(&mut self, n_digits: usize) -> Read<char> {
        let digits = self.text.get(self.at..self.at + n_digits).ok_or("the escape does not end")?;
        let code = u32::from_str_radix(digits, 16).map_err(|_| "the escape is not hexadecimal")?;
        self.at += n_digits;
        char::from_u32(code).ok_or("the escape is no character")
    }

    fn name(&mut self) -> Read<String> {
        self.skip_blanks();
        let start = self.at;
        while let Some(c) = self.peek() {
            let may_start = c.is_alphabetic() || c == '_';
            if !(may_start || self.at > start && (c.is_numeric() || c == '-')) {
                break;
            }
            self.next();
        }
        if self.at == start {
            Err("a name or value expected")
        } else {
            Ok(self.text[start..self.at].to_owned())
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Takes `c` if it comes next, after blanks.
    fn take(&mut self, c: char) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(c);
        if found {
            self.next();
        }
        found
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }
}
