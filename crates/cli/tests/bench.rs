//! `bench model`: one line a depth, with the keys that scripts compare.

mod support;

use support::{Home, tiny};

#[test]
fn a_bench_prints_one_object_a_depth_and_a_profile_beside_it() {
    let home = Home::empty();
    let model = tiny();
    let ran = home
        .docent(&[
            "bench",
            "model",
            "--model",
            &model,
            "--pp",
            "16",
            "--tg",
            "2",
            "--depth",
            "40,0",
            "--json",
            "--profile",
        ])
        .exits(0)
        .says("experts Q4K")
        .says("decode: 2 tokens");
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{}", ran.stdout);
    for (line, depth) in lines.iter().zip([0, 40]) {
        assert_eq!(
            (line["depth"].as_u64(), line["pp"].as_u64(), line["kv"].as_str()),
            (Some(depth), Some(16), Some("f16"))
        );
        for key in ["pp_tok_s", "tg_tok_s"] {
            assert!(line[key].as_f64().is_some_and(|speed| speed > 0.0), "{line}");
        }
        for key in ["engine", "threads", "load_s", "rss_gib", "fill_s"] {
            assert!(line.get(key).is_some(), "{line}");
        }
    }
}

#[test]
fn a_depth_beyond_the_context_is_refused_with_both_numbers() {
    let home = Home::empty();
    let model = tiny();
    home.docent(&["bench", "model", "-m", &model, "--pp", "4", "--depth", "999999999"]).exits(2).says("8192");
}
