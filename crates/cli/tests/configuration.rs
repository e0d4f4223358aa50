//! Settings that last: where they come from, which one wins, and what is said of those that are wrong.

mod support;

use serde_json::Value;
use support::Home;

fn home(config: &str) -> Home {
    let home = Home::empty();
    std::fs::create_dir_all(home.home()).unwrap();
    std::fs::write(home.home().join("config.toml"), config).unwrap();
    home
}

fn setting(shown: &Value, key: &str) -> (Value, String) {
    let settings = shown["settings"].as_array().unwrap();
    let found = settings.iter().find(|setting| setting["key"] == key).unwrap();
    (found["value"].clone(), found["origin"].as_str().unwrap().to_owned())
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let home = home("threads = 3\nkv = \"q8_0\"\nlimit = 7\nignore = [\"*.log\", \"old/\"]\nhidden = true\n");
    let mut command = home.command(&["--threads", "5", "config", "show", "--json"]);
    let output = command.env("DOCENT_THREADS", "4").env("DOCENT_LIMIT", "9").output().unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let is = |key: &str, value: Value, origin: &str| {
        assert_eq!(setting(&shown, key), (value, origin.to_owned()), "{key}");
    };
    is("threads", 5.into(), "flag");
    is("limit", 9.into(), "environment");
    is("kv", "q8_0".into(), "file");
    is("hidden", true.into(), "file");
    is("ignore", serde_json::json!(["*.log", "old/"]), "file");
    is("mode", "hybrid".into(), "default");
    is("model", Value::Null, "default");
    assert_eq!(shown["exists"], true);
}

#[test]
fn what_is_shown_is_a_configuration_file_that_says_the_same() {
    let first =
        home("threads = 3\ncache-size = \"5GB\"\nignore = [\"*.log\"]\nhistory = \"off\"\nno-cache = true\n");
    let shown = first.docent(&["config", "show"]).exits(0).stdout;
    let second = home(&shown);
    assert_eq!(second.docent(&["config", "show"]).exits(0).stdout, shown);
    second.docent(&["config", "show", "--origin"]).exits(0).prints("# file, line");
    let path = second.docent(&["config", "path"]).exits(0).stdout;
    assert_eq!(path.trim(), second.home().join("config.toml").to_str().unwrap());
}

#[test]
fn settings_take_effect_and_flags_take_them_back() {
    let home = Home::with_models();
    std::fs::write(home.home().join("config.toml"), "hidden = true\nignore = ['*.log']\nlimit = 1\n")
        .unwrap();
    for name in ["a.txt", "b.log", ".c.txt"] {
        home.write(name, format!("The roof of house {name} is made of slate.\n"));
    }
    let docs = home.docs().display().to_string();
    home.docent(&["add", &docs]).exits(0).prints("2 added");
    let hits = |args: &[&str]| home.docent(args).exits(0).json()["hits"].as_array().unwrap().len();
    assert_eq!(hits(&["search", "--json", "slate roof"]), 1);
    assert_eq!(hits(&["search", "--json", "-n", "5", "slate roof"]), 2);
    home.docent(&["add", "--collection", "plain", "--hidden=no", "--ignore", "x", &docs])
        .exits(0)
        .prints("2 added");
    home.docent(&["ls", "--collection", "plain"]).exits(0).prints("b.log");
}

#[test]
fn what_is_wrong_is_named_with_file_and_line() {
    for (config, said) in [
        ("threads = 2\nmodle = \"x\"\n", "config.toml:2: there is no setting modle; did you mean model?"),
        ("\n\nkv = \"f15\"\n", "config.toml:3: invalid value 'f15' for '--kv <KV>'"),
        ("threads = 0\n", "config.toml:1: invalid value '0'"),
        ("hidden = \"perhaps\"\n", "config.toml:1: hidden is a switch: true or false"),
        ("model = true\n", "config.toml:1: model is no switch"),
        ("model = [\"a\", \"b\"]\n", "config.toml:1: model takes one value"),
        ("history = \"sometimes\"\n", "expected a number of days, or `off`"),
        ("ignore = [\"{a,b\"]\n", "config.toml:1: invalid value '{a,b'"),
        ("threads == 2\n", "config.toml:1: "),
    ] {
        let home = home(config);
        home.docent(&["status"]).exits(2).says(said);
        home.docent(&["config", "show"]).exits(2).says(said);
        home.docent(&["config", "path"]).exits(0);
        home.docent(&["completions", "bash"]).exits(0);
    }
    let home = Home::empty();
    home.docent(&["--config", "no.toml", "status"]).exits(2).says("no.toml: no such file");
    let mut command = home.command(&["status"]);
    let output = command.env("DOCENT_KV", "f15").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("DOCENT_KV: invalid value 'f15'"));
}

#[test]
fn a_budget_that_only_questions_know_leaves_other_commands_alone() {
    let home = home("budget = \"auto\"\n");
    home.docent(&["warm"]).exits(2).says("models pull");
    home.docent(&["warm", "--budget", "auto"]).exits(2).says("invalid value");
}

#[test]
fn every_shell_and_every_command_is_told_of() {
    let home = Home::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        home.docent(&["completions", shell]).exits(0).prints("default-embedding");
    }
    home.docent(&["completions", "dos"]).exits(2).says("possible values");
    home.docent(&["man"]).exits(0).prints("Answers questions about folders");
    home.docent(&["man", "models", "pull"]).exits(0).prints("docent\\-models\\-pull");
    home.docent(&["man", "frobnicate"]).exits(2).says("no command frobnicate");
    let out = home.docs();
    home.docent(&["man", "--out", out.to_str().unwrap()]).exits(0).prints("pages");
    for page in ["docent.1", "docent-search.1", "docent-models-pull.1", "docent-config-show.1"] {
        assert!(out.join(page).exists(), "{page}");
    }
    assert!(!out.join("docent-extract-worker.1").exists());
}
