//! What the parsers of tool calls promise.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::tokenizer::tests::spec;

fn call(name: &str, arguments: Value) -> ToolCall {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    ToolCall { name: name.to_owned(), arguments }
}

#[test]
fn python_calls_become_values() {
    let text = r#"[search.web(query='O\'Hare "x"', limit=-3, deep=True, none=None, at=1.5e3, list=[1, 'two', (3,),], map={'k': {"n": []}}), stop()]"#;
    assert_eq!(
        parse(text).unwrap(),
        [
            call(
                "search.web",
                json!({"query": "O'Hare \"x\"", "limit": -3, "deep": true, "none": null, "at": 1500.0,
                    "list": [1, "two", [3]], "map": {"k": {"n": []}}})
            ),
            call("stop", json!({})),
        ]
    );
    assert_eq!(parse(" f( a = 'x' ) ").unwrap(), [call("f", json!({"a": "x"}))]);
    assert_eq!(
        parse("f(a='x' 'y', b=\"\"\"p\n'q'\"\"\")").unwrap(),
        [call("f", json!({"a": "xy", "b": "p\n'q'"}))]
    );
    assert_eq!(
        parse(r"f(a='\n\t\x41\u4e2d\U0001F600\d\\')").unwrap(),
        [call("f", json!({"a": "\n\tA中😀\\d\\"}))]
    );
    assert_eq!(parse("").unwrap(), []);
}

#[test]
fn json_calls_become_values() {
    let expected = [call("f", json!({"a": 1})), call("g", json!({}))];
    for text in [
        r#"[{"name": "f", "arguments": {"a": 1}}, {"name": "g"}]"#,
        r#"{"name": "f", "parameters": {"a": 1}} {"name": "g", "arguments": null}"#,
        r#"[{"type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}, {"name": "g", "arguments": {}}]"#,
    ] {
        assert_eq!(parse(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_is_no_call_is_an_error_that_says_where() {
    for (text, at, what) in [
        ("[f(a=1)", 7, "`,` or the end"),
        ("[f(1)]", 3, "needs a name"),
        ("[f(a=b)]", 6, "only literal"),
        ("[f(a=open('x'))]", 9, "only literal"),
        ("[f(a='x)]", 9, "does not end"),
        ("[f(a=1, a=2)]", 11, "twice"),
        ("f(a=1) g", 7, "`,` or the end"),
        ("[f(a=1)] g", 9, "nothing may follow"),
        ("f(a=--1)", 5, "not a number"),
        ("f(a='\\ud800')", 11, "no character"),
        (r#"{"name": 1}"#, 0, "`name`"),
        (r#"{"name": "f""#, 0, "not JSON"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.what.contains(what), "{text}: {error}");
        assert!(at == 0 || error.at == at, "{text}: {error}");
    }
    assert!(parse(&format!("f(a={}", "[".repeat(100_000))).unwrap_err().what.contains("deep"));
}

#[test]
fn only_the_marker_tokens_make_a_call() {
    let mut spec = spec("lfm2");
    for (text, kind) in [("<|tool_call_start|>", 3), ("<|tool_call_end|>", 3)] {
        spec.tokens.push(text.to_owned());
        spec.token_types.push(kind);
    }
    let tokenizer = Tokenizer::new(spec).unwrap();
    let text =
        "Well. <|tool_call_start|>[f(a=1)]<|tool_call_end|> and <|tool_call_start|>g()<|tool_call_end|>";
    let calls = calls_in(&tokenizer, &tokenizer.encode_template(text)).unwrap();
    assert_eq!(calls, [call("f", json!({"a": 1})), call("g", json!({}))]);
    assert_eq!(calls_in(&tokenizer, &tokenizer.encode(text)).unwrap(), []);
    let broken_off = tokenizer.encode_template("<|tool_call_start|>[f(a='x");
    assert!(calls_in(&tokenizer, &broken_off).is_err());
}

#[test]
fn results_are_text_or_json() {
    assert_eq!(render_result(&json!("plain \"text\"")), "plain \"text\"");
    assert_eq!(render_result(&json!({"b": 1, "a": [null]})), r#"{"b":1,"a":[null]}"#);
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in "([\\[\\](){}'\"=:,.\\\\ \nxu0-9a-eTn-]|\\PC){0,60}") {
        let _ = parse(&text);
        let _ = python::calls(&text);
        let _ = json::calls(&text);
    }
}
