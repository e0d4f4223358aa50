//! `--profile`: where a model's time went.

use docent::{Operation, PhaseProfile};

use super::Context;

/// Tells, beside the result, what the model has done since this was last called. Nothing without `--profile`.
pub fn tell(context: &Context) {
    let Some(profile) = context.library.take_profile() else { return };
    for (name, phase) in [("prefill", &profile.prefill), ("decode", &profile.decode)] {
        if phase.n_tokens > 0 {
            table(name, phase).iter().for_each(|line| context.output.note(line));
        }
    }
}

fn table(name: &str, phase: &PhaseProfile) -> Vec<String> {
    let n_tokens = phase.n_tokens as f64;
    let mut lines = vec![
        format!(
            "{name}: {} tokens in {:.3} s, {:.1} tokens/s",
            phase.n_tokens,
            phase.seconds,
            n_tokens / phase.seconds
        ),
        format!(
            "  {:22}{:>6}{:>12}{:>8}{:>12}{:>8}{:>13}{:>8}",
            "", "share", "ms/token", "calls", "MB/token", "GB/s", "Mop/token", "Gop/s"
        ),
    ];
    let mut rest = phase.seconds;
    for (operation, tally) in &phase.operations {
        rest -= tally.seconds;
        lines.push(format!(
            "  {:22}{:>5.1}%{:>12.3}{:>8}{:>12.2}{:>8.1}{:>13.1}{:>8.0}",
            operation_name(*operation),
            100.0 * tally.seconds / phase.seconds,
            1e3 * tally.seconds / n_tokens,
            tally.n_calls,
            tally.bytes / n_tokens / 1e6,
            tally.bytes / tally.seconds / 1e9,
            tally.operations / n_tokens / 1e6,
            tally.operations / tally.seconds / 1e9
        ));
    }
    let (share, ms) = (100.0 * rest / phase.seconds, 1e3 * rest / n_tokens);
    lines.push(format!("  {:22}{share:>5.1}%{ms:>12.3}", "everything else"));
    lines
}

fn operation_name(operation: Operation) -> String {
    match operation {
        Operation::Embedding => "embedding".to_owned(),
        Operation::Quantise => "inputs to int8".to_owned(),
        Operation::Product(format) => format!("products {format:?}"),
        Operation::ExpertProduct(format) => format!("experts {format:?}"),
        Operation::ExpertRows => "experts, rows".to_owned(),
        Operation::Attention => "attention".to_owned(),
        Operation::Convolution => "short convolution".to_owned(),
        Operation::Norm => "norms".to_owned(),
        Operation::Rope => "rotary positions".to_owned(),
        Operation::Gate => "silu(gate) * up".to_owned(),
        Operation::Add => "residual sums".to_owned(),
    }
}
