//! What generation promises, on a small model with random weights (of the `lm` crate's tests): its text is noise, but always the same.

use std::path::Path;

use docent_infer::{
    Cancel, Engine, EngineOptions, Event, Finish, GenerateOptions, Generated, InferError, Reading, Sampling,
    Session, mean_nll,
};
use docent_kernels::{KvType, Settings};
use docent_lm::{LmError, Logits};

fn engine() -> Engine {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/data/nano-f32.gguf");
    let kernels = Settings { n_threads: 2, ..Settings::default() };
    Engine::open(&path, &EngineOptions { kv_type: KvType::F16, kernels }).unwrap()
}

fn prompt(engine: &Engine, text: &str) -> Vec<u32> {
    engine.model().tokenizer().encode_template(text)
}

fn options(max_tokens: usize) -> GenerateOptions {
    GenerateOptions { max_tokens, ..GenerateOptions::default() }
}

fn generate(engine: &Engine, prompt: &[u32], options: &GenerateOptions) -> Generated {
    engine.generate(prompt, options, &Cancel::new(), &mut |_| {}).unwrap()
}

/// Brings `session` to `prompt` and gives the logits' bits.
fn synced(engine: &Engine, session: &mut Session, prompt: &[u32]) -> (usize, Vec<u32>) {
    let synced =
        session.sync(engine.model(), prompt, &mut |_, _| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!(session.tokens(), prompt);
    assert_eq!(session.state().n_tokens(), prompt.len());
    (synced.n_cached, synced.logits.iter().map(|logit| logit.to_bits()).collect())
}

/// Text of `n` words that differ.
fn words(n: usize) -> String {
    (0..n).map(|word| format!("the {word} ")).collect()
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_seed_another() {
    let engine = engine();
    let prompt = prompt(&engine, "<|im_start|>user\nhello");
    let sampled = |seed| {
        let sampling = Sampling { temperature: 1.0, top_k: 50, seed, ..Sampling::default() };
        generate(&engine, &prompt, &GenerateOptions { sampling, ..options(30) })
    };
    assert_eq!(sampled(1).tokens, sampled(1).tokens);
    assert_ne!(sampled(1).tokens, sampled(2).tokens);
}

#[test]
fn a_session_goes_to_any_prompt_with_the_bits_of_a_cold_start() {
    let engine = engine();
    let long = prompt(&engine, &words(100));
    assert!(long.len() > 300, "{} tokens", long.len());
    let mut other_end = long[..290].to_vec();
    other_end.extend(prompt(&engine, "another end"));
    let nothing_in_common = prompt(&engine, "x");
    let mut session = engine.session();
    for (prompt, expected) in [
        (&long[..280], 0),
        (&long[..], 280),
        (&other_end[..], 290),
        (&long[..200], 199),
        (&nothing_in_common[..], 0),
        (&long[..5], 0),
    ] {
        let (n_cached, bits) = synced(&engine, &mut session, prompt);
        assert_eq!(n_cached, expected);
        assert_eq!(bits, synced(&engine, &mut engine.session(), prompt).1, "{} tokens", prompt.len());
    }
}

#[test]
fn a_second_turn_reuses_the_first_and_answers_as_if_it_had_not() {
    let engine = engine();
    let mut session = engine.session();
    let mut turn = prompt(&engine, "<|im_start|>user\none<|im_end|>\n");
    let run = |session: &mut Session, prompt: &[u32]| {
        engine.generate_in(session, prompt, &options(10), &Cancel::new(), &mut |_| {}).unwrap()
    };
    let first = run(&mut session, &turn);
    assert_eq!(first.usage.cached_tokens, 0);
    turn.extend(&first.tokens);
    let n_said = turn.len();
    turn.extend(prompt(&engine, "<|im_end|>\n<|im_start|>user\ntwo<|im_end|>\n"));
    let warm = run(&mut session, &turn);
    let cold = run(&mut engine.session(), &turn);
    assert_eq!(warm.tokens, cold.tokens);
    assert_eq!(warm.usage.cached_tokens, n_said);
    assert_eq!(warm.usage.prompt_tokens, turn.len());
}

#[test]
fn a_state_from_elsewhere_goes_on_as_if_computed_here() {
    let engine = engine();
    let prompt = prompt(&engine, &words(20));
    let mut state = engine.model().new_state();
    engine.model().forward(&mut state, &prompt[..40], Logits::None).unwrap();
    let mut session = Session::with_state(state.clone(), prompt[..40].to_vec()).unwrap();
    let (n_cached, bits) = synced(&engine, &mut session, &prompt);
    assert_eq!(n_cached, 40);
    assert_eq!(bits, synced(&engine, &mut engine.session(), &prompt).1);
    assert!(Session::with_state(state, prompt).is_err());
}

#[test]
fn events_joined_are_the_result() {
    let engine = engine();
    let prompt = prompt(&engine, &words(200));
    let mut text = String::new();
    let mut progress = Vec::new();
    let done = engine
        .generate(&prompt, &options(40), &Cancel::new(), &mut |event| match event {
            Event::Reading(Reading::Prefill { done, total }) => progress.push((done, total)),
            Event::Reading(_) => {}
            Event::Answer(part) => text.push_str(&part),
            Event::Thinking(part) => panic!("thinking {part:?}"),
        })
        .unwrap();
    assert_eq!(text, done.text);
    assert!(progress.is_sorted(), "{progress:?}");
    assert_eq!(progress.last(), Some(&(prompt.len(), prompt.len())));
    assert_eq!((done.finish, done.usage.completion_tokens), (Finish::Length, 40));
    assert_eq!(done.tokens.len(), 40);
    assert!(done.timing.prefill_s > 0.0 && done.timing.time_to_first_token_s >= done.timing.prefill_s);
}

#[test]
fn a_stop_token_ends_the_answer_and_is_not_part_of_it() {
    let engine = engine();
    let prompt = prompt(&engine, "hello");
    let free = generate(&engine, &prompt, &options(20));
    let stop = free.tokens[10];
    let n_before = free.tokens.iter().position(|&token| token == stop).unwrap();
    let stopped = generate(&engine, &prompt, &GenerateOptions { stop_tokens: vec![stop], ..options(20) });
    assert_eq!(stopped.finish, Finish::Stop);
    assert_eq!(stopped.tokens, free.tokens[..n_before]);
}

#[test]
fn a_cancelled_prefill_keeps_what_was_read() {
    let engine = engine();
    let prompt = prompt(&engine, &words(600));
    assert!(prompt.len() > 1024, "more than two slices: {}", prompt.len());
    let mut session = engine.session();
    let cancel = Cancel::new();
    let cancelled = engine
        .generate_in(&mut session, &prompt, &options(5), &cancel, &mut |event| {
            if matches!(event, Event::Reading(Reading::Prefill { done, .. }) if done > 600) {
                cancel.cancel();
            }
        })
        .unwrap();
    assert_eq!((cancelled.finish, cancelled.tokens.len()), (Finish::Cancelled, 0));
    assert_eq!(session.tokens(), &prompt[..512]);
    let again = engine.generate_in(&mut session, &prompt, &options(5), &Cancel::new(), &mut |_| {}).unwrap();
    assert_eq!(again.usage.cached_tokens, 512);
    assert_eq!(again.tokens, generate(&engine, &prompt, &options(5)).tokens);
}

#[test]
fn a_cancelled_answer_keeps_what_was_said() {
    let engine = engine();
    let prompt = prompt(&engine, "hello");
    let cancel = Cancel::new();
    let mut n_parts = 0;
    let done = engine
        .generate(&prompt, &options(1_000), &cancel, &mut |event| {
            n_parts += usize::from(matches!(event, Event::Answer(_)));
            if n_parts == 3 {
                cancel.cancel();
            }
        })
        .unwrap();
    assert_eq!(done.finish, Finish::Cancelled);
    assert!(done.tokens.len() >= 3 && done.tokens.len() < 1_000);
    assert!(!done.text.is_empty());
}

#[test]
fn thinking_that_goes_on_too_long_is_ended_for_the_model() {
    let engine = engine();
    let prompt = prompt(&engine, "<|im_start|>assistant\n<think>\n");
    let sampling = Sampling { temperature: 1.0, top_k: 20, seed: 3, ..Sampling::default() };
    let free = GenerateOptions { sampling, ..options(60) };
    let unbounded = generate(&engine, &prompt, &free);
    assert_eq!(unbounded.text, "");
    assert_eq!(unbounded.usage.thinking_tokens, 60);

    let mut events = Vec::new();
    let capped = GenerateOptions { max_thinking: Some(12), ..free };
    let done = engine.generate(&prompt, &capped, &Cancel::new(), &mut |event| events.push(event)).unwrap();
    assert_eq!(done.tokens[..12], unbounded.tokens[..12]);
    let n_closing = engine.model().tokenizer().encode_template("\n</think>\n\n").len();
    assert!((12..=12 + n_closing).contains(&done.usage.thinking_tokens), "{:?}", done.usage);
    assert!(!done.text.is_empty() && !done.thinking.contains("</think>"));
    let joined = |pick: fn(&Event) -> Option<&String>| -> String {
        events.iter().filter_map(pick).map(String::as_str).collect()
    };
    assert_eq!(joined(|e| if let Event::Thinking(text) = e { Some(text) } else { None }), done.thinking);
    assert_eq!(joined(|e| if let Event::Answer(text) = e { Some(text) } else { None }), done.text);
}

#[test]
fn prompts_that_cannot_be_answered_are_errors_that_say_why() {
    let engine = engine();
    let run = |prompt: &[u32]| engine.generate(prompt, &options(5), &Cancel::new(), &mut |_| {});
    assert!(matches!(run(&[]), Err(InferError::EmptyPrompt)));
    assert!(matches!(run(&[9_999]), Err(InferError::Model(LmError::Token { token: 9_999, .. }))));
    let context_length = engine.model().config().context_length;
    let error = run(&vec![20; context_length]).unwrap_err().to_string();
    assert!(error.contains(&context_length.to_string()), "{error}");
}

#[test]
fn a_full_context_ends_the_answer() {
    let engine = engine();
    let n_prompt = engine.model().config().context_length - 3;
    let done = generate(&engine, &vec![20; n_prompt], &options(100));
    assert_eq!(done.finish, Finish::Length);
    assert_eq!(done.tokens.len(), 4, "three that find room, and one that needs none");
}

#[test]
fn likelihood_is_that_of_the_logits_and_independent_of_slices() {
    let engine = engine();
    let tokens = prompt(&engine, &words(60));
    assert!(tokens.len() > 150, "more than one slice: {}", tokens.len());
    let model = engine.model();
    let n_vocab = model.config().n_vocab;
    let logits = model.forward(&mut model.new_state(), &tokens, Logits::All).unwrap();
    let nll: f64 = logits
        .chunks_exact(n_vocab)
        .zip(&tokens[1..])
        .map(|(row, &token)| {
            let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
            sum.ln() - f64::from(row[token as usize])
        })
        .sum::<f64>()
        / (tokens.len() - 1) as f64;
    let seen = mean_nll(model, &tokens).unwrap();
    assert!((seen - nll).abs() < 1e-9, "{seen} for {nll}");
    assert!(matches!(mean_nll(model, &tokens[..1]), Err(InferError::TooFewTokens(1))));
}

/// Answers of the model held to `schema`, whatever its random weights would like to say.
fn held_to(engine: &Engine, schema: &serde_json::Value, prompt_text: &str, seed: u64) -> Generated {
    let sampling = Sampling { temperature: 1.5, seed, ..Sampling::default() };
    let json_schema = Some(schema.clone());
    generate(engine, &prompt(engine, prompt_text), &GenerateOptions { sampling, json_schema, ..options(300) })
}

#[test]
fn an_answer_held_to_a_schema_is_json_of_it() {
    let engine = engine();
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "kind": { "enum": ["yes", "no \"quoted\" né"] },
            "sure": { "type": "boolean" },
            "pages": { "type": "array", "items": { "enum": [1, 22] }, "maxItems": 3 }
        },
        "required": ["kind", "sure", "pages"],
        "additionalProperties": false
    });
    for seed in 0..10 {
        let done = held_to(&engine, &schema, "<|im_start|>assistant\n", seed);
        assert_eq!(done.finish, Finish::Stop, "{}", done.text);
        let answer: serde_json::Value = serde_json::from_str(&done.text).expect(&done.text);
        assert!(["yes", "no \"quoted\" né"].contains(&answer["kind"].as_str().unwrap()));
        assert!(answer["sure"].is_boolean() && answer["pages"].as_array().unwrap().len() <= 3);
        assert_eq!(answer.as_object().unwrap().len(), 3);
    }
}

#[test]
fn thinking_comes_before_the_schema() {
    let engine = engine();
    let schema = serde_json::json!({ "enum": ["a", "b"] });
    let sampling = Sampling { temperature: 1.0, seed: 5, ..Sampling::default() };
    let bounded =
        GenerateOptions { max_thinking: Some(6), json_schema: Some(schema), sampling, ..options(60) };
    let done = generate(&engine, &prompt(&engine, "<|im_start|>assistant\n<think>\n"), &bounded);
    assert!(done.usage.thinking_tokens >= 6 && !done.thinking.is_empty());
    assert!(["\"a\"", "\"b\""].contains(&done.text.as_str()), "{:?}", done.text);
}

#[test]
fn a_schema_that_cannot_be_met_is_an_error() {
    let engine = engine();
    for schema in [serde_json::json!("text"), serde_json::json!({ "type": "martian" })] {
        let json_schema = Some(schema);
        let options = GenerateOptions { json_schema, ..options(5) };
        let result = engine.generate(&prompt(&engine, "x"), &options, &Cancel::new(), &mut |_| {});
        assert!(matches!(result, Err(InferError::Schema(_))), "{result:?}");
    }
}
